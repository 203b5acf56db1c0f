package dialect

import (
	"io"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Rules for writing a chat stream:
//
//   - The first chunk of each choice has the role and an empty content. The
//     unknown members of Start.Extra stand in the first chunk alone.
//   - A thinking part with a signature ends with a thinking_blocks item that has
//     its whole text, so that a client that keeps the items can send them back.

// Writer implements [Codec].
func (ChatCodec) Writer(w io.Writer, call *llm.Call) EventWriter {
	return &chatWriter{
		chunkWriter: newChunkWriter(w, call, llm.Chat),
		roles:       make(map[int]bool), parts: make(map[partKey]*partWriter), calls: make(map[int]int),
	}
}

type chatWriter struct {
	chunkWriter
	json  jsonWriter // the chunk that is being written
	piece jsonWriter // its delta
	roles map[int]bool
	parts map[partKey]*partWriter
	calls map[int]int // tool calls of each choice
}

// partWriter is an open part.
type partWriter struct {
	kind   llm.PartKind
	form   uint32
	own    bool
	index  int // of a tool call
	args   bool
	text   []byte // of thinking, for its block
	redact bool
	sign   string
	signer llm.Dialect
}

// Write implements [EventWriter].
func (w *chatWriter) Write(ev llm.Event) error {
	w.buf = w.buf[:0]
	switch ev.Kind {
	case llm.EventStart:
		w.begin(ev.Start)
		w.role(0)
	case llm.EventPart:
		w.part(&ev)
	case llm.EventDelta:
		w.more(&ev)
	case llm.EventSign:
		if p := w.parts[partKey{ev.Choice, ev.Part}]; p != nil {
			p.sign += ev.Text
		}
	case llm.EventPartEnd:
		w.partEnd(&ev)
	case llm.EventLogprobs:
		probs := chatLogprobs(ev.Logprobs)
		w.choice(ev.Choice, nil, probs, "")
	case llm.EventStop:
		w.losses.extra("choices", ev.Extra, llm.Chat)
		w.choice(ev.Choice, nil, nil, openAIStopWord(&chatStops, ev.Stop, &w.losses))
	case llm.EventOther:
		w.other(&ev)
	case llm.EventEnd:
		w.end()
	default:
		w.beside(&ev)
	}
	return w.send()
}

// open begins a chunk with the members that each has, and those of extra.
func (w *chatWriter) open(extra []byte) objectWriter {
	w.json.buf = w.json.buf[:0]
	o := w.json.object(llm.Extra{Members: extra})
	o.text("id", w.start.ID)
	o.text("object", "chat.completion.chunk")
	o.integer("created", w.start.Created)
	o.text("model", w.start.Model)
	return o
}

// chunk writes one chunk around choices, which is JSON.
func (w *chatWriter) chunk(choices, usage, extra []byte) {
	o := w.open(extra)
	o.put("choices", choices)
	o.put("usage", usage)
	w.buf = wire.AppendEvent(w.buf, "", o.end())
}

// role writes the first chunk of a choice, once.
func (w *chatWriter) role(choice int) {
	if w.roles[choice] {
		return
	}
	w.roles[choice] = true
	head := w.head
	w.head = nil
	w.one(choice, []byte(`{"role":"assistant","content":""}`), nil, "", head)
}

// one writes a chunk of one choice.
func (w *chatWriter) one(choice int, delta, probs []byte, stop string, extra []byte) {
	if delta == nil {
		delta = []byte("{}")
	}
	o := w.open(extra)
	o.list("choices")
	c := o.object(llm.Extra{})
	c.integer("index", int64(choice))
	c.put("delta", delta)
	c.put("logprobs", probs)
	c.nullable("finish_reason", stop)
	c.end()
	o.closeList()
	w.buf = wire.AppendEvent(w.buf, "", o.end())
}

func (w *chatWriter) choice(choice int, delta, probs []byte, stop string) {
	w.role(choice)
	w.one(choice, delta, probs, stop, nil)
}

// delta begins the delta of a chunk.
func (w *chatWriter) delta() objectWriter {
	w.piece.buf = w.piece.buf[:0]
	return w.piece.object(llm.Extra{})
}

// say writes a delta of one member.
func (w *chatWriter) say(choice int, name string, value []byte) {
	d := w.delta()
	d.put(name, value)
	w.choice(choice, d.end(), nil, "")
}

// sayText writes a delta of one text.
func (w *chatWriter) sayText(choice int, name, text string) {
	d := w.delta()
	d.text(name, text)
	w.choice(choice, d.end(), nil, "")
}

func (w *chatWriter) part(ev *llm.Event) {
	n := ev.New
	p := &partWriter{kind: n.Kind, own: n.Extra.Dialect == llm.Chat, form: n.Extra.In(llm.Chat).Form}
	p.sign, p.signer, p.redact = n.Signature, n.SignedBy, n.Redacted
	w.parts[partKey{ev.Choice, ev.Part}] = p
	switch n.Kind {
	case llm.PartToolCall:
		p.index = w.calls[ev.Choice]
		w.calls[ev.Choice]++
		w.callStart(ev.Choice, p, n.Tool)
	case llm.PartText, llm.PartThinking, llm.PartRefusal:
		if !n.Text.Empty() {
			w.text(ev.Choice, p, unquoted(n.Text))
		}
	default:
		if p.own && n.Raw != nil {
			w.say(ev.Choice, "content", arrayJSON([][]byte{n.Raw}))
			return
		}
		w.losses.add("content", "a part has no place in a chat answer")
	}
	w.losses.extra("content", n.Extra, llm.Chat)
}

func (w *chatWriter) callStart(choice int, p *partWriter, call *llm.ToolCall) {
	p.args = call.Arguments != ""
	d := w.delta()
	d.list("tool_calls")
	c := d.object(llm.Extra{})
	c.integer("index", int64(p.index))
	c.text("id", call.ID)
	c.text("type", "function")
	f := c.sub("function")
	f.text("name", call.Name)
	f.text("arguments", call.Arguments)
	f.endSub()
	c.end()
	d.closeList()
	w.choice(choice, d.end(), nil, "")
}

func (w *chatWriter) more(ev *llm.Event) {
	if p := w.parts[partKey{ev.Choice, ev.Part}]; p != nil && ev.Text != "" {
		w.text(ev.Choice, p, ev.Text)
	}
}

func (w *chatWriter) text(choice int, p *partWriter, text string) {
	switch p.kind {
	case llm.PartText:
		w.sayText(choice, "content", text)
	case llm.PartRefusal:
		w.sayText(choice, "refusal", text)
	case llm.PartThinking:
		p.text = append(p.text, text...)
		w.thinking(choice, p, text)
	case llm.PartToolCall:
		p.args = true
		w.arguments(choice, p, text)
	}
}

func (w *chatWriter) arguments(choice int, p *partWriter, text string) {
	d := w.delta()
	d.list("tool_calls")
	c := d.object(llm.Extra{})
	c.integer("index", int64(p.index))
	f := c.sub("function")
	f.text("arguments", text)
	f.endSub()
	c.end()
	d.closeList()
	w.choice(choice, d.end(), nil, "")
}

func (w *chatWriter) thinking(choice int, p *partWriter, text string) {
	switch {
	case p.form&thinkingItem != 0:
		e := &chatEncoder{}
		item := e.item(&llm.Part{Kind: llm.PartThinking, Text: quoted(text), Extra: llm.Extra{Dialect: llm.Chat, Form: p.form}}, "")
		w.say(choice, "content", arrayJSON([][]byte{item}))
	case p.form&thinkingPlain != 0:
		w.sayText(choice, "reasoning", text)
	case p.form&thinkingBoth != 0:
		d := w.delta()
		d.text("reasoning_content", text)
		d.text("reasoning", text)
		w.choice(choice, d.end(), nil, "")
	default:
		w.sayText(choice, "reasoning_content", text)
	}
}

func (w *chatWriter) partEnd(ev *llm.Event) {
	key := partKey{ev.Choice, ev.Part}
	p := w.parts[key]
	if p == nil {
		return
	}
	delete(w.parts, key)
	if n := ev.New; n != nil {
		w.losses.extra("content", n.Extra, llm.Chat)
		if n.Signature != "" {
			p.sign = n.Signature
		}
		if n.SignedBy != "" {
			p.signer = n.SignedBy
		}
	}
	switch p.kind {
	case llm.PartToolCall:
		if !p.args && !p.own { // an empty text is no JSON for the client
			w.arguments(ev.Choice, p, "{}")
		}
	case llm.PartThinking:
		if p.sign != "" {
			w.block(ev.Choice, p)
		}
	}
	if p.kind != llm.PartToolCall {
		return
	}
	w.parts[key] = p // late pieces of its arguments may come
}

func (w *chatWriter) block(choice int, p *partWriter) {
	e := &chatEncoder{reply: true}
	part := llm.Part{Kind: llm.PartThinking, Text: quoted(string(p.text)), Signature: p.sign, SignedBy: p.signer}
	part.Redacted = p.redact
	blocks, _ := e.thinkingBlocks([]llm.Part{part}, "")
	w.say(choice, "thinking_blocks", arrayJSON(blocks))
}

func (w *chatWriter) other(ev *llm.Event) {
	switch {
	case !w.ownOther(ev):
	case ev.Extra.Form == otherChoice:
		w.role(ev.Choice)
		o := newObject(llm.Extra{Members: ev.Raw})
		o.integer("index", int64(ev.Choice))
		delta, _ := o.takeKept("delta")
		if delta == nil {
			delta = []byte("{}")
		}
		o.put("delta", delta)
		o.null("finish_reason")
		w.chunk(arrayJSON([][]byte{o.end()}), nil, nil)
	default:
		w.chunk([]byte("[]"), nil, ev.Raw)
	}
}

func (w *chatWriter) end() {
	if w.failed {
		return
	}
	if usage := w.figures(); usage != nil {
		w.chunk([]byte("[]"), usage, openAITier(w.last))
	}
	w.done()
}
