package dialect

import (
	"bytes"
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
// message_start, also for the input; see anthropicCounts.count.

// Events implements Codec.
func (AnthropicCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		var events wire.EventReader
		events.Reset(r, 0)
		defer events.Release()
		s := &anthropicStream{blocks: make(map[int64]*anthropicBlock)}
		s.read(&events, s.event, func() error { return io.ErrUnexpectedEOF }, yield)
	}
}

// anthropicStream is the state of one stream.
type anthropicStream struct {
	blockReader
	id     string
	blocks map[int64]*anthropicBlock // open, by their index on the wire
	counts anthropicCounts
	usage  object // the members of all usage objects, later over earlier
}

// anthropicBlock is a block that has begun and not ended.
type anthropicBlock struct {
	part  int
	kind  llm.PartKind
	extra llm.Extra // of the start, for citations

	citations [][]byte
	other     *object // PartOther: the block so far
	input     []byte  // PartOther: the pieces of its input
}

func (s *anthropicStream) event(ev wire.Event) error {
	if len(ev.Data) == 0 || string(ev.Data) == "[DONE]" {
		if anthropicKindOf(ev) == anthropicPing {
			s.emit(llm.Event{Kind: llm.EventPing})
		}
		return nil
	}
	kind := anthropicKindOf(ev)
	if kind == anthropicErrorEvent {
		b := AnthropicCodec{}.DecodeError(ev.Data)
		s.emit(llm.Event{Kind: llm.EventFault, Fault: &b})
		return nil
	}
	o, err := s.memory.parse(ev.Data)
	if err != nil {
		return fmt.Errorf("event %s: %w", ev.Name, err)
	}
	if !s.started && kind != anthropicMessageStart && kind != anthropicPing && kind != anthropicUnknown {
		return fmt.Errorf("event %s: comes before message_start", anthropicKinds[kind])
	}
	s.object = o
	switch kind {
	case anthropicMessageStart:
		s.start(o)
	case anthropicBlockStart:
		s.begin(o)
	case anthropicBlockDelta:
		s.delta(o, ev.Data)
	case anthropicBlockStop:
		s.close(o.place("index"))
	case anthropicMessageDelta:
		s.finish(o)
	case anthropicMessageStop:
		s.closeAll()
		s.emit(llm.Event{Kind: llm.EventEnd})
		s.ended = true
	case anthropicPing:
		s.emit(llm.Event{Kind: llm.EventPing})
	default:
		s.other(ev.Data)
	}
	if err := o.err(); err != nil {
		return fmt.Errorf("event %s: %w", anthropicKinds[kind], err)
	}
	return nil
}

// other passes on what only this dialect knows.
func (s *anthropicStream) other(data []byte) {
	s.emit(llm.Event{Kind: llm.EventOther, Raw: bytes.Clone(data), Extra: llm.Extra{Dialect: llm.Anthropic}})
}

func (s *anthropicStream) start(o *object) {
	m := o.open(o.get("message"), o.under("message"))
	if s.started {
		if id, _ := wire.Unquote(m.peek("id")); id != s.id {
			m.wrong("id", "a second message begins before the first has ended")
		}
		return
	}
	r, stop := anthropicDecodeMessage(m)
	s.started, s.id = true, r.ID
	if stop.Reason != "" {
		m.release("stop_reason")
		r.Extra.Form |= anthropicNoStop
	}
	parts := anthropicBlocks(m, "content", elements(m.take("content")), true)
	r.Extra = anthropicExtra(m, r.Extra.Form)
	if r.HasUsage {
		r.Usage.Source = llm.UsageTapped
	}
	s.emit(llm.Event{Kind: llm.EventStart, Start: r})
	if r.HasUsage {
		s.count(m, m.peek("usage"), llm.UsageTapped)
	}
	for i := range parts {
		s.emit(llm.Event{Kind: llm.EventPartEnd, Part: s.open(&parts[i])})
	}
}

