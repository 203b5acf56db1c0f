package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/models"
	"tailplane/internal/route"
	"tailplane/internal/upstream"
)

// The rules of hedging:
//
//   - The first attempt of a stream that shows no token long after it was
//     predicted gets a second one beside it, at another replica of its group where
//     the token is predicted much sooner than it has been waited for. A whole answer
//     shows nothing before its end, so none is late.
//   - So many requests of a hundred have one, and no more: what makes everything
//     slow must not be met with more requests.
//   - A request whose limits or budgets count money has none.
//   - Each attempt runs in a call of its own. The first to have something to send
//     is the answer; the other one is cancelled, settled and recorded as lost.
//   - The call of the second attempt ends before the one of the request goes on.

// race is the first attempt of a request and, once that is late, a second one.
type race struct {
	first *call
	from  *candidate // that the first asks
	began time.Time

	mu     sync.Mutex
	timer  *time.Timer
	over   bool                    // the first has ended: there will be no second
	winner *call                   // that has something to send
	second *call                   // nil until there is one
	place  int                     // in the order, of whom the second asks
	stop   context.CancelCauseFunc // of the first
	halt   context.CancelCauseFunc // of the second
	done   chan struct{}           // closed when the second has ended
	fault  *llm.Fault              // with which it did
}

// errLost ends the attempt that is not the answer.
var errLost = errors.New("another attempt has answered")

// hedgedByDefault is the share in percent where a model's config says nothing and
// all that can answer runs on somebody's own hardware: elsewhere an attempt that
// is not the answer may cost money.
const hedgedByDefault = 1

// hedged is the share of a destination's requests that may have a second attempt.
func hedged(said models.Hedge, d *destination) int {
	paid := func(t candidate) bool { return !t.Kind.Engine }
	divided := func(t candidate) bool { return t.prefill != nil } // its first token is not predicted as a whole
	switch {
	case !d.balanced || said == models.HedgeOff || slices.ContainsFunc(d.candidates, divided):
		return 0
	case said == 0 && slices.ContainsFunc(d.candidates, paid):
		return 0
	case said == 0:
		return hedgedByDefault
	}
	return int(said)
}

// try makes an attempt; the first of a request may be two.
func (c *call) try(target *candidate, why string, waited time.Duration) *llm.Fault {
	if why != whyFirst || !c.mayHedge(target) {
		return c.ask(target, why, waited)
	}
	expected := time.Duration(c.saw[c.order[0]].first * float64(time.Second))
	r := &race{first: c, from: target, began: now()}
	ctx := c.ctx
	c.ctx, r.stop = context.WithCancelCause(ctx)
	c.race = r
	r.mu.Lock() // the timer looks at itself
	r.timer = time.AfterFunc(route.HedgeAfter(expected), func() { r.late(ctx) })
	r.mu.Unlock()
	defer func() {
		r.close()
		r.stop(nil)
		c.ctx, c.race = ctx, nil
	}()
	return r.end(c.ask(target, why, waited))
}

// mayHedge reports whether the request may have a second attempt, and earns its
// share of one.
func (c *call) mayHedge(target *candidate) bool {
	d := c.dest
	if d.hedges == nil || target.replica.group == nil || c.seen.Op != llm.OpGenerate || c.surface.forward != nil {
		return false
	}
	d.hedges.Earn()
	return c.seen.Stream && !d.single && c.wanted.Nano == 0 && c.saw[c.order[0]].ranked
}

// late makes the second attempt, when that is worth it, and stays until it has
// ended. Where nobody is predicted to be soon enough it looks again later.
func (r *race) late(ctx context.Context) {
	r.mu.Lock()
	if r.over || r.winner != nil {
		r.mu.Unlock()
		return
	}
	c, taken := r.first, now().Sub(r.began)
	place := c.sooner(r.from, taken)
	switch {
	case place < 0:
		r.timer.Reset(taken)
	case !c.dest.hedges.Take():
		c.dest.metrics.Hedge(hedgeSpent)
		place = -1
	default:
		r.place, r.second, r.done = place, c.sibling(r), make(chan struct{})
		r.second.ctx, r.halt = context.WithCancelCause(ctx)
	}
	r.mu.Unlock()
	if place < 0 {
		return
	}
	defer close(r.done)
	defer r.halt(nil)
	defer func() {
		if bug := recover(); bug != nil {
			r.fault = r.second.bug(bug)
		}
	}()
	r.fault = r.second.ask(&c.dest.candidates[c.order[place]], whyHedge, 0)
}

// sooner is the place in the order of the replica at which the first token is
// predicted soonest, if that is much sooner than it has been waited for at
// another; -1 where there is none.
func (c *call) sooner(than *candidate, taken time.Duration) (best int) {
	var soonest time.Duration
	at := now()
	best = -1
	for place, i := range c.order {
		t := &c.dest.candidates[i]
		if t == than || t.replica.group != than.replica.group {
			continue
		}
		live := t.State.View(at, t.model)
		if v := t.view(at, &live, c.surface, false); !v.Able() || !v.Ready() {
			continue
		}
		d, known := t.replica.group.Expect(at, &c.asked, t.replica.name)
		if known && route.HedgeWorth(taken, d) && (best < 0 || d < soonest) {
			best, soonest = place, d
		}
	}
	return best
}

