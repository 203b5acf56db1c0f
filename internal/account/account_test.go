package account

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) // a Wednesday

func usd(dollars float64) Money { return Money(dollars * dollar) }

func hard(amount Money) Rules {
	return Rules{Budgets: []Budget{{Amount: amount, Per: PerMonth, Hard: true}}}
}

// TestComplaintsAboutPeers: what users of other gateways have reported about
// budgets does not happen here.
func TestComplaintsAboutPeers(t *testing.T) {
	ctx := t.Context()
	t.Run("99 of 30: parallel requests overshoot", func(t *testing.T) {
		acc := New(Options{}).Account(Customer, "acme", hard(usd(30)), t0)
		spent := parallel(New(Options{}), acc, 200, usd(1), usd(1))
		if spent != usd(30) {
			t.Errorf("%v were spent of $30", spent)
		}
	})
	t.Run("$6 of $5: a request that does not fit is refused before it is sent", func(t *testing.T) {
		a := New(Options{})
		acc := a.Account(Key, "k", hard(usd(5)), t0)
		var h Hold
		for i := range 3 {
			no := a.Reserve(ctx, &h, []*Account{acc}, Want{Start: t0, Nano: int64(usd(2))})
			if got := no == nil; got != (i < 2) {
				t.Fatalf("request %d of $2: %+v", i+1, no)
			}
			h.Settle(t0, Used{Nano: int64(usd(2))})
		}
	})
	t.Run("$25 budget refuses at a spend of 0", func(t *testing.T) {
		a := New(Options{})
		acc := a.Account(Key, "k", hard(usd(25)), t0)
		var h Hold
		if no := a.Reserve(ctx, &h, []*Account{acc}, Want{Start: t0, Nano: int64(usd(25))}); no != nil {
			t.Fatal(no)
		}
	})
	t.Run("a stale counter blocks: what was held and never used comes back", func(t *testing.T) {
		a := New(Options{})
		acc := a.Account(Team, "t", hard(usd(1)), t0)
		for range 1000 {
			var h Hold
			if no := a.Reserve(ctx, &h, []*Account{acc}, Want{Start: t0, Nano: int64(usd(0.9))}); no != nil {
				t.Fatal(no)
			}
			h.Settle(t0, Used{})
			h.Settle(t0, Used{Nano: int64(usd(9))}) // a second time does nothing
		}
	})
	t.Run("a budget of the customer counts when the key has its own", func(t *testing.T) {
		a := New(Options{})
		chain := []*Account{a.Account(Key, "k", hard(usd(100)), t0), nil, a.Account(Customer, "acme", hard(usd(1)), t0)}
		var h Hold
		no := a.Reserve(ctx, &h, chain, Want{Start: t0, Nano: int64(usd(2))})
		if no == nil || no.Level != Customer || no.Reason != ReasonBudget {
			t.Errorf("%+v", no)
		}
		if s := chain[0].State(t0); s.Budgets[0].Held != 0 || s.InFlight != 0 {
			t.Errorf("the refusal left %+v with the key", s)
		}
	})
}

// parallel sends n requests at once, each estimated and then costing so much, and
// returns what was spent.
func parallel(a *Accounts, acc *Account, n int, estimate, cost Money) Money {
	var mu sync.Mutex
	var wg sync.WaitGroup
	spent := Money(0)
	for range n {
		wg.Go(func() {
			var h Hold
			if a.Reserve(context.Background(), &h, []*Account{acc}, Want{Start: t0, Nano: int64(estimate), Bound: int64(estimate)}) != nil {
				return
			}
			h.Settle(t0, Used{Nano: int64(cost)})
			mu.Lock()
			spent += cost
			mu.Unlock()
		})
	}
	wg.Wait()
	return spent
}

