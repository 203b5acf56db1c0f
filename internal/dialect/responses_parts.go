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
	responsesMessage    uint32 = 1 << iota // the turn is a message item
	responsesUntyped                       // "type":"message" is left out
	responsesBare                          // content is a bare string
	responsesDeveloper                     // the role is developer, not system
	responsesSystemItem                    // the part of Call.System stands in the input, not in instructions
	responsesItemEnd                       // the part is the last of its message item
	responsesItemOpen                      // the part opens its message item in a stream
	responsesEmptyItem                     // the message item has no parts; this empty text stands for it
	responsesContent                       // the PartOther stands in a message's content, not among the items
	responsesTextIn                        // the text is an input_text although the assistant speaks
	responsesTextOut                       // the text is an output_text although another speaks
	responsesTextPlain                     // the text is of type "text"
	responsesList                          // the tool's output is a list of parts
	responsesNoSummary                     // the reasoning item has no summary member
)

// responsesSeparator stands, as JSON, between the summaries of one reasoning item,
// and between instructions that were separate elsewhere.
const responsesSeparator = `\n\n`

// responsesItem reads one item, raw, opened as o, as one turn.
func responsesItem(o *object, raw []byte) llm.Turn {
	kind := o.str("type")
	if !o.has("type") && o.has("role") {
		kind = "message"
	}
	o.keep("id")
	o.keep("status")
	switch kind {
	case "message":
		return responsesMessageItem(o)
	case "function_call":
		return responsesCallItem(o)
	case "function_call_output":
		if id, ok := wire.Unquote(o.peek("call_id")); ok && id != "" {
			return responsesResultItem(o)
		}
	case "reasoning":
		return responsesReasoningItem(o)
	}
	return responsesOtherItem(raw, kind)
}

