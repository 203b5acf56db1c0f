package account

import (
	"context"
	"math"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what Accounts work with.
type Options struct {
	// Balances says what the ledger knows to be spent by each name of a level,
	// in nano-dollars, by exchanges that began from a time on and before another
	// one; a zero from is the beginning. It is asked outside of any lock. Nil is
	// a ledger that knows nothing.
	Balances func(ctx context.Context, level Level, from, to time.Time) (map[string]int64, error)
	// OwnBalances is the same for the exchanges of this gateway alone, with those
	// whose end nobody knows. It is asked where there is a Shared; Balances, which
	// is of all gateways, then tells what those have spent that share nothing yet.
	OwnBalances func(ctx context.Context, level Level, from, to time.Time) (map[string]int64, error)
	// Shared is the database that several gateways share; nil for one gateway.
	Shared Shared
	// Gateway is this gateway's name in the shared database. No two have the same.
	Gateway string
	// Notify is told of each threshold that is passed, once in a window. It must
	// not block, and may be called by any goroutine. What the first answer of the
	// ledger already has passed is not told again.
	Notify func(Warning)
	// Failed is told that the ledger or the shared database could not be asked, at
	// each attempt. It must not block, and may be called by any goroutine.
	Failed func(error)
}

// Accounts are all accounts of a gateway. They are safe for concurrent use.
type Accounts struct {
	opt  Options
	base time.Time // where the clock of limits begins

	mu     sync.RWMutex
	byName map[accountName]*Account
	made   uint64

	asking     chan struct{} // held by who asks the ledger
	askMu      sync.Mutex    // nothing else is locked while it is held
	askAll     map[*window]*question
	wakeLedger chan struct{} // there is a question
	renewal    renewal
}

type accountName struct {
	level Level
	name  string
}

// An Account is the rules of one party, key, model or target, and their live
// state. [Accounts.Account] makes it.
//
// What a request looks at comes first: with many accounts each line of memory is
// a wait.
type Account struct {
	order    uint64 // in which accounts are locked
	mu       sync.Mutex
	epoch    uint32 // changes with limits
	asks     atomic.Uint32
	inflight int32
	most     int32   // in flight; 0: any number
	places   *places // with a shared database, and a limit of requests in flight
	limits   []limit
	few      [2]limit // where limits stand when they are few
	counters [periods]counter
	first    window // the first window that there was

	all   *Accounts
	level Level
	gone  bool // no rules name it any more
	name  string
	rules *Rules
	// since is when the account first had a budget of the period: what began
	// before is counted by the ledger, what begins from then on here.
	since [periods]int64
}

// New returns Accounts. Nothing runs until [Accounts.Run].
func New(o Options) *Accounts {
	a := &Accounts{
		opt: o, base: time.Now(), byName: map[accountName]*Account{},
		asking: make(chan struct{}, 1), askAll: map[*window]*question{}, wakeLedger: make(chan struct{}, 1),
	}
	a.renewal.begin()
	return a
}

func (a *Accounts) failed(err error) {
	if err != nil && a.opt.Failed != nil {
		a.opt.Failed(err)
	}
}

func (a *Accounts) moment(t time.Time) moment { return moment{t.UnixNano(), a.clock(t)} }

// clock is a time in the nanoseconds of limits.
func (a *Accounts) clock(t time.Time) int64 { return int64(t.Sub(a.base)) }

// Account returns the account of a level and name, with these rules from now on.
// The same level and name have the same live state as before: what is in flight,
// what rates have admitted, what was spent. Rules that are zero forget it, and
// the account is nil, which [Accounts.Reserve] skips. It asks nobody and does not
// wait: until [Accounts.Load] or [Accounts.Run] has learnt what was spent, a hard
// budget that is new refuses. The rules must be valid.
func (a *Accounts) Account(level Level, name string, r Rules, now time.Time) *Account {
	id := accountName{level, name}
	a.mu.Lock()
	defer a.mu.Unlock()
	acc := a.byName[id]
	if r.IsZero() {
		if acc != nil {
			delete(a.byName, id)
			acc.mu.Lock()
			acc.gone = true
			acc.mu.Unlock()
		}
		return nil
	}
	if acc == nil {
		a.made++
		acc = &Account{all: a, level: level, name: name, order: a.made, rules: &Rules{}}
		a.byName[id] = acc
	}
	acc.mu.Lock()
	defer acc.mu.Unlock()
	acc.apply(r, now)
	return acc
}

// Fetch begins to bring an account near, for a request that will draw on it: with
// many accounts that takes as long as all the rest of Reserve. A nil account is
// near.
func (c *Account) Fetch() {
	if c != nil {
		c.asks.Load()
	}
}

// apply takes over rules. The account is locked.
func (c *Account) apply(r Rules, now time.Time) {
	if reflect.DeepEqual(*c.rules, r) {
		return
	}
	if !reflect.DeepEqual(c.rules.Limits, r.Limits) {
		c.applyLimits(r.Limits)
	}
	c.rules = &Rules{Limits: r.Limits, Budgets: slices.Clone(r.Budgets)}
	c.most = int32(min(r.Limits.Concurrent, math.MaxInt32))
	at := now.UnixNano()
	var used [periods]bool
	asks := uint32(0)
	for _, b := range c.rules.Budgets {
		used[b.Per] = true
		asks |= asksNano
		if b.Strict {
			asks |= asksBound
		}
	}
	c.asks.Store(asks)
	for p := Day; int(p) < periods; p++ {
		n := &c.counters[p]
		switch {
		case !used[p]:
			*n = counter{}
		case n.now == nil:
			c.since[p] = at
			n.first(c, p, at)
		}
		for _, w := range [...]*window{n.now, n.past} {
			if w != nil {
				w.adopt(c.rules.Budgets)
			}
		}
	}
}

// applyLimits keeps what rates have admitted, as a share of their period.
func (c *Account) applyLimits(l Limits) {
	before := slices.Clone(c.limits)
	limits := c.few[:0]
	for _, rated := range l.rated() {
		for _, rate := range rated.rates {
			n := newLimit(rated.resource, rate)
			for _, old := range before {
				if old.resource == n.resource && old.period == n.period {
					n.full, n.back, n.pool = old.full, old.back, old.pool
				}
			}
			if n.pool == nil && c.all.opt.Shared != nil {
				n.pool = &pool{account: c, resource: n.resource}
			}
			if n.pool != nil {
				n.pool.rate = rate
			}
			limits = append(limits, n)
		}
	}
	c.limits = limits
	c.epoch++
	if c.places == nil && l.Concurrent > 0 && c.all.opt.Shared != nil {
		c.places = &places{account: c}
	}
}

// Run asks the ledger what is still to be learnt, and renews what is leased from
// the shared database, until ctx ends; then it gives back what is not used. It
// returns nil: what fails is tried again, and until then the refusals say so.
func (a *Accounts) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	if a.asks() {
		wg.Go(func() { a.runLedger(ctx) })
	}
	if a.opt.Shared != nil {
		wg.Go(func() { a.runRenewals(ctx) })
	}
	wg.Wait()
	return nil
}
