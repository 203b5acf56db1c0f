package ledger_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/ledger"
	"tailplane/internal/ledger/storetest"
)

// rerated is a store that rates again.
type rerated interface {
	storetest.Store
	Rerate(ctx context.Context, run ledger.Run, price func(*ledger.Exchange) []ledger.Rate) (ledger.RunOutcome, error)
	Ratings(ctx context.Context, id string) ([]ledger.Rating, error)
}

// at prices every attempt by its input; what goes to the target stays unknown.
func at(nano int64, unknown string) func(*ledger.Exchange) []ledger.Rate {
	return func(ex *ledger.Exchange) []ledger.Rate {
		out := make([]ledger.Rate, len(ex.Attempts))
		for i, a := range ex.Attempts {
			if out[i] = (ledger.Rate{Cost: nano * a.Usage.Input, Status: ledger.Priced}); a.Target == unknown {
				out[i] = ledger.Rate{Status: ledger.Unpriced}
			}
		}
		return out
	}
}

// twin is the exchange as if it had been rated so from the start.
func twin(ex *ledger.Exchange, price func(*ledger.Exchange) []ledger.Rate) *ledger.Exchange {
	out := *ex
	out.Attempts = slices.Clone(ex.Attempts)
	for i, r := range price(ex) {
		if r.Status != ledger.Unpriced {
			out.Attempts[i].Cost, out.Attempts[i].Priced = r.Cost, r.Status
		}
	}
	if len(out.Attempts) > 0 {
		out.Cost, out.PriceStatus = 0, ledger.Priced
	}
	for _, a := range out.Attempts {
		out.Cost += a.Cost
		if a.Priced == ledger.Unpriced {
			out.PriceStatus = ledger.Unpriced
		}
	}
	return &out
}

var allUsage = [][]string{
	nil, {ledger.ByModel}, {ledger.ByTarget}, {ledger.ByProvider, ledger.ByDay}, {ledger.ByCustomer, ledger.ByTeam, ledger.ByOutcome}, {ledger.ByTag},
}

// sameUsage expects that two stores give the same sums, whole and cut.
func sameUsage(t *testing.T, what string, a, b ledger.Reader, original bool) {
	t.Helper()
	begin := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for _, by := range allUsage {
		for _, f := range []ledger.Filter{
			{},
			{Target: "eu"},
			{Customer: "acme"},
			{From: begin.Add(90 * time.Minute), To: begin.Add(25*time.Hour + time.Second)},
			{From: begin.Add(2 * time.Hour), To: begin.Add(150 * time.Minute), Target: "us"},
		} {
			x, err1 := a.Usage(t.Context(), ledger.UsageQuery{By: by, Filter: f, Original: original})
			y, err2 := b.Usage(t.Context(), ledger.UsageQuery{By: by, Filter: f})
			if err1 != nil || err2 != nil || cmp.Diff(x, y) != "" {
				t.Fatalf("%s: by %v of %+v: %v %v\n%s", what, by, f, err1, err2, cmp.Diff(x, y))
			}
		}
	}
}

