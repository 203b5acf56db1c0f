// Package account says how much: the limits and budgets of organisations, teams,
// customers, keys, models and targets.
//
// It owns the live state of every [Account], the one step that takes from all of
// those that a request draws on or from none ([Accounts.Reserve]), its end
// ([Hold.Settle]), and what is learned about how much requests use ([Estimator]).
// It keeps no balance anywhere: what was spent is what the ledger says, plus what
// has been settled since it was asked. It never knows who calls (package policy),
// nor what anything costs (package meter).
//
// Start reading at [Accounts.Reserve]; rules.go has the words of the file,
// limit.go the arithmetic of rates, budget.go that of money, lease.go how several
// gateways share it. docs/adr/0010 has the
// reasons. Everything is safe for concurrent use, but a Hold, which belongs to its
// request.
package account

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tailplane/internal/llm"
)

// Options are what accounts need of the rest of the program.
type Options struct {
	// Balances is what the ledger says was spent by each name of a level in
	// exchanges that began in [from, to), in nano-dollars; what was held for
	// exchanges of unknown end counts. nil: nothing was.
	Balances func(ctx context.Context, level Level, from, to time.Time) (map[string]int64, error)
	// Shared is where several gateways meet, and Gateway this one's name there; then
	// Balances tells what this gateway has spent, and Term is how long one that is
	// not heard of keeps what it leased. nil: this gateway is alone.
	Shared  Shared
	Gateway string
	Term    time.Duration
	// Notify is told when a share of a budget is passed, once for each window. It
	// must not block.
	Notify func(Warning)
}

// Accounts are all accounts there are.
type Accounts struct {
	opt      Options
	rounds   *rounds
	gateways atomic.Int64 // that share the limits

	mu     sync.Mutex
	byName [levels]map[string]*Account
	life   int64 // of this process among its gateway's
}

// New makes an empty set.
func New(o Options) *Accounts {
	a := &Accounts{opt: o, rounds: newRounds(), life: time.Now().UnixNano()}
	a.gateways.Store(1)
	for i := range a.byName {
		a.byName[i] = map[string]*Account{}
	}
	return a
}

// Account is what one party, key, model or target may use, with what it has used.
type Account struct {
	Level Level
	Name  string

	notify   func(Warning)
	gateways *atomic.Int64

	mu       sync.Mutex
	rules    Rules
	version  uint32 // of the rates, so that a hold corrects only what it took from
	base     time.Time
	rates    []rate
	inFlight int
	budgets  []*budget
}

// Account is the account of a name, with these rules from now on: what it has used
// stays as far as the rules are the same. It is nil when everything is allowed. It
// does not block; a hard budget that is new admits nothing before Load.
func (a *Accounts) Account(level Level, name string, r Rules, now time.Time) *Account {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	acc := a.byName[level][name]
	if r.IsZero() {
		delete(a.byName[level], name)
		return nil
	}
	if acc == nil {
		acc = &Account{Level: level, Name: name, notify: a.opt.Notify, gateways: &a.gateways, base: now}
		a.byName[level][name] = acc
	}
	life := int64(0)
	if a.opt.Shared != nil {
		life = a.life
	}
	acc.adopt(r, now, a.opt.Balances == nil, life)
	return acc
}

// adopt takes over rules. life is that of the process among several gateways; 0
// when it is alone.
func (a *Account) adopt(r Rules, now time.Time, loaded bool, life int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rates := ratesOf(r.Limits)
	same := slices.EqualFunc(a.rates, rates, func(x, y rate) bool { return x.resource == y.resource && x.Rate == y.Rate })
	if !same {
		a.rates = rates
		a.version++
	}
	var budgets []*budget
	for _, b := range r.Budgets {
		i := slices.IndexFunc(a.budgets, func(old *budget) bool { return old.Per == b.Per })
		if i >= 0 {
			a.budgets[i].Budget = b
			budgets = append(budgets, a.budgets[i])
			continue
		}
		fresh := &budget{Budget: b, created: now, loaded: loaded}
		fresh.start, fresh.end = b.Per.window(now)
		if life != 0 {
			fresh.lease = &lease{life: life}
		}
		budgets = append(budgets, fresh)
	}
	a.rules, a.budgets = r, budgets
}

