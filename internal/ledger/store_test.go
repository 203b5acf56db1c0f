package ledger_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// The two stores give the same answer to any question.
func TestStoresAgree(t *testing.T) {
	lite, mem := openSQLite(t), ledger.NewMemory(0)
	t.Cleanup(func() { _ = lite.Close() })
	for _, s := range []ledger.Store{lite, mem} {
		storetest.Fill(t, s, 100)
	}
	columns := []string{ledger.ByModel, ledger.ByTarget, ledger.ByKey, ledger.ByCustomer, ledger.ByDay, ledger.ByOutcome}
	rapid.Check(t, func(r *rapid.T) {
		pick := func(what string, of ...string) string { return rapid.SampledFrom(append(of, "", "", "")).Draw(r, what) }
		f := ledger.Filter{
			Model: pick("model", "chat", "none"), Target: pick("target", "eu", "us"), Key: pick("key", "k1", "backend"),
			Customer: pick("customer", "acme"), Outcome: ledger.Outcome(pick("outcome", "ok", "failed")), Fault: pick("fault", "rate_limit"),
		}
		if rapid.Bool().Draw(r, "from") {
			f.From = storetest.Exchange(rapid.IntRange(0, 99).Draw(r, "n")).Start
		}
		if rapid.Bool().Draw(r, "to") {
			f.To = storetest.Exchange(rapid.IntRange(0, 99).Draw(r, "m")).Start
		}
		q := ledger.UsageQuery{By: rapid.Permutation(columns).Draw(r, "order")[:rapid.IntRange(0, 6).Draw(r, "by")], Filter: f}
		a, err1 := lite.Usage(t.Context(), q)
		b, err2 := mem.Usage(t.Context(), q)
		if err1 != nil || err2 != nil || cmp.Diff(a, b) != "" {
			r.Fatalf("usage %+v: %v %v\n%s", q, err1, err2, cmp.Diff(a, b))
		}
		limit := rapid.IntRange(0, 120).Draw(r, "limit")
		x, err1 := lite.Recent(t.Context(), limit, f)
		y, err2 := mem.Recent(t.Context(), limit, f)
		if err1 != nil || err2 != nil || cmp.Diff(x, y) != "" {
			r.Fatalf("recent %+v: %v %v\n%s", f, err1, err2, cmp.Diff(x, y))
		}
	})
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

func TestPruneRemovesTheOldAndNothingElse(t *testing.T) {
	s, err := ledger.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	storetest.Fill(t, s, 2300)
	for _, want := range []int64{2250, 0} { // more than two transactions, then none
		if n, err := s.Prune(t.Context(), storetest.Exchange(2250).Start); err != nil || n != want {
			t.Errorf("pruned %d, %v; want %d", n, err, want)
		}
	}
	rows, err := s.Usage(t.Context(), ledger.UsageQuery{})
	if err != nil || rows[0].Requests != 50 {
		t.Errorf("%+v are left, %v", rows, err)
	}
	attempts := int64(0)
	for n := 2250; n < 2300; n++ {
		attempts += int64(max(1, len(storetest.Exchange(n).Attempts)))
	}
	rows, err = s.Usage(t.Context(), ledger.UsageQuery{By: []string{ledger.ByTarget}})
	got := int64(0)
	for _, r := range rows {
		got += r.Requests
	}
	if err != nil || got != attempts {
		t.Errorf("%d attempts are left, %v; want %d", got, err, attempts)
	}
	if pos, err := s.Position(t.Context()); err != nil || pos.Offset != 230 {
		t.Errorf("the position moved: %v, %v", pos, err)
	}
}
