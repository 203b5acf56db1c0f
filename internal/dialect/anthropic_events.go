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
	usage   object // the members of all usage objects, later over earlier
}

// antBlock is a block that has begun and not ended.
type antBlock struct {
	part  int
	kind  llm.PartKind
	extra llm.Extra // of the start, for citations

	citations [][]byte
	other     *object // PartOther: the block so far
	input     []byte  // PartOther: the pieces of its input
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
	o, err := parseObject(ev.Data)
	if err != nil {
		return fmt.Errorf("event %s: %w", ev.Name, err)
	}
	if !s.started && kind != antMessageStart && kind != antPing && kind != antUnknown {
		return fmt.Errorf("event %s: comes before message_start", antKinds[kind])
	}
	switch kind {
	case antMessageStart:
		err = s.start(o)
	case antBlockStart:
		err = s.open(o)
	case antBlockDelta:
		err = s.delta(o, ev.Data)
	case antBlockStop:
		err = s.stop(o)
	case antMessageDelta:
		err = s.finish(o)
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
	s.emit(llm.Event{Kind: llm.EventOther, Raw: bytes.Clone(data), Extra: llm.Extra{Dialect: llm.Anthropic}})
}

func (s *antStream) start(o *object) error {
	m, err := openObject(o.get("message"), o.under("message"))
	if err != nil {
		return err
	}
	if s.started {
		if id, _ := wire.String(m.peek("id")); id != s.id {
			return m.under("id").wrong("a second message begins before the first has ended")
		}
		return nil
	}
	r, stop, err := antDecodeMessage(m)
	if err != nil {
		return err
	}
	s.started, s.id = true, r.ID
	if stop.Reason != "" {
		m.release("stop_reason")
		r.Extra.Form |= antNoStop
	}
	parts, err := antBlocks(elements(m.take("content")), m.under("content"), true)
	if err != nil {
		return err
	}
	r.Extra = antExtra(m, r.Extra.Form)
	if r.HasUsage {
		r.Usage.Source = llm.UsageTapped
	}
	s.emit(llm.Event{Kind: llm.EventStart, Start: r})
	if r.HasUsage {
		if err := s.count(m.peek("usage"), m.under("usage"), llm.UsageTapped); err != nil {
			return err
		}
	}
	for i := range parts {
		s.emit(llm.Event{Kind: llm.EventPart, Part: s.parts, New: &parts[i]})
		s.emit(llm.Event{Kind: llm.EventPartEnd, Part: s.parts})
		s.parts++
	}
	return nil
}

// count takes a usage object over the earlier ones and tells the sum of them.
func (s *antStream) count(raw []byte, at where, source llm.UsageSource) error {
	o, err := openObject(raw, at)
	if err != nil {
		return err
	}
	before := s.counts
	if !s.counts.count(raw, wire.Span{End: len(raw)}) {
		return at.wrong("is not a usage")
	}
	keeps := before.input+before.write+before.read > 0 && antNoInputIn(o)
	for i := range o.members {
		m := &o.members[i]
		silent := wire.IsNull(m.value) || keeps && slices.Contains(antUsageNames[:3], m.name())
		if !silent || s.usage.find(m.name()) < 0 {
			s.usage.put(m.key, m.value)
		}
	}
	_, extra, err := antDecodeUsage(s.usage.left(), at)
	if err != nil {
		return err
	}
	u := s.counts.usage()
	u.Source = source
	s.emit(llm.Event{Kind: llm.EventUsage, Usage: &u, Extra: extra})
	return nil
}

func antNoInputIn(o *object) bool {
	for _, name := range antUsageNames[:3] {
		if n, ok := antFigure(o.get(name)); ok && n > 0 {
			return false
		}
	}
	return true
}

func (s *antStream) index(o *object) (int64, error) {
	i, err := o.integer("index")
	if err != nil {
		return 0, err
	}
	if i == nil {
		return 0, o.under("index").wrong("is required")
	}
	return *i, nil
}

func (s *antStream) open(o *object) error {
	i, err := s.index(o)
	if err != nil {
		return err
	}
	s.close(i)
	raw := o.raw("content_block")
	if raw == nil {
		return o.under("content_block").wrong("is required")
	}
	p, err := antDecodeBlock(raw, o.under("content_block"), true)
	if err != nil {
		return err
	}
	b := &antBlock{kind: p.Kind, extra: p.Extra}
	s.blocks[i] = b
	switch p.Kind {
	case llm.PartOther:
		b.other, err = openObject(p.Raw, where{})
		return err
	case llm.PartToolCall:
		if ofSuch([]byte(p.Tool.Arguments), func([]byte) bool { return false }) {
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

func (s *antStream) delta(o *object, data []byte) error {
	i, err := s.index(o)
	if err != nil {
		return err
	}
	d, err := openObject(o.get("delta"), o.under("delta"))
	if err != nil {
		return err
	}
	kind, err := d.need("type")
	if err != nil {
		return err
	}
	b := s.blocks[i]
	if b == nil {
		if b = s.openUnasked(i, kind); b == nil {
			return o.under("index").wrong("names a block that is not open")
		}
	}
	if b.kind == llm.PartOther {
		return b.grow(d, kind)
	}
	for _, t := range antTextDeltas {
		if t.kind != b.kind || t.word != kind {
			continue
		}
		text, err := d.need(t.member)
		if err != nil {
			return err
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
		b.citations = append(b.citations, bytes.Clone(citation))
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
func (b *antBlock) grow(d *object, kind string) error {
	if kind == "input_json_delta" {
		piece, err := d.need("partial_json")
		b.input = append(b.input, piece...)
		return err
	}
	d.take("type")
	for i := range d.members {
		m := &d.members[i]
		if m.use != useLeft {
			continue
		}
		value := m.value
		before, ok := wire.String(b.other.peek(m.name()))
		if more, isText := wire.String(value); ok && isText {
			value = stringJSON(before + more)
		}
		b.other.put(m.key, value)
	}
	return nil
}

func (s *antStream) stop(o *object) error {
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
	if len(bytes.TrimSpace(b.input)) > 0 && isJSON(b.input) && b.other.has("input") {
		b.other.put([]byte(`"input"`), b.input)
	}
	return &llm.Part{Kind: llm.PartOther, Raw: b.other.left(), Extra: llm.Extra{Dialect: llm.Anthropic}}
}

// antCite adds citations to those of a text block's Extra.
func antCite(e llm.Extra, more [][]byte) llm.Extra {
	all := append(antCitations(e), more...)
	cited := closeRaw(appendRaw(nil, []byte(`"citations"`), arrayJSON(all)))
	e.Members = mergeMembers(e.Members, cited)
	return e
}

// antCitations are the citations that a text block's Extra keeps.
func antCitations(e llm.Extra) [][]byte {
	o := kept(e.In(llm.Anthropic).Members)
	if o == nil {
		return nil
	}
	return elements(o.peek("citations"))
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
func (s *antStream) finish(o *object) error {
	if raw := o.raw("usage"); raw != nil {
		if err := s.count(raw, o.under("usage"), llm.UsageReported); err != nil {
			return err
		}
	}
	d := &object{where: o.under("delta")}
	if raw := o.raw("delta"); raw != nil {
		var err error
		if d, err = openObject(raw, d.where); err != nil {
			return err
		}
	}
	stop, form, err := antDecodeStop(d)
	if err != nil {
		return err
	}
	o.take("type")
	o.take("delta")
	o.take("usage")
	for i := range o.members {
		if m := &o.members[i]; m.use == useLeft && !d.has(m.name()) {
			d.members = append(d.members, *m)
		}
	}
	extra := antExtra(d, form)
	if stop.Reason == "" && extra.Members == nil && extra.Spelled == nil {
		return nil
	}
	s.closeAll()
	s.emit(llm.Event{Kind: llm.EventStop, Stop: stop, Extra: extra})
	return nil
}
