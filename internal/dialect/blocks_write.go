package dialect

import (
	"io"
	"slices"

	"tailplane/internal/llm"
)

// Streams of blocks, written, for the dialects in which they come one after the
// other while the parts of others may interleave. One block is open at a time:
// its deltas go out as they come. A text or thinking block ends when another part
// begins (more of it later becomes a new block); a tool's block ends only with
// its part, and what belongs to other parts waits until then, in order of
// opening. What ends an answer waits for the end of the stream, because some
// dialects tell the usage after the stop.

// blockWriter is the part of a writer that its dialect has no say in.
type blockWriter struct {
	w      io.Writer
	codec  Codec
	id     string // of the answer
	losses lossList
	out    []byte // whole events, not yet written
	err    error  // of w

	started bool
	native  bool // the stream came from this dialect
	done    bool
	blocks  blockQueue
	stop    *llm.Event
	usage   *llm.Event
}

// Losses implements [EventWriter].
func (b *blockWriter) Losses() []llm.Loss { return slices.Clone(b.losses.all) }

// Fail implements [EventWriter].
func (b *blockWriter) Fail(f *llm.Fault, requestID string) error {
	if b.err != nil || b.done {
		return b.err
	}
	b.done = true
	b.out = b.codec.AppendFault(b.out[:0], f, requestID)
	return b.send()
}

func (b *blockWriter) send() error {
	if len(b.out) > 0 {
		_, b.err = b.w.Write(b.out)
	}
	return b.err
}

// takes reports whether ev is to be written; start, if any, is what the stream has
// to begin with before it.
func (b *blockWriter) takes(ev *llm.Event) (start *llm.Reply, ok bool) {
	b.out = b.out[:0]
	switch {
	case b.err != nil || b.done:
		return nil, false
	case ev.Choice > 0:
		b.losses.one(b.codec.Name())
		return nil, false
	case b.started || ev.Kind == llm.EventPing || ev.Kind == llm.EventFault:
		return nil, true
	case ev.Kind == llm.EventStart && ev.Start != nil:
		return ev.Start, true
	}
	return &llm.Reply{}, true
}

// begin notes the start of an answer.
func (b *blockWriter) begin(r *llm.Reply) {
	b.started, b.native, b.id = true, r.Extra.Dialect == b.codec.Name(), r.ID
	b.losses.extra("", r.Extra, b.codec.Name())
}

// inAnswer takes what comes between the start of an answer and its stop, and the
// usage.
func (b *blockWriter) inAnswer(t blockTeller, ev *llm.Event) {
	switch ev.Kind {
	case llm.EventPart:
		if ev.New != nil {
			block := withCallID(*ev.New, b.id, ev.Part)
			b.blocks.part(t, ev.Part, block, !b.sayable(&block))
		}
	case llm.EventDelta:
		b.blocks.more(t, ev, false)
	case llm.EventSign:
		b.blocks.more(t, ev, true)
	case llm.EventPartEnd:
		if p := b.blocks.parts[ev.Part]; p != nil && !p.skip && ev.New != nil {
			b.losses.extra("content", ev.New.Extra, b.codec.Name())
		}
		if b.blocks.end(t, ev) {
			b.losses.add("content.thinking.signature", "it came after another block had begun")
		}
	case llm.EventLogprobs:
		b.losses.none("logprobs", b.codec.Name())
	case llm.EventUsage:
		if ev.Usage != nil {
			b.usage = new(*ev)
		}
	}
}

// sayable declares what of a part cannot be said, and whether it can at all.
func (b *blockWriter) sayable(p *llm.Part) bool {
	d := b.codec.Name()
	if p.Extra.Dialect == d {
		return true
	}
	b.losses.extra("content", p.Extra, d)
	switch p.Kind {
	case llm.PartText, llm.PartRefusal, llm.PartThinking:
		return true
	case llm.PartToolCall:
		return p.Tool != nil
	case llm.PartOther:
		b.losses.add("content", "a block that only "+string(p.Extra.Dialect)+" knows was left out")
		return false
	}
	b.losses.placeless(p.Kind, d)
	return false
}

// ownOther reports whether an EventOther is of this dialect; another is a loss.
func (b *blockWriter) ownOther(ev *llm.Event) bool {
	switch ev.Extra.Dialect {
	case b.codec.Name():
		return true
	case llm.Chat, llm.Completions, llm.Gemini: // the members that a chunk has beyond the canonical form
		prefix := ""
		if ev.Extra.Form == otherChoice {
			prefix = "choices"
		}
		b.losses.extra(prefix, llm.Extra{Dialect: ev.Extra.Dialect, Members: ev.Raw}, b.codec.Name())
	default:
		b.losses.add("events", "an event that only "+string(ev.Extra.Dialect)+" knows was left out")
	}
	return false
}