// Unbounded is the Want.Bound of a request for which there is no most that it can
// cost.
const Unbounded = -1

// Want is what a request is expected to use.
type Want struct {
	Start         time.Time // of its exchange
	Input, Output int64     // tokens
	Nano          int64     // cost, in nano-dollars
	Bound         int64     // the most that it can cost; or Unbounded
}

// Used is what it did use.
type Used struct{ Input, Output, Nano int64 }

// Hold is what a request has taken until it is settled. The zero Hold has taken
// nothing; it may be used again after Settle. It belongs to one request.
type Hold struct {
	parts [8]part
	n     int
	open  bool
	want  Want
	held  int64
}

// part is what was taken from one account.
type part struct {
	of      *Account
	version uint32
	share   int64 // gateways among which the limits were shared
	budgets [mostRules]taken
}

// taken is money that a budget holds in a window.
type taken struct {
	of    *budget
	start time.Time // of the window
	nano  int64
}

// reserve takes from every account of a chain, or from none.
func reserve(h *Hold, chain []*Account, w Want) *Refusal {
	*h = Hold{want: w}
	for _, acc := range chain {
		if acc == nil || h.n == len(h.parts) {
			continue
		}
		p := &h.parts[h.n]
		*p = part{of: acc}
		if no := acc.take(p, &w); no != nil {
			for i := range h.n {
				h.parts[i].of.giveBack(&h.parts[i], &w, Used{}, true)
			}
			h.n++ // what the headers tell is that of the one that refused, too
			return no
		}
		h.n++
	}
	h.open = true
	for i := range h.n {
		for _, t := range h.parts[i].budgets {
			h.held = max(h.held, t.nano)
		}
	}
	return nil
}

// take takes from one account, or from nothing of it.
func (a *Account) take(p *part, w *Want) *Refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := w.Start
	share := a.gateways.Load()
	if most := int64(a.rules.Limits.Concurrent); most > 0 && int64(a.inFlight) >= max(1, most/share) {
		return a.refusal(ReasonConcurrent, fmt.Sprintf("%d requests at once are allowed, and as many run", a.rules.Limits.Concurrent), time.Second)
	}
	at := a.since(now)
	for i := range a.rates {
		r := &a.rates[i]
		if wait, ok := r.fits(at, share*r.amount(w.Input, w.Output)); !ok {
			return a.refusal(ReasonLimit, r.overText(w), wait)
		}
	}
	for i, b := range a.budgets {
		b.roll(now)
		nano, no := b.fits(a, w, now)
		if no != nil {
			return no
		}
		p.budgets[i] = taken{b, b.start, nano}
	}
	p.version = a.version
	p.share = share
	a.inFlight++
	for i := range a.rates {
		r := &a.rates[i]
		r.add(at, share*r.amount(w.Input, w.Output))
	}
	for i, b := range a.budgets {
		b.held += p.budgets[i].nano
	}
	return nil
}

// giveBack ends a part: what was taken becomes what was used. undo also gives the
// request itself back, as if it had never come.
func (a *Account) giveBack(p *part, w *Want, u Used, undo bool) {
	var passed []Warning
	a.mu.Lock()
	a.inFlight--
	if p.version == a.version {
		for i := range a.rates {
			a.rates[i].correct(w, u, p.share, undo)
		}
	}
	for i := range p.budgets {
		if t := &p.budgets[i]; t.of != nil {
			passed = append(passed, t.of.settle(a, t, w.Start, u.Nano)...)
		}
	}
	a.mu.Unlock()
	if a.notify != nil {
		for _, p := range passed {
			a.notify(p)
		}
	}
}