// TestAHardBudgetIsExceededByEstimateErrorsAlone: in any order of any requests,
// what is spent is at most the amount and the errors of the estimates that ran
// last; with strict it is at most the amount.
func TestAHardBudgetIsExceededByEstimateErrorsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		strict := rapid.Bool().Draw(t, "strict")
		amount := rapid.Int64Range(1, 10_000).Draw(t, "amount")
		a := New(Options{})
		rules := Rules{Budgets: []Budget{{Amount: Money(amount), Per: Total, Hard: true, Strict: strict}}}
		chain := []*Account{a.Account(Customer, "c", rules, t0), a.Account(Organisation, "o", Rules{Limits: Limits{Concurrent: 5}}, t0)}
		type run struct {
			h          *Hold
			cost, held int64
		}
		var running []run
		spent, errors := int64(0), int64(0)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			if len(running) > 0 && rapid.Bool().Draw(t, "end") {
				i := rapid.IntRange(0, len(running)-1).Draw(t, "which")
				r := running[i]
				running = append(running[:i], running[i+1:]...)
				r.h.Settle(t0, Used{Nano: r.cost})
				spent += r.cost
				errors += max(0, r.cost-r.held)
				continue
			}
			bound := rapid.Int64Range(0, 3000).Draw(t, "bound")
			w := Want{Start: t0, Bound: bound, Nano: rapid.Int64Range(0, bound).Draw(t, "estimate")}
			h := new(Hold)
			if a.Reserve(t2ctx, h, chain, w) == nil {
				held := w.Nano
				if strict {
					held = w.Bound
				}
				running = append(running, run{h, rapid.Int64Range(0, bound).Draw(t, "cost"), held})
			}
		}
		for _, r := range running {
			r.h.Settle(t0, Used{Nano: r.cost})
			spent += r.cost
			errors += max(0, r.cost-r.held)
		}
		if strict && spent > amount {
			t.Fatalf("%d spent of %d", spent, amount)
		}
		if spent > amount+errors {
			t.Fatalf("%d spent of %d, estimates were short by %d", spent, amount, errors)
		}
		s := chain[0].State(t0)
		if int64(s.Budgets[0].Spent) != spent || s.Budgets[0].Held != 0 || s.InFlight != 0 {
			t.Fatalf("%d spent, the budget says %+v", spent, s)
		}
	})
}

var t2ctx = context.Background()

// TestRatesHold: in any time T, at most the amount and what comes back in T is let
// through; and a refusal's wait is true.
func TestRatesHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 50).Draw(t, "n")
		per := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 24 * time.Hour}).Draw(t, "per")
		a := New(Options{})
		acc := a.Account(Key, "k", Rules{Limits: Limits{Tokens: Rates{{n, per}}}}, t0)
		type passed struct {
			at time.Time
			n  int64
		}
		var log []passed
		now := t0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(per)/2).Draw(t, "pause")))
			k := rapid.Int64Range(1, n+2).Draw(t, "tokens")
			var h Hold
			no := a.Reserve(t2ctx, &h, []*Account{acc}, Want{Start: now, Input: k})
			if no == nil {
				h.Settle(now, Used{Input: k})
				log = append(log, passed{now, k})
				continue
			}
			if (no.After == 0) != (k > n) {
				t.Fatalf("%d of %d: wait %v", k, n, no.After)
			}
			if no.After > 0 && rapid.Bool().Draw(t, "waits") {
				now = now.Add(no.After)
				if again := a.Reserve(t2ctx, &h, []*Account{acc}, Want{Start: now, Input: k}); again != nil {
					t.Fatalf("refused again after the wait of %v: %+v", no.After, again)
				}
				h.Settle(now, Used{Input: k})
				log = append(log, passed{now, k})
			}
		}
		for i := range log {
			sum := int64(0)
			for _, p := range log[i:] {
				sum += p.n
				most := float64(n) + float64(n)*float64(p.at.Sub(log[i].at))/float64(per)
				if float64(sum) > most+1e-3 {
					t.Fatalf("%d within %v, at most %.3f are allowed", sum, p.at.Sub(log[i].at), most)
				}
			}
		}
	})
}

