package storetest

import (
	"slices"
	"testing"
	"time"

	"tailplane/internal/ledger"
)

// testCrowd stores exchanges that began within a few seconds and settled in another
// order, as a gateway under load does: a store may keep such together.
func testCrowd(t *testing.T, s Store) {
	begin := time.Date(2026, 11, 24, 8, 59, 58, 0, time.UTC) // over an hour's end
	var all []*ledger.Exchange
	for n := range 600 {
		ex := Exchange(n)
		ex.Start = begin.Add(time.Duration(n) * 10 * time.Millisecond)
		ex.ID = GatewayID(ex.Start, n)
		all = append(all, ex)
	}
	late := func(n int) int { return n + n%5*37 } // when it settles
	settled := slices.Clone(all)
	slices.SortStableFunc(settled, func(a, b *ledger.Exchange) int {
		return late(slices.Index(all, a)) - late(slices.Index(all, b))
	})
	for i, batch := range slices.Collect(slices.Chunk(settled, 150)) {
		again := append([]*ledger.Exchange{settled[i*100]}, batch...) // one that is stored, but for the first time
		must(t, s.Append(t.Context(), ledger.Position{Segment: 1, Offset: int64(i + 1)}, again))
	}
	for _, f := range []ledger.Filter{
		{},
		{From: all[7].Start, To: all[8].Start},
		{From: all[90].Start, To: all[411].Start, Customer: "globex", Model: "chat"},
		{To: all[300].Start, Fault: "rate_limit"},
		{Key: "nobody"},
	} {
		crowdIsTold(t, s, all, f)
	}
	for n := 0; n < len(all); n += 13 {
		got, err := s.Get(t.Context(), all[n].ID)
		must(t, err)
		same(t, "record", []any{all[n].ID, all[n].Start, all[n].Cost}, []any{got.ID, got.Start, got.Cost})
	}
}

// crowdIsTold expects of each kind of question what a list of exchanges, in the order
// of their Start, says.
func crowdIsTold(t *testing.T, s Store, all []*ledger.Exchange, f ledger.Filter) {
	t.Helper()
	want, cost := []string{}, int64(0)
	for _, ex := range all {
		if (f.From.IsZero() || !ex.Start.Before(f.From)) && (f.To.IsZero() || ex.Start.Before(f.To)) && (f.Key == "" || f.Key == ex.Key) &&
			(f.Customer == "" || f.Customer == ex.Customer) && (f.Model == "" || f.Model == ex.Model) && (f.Fault == "" || f.Fault == string(ex.Fault)) {
			want, cost = append(want, ex.ID), cost+ex.Cost
		}
	}
	got := []string{}
	must(t, s.Each(t.Context(), f, func(ex *ledger.Exchange) error {
		got = append(got, ex.ID)
		return nil
	}))
	byID := slices.Clone(want)
	slices.Sort(byID)
	same(t, "each", byID, got)
	slices.Reverse(want)
	same(t, "recent", want, ids(t, s, 1000, f))
	same(t, "the newest", want[:min(len(want), 9)], ids(t, s, 9, f))
	rows, err := s.Usage(t.Context(), ledger.UsageQuery{Filter: f})
	must(t, err)
	same(t, "requests and cost", []int64{int64(len(want)), cost}, []int64{rows[0].Requests, rows[0].Cost})
}
