package account

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/llm"
)

// want is one request at t0 with estimated cost and bound in nano-dollars.
func want(nano, bound int64) Want {
	return Want{Start: t0.Add(time.Second), Input: 10, Output: 10, Nano: nano, Bound: bound}
}

func reserve(a *Accounts, h *Hold, w Want, chain ...*Account) *Refusal {
	return a.Reserve(context.Background(), h, chain, w)
}

// state of an account at t0.
func stateOf(tb testing.TB, a *Accounts, c *Account) State {
	tb.Helper()
	s, ok := a.State(c.level, c.name, t0.Add(time.Second))
	if !ok {
		tb.Fatalf("there is no %s %q", c.level, c.name)
	}
	return s
}

// TestComplaints are what people report of gateways, each as it was reported.
func TestComplaints(t *testing.T) {
	t.Run("99 of 30: parallel requests overshoot", func(t *testing.T) {
		a := New(Options{})
		c := account(t, a, "requests=30/d budget=30/day,strict", t0)
		var passed atomic.Int64
		var wg sync.WaitGroup
		for range 99 {
			wg.Go(func() {
				var h Hold
				if reserve(a, &h, want(int64(Dollar), int64(Dollar)), c) == nil {
					passed.Add(1)
					h.Settle(t0, Used{Nano: int64(Dollar)})
				}
			})
		}
		wg.Wait()
		if s := stateOf(t, a, c); passed.Load() != 30 || s.Budgets[0].Spent != 30*Dollar {
			t.Errorf("%d passed, %v spent", passed.Load(), s.Budgets[0].Spent)
		}
	})
	t.Run("$25 budget clamped at spend 0", func(t *testing.T) {
		a := New(Options{})
		c := account(t, a, "budget=25/month,hard", t0)
		for i := range 100 {
			var h Hold
			if r := reserve(a, &h, want(20*int64(Dollar), -1), c); r != nil {
				t.Fatalf("request %d at spend 0: %v", i, r)
			}
			h.Settle(t0, Used{}) // it failed and cost nothing
		}
		if s := stateOf(t, a, c).Budgets[0]; s.Spent != 0 || s.Held != 0 || s.Left != 25*Dollar {
			t.Errorf("%+v", s)
		}
	})
	t.Run("stale counter blocks", func(t *testing.T) {
		spent := 30 * int64(Dollar)
		a := New(Options{Balances: func(context.Context, Level, time.Time, time.Time) (map[string]int64, error) {
			return map[string]int64{"k1": spent}, nil
		}})
		c := account(t, a, "budget=25/month,hard", t0)
		ask := func() *Refusal {
			var h Hold
			defer h.Settle(t0, Used{})
			return reserve(a, &h, want(1, -1), c)
		}
		if err := a.Load(t.Context(), t0); err != nil || ask() == nil {
			t.Fatalf("$30 of $25 are no reason to refuse; %v", err)
		}
		// The ledger is put right, and nothing remembers what it said.
		spent = 3 * int64(Dollar)
		if err := a.inquire(t.Context(), t0, func(*question) bool { return true }); err != nil || ask() != nil {
			t.Errorf("%v, %v", err, ask())
		}
	})
	t.Run("$6 of $5", func(t *testing.T) {
		a := New(Options{})
		c := account(t, a, "budget=5/month,strict", t0)
		var h Hold
		if r := reserve(a, &h, want(int64(Dollar), 6*int64(Dollar)), c); r == nil || r.After != 0 || !strings.Contains(r.What, "never") {
			t.Errorf("a request that may cost $6 passes a strict budget of $5: %v", r)
		}
		var first, second Hold
		if r := reserve(a, &first, want(int64(Dollar), 3*int64(Dollar)), c); r != nil {
			t.Error(r)
		}
		if r := reserve(a, &second, want(int64(Dollar), 3*int64(Dollar)), c); r == nil {
			t.Error("two requests that may cost $3 each are in flight in a strict budget of $5")
		}
	})
	t.Run("a refused request is charged", func(t *testing.T) {
		a := New(Options{})
		wide := a.Account(Team, "t", rulesOf(t, "requests=5/d tokens=100/d concurrent=9 budget=9/day,hard"), t0)
		narrow := account(t, a, "requests=1/d", t0)
		var h Hold
		for range 5 {
			if reserve(a, &h, want(1, -1), narrow, wide) == nil {
				h.Settle(t0, Used{Input: 10, Output: 10, Nano: 1})
			}
		}
		if s := stateOf(t, a, wide); s.Limits[0].Left != 4 || s.Limits[1].Left != 80 || s.InFlight != 0 || s.Budgets[0].Spent != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestAllOrNothing: a request that is refused by any account changes none.
func TestAllOrNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := New(Options{})
		var chain []*Account
		for l := Organisation; int(l) < levels; l++ {
			rules := rulesOf(t, fmt.Sprintf("requests=%d/m tokens=%d/h concurrent=%d budget=%d/day,strict budget=%d/month,hard",
				rapid.IntRange(1, 9).Draw(rt, "requests"), rapid.IntRange(1, 200).Draw(rt, "tokens"), rapid.IntRange(1, 9).Draw(rt, "places"),
				rapid.IntRange(1, 9).Draw(rt, "day"), rapid.IntRange(1, 9).Draw(rt, "month")))
			chain = append(chain, a.Account(l, "x", rules, t0))
		}
		holds := make([]Hold, 12)
		for i := range holds {
			before := states(t, a, chain)
			nano := rapid.Int64Range(0, 3).Draw(rt, "nano") * int64(Dollar)
			r := reserve(a, &holds[i], want(nano, nano+rapid.Int64Range(-1, 2).Draw(rt, "more")*int64(Dollar)), chain...)
			after := states(t, a, chain)
			if (r == nil) == (before == after) {
				rt.Fatalf("refused: %v\n%s\n%s", r, before, after)
			}
			if r != nil && (r.What == "" || r.Reason == 0 || r.Name != "x") {
				rt.Fatalf("the refusal says nothing: %+v", r)
			}
			if rapid.Bool().Draw(rt, "settle") {
				for range 2 {
					holds[i].Settle(t0.Add(time.Second), Used{Input: 10, Output: 10})
				}
			}
		}
		for i := range holds {
			holds[i].Settle(t0.Add(time.Second), Used{Input: 10, Output: 10})
		}
		for _, c := range chain {
			s := stateOf(t, a, c)
			if s.InFlight != 0 || s.Budgets[0].Held != 0 || s.Budgets[1].Held != 0 {
				rt.Fatalf("something is held when all is settled: %+v", s)
			}
		}
	})
}