// count takes the usage that stands in up over the earlier ones and tells the sum
// of them.
func (s *anthropicStream) count(up *object, raw []byte, source llm.UsageSource) {
	at := up.under("usage")
	o := up.open(raw, at)
	before := s.counts
	if !s.counts.count(raw, wire.Span{End: len(raw)}) {
		up.wrong("usage", "is not a usage")
	}
	keeps := before.input+before.write+before.read > 0 && anthropicNoInputIn(o)
	for i := range o.members {
		m := &o.members[i]
		silent := wire.IsNull(m.value) || keeps && slices.Contains(anthropicUsageNames[:3], m.name())
		if !silent || s.usage.find(m.name()) < 0 {
			s.usage.put(m.key, m.value)
		}
	}
	sum := s.usage.left()
	_, extra := anthropicDecodeUsage(up.open(sum, at))
	u := s.counts.usage()
	u.Source = source
	s.emit(llm.Event{Kind: llm.EventUsage, Usage: &u, Extra: extra})
}

func anthropicNoInputIn(o *object) bool {
	for _, name := range anthropicUsageNames[:3] {
		if n, ok := tokenCount(o.get(name)); ok && n > 0 {
			return false
		}
	}
	return true
}

// begin reads content_block_start.
func (s *anthropicStream) begin(o *object) {
	i := o.place("index")
	s.close(i)
	raw := o.raw("content_block")
	if raw == nil {
		o.wrong("content_block", "is required")
		return
	}
	p := anthropicDecodeBlock(o.open(raw, o.under("content_block")), raw, true)
	b := &anthropicBlock{kind: p.Kind, extra: p.Extra}
	s.blocks[i] = b
	switch p.Kind {
	case llm.PartOther:
		b.other, _ = openObject(p.Raw, where{}) // it has been opened before
		return
	case llm.PartToolCall:
		if ofSuch([]byte(p.Tool.Arguments), func([]byte) bool { return false }) {
			p.Tool.Arguments = ""
		}
	case llm.PartThinking:
		p.SignedBy = llm.Anthropic
	}
	ownTexts(&p)
	b.part = s.open(&p)
}

// anthropicTextDeltas are the deltas that are text of a part, with the member that
// holds it.
var anthropicTextDeltas = []struct {
	kind   llm.PartKind
	word   string
	member string
}{
	{llm.PartText, "text_delta", "text"},
	{llm.PartThinking, "thinking_delta", "thinking"},
	{llm.PartThinking, "signature_delta", "signature"},
	{llm.PartToolCall, "input_json_delta", "partial_json"},
}

func (s *anthropicStream) delta(o *object, data []byte) {
	i := o.place("index")
	d := o.open(o.get("delta"), o.under("delta"))
	kind := d.need("type")
	b := s.blocks[i]
	if b == nil {
		if b = s.openUnasked(i, kind); b == nil {
			o.wrong("index", "names a block that is not open")
			return
		}
	}
	if b.kind == llm.PartOther {
		b.grow(d, kind)
		return
	}
	for _, t := range anthropicTextDeltas {
		if t.kind != b.kind || t.word != kind {
			continue
		}
		text := d.need(t.member)
		ev := llm.Event{Kind: llm.EventDelta, Part: b.part, Text: text}
		if kind == "signature_delta" {
			ev.Kind = llm.EventSign
		}
		if text != "" {
			s.emit(ev)
		}
		return
	}
	if citation := d.get("citation"); kind == "citations_delta" && citation != nil && b.kind == llm.PartText {
		b.citations = append(b.citations, bytes.Clone(citation))
		return
	}
	s.other(data)
}

