package dialect

import (
	"fmt"

	"tailplane/internal/llm"
)

// The parts of a turn or an answer, as chat writes them.

// content is a content member; ok is false when there shall be none.
func (e *chatEncoder) content(parts []llm.Part, form uint32, path string) (raw []byte, ok bool) {
	switch form {
	case contentAbsent, contentNull:
		if len(parts) == 0 {
			if form == contentNull {
				return []byte("null"), true
			}
			return nil, true
		}
	case contentList:
		return arrayJSON(e.items(parts, path)), true
	case contentString:
		if len(parts) == 0 {
			return []byte(`""`), true
		}
	}
	if len(parts) == 0 {
		return nil, false
	}
	if text, plain := e.plain(parts, path); plain {
		return quoteJSON(text), true
	}
	items := e.items(parts, path)
	if len(items) == 0 {
		return nil, false
	}
	return arrayJSON(items), true
}

// plain is the text of a single part that says nothing but text.
func (e *chatEncoder) plain(parts []llm.Part, path string) (llm.Text, bool) {
	if len(parts) != 1 || parts[0].Kind != llm.PartText {
		return nil, false
	}
	p := &parts[0]
	own := p.Extra.In(llm.Chat)
	if own.Members != nil || own.Spelled != nil {
		return nil, false
	}
	if p.Cache != nil {
		if p.Cache.Extra.Dialect == llm.Chat && p.Cache.Extra.Form != markMessage {
			return nil, false
		}
		if p.Cache.Extra.Dialect != llm.Chat {
			e.mark(p, path)
		}
	}
	e.losses.extra(path, p.Extra, llm.Chat)
	return p.Text, true
}

func (e *chatEncoder) items(parts []llm.Part, path string) [][]byte {
	var items [][]byte
	for i := range parts {
		if raw := e.item(&parts[i], fmt.Sprintf("%s.content[%d]", path, i)); raw != nil {
			items = append(items, raw)
		}
	}
	return items
}

// item writes one item of a content list, nil when chat cannot say it.
func (e *chatEncoder) item(p *llm.Part, path string) []byte {
	own := p.Extra.In(llm.Chat)
	if p.Kind == llm.PartOther {
		if p.Extra.Dialect == llm.Chat {
			return p.Raw
		}
		e.losses.add(path, "the part is known to "+string(p.Extra.Dialect)+" only")
		return nil
	}
	e.losses.extra(path, p.Extra, llm.Chat)
	w := newObject(own)
	ok := true
	switch p.Kind {
	case llm.PartText:
		w.text("type", "text")
		w.quote("text", p.Text)
	case llm.PartRefusal:
		w.text("type", "refusal")
		w.quote("refusal", p.Text)
	case llm.PartImage:
		ok = e.image(w, p, path)
	case llm.PartAudio:
		ok = e.audio(w, p, path)
	case llm.PartFile:
		ok = e.file(w, p, path)
	case llm.PartThinking:
		w.text("type", "thinking")
		text := quoteJSON(p.Text)
		if own.Form&thinkingString == 0 {
			inner := newObject(llm.Extra{})
			inner.text("type", "text")
			inner.put("text", text)
			text = arrayJSON([][]byte{inner.end()})
		}
		w.put("thinking", text)
	default:
		e.losses.add(path, "chat has no such part in this place")
		return nil
	}
	if !ok {
		return nil
	}
	if p.Cache != nil && (p.Cache.Extra.Dialect != llm.Chat || p.Cache.Extra.Form != markMessage) {
		w.put("cache_control", e.mark(p, path))
	}
	return w.end()
}

func (e *chatEncoder) image(w *objectWriter, p *llm.Part, path string) bool {
	m := p.Media
	url := mediaURL(m)
	if url == "" && p.Extra.Dialect != llm.Chat {
		e.losses.add(path, "chat takes an image by address or inline, not by a file id")
		return false
	}
	w.text("type", "image_url")
	if p.Extra.In(llm.Chat).Form&imageBare != 0 {
		w.text("image_url", url)
		return true
	}
	in := w.sub("image_url")
	in.text("url", url)
	in.str("detail", m.Detail)
	in.endSub()
	return true
}

// mediaURL is the address of m, a data URL when it is inline.
func mediaURL(m *llm.Media) string {
	if m.Data == "" {
		return m.URL
	}
	mime := m.Type
	if mime == "" {
		mime = "application/octet-stream"
	}
	return inlineURL(mime, m.Data)
}

