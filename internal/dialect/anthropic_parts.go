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
	antNoInput      = 1 << iota // tool_use without input
	antResultBare               // tool_result whose content is a string
	antResultEmpty              // tool_result whose content is []
	antErrorFalse               // tool_result with is_error stated as false
	antNoSignature              // thinking without signature
	antSourceText               // document whose source is plain text
	antContentBlank             // tool_result whose content is absent or null
)

// antDecodeBlock reads one content block. top is false inside a tool_result,
// where only text, images and documents are parts of their own.
func antDecodeBlock(raw []byte, at where, top bool) (llm.Part, error) {
	o, err := openObject(raw, at)
	if err != nil {
		return llm.Part{}, err
	}
	kind, err := o.need("type")
	if err != nil {
		return llm.Part{}, err
	}
	p, form, err := antDecodeKind(kind, o, top)
	if err != nil {
		return p, err
	}
	if p.Kind == llm.PartOther {
		return llm.Part{Kind: llm.PartOther, Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Anthropic}}, nil
	}
	if p.Cache, err = antDecodeCache(o); err != nil {
		return p, err
	}
	p.Extra = antExtra(o, form)
	return p, nil
}

// antDecodeKind takes what a block of the kind has; a PartOther stands for a
// kind that only this dialect knows.
func antDecodeKind(kind string, o *object, top bool) (p llm.Part, form uint32, err error) {
	p.Kind = llm.PartOther
	switch kind {
	case "text":
		p.Kind = llm.PartText
		p.Text, err = o.need("text")
		return p, 0, err
	case "image":
		form, err = antDecodeSource(o, &p, llm.PartImage)
		return p, form, err
	case "document":
		form, err = antDecodeSource(o, &p, llm.PartFile)
		if err == nil && p.Media != nil {
			p.Media.Name, err = o.str("title")
		}
		return p, form, err
	}
	if !top {
		return p, 0, nil
	}
	switch kind {
	case "tool_use":
		form, err = antDecodeToolUse(o, &p)
	case "tool_result":
		form, err = antDecodeResult(o, &p)
	case "thinking":
		form, err = antDecodeThought(o, &p)
	case "redacted_thinking":
		p.Kind, p.Redacted, p.SignedBy = llm.PartThinking, true, llm.Anthropic
		p.Signature, err = o.need("data")
	}
	return p, form, err
}

// antDecodeSource takes a source that is inline, an address, a file id or, in
// a document, a text. Any other leaves the whole block to PartOther.
func antDecodeSource(o *object, p *llm.Part, kind llm.PartKind) (form uint32, err error) {
	in, err := o.sub("source")
	if err != nil {
		return 0, err
	}
	if in == nil {
		return 0, o.under("source").wrong("is required and must be an object")
	}
	word, err := in.need("type")
	if err != nil {
		return 0, err
	}
	m := &llm.Media{}
	said := ""
	switch word {
	case "base64":
		if m.Type, err = in.str("media_type"); err != nil {
			return 0, err
		}
		m.Data, err = in.need("data")
		said = m.Data
	case "url":
		m.URL, err = in.need("url")
		said = m.URL
	case "file":
		m.FileID, err = in.need("file_id")
		said = m.FileID
	case "text":
		text, _ := wire.String(in.take("data"))
		m.Type, _ = wire.String(in.take("media_type"))
		if kind == llm.PartFile && m.Type != "" {
			m.Data, said, form = base64.StdEncoding.EncodeToString([]byte(text)), text, antSourceText
		}
	}
	if err == nil && said != "" {
		p.Kind, p.Media = kind, m
	}
	return form, err
}

func antDecodeToolUse(o *object, p *llm.Part) (form uint32, err error) {
	t := &llm.ToolCall{}
	if t.ID, err = o.need("id"); err != nil {
		return 0, err
	}
	if t.Name, err = o.need("name"); err != nil {
		return 0, err
	}
	p.Kind, p.Tool = llm.PartToolCall, t
	input := o.take("input")
	if input == nil {
		form = antNoInput
	}
	t.Arguments = string(input)
	return form, nil
}

func antDecodeResult(o *object, p *llm.Part) (form uint32, err error) {
	r := &llm.ToolResult{}
	if r.CallID, err = o.need("tool_use_id"); err != nil {
		return 0, err
	}
	failed, err := o.boolean("is_error")
	if err != nil {
		return 0, err
	}
	if failed != nil {
		if r.Error = *failed; !r.Error {
			form |= antErrorFalse
		}
	}
	p.Kind, p.Result = llm.PartToolResult, r
	content := o.raw("content")
	if content == nil {
		return form | antContentBlank, nil
	}
	var bare bool
	if r.Parts, bare, err = antContent(content, o.under("content"), false); err != nil {
		return 0, err
	}
	switch {
	case bare:
		form |= antResultBare
	case len(r.Parts) == 0:
		form |= antResultEmpty
	}
	return form, nil
}

func antDecodeThought(o *object, p *llm.Part) (form uint32, err error) {
	p.Kind = llm.PartThinking
	if p.Text, err = o.need("thinking"); err != nil {
		return 0, err
	}
	var stated bool
	if p.Signature, stated, err = o.text("signature"); err != nil {
		return 0, err
	}
	if !stated {
		form = antNoSignature
	}
	if p.Signature != "" {
		p.SignedBy = llm.Anthropic
	}
	return form, nil
}
