package dialect

import (
	"errors"
	"fmt"
	"io"
	"iter"
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
		s := &convStream{blocks: make(map[int64]*convBlock)}
		for {
			err := events.Fill()
			for ev, ok := events.Next(); ok; ev, ok = events.Next() {
				bad := s.event(ev)
				if !s.flush(yield) || s.ended {
					return
				}
				if bad != nil {
					yield(llm.Event{}, bad)
					return
				}
			}
			if errors.Is(err, io.EOF) && s.halves&convStopped != 0 {
				s.finish()
				s.flush(yield)
				return
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				yield(llm.Event{}, err)
				return
			}
		}
	}
}

// convStream is the state of one stream.
type convStream struct {
	out     []llm.Event
	started bool
	ended   bool
	halves  uint8 // convStopped, convMeasured
	parts   int   // parts opened so far
	blocks  map[int64]*convBlock
	last    llm.Event // the stop, with the members that messageStop and metadata have beside
}

func (s *convStream) flush(yield func(llm.Event, error) bool) bool {
	for _, ev := range s.out {
		if !yield(ev, nil) {
			return false
		}
	}
	s.out = s.out[:0]
	return true
}

func (s *convStream) emit(ev llm.Event) { s.out = append(s.out, ev) }

func (s *convStream) event(ev wire.Event) error {
	if ev.Exception {
		b := EventError(ConverseCodec{}, ev)
		s.emit(llm.Event{Kind: llm.EventFault, Fault: &b})
		return nil
	}
	kind := convKindOf(ev)
	o, err := parseObject(ev.Data)
	if err != nil {
		return fmt.Errorf("event %s: %w", ev.Name, err)
	}
	o.take("p")
	if !s.started {
		if err := s.start(kind, o); err != nil {
			return fmt.Errorf("event %s: %w", ev.Name, err)
		}
	}
	switch kind {
	case convMessageStart:
	case convBlockStart:
		err = s.open(o)
	case convBlockDelta:
		err = s.delta(o)
	case convBlockStop:
		var i int64
		if i, err = s.index(o); err == nil {
			err = s.close(i)
		}
	case convMessageStop:
		err = s.stop(o)
	case convMetadata:
		err = s.measure(o)
	default:
		s.emit(convOther(string(ev.Name), o.left()))
	}
	if err != nil {
		return fmt.Errorf("event %s: %w", ev.Name, err)
	}
	if s.halves == convOver {
		s.finish()
	}
	return nil
}

func (s *convStream) finish() {
	s.emit(s.last)
	s.emit(llm.Event{Kind: llm.EventEnd})
	s.ended = true
}

// convOther is an event that only this dialect knows: an object with its name.
func convOther(name string, data []byte) llm.Event {
	if data == nil {
		data = []byte("{}")
	}
	raw := closeRaw(appendRaw(nil, stringJSON(name), data))
	return llm.Event{Kind: llm.EventOther, Raw: raw, Extra: llm.Extra{Dialect: llm.Converse}}
}

// start begins the answer, with messageStart or, where it is missing, without.
func (s *convStream) start(kind convKind, o *object) error {
	s.started = true
	r := &llm.Reply{Extra: llm.Extra{Dialect: llm.Converse}}
	if kind == convMessageStart {
		role, err := o.str("role")
		if err != nil {
			return err
		}
		if role != "assistant" {
			o.release("role")
			r.Extra.Form |= convNoRole
		}
	}
	s.emit(llm.Event{Kind: llm.EventStart, Start: r})
	return nil
}

func (s *convStream) index(o *object) (int64, error) {
	i, err := o.integer("contentBlockIndex")
	if err != nil {
		return 0, err
	}
	if i == nil {
		return 0, o.under("contentBlockIndex").wrong("is required")
	}
	return *i, nil
}

