package dialect

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

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

// Content blocks, written.

// block writes a part that this dialect can say. The caller has made parts of
// other dialects sayable (see antShape).
func (e *antEncoder) block(p *llm.Part) {
	if p.Kind == llm.PartOther {
		e.value(p.Raw)
		return
	}
	own := p.Extra.In(llm.Anthropic)
	w := e.object(own)
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		w.text("type", "text")
		w.text("text", p.Text)
	case llm.PartImage:
		w.text("type", "image")
		e.source(&w, p)
	case llm.PartFile:
		w.text("type", "document")
		e.source(&w, p)
		w.str("title", p.Media.Name)
	case llm.PartToolCall:
		w.text("type", "tool_use")
		w.text("id", p.Tool.ID)
		w.text("name", p.Tool.Name)
		if own.Form&antNoInput == 0 || p.Tool.Arguments != "" {
			w.put("input", antArguments(p))
		}
	case llm.PartToolResult:
		e.result(&w, p.Result, own.Form)
	case llm.PartThinking:
		e.thought(&w, p, own.Form)
	}
	e.cache(&w, p.Cache)
	w.end()
}

// antArguments returns the input of a tool_use: what stood there, or {} when
// it is no JSON object (antShape declares that loss).
func antArguments(p *llm.Part) []byte {
	args := []byte(p.Tool.Arguments)
	if p.Extra.Dialect == llm.Anthropic && len(args) > 0 && isJSON(args) {
		return args
	}
	if _, err := wire.Scan(args, nil, nil); err != nil || !utf8.Valid(args) {
		return []byte("{}")
	}
	return args
}

func (e *antEncoder) source(w *objectWriter, p *llm.Part) {
	m := p.Media
	in := w.sub("source")
	switch {
	case m.FileID != "":
		in.text("type", "file")
		in.text("file_id", m.FileID)
	case m.URL != "":
		in.text("type", "url")
		in.text("url", m.URL)
	case p.Extra.In(llm.Anthropic).Form&antSourceText != 0:
		text, _ := base64.StdEncoding.DecodeString(m.Data)
		in.text("type", "text")
		in.text("media_type", m.Type)
		in.text("data", string(text))
	default:
		in.text("type", "base64")
		in.str("media_type", m.Type)
		in.text("data", m.Data)
	}
	w.endSub("source", &in)
}

func (e *antEncoder) result(w *objectWriter, r *llm.ToolResult, form uint32) {
	w.text("type", "tool_result")
	w.text("tool_use_id", r.CallID)
	switch {
	case form&antResultBare != 0 && antPlain(r.Parts):
		w.text("content", r.Parts[0].Text)
	case len(r.Parts) > 0 || form&antResultEmpty != 0:
		e.blocks(w, "content", r.Parts)
	}
	if r.Error || form&antErrorFalse != 0 {
		w.bool("is_error", r.Error)
	}
}

// antPlain reports whether parts can be said as a bare string.
func antPlain(parts []llm.Part) bool {
	return len(parts) == 1 && parts[0].Kind == llm.PartText && parts[0].Cache == nil && len(parts[0].Extra.Members)+len(parts[0].Extra.Spelled) == 0
}

// blocks writes parts as the list that is member name.
func (e *antEncoder) blocks(w *objectWriter, name string, parts []llm.Part) {
	w.list(name)
	for i := range parts {
		e.block(&parts[i])
	}
	w.closeList()
}

func (e *antEncoder) thought(w *objectWriter, p *llm.Part, form uint32) {
	if p.Redacted {
		w.text("type", "redacted_thinking")
		w.text("data", signatureFor(llm.Anthropic, p))
		return
	}
	w.text("type", "thinking")
	w.text("thinking", p.Text)
	if form&antNoSignature == 0 || p.Signature != "" {
		w.text("signature", signatureFor(llm.Anthropic, p))
	}
}

func (e *antEncoder) cache(w *objectWriter, m *llm.CacheMark) {
	if m == nil {
		return
	}
	w.key("cache_control")
	in := e.object(m.Extra.In(llm.Anthropic))
	in.text("type", m.Type)
	in.str("ttl", m.TTL)
	in.end()
}