func states(tb testing.TB, a *Accounts, chain []*Account) string {
	var text strings.Builder
	for _, c := range chain {
		fmt.Fprintln(&text, stateOf(tb, a, c))
	}
	return text.String()
}

// TestBudgetsUnderConcurrency: under any interleaving a hard budget is exceeded by
// the errors of the estimates of those in flight at most, a strict one by nothing;
// and what is left when all is settled can be spent.
func TestBudgetsUnderConcurrency(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		strict := rapid.Bool().Draw(rt, "strict")
		kind := map[bool]string{true: "strict", false: "hard"}[strict]
		a := New(Options{})
		c := account(t, a, "budget=0.000001/month,"+kind, t0) // 1000 nano-dollars
		type request struct{ nano, bound, used int64 }
		requests := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) request {
			bound := rapid.Int64Range(1, 200).Draw(rt, "bound")
			return request{rapid.Int64Range(0, bound).Draw(rt, "nano"), bound, rapid.Int64Range(0, bound).Draw(rt, "used")}
		}), 1, 60).Draw(rt, "requests")
		errs := atomic.Int64{}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				var h Hold
				for k := i; k < len(requests); k += 4 {
					q := requests[k]
					if reserve(a, &h, want(q.nano, q.bound), c) != nil {
						continue
					}
					errs.Add(max(0, q.used-q.nano))
					h.Settle(t0, Used{Nano: q.used})
					h.Settle(t0, Used{Nano: q.used})
				}
			})
		}
		wg.Wait()
		b := stateOf(t, a, c).Budgets[0]
		over := int64(b.Spent) - 1000
		if strict && over > 0 || over > errs.Load() || b.Held != 0 {
			rt.Fatalf("%d over, the estimates' errors are %d, %d held", over, errs.Load(), b.Held)
		}
		var h Hold
		if r := reserve(a, &h, want(-over, -over), c); over < 0 && r != nil {
			rt.Fatalf("%d are left and refused: %v", -over, r)
		}
	})
}