func (e *chatEncoder) audio(w *objectWriter, p *llm.Part, path string) bool {
	m := p.Media
	if m.Data == "" && p.Extra.Dialect != llm.Chat {
		e.losses.add(path, "chat takes audio inline only")
		return false
	}
	format := m.Type
	if p.Extra.Dialect != llm.Chat {
		format = audioFormat(format)
	}
	w.text("type", "input_audio")
	in := w.sub("input_audio")
	in.text("data", m.Data)
	in.str("format", format)
	in.endSub()
	return true
}

func (e *chatEncoder) file(w *objectWriter, p *llm.Part, path string) bool {
	m := p.Media
	own := p.Extra.Dialect == llm.Chat
	data := m.Data
	switch {
	case own && p.Extra.Form&fileDataURL == 0:
		if data == "" {
			data = m.URL
		}
	case data != "":
		data = mediaURL(m)
	}
	if !own && m.Data == "" && (m.FileID == "" || p.Extra.Dialect != llm.Responses) {
		e.losses.add(path, "chat takes a file inline or by a file id of the same provider")
		return false
	}
	name := m.Name
	if name == "" && !own && m.Data != "" {
		name = "document" // the member is mandatory beside inline data
	}
	w.text("type", "file")
	in := w.sub("file")
	in.str("filename", name)
	in.str("file_data", data)
	in.str("file_id", m.FileID)
	in.endSub()
	return true
}

// assistant writes the members of an assistant message behind its role; said tells
// whether they say anything.
func (e *chatEncoder) assistant(w *objectWriter, parts []llm.Part, form uint32, path string) (said bool) {
	var calls [][]byte
	var refusal []llm.Text
	for i := range parts {
		p := &parts[i]
		switch chatMemberOf(p) {
		case chatRefusal:
			refusal = append(refusal, p.Text)
		case chatCalls:
			if p.Kind == llm.PartOther {
				calls = append(calls, p.Raw)
			} else {
				calls = append(calls, e.toolCall(p, fmt.Sprintf("%s.tool_calls[%d]", path, len(calls))))
			}
		}
	}
	said = e.assistantContent(w, partsIn(parts, chatContents), form&contentMask, path)
	w.quoteOrNone("refusal", joinQuotes(refusal, ""))
	thought := e.thinking(w, partsIn(parts, chatThoughts), path)
	if len(calls) == 0 {
		w.set("tool_calls", nil)
		return said || thought || len(refusal) > 0
	}
	w.items("tool_calls", calls)
	return true
}

// chatMember is a member of an assistant message that holds parts.
type chatMember uint8

const (
	chatContents chatMember = iota
	chatThoughts
	chatRefusal
	chatCalls
)

// chatMemberOf is where a part of the assistant stands.
func chatMemberOf(p *llm.Part) chatMember {
	own := p.Extra.In(llm.Chat).Form
	switch {
	case p.Kind == llm.PartThinking && own&thinkingItem == 0:
		return chatThoughts
	case p.Kind == llm.PartRefusal && own&refusalItem == 0:
		return chatRefusal
	case p.Kind == llm.PartToolCall, p.Kind == llm.PartOther && own&callItem != 0:
		return chatCalls
	}
	return chatContents
}

// partsIn are the parts of one member. They are no copy where they stand side by side,
// as they nearly always do.
func partsIn(parts []llm.Part, m chatMember) []llm.Part {
	in := func(i int) bool { return chatMemberOf(&parts[i]) == m }
	first := 0
	for first < len(parts) && !in(first) {
		first++
	}
	end := first
	for end < len(parts) && in(end) {
		end++
	}
	found := parts[first:end:end]
	for i := end; i < len(parts); i++ {
		if in(i) {
			found = append(found, parts[i])
		}
	}
	return found
}

// assistantContent writes the content: null when there is none, and one
// string for an answer, whose clients expect one.
func (e *chatEncoder) assistantContent(w *objectWriter, parts []llm.Part, form uint32, path string) (said bool) {
	if e.reply && form == contentAuto {
		e.replyContent(w, parts, path)
		return true
	}
	raw, ok := e.content(parts, form, path)
	said = raw != nil
	if raw == nil && !ok {
		raw = []byte("null")
	}
	w.put("content", raw)
	return said
}

