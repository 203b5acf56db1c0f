package dialect

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Content blocks. What another dialect can say becomes a part of its kind;
// everything else (server tools and their results, containers, compaction) is
// a PartOther that holds the block as it stands.

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
func antDecodeBlock(raw []byte, top bool) (llm.Part, error) {
	o, err := antParse(raw)
	if err != nil {
		return llm.Part{}, err
	}
	kind, err := o.need("type")
	if err != nil {
		return llm.Part{}, err
	}
	p, form, known := llm.Part{}, uint32(0), false
	switch kind {
	case "text":
		p.Kind, known = llm.PartText, true
		p.Text, err = o.need("text")
	case "image":
		known, err = antDecodeSource(&o, &p, llm.PartImage)
	case "document":
		known, err = antDecodeDocument(&o, &p, &form)
	case "tool_use":
		known = top
		form, err = antDecodeToolUse(&o, &p, top)
	case "tool_result":
		known = top
		form, err = antDecodeResult(&o, &p, top)
	case "thinking":
		known = top
		form, err = antDecodeThought(&o, &p, top)
	case "redacted_thinking":
		known = top
		err = antDecodeRedacted(&o, &p, top)
	}
	if err != nil {
		return p, err
	}
	if !known {
		return llm.Part{Kind: llm.PartOther, Raw: antClone(raw), Extra: llm.Extra{Dialect: llm.Anthropic}}, nil
	}
	if p.Cache, err = antDecodeCache(&o); err != nil {
		return p, err
	}
	p.Extra = o.extra(form)
	return p, nil
}

// antDecodeSource takes a source that is inline, an address or a file id.
// known is false for any other, which leaves the whole block to PartOther.
func antDecodeSource(o *antObject, p *llm.Part, kind llm.PartKind) (known bool, err error) {
	raw := o.get("source")
	if raw == nil {
		return false, antBad("source", "is required and must be an object")
	}
	in, err := antParse(raw)
	if err != nil {
		return false, antIn("source", err)
	}
	word, err := in.need("type")
	if err != nil {
		return false, antIn("source", err)
	}
	m := &llm.Media{}
	var into *string
	var name string
	switch word {
	case "base64":
		into, name = &m.Data, "data"
		if m.Type, err = in.label("media_type"); err != nil {
			return false, antIn("source", err)
		}
	case "url":
		into, name = &m.URL, "url"
	case "file":
		into, name = &m.FileID, "file_id"
	default:
		return false, nil
	}
	if *into, err = in.need(name); err != nil {
		return false, antIn("source", err)
	}
	if *into == "" {
		return false, nil
	}
	p.Kind, p.Media = kind, m
	o.sourceRest(&in)
	return true, nil
}

// sourceRest keeps what the source says beyond Media.
func (o *antObject) sourceRest(in *antObject) {
	in.take("type")
	o.replaceRest("source", in)
}

func antDecodeDocument(o *antObject, p *llm.Part, form *uint32) (known bool, err error) {
	if known, err = antDecodeSource(o, p, llm.PartFile); err != nil {
		return false, err
	}
	if !known {
		in, _ := antParse(o.get("source"))
		text, _, _ := in.text("data")
		kind, _, _ := in.text("type")
		media, _, _ := in.text("media_type")
		if kind != "text" || text == "" || media == "" {
			return false, nil
		}
		p.Kind, *form = llm.PartFile, antSourceText
		p.Media = &llm.Media{Type: media, Data: base64.StdEncoding.EncodeToString([]byte(text))}
		o.sourceRest(&in)
	}
	p.Media.Name, err = o.label("title")
	return true, err
}

func antDecodeToolUse(o *antObject, p *llm.Part, top bool) (uint32, error) {
	if !top {
		return 0, nil
	}
	t := &llm.ToolCall{}
	var err error
	if t.ID, err = o.need("id"); err != nil {
		return 0, err
	}
	if t.Name, err = o.need("name"); err != nil {
		return 0, err
	}
	p.Kind, p.Tool = llm.PartToolCall, t
	m := o.find("input")
	if m == nil {
		return antNoInput, nil
	}
	t.Arguments, m.taken = string(m.raw), true
	return 0, nil
}

func antDecodeResult(o *antObject, p *llm.Part, top bool) (form uint32, err error) {
	if !top {
		return 0, nil
	}
	r := &llm.ToolResult{}
	if r.CallID, err = o.need("tool_use_id"); err != nil {
		return 0, err
	}
	stated := false
	if r.Error, stated, err = o.boolean("is_error"); err != nil {
		return 0, err
	}
	if stated && !r.Error {
		form |= antErrorFalse
	}
	p.Kind, p.Result = llm.PartToolResult, r
	content := o.get("content")
	if content == nil {
		return form | antContentBlank, nil
	}
	bare := false
	if r.Parts, bare, err = antContent(content, false); err != nil {
		return 0, antIn("content", err)
	}
	o.take("content")
	switch {
	case bare:
		form |= antResultBare
	case len(r.Parts) == 0:
		form |= antResultEmpty
	}
	return form, nil
}