func TestTokensAreCorrected(t *testing.T) {
	a := New(Options{})
	acc := a.Account(Key, "k", Rules{Limits: Limits{Tokens: Rates{{1000, time.Minute}}, Requests: Rates{{10, time.Minute}}}}, t0)
	left := func() int64 { q := acc.State(t0).Quota; return q[1].Remaining }
	var h Hold
	if no := a.Reserve(t2ctx, &h, []*Account{acc}, Want{Start: t0, Input: 100, Output: 500}); no != nil {
		t.Fatal(no)
	}
	if left() != 400 {
		t.Errorf("%d left while it runs, want 400", left())
	}
	h.Settle(t0, Used{Input: 100, Output: 50})
	if left() != 850 {
		t.Errorf("%d left after it used less, want 850", left())
	}
	_ = a.Reserve(t2ctx, &h, []*Account{acc}, Want{Start: t0, Input: 100, Output: 100})
	h.Settle(t0, Used{Input: 100, Output: 1000})
	no := a.Reserve(t2ctx, &h, []*Account{acc}, Want{Start: t0, Input: 1})
	if no == nil || no.After < 15*time.Second || no.After > 16*time.Second {
		t.Errorf("250 more than there was were used, so a wait of 15 s follows: %+v", no)
	}
	if q := h.Quota(t0); q[0].Remaining != 8 || q[1].Remaining != 0 || q[1].Limit != 1000 {
		t.Errorf("what is told after a refusal: %+v", q[:2])
	}
}

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		per        Period
		start, end string
	}{
		{PerDay, "2026-11-25", "2026-11-26"}, {PerWeek, "2026-11-23", "2026-11-30"}, {PerMonth, "2026-11-01", "2026-12-01"},
	} {
		start, end := c.per.window(t0)
		if start.Format(time.DateOnly) != c.start || end.Format(time.DateOnly) != c.end {
			t.Errorf("%s: %v to %v", c.per, start, end)
		}
	}
	a := New(Options{})
	acc := a.Account(Key, "k", Rules{Budgets: []Budget{{Amount: 10, Per: PerDay, Hard: true}}}, t0)
	var h, later Hold
	_ = a.Reserve(t2ctx, &h, []*Account{acc}, Want{Start: t0, Nano: 10})
	if no := a.Reserve(t2ctx, &later, []*Account{acc}, Want{Start: t0.Add(time.Hour), Nano: 1}); no == nil {
		t.Error("the day's budget is held, and another request passed")
	}
	if no := a.Reserve(t2ctx, &later, []*Account{acc}, Want{Start: t0.Add(12 * time.Hour), Nano: 10}); no != nil {
		t.Errorf("a new day has its own budget: %+v", no)
	}
	h.Settle(t0.Add(13*time.Hour), Used{Nano: 10}) // of the day before
	if s := acc.State(t0.Add(13 * time.Hour)).Budgets[0]; s.Spent != 0 || s.Held != 10 {
		t.Errorf("what began yesterday counts today: %+v", s)
	}
}

// TestBalancesComeFromTheLedger: nothing passes a hard budget whose balance is not
// known; what settles twice, or while it is read, counts once.
func TestBalancesComeFromTheLedger(t *testing.T) {
	var known error = fmt.Errorf("down")
	inLedger := map[string]int64{"acme": 7}
	var asked [2]time.Time
	a := New(Options{Balances: func(_ context.Context, l Level, from, to time.Time) (map[string]int64, error) {
		asked = [2]time.Time{from, to}
		return inLedger, known
	}})
	acc := a.Account(Customer, "acme", Rules{Budgets: []Budget{{Amount: 10, Per: PerDay, Hard: true}}}, t0)
	chain := []*Account{acc}
	var h Hold
	no := a.Reserve(t2ctx, &h, chain, Want{Start: t0, Nano: 1})
	if no == nil || no.After == 0 {
		t.Fatalf("before the balance is known: %+v", no)
	}
	if err := a.Load(t2ctx, t0); err == nil {
		t.Error("a ledger that cannot be read is no error")
	}
	known = nil
	if err := a.Load(t2ctx, t0); err != nil {
		t.Fatal(err)
	}
	if start, _ := PerDay.window(t0); !asked[0].Equal(start) || !asked[1].Equal(t0) {
		t.Errorf("asked for %v", asked)
	}
	if no = a.Reserve(t2ctx, &h, chain, Want{Start: t0, Nano: 4}); no == nil {
		t.Error("4 fit into a budget of 10 of which 7 are spent")
	}
	if no = a.Reserve(t2ctx, &h, chain, Want{Start: t0.Add(-time.Second), Nano: 3}); no != nil {
		t.Fatal(no)
	}
	h.Settle(t0, Used{Nano: 3}) // it began before the budget: the ledger has it
	inLedger["acme"] = 10
	if _, err := a.load(t2ctx, t0.Add(time.Minute), true); err != nil {
		t.Fatal(err)
	}
	if s := acc.State(t0).Budgets[0]; s.Spent != 10 {
		t.Errorf("spent %d, want 10: once", s.Spent)
	}
}