// TestPostgresAndSQLiteRateAgain: after a run the sums are what they would be if
// every exchange of its period had been rated so from the start, by every column;
// what was original stays.
func TestPostgresAndSQLiteRateAgain(t *testing.T) {
	for name, open := range shelves {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			rated, ok := s.sealed.(rerated)
			if !ok {
				t.Fatal("it rates nothing")
			}
			ids := stock(t, s, 2500, 500) // more than two chunks, strays among them
			var list []*ledger.Exchange
			if err := s.Each(t.Context(), ledger.Filter{}, func(ex *ledger.Exchange) error {
				c := *ex
				c.Attempts = slices.Clone(ex.Attempts)
				list = append(list, &c)
				return nil
			}); err != nil || len(list) != len(ids) {
				t.Fatal(len(list), err)
			}
			from := time.Date(2026, 11, 20, 1, 17, 0, 0, time.UTC)
			to := from.Add(30 * time.Hour)
			as := func(price func(*ledger.Exchange) []ledger.Rate) *ledger.Memory {
				m := ledger.NewMemory(5000)
				var batch []*ledger.Exchange
				for _, ex := range list {
					if price != nil && !ex.Start.Before(from) && ex.Start.Before(to) {
						ex = twin(ex, price)
					}
					batch = append(batch, ex)
				}
				if err := m.Append(t.Context(), ledger.Position{Segment: 1}, batch); err != nil {
					t.Fatal(err)
				}
				return m
			}
			original, first := as(nil), as(at(3, "us"))
			// The second prices know nothing of eu, which keeps what the first said.
			second := as(func(ex *ledger.Exchange) []ledger.Rate {
				out := at(5, "eu")(ex)
				for i, r := range at(3, "us")(ex) {
					if out[i].Status == ledger.Unpriced {
						out[i] = r
					}
				}
				return out
			})
			run := ledger.Run{ID: "run-1", At: to, Actor: "user:ann", From: from, To: to, Version: "book-1", Note: "a new contract"}
			order := func(run ledger.Run, price func(*ledger.Exchange) []ledger.Rate) ledger.RunOutcome {
				t.Helper()
				out, err := rated.Rerate(t.Context(), run, price)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			sameUsage(t, "before", s, original, false)
			dry := run
			dry.Dry = true
			told := order(dry, at(3, "us"))
			sameUsage(t, "after a dry run", s, original, false)
			done := order(run, at(3, "us"))
			if told != done || done.Looked != 1800 || done.Changed == 0 || done.Changed >= done.Looked || done.Unpriced == 0 {
				t.Errorf("told %+v, did %+v", told, done)
			}
			sameUsage(t, "after a run", s, first, false)
			sameUsage(t, "original", s, original, true)
			if again := order(run, at(99, "")); again != done {
				t.Errorf("the same run again did %+v", again)
			}
			sameUsage(t, "after the same run", s, first, false)
			next := run
			next.ID, next.Version = "run-2", "book-2"
			if out := order(next, at(5, "eu")); out.OldCost != done.NewCost {
				t.Errorf("the second run began at %d, want %d", out.OldCost, done.NewCost)
			}
			sameUsage(t, "after a second run", s, second, false)
			sameUsage(t, "original", s, original, true)
			checkRatings(t, rated, list)
			if r := verified(t, s); !r.OK() {
				t.Errorf("records changed: %v", r.Problems)
			}
			other := run
			other.To = to.Add(time.Hour)
			if _, err := rated.Rerate(t.Context(), other, at(1, "")); !errors.Is(err, ledger.ErrRun) {
				t.Errorf("a run of another period under the same id: %v", err)
			}
		})
	}
}

// checkRatings expects that what is noted of each exchange goes on from one run to
// the next, and from its record.
func checkRatings(t *testing.T, s rerated, list []*ledger.Exchange) {
	t.Helper()
	two := 0
	for _, ex := range list[:200] {
		got, err := s.Ratings(t.Context(), ex.ID)
		if err != nil {
			t.Fatal(err)
		}
		cost, status, version := ex.Cost, ex.PriceStatus, ex.PriceVersion
		for _, r := range got {
			if r.OldCost != cost || r.OldStatus != status || r.OldVersion != version || !strings.HasPrefix(r.NewVersion, "book-") {
				t.Errorf("exchange %s: %+v does not follow %d %s %s", ex.ID, r, cost, status, version)
			}
			cost, status, version = r.NewCost, r.NewStatus, r.NewVersion
		}
		if len(got) == 2 {
			two++
		}
	}
	if two == 0 {
		t.Error("no exchange was rated twice")
	}
}

// TestARunThatBreaksOffGoesOn: chunks that are stored are not counted twice.
func TestARunThatBreaksOffGoesOn(t *testing.T) {
	s, whole := shelves["SQLite"](t), shelves["SQLite"](t)
	stock(t, s, 2500, 500)
	stock(t, whole, 2500, 500)
	run := ledger.Run{ID: "run-1", Actor: "a", Version: "v"}
	a, _ := s.sealed.(rerated)
	b, _ := whole.sealed.(rerated)
	ctx, stop := context.WithCancel(t.Context())
	n := 0
	if _, err := a.Rerate(ctx, run, func(ex *ledger.Exchange) []ledger.Rate {
		if n++; n == 1500 {
			stop()
		}
		return at(3, "")(ex)
	}); err == nil {
		t.Fatal("it did not break off")
	}
	got, err := a.Rerate(t.Context(), run, at(3, ""))
	want, err2 := b.Rerate(t.Context(), run, at(3, ""))
	if err != nil || err2 != nil || got != want {
		t.Errorf("%+v, want %+v (%v, %v)", got, want, err, err2)
	}
	for _, by := range allUsage {
		x, err1 := s.Usage(t.Context(), ledger.UsageQuery{By: by})
		y, err2 := whole.Usage(t.Context(), ledger.UsageQuery{By: by})
		if err1 != nil || err2 != nil || cmp.Diff(x, y) != "" {
			t.Errorf("by %v: %v %v\n%s", by, err1, err2, cmp.Diff(x, y))
		}
	}
}

func TestMemoryRefusesToRateAgain(t *testing.T) {
	if _, err := ledger.NewMemory(0).Rerate(t.Context(), ledger.Run{}, nil); !errors.Is(err, ledger.ErrRun) || !strings.Contains(err.Error(), "in memory") {
		t.Errorf("%v", err)
	}
}