func TestAfterIsWhenTheRequestPasses(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := New(Options{})
		chain := []*Account{
			a.Account(Team, "t", rulesOf(t, "requests=3/s,40/h tokens=300/m"), t0),
			a.Account(Key, "k", rulesOf(t, "input=100/m output=200/h budget=50/day,hard"), t0),
		}
		w := want(0, -1)
		for range 30 {
			var h Hold
			w.Input, w.Output = rapid.Int64Range(0, 120).Draw(rt, "input"), rapid.Int64Range(0, 120).Draw(rt, "output")
			w.Nano = rapid.Int64Range(0, 30).Draw(rt, "dollars") * int64(Dollar)
			r := a.Reserve(t.Context(), &h, chain, w)
			if r != nil && r.After == 0 {
				if w.Input <= 100 {
					rt.Fatalf("%+v never passes: %v", w, r)
				}
				continue
			}
			if r != nil {
				w.Start = w.Start.Add(r.After)
				if again := a.Reserve(t.Context(), &h, chain, w); again != nil {
					rt.Fatalf("after %v: %v", r.After, again)
				}
			}
			h.Settle(w.Start, Used{Input: w.Input, Output: w.Output, Nano: w.Nano})
		}
	})
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		rules  string
		before []Want // admitted before it, and in flight
		want   Want
		reason Reason
		after  time.Duration
		what   string
	}{
		"larger than the limit": {"tokens=15/m", nil, want(0, 0), ReasonLimit, 0, `key "k1": the request needs 20 tokens and the limit is 15 a minute, so that it can never pass; make it smaller`},
		"used up":               {"requests=2/m", []Want{want(0, 0), want(0, 0)}, want(0, 0), ReasonLimit, 30 * time.Second, `key "k1": the limit of 2 requests a minute is used up; this request fits in 30s`},
		"in flight":             {"concurrent=1", []Want{want(0, 0)}, want(0, 0), ReasonConcurrent, time.Second, `key "k1": 1 requests are in flight and the limit is 1; wait until one has ended`},
		"held":                  {"budget=5/day,hard", []Want{want(4e9, -1)}, want(2e9, -1), ReasonBudget, time.Second, `key "k1": the budget of $5 a day does not hold this request of $2: $0 are spent, $4 are held by requests in flight; the day ends in 12h0m0s`},
		"too dear":              {"budget=5/day,hard", nil, want(6e9, -1), ReasonBudget, 0, `key "k1": the request may cost $6 and the budget of $5 a day is less, so that it can never pass; make it smaller`},
		"unbounded":             {"budget=5/total,strict", nil, want(1, -1), ReasonUnbounded, 0, `key "k1": the budget of $5 in total is strict, and the most that this request may cost is not known; give it a maximum of output tokens, and a model whose price is known`},
		"the longest wait":      {"requests=1/s,1/h", []Want{want(0, 0)}, want(0, 0), ReasonLimit, time.Hour, `key "k1": the limit of 1 requests a hour is used up; this request fits in 1h0m0s`},
	} {
		a := New(Options{})
		k := account(t, a, c.rules, t0)
		holds := make([]Hold, len(c.before)+1)
		for i, w := range c.before {
			if r := reserve(a, &holds[i], w, k); r != nil {
				t.Errorf("%s: %v", name, r)
			}
		}
		r := reserve(a, &holds[len(c.before)], c.want, k)
		if r == nil || r.Reason != c.reason || r.After != c.after || r.What != c.what || r.Error() != r.What {
			t.Errorf("%s:\n got %+v\nwant %v, %v, %s", name, r, c.reason, c.after, c.what)
		}
	}
}

