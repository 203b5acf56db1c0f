package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Rules of this file: time only comes in as an argument and only moves forward.
// A step starts the moment there is work and the engine is idle, and everything
// that happens during a step is seen by the next one. Events at one instant
// have one order: the running step ends (and the next one starts), then entries
// reach the queue, then what the caller asks for. So the result does not depend
// on how often or how coarsely the caller advances the engine.

// ErrQueueFull is returned by Engine.Submit when the waiting queue is at its
// limit; the request is not taken.
var ErrQueueFull = errors.New("sim: the waiting queue is full")

// ErrTooLong is returned, wrapped with the numbers, by Engine.Submit when a
// request can never fit.
var ErrTooLong = errors.New("sim: the request does not fit the engine")

// Request is what the engine needs to know about a request.
type Request struct {
	ID     uint64 // chosen by the caller, unique among the requests in the engine
	Prompt int    // prompt tokens, at least 1
	Output int    // tokens to generate; 0 means prefill only (an embedding)
	Remote int    // leading prompt tokens that another engine has computed
	// Hashes are the chain hashes of the full blocks of the whole sequence,
	// prompt first, then output: equal hash means equal prefix. May be shorter
	// than the sequence; blocks without a hash are never shared.
	Hashes []uint64
}

// Emission is one thing an engine gave out: a token of a request, or the end of
// a request without output.
type Emission struct {
	ID     uint64
	At     time.Duration
	Token  int           // 0 for the first token; -1 at the end of a prefill-only request
	Done   bool          // the request's last emission
	Cached int           // prompt tokens found in the prefix cache at first admission
	Queued time.Duration // from Submit to first admission, Profile.Entry included
}

// Counters only grow.
type Counters struct {
	PrefixQueries int64 // prompt tokens looked up, once per request
	PrefixHits    int64 // of these, found
	Preemptions   int64
	Steps         int64
	Aborted       int64
}

// Load is the state an engine's metrics show.
type Load struct {
	Running, Waiting int // Waiting includes requests still in the front end
	UsedBlocks       int // blocks some sequence refers to, plus held ones
	Blocks           int
}

// Engine is the simulated engine of one Profile: first come, first served
// waiting queue, chunked prefill within a token budget, KV blocks with a prefix
// cache, admission only when the whole prompt fits, preemption by recomputing
// the youngest sequence, one token per decode step. It is deterministic in its
// seed and the calls made. Not safe for concurrent use.
type Engine struct {
	profile  Profile
	rng      *rand.Rand
	cache    *kvCache
	now      time.Duration
	entering []*sequence // in order of ready
	waiting  []*sequence
	running  []*sequence // in order of admission
	stepping bool
	stepEnd  time.Duration
	live     map[uint64]*sequence
	held     []int32
	out      []Emission
	spare    []Emission
	counters Counters
}

// sequence is a request inside the engine. total-computed tokens are still to
// be computed; when that reaches zero the step emits a token.
type sequence struct {
	req      Request
	arrived  time.Duration
	ready    time.Duration
	queued   time.Duration
	admitted bool // at least once
	total    int  // prompt plus generated so far
	computed int
	chunk    int // tokens in the running step
	cached   int
	blocks   []int32
	sealed   int
}

// NewEngine returns an idle engine at time zero. The seed only drives
// Profile.Jitter.
func NewEngine(p Profile, seed uint64) (*Engine, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &Engine{
		profile: p,
		rng:     rand.New(rand.NewPCG(seed, 0x7461696c706c616e)),
		cache:   newKVCache(p.Blocks()),
		live:    make(map[uint64]*sequence),
	}, nil
}

// Submit hands a request to the engine at time now. Times in the past count as
// the engine's present. Emissions of what happens up to now are kept for the
// next Advance.
func (e *Engine) Submit(now time.Duration, r Request) error {
	e.run(now)
	if err := e.fits(r); err != nil {
		return err
	}
	if e.profile.MaxWaiting > 0 && len(e.waiting)+len(e.entering) >= e.profile.MaxWaiting {
		return ErrQueueFull
	}
	s := &sequence{req: r, arrived: e.now, ready: e.now + e.profile.Entry, total: r.Prompt}
	e.live[r.ID] = s
	if e.profile.Entry > 0 {
		e.entering = append(e.entering, s)
		return nil
	}
	e.waiting = append(e.waiting, s)
	e.startStep()
	return nil
}

