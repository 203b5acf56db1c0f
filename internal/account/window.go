package account

import (
	"math"
	"time"
)

// A window is one period of an account's budgets, such as a month: what was
// spent in it and what is held. All budgets of the account with the same period
// share it. Holds point to the window that admitted them, so that they settle
// into it even when it is over. The lock of its account guards a window.
type window struct {
	account  *Account
	period   Period
	from, to int64 // nanoseconds since 1970

	// base is what the ledger says was spent by exchanges that began before the
	// account knew of the window; loaded is whether it is known. settled is what
	// came since.
	base, settled int64
	loaded        bool

	held   int64 // estimates of the requests in flight
	bounds int64 // upper bounds of the same requests

	notice notice
	alarm  int64  // what must be spent for the next threshold
	lease  *lease // with a shared database
}

// own is what this gateway spent, or without a shared database everybody.
func (w *window) own() int64 { return w.base + w.settled }

// spent is what everybody spent, as far as is known here.
func (w *window) spent() int64 {
	if w.lease != nil {
		return w.own() + w.lease.others
	}
	return w.own()
}

// counts reports whether an exchange that began at start is one that base does
// not have.
func (w *window) counts(start int64) bool { return start >= w.account.since[w.period] }

// reach is how much is spent, and held besides by a budget.
func (w *window) reach(b *Budget) int64 {
	if b.Strict {
		return w.own() + w.bounds
	}
	return w.own() + w.held
}

// fits reports whether n more fit into what is left of an amount, whatever their
// size.
func fits(amount, used, n int64) bool { return n <= amount-min(used, amount) && used <= amount }

// take holds an estimate and an upper bound.
func (w *window) take(nano, bound int64) {
	w.held += nano
	w.bounds += bound
}

// settle replaces what was held by what was used. An exchange that began before
// the account knew of the window is in what the ledger will say; until it says so
// it is added to what it said.
func (w *window) settle(start, nano, bound, used int64) {
	w.held -= nano
	w.bounds -= bound
	if w.counts(start) {
		w.settled += used
	} else if w.loaded {
		w.base += used
	}
	if w.lease != nil {
		w.touch()
	}
}

// counter is the budgets' windows of one period: the one of now and the one
// before, for requests that began in it.
type counter struct {
	now, past *window
}

// at is the window of an exchange that began at start. It makes one when the
// period rolls.
func (c *counter) at(a *Account, p Period, start int64) *window {
	for _, w := range [...]*window{c.now, c.past} {
		if w != nil && start >= w.from && start < w.to {
			return w
		}
	}
	w := a.newWindow(p, start)
	if c.now == nil || start >= c.now.to {
		c.past, c.now = c.now, w
	} else {
		c.past = w
	}
	return w
}

// newWindow makes the window of a period at a time. What was spent in it before
// the account knew of it must be loaded, if it began earlier.
func (a *Account) newWindow(p Period, at int64) *window {
	from, to := p.span(time.Unix(0, at))
	w := &window{account: a, period: p, from: from, to: to}
	w.loaded = from >= a.since[p] || !a.all.asks()
	if a.all.opt.Shared != nil {
		w.lease = &lease{}
	}
	if !w.loaded {
		a.all.ask(w)
	}
	a.look(w, false)
	return w
}

// end is when a window ends, after now; 0 when it does not.
func (w *window) end(now int64) time.Duration {
	if w.to == math.MaxInt64 {
		return 0
	}
	return time.Duration(max(1, w.to-now))
}
