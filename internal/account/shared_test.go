package account

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// table is a shared database in memory, which can be cut off.
type table struct {
	mu     sync.Mutex
	rows   map[string]Row
	delay  time.Duration
	down   error
	rounds int
}

func (s *table) Renew(ctx context.Context, gateway string, reports []Report) ([]Grant, error) {
	s.mu.Lock()
	delay, down := s.delay, s.down
	s.rounds++
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if down != nil {
		return nil, down
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	grants := make([]Grant, len(reports))
	for _, i := range rowsInOrder(reports) {
		r := reports[i]
		s.rows[r.Row], grants[i] = decide(s.rows[r.Row], gateway, r, time.Now(), term)
	}
	return grants, nil
}

func (s *table) set(delay time.Duration, down error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay, s.down = delay, down
}

func (s *table) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rounds
}

// cluster runs some gateways over one table in virtual time.
func cluster(t *testing.T, n int, own func(gateway string) *books, do func(t *testing.T, s *table, all []*Accounts, stop func(i int))) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(36 * time.Hour)
		s := &table{rows: map[string]Row{}, delay: 2 * time.Millisecond}
		var all []*Accounts
		stops := make([]func(), n)
		for i := range n {
			name := string(rune('a' + i))
			o := Options{Shared: s, Gateway: name}
			if own != nil {
				o.OwnBalances = own(name).balances
			}
			a := New(o)
			all = append(all, a)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- a.Run(ctx) }()
			stops[i] = sync.OnceFunc(func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		}
		for _, stop := range stops {
			defer stop()
		}
		do(t, s, all, func(i int) { stops[i]() })
	})
}

// spendAll spends with requests of one size until none is admitted for a while.
func spendAll(a *Accounts, c *Account, nano int64) (spent int64) {
	for misses := 0; misses < 20; {
		var h Hold
		if try(a, &h, c, nano) != nil {
			misses++
			time.Sleep(time.Second)
			continue
		}
		misses = 0
		h.Settle(time.Now(), Used{Nano: nano})
		spent += nano
	}
	return spent
}

func TestGatewaysShareABudget(t *testing.T) {
	cluster(t, 3, nil, func(t *testing.T, s *table, all []*Accounts, _ func(int)) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		total := int64(0)
		for _, a := range all {
			c := account(t, a, "budget=0.00001/month,strict", time.Now()) // 10000 nano-dollars
			wg.Go(func() {
				spent := spendAll(a, c, 7)
				mu.Lock()
				total += spent
				mu.Unlock()
			})
		}
		wg.Wait()
		if total > 10000 || total < 10000-7*3 {
			t.Errorf("%d of 10000 spent", total)
		}
		time.Sleep(term)
		for _, a := range all {
			if b := budgetNow(t, a); int64(b.Spent) != total || b.Doubt != 0 {
				t.Errorf("a gateway believes that %d are spent of %d, %d in doubt", b.Spent, total, b.Doubt)
			}
		}
	})
}

func TestARequestWaitsForALeaseOnceForMany(t *testing.T) {
	cluster(t, 1, nil, func(t *testing.T, s *table, all []*Accounts, _ func(int)) {
		c := account(t, all[0], "requests=1k/m tokens=100k/m concurrent=500 budget=5/month,hard", time.Now())
		s.set(20*time.Millisecond, nil)
		begin, before := time.Now(), s.count()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				var h Hold
				if r := all[0].Reserve(t.Context(), &h, []*Account{c}, Want{Start: time.Now(), Input: 50, Output: 50, Nano: 1000, Bound: -1}); r != nil {
					t.Error(r)
				}
				time.Sleep(time.Minute)
				h.Settle(time.Now(), Used{Input: 50, Output: 10, Nano: 500})
			})
		}
		synctest.Wait()
		time.Sleep(900 * time.Millisecond)
		if n := s.count() - before; n > 20 {
			t.Errorf("%d rounds for a hundred requests at once", n)
		}
		wg.Wait()
		if took := time.Since(begin); took > time.Minute+time.Second {
			t.Errorf("they waited %v", took-time.Minute)
		}
	})
}

