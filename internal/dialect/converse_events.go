package dialect

import (
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Streams, read. What is out of the ordinary:
//
// Only tools, images and results announce themselves in a contentBlockStart; a
// block of text or thinking begins with its first delta.
//
// An answer ends when both messageStop and metadata have come, in either order
// (both are recorded), or when the source ends cleanly behind messageStop. A
// source that ends before messageStop was cut. The stop is told then, because
// both have members that stand at the top of a complete answer.
//
// The member p of an event is padding of random length and says nothing.
//
// Blocks that only Bedrock knows, and images, come as one EventPart when they
// are complete.

// Events implements Codec.
func (ConverseCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		var events wire.EventReader
		events.ResetFrames(r, wire.EventStream, 0)
		defer events.Release()
		s := &converseStream{blocks: make(map[int64]*converseBlock)}
		s.read(&events, s.event, s.end, yield)
	}
}

// converseStream is the state of one stream.
type converseStream struct {
	blockReader
	halves uint8                    // converseStopped, converseMeasured
	blocks map[int64]*converseBlock // open, by their index on the wire
	last   llm.Event                // the stop, with the members that messageStop and metadata have beside
}

// end ends an answer that has no metadata.
func (s *converseStream) end() error {
	if s.halves&converseStopped == 0 {
		return io.ErrUnexpectedEOF
	}
	s.finish()
	return nil
}

func (s *converseStream) event(ev wire.Event) error {
	if ev.Exception {
		b := EventError(ConverseCodec{}, ev)
		s.emit(llm.Event{Kind: llm.EventFault, Fault: &b})
		return nil
	}
	kind := converseKindOf(ev)
	o, err := s.memory.parse(ev.Data)
	if err != nil {
		return fmt.Errorf("event %s: %w", ev.Name, err)
	}
	s.object = o
	o.take("p")
	if !s.started {
		s.start(kind, o)
	}
	switch kind {
	case converseMessageStart:
	case converseBlockStart:
		s.begin(o)
	case converseBlockDelta:
		s.delta(o)
	case converseBlockStop:
		s.close(o.place("contentBlockIndex"))
	case converseMessageStop:
		s.stop(o)
	case converseMetadata:
		s.measure(o)
	default:
		s.emit(converseOther(string(ev.Name), o.left()))
	}
	if err := o.err(); err != nil {
		return fmt.Errorf("event %s: %w", ev.Name, err)
	}
	if s.halves == converseOver {
		s.finish()
	}
	return nil
}

func (s *converseStream) finish() {
	s.emit(s.last)
	s.emit(llm.Event{Kind: llm.EventEnd})
	s.ended = true
}

// converseOther is an event that only this dialect knows: an object with its name.
func converseOther(name string, data []byte) llm.Event {
	if data == nil {
		data = []byte("{}")
	}
	raw := closeRaw(appendRaw(nil, stringJSON(name), data))
	return llm.Event{Kind: llm.EventOther, Raw: raw, Extra: llm.Extra{Dialect: llm.Converse}}
}

// start begins the answer, with messageStart or, where it is missing, without.
func (s *converseStream) start(kind converseKind, o *object) {
	s.started = true
	r := &llm.Reply{Extra: llm.Extra{Dialect: llm.Converse}}
	if kind == converseMessageStart {
		if o.str("role") != "assistant" {
			o.release("role")
			r.Extra.Form |= converseNoRole
		}
	}
	s.emit(llm.Event{Kind: llm.EventStart, Start: r})
}

// begin reads contentBlockStart.
func (s *converseStream) begin(o *object) {
	i := o.place("contentBlockIndex")
	s.close(i)
	in := o.open(o.get("start"), o.under("start"))
	if len(in.members) == 0 {
		return // it says nothing
	}
	m := &in.members[0]
	inner := in.sub(m.name())
	if inner == nil {
		return
	}
	kind, _ := wire.Unquote(inner.get("type"))
	if m.is("toolUse") && (kind == "" || kind == "tool_use") {
		s.openTool(i, inner)
		return
	}
	s.blocks[i] = &converseBlock{kind: llm.PartOther, member: m.name(), other: inner.clone()}
}