// responsesOtherItem keeps an item that only this dialect knows.
func responsesOtherItem(raw []byte, kind string) llm.Turn {
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

func responsesMessageItem(o *object) llm.Turn {
	role, form := llm.Role(o.need("role")), responsesMessage
	if !o.has("type") {
		form |= responsesUntyped
	}
	switch role {
	case llm.RoleUser, llm.RoleAssistant, llm.RoleSystem:
	case "developer":
		role, form = llm.RoleSystem, form|responsesDeveloper
	default:
		o.wrong("role", "must be user, assistant, system or developer")
	}
	parts, bare := responsesContentList(o, "content", role)
	if bare {
		form |= responsesBare
	}
	return llm.Turn{Role: role, Parts: parts, Extra: o.extra(llm.Responses, form)}
}

// responsesContentList reads content that is a bare string or a list of parts.
func responsesContentList(o *object, name string, role llm.Role) (parts []llm.Part, bare bool) {
	raw := o.raw(name)
	if t, ok := quoteOf(raw); ok {
		return append(o.parts(1), llm.Part{Kind: llm.PartText, Text: t, Extra: llm.Extra{Dialect: llm.Responses}}), true
	}
	if len(raw) == 0 || raw[0] != '[' {
		o.wrong(name, "must be a string or a list of parts")
	}
	list := o.elements(raw)
	if len(list) == 0 {
		return nil, false
	}
	parts = o.parts(len(list))
	for i, el := range list {
		parts = append(parts, responsesPart(o.openItem(name, i, el), el, role))
	}
	return parts, false
}

// responsesPart reads one part of the content of a message or of a tool's output: raw,
// opened as o.
func responsesPart(o *object, raw []byte, role llm.Role) (p llm.Part) {
	var form uint32
	switch kind := o.need("type"); kind {
	case "input_text", "output_text", "text":
		p.Kind = llm.PartText
		form = responsesTextForm(kind, role)
		p.Text = o.needQuote("text")
		o.keep("logprobs")
		if list := o.peek("annotations"); list != nil && saysNothing(list) {
			o.keep("annotations")
		}
	case "refusal":
		p.Kind = llm.PartRefusal
		p.Text = o.needQuote("refusal")
	case "input_image":
		p.Kind = llm.PartImage
		p.Media = responsesImage(o)
	case "input_file":
		p.Kind = llm.PartFile
		p.Media = responsesFile(o)
	case "input_audio":
		p.Kind = llm.PartAudio
		p.Media = responsesAudio(o)
	}
	if p.Kind == 0 || p.Media == nil && p.Kind >= llm.PartImage && p.Kind <= llm.PartFile {
		return llm.Part{
			Kind: llm.PartOther, Raw: bytes.Clone(raw),
			Extra: llm.Extra{Dialect: llm.Responses, Form: responsesContent},
		}
	}
	p.Extra = o.extra(llm.Responses, form)
	return p
}

// responsesTextForm notes a type of text that is not the one its role would have.
func responsesTextForm(kind string, role llm.Role) uint32 {
	switch {
	case kind == "text":
		return responsesTextPlain
	case kind == "output_text" && role != llm.RoleAssistant:
		return responsesTextOut
	case kind == "input_text" && role == llm.RoleAssistant:
		return responsesTextIn
	}
	return 0
}

func responsesImage(o *object) *llm.Media {
	m := mediaAt(o.str("image_url"))
	m.FileID, m.Detail = o.str("file_id"), o.str("detail")
	return m
}

// responsesFile reads a file; it gives nil when the inline data is neither base64
// nor an address that can be taken apart.
func responsesFile(o *object) *llm.Media {
	m := &llm.Media{
		Data: o.str("file_data"), URL: o.str("file_url"), FileID: o.str("file_id"), Name: o.str("filename"), Detail: o.str("detail"),
	}
	if mime, data, ok := dataURL(m.Data); ok {
		m.Type, m.Data = mime, data
	} else if m.Data != "" && !isBase64(m.Data) {
		return nil
	}
	return m
}

func responsesAudio(o *object) *llm.Media {
	in := o.sub("input_audio")
	if in == nil {
		o.wrong("input_audio", "is required and must be an object")
		return nil
	}
	return &llm.Media{Data: in.need("data"), Type: in.need("format")}
}

func responsesCallItem(o *object) llm.Turn {
	call := &llm.ToolCall{ID: o.need("call_id"), Name: o.need("name"), Arguments: o.need("arguments")}
	return responsesOne(llm.RoleAssistant, llm.Part{Kind: llm.PartToolCall, Tool: call, Extra: o.extra(llm.Responses, 0)})
}

// responsesOne is the turn of an item that is one part.
func responsesOne(role llm.Role, p llm.Part) llm.Turn {
	return llm.Turn{Role: role, Parts: []llm.Part{p}, Extra: llm.Extra{Dialect: llm.Responses}}
}

func responsesResultItem(o *object) llm.Turn {
	id := o.need("call_id")
	parts, bare := responsesContentList(o, "output", llm.RoleTool)
	form := responsesList
	if bare {
		form = 0
	}
	return responsesOne(llm.RoleTool, llm.Part{
		Kind:   llm.PartToolResult,
		Result: &llm.ToolResult{CallID: id, Parts: parts},
		Extra:  o.extra(llm.Responses, form),
	})
}

// responsesReasoningItem reads thinking. Its text is the summaries, or where there
// are none the reasoning itself, which open models show.
func responsesReasoningItem(o *object) llm.Turn {
	p := llm.Part{Kind: llm.PartThinking}
	var form uint32
	if !o.has("summary") {
		form = responsesNoSummary
	}
	summary := responsesTexts(o, "summary", "summary_text")
	content := responsesTexts(o, "content", "reasoning_text")
	o.keep("content")
	p.Text = joinQuotes(summary, responsesSeparator)
	if p.Text.Empty() {
		p.Text = joinQuotes(content, "")
	}
	if !bytes.Equal(responsesSummary(p.Text), o.peek("summary")) {
		o.keep("summary")
	}
	p.Signature, p.SignedBy = o.str("encrypted_content"), llm.Responses
	p.Extra = o.extra(llm.Responses, form)
	return responsesOne(llm.RoleAssistant, p)
}

// responsesTexts returns the texts of a list of typed texts; nil when it is absent
// or null.
func responsesTexts(o *object, name, kind string) []llm.Text {
	var texts []llm.Text
	list := o.list(name)
	o.take(name)
	for i, el := range list {
		part := o.openItem(name, i, el)
		if wire.StringEquals(part.peek("type"), kind) {
			texts = append(texts, part.needQuote("text"))
		}
	}
	return texts
}
