package statement

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

// TestAMonthOfTheLedger: sums by provider, what nobody knows the end of, the
// prices that were used, and nothing of other months and customers.
func TestAMonthOfTheLedger(t *testing.T) {
	store := ledger.NewMemory(0)
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	tries := func(kinds ...string) (out []ledger.Attempt) {
		for _, k := range kinds {
			out = append(out, ledger.Attempt{Target: k, Kind: k, Usage: llm.Usage{Input: 10}, Cost: 3})
		}
		return out
	}
	batch := []*ledger.Exchange{
		{ID: "a", Start: at(1, 0), Customer: "acme", Model: "m", Attempts: tries("openai", "vllm"), Outcome: ledger.OutcomeOK, Usage: llm.Usage{Input: 20}, Cost: 6, PriceVersion: "v2"},
		{ID: "b", Start: at(30, 23), Customer: "acme", Model: "m", Attempts: tries("openai"), Outcome: ledger.OutcomeOK, Usage: llm.Usage{Input: 10}, Cost: 3, PriceVersion: "v1"},
		{ID: "c", Start: at(31, 0), Customer: "acme", Model: "m", Attempts: tries("openai"), Outcome: ledger.OutcomeOK, PriceVersion: "v3"}, // December
		{ID: "d", Start: at(2, 0), Customer: "acme", Model: "m", Outcome: ledger.OutcomeUnknown},
		{ID: "e", Start: at(2, 0), Customer: "zeta", Model: "m", Attempts: tries("openai"), Outcome: ledger.OutcomeOK, Usage: llm.Usage{Input: 10}, Cost: 3},
	}
	if err := store.Append(t.Context(), ledger.Position{Segment: 1}, batch); err != nil {
		t.Fatal(err)
	}
	flushed := 0
	l := &Ledger{
		Reader: store, Open: func() int { return 4 },
		Flush: func(context.Context) error { flushed++; return nil },
		Head:  func(context.Context) (Chain, error) { return Chain{"ff", 9}, nil },
		Clock: func(context.Context, time.Time, time.Time) ([]string, error) { return []string{"back by 3 s"}, nil },
	}
	for customer, want := range map[string]string{
		"acme": "exchanges 3, calls 4, unknown 1, input 30, cost 9, lines 4, prices [v1 v2], open 4, {ff 9}, [back by 3 s]",
		"":     "exchanges 4, calls 5, unknown 1, input 40, cost 12, lines 5, prices [v1 v2], open 4, {ff 9}, [back by 3 s]",
	} {
		in, err := l.Month(t.Context(), customer, month("2026-11"))
		if err != nil {
			t.Fatal(err)
		}
		in.Site, in.Customer, in.Month, in.Made = "s", customer, month("2026-11"), at(40, 0)
		s, err := Make(in)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("exchanges %d, calls %d, unknown %d, input %d, cost %v, lines %d, prices %v, open %d, %v, %v",
			s.Exchanges, s.Totals.Requests, s.Totals.Unknown, s.Totals.Input, s.Totals.Cost, len(s.Lines), s.Prices, s.Open, s.Ledger, s.Clock)
		if got != want {
			t.Errorf("%q: %s\nwant %s", customer, got, want)
		}
	}
	if flushed != 2 {
		t.Errorf("flushed %d times", flushed)
	}
}
