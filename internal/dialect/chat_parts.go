package dialect

import (
	"bytes"
	"slices"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// An assistant message, in a request as in an answer: reasoning, content,
// refusal and tool calls are members beside each other.

// chatAssistant puts the parts of an assistant message in order; content are
// those of its content member.
func chatAssistant(m *object, content []llm.Part) []llm.Part {
	thinking, refusal, calls := chatThinking(m), m.quote("refusal"), m.list("tool_calls")
	if len(thinking) == 0 && refusal.Empty() && len(calls) == 0 {
		return content
	}
	parts := append(append(m.parts(len(thinking)+len(content)+1+len(calls)), thinking...), content...)
	if !refusal.Empty() {
		parts = append(parts, llm.Part{Kind: llm.PartRefusal, Text: refusal, Extra: llm.Extra{Dialect: llm.Chat}})
	}
	for i, raw := range calls {
		parts = append(parts, chatToolCall(m.openItem("tool_calls", i, raw), raw))
	}
	return parts
}

// joinParts is append, but for a first list that is the second.
func joinParts(parts, more []llm.Part) []llm.Part {
	if len(parts) == 0 {
		return slices.Clip(more)
	}
	return append(parts, more...)
}

// chatThinking reads reasoning_content, reasoning and thinking_blocks.
func chatThinking(m *object) []llm.Part {
	blocks := chatThinkingBlocks(m)
	if blocks != nil {
		text, _ := quoteOf(m.peek("reasoning_content"))
		if !text.Empty() && sameText(text, thinkingText(blocks)) {
			m.raw("reasoning_content")
			blocks[0].Extra.Form |= thinkingJoined
		}
		return blocks
	}
	content, isText := quoteOf(m.peek("reasoning_content"))
	plain, isPlain := quoteOf(m.peek("reasoning"))
	part := llm.Part{Kind: llm.PartThinking, SignedBy: llm.Chat, Extra: llm.Extra{Dialect: llm.Chat}}
	switch {
	case isText && !content.Empty():
		m.raw("reasoning_content")
		part.Text = content
		if isPlain && sameText(plain, content) {
			m.raw("reasoning")
			part.Extra.Form = thinkingBoth
		}
	case isPlain && !plain.Empty():
		m.raw("reasoning")
		part.Text, part.Extra.Form = plain, thinkingPlain
	}
	if isText && content.Empty() {
		m.keep("reasoning_content")
	}
	if isPlain && plain.Empty() {
		m.keep("reasoning")
	}
	if part.Text.Empty() {
		return nil
	}
	return []llm.Part{part}
}

func thinkingText(parts []llm.Part) llm.Text {
	var texts []llm.Text
	for i := range parts {
		if parts[i].Kind == llm.PartThinking {
			texts = append(texts, parts[i].Text)
		}
	}
	return joinQuotes(texts, "")
}

// chatThinkingBlocks takes thinking_blocks when each of them is a block that
// can be given back; else the member stays in Extra.
func chatThinkingBlocks(m *object) []llm.Part {
	raw := m.peek("thinking_blocks")
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	var parts []llm.Part
	for _, item := range elements(raw) {
		part, ok := chatThinkingBlock(item)
		if !ok {
			return nil
		}
		parts = append(parts, part)
	}
	if parts != nil {
		m.raw("thinking_blocks")
	}
	return parts
}

// chatThinkingBlock reads one block. A wrapped signature is unwrapped; any
// other belongs to the chat server that sent it.
func chatThinkingBlock(raw []byte) (llm.Part, bool) {
	part := llm.Part{Kind: llm.PartThinking, SignedBy: llm.Chat}
	o, err := openObject(raw, where{})
	if err != nil {
		return part, false
	}
	var sign string
	switch kind, _ := wire.Unquote(o.raw("type")); kind {
	case "thinking":
		part.Text, sign = o.needQuote("thinking"), o.str("signature")
	case "redacted_thinking":
		part.Redacted, sign = true, o.need("data")
	default:
		return part, false
	}
	if o.err() != nil {
		return part, false
	}
	part.Signature = sign
	if by, inner, ok := unwrapSignature(sign); ok && wrapSignature(by, inner) == sign && by != llm.Chat {
		part.SignedBy, part.Signature = by, inner
	}
	part.Cache = cacheMark(o, 0)
	part.Extra = o.extra(llm.Chat, thinkingBlock)
	return part, true
}

// chatToolCall reads one element of tool_calls: raw, opened as o.
func chatToolCall(o *object, raw []byte) llm.Part {
	form := uint32(0)
	switch kind, ok := wire.Unquote(o.peek("type")); {
	case !o.has("type"):
		form = callNoType
	case wire.IsNull(o.peek("type")) || ok && kind == "":
		o.keep("type")
	case !ok:
		o.wrong("type", "must be a string")
	case kind != "function":
		return chatOther(raw, callItem)
	default:
		o.raw("type")
	}
	call := &llm.ToolCall{ID: o.str("id")}
	o.keep("index")
	in := o.sub("function")
	if in == nil {
		o.wrong("function", "is missing")
		return llm.Part{}
	}
	call.Name = in.str("name")
	var isObject bool
	if call.Arguments, isObject = chatArguments(in); isObject {
		form |= callObject
	}
	part := llm.Part{Kind: llm.PartToolCall, Tool: call, Cache: cacheMark(o, 0)}
	part.Extra = o.extra(llm.Chat, form)
	return part
}

// chatArguments takes the arguments of a call, or a piece of them: a text, or the
// object that some servers send instead.
func chatArguments(function *object) (text string, isObject bool) {
	if raw := function.peek("arguments"); len(raw) > 0 && raw[0] == '{' {
		return string(function.raw("arguments")), true
	}
	return function.str("arguments"), false
}

// chatBody is a content member.
type chatBody struct {
	parts []llm.Part
	form  uint32
}

func chatContent(m *object) chatBody {
	if !m.has("content") {
		return chatBody{form: contentAbsent}
	}
	raw := m.take("content")
	if wire.IsNull(raw) {
		return chatBody{form: contentNull}
	}
	if text, ok := quoteOf(raw); ok {
		body := chatBody{form: contentString}
		if !text.Empty() {
			body.parts = append(m.parts(1), llm.Part{Kind: llm.PartText, Text: text, Extra: llm.Extra{Dialect: llm.Chat}})
		}
		return body
	}
	if raw[0] != '[' {
		m.wrong("content", "must be a string or a list of parts")
		return chatBody{}
	}
	items := m.elements(raw)
	body := chatBody{form: contentList, parts: m.parts(len(items))}
	for k, item := range items {
		part := chatItem(m.openItem("content", k, item), item)
		body.parts = append(body.parts, part)
	}
	return body
}

// chatItem reads one item of a content list: raw, opened as o.
func chatItem(o *object, raw []byte) llm.Part {
	if !o.has("type") {
		o.wrong("type", "is missing")
	}
	part, form := chatItemOf(o.str("type"), o)
	if part.Kind == llm.PartOther {
		return chatOther(raw, 0)
	}
	part.Cache = cacheMark(o, 0)
	part.Extra = o.extra(llm.Chat, form)
	return part
}

func chatOther(raw []byte, form uint32) llm.Part {
	return llm.Part{Kind: llm.PartOther, Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Chat, Form: form}}
}

