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
	call := &llm.Call{}
	if call.Model, err = requiredModel(o); err != nil {
		return nil, err
	}
	if err := chatMessages(call, o); err != nil {
		return nil, err
	}
	if err := chatTools(call, o); err != nil {
		return nil, err
	}
	form, err := chatSettings(call, o)
	if err != nil {
		return nil, err
	}
	call.Extra = o.extra(llm.Chat, form)
	return call, nil
}

func requiredModel(o *object) (string, error) {
	if !o.has("model") {
		return "", o.under("model").wrong("is missing: name the model to use")
	}
	model, err := o.str("model")
	if err == nil && model == "" {
		err = o.under("model").wrong("must name the model to use")
	}
	return model, err
}

func chatMessages(call *llm.Call, o *object) error {
	if !o.has("messages") {
		return o.under("messages").wrong("is missing: send the conversation as a list")
	}
	items, err := o.list("messages")
	if err != nil {
		return err
	}
	leading := true
	for i, raw := range items {
		at := o.under("messages").item(i)
		m, err := openObject(raw, at)
		if err != nil {
			return err
		}
		if leading {
			parts := chatSystem(m)
			if leading = parts != nil; leading {
				call.System = append(call.System, parts...)
				continue
			}
			m.releaseAll()
		}
		turn, err := chatTurn(m, raw)
		if err != nil {
			return err
		}
		call.Turns = append(call.Turns, turn)
	}
	return nil
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
		part, err := chatItem(item, m.where)
		if err != nil || part.Kind != llm.PartText {
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

func chatTurn(m *object, raw []byte) (llm.Turn, error) {
	var turn llm.Turn
	if !m.has("role") {
		return turn, m.under("role").wrong("is missing")
	}
	role, err := m.str("role")
	if err != nil {
		return turn, err
	}
	form := uint32(0)
	switch role {
	case "system", "user", "assistant":
		turn.Role = llm.Role(role)
	case "developer":
		turn.Role, form = llm.RoleSystem, turnDeveloper
	case "tool":
		turn.Role = llm.RoleTool
		return turn, chatToolMessage(&turn, m)
	case "function":
		turn.Role = llm.RoleTool
		turn.Parts = []llm.Part{{
			Kind: llm.PartOther, Raw: bytes.Clone(raw),
			Extra: llm.Extra{Dialect: llm.Chat, Form: wholeMessage},
		}}
		turn.Extra = llm.Extra{Dialect: llm.Chat}
		return turn, nil
	default:
		return turn, m.under("role").wrong("%q is not a role; use system, developer, user, assistant or tool", role)
	}
	if turn.Name, err = m.str("name"); err != nil {
		return turn, err
	}
	content, err := chatContent(m)
	if err != nil {
		return turn, err
	}
	form |= content.form
	if turn.Role == llm.RoleAssistant {
		if turn.Parts, err = chatAssistant(m, content.parts); err != nil {
			return turn, err
		}
	} else {
		turn.Parts = content.parts
	}
	if n := len(turn.Parts); n > 0 && turn.Parts[n-1].Cache == nil && m.has("cache_control") {
		turn.Parts[n-1].Cache = cacheMark(m, markMessage)
	}
	turn.Extra = m.extra(llm.Chat, form)
	return turn, nil
}

func chatToolMessage(turn *llm.Turn, m *object) error {
	var err error
	if turn.Name, err = m.str("name"); err != nil {
		return err
	}
	result := &llm.ToolResult{}
	form := uint32(0)
	if !m.has("tool_call_id") {
		form = turnNoCallID
	}
	if result.CallID, err = m.str("tool_call_id"); err != nil {
		return err
	}
	content, err := chatContent(m)
	if err != nil {
		return err
	}
	result.Parts = content.parts
	part := llm.Part{Kind: llm.PartToolResult, Result: result, Cache: cacheMark(m, markMessage)}
	part.Extra = llm.Extra{Dialect: llm.Chat, Form: form | content.form}
	turn.Parts = []llm.Part{part}
	turn.Extra = m.extra(llm.Chat, 0)
	return nil
}

// chatBody is a content member.
type chatBody struct {
	parts []llm.Part
	form  uint32
}

func chatContent(m *object) (chatBody, error) {
	if !m.has("content") {
		return chatBody{form: contentAbsent}, nil
	}
	raw := m.take("content")
	if wire.IsNull(raw) {
		return chatBody{form: contentNull}, nil
	}
	if text, ok := wire.String(raw); ok {
		body := chatBody{form: contentString}
		if text != "" {
			body.parts = []llm.Part{{Kind: llm.PartText, Text: text, Extra: llm.Extra{Dialect: llm.Chat}}}
		}
		return body, nil
	}
	if raw[0] != '[' {
		return chatBody{}, m.under("content").wrong("must be a string or a list of parts")
	}
	body := chatBody{form: contentList}
	for k, item := range elements(raw) {
		part, err := chatItem(item, m.under("content").item(k))
		if err != nil {
			return body, err
		}
		body.parts = append(body.parts, part)
	}
	return body, nil
}

// chatItem reads one item of a content list.
func chatItem(raw []byte, at where) (llm.Part, error) {
	o, err := openObject(raw, at)
	if err != nil {
		return llm.Part{}, err
	}
	if !o.has("type") {
		return llm.Part{}, o.under("type").wrong("is missing")
	}
	kind, err := o.str("type")
	if err != nil {
		return llm.Part{}, err
	}
	part, form, err := chatItemOf(kind, o)
	if err != nil {
		return part, err
	}
	if part.Kind == llm.PartOther {
		return chatOther(raw, 0), nil
	}
	part.Cache = cacheMark(o, 0)
	part.Extra = o.extra(llm.Chat, form)
	return part, nil
}

func chatOther(raw []byte, form uint32) llm.Part {
	return llm.Part{Kind: llm.PartOther, Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Chat, Form: form}}
}

func chatItemOf(kind string, o *object) (part llm.Part, form uint32, err error) {
	switch kind {
	case "text":
		part.Kind = llm.PartText
		part.Text, err = o.need("text")
	case "refusal":
		part.Kind, form = llm.PartRefusal, refusalItem
		part.Text, err = o.need("refusal")
	case "image_url":
		part.Kind = llm.PartImage
		part.Media, form, err = chatImage(o)
	case "input_audio":
		part.Kind = llm.PartAudio
		part.Media, err = chatAudio(o)
	case "file":
		part.Kind = llm.PartFile
		part.Media, form, err = chatFile(o)
	case "thinking":
		return chatThinkingItem(o)
	default:
		part.Kind = llm.PartOther
	}
	return part, form, err
}

func chatImage(o *object) (*llm.Media, uint32, error) {
	if url, ok := wire.String(o.peek("image_url")); ok {
		o.raw("image_url")
		return mediaAt(url), imageBare, nil
	}
	in, err := o.sub("image_url")
	if err != nil {
		return nil, 0, err
	}
	if in == nil {
		return nil, 0, o.under("image_url").wrong("is missing")
	}
	url, err := in.need("url")
	if err != nil {
		return nil, 0, err
	}
	media := mediaAt(url)
	media.Detail, err = in.str("detail")
	return media, 0, err
}

func mediaAt(url string) *llm.Media {
	if mime, data, ok := dataURL(url); ok {
		return &llm.Media{Type: mime, Data: data}
	}
	return &llm.Media{URL: url}
}

func chatAudio(o *object) (*llm.Media, error) {
	in, err := o.sub("input_audio")
	if err != nil {
		return nil, err
	}
	if in == nil {
		return nil, o.under("input_audio").wrong("is missing")
	}
	media := &llm.Media{}
	if media.Data, err = in.need("data"); err != nil {
		return nil, err
	}
	media.Type, err = in.str("format")
	return media, err
}

func chatFile(o *object) (media *llm.Media, form uint32, err error) {
	in, err := o.sub("file")
	if err != nil {
		return nil, 0, err
	}
	if in == nil {
		return nil, 0, o.under("file").wrong("is missing")
	}
	media = &llm.Media{}
	if media.FileID, err = in.str("file_id"); err != nil {
		return nil, 0, err
	}
	if media.Name, err = in.str("filename"); err != nil {
		return nil, 0, err
	}
	data, err := in.str("file_data")
	if err != nil {
		return nil, 0, err
	}
	if mime, inner, ok := dataURL(data); ok {
		media.Type, media.Data, form = mime, inner, fileDataURL
	} else if strings.Contains(data, ":") {
		media.URL = data
	} else {
		media.Data = data
	}
	return media, form, nil
}

// chatThinkingItem reads Mistral's item: thinking is a list of texts.
func chatThinkingItem(o *object) (part llm.Part, form uint32, err error) {
	part = llm.Part{Kind: llm.PartThinking, SignedBy: llm.Chat}
	raw := o.raw("thinking")
	if text, ok := wire.String(raw); ok {
		part.Text = text
		return part, thinkingItem | thinkingString, nil
	}
	if len(raw) == 0 || raw[0] != '[' {
		return llm.Part{Kind: llm.PartOther}, 0, nil
	}
	items := elements(raw)
	if len(items) != 1 {
		return llm.Part{Kind: llm.PartOther}, 0, nil
	}
	in, err := openObject(items[0], o.under("thinking"))
	if err != nil || len(in.members) != 2 || !wire.StringEquals(in.peek("type"), "text") {
		return llm.Part{Kind: llm.PartOther}, 0, nil
	}
	text, ok := wire.String(in.peek("text"))
	if !ok {
		return llm.Part{Kind: llm.PartOther}, 0, nil
	}
	part.Text = text
	return part, thinkingItem, nil
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
	if mark.TTL, err = in.str("ttl"); err != nil {
		return nil
	}
	o.raw("cache_control")
	mark.Extra = in.extra(llm.Chat, form)
	return mark
}