func TestAGatewayThatIsCutOffStopsAtItsMarkAndSaysSo(t *testing.T) {
	cluster(t, 2, nil, func(t *testing.T, s *table, all []*Accounts, _ func(int)) {
		a, b := all[0], all[1]
		ca, cb := account(t, a, "budget=0.00001/month,strict", time.Now()), account(t, b, "budget=0.00001/month,strict", time.Now())
		var h Hold
		for range 50 {
			if r := try(a, &h, ca, 10); r != nil {
				t.Fatal(r)
			}
			h.Settle(time.Now(), Used{Nano: 10})
			time.Sleep(100 * time.Millisecond)
		}
		s.set(0, errors.New("no route"))
		time.Sleep(2 * tick)
		mark := int64(budgetNow(t, a).Mark)
		if mark <= 500 {
			t.Fatalf("the mark is %d at 500: nothing is renewed ahead of need", mark)
		}
		begin := time.Now()
		more := int64(0)
		for {
			r := try(a, &h, ca, 10)
			if r != nil {
				if r.Reason != ReasonLease || r.After != time.Second || time.Since(begin) > 2*time.Second {
					t.Errorf("after %v: %+v", time.Since(begin), r)
				}
				break
			}
			h.Settle(time.Now(), Used{Nano: 10})
			more += 10
		}
		if 500+more > mark || more == 0 {
			t.Errorf("cut off at 500 with a mark of %d it spends %d more", mark, more)
		}
		// It dies like that. The other one gets all that is not in doubt, after a term.
		s.set(0, nil)
		if spent := spendAll(b, cb, 10); spent+mark > 10000 {
			t.Errorf("the other spends %d beside a mark of %d", spent, mark)
		}
	})
}

func TestADeadGatewaysLeaseComesBack(t *testing.T) {
	ledgers := map[string]*books{"a": {}, "b": {}}
	cluster(t, 2, func(name string) *books { return ledgers[name] }, func(t *testing.T, s *table, all []*Accounts, _ func(int)) {
		ledgers["a"].put("k1", time.Now().Add(-time.Hour), 4000)
		ledgers["b"].put("k1", time.Now().Add(-time.Hour), 1000)
		// Gateway a has reported and is never seen again.
		s.rows["budget/key/\"k1\"/month/2000-01-01"] = Row{Shares: map[string]Share{
			"dead": {Seq: 9, Spent: 100, Mark: 300, Ceiling: 9000, Until: time.Now().Add(term).UnixNano()},
		}}
		b := all[1]
		c := account(t, b, "budget=0.00001/month,strict", time.Now())
		if err := b.Load(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		var h Hold
		if r := try(b, &h, c, 50); r == nil {
			t.Error("what the dead one holds is given away before its term")
		}
		time.Sleep(2 * term)
		if spent := spendAll(b, c, 50); spent != 10000-1000-300 {
			t.Errorf("%d are spent beside 1000 of its own and 300 in doubt", spent)
		}
		if s := budgetNow(t, b); s.Doubt != 200 || s.Spent != 9800 || s.Left != 0 {
			t.Errorf("%+v", s)
		}
		row, freed := writeOff(s.rows["budget/key/\"k1\"/month/2000-01-01"], "dead", time.Now())
		if s.rows["budget/key/\"k1\"/month/2000-01-01"] = row; freed != 200 {
			t.Errorf("%d written off", freed)
		}
		if spent := spendAll(b, c, 50); spent != 200 {
			t.Errorf("%d of 200 are spent after they were written off", spent)
		}
	})
}

// TestABudgetThatIsNewToTheTableKnowsTheLedger: what was spent by a gateway that
// is not there any more is in nobody's report.
func TestABudgetThatIsNewToTheTableKnowsTheLedger(t *testing.T) {
	before := map[string]int64{"a": 1000, "b": 2000, "gone": 4000}
	now := time.Unix(1_800_000_000, 0)
	row, total := Row{}, int64(7000)
	for _, name := range []string{"a", "b"} {
		r := money("x", 1, 10000, before[name], 0, 0)
		r.Before = total - before[name]
		var g Grant
		row, g = decide(row, name, r, now, term)
		if g.Others+r.Spent != total {
			t.Errorf("%s knows of %d in all", name, g.Others+r.Spent)
		}
	}
	if _, g := decide(row, "a", money("x", 2, 10000, 1000, 1000, 4001), now, term); g.Mark != 1000 {
		t.Errorf("more than what is left is granted: %+v", g)
	}
	if _, g := decide(row, "a", money("x", 2, 10000, 1000, 1000, 4000), now, term); g.Mark != 4000 {
		t.Errorf("%+v", g)
	}
}

// TestAGatewayComesBack: it dies with requests in flight and unable to report, and
// begins again with its journal. Nothing is spent twice, nothing stays in doubt.
func TestAGatewayComesBack(t *testing.T) {
	ledgers := map[string]*books{"a": {}, "b": {}}
	cluster(t, 2, func(name string) *books { return ledgers[name] }, func(t *testing.T, s *table, all []*Accounts, stop func(int)) {
		const rules = "budget=0.00001/month,strict"
		a, b := all[0], all[1]
		ca, cb := account(t, a, rules, time.Now()), account(t, b, rules, time.Now())
		if err := errors.Join(a.Load(t.Context(), time.Now()), b.Load(t.Context(), time.Now())); err != nil {
			t.Fatal(err)
		}
		flying := make([]Hold, 20)
		for i := range flying {
			if r := try(a, &flying[i], ca, 100); r != nil {
				t.Fatal(r)
			}
			time.Sleep(time.Second)
		}
		s.set(0, errors.New("no route"))
		stop(0)
		s.set(2*time.Millisecond, nil)
		ledgers["a"].put("k1", time.Now().Add(-time.Second), 2000) // unknown: as held
		time.Sleep(2 * term)
		var h Hold
		if r := try(b, &h, cb, 1); r != nil {
			t.Fatal(r)
		}
		h.Settle(time.Now(), Used{Nano: 1})
		time.Sleep(term)
		if s := budgetNow(t, b); s.Doubt < 1000 {
			t.Errorf("nobody knows what the dead one spent, and %d are in doubt", s.Doubt)
		}

		again := New(Options{Shared: s, Gateway: "a", OwnBalances: ledgers["a"].balances})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = again.Run(ctx) })
		defer running.Wait()
		defer cancel()
		ca = account(t, again, rules, time.Now())
		if err := again.Load(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if r := try(again, &h, ca, 10); r != nil {
			t.Fatalf("it is back: %v", r)
		}
		h.Settle(time.Now(), Used{Nano: 10})
		total := 2011 + spendAll(again, ca, 5) + spendAll(b, cb, 1)
		if s := budgetNow(t, b); s.Doubt != 0 || total != 10000 {
			t.Errorf("%d of 10000 spent, %d in doubt", total, s.Doubt)
		}
	})
}