func (s *convStream) open(o *object) error {
	i, err := s.index(o)
	if err != nil {
		return err
	}
	if err := s.close(i); err != nil {
		return err
	}
	in, err := openObject(o.get("start"), o.under("start"))
	if err != nil || len(in.members) == 0 {
		return err // an empty one says nothing
	}
	m := &in.members[0]
	inner, err := in.sub(m.name())
	if inner == nil {
		return err
	}
	kind, _ := wire.String(inner.get("type"))
	if m.is("toolUse") && (kind == "" || kind == "tool_use") {
		return s.openTool(i, inner)
	}
	s.blocks[i] = &convBlock{kind: llm.PartOther, member: m.name(), other: inner.clone()}
	return nil
}

func (s *convStream) openTool(i int64, in *object) error {
	t := &llm.ToolCall{}
	var err error
	if t.ID, err = in.need("toolUseId"); err != nil {
		return err
	}
	if t.Name, err = in.need("name"); err != nil {
		return err
	}
	extra := convExtra(in, 0)
	if extra.Members != nil {
		extra.Members = closeRaw(appendRaw(nil, []byte(`"toolUse"`), extra.Members))
	}
	if extra.Spelled != nil {
		extra.Spelled = closeRaw(appendRaw(nil, []byte(`"toolUse"`), extra.Spelled))
	}
	s.begin(i, &llm.Part{Kind: llm.PartToolCall, Tool: t, Extra: extra})
	return nil
}

// begin opens a part for the block of a wire index.
func (s *convStream) begin(i int64, p *llm.Part) *convBlock {
	b := &convBlock{kind: p.Kind, part: s.parts}
	if p.Redacted {
		b.redacted = [][]byte{}
	}
	s.blocks[i] = b
	s.parts++
	s.emit(llm.Event{Kind: llm.EventPart, Part: b.part, New: p})
	return b
}

func (s *convStream) delta(o *object) error {
	i, err := s.index(o)
	if err != nil {
		return err
	}
	d, err := openObject(o.get("delta"), o.under("delta"))
	if err != nil || len(d.members) == 0 {
		return err
	}
	switch m := &d.members[0]; {
	case m.is("text"):
		text, err := d.need("text")
		if err == nil {
			err = s.grow(i, llm.PartText, llm.EventDelta, text)
		}
		return err
	case m.is("reasoningContent"):
		return s.think(i, d)
	case m.is("citation"):
		b, err := s.block(i, llm.PartText)
		if err == nil {
			b.citations = append(b.citations, slices.Clone(m.value))
		}
		return err
	case m.is("toolUse"):
		return s.argue(i, d)
	default:
		b := s.blocks[i]
		if b == nil || b.kind != llm.PartOther {
			return d.under(m.name()).wrong("is no delta of the block that is open")
		}
		return b.grow(m)
	}
}

// block is the open block of a wire index, if it is of the kind; else a new one
// begins there.
func (s *convStream) block(i int64, kind llm.PartKind) (*convBlock, error) {
	if b := s.blocks[i]; b != nil && b.kind == kind && b.redacted == nil {
		return b, nil
	}
	if err := s.close(i); err != nil {
		return nil, err
	}
	return s.begin(i, &llm.Part{Kind: kind, Extra: llm.Extra{Dialect: llm.Converse}}), nil
}

func (s *convStream) grow(i int64, kind llm.PartKind, what llm.EventKind, text string) error {
	b, err := s.block(i, kind)
	if err == nil && text != "" {
		s.emit(llm.Event{Kind: what, Part: b.part, Text: text})
	}
	return err
}

func (s *convStream) think(i int64, d *object) error {
	in, err := d.sub("reasoningContent")
	if in == nil {
		return err
	}
	if in.get("redactedContent") != nil {
		data, err := in.need("redactedContent")
		if err != nil {
			return err
		}
		b := s.blocks[i]
		if b == nil || b.redacted == nil {
			if err := s.close(i); err != nil {
				return err
			}
			b = s.begin(i, &llm.Part{Kind: llm.PartThinking, Redacted: true, SignedBy: llm.Converse, Extra: llm.Extra{Dialect: llm.Converse}})
		}
		b.redacted = append(b.redacted, []byte(data))
		return nil
	}
	if in.get("text") != nil {
		text, err := in.need("text")
		if err != nil {
			return err
		}
		if err := s.grow(i, llm.PartThinking, llm.EventDelta, text); err != nil {
			return err
		}
	}
	if in.get("signature") != nil {
		text, err := in.need("signature")
		if err != nil {
			return err
		}
		return s.grow(i, llm.PartThinking, llm.EventSign, text)
	}
	return nil
}

