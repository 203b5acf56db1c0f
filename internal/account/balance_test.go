package account

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// books is a ledger for tests: exchanges with when they began, and who paid.
type books struct {
	mu    sync.Mutex
	list  []entry
	down  error
	asked int
}

type entry struct {
	level Level
	name  string
	start time.Time
	nano  int64
}

func (b *books) put(name string, start time.Time, nano int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, entry{Key, name, start, nano})
}

func (b *books) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = err
}

func (b *books) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

func (b *books) balances(_ context.Context, level Level, from, to time.Time) (map[string]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.down != nil {
		return nil, b.down
	}
	out := map[string]int64{}
	for _, e := range b.list {
		if e.level == level && !e.start.Before(from) && e.start.Before(to) {
			out[e.name] += e.nano
		}
	}
	return out, nil
}

// bubble runs a test in virtual time, with accounts that run.
func bubble(t *testing.T, o Options, do func(t *testing.T, a *Accounts)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(36 * time.Hour) // virtual time begins with a month
		a := New(o)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		do(t, a)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// try admits a request that begins now and holds its estimate.
func try(a *Accounts, h *Hold, c *Account, nano int64) *Refusal {
	return a.Reserve(context.Background(), h, []*Account{c}, Want{Start: time.Now(), Nano: nano, Bound: nano})
}

func budgetNow(t *testing.T, a *Accounts) BudgetState {
	t.Helper()
	s, ok := a.State(Key, "k1", time.Now())
	if !ok || len(s.Budgets) == 0 {
		t.Fatal("there is no such budget")
	}
	return s.Budgets[0]
}

func TestAnUnknownBalanceRefusesAndIsAskedForAgain(t *testing.T) {
	b := &books{down: errors.New("no ledger")}
	failures := make(chan error, 100)
	bubble(t, Options{Balances: b.balances, Failed: func(err error) { failures <- err }}, func(t *testing.T, a *Accounts) {
		b.put("k1", time.Now().Add(-time.Hour), 2e9)
		c := account(t, a, "budget=5/total,hard budget=5/total", time.Now())
		var h Hold
		r := try(a, &h, c, 1)
		if r == nil || r.Reason != ReasonBudget || r.After != time.Second || budgetNow(t, a).Known {
			t.Errorf("a budget whose balance nobody knows: %+v", r)
		}
		if err := a.Load(t.Context(), time.Now()); !errors.Is(err, b.down) {
			t.Errorf("Load says %v", err)
		}
		time.Sleep(10 * time.Second)
		b.fail(nil)
		time.Sleep(longPause)
		if n := len(failures); n < 2 || n > 6 {
			t.Errorf("%d failures in ten seconds are told", n)
		}
		if err := <-failures; err.Error() != "what each key has spent cannot be read from the ledger: no ledger" {
			t.Errorf("told: %v", err)
		}
		if r := try(a, &h, c, 3e9); r != nil {
			t.Errorf("the ledger is back: %v", r)
		}
		h.Settle(time.Now(), Used{Nano: 3e9})
		if s := budgetNow(t, a); s.Spent != 5*Dollar || !s.Known {
			t.Errorf("%+v", s)
		}
	})
}

func TestSoftBudgetsDoNotWaitForTheLedger(t *testing.T) {
	b := &books{down: errors.New("no ledger")}
	bubble(t, Options{Balances: b.balances}, func(t *testing.T, a *Accounts) {
		c := account(t, a, "budget=5/month", time.Now())
		var h Hold
		if r := try(a, &h, c, 9e9); r != nil {
			t.Error(r)
		}
		h.Settle(time.Now(), Used{Nano: 9e9})
	})
}

// TestEachExchangeCountsOnce: what began before the account was made is counted
// by the ledger, when it is settled; what began later here.
func TestEachExchangeCountsOnce(t *testing.T) {
	b := &books{}
	bubble(t, Options{Balances: b.balances}, func(t *testing.T, a *Accounts) {
		begun := time.Now()
		time.Sleep(time.Second)
		c := account(t, a, "budget=100/month,hard", time.Now())
		if err := a.Load(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		// One was in flight without the account, one took from it although it began
		// before, one began later.
		var early, late Hold
		if r := a.Reserve(t.Context(), &early, []*Account{c}, Want{Start: begun, Nano: 1e9}); r != nil {
			t.Fatal(r)
		}
		if r := try(a, &late, c, 1e9); r != nil {
			t.Fatal(r)
		}
		start := time.Now()
		time.Sleep(time.Minute)
		early.Settle(time.Now(), Used{Nano: 2e9})
		late.Settle(time.Now(), Used{Nano: 4e9})
		if s := budgetNow(t, a); s.Spent != 6*Dollar || s.Held != 0 {
			t.Errorf("before the ledger has them: %v spent, %v held", s.Spent, s.Held)
		}
		b.put("k1", begun, 2e9)
		b.put("k1", start, 4e9)
		b.put("k1", begun, 8e9)
		time.Sleep(5 * time.Minute)
		if s := budgetNow(t, a); s.Spent != 14*Dollar {
			t.Errorf("%v spent, want $14", s.Spent)
		}
		// When the answer has been the same for a while the ledger is left alone.
		time.Sleep(time.Hour)
		asked := b.count()
		time.Sleep(time.Hour)
		if b.count() != asked || asked > 12 {
			t.Errorf("asked %d times, then %d", asked, b.count())
		}
	})
}

func TestAHoldSettlesIntoItsOwnWindow(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, a *Accounts) {
		c := account(t, a, "budget=5/day,hard", time.Now())
		_, end := Day.Bounds(time.Now())
		time.Sleep(time.Until(end) - time.Second)
		var old, fresh Hold
		start := time.Now()
		if r := try(a, &old, c, 5e9); r != nil {
			t.Fatal(r)
		}
		if r := try(a, &fresh, c, 1); r == nil || r.After != time.Second {
			t.Errorf("a budget that is all held: %v", r)
		}
		time.Sleep(2 * time.Second)
		if r := try(a, &fresh, c, 5e9); r != nil {
			t.Errorf("the next day: %v", r)
		}
		old.Settle(time.Now(), Used{Nano: 5e9})
		if s := budgetNow(t, a); s.Spent != 0 || s.Held != 5*Dollar {
			t.Errorf("yesterday's spend: %+v", s)
		}
		// One that began yesterday and is late belongs to yesterday.
		var late Hold
		if r := a.Reserve(t.Context(), &late, []*Account{c}, Want{Start: start, Nano: 1}); r == nil {
			t.Error("yesterday's budget is used up")
		}
		fresh.Settle(time.Now(), Used{Nano: 4e9})
		if s := budgetNow(t, a); s.Spent != 4*Dollar || s.Left != Dollar {
			t.Errorf("%+v", s)
		}
	})
}

