package account

import (
	"context"
	"time"

	"tailplane/internal/llm"
)

// Reserve takes from every account of a chain what a request is about to use, or
// nothing from any and says why. Accounts that are nil are skipped; the order of
// the others does not matter. Each level stands once in a chain at most. The hold
// must be empty.
//
// It allocates nothing when it passes, unless a budget's window begins with it.
// It waits only where accounts share with other gateways and this one has nothing
// left to draw on: for the shared database, a second at most, or until ctx ends.
func (a *Accounts) Reserve(ctx context.Context, h *Hold, chain []*Account, w Want) *Refusal {
	h.begin(a, chain, w)
	if h.accounts == 0 {
		return nil
	}
	h.lock()
	v := h.check(w)
	if v.passes() {
		h.take()
		h.unlock()
		return nil
	}
	if v.shared {
		h.unlock()
		return a.draw(ctx, h, w)
	}
	r := v.refusal(h.at.unix)
	h.unlock()
	h.clear()
	return r
}

// begin puts the chain and what is wanted into the hold.
func (h *Hold) begin(a *Accounts, chain []*Account, w Want) {
	if h.accounts != 0 {
		panic("account: Reserve on a hold that is not settled")
	}
	for _, c := range chain {
		if c == nil {
			continue
		}
		if h.accounts == mostChain {
			panic("account: a chain of more accounts than there are levels")
		}
		i := h.accounts
		for ; i > 0 && h.chain[i-1].order > c.order; i-- {
			h.chain[i] = h.chain[i-1]
		}
		h.chain[i] = c
		h.accounts++
	}
	h.at = a.moment(w.Start)
	if a.opt.Shared != nil {
		// What is leased ends at a time, however long ago the request came.
		h.at.clock = a.clock(time.Now())
	}
	h.input, h.output = max(0, w.Input), max(0, w.Output)
	h.nano, h.bound = h.price(w.Nano, w.Bound)
}

// price is an estimate and a bound within what can be added up; a request without
// a bound counts with its estimate where a bound is counted but not asked for.
func (h *Hold) price(nano, bound int64) (int64, int64) {
	nano = min(max(0, nano), int64(mostMoney))
	if bound < 0 {
		bound = nano
	}
	return nano, min(bound, int64(mostMoney))
}

// check finds what stands against the request, without taking anything. The
// accounts are locked.
func (h *Hold) check(w Want) verdict {
	var v verdict
	now := h.at.clock
	h.periods = 0
	for _, c := range h.chain[:h.accounts] {
		c.checkPlaces(now, &v)
		for i := range c.limits {
			c.limits[i].check(c, now, c.limits[i].need(h.input, h.output), &v)
		}
		if c.asks.Load() != 0 {
			h.enterWindows(c)
		}
	}
	h.checkMoney(w.Nano, w.Bound, h.at, &v)
	return v
}

// enterWindows adds the windows of an account's budgets to the hold.
func (h *Hold) enterWindows(c *Account) {
	for p := Day; int(p) < periods; p++ {
		if n := &c.counters[p]; n.now != nil {
			h.windows[h.periods] = n.at(c, p, h.at.unix)
			h.periods++
		}
	}
}

// checkPlaces looks whether one more may be in flight.
func (c *Account) checkPlaces(now int64, v *verdict) {
	most := c.most
	switch {
	case most == 0:
	case c.inflight >= most:
		v.against(verdict{reason: ReasonConcurrent, account: c, after: soon})
	case c.places != nil && !c.places.free(now, c.inflight):
		v.against(verdict{reason: ReasonConcurrent, account: c, after: soon, shared: now >= c.places.again})
	}
}

// check looks whether a limit has n.
func (l *limit) check(c *Account, now, n int64, v *verdict) {
	if n > l.amount {
		v.against(verdict{reason: ReasonLimit, account: c, limit: l, need: n, never: true})
		return
	}
	if l.pool != nil {
		if wait, shared := l.pool.wait(now, n); wait > 0 {
			v.against(verdict{reason: ReasonLimit, account: c, limit: l, need: n, after: time.Duration(wait), shared: shared})
		}
		return
	}
	if wait := l.wait(now, n); wait > 0 {
		v.against(verdict{reason: ReasonLimit, account: c, limit: l, need: n, after: time.Duration(wait)})
	}
}