func chatItemOf(kind string, o *object) (part llm.Part, form uint32) {
	switch kind {
	case "text":
		part.Kind = llm.PartText
		part.Text = o.needQuote("text")
	case "refusal":
		part.Kind, form = llm.PartRefusal, refusalItem
		part.Text = o.needQuote("refusal")
	case "image_url":
		part.Kind = llm.PartImage
		part.Media, form = chatImage(o)
	case "input_audio":
		part.Kind = llm.PartAudio
		part.Media = chatAudio(o)
	case "file":
		part.Kind = llm.PartFile
		part.Media, form = chatFile(o)
	case "thinking":
		return chatThinkingItem(o)
	default:
		part.Kind = llm.PartOther
	}
	return part, form
}

func chatImage(o *object) (*llm.Media, uint32) {
	if url, ok := wire.Unquote(o.peek("image_url")); ok {
		o.raw("image_url")
		return mediaAt(url), imageBare
	}
	in := o.sub("image_url")
	if in == nil {
		o.wrong("image_url", "is missing")
		return nil, 0
	}
	media := mediaAt(in.need("url"))
	media.Detail = in.str("detail")
	return media, 0
}

func mediaAt(url string) *llm.Media {
	if mime, data, ok := dataURL(url); ok {
		return &llm.Media{Type: mime, Data: data}
	}
	return &llm.Media{URL: url}
}

func chatAudio(o *object) *llm.Media {
	in := o.sub("input_audio")
	if in == nil {
		o.wrong("input_audio", "is missing")
		return nil
	}
	return &llm.Media{Data: in.need("data"), Type: in.str("format")}
}

func chatFile(o *object) (media *llm.Media, form uint32) {
	in := o.sub("file")
	if in == nil {
		o.wrong("file", "is missing")
		return nil, 0
	}
	media = &llm.Media{FileID: in.str("file_id"), Name: in.str("filename")}
	data := in.str("file_data")
	if mime, inner, ok := dataURL(data); ok {
		media.Type, media.Data, form = mime, inner, fileDataURL
	} else if strings.Contains(data, ":") {
		media.URL = data
	} else {
		media.Data = data
	}
	return media, form
}

// chatThinkingItem reads Mistral's item: thinking is a list of texts.
func chatThinkingItem(o *object) (part llm.Part, form uint32) {
	part = llm.Part{Kind: llm.PartThinking, SignedBy: llm.Chat}
	raw := o.raw("thinking")
	if text, ok := quoteOf(raw); ok {
		part.Text = text
		return part, thinkingItem | thinkingString
	}
	if len(raw) == 0 || raw[0] != '[' {
		return llm.Part{Kind: llm.PartOther}, 0
	}
	items := elements(raw)
	if len(items) != 1 {
		return llm.Part{Kind: llm.PartOther}, 0
	}
	in, err := openObject(items[0], o.under("thinking"))
	if err != nil || len(in.members) != 2 || !wire.StringEquals(in.peek("type"), "text") {
		return llm.Part{Kind: llm.PartOther}, 0
	}
	text, ok := quoteOf(in.peek("text"))
	if !ok {
		return llm.Part{Kind: llm.PartOther}, 0
	}
	part.Text = text
	return part, thinkingItem
}

// cacheMark takes cache_control when it is a mark; anything else stays where
// it is.
func cacheMark(o *object, form uint32) *llm.CacheMark {
	raw := o.peek("cache_control")
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	in, err := openObject(raw, where{})
	if err != nil {
		return nil
	}
	mark := &llm.CacheMark{}
	var ok bool
	if mark.Type, ok = wire.Unquote(in.raw("type")); !ok {
		return nil
	}
	if mark.TTL = in.str("ttl"); in.err() != nil {
		return nil
	}
	o.raw("cache_control")
	mark.Extra = in.extra(llm.Chat, form)
	return mark
}