// sibling is a call for the second attempt of the same request. The bytes of the
// request are shared, and everything that an attempt changes is its own.
func (c *call) sibling(r *race) *call {
	s := c.gateway.calls.Get().(*call)
	s.plane, s.surface, s.w, s.r, s.key, s.party = c.plane, c.surface, c.w, c.r, c.key, c.party
	s.hear()
	s.place, s.betas, s.body, s.seen, s.dest, s.rule, s.judged = c.place, c.betas, c.body, c.seen, c.dest, c.rule, c.judged
	_, _ = s.surface.dialect.Glance(s.body, &s.at) // which has been read before
	s.to, s.deadline, s.wanted, s.asked, s.described, s.lossless, s.race = c.to, c.deadline, c.wanted, c.asked, c.described, c.lossless, r
	s.chain, s.held = append(s.chain[:0], c.chain...), c.held // to tell what is left of them, no more
	s.ex = ledger.Exchange{
		ID: c.ex.ID, Start: c.ex.Start, Op: c.ex.Op, Dialect: c.ex.Dialect, Model: c.ex.Model,
		Customer: c.ex.Customer, Team: c.ex.Team, Name: c.ex.Name, Attempts: s.attempt[:0], Choice: s.choice[:0],
	}
	return s
}

// prevail makes the call's attempt the answer of its request; the fault is that of
// one that comes too late.
func (c *call) prevail() *llm.Fault {
	r := c.race
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.winner == nil && c == r.first:
		r.winner = c
		if r.halt != nil {
			r.halt(errLost)
		}
	case r.winner == nil:
		r.winner = c
		r.stop(errLost)
	}
	if r.winner != c {
		return lost()
	}
	return nil
}

// close lets no second attempt begin, and waits for the end of the one that has.
func (r *race) close() {
	r.mu.Lock()
	r.over = true
	r.timer.Stop()
	begun := r.second != nil
	r.mu.Unlock()
	if begun {
		<-r.done
	}
}

// end ends the race when the first attempt has ended with f, and returns how the
// request stands now. Its record has the attempt that answered last.
func (r *race) end(f *llm.Fault) *llm.Fault {
	r.mu.Lock()
	if r.halt != nil && f != nil && f.Retry == llm.RetryNever && r.winner == nil {
		r.halt(errLost) // nobody will accept the request
	}
	r.mu.Unlock()
	r.close()
	c, second := r.first, r.second
	if second == nil {
		return f
	}
	if r.winner == second {
		c.dest.metrics.Hedge(hedgeWon)
		c.become(second)
		f = r.fault
	} else {
		c.dest.metrics.Hedge(hedgeLost)
		at := max(0, len(c.ex.Attempts)-1)
		c.ex.Attempts = slices.Insert(c.ex.Attempts, at, second.ex.Attempts...)
		c.order = slices.Delete(c.order, r.place, r.place+1) // it has been asked
	}
	second.release()
	return f
}

// become takes over what a second attempt has made of the request.
func (c *call) become(s *call) {
	c.ex.Attempts = append(c.ex.Attempts, s.ex.Attempts...)
	c.ex.Losses, c.ex.Status, c.ex.Events, c.ex.SentBytes = s.ex.Losses, s.ex.Status, s.ex.Events, s.ex.SentBytes
	c.ex.FirstToken, c.ex.ITLMax = s.ex.FirstToken, s.ex.ITLMax
	c.committed, c.abort = s.committed, s.abort
}

// release gives a sibling's memory back, but for what belongs to the request. What the
// request holds is settled by its own call, and by no later one that has this memory.
func (c *call) release() {
	c.body, c.race, c.asked, c.held = nil, nil, route.Query{}, account.Hold{}
	c.reset()
	c.gateway.calls.Put(c)
}

// lost is the fault of an attempt that is not the answer. It says nothing about
// its target.
func lost() *llm.Fault {
	return &llm.Fault{
		Kind: llm.FaultHedgeLost, Retry: llm.RetryNever, Scope: llm.ScopeRequest, Phase: llm.PhaseFirstToken,
		Message: "the other attempt of the request answered first", Err: errLost,
	}
}

// What became of second attempts, as the metric says it.
const (
	hedgeWon   = "won"
	hedgeLost  = "lost"
	hedgeSpent = "no_budget" // it was not made
)

// interrupted is what an attempt's fault really is when its context has ended.
func (c *call) interrupted(f *llm.Fault) *llm.Fault {
	switch {
	case f == nil || c.ctx.Err() == nil || f.Kind == llm.FaultStopped:
		return f
	case errors.Is(context.Cause(c.ctx), errLost):
		return lost()
	case f.Kind != llm.FaultClientGone:
		f = upstream.Broken(c.ctx.Err(), llm.FaultTotal)
	}
	if c.gateway.cutting.Load() {
		f.Message = "the gateway stopped"
	}
	return f
}