// argue adds a piece of a tool's input.
func (s *convStream) argue(i int64, d *object) error {
	in, err := d.sub("toolUse")
	if in == nil {
		return err
	}
	text, err := in.need("input")
	if err != nil {
		return err
	}
	b := s.blocks[i]
	switch {
	case b != nil && b.kind == llm.PartOther:
		b.input = append(b.input, text...)
	case b != nil && b.kind == llm.PartToolCall:
		if text != "" {
			s.emit(llm.Event{Kind: llm.EventDelta, Part: b.part, Text: text})
		}
	default:
		return d.under("toolUse").wrong("is no delta of the block that is open")
	}
	return nil
}

// close ends the block of a wire index, if one is open.
func (s *convStream) close(i int64) error {
	b := s.blocks[i]
	if b == nil {
		return nil
	}
	delete(s.blocks, i)
	end := llm.Event{Kind: llm.EventPartEnd, Part: b.part}
	switch {
	case b.kind == llm.PartOther:
		p, err := b.whole()
		if err != nil {
			return err
		}
		b.part = s.parts
		s.parts++
		end.Part = b.part
		s.emit(llm.Event{Kind: llm.EventPart, Part: b.part, New: &p})
	case b.redacted != nil:
		end.New = &llm.Part{Kind: llm.PartThinking, Redacted: true, SignedBy: llm.Converse, Signature: joinBase64(b.redacted)}
	case b.kind == llm.PartThinking:
		end.New = &llm.Part{Kind: llm.PartThinking, SignedBy: llm.Converse}
	case b.citations != nil:
		cited := closeRaw(appendRaw(nil, []byte(`"citations"`), arrayJSON(b.citations)))
		end.New = &llm.Part{Kind: llm.PartText, Extra: llm.Extra{
			Dialect: llm.Converse, Form: convCited, Members: closeRaw(appendRaw(nil, []byte(`"citationsContent"`), cited)),
		}}
	}
	s.emit(end)
	return nil
}

// closeAll ends the blocks that the upstream left open.
func (s *convStream) closeAll() error {
	open := make([]int64, 0, len(s.blocks))
	for i := range s.blocks {
		open = append(open, i)
	}
	slices.Sort(open)
	for _, i := range open {
		if err := s.close(i); err != nil {
			return err
		}
	}
	return nil
}

// stop reads messageStop. What stands beside the reason stands at the top of a
// complete answer, too.
func (s *convStream) stop(o *object) error {
	stop, has, err := convTakeStop(o)
	if err != nil {
		return err
	}
	if err := s.closeAll(); err != nil {
		return err
	}
	s.halves |= convStopped
	s.last.Kind, s.last.Stop = llm.EventStop, stop
	s.beside(o)
	if !has {
		s.last.Extra.Form = convNoStop
	}
	return nil
}

// beside keeps the members of messageStop and metadata that nobody took.
func (s *convStream) beside(o *object) {
	more, e := convExtra(o, 0), &s.last.Extra
	e.Dialect = llm.Converse
	e.Members, e.Spelled = mergeMembers(e.Members, more.Members), mergeMembers(e.Spelled, more.Spelled)
}

// measure reads metadata: the usage, and members that stand at the top of a
// complete answer.
func (s *convStream) measure(o *object) error {
	s.halves |= convMeasured
	if raw := o.raw("usage"); raw != nil {
		u, extra, err := convDecodeUsage(raw, o)
		if err != nil {
			return err
		}
		s.emit(llm.Event{Kind: llm.EventUsage, Usage: &u, Extra: extra})
	}
	s.beside(o)
	return nil
}
