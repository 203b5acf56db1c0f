package ledger_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"tailplane/internal/ledger"
	"tailplane/internal/ledger/storetest"
)

// gateways are stores of several gateways in one database.
func gateways(t *testing.T, pool *pgxpool.Pool, names ...string) (out []*ledger.Postgres) {
	t.Helper()
	for _, name := range names {
		s, err := ledger.OpenPostgres(t.Context(), pool, name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// sumDays does what the journal asks for while it drains, until nothing is left.
func sumDays(t *testing.T, s *ledger.Postgres, now time.Time) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.SumDays(t.Context(), now); err != nil {
			t.Error(err)
			return
		}
	}
}

// TestPostgresAgreesWithMemory: what two gateways stored, with some of its days
// summed, gives the answers that the memory gives.
func TestPostgresAgreesWithMemory(t *testing.T) {
	stores, mem := gateways(t, openPool(t), "a", "b"), ledger.NewMemory(0)
	const n = 160
	for i, batch := range mixed(n, 90) {
		pos := ledger.Position{Segment: 1, Offset: int64(i + 1)}
		for _, s := range []ledger.Store{stores[i%2], mem} {
			if err := s.Append(t.Context(), pos, batch); err != nil {
				t.Fatal(err)
			}
		}
		if i%7 == 0 {
			sumDays(t, stores[0], storetest.Exchange(n/2).Start)
		}
	}
	sumDays(t, stores[1], storetest.Exchange(n*2/3).Start)
	columns := []string{
		ledger.ByModel, ledger.ByTarget, ledger.ByKey, ledger.ByCustomer, ledger.ByDay, ledger.ByOutcome,
		ledger.ByKeyID, ledger.ByTeam, ledger.ByOrganisation, ledger.ByProvider, ledger.ByTag,
	}
	moment := func(r *rapid.T) time.Time {
		return storetest.Exchange(rapid.IntRange(0, n-1).Draw(r, "n")).Start.Add(time.Duration(rapid.IntRange(-3000, 3000).Draw(r, "us")) * time.Microsecond).
			Truncate(rapid.SampledFrom([]time.Duration{1, time.Minute, 24 * time.Hour}).Draw(r, "to"))
	}
	rapid.Check(t, func(r *rapid.T) {
		pick := func(what string, of ...string) string { return rapid.SampledFrom(append(of, "", "")).Draw(r, what) }
		f := ledger.Filter{Model: pick("model", "chat"), Customer: pick("customer", "acme"), Provider: pick("provider", "vllm"), Tag: pick("tag", "beta")}
		if rapid.Bool().Draw(r, "from") {
			f.From = moment(r)
		}
		if rapid.Bool().Draw(r, "to") {
			f.To = moment(r)
		}
		s := stores[rapid.IntRange(0, 1).Draw(r, "gateway")]
		q := ledger.UsageQuery{By: rapid.Permutation(columns).Draw(r, "order")[:rapid.IntRange(0, 4).Draw(r, "by")], Filter: f}
		want, err1 := mem.Usage(t.Context(), q)
		got, err2 := s.Usage(t.Context(), q)
		if d := cmp.Diff(want, got); d != "" || err1 != nil || err2 != nil {
			r.Fatalf("usage %+v: %v %v %s", q, err1, err2, d)
		}
		if d := cmp.Diff(all(t, mem, f), all(t, s, f), cmpopts.EquateEmpty()); d != "" {
			r.Fatalf("each %+v: %s", f, d)
		}
		limit := rapid.IntRange(0, n+50).Draw(r, "limit")
		x, err1 := mem.Recent(t.Context(), limit, f)
		y, err2 := s.Recent(t.Context(), limit, f)
		if d := cmp.Diff(x, y, cmpopts.EquateEmpty()); d != "" || err1 != nil || err2 != nil {
			r.Fatalf("recent %+v: %v %v %s", f, err1, err2, d)
		}
	})
}

// oneOf is an exchange that ended well at a moment and cost 1.
func oneOf(at time.Time, n int) *ledger.Exchange {
	return &ledger.Exchange{ID: storetest.GatewayID(at, n), Start: at, Key: "k_1", Customer: "acme", Outcome: ledger.OutcomeOK, PriceStatus: ledger.Priced, Cost: 1}
}

// TestPostgresSumsDaysWhileTheyChange: gateways bring late exchanges of a day
// while each of them sums it up; none is missing from any sum.
func TestPostgresSumsDaysWhileTheyChange(t *testing.T) {
	pool := openPool(t)
	stores := gateways(t, pool, "a", "b")
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	const batches = 60
	var wg sync.WaitGroup
	for g, s := range stores {
		wg.Go(func() {
			for n := range batches {
				ex := oneOf(day.Add(time.Duration(n)*20*time.Minute), 1000*g+n)
				if err := s.Append(t.Context(), ledger.Position{Segment: 1, Offset: int64(n + 1)}, []*ledger.Exchange{ex}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range batches {
				sumDays(t, s, day.Add(48*time.Hour))
			}
		})
	}
	wg.Wait()
	for _, what := range []string{"as it was left", "all days summed"} {
		rows, err := stores[0].Usage(t.Context(), ledger.UsageQuery{})
		if err != nil || rows[0].Requests != 2*batches {
			t.Errorf("%s: %d requests, want %d: %v", what, rows[0].Requests, 2*batches, err)
		}
		sumDays(t, stores[1], day.Add(48*time.Hour))
	}
	var left, made int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE sums IS NULL), count(*) FROM ledger_days`).Scan(&left, &made); err != nil || left != 0 || made != 2 {
		t.Errorf("%d of %d days are not summed: %v", left, made, err)
	}
}

// TestPostgresGatewaysKnowWhatWentThroughThem: the shares of gateways add up to
// everybody's, by the day and by the hour, rated again or not.
func TestPostgresGatewaysKnowWhatWentThroughThem(t *testing.T) {
	stores := gateways(t, openPool(t), "a", "b")
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for g, s := range stores {
		for n := range 3 + g {
			ex := oneOf(day.Add(time.Duration(n)*5*time.Hour), 10*g+n)
			ex.Attempts = []ledger.Attempt{{Target: "eu", Kind: "openai", Cost: 1, Priced: ledger.Priced}}
			if n == 0 {
				ex.Outcome, ex.Held = ledger.OutcomeUnknown, 100
			}
			if err := s.Append(t.Context(), ledger.Position{Segment: 1, Offset: int64(n + 1)}, []*ledger.Exchange{ex}); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(what string, from, to time.Time, want ...map[string]int64) {
		t.Helper()
		for g, s := range stores {
			if got, err := s.OwnSpent(t.Context(), ledger.ByKey, from, to); err != nil || cmp.Diff(want[g], got) != "" {
				t.Errorf("%s: gateway %d spent %v, want %v: %v", what, g, got, want[g], err)
			}
		}
		if all, err := ledger.SpentBy(t.Context(), stores[0], ledger.ByKey, from, to); err != nil || all["k_1"] != want[0]["k_1"]+want[1]["k_1"] {
			t.Errorf("%s: all spent %v: %v", what, all, err)
		}
	}
	k := func(n int64) map[string]int64 { return map[string]int64{"k_1": n} }
	for range 2 {
		check("all", time.Time{}, time.Time{}, k(103), k(104))
		check("a cut hour", day.Add(-time.Hour), day.Add(10*time.Hour+time.Minute), k(103), k(103))
		check("the second half", day.Add(5*time.Hour), time.Time{}, k(2), k(3))
		sumDays(t, stores[0], day.Add(48*time.Hour))
	}
	run := ledger.Run{ID: "run_1", Actor: "jo", Version: "three"}
	if _, err := stores[0].Rerate(t.Context(), run, func(ex *ledger.Exchange) []ledger.Rate {
		return []ledger.Rate{{Cost: 3, Status: ledger.Priced}}
	}); err != nil {
		t.Fatal(err)
	}
	// Budgets go by the prices of the time; what is invoiced goes by the new ones.
	for range 2 {
		for g, s := range stores {
			if got, err := s.OwnSpent(t.Context(), ledger.ByKey, time.Time{}, time.Time{}); err != nil || got["k_1"] != int64(103+g) {
				t.Errorf("gateway %d spent %v: %v", g, got, err)
			}
		}
		rows, err := stores[0].Usage(t.Context(), ledger.UsageQuery{})
		old, err2 := stores[1].Usage(t.Context(), ledger.UsageQuery{Original: true})
		if err != nil || err2 != nil || rows[0].Cost != 3*7 || old[0].Cost != 7 || rows[0].Requests != 7 {
			t.Errorf("rated again %+v, before %+v: %v %v", rows, old, err, err2)
		}
		sumDays(t, stores[0], day.Add(48*time.Hour))
		if r, err := stores[0].VerifyStore(t.Context()); err != nil || !r.OK() {
			t.Errorf("it does not verify: %+v %v", r, err)
		}
	}
}

// TestPostgresFindsAChangedDay: the sums of a day that are not those of its hours
// are named.
func TestPostgresFindsAChangedDay(t *testing.T) {
	pool := openPool(t)
	s := gateways(t, pool, "a")[0]
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for n, at := range []time.Time{day, day.AddDate(0, 0, 1)} {
		if err := s.Append(t.Context(), ledger.Position{Segment: 1, Offset: int64(n + 1)}, []*ledger.Exchange{oneOf(at, n)}); err != nil {
			t.Fatal(err)
		}
	}
	sumDays(t, s, day.AddDate(0, 0, 3))
	tag, err := pool.Exec(t.Context(), `UPDATE ledger_days SET sums = set_byte(sums, length(sums) - 1, get_byte(sums, length(sums) - 1) + 2) WHERE day = (SELECT min(day) FROM ledger_days)`)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatal(tag, err)
	}
	r, err := s.VerifyStore(t.Context())
	if want := []string{"the sums of the day 2026-11-20 are not those of its hours"}; err != nil || cmp.Diff(want, r.Problems) != "" {
		t.Errorf("problems %q, want %q: %v", r.Problems, want, err)
	}
}
