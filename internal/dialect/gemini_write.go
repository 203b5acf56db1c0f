package dialect

import (
	"slices"
	"strings"

	"tailplane/internal/llm"
)

// Parts of content, written.

// parts writes the parts of one turn into the list that is open. A signature
// that stands as a thinking part without text goes back on the next part that
// it can belong to: a call, or any other part.
func (e *geminiEncoder) parts(parts []llm.Part) {
	var calls, others []string // signatures that wait for their part
	e.behind = e.behind[:0]
	for i := range parts {
		p := &parts[i]
		switch {
		case p.Kind == llm.PartThinking && p.SignedBy == byGeminiCall:
			calls = append(calls, p.Signature)
		case p.Kind == llm.PartThinking && p.SignedBy == byGeminiPart:
			others = append(others, p.Signature)
		case p.Kind == llm.PartThinking:
			e.thought(p)
		case p.Kind == llm.PartToolCall:
			e.part(p, first(&calls))
		case p.Kind == llm.PartOther || p.Kind == llm.PartToolResult:
			e.part(p, "")
		default:
			e.part(p, first(&others))
		}
	}
	for i := range e.behind {
		e.part(&e.behind[i], "")
	}
	for _, sign := range others { // its text was left out or came before it
		e.part(&llm.Part{Kind: llm.PartText}, sign)
	}
	if len(calls) > 0 {
		e.losses.add("messages.content.thinking.signature", "the call that it belongs to is gone")
	}
}

// first takes the first of a list; "" when there is none.
func first(list *[]string) string {
	if len(*list) == 0 {
		return ""
	}
	s := (*list)[0]
	*list = (*list)[1:]
	return s
}

// thought writes thinking. That of another dialect goes to clients alone, with
// its signature wrapped.
func (e *geminiEncoder) thought(p *llm.Part) {
	if !e.reply && p.SignedBy != llm.Gemini {
		e.losses.add("messages.content.thinking", "thinking that another model did was left out")
		return
	}
	w := e.object(p.Extra.In(llm.Gemini))
	w.quote("text", p.Text)
	w.bool("thought", true)
	w.str("thoughtSignature", geminiWrap(p))
	geminiEnd(&w)
}

// part writes one part; sign is the signature that stands on it.
func (e *geminiEncoder) part(p *llm.Part, sign string) {
	if p.Kind == llm.PartOther {
		if p.Extra.Dialect == llm.Gemini {
			e.value(p.Raw)
		} else {
			e.losses.add("messages.content", "a part that only "+string(p.Extra.Dialect)+" knows was left out")
		}
		return
	}
	w := e.object(p.Extra.In(llm.Gemini))
	switch p.Kind {
	case llm.PartToolCall:
		e.call(&w, p)
	case llm.PartToolResult:
		e.result(&w, p)
	case llm.PartImage, llm.PartAudio, llm.PartFile:
		e.media(&w, p)
	default:
		w.quote("text", p.Text)
		w.flag("thought", false)
	}
	w.str("thoughtSignature", sign)
	geminiEnd(&w)
}

func (e *geminiEncoder) call(w *objectWriter, p *llm.Part) {
	own := p.Extra.In(llm.Gemini)
	in := w.sub("functionCall")
	if own.Form&geminiNoID == 0 {
		in.str("id", p.Tool.ID)
	} else {
		in.set("id", nil)
	}
	if own.Dialect != "" {
		in.str("name", p.Tool.Name)
	} else {
		in.text("name", p.Tool.Name)
	}
	args := []byte(p.Tool.Arguments)
	switch {
	case len(args) > 0:
		in.put("args", args)
	case own.Dialect != "":
		in.set("args", nil)
	default:
		in.put("args", []byte("{}"))
	}
	geminiEndSub(&in)
	if len(w.buf) == w.start+1 { // all of it was unsaid
		w.put("functionCall", []byte("{}"))
	}
}

// result writes a functionResponse. A text that is a JSON object is the
// response itself; any other is its member output, or error.
func (e *geminiEncoder) result(w *objectWriter, p *llm.Part) {
	own := p.Extra.In(llm.Gemini)
	r := p.Result
	in := w.sub("functionResponse")
	if own.Form&geminiNoID == 0 {
		in.str("id", r.CallID)
	} else {
		in.set("id", nil)
	}
	_, name := in.takeKept("name")
	switch known := e.names[r.CallID]; {
	case name != nil || own.Dialect != "":
		in.put("name", name)
	case known != "":
		in.text("name", known)
	default:
		in.text("name", r.CallID)
	}
	var text strings.Builder
	var media []llm.Part
	for i := range r.Parts {
		switch q := &r.Parts[i]; q.Kind {
		case llm.PartText, llm.PartRefusal:
			text.WriteString(unquoted(q.Text))
		default:
			media = append(media, *q)
		}
	}
	_, raw := in.takeKept("response")
	if raw != nil || text.Len() > 0 || own.Dialect == "" {
		raw = geminiResponse(raw, text.String(), r.Error)
	}
	in.put("response", raw)
	switch {
	case len(media) == 0:
		in.set("parts", nil)
	case e.follow:
		e.behind = append(e.behind, media...)
	default:
		in.list("parts")
		e.parts(slices.Clone(media))
		in.closeList()
	}
	geminiEndSub(&in)
	if len(w.buf) == w.start+1 {
		w.put("functionResponse", []byte("{}"))
	}
}

// geminiResponse is the response that says text: the kept one when it does, nil
// when the client had none.
func geminiResponse(raw []byte, text string, failed bool) []byte {
	if raw != nil {
		if said, bad := geminiResultText(raw); said == text && bad == failed || text == "" && string(raw) == "null" {
			return raw
		}
	}
	if body := []byte(text); !failed && len(body) > 0 && body[0] == '{' && isJSON(body) {
		if said, bad := geminiResultText(body); said == text && !bad {
			return body
		}
	}
	name := "output"
	if failed {
		name = "error"
	}
	w := newObject(llm.Extra{})
	w.text(name, text)
	return w.end()
}

func (e *geminiEncoder) media(w *objectWriter, p *llm.Part) {
	m := p.Media
	name, uri := "inlineData", m.URL
	if m.FileID != "" {
		uri = m.FileID
	}
	if m.Data == "" && uri != "" || p.Extra.In(llm.Gemini).Form&geminiIsFile != 0 {
		name = "fileData"
	}
	in := w.sub(name)
	in.str("mimeType", m.Type)
	in.str("displayName", m.Name)
	if name == "fileData" {
		in.str("fileUri", uri)
	} else {
		in.str("data", m.Data)
	}
	geminiEndSub(&in)
	if len(w.buf) == w.start+1 {
		w.put(name, []byte("{}"))
	}
}
