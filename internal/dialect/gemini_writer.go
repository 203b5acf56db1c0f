package dialect

import (
	"io"
	"slices"
	"time"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Streams, written. Texts and thoughts go out piece by piece; a call goes out
// when it is complete, because Gemini's clients read its arguments as one
// object. What an answer says at its end (finishReason, usage, log
// probabilities, grounding) stands in the last chunk, which goes out with
// EventEnd: a stream that ends without it was cut. Keep-alives are not
// written: Google's SDK for JavaScript takes a comment for a broken stream.

// Writer implements [Codec]. call may be nil.
func (GeminiCodec) Writer(w io.Writer, call *llm.Call) EventWriter {
	g := &geminiWriter{w: w, parts: make(map[partKey]*geminiPartOut)}
	if call != nil {
		g.model = call.Model
	}
	return g
}

type geminiWriter struct {
	w      io.Writer
	model  string
	losses lossList
	out    []byte // whole events, not yet written
	said   bool   // a chunk went out
	done   bool

	head    llm.Reply // of the start
	members []byte    // what the last chunk has beside the candidates
	blocked bool
	usage   *llm.Event
	choices []*geminiChoiceOut
	parts   map[partKey]*geminiPartOut
}

// geminiChoiceOut is what a candidate has for the last chunk, and the signatures
// that wait for their part.
type geminiChoiceOut struct {
	stop     llm.Stop
	members  []byte
	logprobs []llm.TokenLogprob
	signs    []llm.Part
	called   bool // it asks for a function
	said     bool // a chunk with parts of it went out
}

// geminiPartOut is a part of the stream.
type geminiPartOut struct {
	part llm.Part // as it began
	text []byte   // not yet told
	sign []byte
	skip bool
}

// Write implements EventWriter.
func (g *geminiWriter) Write(ev llm.Event) error {
	if g.done {
		return nil
	}
	g.out = g.out[:0]
	g.event(&ev)
	return g.send()
}

func (g *geminiWriter) send() error {
	if len(g.out) == 0 {
		return nil
	}
	_, err := g.w.Write(g.out)
	return err
}

func (g *geminiWriter) event(ev *llm.Event) {
	switch ev.Kind {
	case llm.EventStart:
		g.start(ev.Start)
	case llm.EventPart:
		g.open(ev)
	case llm.EventDelta, llm.EventSign:
		g.more(ev)
	case llm.EventPartEnd:
		g.end(ev)
	case llm.EventLogprobs:
		c := g.choice(ev.Choice)
		c.logprobs = append(c.logprobs, ev.Logprobs...)
	case llm.EventStop:
		g.choice(ev.Choice).stop = ev.Stop
		g.blocked = g.blocked || ev.Extra.In(llm.Gemini).Form&geminiNoCandidates != 0
		g.losses.extra("choices", ev.Extra, llm.Gemini)
	case llm.EventUsage:
		if ev.Usage != nil {
			g.usage = new(*ev)
		}
	case llm.EventFault:
		if !g.said && g.head.Model != "" {
			g.chunk(func(*geminiEncoder, *objectWriter) {})
		}
		g.done = true
		g.out = wire.AppendEvent(g.out, "", geminiFaultBody(faultOf(ev)))
	case llm.EventOther:
		g.other(ev)
	case llm.EventEnd:
		g.finish()
	}
}

// Fail implements EventWriter.
func (g *geminiWriter) Fail(f *llm.Fault, requestID string) error {
	if g.done {
		return nil
	}
	g.done = true
	g.out = GeminiCodec{}.AppendFault(g.out[:0], f, requestID)
	return g.send()
}

// Losses implements EventWriter.
func (g *geminiWriter) Losses() []llm.Loss { return slices.Clone(g.losses.all) }

func (g *geminiWriter) start(r *llm.Reply) {
	if r == nil {
		return
	}
	g.head = *r
	g.losses.extra("", r.Extra, llm.Gemini)
	g.members = mergeMembers(g.members, r.Extra.In(llm.Gemini).Members)
	if r.HasUsage {
		g.usage = &llm.Event{Usage: new(r.Usage), Extra: r.UsageExtra}
	}
	if g.head.Model == "" && r.Extra.Dialect != llm.Gemini {
		g.head.Model = g.model
	}
}

func (g *geminiWriter) choice(i int) *geminiChoiceOut {
	if i < 0 || i >= maxChoices {
		i = 0
	}
	for len(g.choices) <= i {
		g.choices = append(g.choices, &geminiChoiceOut{})
	}
	return g.choices[i]
}

func (g *geminiWriter) open(ev *llm.Event) {
	if ev.New == nil {
		return
	}
	p := &geminiPartOut{part: withCallID(*ev.New, g.head.ID, ev.Part)}
	g.parts[partKey{ev.Choice, ev.Part}] = p
	g.choice(ev.Choice)
	switch p.part.Kind {
	case llm.PartText, llm.PartRefusal, llm.PartThinking:
		p.text = []byte(unquoted(p.part.Text))
	case llm.PartToolCall:
		p.skip = p.part.Tool == nil
		if !p.skip {
			p.text = []byte(p.part.Tool.Arguments)
		}
	default:
		if p.skip = p.part.Extra.Dialect != llm.Gemini; p.skip {
			g.losses.add("content", "a part that an answer of gemini has no place for was left out")
		}
	}
	p.sign = []byte(p.part.Signature)
	if p.part.Kind != llm.PartOther {
		g.losses.extra("content", p.part.Extra, llm.Gemini)
	}
	g.tell(ev.Choice, p)
}

func (g *geminiWriter) more(ev *llm.Event) {
	p := g.parts[partKey{ev.Choice, ev.Part}]
	if p == nil || p.skip {
		return
	}
	if ev.Kind == llm.EventSign {
		p.sign = append(p.sign, ev.Text...)
		return
	}
	p.text = append(p.text, ev.Text...)
	g.tell(ev.Choice, p)
}

// tell writes the text that a part has so far.
func (g *geminiWriter) tell(choice int, p *geminiPartOut) {
	if len(p.text) == 0 || p.skip || p.part.Redacted {
		return
	}
	part := llm.Part{Kind: p.part.Kind, Text: quoted(string(p.text)), Extra: p.part.Extra.In(llm.Gemini)}
	switch p.part.Kind {
	case llm.PartText, llm.PartRefusal:
		part.Kind = llm.PartText
	case llm.PartThinking:
		part.SignedBy = llm.Gemini // the signature comes behind the text
	default:
		return
	}
	p.text = p.text[:0]
	g.content(choice, part)
}

func (g *geminiWriter) end(ev *llm.Event) {
	key := partKey{ev.Choice, ev.Part}
	p := g.parts[key]
	if p == nil {
		return
	}
	delete(g.parts, key)
	if p.skip {
		return
	}
	if n := ev.New; n != nil {
		g.late(p, n)
	}
	part := p.part
	part.Text, part.Signature = nil, string(p.sign)
	switch p.part.Kind {
	case llm.PartText, llm.PartRefusal:
	case llm.PartThinking:
		g.thought(ev.Choice, part)
	case llm.PartToolCall:
		g.choice(ev.Choice).called = true
		part.Tool = &llm.ToolCall{ID: part.Tool.ID, Name: part.Tool.Name, Arguments: string(p.text)}
		e := &geminiEncoder{losses: &g.losses, reply: true}
		g.content(ev.Choice, e.sayable([]llm.Part{part}, "")...)
	default:
		g.content(ev.Choice, part)
	}
}

// late adds what became known at the end of a part.
func (g *geminiWriter) late(p *geminiPartOut, n *llm.Part) {
	g.losses.extra("content", n.Extra, llm.Gemini)
	if n.Signature != "" {
		p.sign = []byte(n.Signature)
	}
	if n.SignedBy != "" {
		p.part.SignedBy = n.SignedBy
	}
	p.part.Redacted = p.part.Redacted || n.Redacted
	if n.Tool != nil && len(p.text) == 0 {
		p.text = []byte(n.Tool.Arguments)
	}
	if n.Raw != nil {
		p.part.Raw = n.Raw
	}
	if n.Media != nil {
		p.part.Media = n.Media
	}
}

// thought tells the signature of thinking, or keeps it for the part that it
// stands on.
func (g *geminiWriter) thought(choice int, p llm.Part) {
	if p.SignedBy == byGeminiCall || p.SignedBy == byGeminiPart {
		c := g.choice(choice)
		c.signs = append(c.signs, p)
		return
	}
	p.Extra = p.Extra.In(llm.Gemini)
	if p.Redacted || geminiWrap(&p) != "" {
		g.content(choice, p)
	}
}

// content writes a chunk with parts, each with the signature that waits for it.
func (g *geminiWriter) content(choice int, parts ...llm.Part) {
	g.choice(choice).said = true
	g.chunk(func(e *geminiEncoder, w *objectWriter) {
		w.list("candidates")
		in := w.object(llm.Extra{})
		e.content(&in, g.signed(choice, parts), "", 0)
		in.integer("index", int64(choice))
		in.end()
		w.closeList()
	})
}

// signed puts before each part the signature that waits for it.
func (g *geminiWriter) signed(choice int, parts []llm.Part) []llm.Part {
	c := g.choice(choice)
	if len(c.signs) == 0 {
		return parts
	}
	out := make([]llm.Part, 0, 2*len(parts))
	for _, p := range parts {
		by := byGeminiPart
		switch p.Kind {
		case llm.PartToolCall:
			by = byGeminiCall
		case llm.PartThinking, llm.PartOther:
			by = ""
		}
		if at := slices.IndexFunc(c.signs, func(s llm.Part) bool { return s.SignedBy == by }); at >= 0 {
			out = append(out, c.signs[at])
			c.signs = slices.Delete(c.signs, at, at+1)
		}
		out = append(out, p)
	}
	return out
}

// chunk writes one event; say writes what comes before the head.
func (g *geminiWriter) chunk(say func(e *geminiEncoder, w *objectWriter)) {
	e := &geminiEncoder{losses: &g.losses, own: g.head.Extra.Dialect == llm.Gemini, reply: true}
	e.buf = make([]byte, 0, 256)
	g.said = true
	w := e.object(llm.Extra{})
	say(e, &w)
	w.str("modelVersion", g.head.Model)
	if e.own && g.head.Created != 0 {
		w.text("createTime", time.Unix(g.head.Created, 0).UTC().Format(time.RFC3339))
	}
	w.str("responseId", g.head.ID)
	w.end()
	g.out = wire.AppendEvent(g.out, "", e.buf)
}

// other keeps members that only this dialect knows for the last chunk.
func (g *geminiWriter) other(ev *llm.Event) {
	switch ev.Extra.Dialect {
	case llm.Gemini:
	case llm.Chat, llm.Completions:
		g.losses.extra("choices", llm.Extra{Dialect: ev.Extra.Dialect, Members: ev.Raw}, llm.Gemini)
		return
	default:
		g.losses.add("events", "an event that only "+string(ev.Extra.Dialect)+" knows was left out")
		return
	}
	if ev.Extra.Form == otherChoice {
		c := g.choice(ev.Choice)
		c.members = mergeMembers(c.members, ev.Raw)
		return
	}
	g.members = mergeMembers(g.members, ev.Raw)
}

// finish writes the last chunk.
func (g *geminiWriter) finish() {
	g.done = true
	if !g.blocked {
		g.choice(0)
	}
	g.chunk(func(e *geminiEncoder, w *objectWriter) {
		if !g.blocked {
			w.list("candidates")
			for i, c := range g.choices {
				g.last(e, c, i)
			}
			w.closeList()
		}
		if o := kept(g.members); o != nil {
			for i := range o.members {
				w.comma()
				w.buf = append(append(append(w.buf, o.members[i].key...), ':'), o.members[i].value...)
			}
		}
		if g.usage != nil {
			w.put("usageMetadata", geminiUsageJSON(g.usage.Usage, g.usage.Extra, &g.losses))
		}
	})
}

// last writes a candidate of the last chunk.
func (g *geminiWriter) last(e *geminiEncoder, c *geminiChoiceOut, i int) {
	var parts []llm.Part
	for _, s := range c.signs {
		if s.SignedBy == byGeminiPart {
			parts = append(parts, s)
		} else {
			g.losses.add("content.thinking.signature", "the call that it belongs to did not come")
		}
	}
	stop := c.stop
	if stop.Reason == "" {
		stop.Reason = llm.StopEnd
	}
	w := e.object(llm.Extra{Members: c.members})
	switch {
	case parts != nil:
		e.content(&w, parts, stop.Reason, 0)
	case c.said: // as Gemini does: its SDK's chats forget an answer of which a chunk has no content
		w.put("content", []byte(`{"parts":[{"text":""}],"role":"model"}`))
	}
	geminiPutStop(&w, stop, c.called, e.losses)
	w.integer("index", int64(i))
	if len(c.logprobs) > 0 {
		w.put("logprobsResult", geminiLogprobs(c.logprobs))
	}
	w.end()
}
