package dialect

import (
	"slices"

	"tailplane/internal/llm"
)

// Blocks of a written stream, for the dialects in which they come one after the
// other while the parts of others may interleave. One block is open at a time:
// its deltas go out as they come. A text or thinking block ends when another part
// begins (more of it later becomes a new block); a tool's block ends only with
// its part, and what belongs to other parts waits until then, in order of
// opening.

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
		p.text = append(p.text, block.Text...)
	}
	p.signature = append(p.signature, block.Signature...)
	if skip {
		return
	}
	q.queue = append(q.queue, p)
	q.drain(t, false)
}

// more adds text or, with sign, a piece of a signature.
func (q *blockQueue) more(t blockTeller, ev llm.Event, sign bool) {
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
		p.block.Text = ""
		q.queue = append(q.queue, p)
	}
	q.drain(t, false)
}

// end ends a part. late says that its signature came when its block had ended.
func (q *blockQueue) end(t blockTeller, ev llm.Event) (late bool) {
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
