package account

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// This file carries reports to the shared database and grants back. One goroutine
// does that, in rounds: what is urgent at once, the rest at each tick. A request
// that has nothing to draw on waits for the end of a round, a second at most.

const (
	drawWait  = time.Second     // that a request waits for the database
	roundWait = time.Second     // that a round does
	lastWait  = 2 * time.Second // that the last round does, at the end
	tick      = term / 3
	mostRows  = 256 // in one transaction
)

// leased is what can be renewed: a window, a pool or places. The lock of its
// account guards it.
type leased interface {
	claimed() *claim
	of() *Account // whose it is
	// renew makes the next report; false when there is nothing to say yet.
	renew(now int64) (Report, bool)
	// grant takes the answer over, and says whether to report again at once.
	grant(r Report, g Grant, sent int64) bool
	// lasts reports whether to renew it at the next tick even if nothing changes.
	lasts() bool
}

// renewal is what waits to be renewed.
type renewal struct {
	mu     sync.Mutex // nothing else is locked while it is held
	urgent []leased
	later  []leased
	round  chan struct{} // closed at the end of the next round
	failed error         // of the last round
	ending bool          // the round to come is the last
	wake   chan struct{}
}

func (r *renewal) begin() {
	r.round, r.wake = make(chan struct{}), make(chan struct{}, 1)
}

// hurry puts something down for the next round, its account being locked.
func (a *Accounts) hurry(l leased) {
	c := l.claimed()
	if c.queued {
		return
	}
	c.queued, c.grabbed = true, true
	a.renewal.mu.Lock()
	a.renewal.urgent = append(a.renewal.urgent, l)
	a.renewal.mu.Unlock()
	signal(a.renewal.wake)
}

// touch puts something down for the next tick, its account being locked.
func (a *Accounts) touch(l leased) {
	c := l.claimed()
	c.changed = true
	a.keep(l)
}

func (a *Accounts) keep(l leased) {
	c := l.claimed()
	if c.later {
		return
	}
	c.later = true
	a.renewal.mu.Lock()
	a.renewal.later = append(a.renewal.later, l)
	a.renewal.mu.Unlock()
}

// draw is Reserve for a request that has nothing to draw on here.
func (a *Accounts) draw(ctx context.Context, h *Hold, w Want) *Refusal {
	r := a.rounds(ctx, func(last bool) (*Refusal, bool) {
		h.lock()
		defer h.unlock()
		v := h.check(w)
		if v.passes() {
			h.take()
			return nil, true
		}
		if v.shared {
			h.demand()
		}
		return v.ended(last, h.at.unix)
	})
	if r != nil {
		h.clear()
	}
	return r
}

// drawMore is Extend for a request that has nothing to draw on here.
func (a *Accounts) drawMore(ctx context.Context, h *Hold, at moment, nano, bound int64) *Refusal {
	return a.rounds(ctx, func(last bool) (*Refusal, bool) {
		h.lock()
		defer h.unlock()
		var v verdict
		h.checkMoney(nano, bound, at, &v)
		if v.passes() {
			h.extend(nano, bound)
			return nil, true
		}
		for _, w := range h.windows[:h.periods] {
			w.demand(max(0, nano), bound)
		}
		return v.ended(last, at.unix)
	})
}

// ended turns a verdict into the end of a wait, unless the database may still
// mend it.
func (v *verdict) ended(last bool, now int64) (r *Refusal, done bool) {
	if v.shared && !last {
		return nil, false
	}
	if v.shared {
		v.reason, v.after = ReasonLease, soon
	}
	return v.refusal(now), true
}

// rounds tries something that hangs on the shared database, at once and after
// each round, until it is done, a second has passed or ctx ends. The last try is
// told so; it must be done. While the database fails the first try is the last.
func (a *Accounts) rounds(ctx context.Context, try func(last bool) (*Refusal, bool)) *Refusal {
	timer := time.NewTimer(drawWait)
	defer timer.Stop()
	for over := false; ; {
		a.renewal.mu.Lock()
		round, failed := a.renewal.round, a.renewal.failed
		a.renewal.mu.Unlock()
		if r, done := try(over || failed != nil); done {
			return r
		}
		select {
		case <-round:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
}

// demand asks for everything that the request does not find here. The accounts
// are locked.
func (h *Hold) demand() {
	for _, c := range h.chain[:h.accounts] {
		all := c.all
		if p := c.places; p != nil && c.most > 0 && !p.free(h.at.clock, c.inflight) {
			p.ask(1)
			all.hurry(p)
		}
		for i := range c.limits {
			l := &c.limits[i]
			if n := l.need(h.input, h.output); l.pool != nil && n > l.pool.remaining(h.at.clock) {
				l.pool.ask(n)
				all.hurry(l.pool)
			}
		}
	}
	for _, w := range h.windows[:h.periods] {
		w.demand(h.nano, h.bound)
	}
}

// demand asks for a mark that holds a further estimate or bound.
func (w *window) demand(nano, bound int64) {
	for i := range w.account.rules.Budgets {
		b := &w.account.rules.Budgets[i]
		if b.Per != w.period || !b.Hard || w.lease == nil {
			continue
		}
		need := nano
		if b.Strict {
			need = bound
		}
		if !w.lease.holds(w.reach(b), need) {
			w.lease.ask(need)
			w.account.all.hurry(w)
		}
	}
}

// runRenewals does rounds until ctx ends, and a last one then, which gives back
// what is not used.
func (a *Accounts) runRenewals(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	again := time.NewTimer(tick)
	defer again.Stop()
	// While the database fails, only time makes another round.
	for wake := a.renewal.wake; ; {
		all := false
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWait)
			defer cancel()
			a.end()
			_ = a.round(last, true) // what it does not give back comes back after a term
			return
		case <-wake:
		case <-again.C:
		case <-ticker.C:
			all = true
		}
		if wake = a.renewal.wake; a.round(ctx, all) != nil {
			wake = nil
			again.Reset(soon)
		}
	}
}

