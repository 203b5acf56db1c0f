package dialect

import (
	"tailplane/internal/llm"
)

// Content blocks, written: the mirror of converse_parts.go.

// converseEncoder writes requests and answers.
type converseEncoder struct{ jsonWriter }

// blocks writes parts as the list that is member name, each with its cache point.
func (e *converseEncoder) blocks(w *objectWriter, name string, parts []llm.Part) {
	w.list(name)
	for i := range parts {
		e.block(&parts[i])
		e.cache(parts[i].Cache)
	}
	w.closeList()
}

// block writes a part that this dialect can say. The caller has made parts of
// other dialects sayable (see converseSettle).
func (e *converseEncoder) block(p *llm.Part) {
	if p.Kind == llm.PartOther {
		e.value(p.Raw)
		return
	}
	own := p.Extra.In(llm.Converse)
	w := e.object(own)
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		e.text(&w, p.Text, own.Form)
	case llm.PartImage, llm.PartFile, llm.PartAudio:
		e.media(&w, p, own.Form)
	case llm.PartToolCall:
		in := w.sub("toolUse")
		in.text("toolUseId", p.Tool.ID)
		in.text("name", p.Tool.Name)
		if own.Form&converseNoInput == 0 || p.Tool.Arguments != "" {
			in.put("input", toolInput(p, llm.Converse))
		}
		in.endSub()
	case llm.PartToolResult:
		in := w.sub("toolResult")
		e.result(&in, p.Result, own.Form)
		in.endSub()
	case llm.PartThinking:
		in := w.sub("reasoningContent")
		e.thought(&in, p, own.Form)
		in.endSub()
	}
	w.end()
}

func (e *converseEncoder) text(w *objectWriter, text llm.Text, form uint32) {
	switch {
	case form&converseJSON != 0 && isJSON([]byte(unquoted(text))):
		w.put("json", []byte(unquoted(text)))
	case form&converseGuard != 0:
		in := w.sub("guardContent")
		inner := in.sub("text")
		inner.quote("text", text)
		inner.endSub()
		in.endSub()
	case form&converseCited != 0:
		in := w.sub("citationsContent")
		if _, pieces := in.takeKept("content"); pieces != nil {
			in.put("content", pieces)
		} else if form&converseNoContent == 0 || !text.Empty() {
			in.list("content")
			piece := in.object(llm.Extra{})
			piece.quote("text", text)
			piece.end()
			in.closeList()
		}
		in.endSub()
	default:
		w.quote("text", text)
	}
}

func (e *converseEncoder) result(w *objectWriter, r *llm.ToolResult, form uint32) {
	w.text("toolUseId", r.CallID)
	e.blocks(w, "content", r.Parts)
	switch {
	case r.Error:
		w.text("status", "error")
	case form&converseStatusSuccess != 0:
		w.text("status", "success")
	}
}

func (e *converseEncoder) thought(w *objectWriter, p *llm.Part, form uint32) {
	if p.Redacted && p.SignedBy == llm.Converse {
		w.text("redactedContent", p.Signature)
		return
	}
	in := w.sub("reasoningText")
	in.quote("text", p.Text)
	if form&converseNoSignature == 0 || p.Signature != "" {
		in.text("signature", signatureFor(llm.Converse, p))
	}
	in.endSub()
}

func (e *converseEncoder) cache(m *llm.CacheMark) {
	if m == nil {
		return
	}
	w := e.object(llm.Extra{})
	w.key("cachePoint")
	in := e.object(m.Extra.In(llm.Converse))
	in.constant("type", `"default"`, false)
	in.str("ttl", m.TTL)
	in.end()
	w.end()
}
