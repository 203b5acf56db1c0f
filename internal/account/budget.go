package account

import (
	"fmt"
	"time"
)

// budget is a budget in its current window. What is spent of it is base, which the
// ledger says of exchanges that began before created, plus live, which was settled
// of those that began since; held is what runs now.
type budget struct {
	Budget
	start, end time.Time // of the window; no end: it has none
	created    time.Time
	loaded     bool // base is known
	base       int64
	live       int64
	held       int64
	told       int // the highest share that somebody was told of

	// Among several gateways, of a hard budget and a soft one alike:
	lease     *lease
	renewed   time.Time // when the last grant came
	lastUsed  time.Time
	wanted    int64 // the mark that the last report needed
	exhausted bool  // the last grant did not reach it
}

// spent is what this gateway has spent.
func (b *budget) spent() int64 { return b.base + b.live }

// overall is what all gateways have spent, as far as this one knows.
func (b *budget) overall() int64 {
	if b.lease == nil {
		return b.spent()
	}
	return max(b.spent(), b.lease.spent)
}

// roll goes on to the window of a moment. A clock that goes back changes nothing.
func (b *budget) roll(now time.Time) {
	if b.end.IsZero() || now.Before(b.end) {
		return
	}
	next := budget{Budget: b.Budget, created: b.end, loaded: true}
	next.start, next.end = b.Per.window(now)
	if next.created = next.start; b.lease != nil {
		next.lease = &lease{life: b.lease.life}
	}
	*b = next
}

// fits is what the budget has to hold for a request, or who refuses it.
func (b *budget) fits(a *Account, w *Want, now time.Time) (int64, *Refusal) {
	nano := w.Nano
	if b.Strict {
		nano = w.Bound
	}
	switch {
	case b.Strict && w.Bound < 0:
		return 0, a.refusal(ReasonUnbounded, "its budget is strict, and there is no most that this request can cost: state max_tokens, and use a model whose prices and context are known", 0)
	case !b.Hard:
		if b.lease != nil {
			b.lease.used = true
		}
		return nano, nil
	case !b.loaded:
		return 0, a.refusal(ReasonBudget, "what its budget has spent is being read from the ledger", time.Second)
	case b.lease != nil:
		return nano, b.leased(a, nano, now)
	case b.spent()+b.held+nano > int64(b.Amount):
		return 0, a.refusal(ReasonBudget, b.overText(nano), b.untilEnd(now))
	}
	return nano, nil
}

func (b *budget) overText(nano int64) string {
	return fmt.Sprintf("its budget of %s %s does not have room for this request: %s are spent, %s held for requests that run, and %s would be held for this one",
		b.Amount, b.Per.words(), Money(b.spent()), Money(b.held), Money(nano))
}

// untilEnd is when the window ends, as far as a wait helps.
func (b *budget) untilEnd(now time.Time) time.Duration {
	switch {
	case b.spent() < int64(b.Amount) && b.held > 0:
		return time.Second // what runs may cost less than is held for it
	case b.end.IsZero():
		return 0
	}
	return b.end.Sub(now)
}

// settle ends what was held for a request that began at a moment, and returns who
// is to be told. A window that is over is the ledger's matter alone.
func (b *budget) settle(a *Account, t *taken, began time.Time, nano int64) []Warning {
	if !b.start.Equal(t.start) {
		return nil
	}
	b.held -= t.nano
	if !began.Before(b.created) {
		b.live += nano
	}
	return b.passed(a)
}

// passed are the shares that have been passed and not been told yet; the highest
// alone, so that a jump is told once.
func (b *budget) passed(a *Account) []Warning {
	share := b.sharePassed()
	if share <= b.told {
		return nil
	}
	b.told = share
	return []Warning{{
		Level: a.Level.String(), Name: a.Name, Period: b.Per, Window: b.start, Share: share,
		Amount: b.Amount, Spent: Money(b.overall()), Hard: b.Hard,
	}}
}

func (b *budget) sharePassed() int {
	passed := 0
	for _, share := range b.shares() {
		if b.overall() >= int64(b.Amount)/100*int64(share) {
			passed = share
		}
	}
	return passed
}

var usualShares = Shares{80, 100}

func (b *budget) shares() Shares {
	if len(b.Warn) == 0 {
		return usualShares
	}
	return b.Warn
}

// Warning says that a share of a budget is spent.
type Warning struct {
	Level  string    `json:"level"`
	Name   string    `json:"name"`
	Period Period    `json:"period"`
	Window time.Time `json:"window"` // its start; zero for a budget without an end
	Share  int       `json:"share_percent"`
	Amount Money     `json:"amount"`
	Spent  Money     `json:"spent"`
	Hard   bool      `json:"hard"`
}

// warned is the share of the account's tightest budget, and words for it when
// that is one at which somebody is told.
func (a *Account) warned(now time.Time) (most float64, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.budgets {
		b.roll(now)
		share := float64(b.overall()) / float64(b.Amount)
		if b.sharePassed() > 0 && share > most {
			most, text = share, fmt.Sprintf("%s %s has spent %d%% of %s %s", a.Level, a.Name, int(100*share), b.Amount, b.Per.words())
		}
	}
	return most, text
}

// BudgetState is a budget at one moment, in nano-dollars.
type BudgetState struct {
	Budget
	Window time.Time `json:"window,omitzero"` // its start
	Ends   time.Time `json:"ends,omitzero"`
	Spent  Money     `json:"spent"`
	Held   Money     `json:"held"`
	Left   Money     `json:"left"`
	Doubt  Money     `json:"doubt,omitempty"` // of gateways that are silent: perhaps spent
	Known  bool      `json:"known"`           // Spent has been read from the ledger
}

func (b *budget) state() BudgetState {
	s := BudgetState{Budget: b.Budget, Window: b.start, Ends: b.end, Spent: Money(b.overall()), Held: Money(b.held), Known: b.loaded}
	if b.lease != nil {
		s.Doubt = Money(b.lease.doubt)
	}
	s.Left = max(0, b.Amount-s.Spent-s.Held-s.Doubt)
	return s
}
