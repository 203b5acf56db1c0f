package storetest

import (
	"errors"
	"slices"
	"testing"

	"tailplane/internal/ledger"
)

func testUsageByParties(t *testing.T, s Store) {
	Fill(t, s, 24)
	counts := func(q ledger.UsageQuery, column func(ledger.UsageRow) string) map[string]int64 {
		t.Helper()
		rows, err := s.Usage(t.Context(), q)
		must(t, err)
		got := map[string]int64{}
		for _, r := range rows {
			got[column(r)] += r.Requests
		}
		return got
	}
	want := map[string]map[string]int64{ledger.ByTeam: {}, ledger.ByOrganisation: {}, ledger.ByTag: {}, ledger.ByProvider: {}, ledger.ByKeyID: {}}
	beta := map[string]int64{}
	for n := range 24 {
		ex := Exchange(n)
		want[ledger.ByTeam][ex.Team]++
		want[ledger.ByOrganisation][ex.Organisation]++
		want[ledger.ByKeyID][ex.Key]++
		if len(ex.Tags) == 0 {
			want[ledger.ByTag][""]++
		}
		for _, tag := range ex.Tags {
			want[ledger.ByTag][tag]++
		}
		if slices.Contains(ex.Tags, "beta") {
			beta[ex.Team]++
		}
		if len(ex.Attempts) == 0 {
			want[ledger.ByProvider][""]++
		}
		for _, a := range ex.Attempts {
			want[ledger.ByProvider][a.Kind]++
		}
	}
	for by, column := range map[string]func(ledger.UsageRow) string{
		ledger.ByTeam:         func(r ledger.UsageRow) string { return r.Team },
		ledger.ByOrganisation: func(r ledger.UsageRow) string { return r.Organisation },
		ledger.ByTag:          func(r ledger.UsageRow) string { return r.Tag },
		ledger.ByProvider:     func(r ledger.UsageRow) string { return r.Provider },
		ledger.ByKeyID:        func(r ledger.UsageRow) string { return r.KeyID },
	} {
		same(t, by, want[by], counts(ledger.UsageQuery{By: []string{by}}, column))
	}
	team := func(r ledger.UsageRow) string { return r.Team }
	same(t, "tag", beta, counts(ledger.UsageQuery{By: []string{ledger.ByTeam}, Filter: ledger.Filter{Tag: "beta"}}, team))
	same(t, "team", map[string]int64{"search": 12}, counts(ledger.UsageQuery{By: []string{ledger.ByTeam}, Filter: ledger.Filter{Team: "search"}}, team))
	none := func(ledger.UsageRow) string { return "" }
	same(t, "provider", map[string]int64{"": want[ledger.ByProvider]["vllm"]}, counts(ledger.UsageQuery{Filter: ledger.Filter{Provider: "vllm"}}, none))
	got := ids(t, s, 2, ledger.Filter{Organisation: "south", Tag: "batch"})
	same(t, "recent", []string{Exchange(23).ID, Exchange(11).ID}, got)
}

func testEach(t *testing.T, s Store) {
	Fill(t, s, 30)
	var want, got []string
	for n := 5; n < 25; n++ {
		if ex := Exchange(n); ex.Model == "chat" {
			want = append(want, ex.ID)
		}
	}
	f := ledger.Filter{From: Exchange(5).Start, To: Exchange(25).Start, Model: "chat"}
	must(t, s.Each(t.Context(), f, func(ex *ledger.Exchange) error {
		got = append(got, ex.ID)
		return nil
	}))
	same(t, "ids", want, got)
	enough := errors.New("enough")
	calls := 0
	err := s.Each(t.Context(), ledger.Filter{}, func(*ledger.Exchange) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("it goes on after an error: %d calls, %v", calls, err)
	}
}
