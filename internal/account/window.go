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
	from, to int64 // nanoseconds since 1970
	since    int64 // from when on exchanges count here, and not in base

	// base is what the ledger says was spent by exchanges that began before the
	// account knew of the window; loaded is whether it is known. settled is what
	// came since.
	base, settled int64
	held          int64 // estimates of the requests in flight
	bounds        int64 // upper bounds of the same requests

	// loose and tight are the smallest amounts of the hard budgets, of those that
	// count estimates and of the strict ones.
	loose, tight int64
	alarm        int64  // what must be spent for the next threshold
	lease        *lease // with a shared database
	loaded       bool
	period       Period
	notice       notice
}

// adopt takes over budgets. What they have passed already is not told.
func (w *window) adopt(budgets []Budget) {
	w.loose, w.tight, w.notice = math.MaxInt64, math.MaxInt64, notice{}
	for i := range budgets {
		switch b := &budgets[i]; {
		case b.Per != w.period || !b.Hard:
		case b.Strict:
			w.tight = min(w.tight, int64(b.Amount))
		default:
			w.loose = min(w.loose, int64(b.Amount))
		}
	}
	w.account.look(w, false)
}

// hard reports whether any of the budgets is hard.
func (w *window) hard() bool { return min(w.loose, w.tight) < math.MaxInt64 }

// strict reports whether any of them counts bounds.
func (w *window) strict() bool { return w.tight < math.MaxInt64 }

// amount is the smallest amount of a hard budget; 0 when there is none.
func (w *window) amount() int64 {
	if !w.hard() {
		return 0
	}
	return min(w.loose, w.tight)
}

// passes reports whether all budgets hold a further estimate and bound, without
// asking which one does not.
func (w *window) passes(nano, bound int64) bool {
	if !w.hard() {
		return true
	}
	if !w.loaded || w.strict() && bound < 0 {
		return false
	}
	loose, tight := w.loose, w.tight
	if w.lease != nil {
		loose, tight = min(loose, w.lease.mark), min(tight, w.lease.mark)
	}
	return (w.loose == math.MaxInt64 || fits(loose, w.own()+w.held, nano)) &&
		(w.tight == math.MaxInt64 || fits(tight, w.own()+w.bounds, bound))
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
func (w *window) counts(start int64) bool { return start >= w.since }

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
// before, for requests that began in it. Without budgets of the period there is
// none.
type counter struct {
	now, past *window
}

// at is the window of an exchange that began at start. It makes one when the
// period rolls.
func (c *counter) at(a *Account, p Period, start int64) *window {
	if w := c.now; start >= w.from && start < w.to {
		return w
	}
	return c.other(a, p, start)
}

// first makes the window of now.
func (c *counter) first(a *Account, p Period, now int64) { c.now = a.newWindow(p, now) }

// other is the window of an exchange that did not begin in the one of now.
func (c *counter) other(a *Account, p Period, start int64) *window {
	if w := c.past; w != nil && start >= w.from && start < w.to {
		return w
	}
	w := a.newWindow(p, start)
	if start >= c.now.to {
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
	w := &a.first
	if w.account != nil {
		w = &window{}
	}
	*w = window{account: a, period: p, from: from, to: to, since: a.since[p]}
	w.loaded = from >= w.since || !a.all.asks()
	if a.all.opt.Shared != nil {
		w.lease = &lease{}
	}
	if !w.loaded {
		a.all.ask(w)
	}
	w.adopt(a.rules.Budgets)
	return w
}

// end is when a window ends, after now; 0 when it does not.
func (w *window) end(now int64) time.Duration {
	if w.to == math.MaxInt64 {
		return 0
	}
	return time.Duration(max(1, w.to-now))
}
