package dialect

import (
	"bytes"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Rules for reading a chat request:
//
//   - The leading run of system and developer messages whose content is text
//     becomes Call.System, one part for a bare string, one for each item of a
//     list. A message that carries more than that (a name, other content)
//     ends the run: it and what follows are turns.
//   - A message of role tool is a turn with one PartToolResult. The legacy
//     role function is a turn with one PartOther that holds the message.
//   - In an assistant message the order is thinking, content, refusal, calls;
//     the wire gives these members no order among each other.
//   - An item that says anything which cannot be given back from its canonical
//     fields and its Extra is a PartOther.

// Forms of a Call.
const (
	chatMaxTokensOld = 1 << iota // the cap is called max_tokens
	chatStopString               // stop is a bare string
	chatReasoningObj             // effort and budget stand in an object, as OpenRouter has it
)

// Forms of a Turn, and of a PartToolResult: how the content is spelled.
const (
	contentAuto   = iota // a string for one plain text, else a list
	contentAbsent        // no member
	contentNull
	contentString
	contentList
	contentMask = 7

	turnDeveloper = 1 << 3 // role developer
	turnNoCallID  = 1 << 4 // a tool message without tool_call_id
)

// Forms of a part.
const (
	systemDeveloper = 1 << iota // role developer
	systemList                  // the content is a list
	systemMore                  // the next item of the same message's list
	imageBare                   // image_url is a bare string
	fileDataURL                 // file_data is a data URL
	thinkingPlain               // the member is called reasoning
	thinkingBoth                // it stands in reasoning and reasoning_content
	thinkingItem                // an item of the content list
	thinkingBlock               // an item of thinking_blocks
	thinkingJoined              // the first of thinking_blocks whose text is in reasoning_content too
	thinkingString              // the item's thinking is a string, not a list
	refusalItem                 // an item of the content list
	callNoType                  // a tool call without type
	callObject                  // arguments is a JSON value, not text
	callItem                    // a PartOther of tool_calls
	wholeMessage                // a PartOther that is a message
	markMessage                 // on a CacheMark: it stands on the message
)

// DecodeCall implements [Codec].
func (ChatCodec) DecodeCall(body []byte) (*llm.Call, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	call := &llm.Call{Model: requiredModel(o)}
	chatMessages(call, o)
	chatTools(call, o)
	call.Extra = o.extra(llm.Chat, chatSettings(call, o))
	return result(o, call)
}

func requiredModel(o *object) string {
	if !o.has("model") {
		o.wrong("model", "is missing: name the model to use")
	}
	model := o.str("model")
	if model == "" {
		o.wrong("model", "must name the model to use")
	}
	return model
}

func chatMessages(call *llm.Call, o *object) {
	if !o.has("messages") {
		o.wrong("messages", "is missing: send the conversation as a list")
	}
	leading := true
	for i, raw := range o.list("messages") {
		m := o.open(raw, o.under("messages").item(i))
		if leading {
			parts := chatSystem(m)
			if leading = parts != nil; leading {
				call.System = append(call.System, parts...)
				continue
			}
			m.releaseAll()
		}
		call.Turns = append(call.Turns, chatTurn(m, raw))
	}
}

// chatSystem reads a message for Call.System; nil when it must be a turn.
func chatSystem(m *object) []llm.Part {
	form := uint32(0)
	switch role, _ := wire.String(m.raw("role")); role {
	case "system":
	case "developer":
		form = systemDeveloper
	default:
		return nil
	}
	raw := m.raw("content")
	if text, ok := wire.String(raw); ok && text != "" {
		mark := cacheMark(m, markMessage)
		if m.has("name") {
			return nil
		}
		return []llm.Part{{Kind: llm.PartText, Text: text, Cache: mark, Extra: m.extra(llm.Chat, form)}}
	}
	if len(m.members) != 2 || len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	var parts []llm.Part
	for _, item := range elements(raw) {
		in, err := openDocument(item, m.where)
		if err != nil {
			return nil
		}
		part := chatItem(in, item)
		if in.err() != nil || part.Kind != llm.PartText {
			return nil
		}
		part.Extra.Form = form | systemList
		if len(parts) > 0 {
			part.Extra.Form |= systemMore
		}
		parts = append(parts, part)
	}
	return parts
}

func chatTurn(m *object, raw []byte) llm.Turn {
	var turn llm.Turn
	if !m.has("role") {
		m.wrong("role", "is missing")
		return turn
	}
	role := m.str("role")
	form := uint32(0)
	switch role {
	case "system", "user", "assistant":
		turn.Role = llm.Role(role)
	case "developer":
		turn.Role, form = llm.RoleSystem, turnDeveloper
	case "tool":
		turn.Role = llm.RoleTool
		chatToolMessage(&turn, m)
		return turn
	case "function":
		turn.Role = llm.RoleTool
		turn.Parts = []llm.Part{{
			Kind: llm.PartOther, Raw: bytes.Clone(raw),
			Extra: llm.Extra{Dialect: llm.Chat, Form: wholeMessage},
		}}
		turn.Extra = llm.Extra{Dialect: llm.Chat}
		return turn
	default:
		m.wrong("role", "%q is not a role; use system, developer, user, assistant or tool", role)
	}
	turn.Name = m.str("name")
	content := chatContent(m)
	form |= content.form
	if turn.Role == llm.RoleAssistant {
		turn.Parts = chatAssistant(m, content.parts)
	} else {
		turn.Parts = content.parts
	}
	if n := len(turn.Parts); n > 0 && turn.Parts[n-1].Cache == nil && m.has("cache_control") {
		turn.Parts[n-1].Cache = cacheMark(m, markMessage)
	}
	turn.Extra = m.extra(llm.Chat, form)
	return turn
}

func chatToolMessage(turn *llm.Turn, m *object) {
	turn.Name = m.str("name")
	form := uint32(0)
	if !m.has("tool_call_id") {
		form = turnNoCallID
	}
	result := &llm.ToolResult{CallID: m.str("tool_call_id")}
	content := chatContent(m)
	result.Parts = content.parts
	part := llm.Part{Kind: llm.PartToolResult, Result: result, Cache: cacheMark(m, markMessage)}
	part.Extra = llm.Extra{Dialect: llm.Chat, Form: form | content.form}
	turn.Parts = []llm.Part{part}
	turn.Extra = m.extra(llm.Chat, 0)
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
	if text, ok := wire.String(raw); ok {
		body := chatBody{form: contentString}
		if text != "" {
			body.parts = []llm.Part{{Kind: llm.PartText, Text: text, Extra: llm.Extra{Dialect: llm.Chat}}}
		}
		return body
	}
	if raw[0] != '[' {
		m.wrong("content", "must be a string or a list of parts")
		return chatBody{}
	}
	body := chatBody{form: contentList}
	for k, item := range elements(raw) {
		part := chatItem(m.open(item, m.under("content").item(k)), item)
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
		part.Text = o.need("text")
	case "refusal":
		part.Kind, form = llm.PartRefusal, refusalItem
		part.Text = o.need("refusal")
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
	if url, ok := wire.String(o.peek("image_url")); ok {
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
	if text, ok := wire.String(raw); ok {
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
	text, ok := wire.String(in.peek("text"))
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
	if mark.Type, ok = wire.String(in.raw("type")); !ok {
		return nil
	}
	if mark.TTL = in.str("ttl"); in.err() != nil {
		return nil
	}
	o.raw("cache_control")
	mark.Extra = in.extra(llm.Chat, form)
	return mark
}
