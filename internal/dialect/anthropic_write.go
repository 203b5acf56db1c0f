package dialect

import (
	"encoding/base64"

	"tailplane/internal/llm"
)

// Content blocks, written: the mirror of anthropic_parts.go.

// block writes a part that this dialect can say. The caller has made parts of
// other dialects sayable (see anthropicSettle).
func (e *anthropicEncoder) block(p *llm.Part) {
	if p.Kind == llm.PartOther {
		e.value(p.Raw)
		return
	}
	own := p.Extra.In(llm.Anthropic)
	w := e.object(own)
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		w.text("type", "text")
		w.quote("text", p.Text)
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
		if own.Form&anthropicNoInput == 0 || p.Tool.Arguments != "" {
			w.put("input", toolInput(p, llm.Anthropic))
		}
	case llm.PartToolResult:
		e.result(&w, p.Result, own.Form)
	case llm.PartThinking:
		e.thought(&w, p, own.Form)
	}
	e.cache(&w, p.Cache)
	w.end()
}

func (e *anthropicEncoder) source(w *objectWriter, p *llm.Part) {
	m := p.Media
	in := w.sub("source")
	switch {
	case m.FileID != "":
		in.text("type", "file")
		in.text("file_id", m.FileID)
	case m.URL != "":
		in.text("type", "url")
		in.text("url", m.URL)
	case p.Extra.In(llm.Anthropic).Form&anthropicSourceText != 0:
		text, _ := base64.StdEncoding.DecodeString(m.Data)
		in.text("type", "text")
		in.text("media_type", m.Type)
		in.text("data", string(text))
	default:
		in.text("type", "base64")
		in.str("media_type", m.Type)
		in.text("data", m.Data)
	}
	in.endSub()
}

func (e *anthropicEncoder) result(w *objectWriter, r *llm.ToolResult, form uint32) {
	w.text("type", "tool_result")
	w.text("tool_use_id", r.CallID)
	switch {
	case form&anthropicResultBare != 0 && anthropicPlain(r.Parts):
		w.quote("content", r.Parts[0].Text)
	case len(r.Parts) > 0 || form&anthropicResultEmpty != 0:
		e.blocks(w, "content", r.Parts)
	}
	if r.Error || form&anthropicErrorFalse != 0 {
		w.bool("is_error", r.Error)
	}
}

// anthropicPlain reports whether parts can be said as a bare string.
func anthropicPlain(parts []llm.Part) bool {
	return len(parts) == 1 && parts[0].Kind == llm.PartText && parts[0].Cache == nil && len(parts[0].Extra.Members)+len(parts[0].Extra.Spelled) == 0
}

// blocks writes parts as the list that is member name.
func (e *anthropicEncoder) blocks(w *objectWriter, name string, parts []llm.Part) {
	w.list(name)
	for i := range parts {
		e.block(&parts[i])
	}
	w.closeList()
}

func (e *anthropicEncoder) thought(w *objectWriter, p *llm.Part, form uint32) {
	if p.Redacted {
		w.text("type", "redacted_thinking")
		w.text("data", signatureFor(llm.Anthropic, p))
		return
	}
	w.text("type", "thinking")
	w.quote("thinking", p.Text)
	if form&anthropicNoSignature == 0 || p.Signature != "" {
		w.text("signature", signatureFor(llm.Anthropic, p))
	}
}

func (e *anthropicEncoder) cache(w *objectWriter, m *llm.CacheMark) {
	if m == nil {
		return
	}
	w.key("cache_control")
	in := e.object(m.Extra.In(llm.Anthropic))
	in.text("type", m.Type)
	in.str("ttl", m.TTL)
	in.end()
}
