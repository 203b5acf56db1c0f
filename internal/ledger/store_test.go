package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tailplane/internal/ledger"
	"tailplane/internal/ledger/storetest"
)

func openSQLite(t *testing.T) storetest.Store {
	t.Helper()
	s, err := ledger.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "a b%20?.db"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSQLiteConforms(t *testing.T) { storetest.Run(t, openSQLite) }

func TestMemoryConforms(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Store { return ledger.NewMemory(0) })
}

// mixed is exchanges as a gateway's ids and clocks make them, some with other
// ids, some twice, in the order of their settlement and in batches of up to a number.
func mixed(n, batch int) [][]*ledger.Exchange {
	r := rand.New(rand.NewPCG(1, 2))
	var all []*ledger.Exchange
	for i := range n {
		ex := storetest.Exchange(i)
		made := ex.Start
		if i%3 != 0 { // many in a few milliseconds around an hour
			made = storetest.Exchange(i / 40 * 40).Start.Truncate(time.Hour).Add(time.Duration(r.IntN(16)-8) * time.Millisecond)
		}
		ex.Start = made.Add(time.Duration(r.IntN(11_000)-5500) * time.Microsecond)
		if i%7 != 0 {
			ex.ID = storetest.GatewayID(made, i)
		}
		all = append(all, ex)
		if i%10 == 0 {
			all = append(all, ex)
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var out [][]*ledger.Exchange
	for len(all) > 0 {
		k := min(len(all), 1+r.IntN(batch))
		out, all = append(out, all[:k]), all[k:]
	}
	return out
}

// The two stores give the same answer to any question. In small batches what is
// close is too little for a block.
func TestStoresAgree(t *testing.T) {
	for _, batch := range []int{90, 1000} {
		if batch > 90 && ledger.RaceDetector {
			continue
		}
		t.Run(fmt.Sprint("batches of up to ", batch), func(t *testing.T) { storesAgree(t, batch) })
	}
}

func storesAgree(t *testing.T, batch int) {
	lite, mem := openSQLite(t), ledger.NewMemory(0)
	t.Cleanup(func() { _ = lite.Close() })
	for _, s := range []ledger.Store{lite, mem} {
		for i, batch := range mixed(400, batch) {
			if err := s.Append(t.Context(), ledger.Position{Segment: 1, Offset: int64(i + 1)}, batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	moment := func(r *rapid.T) time.Time {
		return storetest.Exchange(rapid.IntRange(0, 399).Draw(r, "n")).Start.Add(time.Duration(rapid.IntRange(-3000, 3000).Draw(r, "us")) * time.Microsecond).
			Truncate(rapid.SampledFrom([]time.Duration{1, time.Minute, time.Hour}).Draw(r, "to"))
	}
	columns := []string{
		ledger.ByModel, ledger.ByTarget, ledger.ByKey, ledger.ByCustomer, ledger.ByDay, ledger.ByOutcome,
		ledger.ByKeyID, ledger.ByTeam, ledger.ByOrganisation, ledger.ByProvider, ledger.ByTag,
	}
	rapid.Check(t, func(r *rapid.T) {
		pick := func(what string, of ...string) string { return rapid.SampledFrom(append(of, "", "", "")).Draw(r, what) }
		f := ledger.Filter{
			Model: pick("model", "chat", "none"), Target: pick("target", "eu", "us"), Key: pick("key", "k1", "backend"),
			Customer: pick("customer", "acme"), Outcome: ledger.Outcome(pick("outcome", "ok", "failed")), Fault: pick("fault", "rate_limit"),
			Team: pick("team", "search"), Organisation: pick("organisation", "south"), Provider: pick("provider", "vllm"), Tag: pick("tag", "beta", "batch"),
		}
		if rapid.Bool().Draw(r, "from") {
			f.From = moment(r)
		}
		if rapid.Bool().Draw(r, "to") {
			f.To = moment(r)
		}
		q := ledger.UsageQuery{By: rapid.Permutation(columns).Draw(r, "order")[:rapid.IntRange(0, 4).Draw(r, "by")], Filter: f}
		a, err1 := lite.Usage(t.Context(), q)
		b, err2 := mem.Usage(t.Context(), q)
		if err1 != nil || err2 != nil || cmp.Diff(a, b) != "" {
			r.Fatalf("usage %+v: %v %v\n%s", q, err1, err2, cmp.Diff(a, b))
		}
		by := rapid.SampledFrom(columns).Draw(r, "spent by")
		c, err1 := ledger.SpentBy(t.Context(), lite, by, f.From, f.To)
		d, err2 := ledger.SpentBy(t.Context(), mem, by, f.From, f.To)
		if err1 != nil || err2 != nil || cmp.Diff(c, d) != "" {
			r.Fatalf("spent by %s: %v %v\n%s", by, err1, err2, cmp.Diff(c, d))
		}
		if d := cmp.Diff(all(t, lite, f), all(t, mem, f), cmpopts.EquateEmpty()); d != "" {
			r.Fatalf("each %+v: %s", f, d)
		}
		limit := rapid.IntRange(0, 450).Draw(r, "limit")
		x, err1 := lite.Recent(t.Context(), limit, f)
		y, err2 := mem.Recent(t.Context(), limit, f)
		if err1 != nil || err2 != nil || cmp.Diff(x, y, cmpopts.EquateEmpty()) != "" {
			r.Fatalf("recent %+v: %v %v\n%s", f, err1, err2, cmp.Diff(x, y, cmpopts.EquateEmpty()))
		}
	})
}

// all is what Each gives, and that it comes in the order of ids.
func all(t *testing.T, r ledger.Reader, f ledger.Filter) []*ledger.Exchange {
	t.Helper()
	out := []*ledger.Exchange{}
	err := r.Each(t.Context(), f, func(ex *ledger.Exchange) error {
		if len(out) > 0 && out[len(out)-1].ID >= ex.ID {
			t.Errorf("%s comes after %s", ex.ID, out[len(out)-1].ID)
		}
		out = append(out, ex)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEachReadsOverManyPages(t *testing.T) {
	s := openSQLite(t)
	defer s.Close()
	var batch []*ledger.Exchange
	for n := range 4500 { // more than two pages of either kind
		ex := storetest.Exchange(n)
		if n%2 == 0 {
			ex.ID = storetest.GatewayID(ex.Start, n)
		}
		batch = append(batch, ex)
	}
	if err := s.Append(t.Context(), ledger.Position{Segment: 1}, batch); err != nil {
		t.Fatal(err)
	}
	if n := len(all(t, s, ledger.Filter{})); n != 4500 {
		t.Errorf("%d exchanges, want 4500", n)
	}
	f := ledger.Filter{From: storetest.Exchange(100).Start, To: storetest.Exchange(4300).Start}
	if n := len(all(t, s, f)); n != 4200 {
		t.Errorf("%d exchanges of a period, want 4200", n)
	}
}

func TestSpentByAddsWhatIsHeldForTheUnknown(t *testing.T) {
	s := openSQLite(t)
	defer s.Close()
	known, open := storetest.Exchange(1), storetest.Exchange(2)
	known.Key, known.Name, known.Cost, known.Held = "k_1", "backend", 500, 900
	open.Key, open.Name, open.Outcome, open.Cost, open.Held, open.Attempts = "k_1", "backend", ledger.OutcomeUnknown, 0, 40, nil
	if err := s.Append(t.Context(), ledger.Position{Segment: 1}, []*ledger.Exchange{known, open, storetest.Exchange(0)}); err != nil {
		t.Fatal(err)
	}
	got, err := ledger.SpentBy(t.Context(), s, ledger.ByKey, time.Time{}, time.Time{})
	if want := map[string]int64{"k_1": 540}; err != nil || cmp.Diff(want, got) != "" { // by id; nothing where nothing was spent
		t.Errorf("spent %v, %v; want %v", got, err, want)
	}
}

func TestSQLiteKeepsWhatItHasAcrossOpenings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	for round := range 3 {
		s, err := ledger.OpenSQLite(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if pos, err := s.Position(t.Context()); err != nil || pos.Segment != uint64(round) {
			t.Errorf("round %d: position %v, %v", round, pos, err)
		}
		if list, err := s.Recent(t.Context(), 10, ledger.Filter{}); err != nil || len(list) != round {
			t.Errorf("round %d: %d exchanges, %v", round, len(list), err)
		}
		if err := s.Append(t.Context(), ledger.Position{Segment: uint64(round + 1)}, []*ledger.Exchange{storetest.Exchange(round)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMemoryGivesUpTheOldestAndCounts(t *testing.T) {
	m := ledger.NewMemory(5)
	storetest.Fill(t, m, 20)
	list, err := m.Recent(t.Context(), 100, ledger.Filter{})
	if err != nil || len(list) != 5 || list[4].ID != "req_0015" || m.Dropped() != 15 {
		t.Errorf("%d exchanges, %d dropped, %v", len(list), m.Dropped(), err)
	}
	if _, err := m.Get(t.Context(), "req_0014"); err == nil {
		t.Error("an exchange that was given up is found")
	}
}

func TestPruneRemovesOldRecordsAndKeepsTheSums(t *testing.T) {
	for name, rename := range map[string]func(ex *ledger.Exchange, n int){
		"ids of the gateway": func(ex *ledger.Exchange, n int) { ex.ID = storetest.GatewayID(ex.Start, n) },
		"other ids":          func(*ledger.Exchange, int) {},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ledger.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var batch []*ledger.Exchange
			for n := range 2300 {
				ex := storetest.Exchange(n)
				rename(ex, n)
				batch = append(batch, ex)
			}
			if err := s.Append(t.Context(), ledger.Position{Segment: 7}, batch); err != nil {
				t.Fatal(err)
			}
			before := storetest.Exchange(2250).Start.Add(5 * time.Minute)
			for _, want := range []int64{2251, 0} { // more than two transactions, then none
				if n, err := s.Prune(t.Context(), before); err != nil || n != want {
					t.Errorf("pruned %d, %v; want %d", n, err, want)
				}
			}
			if list, err := s.Recent(t.Context(), 5000, ledger.Filter{}); err != nil || len(list) != 49 || list[48].ID != batch[2251].ID {
				t.Errorf("%d records are left, %v; want 49", len(list), err)
			}
			if pos, err := s.Position(t.Context()); err != nil || pos.Segment != 7 {
				t.Errorf("the position moved: %v, %v", pos, err)
			}
			checkPrunedUsage(t, s, before)
		})
	}
}

// checkPrunedUsage expects all sums, and that ranges which meet at a moment
// count everything once, whether its hour still has its records or not.
func checkPrunedUsage(t *testing.T, s *ledger.SQLite, pruned time.Time) {
	t.Helper()
	sum := func(f ledger.Filter) int64 {
		rows, err := s.Usage(t.Context(), ledger.UsageQuery{Filter: f})
		if err != nil {
			t.Fatal(err)
		}
		return rows[0].Requests
	}
	if n := sum(ledger.Filter{}); n != 2300 {
		t.Errorf("usage counts %d, want 2300", n)
	}
	for _, at := range []time.Time{pruned, pruned.Add(-90 * time.Minute), pruned.Truncate(time.Hour), pruned.Add(2*time.Hour + time.Minute)} {
		if a, b := sum(ledger.Filter{To: at}), sum(ledger.Filter{From: at}); a+b != 2300 {
			t.Errorf("%d before %v and %d from then on, want 2300 together", a, at, b)
		}
	}
}