// end lets the next round give back what is not used.
func (a *Accounts) end() {
	a.renewal.mu.Lock()
	a.renewal.ending = true
	a.renewal.mu.Unlock()
}

func (a *Accounts) ending() bool {
	a.renewal.mu.Lock()
	defer a.renewal.mu.Unlock()
	return a.renewal.ending
}

// round renews what is urgent, or all that is put down.
func (a *Accounts) round(ctx context.Context, all bool) error {
	r := &a.renewal
	r.mu.Lock()
	list := r.urgent
	r.urgent = nil
	if all {
		list, r.later = append(list, r.later...), nil
	}
	r.mu.Unlock()
	var failed error
	for len(list) > 0 && failed == nil {
		n := min(len(list), mostRows)
		failed = a.exchange(ctx, list[:n])
		list = list[n:]
	}
	a.failed(failed)
	r.mu.Lock()
	r.urgent = append(r.urgent, list...)
	r.failed = failed
	close(r.round)
	r.round = make(chan struct{})
	r.mu.Unlock()
	return failed
}

// exchange carries some reports to the database, and the grants back.
func (a *Accounts) exchange(ctx context.Context, list []leased) error {
	sent := a.clock(time.Now())
	reports := make([]Report, 0, len(list))
	from := make([]leased, 0, len(list))
	for _, l := range list {
		acc := l.of()
		acc.mu.Lock()
		c := l.claimed()
		if c.queued || c.later {
			c.queued, c.later = false, false
			if r, ok := l.renew(sent); ok {
				reports, from = append(reports, r), append(from, l)
			}
		}
		acc.mu.Unlock()
	}
	if len(reports) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, roundWait)
	defer cancel()
	grants, err := a.opt.Shared.Renew(ctx, a.opt.Gateway, reports)
	if err == nil && len(grants) != len(reports) {
		err = fmt.Errorf("%d grants for %d reports", len(grants), len(reports))
	}
	var due []Warning
	for i, l := range from {
		acc := l.of()
		acc.mu.Lock()
		switch {
		case err != nil:
			a.touch(l)
		case l.grant(reports[i], grants[i], sent):
			a.hurry(l)
		case l.lasts():
			a.keep(l)
		}
		if w, ok := l.(*window); ok {
			due = append(due, acc.look(w, true)...)
		}
		acc.mu.Unlock()
	}
	a.notify(due)
	return err
}

// touch puts the window down for the next tick, or for the next round where half
// of what was granted is reached.
func (w *window) touch() {
	all := w.account.all
	all.touch(w)
	if w.lease.amount > 0 && w.lease.low(w.furthest()) {
		all.hurry(w)
	}
}

// furthest is the most that is reached by any of the window's hard budgets.
func (w *window) furthest() int64 {
	if w.strict() {
		return w.own() + max(w.held, w.bounds)
	}
	return w.own() + w.held
}

func (w *window) claimed() *claim { return &w.lease.claim }
func (w *window) of() *Account    { return w.account }
func (w *window) lasts() bool     { return w.lease.mark > w.own() || w.lease.changed }

func (w *window) renew(int64) (Report, bool) {
	if !w.loaded {
		return Report{}, false
	}
	w.lease.amount = w.amount()
	w.lease.frugal = w.account.all.ending()
	from, to := w.times()
	name := fmt.Sprintf("budget/%s/%q/%s", w.account.level, w.account.name, w.period)
	if w.period != Total {
		name += "/" + from.Format(time.DateOnly)
	}
	r := w.lease.report(name, w.own(), w.furthest())
	r.Ends = to
	return r, true
}

func (w *window) grant(r Report, g Grant, sent int64) bool { return w.lease.granted(r, g, sent) }

func (p *pool) claimed() *claim { return &p.claim }
func (p *pool) of() *Account    { return p.account }
func (p *pool) lasts() bool     { return false }

func (p *pool) renew(int64) (Report, bool) {
	return p.report(fmt.Sprintf("rate/%s/%q/%s/%s", p.account.level, p.account.name, p.resource, p.rate.word())), true
}

func (p *pool) grant(r Report, g Grant, sent int64) bool { return p.granted(r, g, sent) }

func (p *places) claimed() *claim { return &p.claim }
func (p *places) of() *Account    { return p.account }
func (p *places) lasts() bool     { return p.count > 0 }

func (p *places) renew(now int64) (Report, bool) {
	p.amount = int64(p.account.most)
	return p.report(fmt.Sprintf("places/%s/%q", p.account.level, p.account.name), now, p.account.inflight), true
}

func (p *places) grant(r Report, g Grant, sent int64) bool { return p.granted(r, g, sent) }
