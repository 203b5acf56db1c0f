package dialect

import (
	"bytes"
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
// A second message_start with the first one's id is a proxy's repetition and
// is ignored. One with another id means that somebody in between retried and
// spliced two answers into one stream; no client could replay such a turn
// (the thinking of the first is signed for another continuation), so it is an
// error.
//
// Blocks that only Anthropic knows come as one EventPart when they are
// complete, whatever their deltas were (server tool input, compaction).
//
// The figures of a message_delta are cumulative and replace those of
// message_start, also for the input; see antCounts.count.

// Events implements Codec.
func (AnthropicCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		var events wire.EventReader
		events.Reset(r, 0)
		defer events.Release()
		s := &antStream{blocks: make(map[int64]*antBlock)}
		for {
			err := events.Fill()
			for ev, ok := events.Next(); ok; ev, ok = events.Next() {
				if bad := s.event(ev); bad != nil {
					s.flush(yield)
					yield(llm.Event{}, bad)
					return
				}
				if !s.flush(yield) || s.ended {
					return
				}
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

// antStream is the state of one stream.
type antStream struct {
	out     []llm.Event
	started bool
	ended   bool
	id      string
	parts   int // parts opened so far
	blocks  map[int64]*antBlock
	counts  antCounts
	usage   antObject // the members of all usage objects, later over earlier
}

// antBlock is a block that has begun and not ended.
type antBlock struct {
	part  int
	kind  llm.PartKind
	extra llm.Extra // of the start, for citations

	citations [][]byte
	other     antObject // PartOther: the block so far
	input     []byte    // PartOther: the pieces of its input
}

func (s *antStream) flush(yield func(llm.Event, error) bool) bool {
	for _, ev := range s.out {
		if !yield(ev, nil) {
			return false
		}
	}
	s.out = s.out[:0]
	return true
}

func (s *antStream) emit(ev llm.Event) { s.out = append(s.out, ev) }

func (s *antStream) event(ev wire.Event) error {
	if len(ev.Data) == 0 || string(ev.Data) == "[DONE]" {
		if antKindOf(ev) == antPing {
			s.emit(llm.Event{Kind: llm.EventPing})
		}
		return nil
	}
	kind := antKindOf(ev)
	if kind == antErrorEvent {
		b := AnthropicCodec{}.DecodeError(ev.Data)
		s.emit(llm.Event{Kind: llm.EventFault, Fault: &b})
		return nil
	}
	o, err := antBody(ev.Data)
	if err != nil {
		return fmt.Errorf("event %s: %w", ev.Name, err)
	}
	if !s.started && kind != antMessageStart && kind != antPing && kind != antUnknown {
		return fmt.Errorf("event %s: comes before message_start", antKinds[kind])
	}
	switch kind {
	case antMessageStart:
		err = s.start(&o)
	case antBlockStart:
		err = s.open(&o)
	case antBlockDelta:
		err = s.delta(&o, ev.Data)
	case antBlockStop:
		err = s.stop(&o)
	case antMessageDelta:
		err = s.finish(&o)
	case antMessageStop:
		s.closeAll()
		s.emit(llm.Event{Kind: llm.EventEnd})
		s.ended = true
	case antPing:
		s.emit(llm.Event{Kind: llm.EventPing})
	default:
		s.other(ev.Data)
	}
	if err != nil {
		return fmt.Errorf("event %s: %w", antKinds[kind], err)
	}
	return nil
}

// other passes on what only this dialect knows.
func (s *antStream) other(data []byte) {
	s.emit(llm.Event{Kind: llm.EventOther, Raw: antClone(data), Extra: llm.Extra{Dialect: llm.Anthropic}})
}

func (s *antStream) start(o *antObject) error {
	m, err := antParse(o.get("message"))
	if err != nil {
		return antIn("message", err)
	}
	if s.started {
		if id, _ := wire.String(m.get("id")); id != s.id {
			return antBad("message.id", "a second message begins before the first has ended")
		}
		return nil
	}
	r, stop, err := antDecodeMessage(&m)
	if err != nil {
		return antIn("message", err)
	}
	s.started, s.id = true, r.ID
	content, _ := antElements(m.get("content"))
	m.take("content")
	if stop.Reason != "" {
		antUntake(&m, "stop_reason")
		r.Extra.Form |= antNoStop
	}
	r.Extra = m.extra(r.Extra.Form)
	if r.HasUsage {
		r.Usage.Source = llm.UsageTapped
	}
	s.emit(llm.Event{Kind: llm.EventStart, Start: r})
	if raw := m.find("usage"); r.HasUsage {
		if err := s.count(raw.raw, llm.UsageTapped); err != nil {
			return antIn("message.usage", err)
		}
	}
	for i, raw := range content {
		p, err := antDecodeBlock(raw, true)
		if err != nil {
			return antIn("message.content"+antIndex(i), err)
		}
		s.emit(llm.Event{Kind: llm.EventPart, Part: s.parts, New: &p})
		s.emit(llm.Event{Kind: llm.EventPartEnd, Part: s.parts})
		s.parts++
	}
	return nil
}

// count takes a usage object over the earlier ones and tells the sum of them.
func (s *antStream) count(raw []byte, source llm.UsageSource) error {
	o, err := antParse(raw)
	if err != nil {
		return err
	}
	before := s.counts
	if !s.counts.count(raw, wire.Span{End: len(raw)}) {
		return antBad("", "is not a usage")
	}
	keeps := before.input+before.write+before.read > 0 && antNoInputIn(&o)
	for _, m := range o.members {
		old := s.usage.find(m.name)
		switch {
		case old == nil:
			s.usage.members = append(s.usage.members, antMember{name: m.name, key: antClone(m.key), raw: antClone(m.raw)})
		case wire.IsNull(m.raw) || keeps && slices.Contains(antUsageNames[:3], m.name):
		default:
			old.raw = antClone(m.raw)
		}
	}
	_, extra, err := antDecodeUsage(s.usage.left())
	if err != nil {
		return err
	}
	u := s.counts.usage()
	u.Source = source
	s.emit(llm.Event{Kind: llm.EventUsage, Usage: &u, Extra: extra})
	return nil
}

func antNoInputIn(o *antObject) bool {
	for _, name := range antUsageNames[:3] {
		if n, ok := antFigure(o.get(name)); ok && n > 0 {
			return false
		}
	}
	return true
}

func (s *antStream) index(o *antObject) (int64, error) {
	i, ok, err := o.integer("index")
	if err == nil && !ok {
		err = antBad("index", "is required")
	}
	return i, err
}

func (s *antStream) open(o *antObject) error {
	i, err := s.index(o)
	if err != nil {
		return err
	}
	s.close(i)
	raw := o.get("content_block")
	if raw == nil {
		return antBad("content_block", "is required")
	}
	p, err := antDecodeBlock(raw, true)
	if err != nil {
		return antIn("content_block", err)
	}
	b := &antBlock{kind: p.Kind, extra: p.Extra}
	s.blocks[i] = b
	switch p.Kind {
	case llm.PartOther:
		b.other, err = antParse(p.Raw)
		return err
	case llm.PartToolCall:
		if in, err := antParse([]byte(p.Tool.Arguments)); err == nil && len(in.members) == 0 {
			p.Tool.Arguments = ""
		}
	case llm.PartThinking:
		p.SignedBy = llm.Anthropic
	}
	b.part = s.parts
	s.parts++
	s.emit(llm.Event{Kind: llm.EventPart, Part: b.part, New: &p})
	return nil
}

// antTextDeltas are the deltas that are text of a part, with the member that
// holds it.
var antTextDeltas = []struct {
	kind   llm.PartKind
	word   string
	member string
}{
	{llm.PartText, "text_delta", "text"},
	{llm.PartThinking, "thinking_delta", "thinking"},
	{llm.PartThinking, "signature_delta", "signature"},
	{llm.PartToolCall, "input_json_delta", "partial_json"},
}

func (s *antStream) delta(o *antObject, data []byte) error {
	i, err := s.index(o)
	if err != nil {
		return err
	}
	d, err := antParse(o.get("delta"))
	if err != nil {
		return antIn("delta", err)
	}
	kind, err := d.need("type")
	if err != nil {
		return antIn("delta", err)
	}
	b := s.blocks[i]
	if b == nil {
		if b = s.openUnasked(i, kind); b == nil {
			return antBad("index", "names a block that is not open")
		}
	}
	if b.kind == llm.PartOther {
		return antIn("delta", b.grow(&d, kind))
	}
	for _, t := range antTextDeltas {
		if t.kind != b.kind || t.word != kind {
			continue
		}
		text, err := d.need(t.member)
		if err != nil {
			return antIn("delta", err)
		}
		ev := llm.Event{Kind: llm.EventDelta, Part: b.part, Text: text}
		if kind == "signature_delta" {
			ev.Kind = llm.EventSign
		}
		if text != "" {
			s.emit(ev)
		}
		return nil
	}
	if citation := d.get("citation"); kind == "citations_delta" && citation != nil && b.kind == llm.PartText {
		b.citations = append(b.citations, antClone(citation))
		return nil
	}
	s.other(data)
	return nil
}

// openUnasked opens the block of a server that sends text without a
// content_block_start.
func (s *antStream) openUnasked(i int64, delta string) *antBlock {
	p := &llm.Part{Extra: llm.Extra{Dialect: llm.Anthropic}}
	switch delta {
	case "text_delta":
		p.Kind = llm.PartText
	case "thinking_delta":
		p.Kind, p.SignedBy = llm.PartThinking, llm.Anthropic
	default:
		return nil
	}
	b := &antBlock{kind: p.Kind, part: s.parts, extra: p.Extra}
	s.blocks[i] = b
	s.parts++
	s.emit(llm.Event{Kind: llm.EventPart, Part: b.part, New: p})
	return b
}

// grow adds a delta to a block of PartOther: the pieces of its input, or
// members that extend (strings) or replace those of the block.
func (b *antBlock) grow(d *antObject, kind string) error {
	if kind == "input_json_delta" {
		piece, err := d.need("partial_json")
		b.input = append(b.input, piece...)
		return err
	}
	for _, m := range d.members {
		if m.name == "type" {
			continue
		}
		old := b.other.find(m.name)
		if old == nil {
			b.other.members = append(b.other.members, antMember{name: m.name, key: antClone(m.key), raw: antClone(m.raw)})
			continue
		}
		before, ok := wire.String(old.raw)
		more, isText := wire.String(m.raw)
		if ok && isText {
			old.raw = wire.AppendString(nil, before+more)
		} else {
			old.raw = antClone(m.raw)
		}
	}
	return nil
}

func (s *antStream) stop(o *antObject) error {
	i, err := s.index(o)
	if err == nil {
		s.close(i)
	}
	return err
}

// close ends the block of a wire index, if one is open.
func (s *antStream) close(i int64) {
	b := s.blocks[i]
	if b == nil {
		return
	}
	delete(s.blocks, i)
	end := llm.Event{Kind: llm.EventPartEnd}
	if b.kind == llm.PartOther {
		b.part = s.parts
		s.parts++
		s.emit(llm.Event{Kind: llm.EventPart, Part: b.part, New: b.whole()})
	}
	if b.citations != nil {
		end.New = &llm.Part{Kind: llm.PartText, Extra: antCite(b.extra, b.citations)}
	}
	end.Part = b.part
	s.emit(end)
}

// whole is the complete block of PartOther. Input that is no JSON, because the
// answer was cut off at its cap, stays as the block began with it.
func (b *antBlock) whole() *llm.Part {
	if m := b.other.find("input"); m != nil && len(bytes.TrimSpace(b.input)) > 0 && antIsJSON(b.input) {
		m.raw = b.input
	}
	return &llm.Part{Kind: llm.PartOther, Raw: b.other.left(), Extra: llm.Extra{Dialect: llm.Anthropic}}
}

// antCite adds citations to those of a text block's Extra.
func antCite(e llm.Extra, more [][]byte) llm.Extra {
	o := antFields(e)
	all := []byte{'['}
	if had, ok := antElements(o.get("citations")); ok {
		more = append(had, more...)
	}
	all = append(append(all, bytes.Join(more, []byte{','})...), ']')
	if m := o.find("citations"); m != nil {
		m.raw = all
	} else {
		o.members = append(o.members, antMember{name: "citations", key: []byte(`"citations"`), raw: all})
	}
	return o.extra(e.Form)
}

// closeAll ends the blocks that the upstream left open.
func (s *antStream) closeAll() {
	open := make([]int64, 0, len(s.blocks))
	for i := range s.blocks {
		open = append(open, i)
	}
	slices.Sort(open)
	for _, i := range open {
		s.close(i)
	}
}

// finish reads message_delta: usage first, then the stop. The Extra of the
// stop has what stands beside it (stop_details, container) and beside the
// delta (context_management), which a complete answer has side by side too.
func (s *antStream) finish(o *antObject) error {
	if raw := o.get("usage"); raw != nil {
		if err := s.count(raw, llm.UsageReported); err != nil {
			return antIn("usage", err)
		}
	}
	d := antObject{}
	if raw := o.get("delta"); raw != nil {
		var err error
		if d, err = antParse(raw); err != nil {
			return antIn("delta", err)
		}
	}
	stop, form := llm.Stop{}, uint32(0)
	if err := antDecodeStop(&d, &stop, &form); err != nil {
		return antIn("delta", err)
	}
	for _, name := range []string{"type", "delta", "usage"} {
		o.take(name)
	}
	for _, m := range o.members {
		if !m.taken && !d.has(m.name) {
			d.members = append(d.members, m)
		}
	}
	extra := d.extra(form)
	if stop.Reason == "" && extra.Members == nil && extra.Spelled == nil {
		return nil
	}
	s.closeAll()
	s.emit(llm.Event{Kind: llm.EventStop, Stop: stop, Extra: extra})
	return nil
}