// checkMoney looks whether the hard budgets of the hold's windows hold a further
// estimate or bound.
func (h *Hold) checkMoney(nano, bound int64, at moment, v *verdict) {
	for _, w := range h.windows[:h.periods] {
		if w.passes(max(0, nano), bound) {
			continue
		}
		budgets := w.account.rules.Budgets
		for i := range budgets {
			if b := &budgets[i]; b.Per == w.period && b.Hard {
				w.check(b, max(0, nano), bound, at, v)
			}
		}
	}
}

// check looks whether one hard budget holds a further estimate or bound.
func (w *window) check(b *Budget, nano, bound int64, at moment, v *verdict) {
	need := nano
	if b.Strict {
		need = bound
	}
	o := verdict{reason: ReasonBudget, account: w.account, budget: b, window: w, need: need, after: soon}
	amount := int64(b.Amount)
	switch {
	case b.Strict && bound < 0:
		o.reason, o.never = ReasonUnbounded, true
	case !w.loaded:
	case need > amount:
		o.never = true
	case !fits(amount, w.spent(), need):
		o.after = w.end(at.unix)
		o.never = o.after == 0
	case w.lease != nil:
		if w.lease.holds(w.reach(b), need) {
			return
		}
		o.shared = !w.lease.dry(at.clock, need)
	case fits(amount, w.reach(b), need):
		return
	}
	v.against(o)
}

// take takes what check found to be there. The accounts are locked.
func (h *Hold) take() {
	now := h.at.clock
	for i, c := range h.chain[:h.accounts] {
		c.inflight++
		if c.places != nil {
			c.places.took(c.inflight)
			if c.places.low(c.inflight) {
				c.all.hurry(c.places)
			} else {
				c.all.keep(c.places)
			}
		}
		h.epochs[i] = c.epoch
		for k := range c.limits {
			l := &c.limits[k]
			n := l.need(h.input, h.output)
			mark := int64(0)
			if l.pool != nil {
				mark = l.pool.take(n)
				if l.pool.low(now) {
					c.all.hurry(l.pool)
				}
			} else {
				mark = l.take(now, n)
			}
			if l.resource != llm.QuotaRequests && h.marked < mostMarks {
				h.marks[h.marked] = mark
				h.marked++
			}
		}
	}
	h.hold(h.nano, h.bound)
}

// hold holds a further estimate and bound in every window.
func (h *Hold) hold(nano, bound int64) {
	for _, w := range h.windows[:h.periods] {
		w.take(nano, bound)
		h.strict = h.strict || w.strict()
		if w.notice.share > h.warned.share {
			h.warned, h.by = w.notice, w.account
		}
		if w.lease != nil {
			w.lease.used += nano
			w.touch()
		}
	}
}

// Extend holds a further estimate and bound of the cost for one more attempt of
// an admitted request, after one that cost something; or nothing and says why.
// Limits and places are not asked again: it is one request. It waits where Reserve
// does. A hold that holds nothing stays so.
func (h *Hold) Extend(ctx context.Context, now time.Time, nano, bound int64) *Refusal {
	if h.accounts == 0 {
		return nil
	}
	all := h.chain[0].all
	at := all.moment(now)
	var v verdict
	h.lock()
	h.checkMoney(nano, bound, at, &v)
	if v.shared {
		h.unlock()
		return all.drawMore(ctx, h, at, nano, bound)
	}
	defer h.unlock()
	if !v.passes() {
		return v.refusal(at.unix)
	}
	h.extend(nano, bound)
	return nil
}

// extend holds what was found to be there for a further attempt.
func (h *Hold) extend(nano, bound int64) {
	nano, bound = h.price(nano, bound)
	h.hold(nano, bound)
	h.nano += nano
	h.bound += bound
}