func (s *converseStream) openTool(i int64, in *object) {
	t := &llm.ToolCall{ID: in.need("toolUseId"), Name: in.need("name")}
	extra := converseExtra(in, 0)
	if extra.Members != nil {
		extra.Members = closeRaw(appendRaw(nil, []byte(`"toolUse"`), extra.Members))
	}
	if extra.Spelled != nil {
		extra.Spelled = closeRaw(appendRaw(nil, []byte(`"toolUse"`), extra.Spelled))
	}
	s.openBlock(i, &llm.Part{Kind: llm.PartToolCall, Tool: t, Extra: extra})
}

// openBlock opens a part for the block of a wire index.
func (s *converseStream) openBlock(i int64, p *llm.Part) *converseBlock {
	b := &converseBlock{kind: p.Kind, part: s.open(p)}
	if p.Redacted {
		b.redacted = [][]byte{}
	}
	s.blocks[i] = b
	return b
}

func (s *converseStream) delta(o *object) {
	i := o.place("contentBlockIndex")
	d := o.open(o.get("delta"), o.under("delta"))
	if len(d.members) == 0 {
		return
	}
	switch m := &d.members[0]; {
	case m.is("text"):
		s.grow(i, llm.PartText, llm.EventDelta, d.need("text"))
	case m.is("reasoningContent"):
		s.think(i, d)
	case m.is("citation"):
		b := s.block(i, llm.PartText)
		b.citations = append(b.citations, slices.Clone(m.value))
	case m.is("toolUse"):
		s.argue(i, d)
	default:
		if b := s.blocks[i]; b != nil && b.kind == llm.PartOther {
			b.grow(d, m)
			return
		}
		d.wrong(m.name(), "is no delta of the block that is open")
	}
}

// block is the open block of a wire index, if it is of the kind; else a new one
// begins there.
func (s *converseStream) block(i int64, kind llm.PartKind) *converseBlock {
	if b := s.blocks[i]; b != nil && b.kind == kind && b.redacted == nil {
		return b
	}
	s.close(i)
	return s.openBlock(i, &llm.Part{Kind: kind, Extra: llm.Extra{Dialect: llm.Converse}})
}

func (s *converseStream) grow(i int64, kind llm.PartKind, what llm.EventKind, text string) {
	if b := s.block(i, kind); text != "" {
		s.emit(llm.Event{Kind: what, Part: b.part, Text: text})
	}
}

func (s *converseStream) think(i int64, d *object) {
	in := d.sub("reasoningContent")
	if in == nil {
		return
	}
	if in.get("redactedContent") != nil {
		data := in.need("redactedContent")
		b := s.blocks[i]
		if b == nil || b.redacted == nil {
			s.close(i)
			b = s.openBlock(i, &llm.Part{Kind: llm.PartThinking, Redacted: true, SignedBy: llm.Converse, Extra: llm.Extra{Dialect: llm.Converse}})
		}
		b.redacted = append(b.redacted, []byte(data))
		return
	}
	if in.get("text") != nil {
		s.grow(i, llm.PartThinking, llm.EventDelta, in.need("text"))
	}
	if in.get("signature") != nil {
		s.grow(i, llm.PartThinking, llm.EventSign, in.need("signature"))
	}
}

// argue adds a piece of a tool's input.
func (s *converseStream) argue(i int64, d *object) {
	in := d.sub("toolUse")
	if in == nil {
		return
	}
	text := in.need("input")
	b := s.blocks[i]
	switch {
	case b != nil && b.kind == llm.PartOther:
		b.input = append(b.input, text...)
	case b != nil && b.kind == llm.PartToolCall:
		if text != "" {
			s.emit(llm.Event{Kind: llm.EventDelta, Part: b.part, Text: text})
		}
	default:
		d.wrong("toolUse", "is no delta of the block that is open")
	}
}