func (e *chatEncoder) replyContent(w *objectWriter, parts []llm.Part, path string) {
	var texts []llm.Text
	for i := range parts {
		p := &parts[i]
		switch p.Kind {
		case llm.PartText:
			texts = append(texts, p.Text)
			e.losses.extra(join(path, "content"), p.Extra, llm.Chat)
		case llm.PartOther:
			e.losses.add(join(path, "content"), "a part is known to "+string(p.Extra.Dialect)+" only")
		default:
			e.losses.add(join(path, "content"), "chat answers hold text alone")
		}
	}
	if texts == nil {
		w.null("content")
		return
	}
	w.quote("content", joinQuotes(texts, ""))
}

// thinking writes reasoning_content, and thinking_blocks where a signature
// must survive; said is false when nothing is left to tell.
func (e *chatEncoder) thinking(w *objectWriter, parts []llm.Part, path string) (said bool) {
	kept := parts[:0:0]
	for i := range parts {
		if p := &parts[i]; e.reply || p.SignedBy == llm.Chat {
			kept = append(kept, *p)
		} else {
			e.losses.add(join(path, "thinking"), "thinking belongs to the model that did it and is not sent to another")
		}
	}
	if len(kept) == 0 {
		w.set("reasoning_content", nil)
		w.set("reasoning", nil)
		return false
	}
	own := kept[0].Extra.In(llm.Chat).Form
	text := thinkingText(kept)
	blocks, joined := e.thinkingBlocks(kept, path)
	if blocks != nil {
		w.items("thinking_blocks", blocks)
		if joined && !text.Empty() {
			w.quote("reasoning_content", text)
		}
		return true
	}
	if own&thinkingPlain == 0 {
		w.quoteOrNone("reasoning_content", text)
	}
	if own&(thinkingPlain|thinkingBoth) != 0 {
		w.quoteOrNone("reasoning", text)
	}
	return true
}

// thinkingBlocks is nil when plain text says it all; joined tells whether the
// text stands in reasoning_content as well.
func (e *chatEncoder) thinkingBlocks(parts []llm.Part, path string) (blocks [][]byte, joined bool) {
	need := false
	joined = true
	for i := range parts {
		p := &parts[i]
		own := p.Extra.In(llm.Chat)
		native := p.Extra.Dialect == llm.Chat && own.Form&thinkingBlock != 0
		need = need || native || p.Signature != "" || p.Redacted
		if native && i == 0 {
			joined = own.Form&thinkingJoined != 0
		}
		e.losses.extra(join(path, "thinking"), p.Extra, llm.Chat)
		sign := p.Signature
		if p.SignedBy != llm.Chat && p.SignedBy != "" && sign != "" {
			sign = wrapSignature(p.SignedBy, sign)
		}
		w := newObject(own)
		if p.Redacted {
			w.text("type", "redacted_thinking")
			w.text("data", sign)
		} else {
			w.text("type", "thinking")
			w.quote("thinking", p.Text)
			w.str("signature", sign)
		}
		w.put("cache_control", e.mark(p, path))
		blocks = append(blocks, w.end())
	}
	if !need {
		return nil, joined
	}
	return blocks, joined
}

func (e *chatEncoder) toolCall(p *llm.Part, path string) []byte {
	own := p.Extra.Dialect == llm.Chat
	form := p.Extra.In(llm.Chat).Form
	e.losses.extra(path, p.Extra, llm.Chat)
	w := newObject(p.Extra.In(llm.Chat))
	if own {
		w.str("id", p.Tool.ID)
	} else {
		w.text("id", p.Tool.ID)
	}
	w.constant("type", `"function"`, form&callNoType != 0)
	f := w.sub("function")
	args := p.Tool.Arguments
	if own {
		f.str("name", p.Tool.Name)
	} else {
		f.text("name", p.Tool.Name)
		if args == "" {
			args = "{}"
		}
	}
	if raw := []byte(args); form&callObject != 0 && isJSON(raw) {
		f.set("arguments", raw)
	} else {
		f.str("arguments", args)
	}
	f.endSub()
	if p.Cache != nil && (p.Cache.Extra.Dialect != llm.Chat || p.Cache.Extra.Form != markMessage) {
		w.put("cache_control", e.mark(p, path))
	}
	return w.end()
}
