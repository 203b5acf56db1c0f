package dialect

import (
	"bytes"
	"io"
	"iter"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Rules for reading a stream of :streamGenerateContent, whose events are whole
// answers with a piece of the content each:
//
//   - The first chunk is the start. Unknown members of it are in Start.Extra;
//     later ones, and those of candidates, are an EventOther when their value is
//     new: Raw is an object of those members, Extra.Form otherChunk or
//     otherChoice.
//   - Texts and thoughts of chunks that follow each other are one part. A
//     signature on a text is a thinking part before it (see gemini_parts.go),
//     and a text without a character is none.
//   - There is no mark of the end. The end of the bytes is the end of the answer
//     when every candidate that began has its finishReason, or the prompt was
//     blocked; otherwise the stream was cut.
//   - The answer may be one JSON array of chunks, which is how Google frames it
//     for a client that does not ask for alt=sse.

// Events implements [Codec].
func (GeminiCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		readChunks(NewGeminiArrayReader(r), yield, &geminiReader{})
	}
}

// geminiReader is the state of one stream.
type geminiReader struct {
	started bool
	id      string
	blocked bool
	seen    map[string]string // unknown members of chunks, with their last value
	choices []*geminiChoice   // in order of their first chunk
}

// geminiChoice is one candidate.
type geminiChoice struct {
	choiceReader
	of      geminiReplyAt
	seen    map[string]string
	called  bool
	partial *geminiNode // the arguments of the open call, when they come in pieces
}

func (g *geminiReader) fault(data []byte) llm.ErrorBody { return GeminiCodec{}.DecodeError(data) }

func (g *geminiReader) complete() bool {
	for _, c := range g.choices {
		if !c.stopped {
			return false
		}
	}
	return len(g.choices) > 0 || g.blocked
}

func (g *geminiReader) finish(emit emitter) {
	for _, c := range g.choices {
		c.endCall(emit)
		c.close(nil, emit)
	}
}

func (g *geminiReader) chunk(o *object, _ []byte, emit emitter) {
	var r llm.Reply
	geminiHead(&r, o)
	list := o.list("candidates")
	usage := o.peek("usageMetadata")
	figures, counted := geminiUsage(usage)
	o.keep("usageMetadata")
	stop, blocked := geminiBlockStop(o)
	g.head(&r, o, emit)
	for i, raw := range list {
		g.candidate(o.openItem("candidates", i, raw), emit)
	}
	if counted {
		emit(llm.Event{Kind: llm.EventUsage, Usage: &figures, Extra: geminiUsageExtra(usage)})
	}
	if blocked && len(g.choices) == 0 && !g.blocked {
		g.blocked = true
		emit(llm.Event{Kind: llm.EventStop, Stop: stop, Extra: llm.Extra{Dialect: llm.Gemini, Form: geminiNoCandidates}})
	}
}

// head emits the start, or what a later chunk says that is new.
func (g *geminiReader) head(r *llm.Reply, o *object, emit emitter) {
	if g.seen == nil {
		g.seen = make(map[string]string)
	}
	fresh := freshMembers(o, g.seen)
	switch {
	case !g.started:
		g.started, g.id = true, r.ID
		start := *r
		start.Extra = llm.Extra{Dialect: llm.Gemini, Members: fresh}
		emit(llm.Event{Kind: llm.EventStart, Start: &start})
	case fresh != nil:
		emit(llm.Event{Kind: llm.EventOther, Raw: fresh, Extra: llm.Extra{Dialect: llm.Gemini, Form: otherChunk}})
	}
}

// freshMembers are the members that nobody took and whose value is another than
// seen has, which it then gets; nil when there are none.
func freshMembers(o *object, seen map[string]string) []byte {
	var fresh []byte
	for i := range o.members {
		m := &o.members[i]
		if m.use != useLeft || isEmpty(m.value) || seen[m.name()] == string(m.value) {
			continue
		}
		seen[m.name()] = string(m.value)
		fresh = appendRaw(fresh, m.key, m.value)
	}
	return closeRaw(fresh)
}

func (g *geminiReader) candidate(o *object, emit emitter) {
	c := g.choiceOf(o)
	if content := o.sub("content"); content != nil {
		c.content(content, emit)
	}
	if probs := geminiDecodeLogprobs(o.get("logprobsResult")); probs != nil {
		o.take("logprobsResult")
		ev := c.event(llm.EventLogprobs, 0)
		ev.Logprobs = probs
		emit(ev)
	}
	stop := geminiDecodeStop(o, c.called)
	if stop.Reason != "" {
		c.endCall(emit)
	}
	o.take("content")
	if fresh := freshMembers(o, c.seen); fresh != nil {
		ev := c.event(llm.EventOther, 0)
		ev.Raw, ev.Extra = fresh, llm.Extra{Dialect: llm.Gemini, Form: otherChoice}
		emit(ev)
	}
	if stop.Reason != "" && !c.stopped {
		c.stop(stop, emit)
	}
}