func TestWarningsAreToldOnce(t *testing.T) {
	var told []Warning
	a := New(Options{Notify: func(w Warning) { told = append(told, w) }})
	acc := a.Account(Team, "search", Rules{Budgets: []Budget{{Amount: 1000, Per: PerMonth, Warn: Shares{50, 90}}}}, t0)
	for range 12 {
		var h Hold
		if no := a.Reserve(t2ctx, &h, []*Account{acc}, Want{Start: t0, Nano: 5000}); no != nil {
			t.Fatalf("a soft budget refuses: %+v", no)
		}
		h.Settle(t0, Used{Nano: 100})
	}
	if len(told) != 2 || told[0].Share != 50 || told[1].Share != 90 || told[1].Spent != 900 {
		t.Errorf("told %+v", told)
	}
	var h Hold
	_ = a.Reserve(t2ctx, &h, []*Account{acc}, Want{Start: t0})
	if h.Warned() != "team search has spent 120% of $0.000001 a month" {
		t.Error(h.Warned())
	}
}

func TestStrictWantsABound(t *testing.T) {
	a := New(Options{})
	acc := a.Account(Key, "k", Rules{Budgets: []Budget{{Amount: 100, Per: Total, Hard: true, Strict: true}}}, t0)
	var h Hold
	if no := a.Reserve(t2ctx, &h, []*Account{acc}, Want{Start: t0, Nano: 1, Bound: Unbounded}); no == nil || no.Reason != ReasonUnbounded {
		t.Errorf("%+v", no)
	}
	if no := a.Reserve(t2ctx, &h, []*Account{acc}, Want{Start: t0, Nano: 1, Bound: 60}); no != nil || h.Nano() != 60 {
		t.Errorf("%+v, %d held", no, h.Nano())
	}
	if no := h.Extend(t2ctx, t0, 1, 60); no == nil {
		t.Error("a second attempt of 60 fits beside one of 60 into 100")
	}
	if no := h.Extend(t2ctx, t0, 1, 40); no != nil || h.Nano() != 100 {
		t.Errorf("%+v, %d held", no, h.Nano())
	}
}

func TestRulesAreText(t *testing.T) {
	var r Rates
	for text, want := range map[string]string{"10/s, 5000/m": "10/s, 5k/m", "40M/d": "40M/d", "": "", "1G/h": "1G/h", "1500k/s": "1500k/s"} {
		if err := r.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got, _ := r.MarshalText(); string(got) != want {
			t.Errorf("%q is %q", text, got)
		}
	}
	for _, text := range []string{"10", "10/x", "-1/s", "k/s", "1.5/s", "99999999999G/s"} {
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a rate", text)
		}
	}
	var m Money
	for text, want := range map[string]Money{"500": 500 * dollar, "12.50": 12_500_000_000, "0.000000001": 1, "-3": -3 * dollar, "$7": 7 * dollar} {
		if err := m.UnmarshalText([]byte(text)); err != nil || m != want {
			t.Errorf("%q: %d, %v", text, m, err)
		}
	}
	for _, text := range []string{"", "1e9", "1,000", "0.0000000001", "99999999999", "NaN"} {
		if err := m.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for an amount", text)
		}
	}
	bad := Rules{
		Limits: Limits{Requests: Rates{{0, time.Second}}, Concurrent: -1},
		Budgets: []Budget{
			{Amount: 0, Per: PerDay}, {Amount: -dollar, Per: PerDay}, {Amount: mostMoney + 1, Per: "year"}, {Amount: 1, Per: Total, Strict: true},
		},
	}
	var problems []string
	bad.Validate("customers.acme", func(path, wrong, right string) { problems = append(problems, path+": "+wrong) })
	if len(problems) != 8 {
		t.Errorf("%d problems: %q", len(problems), problems)
	}
}