func TestAFurtherAttemptDrawsOnTheLease(t *testing.T) {
	cluster(t, 1, nil, func(t *testing.T, s *table, all []*Accounts, _ func(int)) {
		c := account(t, all[0], "budget=0.00001/month,strict", time.Now())
		var h Hold
		if r := try(all[0], &h, c, 10); r != nil {
			t.Fatal(r)
		}
		if r := h.Extend(t.Context(), time.Now(), 5000, 5000); r != nil || h.Nano() != 5010 {
			t.Errorf("%v, %d held", r, h.Nano())
		}
		if r := h.Extend(t.Context(), time.Now(), 5000, 5000); r == nil || r.Reason != ReasonBudget {
			t.Errorf("%+v", r)
		}
		s.set(0, errors.New("no route"))
		time.Sleep(2 * tick)
		if r := h.Extend(t.Context(), time.Now(), 4000, 4000); r == nil || r.Reason != ReasonLease || h.Nano() != 5010 {
			t.Errorf("%+v, %d held", r, h.Nano())
		}
		h.Settle(time.Now(), Used{Nano: 1})
	})
}

func TestGatewaysShareARateAndPlaces(t *testing.T) {
	cluster(t, 3, nil, func(t *testing.T, s *table, all []*Accounts, _ func(int)) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		admitted, inflight, most := 0, 0, 0
		begin := time.Now()
		for _, a := range all {
			c := account(t, a, "requests=60/m concurrent=6", time.Now())
			for range 8 {
				wg.Go(func() {
					for time.Since(begin) < 5*time.Minute {
						var h Hold
						if r := try(a, &h, c, 0); r != nil {
							time.Sleep(min(r.After, time.Second))
							continue
						}
						mu.Lock()
						admitted++
						inflight++
						most = max(most, inflight)
						mu.Unlock()
						time.Sleep(3 * time.Second)
						mu.Lock()
						inflight--
						mu.Unlock()
						h.Settle(time.Now(), Used{})
					}
				})
			}
		}
		wg.Wait()
		if most > 6 || most < 5 {
			t.Errorf("%d in flight at once of 6", most)
		}
		if admitted > 60+5*60 || admitted < 250 {
			t.Errorf("%d requests in five minutes of 60 a minute", admitted)
		}
	})
}

func TestAGatewayThatStopsLeavesNothingInDoubt(t *testing.T) {
	cluster(t, 2, nil, func(t *testing.T, s *table, all []*Accounts, stop func(int)) {
		c := account(t, all[0], "budget=5/month,strict", time.Now())
		var h Hold
		if r := try(all[0], &h, c, 1000); r != nil {
			t.Fatal(r)
		}
		h.Settle(time.Now(), Used{Nano: 700})
		stop(0)
		for _, row := range s.rows {
			if share := row.Shares["a"]; share.Spent != 700 || share.Mark != 700 || share.Ceiling != 700 {
				t.Errorf("%+v", share)
			}
		}
	})
}