func (g *geminiReader) choiceOf(o *object) *geminiChoice {
	index := choiceIndex(o)
	for _, c := range g.choices {
		if c.index == index {
			return c
		}
	}
	c := &geminiChoice{
		choiceReader: choiceReader{dialect: llm.Gemini, index: index, open: -1},
		of:           geminiReplyAt{g.id, index}, seen: make(map[string]string),
	}
	g.choices = append(g.choices, c)
	return c
}

func (c *geminiChoice) content(o *object, emit emitter) {
	o.keep("role")
	for i, raw := range o.list("parts") {
		at := o.under("parts").item(i)
		if c.piece(o, raw, at, emit) {
			continue
		}
		parts := geminiDecodePart(nil, geminiOpen(o, raw, at), raw)
		for k := range parts {
			c.part(&parts[k], emit)
		}
	}
}

// part tells one part, or a piece of the open one.
func (c *geminiChoice) part(p *llm.Part, emit emitter) {
	c.endCall(emit)
	plain := p.Extra.Members == nil
	switch {
	case p.Kind == llm.PartText && plain:
		c.text(llm.PartText, 0, unquoted(p.Text), emit)
	case p.Kind == llm.PartThinking && plain && p.SignedBy == llm.Gemini:
		c.text(llm.PartThinking, 0, unquoted(p.Text), emit)
		if p.Signature == "" {
			return
		}
		if c.open < 0 || c.kind != llm.PartThinking {
			c.begin(&llm.Part{Kind: llm.PartThinking, SignedBy: llm.Gemini, Extra: llm.Extra{Dialect: llm.Gemini}}, emit)
		}
		c.sign(p.Signature, emit)
	default:
		c.whole(p, emit)
	}
}

// sign tells the signature of the open part, which ends it.
func (c *geminiChoice) sign(signature string, emit emitter) {
	ev := c.event(llm.EventSign, c.open)
	ev.Text = signature
	emit(ev)
	c.close(nil, emit)
}

// whole tells a part that comes in one piece.
func (c *geminiChoice) whole(p *llm.Part, emit emitter) {
	open, text, signature := *p, unquoted(p.Text), p.Signature
	open.Text = nil
	if !p.Redacted {
		open.Signature = ""
	}
	if p.Kind == llm.PartToolCall {
		c.called = true
		open = c.of.name(open, c.parts)
		text = open.Tool.Arguments
		open.Tool = &llm.ToolCall{ID: open.Tool.ID, Name: open.Tool.Name}
	}
	at := c.begin(&open, emit)
	if text != "" {
		ev := c.event(llm.EventDelta, at)
		ev.Text = text
		emit(ev)
	}
	if p.Kind == llm.PartThinking && !p.Redacted {
		c.sign(signature, emit)
		return
	}
	c.close(nil, emit)
}

// piece takes a piece of a call whose arguments come in pieces; false when the
// part, which stands in up, is none.
func (c *geminiChoice) piece(up *object, raw []byte, at where, emit emitter) bool {
	if !bytes.Contains(raw, []byte(`"functionCall"`)) {
		return false
	}
	o := geminiOpen(up, raw, at)
	in := geminiSub(o, "functionCall")
	if _, isText := wire.Unquote(o.peek("text")); in == nil || isText {
		return false
	}
	name, _ := wire.Unquote(in.peek("name"))
	more, _ := wire.Bool(in.peek("willContinue"))
	pieces := elements(in.peek("partialArgs"))
	switch {
	case name != "" && !more && pieces == nil:
		return false
	case name != "":
		c.beginCall(geminiDecodePart(nil, geminiOpen(up, raw, at), raw), emit)
	case c.partial == nil:
		return len(in.members) == 0 // the mark of an end that has been told
	}
	for i, piece := range pieces {
		c.partial.set(in.openItem("partialArgs", i, piece))
	}
	if !more {
		c.endCall(emit)
	}
	return true
}

// beginCall opens a call whose arguments come in pieces. It is the last of parts.
func (c *geminiChoice) beginCall(parts []llm.Part, emit emitter) {
	for i := range parts[:len(parts)-1] {
		c.part(&parts[i], emit)
	}
	c.endCall(emit)
	p := c.of.name(parts[len(parts)-1], c.parts)
	p.Tool = &llm.ToolCall{ID: p.Tool.ID, Name: p.Tool.Name}
	p.Extra.Members = nil // willContinue and partialArgs, which are told otherwise
	c.called = true
	c.partial = &geminiNode{kind: '{'}
	c.begin(&p, emit)
}

// endCall tells the arguments that were gathered.
func (c *geminiChoice) endCall(emit emitter) {
	if c.partial == nil {
		return
	}
	ev := c.event(llm.EventDelta, c.open)
	ev.Text = string(c.partial.json())
	c.partial = nil
	emit(ev)
	c.close(nil, emit)
}
