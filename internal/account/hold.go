package account

import (
	"fmt"
	"time"

	"tailplane/internal/llm"
)

// moment is one time on both clocks: windows go by the calendar, limits by a clock
// that nobody sets.
type moment struct {
	unix  int64 // nanoseconds since 1970
	clock int64 // of Accounts
}

// Bounds of a hold. A chain has one account of each level at most.
const (
	mostChain   = 8
	mostWindows = mostChain * (periods - 1)
	mostMarks   = 32
)

// Want is what a request is about to use.
type Want struct {
	Start         time.Time // of the exchange, as the ledger will have it
	Input, Output int64     // estimated tokens
	Nano          int64     // estimated cost in nano-dollars
	Bound         int64     // upper bound of the cost; -1: there is none
}

// Used is what a request has used.
type Used struct {
	Input, Output int64 // tokens
	Nano          int64 // cost in nano-dollars, as in the ledger
}

// A Hold is what one request has taken from the accounts of its chain. The zero
// Hold holds nothing; after [Hold.Settle] it can be used again. It belongs to the
// request's goroutine, and must not be copied while it holds something.
type Hold struct {
	at            moment // of the exchange's start
	input, output int64
	nano, bound   int64
	strict        bool // some budget counts the bound

	accounts, periods, marked int // lengths of the arrays
	chain                     [mostChain]*Account
	epochs                    [mostChain]uint32
	windows                   [mostWindows]*window
	// marks are those of the limits of tokens, in the order of the chain.
	marks [mostMarks]int64

	warned notice
	by     *Account // whose budget warned
}

// Nano is what budgets hold for the request, in nano-dollars: the upper bound
// where one of them is strict, the estimate else. It is what an exchange whose
// end nobody knows counts with.
func (h *Hold) Nano() int64 {
	if h.strict {
		return max(h.bound, h.nano)
	}
	return h.nano
}

// Warned is the furthest threshold that a budget of the chain had passed when
// the request was admitted, for a header; "" when there is none.
func (h *Hold) Warned() string {
	if h.warned.budget == nil {
		return ""
	}
	b := h.warned.budget
	return fmt.Sprintf("%s %q: %d%% of %v %s", h.by.level, h.by.name, h.warned.share, b.Amount, b.Per.phrase())
}

// Settle replaces what is held by what was used, in the windows that admitted
// the request. It must be called once for each admitted request, however that
// ended; a second call does nothing. It never waits.
func (h *Hold) Settle(now time.Time, u Used) {
	if h.accounts == 0 {
		return
	}
	all := h.chain[0].all
	at := all.clock(now)
	var due []Warning
	marks, windows := h.marks[:h.marked], h.windows[:h.periods]
	for i, c := range h.chain[:h.accounts] {
		c.mu.Lock()
		c.inflight--
		marks = h.correct(c, at, marks, c.epoch == h.epochs[i], u)
		for ; len(windows) > 0 && windows[0].account == c; windows = windows[1:] {
			windows[0].settle(h.at.unix, h.nano, h.bound, max(0, u.Nano))
			if windows[0].spent() >= windows[0].alarm {
				due = append(due, c.look(windows[0], true)...)
			}
		}
		c.mu.Unlock()
	}
	h.clear()
	all.notify(due)
}

// correct corrects the limits of tokens, unless they have changed since, and
// returns the marks of the accounts that follow.
func (h *Hold) correct(c *Account, now int64, marks []int64, same bool, u Used) []int64 {
	if !same {
		// Which marks are whose is no longer known: those that follow give
		// nothing back beyond what time did.
		return nil
	}
	for i := range c.limits {
		l := &c.limits[i]
		if l.resource == llm.QuotaRequests {
			continue
		}
		mark := int64(longAgo)
		if len(marks) > 0 {
			mark, marks = marks[0], marks[1:]
		}
		estimated, used := l.need(h.input, h.output), l.need(max(0, u.Input), max(0, u.Output))
		if l.pool != nil {
			l.pool.correct(now, mark, estimated, used)
			continue
		}
		l.correct(now, mark, estimated, used)
	}
	return marks
}

// clear empties the hold, so that it keeps nothing alive.
func (h *Hold) clear() {
	clear(h.chain[:h.accounts])
	clear(h.windows[:h.periods])
	h.accounts, h.periods, h.marked = 0, 0, 0
	h.nano, h.bound, h.strict = 0, 0, false
	h.warned, h.by = notice{}, nil
}

// lock locks the accounts of the chain. All holds lock in the same order.
func (h *Hold) lock() {
	for _, c := range h.chain[:h.accounts] {
		c.mu.Lock()
	}
}

func (h *Hold) unlock() {
	for _, c := range h.chain[:h.accounts] {
		c.mu.Unlock()
	}
}

// Quota is the tightest of a chain's limits of requests, tokens, input and output
// tokens, as they are now. Other resources are unknown; accounts that are nil are
// skipped.
func Quota(chain []*Account, now time.Time) llm.Quota {
	var q llm.Quota
	for _, c := range chain {
		if c == nil {
			continue
		}
		at := c.all.clock(now)
		c.mu.Lock()
		for i := range c.limits {
			l := &c.limits[i]
			a := &q[l.resource]
			left := l.left(at)
			if l.pool != nil {
				left = l.pool.visible(at)
			}
			if a.Known && a.Remaining <= left {
				continue
			}
			*a = llm.Allowance{Limit: l.amount, Remaining: left, Known: true, Learned: now, Steady: true}
			a.Reset = now.Add(time.Duration(scale(l.amount-left, l.period, l.amount, l.amount-1)))
		}
		c.mu.Unlock()
	}
	return q
}

// Asks says which of a request's costs the budgets of a chain look at: the
// estimate, and the upper bound. The others need not be worked out.
func Asks(chain []*Account) (nano, bound bool) {
	for _, c := range chain {
		if c == nil {
			continue
		}
		asks := c.asks.Load()
		nano, bound = nano || asks&asksNano != 0, bound || asks&asksBound != 0
	}
	return nano, bound
}

// What budgets ask for, as bits of Account.asks.
const (
	asksNano = 1 << iota
	asksBound
)