func TestExtendIsForMoneyAlone(t *testing.T) {
	a := New(Options{})
	c := account(t, a, "requests=1/d tokens=20/d concurrent=1 budget=5/day,strict", t0)
	var h Hold
	if r := h.Extend(t.Context(), t0, math.MaxInt64, -1); r != nil {
		t.Errorf("a hold of nothing: %v", r)
	}
	if r := reserve(a, &h, want(1e9, 2e9), c); r != nil {
		t.Fatal(r)
	}
	if r := h.Extend(t.Context(), t0, 1e9, 2e9); r != nil || h.Nano() != 4e9 {
		t.Errorf("%v, %d held", r, h.Nano())
	}
	for bound, reason := range map[int64]Reason{2e9: ReasonBudget, -1: ReasonUnbounded} {
		if r := h.Extend(t.Context(), t0, 1e9, bound); r == nil || r.Reason != reason || h.Nano() != 4e9 {
			t.Errorf("%v, %d held", r, h.Nano())
		}
	}
	h.Settle(t0, Used{Input: 5, Output: 5, Nano: 3e9})
	if s := stateOf(t, a, c); s.Budgets[0].Spent != 3*Dollar || s.Budgets[0].Held != 0 || s.Limits[1].Left != 10 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAHoldThatIsNotSettledIsNotLost(t *testing.T) {
	a := New(Options{})
	c := account(t, a, "concurrent=5", t0)
	var h Hold
	if r := reserve(a, &h, want(1, 1), c); r != nil {
		t.Fatal(r)
	}
	defer func() {
		if recover() == nil {
			t.Error("a second Reserve takes the first one's place")
		}
	}()
	_ = reserve(a, &h, want(1, 1), c)
}

func TestRulesChangeUnderWay(t *testing.T) {
	a := New(Options{})
	c := account(t, a, "requests=10/d tokens=100/d concurrent=1 budget=5/day,hard budget=9/month,hard", t0)
	var h, other Hold
	if r := reserve(a, &h, want(1e9, -1), c); r != nil {
		t.Fatal(r)
	}
	if same := account(t, a, "requests=20/d tokens=50/d concurrent=1 budget=7/day,hard", t0.Add(time.Second)); same != c {
		t.Fatal("the live state is another one")
	}
	if r := reserve(a, &other, want(0, -1), c); r == nil || r.Reason != ReasonConcurrent {
		t.Errorf("what was in flight before the change is forgotten: %v", r)
	}
	h.Settle(t0.Add(time.Minute), Used{Input: 10, Output: 10, Nano: 2e9})
	s := stateOf(t, a, c)
	if s.Limits[0].Left != 18 || s.InFlight != 0 || s.Budgets[0].Spent != 2*Dollar || s.Budgets[0].Left != 5*Dollar || len(s.Budgets) != 1 {
		t.Errorf("%+v", s)
	}
	if a.Account(Key, "k1", Rules{}, t0) != nil || len(a.List()) != 0 {
		t.Error("rules of nothing leave an account")
	}
	if r := reserve(a, &h, want(1, 1), nil, nil); r != nil {
		t.Errorf("a chain of no accounts refuses: %v", r)
	}
}

func TestQuotaIsTheTightest(t *testing.T) {
	a := New(Options{})
	team := a.Account(Team, "t", rulesOf(t, "requests=10/s tokens=1k/m"), t0)
	key := account(t, a, "requests=5/m output=100/m", t0)
	var h Hold
	w := want(0, -1)
	if r := reserve(a, &h, w, key, team); r != nil {
		t.Fatal(r)
	}
	q := Quota([]*Account{key, nil, team}, w.Start)
	for r, wants := range map[llm.Resource][2]int64{llm.QuotaRequests: {5, 4}, llm.QuotaTokens: {1000, 980}, llm.QuotaOutputTokens: {100, 90}} {
		if q[r].Limit != wants[0] || q[r].Remaining != wants[1] || !q[r].Known {
			t.Errorf("%v: %+v", r, q[r])
		}
	}
	if q[llm.QuotaInputTokens].Known || !q[llm.QuotaRequests].Reset.Equal(w.Start.Add(12*time.Second)) {
		t.Errorf("%+v", q)
	}
}

func TestReserveAllocatesNothing(t *testing.T) {
	a := New(Options{})
	var chain []*Account
	for l := Organisation; int(l) < levels; l++ {
		chain = append(chain, a.Account(l, "x", rulesOf(t, "requests=1G/s tokens=100G/s concurrent=9 budget=900/month,strict,warn=1%"), t0))
	}
	var h Hold
	if n := testing.AllocsPerRun(1000, func() {
		if r := a.Reserve(context.Background(), &h, chain, want(5, 10)); r != nil {
			t.Fatal(r)
		}
		h.Settle(t0.Add(time.Second), Used{Input: 3, Output: 20, Nano: 7})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestCostsAreAskedFor says what a chain's budgets look at, so that nobody works
// out the rest.
func TestCostsAreAskedFor(t *testing.T) {
	a := New(Options{})
	limited := a.Account(Team, "t", rulesOf(t, "requests=10/s"), t0)
	soft := a.Account(Customer, "c", Rules{Budgets: []Budget{{Amount: Dollar, Per: Day}}}, t0)
	strict := a.Account(Organisation, "o", Rules{Budgets: []Budget{{Amount: Dollar, Per: Day, Hard: true, Strict: true}}}, t0)
	for _, c := range []struct {
		chain       []*Account
		nano, bound bool
	}{
		{nil, false, false},
		{[]*Account{nil, limited}, false, false},
		{[]*Account{limited, soft}, true, false},
		{[]*Account{limited, soft, strict}, true, true},
	} {
		if nano, bound := Asks(c.chain); nano != c.nano || bound != c.bound {
			t.Errorf("%d accounts ask for %v, %v", len(c.chain), nano, bound)
		}
	}
	a.Account(Organisation, "o", rulesOf(t, "requests=10/s"), t0)
	if nano, bound := Asks([]*Account{strict}); nano || bound {
		t.Error("a budget that is gone still asks")
	}
}