// faultOf is what an EventFault tells.
func faultOf(ev *llm.Event) *llm.ErrorBody {
	if ev.Fault == nil {
		return &llm.ErrorBody{}
	}
	return ev.Fault
}

// blockPart is a part of the stream.
type blockPart struct {
	block     llm.Part // as it began
	text      []byte   // not yet told
	signature []byte
	end       *llm.Part
	open      bool // its start is out
	ended     bool // its PartEnd has come
	index     int
	skip      bool // it cannot be said
	told      bool // converse: a delta of its text is out
}

// blockTeller writes the events of blocks.
type blockTeller interface {
	// empty says that p has nothing to tell yet.
	empty(p *blockPart) bool
	// waits says that p can be told only when it is complete.
	waits(p *blockPart) bool
	openBlock(p *blockPart)
	tellText(p *blockPart)
	endBlock(p *blockPart)
}

// blockQueue holds the parts that have begun and are not fully told; the first
// may be open.
type blockQueue struct {
	parts map[int]*blockPart
	queue []*blockPart
	index int // of the next block
}

// part begins a part.
func (q *blockQueue) part(t blockTeller, at int, block llm.Part, skip bool) {
	p := &blockPart{block: block, skip: skip}
	if q.parts == nil {
		q.parts = make(map[int]*blockPart)
	}
	q.parts[at] = p
	if block.Tool != nil {
		p.text = append(p.text, block.Tool.Arguments...)
	} else if block.Kind != llm.PartOther {
		p.text = append(p.text, unquoted(block.Text)...)
	}
	p.signature = append(p.signature, block.Signature...)
	if skip {
		return
	}
	q.queue = append(q.queue, p)
	q.drain(t, false)
}

// more adds text or, with sign, a piece of a signature.
func (q *blockQueue) more(t blockTeller, ev *llm.Event, sign bool) {
	p := q.parts[ev.Part]
	if p == nil || p.skip || ev.Text == "" {
		return
	}
	if sign {
		p.signature = append(p.signature, ev.Text...)
		return
	}
	p.text = append(p.text, ev.Text...)
	if !slices.Contains(q.queue, p) { // its block had to end; it goes on in a new one
		p.open, p.ended, p.told = false, false, false
		p.block.Text = nil
		q.queue = append(q.queue, p)
	}
	q.drain(t, false)
}

// end ends a part. late says that its signature came when its block had ended.
func (q *blockQueue) end(t blockTeller, ev *llm.Event) (late bool) {
	p := q.parts[ev.Part]
	if p == nil || p.skip {
		return false
	}
	p.ended, p.end = true, ev.New
	signed := len(p.signature) > 0 || ev.New != nil && ev.New.Signature != ""
	late = signed && !slices.Contains(q.queue, p)
	q.drain(t, false)
	return late
}

// drain tells what the queue holds as far as the order of blocks allows; all
// ends every part.
func (q *blockQueue) drain(t blockTeller, all bool) {
	for len(q.queue) > 0 {
		p := q.queue[0]
		over := p.ended || all || len(q.queue) > 1 && p.cuttable()
		if t.waits(p) && !over {
			return
		}
		if !p.open && t.empty(p) {
			if !over {
				return
			}
			q.queue = q.queue[1:]
			continue
		}
		if !p.open {
			p.open, p.index = true, q.index
			q.index++
			t.openBlock(p)
		}
		t.tellText(p)
		if !over {
			return
		}
		t.endBlock(p)
		p.open = false
		q.queue = q.queue[1:]
	}
}

// empty says that p has nothing to tell yet: a text without a character, which the
// dialect's provider would refuse when the client hands it back.
func (b *blockWriter) empty(p *blockPart) bool {
	return p.isText() && len(p.text) == 0 && p.block.Extra.Dialect != b.codec.Name()
}

// signed is the part with its final signature, which is told in one piece because
// clients expect that: the one that its end tells, if it does.
func (p *blockPart) signed() llm.Part {
	s := p.block
	s.Signature = string(p.signature)
	p.signature = p.signature[:0]
	if p.end != nil {
		if p.end.Signature != "" {
			s.Signature = p.end.Signature
		}
		if s.SignedBy == "" {
			s.SignedBy = p.end.SignedBy
		}
	}
	return s
}

// isText says that the part is text of the answer.
func (p *blockPart) isText() bool {
	return p.block.Kind == llm.PartText || p.block.Kind == llm.PartRefusal
}

// cuttable says that the block may end before its part does.
func (p *blockPart) cuttable() bool {
	return p.isText() || p.block.Kind == llm.PartThinking && !p.block.Redacted
}

// redacted says that the part is thinking that stands whole in its signature.
func (p *blockPart) redacted() bool {
	return p.block.Kind == llm.PartThinking && p.block.Redacted
}