// close ends the block of a wire index, if one is open.
func (s *converseStream) close(i int64) {
	b := s.blocks[i]
	if b == nil {
		return
	}
	delete(s.blocks, i)
	end := llm.Event{Kind: llm.EventPartEnd, Part: b.part}
	switch {
	case b.kind == llm.PartOther:
		p := b.whole(s.object)
		end.Part = s.open(&p)
	case b.redacted != nil:
		end.New = &llm.Part{Kind: llm.PartThinking, Redacted: true, SignedBy: llm.Converse, Signature: joinBase64(b.redacted)}
	case b.kind == llm.PartThinking:
		end.New = &llm.Part{Kind: llm.PartThinking, SignedBy: llm.Converse}
	case b.citations != nil:
		cited := closeRaw(appendRaw(nil, []byte(`"citations"`), arrayJSON(b.citations)))
		end.New = &llm.Part{Kind: llm.PartText, Extra: llm.Extra{
			Dialect: llm.Converse, Form: converseCited, Members: closeRaw(appendRaw(nil, []byte(`"citationsContent"`), cited)),
		}}
	}
	s.emit(end)
}

// closeAll ends the blocks that the upstream left open.
func (s *converseStream) closeAll() {
	for _, i := range slices.Sorted(maps.Keys(s.blocks)) {
		s.close(i)
	}
}

// stop reads messageStop. What stands beside the reason stands at the top of a
// complete answer, too.
func (s *converseStream) stop(o *object) {
	stop, has := converseTakeStop(o)
	s.closeAll()
	s.halves |= converseStopped
	s.last.Kind, s.last.Stop = llm.EventStop, stop
	s.beside(o)
	if !has {
		s.last.Extra.Form = converseNoStop
	}
}

// beside keeps the members of messageStop and metadata that nobody took.
func (s *converseStream) beside(o *object) {
	more, e := converseExtra(o, 0), &s.last.Extra
	e.Dialect = llm.Converse
	e.Members, e.Spelled = mergeMembers(e.Members, more.Members), mergeMembers(e.Spelled, more.Spelled)
}

// measure reads metadata: the usage, and members that stand at the top of a
// complete answer.
func (s *converseStream) measure(o *object) {
	s.halves |= converseMeasured
	if raw := o.raw("usage"); raw != nil {
		u, extra := converseDecodeUsage(o, raw)
		s.emit(llm.Event{Kind: llm.EventUsage, Usage: &u, Extra: extra})
	}
	s.beside(o)
}

// converseBlock is a block that has begun and not ended.
type converseBlock struct {
	part      int
	kind      llm.PartKind // PartOther: it is told when it is complete
	redacted  [][]byte     // pieces of redacted thinking, base64
	citations [][]byte
	other     *object // PartOther: the block's inner object so far
	member    string  // PartOther: its kind
	input     []byte  // PartOther: the pieces of its input
	pieces    [][]byte
}

// grow adds a delta to a block that only this dialect knows: elements of its
// content, or members.
func (b *converseBlock) grow(d *object, m *member) {
	if m.value[0] == '[' {
		for _, item := range elements(m.value) {
			b.pieces = append(b.pieces, slices.Clone(item))
		}
		return
	}
	in := d.open(m.value, where{name: m.name()})
	for i := range in.members {
		b.other.put(in.members[i].key, in.members[i].value)
	}
}

// whole is the complete block: the object that a complete answer has. o is that of
// the event which completes it.
func (b *converseBlock) whole(o *object) llm.Part {
	if b.member == "toolUse" {
		input := b.input
		if len(input) == 0 || !isJSON(input) {
			input = []byte("{}")
		}
		b.other.put([]byte(`"input"`), input)
	}
	if b.member == "toolResult" {
		b.other.put([]byte(`"content"`), arrayJSON(b.pieces))
	}
	raw := closeRaw(appendRaw(nil, stringJSON(b.member), b.other.left()))
	return converseDecodeBlock(o.open(raw, where{}), raw)
}

// joinBase64 joins pieces that are base64 each.
func joinBase64(pieces [][]byte) string {
	if len(pieces) == 1 {
		return string(pieces[0])
	}
	var all []byte
	for _, p := range pieces {
		raw, err := base64.StdEncoding.DecodeString(string(p))
		if err != nil {
			return string(slices.Concat(pieces...))
		}
		all = append(all, raw...)
	}
	return base64.StdEncoding.EncodeToString(all)
}