func FuzzRules(f *testing.F) {
	f.Add("10/s, 600/m")
	f.Add("12.50")
	f.Add("50%, 80%")
	f.Fuzz(func(t *testing.T, text string) {
		var r, again Rates
		if r.UnmarshalText([]byte(text)) == nil {
			out, _ := r.MarshalText()
			if err := again.UnmarshalText(out); err != nil || fmt.Sprint(r) != fmt.Sprint(again) {
				t.Fatalf("%q is %v, and then %v: %v", text, r, again, err)
			}
		}
		var m, more Money
		if m.UnmarshalText([]byte(text)) == nil {
			out, _ := m.MarshalText()
			if err := more.UnmarshalText(out); err != nil || m != more {
				t.Fatalf("%q is %d, and then %d: %v", text, m, more, err)
			}
		}
		var s Shares
		_ = s.UnmarshalText([]byte(text))
	})
}

// TestEstimatesCoverMostAnswers: after a while nine answers in ten are no longer
// than was estimated, and the estimate is not far above.
func TestEstimatesCoverMostAnswers(t *testing.T) {
	e := NewEstimator()
	rng := rand.New(rand.NewPCG(1, 2))
	covered, reserved, used := 0, int64(0), int64(0)
	const rounds, warm = 20_000, 2_000
	for i := range rounds + warm {
		output := int64(rng.ExpFloat64() * 300)
		in, out := e.Estimate("m", "k", 4000, 0)
		if i >= warm {
			if output <= out {
				covered++
			}
			reserved, used = reserved+out, used+output
			if in < 1190 || in > 1210 {
				t.Fatalf("4000 bytes of 0.3 tokens each are estimated at %d", in)
			}
		}
		e.Learn("m", "k", 4000, 1200, output)
	}
	share, over := float64(covered)/rounds, float64(reserved)/float64(used)
	t.Logf("%.1f%% of the answers are covered, %.2f times their tokens are reserved", 100*share, over)
	if share < 0.85 || share > 0.95 || over > 3.2 {
		t.Errorf("%.3f covered, %.2f reserved", share, over)
	}
	if _, out := e.Estimate("m", "k", 10, 50); out != 50 {
		t.Errorf("an answer of at most 50 is estimated at %d", out)
	}
}

// BenchmarkReserve is the cost of taking and settling over a usual chain, with
// 100,000 keys that have accounts.
func BenchmarkReserve(b *testing.B) {
	a := New(Options{})
	rules := Rules{Limits: Limits{Requests: Rates{{1 << 40, time.Minute}}, Tokens: Rates{{1 << 40, time.Minute}}, Concurrent: 1 << 20}, Budgets: []Budget{{Amount: mostMoney, Per: PerMonth, Hard: true}}}
	keys := make([]*Account, 100_000)
	for i := range keys {
		keys[i] = a.Account(Key, fmt.Sprint(i), rules, t0)
	}
	org, team, customer, model := a.Account(Organisation, "o", rules, t0), a.Account(Team, "t", rules, t0), a.Account(Customer, "c", rules, t0), a.Account(Model, "m", rules, t0)
	e := NewEstimator()
	ctx, now := b.Context(), t0
	var h Hold
	chain := make([]*Account, 5)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		chain[0], chain[1], chain[2], chain[3], chain[4] = org, team, customer, keys[i*7919%len(keys)], model
		in, out := e.Estimate("m", "k", 1000, 0)
		if no := a.Reserve(ctx, &h, chain, Want{Start: now, Input: in, Output: out, Nano: 1000}); no != nil {
			b.Fatal(no)
		}
		h.Settle(now, Used{Input: in, Output: 20, Nano: 900})
	}
}