// Extend takes once more what an attempt is expected to cost, when the one before
// cost something and another follows.
func (h *Hold) Extend(_ context.Context, now time.Time, nano, bound int64) *Refusal {
	if !h.open {
		return nil
	}
	w := Want{Start: now, Nano: nano, Bound: bound}
	for i := range h.n {
		if no := h.parts[i].of.extend(&h.parts[i], &w, now); no != nil {
			return no
		}
	}
	h.held = 0
	for i := range h.n {
		for _, t := range h.parts[i].budgets {
			h.held = max(h.held, t.nano)
		}
	}
	return nil
}

func (a *Account) extend(p *part, w *Want, now time.Time) *Refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range p.budgets {
		t := &p.budgets[i]
		if t.of == nil || !t.of.start.Equal(t.start) {
			continue
		}
		nano, no := t.of.fits(a, w, now)
		if no != nil {
			return no
		}
		t.nano += nano
		t.of.held += nano
	}
	return nil
}

// Settle replaces what was taken by what was used. It does so once: a second call
// does nothing, and neither does one after a refusal.
func (h *Hold) Settle(_ time.Time, u Used) {
	if !h.open {
		return
	}
	h.open = false
	for i := range h.n {
		h.parts[i].of.giveBack(&h.parts[i], &h.want, u, false)
	}
}

// Nano is the most that a budget holds for the request, in nano-dollars.
func (h *Hold) Nano() int64 { return h.held }

// Quota is what is left of the tightest limit of each resource, over all accounts
// that were asked, also after a refusal.
func (h *Hold) Quota(now time.Time) (q llm.Quota) {
	for i := range h.n {
		h.parts[i].of.quota(now, &q)
	}
	return q
}

// Warned says which budget's share was passed, the tightest first; empty when
// none was.
func (h *Hold) Warned() string {
	most, text := 0.0, ""
	for i := range h.n {
		if share, said := h.parts[i].of.warned(h.want.Start); share > most {
			most, text = share, said
		}
	}
	return text
}

// since is a moment as the rates count it.
func (a *Account) since(now time.Time) float64 { return float64(now.Sub(a.base)) }

// Reason says what a refusal rests on.
type Reason string

// The reasons.
const (
	ReasonLimit      Reason = "limit"
	ReasonConcurrent Reason = "concurrent"
	ReasonBudget     Reason = "budget"
	ReasonLease      Reason = "lease"     // the shared database cannot be reached, and the lease is used up
	ReasonUnbounded  Reason = "unbounded" // a strict budget, and no most that the request can cost
)

// Refusal says who refused and why.
type Refusal struct {
	Level  Level
	Name   string
	Reason Reason
	What   string        // what is used up, and of how much
	After  time.Duration // when the request would pass if nothing else came; 0: a wait does not help
}

func (a *Account) refusal(why Reason, what string, after time.Duration) *Refusal {
	return &Refusal{Level: a.Level, Name: a.Name, Reason: why, What: what, After: after}
}

// List is the state of every account, ordered by level and name.
func (a *Accounts) List(now time.Time) []State {
	a.mu.Lock()
	var all []*Account
	for _, m := range a.byName {
		for _, acc := range m {
			all = append(all, acc)
		}
	}
	a.mu.Unlock()
	slices.SortFunc(all, func(x, y *Account) int {
		return cmp.Or(cmp.Compare(x.Level, y.Level), cmp.Compare(x.Name, y.Name))
	})
	out := make([]State, len(all))
	for i, acc := range all {
		out[i] = acc.State(now)
	}
	return out
}

// State is an account at one moment.
type State struct {
	Level    string        `json:"level"`
	Name     string        `json:"name"`
	Limits   Limits        `json:"limits,omitzero"`
	InFlight int           `json:"in_flight"`
	Quota    llm.Quota     `json:"-"`
	Budgets  []BudgetState `json:"budgets,omitempty"`
}

// State tells what is left.
func (a *Account) State(now time.Time) State {
	s := State{Level: a.Level.String(), Name: a.Name}
	a.quota(now, &s.Quota)
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Limits, s.InFlight = a.rules.Limits, a.inFlight
	for _, b := range a.budgets {
		b.roll(now)
		s.Budgets = append(s.Budgets, b.state())
	}
	return s
}
