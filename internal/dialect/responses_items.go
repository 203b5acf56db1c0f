package dialect

import (
	"bytes"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Items and content parts of the Responses dialect, as they are read. The
// rules of this file hold for requests and for answers:
//
//   - One item of a request is one turn, because items have an identity (id,
//     status) that must come back. In an answer, which has no turns, the last
//     part of a message item carries the item's own members under "item".
//   - An item or part of a type that the canonical form has no word for is a
//     PartOther with its bytes.
//   - ids, states, empty annotations and the exact lists of a reasoning item
//     are kept as spelling: nobody misses them in another dialect.

// Forms of items and parts. Those of a message item stand in its turn's Extra;
// in the Extra of its part where it belongs to Call.System.
const (
	respMessage    uint32 = 1 << iota // the turn is a message item
	respUntyped                       // "type":"message" is left out
	respBare                          // content is a bare string
	respDeveloper                     // the role is developer, not system
	respSystemItem                    // the part of Call.System stands in the input, not in instructions
	respItemEnd                       // the part is the last of its message item
	respItemOpen                      // the part opens its message item in a stream
	respEmptyItem                     // the message item has no parts; this empty text stands for it
	respContent                       // the PartOther stands in a message's content, not among the items
	respTextIn                        // the text is an input_text although the assistant speaks
	respTextOut                       // the text is an output_text although another speaks
	respTextPlain                     // the text is of type "text"
	respList                          // the tool's output is a list of parts
	respNoSummary                     // the reasoning item has no summary member
)

// respSeparator stands between the summaries of one reasoning item, and
// between instructions that were separate elsewhere.
const respSeparator = "\n\n"

// respItem reads one item as one turn.
func respItem(raw []byte, at where) (llm.Turn, error) {
	o, err := openObject(raw, at)
	if err != nil {
		return llm.Turn{}, err
	}
	kind, err := o.str("type")
	if err != nil {
		return llm.Turn{}, err
	}
	if !o.has("type") && o.has("role") {
		kind = "message"
	}
	o.keep("id")
	o.keep("status")
	switch kind {
	case "message":
		return respMessageItem(o)
	case "function_call":
		return respCallItem(o)
	case "function_call_output":
		if id, ok := wire.String(o.peek("call_id")); ok && id != "" {
			return respResultItem(o)
		}
	case "reasoning":
		return respReasoningItem(o)
	}
	return respOtherItem(raw, kind), nil
}

// respOtherItem keeps an item that only this dialect knows.
func respOtherItem(raw []byte, kind string) llm.Turn {
	role := llm.RoleAssistant
	if strings.HasSuffix(kind, "_output") || kind == "mcp_approval_response" {
		role = llm.RoleTool
	}
	extra := llm.Extra{Dialect: llm.Responses}
	return llm.Turn{
		Role:  role,
		Parts: []llm.Part{{Kind: llm.PartOther, Raw: bytes.Clone(raw), Extra: extra}},
		Extra: extra,
	}
}

func respMessageItem(o *object) (llm.Turn, error) {
	word, err := o.need("role")
	if err != nil {
		return llm.Turn{}, err
	}
	form := respMessage
	if !o.has("type") {
		form |= respUntyped
	}
	role := llm.Role(word)
	switch role {
	case llm.RoleUser, llm.RoleAssistant, llm.RoleSystem:
	case "developer":
		role, form = llm.RoleSystem, form|respDeveloper
	default:
		return llm.Turn{}, o.under("role").wrong("must be user, assistant, system or developer")
	}
	parts, bare, err := respContentList(o, "content", role)
	if err != nil {
		return llm.Turn{}, err
	}
	if bare {
		form |= respBare
	}
	return llm.Turn{Role: role, Parts: parts, Extra: o.extra(llm.Responses, form)}, nil
}

// respContentList reads content that is a bare string or a list of parts.
func respContentList(o *object, name string, role llm.Role) (parts []llm.Part, bare bool, err error) {
	raw := o.raw(name)
	if s, ok := wire.String(raw); ok {
		return []llm.Part{{Kind: llm.PartText, Text: s, Extra: llm.Extra{Dialect: llm.Responses}}}, true, nil
	}
	at := o.under(name)
	if len(raw) == 0 || raw[0] != '[' {
		return nil, false, at.wrong("must be a string or a list of parts")
	}
	for i, el := range elements(raw) {
		p, err := respPart(el, at.item(i), role)
		if err != nil {
			return nil, false, err
		}
		parts = append(parts, p)
	}
	return parts, false, nil
}

// respPart reads one part of the content of a message or of a tool's output.
func respPart(raw []byte, at where, role llm.Role) (llm.Part, error) {
	o, err := openObject(raw, at)
	if err != nil {
		return llm.Part{}, err
	}
	kind, err := o.need("type")
	if err != nil {
		return llm.Part{}, err
	}
	p := llm.Part{}
	var form uint32
	switch kind {
	case "input_text", "output_text", "text":
		p.Kind = llm.PartText
		form = respTextForm(kind, role)
		p.Text, err = o.need("text")
		o.keep("logprobs")
		if list := o.peek("annotations"); list != nil && saysNothing(list) {
			o.keep("annotations")
		}
	case "refusal":
		p.Kind = llm.PartRefusal
		p.Text, err = o.need("refusal")
	case "input_image":
		p.Kind = llm.PartImage
		p.Media, err = respImage(o)
	case "input_file":
		p.Kind = llm.PartFile
		p.Media, err = respFile(o)
	case "input_audio":
		p.Kind = llm.PartAudio
		p.Media, err = respAudio(o)
	}
	if p.Kind == 0 || p.Media == nil && p.Kind >= llm.PartImage && p.Kind <= llm.PartFile && err == nil {
		return llm.Part{
			Kind: llm.PartOther, Raw: bytes.Clone(raw),
			Extra: llm.Extra{Dialect: llm.Responses, Form: respContent},
		}, nil
	}
	p.Extra = o.extra(llm.Responses, form)
	return p, err
}

// respTextForm notes a type of text that is not the one its role would have.
func respTextForm(kind string, role llm.Role) uint32 {
	switch {
	case kind == "text":
		return respTextPlain
	case kind == "output_text" && role != llm.RoleAssistant:
		return respTextOut
	case kind == "input_text" && role == llm.RoleAssistant:
		return respTextIn
	}
	return 0
}

func respImage(o *object) (*llm.Media, error) {
	url, err := o.str("image_url")
	if err != nil {
		return nil, err
	}
	m := &llm.Media{}
	var inline bool
	if m.Type, m.Data, inline = dataURL(url); !inline {
		m.URL = url
	}
	if m.FileID, err = o.str("file_id"); err != nil {
		return nil, err
	}
	m.Detail, err = o.str("detail")
	return m, err
}

// respFile reads a file; it gives nil when the inline data is neither base64
// nor an address that can be taken apart.
func respFile(o *object) (*llm.Media, error) {
	m := &llm.Media{}
	fields := []struct {
		name string
		to   *string
	}{
		{"file_data", &m.Data},
		{"file_url", &m.URL},
		{"file_id", &m.FileID},
		{"filename", &m.Name},
		{"detail", &m.Detail},
	}
	for _, f := range fields {
		var err error
		if *f.to, err = o.str(f.name); err != nil {
			return nil, err
		}
	}
	if mime, data, ok := dataURL(m.Data); ok {
		m.Type, m.Data = mime, data
	} else if m.Data != "" && !isBase64(m.Data) {
		return nil, nil
	}
	return m, nil
}

func respAudio(o *object) (*llm.Media, error) {
	in, err := o.sub("input_audio")
	if err != nil {
		return nil, err
	}
	if in == nil {
		return nil, o.under("input_audio").wrong("is required and must be an object")
	}
	m := &llm.Media{}
	if m.Data, err = in.need("data"); err != nil {
		return nil, err
	}
	m.Type, err = in.need("format")
	return m, err
}

func respCallItem(o *object) (llm.Turn, error) {
	call := &llm.ToolCall{}
	fields := []struct {
		name string
		to   *string
	}{
		{"call_id", &call.ID},
		{"name", &call.Name},
		{"arguments", &call.Arguments},
	}
	for _, f := range fields {
		var err error
		if *f.to, err = o.need(f.name); err != nil {
			return llm.Turn{}, err
		}
	}
	return respOne(llm.RoleAssistant, llm.Part{
		Kind: llm.PartToolCall, Tool: call, Extra: o.extra(llm.Responses, 0),
	}), nil
}

// respOne is the turn of an item that is one part.
func respOne(role llm.Role, p llm.Part) llm.Turn {
	return llm.Turn{Role: role, Parts: []llm.Part{p}, Extra: llm.Extra{Dialect: llm.Responses}}
}

func respResultItem(o *object) (llm.Turn, error) {
	id, err := o.need("call_id")
	if err != nil {
		return llm.Turn{}, err
	}
	parts, bare, err := respContentList(o, "output", llm.RoleTool)
	if err != nil {
		return llm.Turn{}, err
	}
	form := respList
	if bare {
		form = 0
	}
	return respOne(llm.RoleTool, llm.Part{
		Kind:   llm.PartToolResult,
		Result: &llm.ToolResult{CallID: id, Parts: parts},
		Extra:  o.extra(llm.Responses, form),
	}), nil
}

// respReasoningItem reads thinking. Its text is the summaries, or where there
// are none the reasoning itself, which open models show.
func respReasoningItem(o *object) (llm.Turn, error) {
	p := llm.Part{Kind: llm.PartThinking}
	var form uint32
	if !o.has("summary") {
		form = respNoSummary
	}
	summary, err := respTexts(o, "summary", "summary_text")
	if err != nil {
		return llm.Turn{}, err
	}
	content, err := respTexts(o, "content", "reasoning_text")
	if err != nil {
		return llm.Turn{}, err
	}
	o.keep("content")
	p.Text = strings.Join(summary, respSeparator)
	if p.Text == "" {
		p.Text = strings.Join(content, "")
	}
	if !bytes.Equal(respSummary(p.Text), o.peek("summary")) {
		o.keep("summary")
	}
	signature, err := o.str("encrypted_content")
	if err != nil {
		return llm.Turn{}, err
	}
	p.Signature, p.SignedBy = signature, llm.Responses
	p.Extra = o.extra(llm.Responses, form)
	return respOne(llm.RoleAssistant, p), nil
}

// respTexts returns the texts of a list of typed texts; nil when it is absent
// or null.
func respTexts(o *object, name, kind string) ([]string, error) {
	raw := o.raw(name)
	if raw == nil {
		return nil, nil
	}
	at := o.under(name)
	if raw[0] != '[' {
		return nil, at.wrong("must be a list")
	}
	var texts []string
	for i, el := range elements(raw) {
		part, err := openObject(el, at.item(i))
		if err != nil {
			return nil, err
		}
		if !wire.StringEquals(part.peek("type"), kind) {
			continue
		}
		text, err := part.need("text")
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}
