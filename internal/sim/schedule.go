package sim

import (
	"slices"
	"time"
)

// Rules of this file: running sequences are served before waiting ones, both in
// the order they came; a sequence holds blocks for all its computed tokens and,
// from admission, for its whole prompt; a step that had to preempt admits
// nobody.

// startStep begins a step if the engine is idle and has something to do.
func (e *Engine) startStep() {
	if e.stepping {
		return
	}
	work, preempted := e.scheduleRunning()
	if !preempted || work.Seqs == 0 {
		e.admit(&work)
	}
	if work.Seqs == 0 {
		return
	}
	d := e.profile.Step(work)
	if e.profile.Jitter > 0 {
		d = time.Duration(float64(d) * (1 + e.profile.Jitter*(2*e.rng.Float64()-1)))
	}
	e.stepping, e.stepEnd = true, e.now+d
	e.counters.Steps++
}

// scheduleRunning gives each running sequence its chunk, oldest first. Where
// the blocks run out, the youngest sequence is preempted until they suffice.
func (e *Engine) scheduleRunning() (work Work, preempted bool) {
	budget := e.profile.StepTokens
	for i := 0; i < len(e.running); i++ {
		s := e.running[i]
		s.chunk = 0
		n := min(s.total-s.computed, budget)
		if n == 0 {
			continue
		}
		for !e.grow(s, s.computed+n) {
			preempted = true
			last := e.running[len(e.running)-1]
			e.preempt(last)
			if last == s {
				return work, true
			}
		}
		e.assign(s, n, &work)
		budget -= n
	}
	return work, preempted
}

// assign puts n tokens of s into the step.
func (e *Engine) assign(s *sequence, n int, work *Work) {
	s.chunk = n
	if n == 1 && s.total > s.req.Prompt && s.computed == s.total-1 {
		work.addDecode(s.computed)
		return
	}
	work.addPrefill(n, s.computed)
}

// grow allocates blocks until s can hold tokens. On false it keeps what it got.
func (e *Engine) grow(s *sequence, tokens int) bool {
	for len(s.blocks)*e.profile.BlockSize < tokens {
		b, ok := e.cache.alloc()
		if !ok {
			return false
		}
		s.blocks = append(s.blocks, b)
	}
	return true
}

// preempt puts the last running sequence back at the head of the queue. What it
// computed is lost, except for blocks that stay in the prefix cache.
func (e *Engine) preempt(s *sequence) {
	e.running = e.running[:len(e.running)-1]
	e.cache.release(s.blocks)
	s.blocks, s.sealed, s.computed, s.chunk = s.blocks[:0], 0, 0, 0
	e.waiting = slices.Insert(e.waiting, 0, s)
	e.counters.Preemptions++
}

// admit takes waiting sequences in order, while the token budget, the batch
// size and the free blocks last. The first that does not fit stops it.
func (e *Engine) admit(work *Work) {
	budget := e.profile.StepTokens
	for _, s := range e.running {
		budget -= s.chunk
	}
	for len(e.waiting) > 0 && budget > 0 && len(e.running) < e.profile.MaxSeqs {
		s := e.waiting[0]
		if !e.admitOne(s) {
			return
		}
		e.waiting[0] = nil
		e.waiting = e.waiting[1:]
		n := min(s.total-s.computed, budget)
		e.assign(s, n, work)
		budget -= n
		e.running = append(e.running, s)
	}
}

// admitOne takes all the blocks s needs for the tokens it has, reusing its
// cached prefix and what another engine has computed, or takes nothing. The last token is always computed again:
// its output is what the request asks for.
func (e *Engine) admitOne(s *sequence) bool {
	size := e.profile.BlockSize
	usable := s.req.Hashes[:min(len(s.req.Hashes), (s.total-1)/size)]
	hits, freeHits := e.cache.match(usable)
	need := (s.total+size-1)/size - hits
	if need > e.cache.free-freeHits {
		return false
	}
	for _, h := range usable[:hits] {
		s.blocks = append(s.blocks, e.cache.acquire(h))
	}
	e.grow(s, s.total)
	s.computed, s.sealed = hits*size, hits
	if !s.admitted {
		s.admitted = true
		e.counters.PrefixQueries += int64(s.req.Prompt)
		e.counters.PrefixHits += int64(s.computed)
		// What another engine hands over is there once: after a preemption it is
		// computed here.
		s.computed = max(s.computed, min(s.req.Remote, s.req.Prompt-1))
		s.cached = s.computed
		s.queued = e.now - s.arrived
	}
	return true
}

// finishStep books the step that ends now: tokens come out, full blocks are
// sealed, finished sequences leave.
func (e *Engine) finishStep() {
	e.stepping = false
	keep := e.running[:0]
	for _, s := range e.running {
		s.computed += s.chunk
		moved := s.chunk > 0
		s.chunk = 0
		e.seal(s)
		if moved && s.computed == s.total && e.emit(s) {
			e.cache.release(s.blocks)
			delete(e.live, s.req.ID)
			continue
		}
		keep = append(keep, s)
	}
	clear(e.running[len(keep):])
	e.running = keep
}

func (e *Engine) seal(s *sequence) {
	full := min(s.computed/e.profile.BlockSize, len(s.req.Hashes))
	for ; s.sealed < full; s.sealed++ {
		e.cache.seal(s.blocks[s.sealed], s.req.Hashes[s.sealed])
	}
}

// emit gives out the token that a complete computation of s yields and reports
// whether it was the last.
func (e *Engine) emit(s *sequence) (done bool) {
	generated := s.total - s.req.Prompt
	m := Emission{ID: s.req.ID, At: e.now, Token: generated, Cached: s.cached, Queued: s.queued}
	if s.req.Output == 0 {
		m.Token, m.Done = -1, true
	} else {
		s.total++
		m.Done = generated+1 == s.req.Output
	}
	e.out = append(e.out, m)
	return m.Done
}