func TestAfterOfAUsedUpBudgetIsTheEndOfItsWindow(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, a *Accounts) {
		c := account(t, a, "budget=5/week,hard", time.Now())
		var h Hold
		if r := try(a, &h, c, 1); r != nil {
			t.Fatal(r)
		}
		h.Settle(time.Now(), Used{Nano: 5e9})
		r := try(a, &h, c, 1)
		if r == nil || r.After <= time.Hour {
			t.Fatalf("%+v", r)
		}
		time.Sleep(r.After - 1)
		if r := try(a, &h, c, 1); r == nil {
			t.Error("it passes before")
		}
		time.Sleep(time.Nanosecond)
		if r := try(a, &h, c, 1); r != nil {
			t.Error(r)
		}
		h.Settle(time.Now(), Used{})
	})
}

func TestWarningsGoOutOnce(t *testing.T) {
	var told []Warning
	b := &books{}
	bubble(t, Options{Balances: b.balances, Notify: func(w Warning) { told = append(told, w) }}, func(t *testing.T, a *Accounts) {
		b.put("k1", time.Now().Add(-time.Minute), 1_500_000_000) // on the same day
		c := account(t, a, "budget=10/month,warn=10%+50%+80% budget=1000/month,hard", time.Now())
		if err := a.Load(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if len(told) != 0 {
			t.Errorf("what was passed before is told again: %v", told)
		}
		var h Hold
		spend := func(nano int64) (warned string) {
			if r := try(a, &h, c, nano); r != nil {
				t.Fatal(r)
			}
			warned = h.Warned()
			h.Settle(time.Now(), Used{Nano: nano})
			return warned
		}
		if got := spend(3_499_999_999); got != `key "k1": 10% of $10 a month` || len(told) != 0 {
			t.Errorf("%q, %v", got, told)
		}
		spend(1)
		spend(1)
		if len(told) != 1 || told[0].Share != 50 || told[0].String() != `key "k1" has spent $5, which is 50% or more of its budget of $10 a month` {
			t.Errorf("%v", told)
		}
		spend(5e9)
		if len(told) != 3 || told[1].Share != 80 || told[2].Share != 100 {
			t.Errorf("%v", told)
		}
		if got := spend(5e9); got != `key "k1": 100% of $10 a month` || len(told) != 3 {
			t.Errorf("%q, %v", got, told)
		}
		time.Sleep(32 * 24 * time.Hour)
		if got := spend(1e9); got != "" || len(told) != 4 || told[3].Share != 10 || !told[3].From.After(told[0].From) {
			t.Errorf("%q, %v", got, told)
		}
	})
}

func TestAClockThatJumpsLeavesTheBudgetInPlace(t *testing.T) {
	a := New(Options{})
	c := account(t, a, "budget=5/month,hard", t0)
	var h Hold
	at := func(when time.Time, nano int64) *Refusal {
		r := a.Reserve(t.Context(), &h, []*Account{c}, Want{Start: when, Nano: nano})
		h.Settle(when, Used{Nano: nano})
		return r
	}
	if r := at(t0, 5e9); r != nil {
		t.Fatal(r)
	}
	if r := at(t0.AddDate(10, 0, 0), 5e9); r != nil {
		t.Fatal(r)
	}
	if r := at(t0, 1); r == nil {
		t.Error("the clock is put right, and the month is free again")
	}
	next := t0.AddDate(0, 1, 0)
	if r := at(next, 5e9); r != nil {
		t.Errorf("the next month: %v", r)
	}
	if r := at(next, 1); r == nil {
		t.Error("the next month is never used up")
	}
}
