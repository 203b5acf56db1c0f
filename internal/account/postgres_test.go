package account

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tailplane/internal/pg"
)

// database makes a schema of its own for the test, with the tables.
func database(t *testing.T) (*Postgres, *pgxpool.Pool) {
	t.Helper()
	dsn := os.Getenv("TAILPLANE_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("set TAILPLANE_TEST_POSTGRES to run this against PostgreSQL")
	}
	admin, err := pg.Open(t.Context(), dsn, pg.Options{Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	schema := "account_" + rand.Text()
	if _, err := admin.Exec(t.Context(), fmt.Sprintf(`CREATE SCHEMA %q`, schema)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), fmt.Sprintf(`DROP SCHEMA %q CASCADE`, schema)); err != nil {
			t.Error(err)
		}
	})
	config := admin.Config().Copy()
	config.MaxConns = 8
	config.ConnConfig.RuntimeParams["search_path"] = fmt.Sprintf("%q", schema)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	p, err := OpenPostgres(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return p, pool
}

func money(row string, seq, amount, spent, mark, need int64) Report {
	return Report{Row: row, Kind: KindMoney, Seq: seq, Amount: amount, Spent: spent, Mark: mark, Need: need, Want: need}
}

func TestPostgresDecidesAsThePureFunctionDoes(t *testing.T) {
	p, pool := database(t)
	if _, err := OpenPostgres(t.Context(), pool); err != nil {
		t.Errorf("opening it again: %v", err)
	}
	now := time.Now()
	rows := map[string]Row{}
	for i, step := range []struct {
		gateway string
		reports []Report
	}{
		{"a", []Report{money("x", 1, 1000, 0, 0, 300), money("b", 1, 50, 0, 0, 60)}},
		{"b", []Report{{Row: "r", Kind: KindRate, Seq: 1, Amount: 100, Per: time.Hour, Need: 70, Want: 70}, money("x", 1, 1000, 0, 0, 600)}},
		{"a", []Report{money("x", 1, 1000, 0, 0, 900)}}, // late: changes nothing
		{"b", []Report{money("x", 2, 1000, 350, 600, 700), {Row: "p", Kind: KindPlaces, Seq: 1, Amount: 5, Need: 3, Want: 4}}},
		{"a", []Report{money("x", 2, 1000, 100, 200, 0), {Row: "p", Kind: KindPlaces, Seq: 1, Amount: 5, Need: 3, Want: 3}}},
		{"b", []Report{money("x", 3, 1000, 350, 600, 800)}},
	} {
		got, err := p.Renew(t.Context(), step.gateway, step.reports)
		if err != nil {
			t.Fatal(err)
		}
		for k, r := range step.reports {
			var want Grant
			rows[r.Row], want = decide(rows[r.Row], step.gateway, r, now, term)
			if !reflect.DeepEqual(got[k], want) {
				t.Errorf("step %d, row %s:\n got %+v\nwant %+v", i, r.Row, got[k], want)
			}
		}
	}
}

// TestTwoGatewaysRaceInPostgres spends one budget from two gateways that renew
// the same rows in different orders at once.
func TestTwoGatewaysRaceInPostgres(t *testing.T) {
	p, _ := database(t)
	var spent atomic.Int64
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		a := New(Options{Shared: p, Gateway: name})
		running.Go(func() {
			if err := a.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		now := time.Now()
		rules := rulesOf(t, "budget=0.000003/total,strict requests=1M/m concurrent=100")
		chain := []*Account{a.Account(Key, "k", rules, now), a.Account(Team, "t", rules, now), a.Account(Customer, "c", rules, now)}
		for i := range 4 {
			wg.Go(func() {
				for refused := 0; refused < 5; {
					var h Hold
					nano := int64(1 + i)
					r := a.Reserve(t.Context(), &h, chain, Want{Start: time.Now(), Nano: nano, Bound: nano})
					if r == nil {
						h.Settle(time.Now(), Used{Nano: nano})
						spent.Add(nano)
						continue
					}
					if r.Reason == ReasonLease {
						t.Error(r)
					}
					refused++
					select {
					case <-time.After(200 * time.Millisecond):
					case <-t.Context().Done():
					}
				}
			})
		}
	}
	wg.Wait()
	stop()
	running.Wait()
	if n := spent.Load(); n > 3000 || n < 2000 {
		t.Errorf("%d of 3000 spent", n)
	}
	t.Logf("%d of 3000 spent", spent.Load())
}

func TestPostgresWritesOffAndForgets(t *testing.T) {
	p, pool := database(t)
	over := time.Now().Add(-keepRows - time.Hour)
	old := money("old", 1, 1000, 0, 0, 300)
	old.Ends = over
	if _, err := p.Renew(t.Context(), "a", []Report{old, money("x", 1, 1000, 100, 0, 400), money("y", 1, 1000, 0, 0, 10)}); err != nil {
		t.Fatal(err)
	}
	if freed, err := p.WriteOff(t.Context(), "a"); err != nil || freed != 0 {
		t.Errorf("%d of a living gateway are written off; %v", freed, err)
	}
	// Its term is over.
	if _, err := pool.Exec(t.Context(), `UPDATE leases SET row = jsonb_set(row, '{shares,a,until}', '0')`); err != nil {
		t.Fatal(err)
	}
	g, err := p.Renew(t.Context(), "b", []Report{money("x", 1, 1000, 0, 0, 1)})
	if err != nil || g[0].Doubt != 300 || g[0].Others != 100 {
		t.Errorf("%+v, %v", g, err)
	}
	if freed, err := p.WriteOff(t.Context(), "a"); err != nil || freed != 310 {
		t.Errorf("%d written off, want 310; %v", freed, err)
	}
	g, err = p.Renew(t.Context(), "b", []Report{money("x", 2, 1000, 0, 1, 900)})
	if err != nil || g[0].Doubt != 0 || g[0].Mark != 900 {
		t.Errorf("%+v, %v", g, err)
	}
	var left int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM leases WHERE name = 'old'`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows of a window long over; %v", left, err)
	}
}
