package sim

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"
)

// Rules of this file: the goroutine in Run is the only one to touch an engine.
// Handlers send it ops and watch their job; it never waits for a handler, so a
// slow reader cannot hold up a batch.

type opKind int

const (
	opSubmit opKind = iota
	opCancel
	opHold
)

// op is one order to the Run goroutine.
type op struct {
	kind   opKind
	job    *job
	model  *model
	tokens int    // for opHold
	reason string // for opCancel: the finished_reason it counts as
}

// job is one request on its way through an engine. The loop writes the atomics
// and then sends to wake; the handler reads them.
type job struct {
	model  *model
	req    Request
	finish string        // finished_reason when it completes
	wake   chan struct{} // one slot: "look again"

	accepted atomic.Bool
	tokens   atomic.Int64
	cached   atomic.Int64
	done     atomic.Bool
	err      error // set before the first wake, or never

	arrived, last time.Duration // the loop's own
}

func (j *job) notify() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// clock turns the process clock into the engines' time.
type clock struct {
	start   time.Time
	speedup float64
}

func (c clock) now() time.Duration {
	d := time.Since(c.start)
	if c.speedup == 1 {
		return d
	}
	return time.Duration(float64(d) * c.speedup)
}

// until is the process time from now to the engine time at, rounded up.
func (c clock) until(at, now time.Duration) time.Duration {
	if c.speedup == 1 {
		return at - now
	}
	return time.Duration(math.Ceil(float64(at-now) / c.speedup))
}

// Run owns the engines and moves them along the process clock until ctx ends;
// then requests still running are cut and new ones get 503. It returns nil when
// ctx ends, and an error when it is called a second time.
func (s *Server) Run(ctx context.Context) error {
	if !s.begun.CompareAndSwap(false, true) {
		return errors.New("sim: Server.Run was called twice: one goroutine owns the engines")
	}
	defer close(s.stopped)
	c := clock{start: time.Now(), speedup: s.opt.Speedup}
	close(s.started)

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := c.now()
		var due <-chan time.Time
		if next, ok := s.advance(now); ok {
			timer.Reset(max(0, c.until(next, now)))
			due = timer.C
		}
		select {
		case o := <-s.inbox:
			o.model.handle(c.now(), o)
		case <-due:
		case <-ctx.Done():
			return nil
		}
	}
}

// advance moves every engine to now and returns the earliest next event.
func (s *Server) advance(now time.Duration) (next time.Duration, ok bool) {
	for _, m := range s.models {
		m.advance(now)
		if at, has := m.engine.Next(); has && (!ok || at < next) {
			next, ok = at, true
		}
	}
	return next, ok
}

// handle carries out one op at time now.
func (m *model) handle(now time.Duration, o op) {
	switch o.kind {
	case opSubmit:
		m.submit(now, o.job)
	case opCancel:
		if m.engine.Cancel(now, o.job.req.ID) {
			m.advance(now) // what was emitted before counts
			delete(m.jobs, o.job.req.ID)
			m.stats.finish(o.reason)
		}
	case opHold:
		m.engine.Hold(now, o.tokens)
	}
	m.stats.gauge(m.engine.Load(), m.engine.Counters())
}

func (m *model) submit(now time.Duration, j *job) {
	j.arrived = now
	if err := m.engine.Submit(now, j.req); err != nil {
		j.err = err
		if errors.Is(err, ErrQueueFull) {
			m.stats.refuse()
		}
		j.notify()
		return
	}
	m.jobs[j.req.ID] = j
	j.accepted.Store(true)
	m.advance(now)
	j.notify()
}

// advance gives the handlers what the engine has emitted up to now.
func (m *model) advance(now time.Duration) {
	out := m.engine.Advance(now)
	if len(out) == 0 {
		return
	}
	m.stats.mu.Lock()
	for _, e := range out {
		j := m.jobs[e.ID]
		m.stats.emit(j, e)
		j.last = e.At
		j.cached.Store(int64(e.Cached))
		j.tokens.Store(int64(e.Token + 1))
		if e.Done {
			j.done.Store(true)
			delete(m.jobs, e.ID)
		}
		j.notify()
	}
	m.stats.mu.Unlock()
	m.stats.gauge(m.engine.Load(), m.engine.Counters())
}

// start sends a job to the loop and waits until the engine has taken or refused
// it. Before Run it waits at most Options.StartWait.
func (s *Server) start(ctx context.Context, j *job) error {
	select {
	case <-s.started:
	default:
		if err := s.awaitRun(ctx); err != nil {
			return err
		}
	}
	select {
	case s.inbox <- op{kind: opSubmit, model: j.model, job: j}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return errStopped
	}
	for !j.accepted.Load() {
		select {
		case <-j.wake:
			if j.err != nil {
				return j.err
			}
		case <-ctx.Done():
			s.cancel(j, reasonAbort)
			return ctx.Err()
		case <-s.stopped:
			return errStopped
		}
	}
	return nil
}

func (s *Server) awaitRun(ctx context.Context) error {
	timer := time.NewTimer(s.opt.StartWait)
	defer timer.Stop()
	select {
	case <-s.started:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errStopped
	}
}

// cancel takes a job out of its engine; a job that has ended is left alone.
func (s *Server) cancel(j *job, reason string) {
	if j.done.Load() {
		return
	}
	select {
	case s.inbox <- op{kind: opCancel, model: j.model, job: j, reason: reason}:
	case <-s.stopped:
	}
}