func (e *Engine) fits(r Request) error {
	if r.Prompt < 1 || r.Output < 0 {
		return fmt.Errorf("sim: request %d has %d prompt and %d output tokens: want at least 1 and 0", r.ID, r.Prompt, r.Output)
	}
	if _, ok := e.live[r.ID]; ok {
		return fmt.Errorf("sim: request id %d is already in the engine", r.ID)
	}
	limit := min(e.profile.MaxContext, e.profile.Blocks()*e.profile.BlockSize)
	if r.Prompt+r.Output > limit {
		return fmt.Errorf("%w: %d tokens, limit %d", ErrTooLong, r.Prompt+r.Output, limit)
	}
	return nil
}

// Cancel takes a request out of the queue or the batch at once and frees its
// blocks; the step that is running keeps its length. It reports whether the
// request was still in the engine.
func (e *Engine) Cancel(now time.Duration, id uint64) bool {
	e.run(now)
	s, ok := e.live[id]
	if !ok {
		return false
	}
	delete(e.live, id)
	same := func(o *sequence) bool { return o == s }
	e.entering = slices.DeleteFunc(e.entering, same)
	e.waiting = slices.DeleteFunc(e.waiting, same)
	e.running = slices.DeleteFunc(e.running, same)
	e.cache.release(s.blocks)
	s.blocks = nil
	e.counters.Aborted++
	e.startStep()
	return true
}

// Hold takes blocks out of use until the total held is tokens, as another
// tenant of the same memory would, or gives them back. It takes no more than
// are free. It returns the tokens now held.
func (e *Engine) Hold(now time.Duration, tokens int) int {
	e.run(now)
	want := max(0, (tokens+e.profile.BlockSize-1)/e.profile.BlockSize)
	for len(e.held) < want {
		b, ok := e.cache.alloc()
		if !ok {
			break
		}
		e.held = append(e.held, b)
	}
	if len(e.held) > want {
		e.cache.release(e.held[want:])
		e.held = e.held[:want]
	}
	e.startStep()
	return len(e.held) * e.profile.BlockSize
}

// Advance moves the engine to now and returns what it gave out since the last
// Advance, in order of time. The slice is valid until the next Advance.
func (e *Engine) Advance(now time.Duration) []Emission {
	e.run(now)
	out := e.out
	e.out, e.spare = e.spare[:0], out
	return out
}

// Next is the time of the next event, if any is due without further calls.
func (e *Engine) Next() (time.Duration, bool) {
	switch {
	case e.stepping && len(e.entering) > 0:
		return min(e.stepEnd, e.entering[0].ready), true
	case e.stepping:
		return e.stepEnd, true
	case len(e.entering) > 0:
		return e.entering[0].ready, true
	}
	return 0, false
}

// Load returns the engine's present state.
func (e *Engine) Load() Load {
	return Load{
		Running: len(e.running), Waiting: len(e.waiting) + len(e.entering),
		UsedBlocks: e.cache.used(), Blocks: len(e.cache.blocks),
	}
}

// WatchCache has the changes of the prefix cache kept for CacheChanges.
func (e *Engine) WatchCache() { e.cache.watch = true }

// CacheChanges appends to buf what became of the prefix cache since the last call, in
// order.
func (e *Engine) CacheChanges(buf []CacheChange) []CacheChange {
	buf = append(buf, e.cache.log...)
	e.cache.log = e.cache.log[:0]
	return buf
}

// Counters returns the totals since the engine was made.
func (e *Engine) Counters() Counters { return e.counters }

// Profile returns the profile the engine was made with.
func (e *Engine) Profile() Profile { return e.profile }

// run plays every event up to now.
func (e *Engine) run(now time.Duration) {
	for {
		next, ok := e.Next()
		if !ok || next > now {
			break
		}
		e.now = next
		if e.stepping && e.stepEnd == next {
			e.finishStep()
			e.startStep()
			continue
		}
		e.waiting = append(e.waiting, e.entering[0])
		e.entering = e.entering[1:]
		e.startStep()
	}
	e.now = max(e.now, now)
}
