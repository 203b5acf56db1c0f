package dialect

import (
	"bytes"
	"encoding/base64"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Content blocks, read. What another dialect can say becomes a part of its
// kind; everything else (server tools and their results, containers,
// compaction) is a PartOther that holds the block as it stands.

// Forms of a part (llm.Part.Extra.Form).
const (
	anthropicNoInput      = 1 << iota // tool_use without input
	anthropicResultBare               // tool_result whose content is a string
	anthropicResultEmpty              // tool_result whose content is []
	anthropicErrorFalse               // tool_result with is_error stated as false
	anthropicNoSignature              // thinking without signature
	anthropicSourceText               // document whose source is plain text
	anthropicContentBlank             // tool_result whose content is absent or null
)

// anthropicDecodeBlock reads one content block: raw, opened as o. top is false inside a tool_result,
// where only text, images and documents are parts of their own.
func anthropicDecodeBlock(o *object, raw []byte, top bool) llm.Part {
	p, form := anthropicDecodeKind(o.need("type"), o, top)
	if p.Kind == llm.PartOther {
		return llm.Part{Kind: llm.PartOther, Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Anthropic}}
	}
	p.Cache = anthropicDecodeCache(o)
	p.Extra = anthropicExtra(o, form)
	return p
}

// anthropicDecodeKind takes what a block of the kind has; a PartOther stands for a
// kind that only this dialect knows.
func anthropicDecodeKind(kind string, o *object, top bool) (p llm.Part, form uint32) {
	p.Kind = llm.PartOther
	switch kind {
	case "text":
		p.Kind = llm.PartText
		p.Text = o.needQuote("text")
		return p, 0
	case "image":
		form = anthropicDecodeSource(o, &p, llm.PartImage)
		return p, form
	case "document":
		if form = anthropicDecodeSource(o, &p, llm.PartFile); p.Media != nil {
			p.Media.Name = o.str("title")
		}
		return p, form
	}
	if !top {
		return p, 0
	}
	switch kind {
	case "tool_use":
		form = anthropicDecodeToolUse(o, &p)
	case "tool_result":
		form = anthropicDecodeResult(o, &p)
	case "thinking":
		form = anthropicDecodeThought(o, &p)
	case "redacted_thinking":
		p.Kind, p.Redacted, p.SignedBy = llm.PartThinking, true, llm.Anthropic
		p.Signature = o.need("data")
	}
	return p, form
}

// anthropicDecodeSource takes a source that is inline, an address, a file id or, in
// a document, a text. Any other leaves the whole block to PartOther.
func anthropicDecodeSource(o *object, p *llm.Part, kind llm.PartKind) (form uint32) {
	in := o.sub("source")
	if in == nil {
		o.wrong("source", "is required and must be an object")
		return 0
	}
	m := &llm.Media{}
	said := ""
	switch in.need("type") {
	case "base64":
		m.Type = in.str("media_type")
		m.Data = in.need("data")
		said = m.Data
	case "url":
		m.URL = in.need("url")
		said = m.URL
	case "file":
		m.FileID = in.need("file_id")
		said = m.FileID
	case "text":
		text, _ := wire.Unquote(in.take("data"))
		m.Type, _ = wire.Unquote(in.take("media_type"))
		if kind == llm.PartFile && m.Type != "" {
			m.Data, said, form = base64.StdEncoding.EncodeToString([]byte(text)), text, anthropicSourceText
		}
	}
	if said != "" {
		p.Kind, p.Media = kind, m
	}
	return form
}

func anthropicDecodeToolUse(o *object, p *llm.Part) (form uint32) {
	input := o.take("input")
	if input == nil {
		form = anthropicNoInput
	}
	p.Kind = llm.PartToolCall
	p.Tool = &llm.ToolCall{ID: o.need("id"), Name: o.need("name"), Arguments: string(input)}
	return form
}

func anthropicDecodeResult(o *object, p *llm.Part) (form uint32) {
	r := &llm.ToolResult{CallID: o.need("tool_use_id")}
	if failed := o.boolean("is_error"); failed != nil {
		if r.Error = *failed; !r.Error {
			form |= anthropicErrorFalse
		}
	}
	p.Kind, p.Result = llm.PartToolResult, r
	if o.raw("content") == nil {
		return form | anthropicContentBlank
	}
	var bare bool
	r.Parts, bare = anthropicContent(o, "content", false)
	switch {
	case bare:
		form |= anthropicResultBare
	case len(r.Parts) == 0:
		form |= anthropicResultEmpty
	}
	return form
}

func anthropicDecodeThought(o *object, p *llm.Part) (form uint32) {
	p.Kind = llm.PartThinking
	p.Text = o.needQuote("thinking")
	var stated bool
	p.Signature, stated = o.text("signature")
	if !stated {
		form = anthropicNoSignature
	}
	if p.Signature != "" {
		p.SignedBy = llm.Anthropic
	}
	return form
}
