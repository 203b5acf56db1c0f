package dialect

import (
	"io"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Streams, written: the events of blocks_write.go.

// Writer implements Codec. call may be nil.
func (ConverseCodec) Writer(w io.Writer, _ *llm.Call) EventWriter {
	return &converseWriter{blockWriter: blockWriter{w: w, codec: ConverseCodec{}}}
}

type converseWriter struct {
	blockWriter
	beside []byte // members of a complete answer: those of messageStop and of metadata
}

// Write implements EventWriter.
func (a *converseWriter) Write(ev llm.Event) error {
	start, ok := a.takes(&ev)
	if start != nil {
		a.start(start)
	}
	if ok {
		a.event(&ev)
	}
	return a.send()
}

func (a *converseWriter) event(ev *llm.Event) {
	switch ev.Kind {
	case llm.EventStop:
		a.blocks.drain(a, true)
		a.stop = new(*ev)
		a.keep(ev.Extra)
	case llm.EventFault:
		body := faultOf(ev)
		a.out = converseAppendException(a.out, converseFaultName(body), body.Message)
		a.done = true
	case llm.EventOther:
		a.other(ev)
	case llm.EventEnd:
		a.finish()
	default:
		a.inAnswer(a, ev)
	}
}

func (a *converseWriter) tell(kind converseKind, data []byte) {
	a.out = wire.AppendFrame(a.out, converseKinds[kind], data)
}

func (a *converseWriter) start(r *llm.Reply) {
	a.begin(r)
	a.keep(r.Extra)
	w := newObject(llm.Extra{})
	if !a.native || r.Extra.Form&converseNoRole == 0 {
		w.text("role", "assistant")
	}
	a.tell(converseMessageStart, w.end())
}

// keep notes members that stand at the top of a complete answer.
func (a *converseWriter) keep(e llm.Extra) {
	own := e.In(llm.Converse)
	a.beside = mergeMembers(a.beside, mergeMembers(own.Members, own.Spelled))
}

// waits says that p can be told only when it is complete: redacted thinking is
// one delta.
func (a *converseWriter) waits(p *blockPart) bool { return p.redacted() }

// openBlock writes contentBlockStart for the blocks that have one.
func (a *converseWriter) openBlock(p *blockPart) {
	switch p.block.Kind {
	case llm.PartToolCall:
		w := newObject(llm.Extra{})
		start := w.sub("start")
		own := p.block.Extra.In(llm.Converse)
		start.members, start.spelled = kept(own.Members), kept(own.Spelled)
		tool := start.sub("toolUse")
		tool.text("toolUseId", p.block.Tool.ID)
		tool.text("name", p.block.Tool.Name)
		tool.endSub()
		start.endSub()
		w.integer("contentBlockIndex", int64(p.index))
		a.tell(converseBlockStart, w.end())
	case llm.PartOther:
		a.openOther(p)
	case llm.PartImage, llm.PartFile, llm.PartAudio, llm.PartToolResult:
		e := converseEncoder{}
		e.block(&p.block)
		p.block.Raw = e.buf
		a.openOther(p)
	}
}

// openOther tells a block of this dialect that stands whole in its Raw: what its
// start says, and the rest as one delta.
func (a *converseWriter) openOther(p *blockPart) {
	o, err := openObject(p.block.Raw, where{})
	if err != nil || len(o.members) == 0 {
		return
	}
	name := o.members[0].name()
	in, err := openObject(o.members[0].value, where{})
	if err != nil {
		return
	}
	var rest []byte
	switch name {
	case "toolUse":
		rest = closeRaw(appendRaw(nil, []byte(`"input"`), stringJSON(string(in.take("input")))))
	case "toolResult":
		if rest = in.take("content"); rest == nil {
			rest = []byte("[]")
		}
	default:
		rest = closeRaw(appendRaw(nil, []byte(`"source"`), in.take("source")))
	}
	head := in.left()
	if head == nil {
		head = []byte("{}")
	}
	w := newObject(llm.Extra{})
	w.put("start", closeRaw(appendRaw(nil, o.members[0].key, head)))
	w.integer("contentBlockIndex", int64(p.index))
	a.tell(converseBlockStart, w.end())
	if rest != nil {
		a.delta(p.index, name, rest)
	}
}

// delta writes one delta whose only member is name.
func (a *converseWriter) delta(index int, name string, value []byte) {
	w := newObject(llm.Extra{})
	w.put("delta", closeRaw(appendRaw(nil, stringJSON(name), value)))
	w.integer("contentBlockIndex", int64(index))
	a.tell(converseBlockDelta, w.end())
}

// converseInside is an object with one member, a text.
func converseInside(name, text string) []byte {
	return closeRaw(appendRaw(nil, stringJSON(name), stringJSON(text)))
}

func (a *converseWriter) tellText(p *blockPart) {
	if len(p.text) == 0 || p.redacted() {
		return
	}
	text := string(p.text)
	p.text, p.told = p.text[:0], true
	switch p.block.Kind {
	case llm.PartText, llm.PartRefusal:
		a.delta(p.index, "text", stringJSON(text))
	case llm.PartThinking:
		a.delta(p.index, "reasoningContent", converseInside("text", text))
	case llm.PartToolCall:
		a.delta(p.index, "toolUse", converseInside("input", text))
	}
}

// endBlock writes what is known only at the end, and contentBlockStop.
func (a *converseWriter) endBlock(p *blockPart) {
	switch p.block.Kind {
	case llm.PartThinking:
		a.sign(p)
	case llm.PartText:
		e := p.block.Extra
		if p.end != nil && p.end.Extra.Dialect == llm.Converse {
			e = p.end.Extra
		}
		a.cite(p.index, e)
	}
	if p.isText() && !p.told {
		a.delta(p.index, "text", []byte(`""`)) // without it there is no block
	}
	w := newObject(llm.Extra{})
	w.integer("contentBlockIndex", int64(p.index))
	a.tell(converseBlockStop, w.end())
}

// sign writes the signature of thinking, or all of redacted thinking.
func (a *converseWriter) sign(p *blockPart) {
	s := p.signed()
	member := "signature"
	if s.Redacted && s.SignedBy == llm.Converse {
		member = "redactedContent"
	}
	if signature := signatureFor(llm.Converse, &s); signature != "" {
		a.delta(p.index, "reasoningContent", converseInside(member, signature))
	}
}

// cite writes the citations that a text's Extra keeps.
func (a *converseWriter) cite(index int, e llm.Extra) {
	o := kept(e.In(llm.Converse).Members)
	if o == nil {
		return
	}
	in := kept(o.peek("citationsContent"))
	if in == nil {
		return
	}
	for _, c := range elements(in.peek("citations")) {
		a.delta(index, "citation", c)
	}
}

// other passes on what only this dialect says.
func (a *converseWriter) other(ev *llm.Event) {
	if !a.ownOther(ev) {
		return
	}
	if o := kept(ev.Raw); o != nil && len(o.members) > 0 {
		a.out = wire.AppendFrame(a.out, o.members[0].name(), o.members[0].value)
	}
}

// converseStopMembers are the members of a complete answer that stand in messageStop;
// the others stand in metadata.
var converseStopMembers = []string{"additionalModelResponseFields"}

// finish writes messageStop and metadata. A native stream that had no metadata
// gets none.
func (a *converseWriter) finish() {
	a.blocks.drain(a, true)
	a.done = true
	beside := kept(a.beside)
	keptIn(beside, "output") // of a complete answer: its message has been told
	stop, w := llm.Event{Stop: llm.Stop{Reason: llm.StopEnd}}, newObject(llm.Extra{})
	if a.stop != nil {
		stop = *a.stop
		a.losses.extra("choices", stop.Extra, llm.Converse)
	}
	if stop.Extra.In(llm.Converse).Form&converseNoStop == 0 {
		w.text("stopReason", converseStopWord(stop.Stop, &a.losses))
	}
	for _, name := range converseStopMembers {
		w.put(name, keptIn(beside, name))
	}
	a.tell(converseMessageStop, w.end())
	a.metadata(beside)
}

func (a *converseWriter) metadata(beside *object) {
	w := newObject(llm.Extra{})
	switch {
	case a.usage != nil:
		conversePutUsage(w, *a.usage.Usage, a.usage.Extra, &a.losses)
	case !a.native:
		conversePutUsage(w, llm.Usage{}, llm.Extra{}, &a.losses)
	}
	if !a.native {
		w.put("metrics", []byte(converseNoLatency))
	}
	w.rest(beside)
	if data := w.end(); string(data) != "{}" {
		a.tell(converseMetadata, data)
	}
}