func antDecodeThought(o *antObject, p *llm.Part, top bool) (form uint32, err error) {
	if !top {
		return 0, nil
	}
	p.Kind = llm.PartThinking
	if p.Text, err = o.need("thinking"); err != nil {
		return 0, err
	}
	stated := false
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

func antDecodeRedacted(o *antObject, p *llm.Part, top bool) (err error) {
	if !top {
		return nil
	}
	p.Kind, p.Redacted, p.SignedBy = llm.PartThinking, true, llm.Anthropic
	p.Signature, err = o.need("data")
	return err
}

// antUnwrapCall restores the thinking that another dialect signed and that
// EncodeReply or the Writer gave to the client in wrapping.
func antUnwrapCall(c *llm.Call) {
	for i := range c.Turns {
		for j := range c.Turns[i].Parts {
			antUnwrap(&c.Turns[i].Parts[j])
		}
	}
}

func antUnwrap(p *llm.Part) {
	if p.Kind != llm.PartThinking {
		return
	}
	by, signature, ok := unwrapSignature(p.Signature)
	if !ok {
		return
	}
	p.SignedBy, p.Signature = by, signature
	p.Extra = llm.Extra{}
	if by == antUnsigned {
		p.SignedBy = ""
	}
}

// antUnsigned stands as the dialect in the wrapping of thinking that nobody
// signed, so that it is not mistaken for Anthropic's own when it comes back.
const antUnsigned llm.Dialect = "unsigned"

// block writes a part that this dialect can say. The caller has
// made parts of other dialects sayable (see antShape).
func (e *antEnc) block(p *llm.Part) {
	if p.Kind == llm.PartOther {
		e.comma()
		e.b = append(e.b, p.Raw...)
		return
	}
	e.comma()
	e.open()
	rest, form := antFields(p.Extra), p.Extra.In(llm.Anthropic).Form
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		e.text("type", "text")
		e.text("text", p.Text)
	case llm.PartImage:
		e.text("type", "image")
		e.source(p, &rest)
	case llm.PartFile:
		e.text("type", "document")
		e.source(p, &rest)
		e.label("title", p.Media.Name)
	case llm.PartToolCall:
		e.text("type", "tool_use")
		e.text("id", p.Tool.ID)
		e.text("name", p.Tool.Name)
		if form&antNoInput == 0 || p.Tool.Arguments != "" {
			e.raw("input", antArguments(p))
		}
	case llm.PartToolResult:
		e.result(p, form)
	case llm.PartThinking:
		e.thought(p, form)
	}
	e.cache(p.Cache)
	e.shut(rest)
}

// antArguments returns the input of a tool_use: what stood there, or {} when
// it is no JSON object (antShape declares that loss).
func antArguments(p *llm.Part) []byte {
	args := []byte(p.Tool.Arguments)
	if p.Extra.Dialect == llm.Anthropic && len(args) > 0 && antIsJSON(args) {
		return args
	}
	if _, err := wire.Scan(args, nil, nil); err != nil || !utf8.Valid(args) {
		return []byte("{}")
	}
	return args
}

// antIsJSON reports whether raw is one JSON value.
func antIsJSON(raw []byte) bool {
	wrapped := append(append([]byte(`{"v":`), raw...), '}')
	found := make([]wire.Member, 1)
	_, err := wire.Scan(wrapped, []string{"v"}, found)
	return err == nil && utf8.Valid(raw) && len(found[0].Value.Of(wrapped)) == len(bytes.TrimSpace(raw))
}

func (e *antEnc) source(p *llm.Part, rest *antObject) {
	inner := antObject{}
	if raw := rest.get("source"); raw != nil {
		inner, _ = antParse(raw)
	}
	m := p.Media
	e.key("source")
	e.open()
	switch {
	case m.FileID != "":
		e.text("type", "file")
		e.text("file_id", m.FileID)
	case m.URL != "":
		e.text("type", "url")
		e.text("url", m.URL)
	case p.Extra.In(llm.Anthropic).Form&antSourceText != 0:
		text, _ := base64.StdEncoding.DecodeString(m.Data)
		e.text("type", "text")
		e.text("media_type", m.Type)
		e.text("data", string(text))
	default:
		e.text("type", "base64")
		e.label("media_type", m.Type)
		e.text("data", m.Data)
	}
	e.shut(inner)
}

func (e *antEnc) result(p *llm.Part, form uint32) {
	r := p.Result
	e.text("type", "tool_result")
	e.text("tool_use_id", r.CallID)
	switch {
	case form&antResultBare != 0 && antPlain(r.Parts):
		e.text("content", r.Parts[0].Text)
	case len(r.Parts) > 0 || form&antResultEmpty != 0:
		e.key("content")
		e.blocks(r.Parts)
	}
	if r.Error || form&antErrorFalse != 0 {
		e.boolean("is_error", r.Error)
	}
}

// antPlain reports whether parts can be said as a bare string.
func antPlain(parts []llm.Part) bool {
	return len(parts) == 1 && parts[0].Kind == llm.PartText && parts[0].Cache == nil && len(parts[0].Extra.Members)+len(parts[0].Extra.Spelled) == 0
}

func (e *antEnc) blocks(parts []llm.Part) {
	e.b = append(e.b, '[')
	for i := range parts {
		e.block(&parts[i])
	}
	e.b = append(e.b, ']')
}

func (e *antEnc) thought(p *llm.Part, form uint32) {
	if p.Redacted {
		e.text("type", "redacted_thinking")
		e.text("data", antSignature(p))
		return
	}
	e.text("type", "thinking")
	e.text("thinking", p.Text)
	if form&antNoSignature == 0 || p.Signature != "" {
		e.text("signature", antSignature(p))
	}
}

// antSignature is the signature as a client of this dialect keeps it:
// Anthropic's own as it is, others wrapped.
func antSignature(p *llm.Part) string {
	switch {
	case p.SignedBy == llm.Anthropic || p.Extra.Dialect == llm.Anthropic:
		return p.Signature
	case p.SignedBy == "" && p.Signature == "":
		return wrapSignature(antUnsigned, "")
	}
	return wrapSignature(p.SignedBy, p.Signature)
}

func (e *antEnc) cache(m *llm.CacheMark) {
	if m == nil {
		return
	}
	e.key("cache_control")
	e.open()
	e.text("type", m.Type)
	e.label("ttl", m.TTL)
	e.shut(antFields(m.Extra))
}