// openUnasked opens the block of a server that sends text without a
// content_block_start.
func (s *anthropicStream) openUnasked(i int64, delta string) *anthropicBlock {
	p := &llm.Part{Extra: llm.Extra{Dialect: llm.Anthropic}}
	switch delta {
	case "text_delta":
		p.Kind = llm.PartText
	case "thinking_delta":
		p.Kind, p.SignedBy = llm.PartThinking, llm.Anthropic
	default:
		return nil
	}
	b := &anthropicBlock{kind: p.Kind, part: s.open(p), extra: p.Extra}
	s.blocks[i] = b
	return b
}

// grow adds a delta to a block of PartOther: the pieces of its input, or
// members that extend (strings) or replace those of the block.
func (b *anthropicBlock) grow(d *object, kind string) {
	if kind == "input_json_delta" {
		b.input = append(b.input, d.need("partial_json")...)
		return
	}
	d.take("type")
	for i := range d.members {
		m := &d.members[i]
		if m.use != useLeft {
			continue
		}
		value := m.value
		before, ok := wire.Unquote(b.other.peek(m.name()))
		if more, isText := wire.Unquote(value); ok && isText {
			value = stringJSON(before + more)
		}
		b.other.put(m.key, value)
	}
}

// close ends the block of a wire index, if one is open.
func (s *anthropicStream) close(i int64) {
	b := s.blocks[i]
	if b == nil {
		return
	}
	delete(s.blocks, i)
	end := llm.Event{Kind: llm.EventPartEnd}
	if b.kind == llm.PartOther {
		b.part = s.open(b.whole())
	}
	if b.citations != nil {
		end.New = &llm.Part{Kind: llm.PartText, Extra: anthropicCite(b.extra, b.citations)}
	}
	end.Part = b.part
	s.emit(end)
}

// whole is the complete block of PartOther. Input that is no JSON, because the
// answer was cut off at its cap, stays as the block began with it.
func (b *anthropicBlock) whole() *llm.Part {
	if len(bytes.TrimSpace(b.input)) > 0 && isJSON(b.input) && b.other.has("input") {
		b.other.put([]byte(`"input"`), b.input)
	}
	return &llm.Part{Kind: llm.PartOther, Raw: b.other.left(), Extra: llm.Extra{Dialect: llm.Anthropic}}
}

// anthropicCite adds citations to those of a text block's Extra.
func anthropicCite(e llm.Extra, more [][]byte) llm.Extra {
	all := append(anthropicCitations(e), more...)
	cited := closeRaw(appendRaw(nil, []byte(`"citations"`), arrayJSON(all)))
	e.Members = mergeMembers(e.Members, cited)
	return e
}

// anthropicCitations are the citations that a text block's Extra keeps.
func anthropicCitations(e llm.Extra) [][]byte {
	o := kept(e.In(llm.Anthropic).Members)
	if o == nil {
		return nil
	}
	return elements(o.peek("citations"))
}

// closeAll ends the blocks that the upstream left open.
func (s *anthropicStream) closeAll() {
	for _, i := range slices.Sorted(maps.Keys(s.blocks)) {
		s.close(i)
	}
}

// finish reads message_delta: usage first, then the stop. The Extra of the
// stop has what stands beside it (stop_details, container) and beside the
// delta (context_management), which a complete answer has side by side too.
func (s *anthropicStream) finish(o *object) {
	if raw := o.raw("usage"); raw != nil {
		s.count(o, raw, llm.UsageReported)
	}
	d := o.none("delta")
	if raw := o.raw("delta"); raw != nil {
		d = o.open(raw, d.where)
	}
	stop, form := anthropicDecodeStop(d)
	o.take("type")
	o.take("delta")
	o.take("usage")
	for i := range o.members {
		if m := &o.members[i]; m.use == useLeft && !d.has(m.name()) {
			d.add(*m, m.hash)
		}
	}
	extra := anthropicExtra(d, form)
	if stop.Reason == "" && extra.Members == nil && extra.Spelled == nil {
		return
	}
	s.closeAll()
	s.emit(llm.Event{Kind: llm.EventStop, Stop: stop, Extra: extra})
}
