package account

import (
	"cmp"
	"slices"
	"time"
)

// State is an account as it stands, for people.
type State struct {
	Level      Level         `json:"level"`
	Name       string        `json:"name"`
	Limits     []LimitState  `json:"limits,omitempty"`
	Concurrent int           `json:"concurrent,omitempty"` // the limit; 0: none
	InFlight   int           `json:"in_flight"`
	Budgets    []BudgetState `json:"budgets,omitempty"`
}

// LimitState is one rate with what is left of it. With a shared database that is
// what this gateway has leased, and what there was beside it at the last lease.
type LimitState struct {
	Resource string        `json:"resource"`
	Rate     string        `json:"rate"`
	Left     int64         `json:"left"`
	Full     time.Duration `json:"full_in_ns"` // until all of it is there again
}

// BudgetState is one budget with what was spent in its window.
type BudgetState struct {
	Budget
	From time.Time `json:"from,omitzero"` // zero for a total
	To   time.Time `json:"to,omitzero"`
	// Known is whether the ledger has said what was spent. Until then Spent is
	// what came since the account knows of the window.
	Known bool  `json:"known"`
	Spent Money `json:"spent"`
	Held  Money `json:"held"` // by requests in flight at this gateway
	// Doubt is what gateways that are silent may have spent besides.
	Doubt Money `json:"doubt,omitempty"`
	// Left is what is neither spent nor held nor in doubt.
	Left Money `json:"left"`
	// Mark is how far this gateway may spend on its own, with a shared database.
	Mark Money `json:"mark,omitempty"`
}

// List is all accounts as they stand now, by level and name. Each is looked at by
// itself.
func (a *Accounts) List() []State {
	a.mu.RLock()
	accounts := make([]*Account, 0, len(a.byName))
	for _, c := range a.byName {
		accounts = append(accounts, c)
	}
	a.mu.RUnlock()
	slices.SortFunc(accounts, func(x, y *Account) int {
		return cmp.Or(cmp.Compare(x.level, y.level), cmp.Compare(x.name, y.name))
	})
	out := make([]State, len(accounts))
	now := time.Now()
	for i, c := range accounts {
		out[i] = c.state(now)
	}
	return out
}

// State is one account as it stands at a time; false when there is none.
func (a *Accounts) State(level Level, name string, now time.Time) (State, bool) {
	a.mu.RLock()
	c := a.byName[accountName{level, name}]
	a.mu.RUnlock()
	if c == nil {
		return State{}, false
	}
	return c.state(now), true
}

func (c *Account) state(now time.Time) State {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.all.moment(now)
	s := State{Level: c.level, Name: c.name, Concurrent: c.rules.Limits.Concurrent, InFlight: int(c.inflight)}
	for i := range c.limits {
		l := &c.limits[i]
		left := l.left(at.clock)
		if l.pool != nil {
			left = l.pool.visible(at.clock)
		}
		s.Limits = append(s.Limits, LimitState{
			Resource: l.resource.String(), Rate: l.rate().String(), Left: left, Full: time.Duration(max(0, l.full-at.clock)),
		})
	}
	for i := range c.rules.Budgets {
		b := &c.rules.Budgets[i]
		s.Budgets = append(s.Budgets, c.counters[b.Per].at(c, b.Per, at.unix).state(b))
	}
	return s
}

func (w *window) state(b *Budget) BudgetState {
	s := BudgetState{Budget: *b, Known: w.loaded, Spent: Money(w.spent()), Held: Money(w.reach(b) - w.own())}
	s.From, s.To = w.times()
	if w.lease != nil {
		s.Doubt, s.Mark = Money(w.lease.doubt), Money(w.lease.mark)
	}
	s.Left = max(0, b.Amount-s.Spent-s.Held-s.Doubt)
	return s
}
