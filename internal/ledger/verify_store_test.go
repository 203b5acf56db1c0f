package ledger_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/ledger/storetest"
)

// sealed is a store that can be verified.
type sealed interface {
	storetest.Store
	VerifyStore(ctx context.Context) (ledger.StoreReport, error)
	SealHead(ctx context.Context) (string, int64, error)
}

// shelf is a store with a way behind its back.
type shelf struct {
	sealed
	exec   func(t *testing.T, query string)
	prefix string // of the names of its tables
}

// shelves are the kinds of stores that seal.
var shelves = map[string]func(t *testing.T) shelf{
	"SQLite": func(t *testing.T) shelf {
		path := filepath.Join(t.TempDir(), "ledger.db")
		s, err := ledger.OpenSQLite(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return shelf{s, func(t *testing.T, query string) {
			db, err := sql.Open("sqlite", path)
			if err == nil {
				_, err = db.Exec(query)
				_ = db.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		}, ""}
	},
	"Postgres": func(t *testing.T) shelf {
		pool := openPool(t)
		s, err := ledger.OpenPostgres(t.Context(), pool, "gw-1")
		if err != nil {
			t.Fatal(err)
		}
		return shelf{s, func(t *testing.T, query string) {
			if _, err := pool.Exec(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}, "ledger_"}
	},
}

// stock fills a store with n exchanges: most with ids of the gateway.
func stock(t *testing.T, s ledger.Store, n, batch int) []string {
	t.Helper()
	var ids []string
	for from := 0; from < n; from += batch {
		var list []*ledger.Exchange
		for i := from; i < min(n, from+batch); i++ {
			ex := storetest.Exchange(i)
			ex.Start = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Minute)
			if i%10 != 0 {
				ex.ID = storetest.GatewayID(ex.Start, i)
			}
			list, ids = append(list, ex), append(ids, ex.ID)
		}
		if err := s.Append(t.Context(), ledger.Position{Segment: 1, Offset: int64(from + 1)}, list); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

func verified(t *testing.T, s sealed) ledger.StoreReport {
	t.Helper()
	r, err := s.VerifyStore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPostgresAndSQLiteVerifyWhatNobodyTouched(t *testing.T) {
	for name, open := range shelves {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			if r := verified(t, s); !r.OK() || r.Records != 0 {
				t.Errorf("empty: %+v", r)
			}
			stock(t, s, 10_000, 1000)
			r := verified(t, s)
			if !r.OK() || r.Seals != 10 || r.Records != 10_000 || r.Unsummed != 0 {
				t.Errorf("%+v", r)
			}
			if head, count, err := s.SealHead(t.Context()); err != nil || head != r.Head || len(head) != 64 || count != 10_000 {
				t.Errorf("head %s of %d, %v; want %s", head, count, err, r.Head)
			}
			// An exchange that is stored already is not sealed again.
			again := storetest.Exchange(20)
			if err := s.Append(t.Context(), ledger.Position{Segment: 2}, []*ledger.Exchange{again, storetest.Exchange(20_003)}); err != nil {
				t.Fatal(err)
			}
			if r := verified(t, s); !r.OK() || r.Seals != 11 || r.Records != 10_001 {
				t.Errorf("after a batch that was known in part: %+v", r)
			}
		})
	}
}

// TestPostgresAndSQLiteNameWhatWasTouched: what is done behind the store's back is
// found, and by name; nothing else is accused.
func TestPostgresAndSQLiteNameWhatWasTouched(t *testing.T) {
	cases := map[string]struct {
		query string   // P is the prefix of tables, 1 and 2 the ids of two records
		want  []string // one for each problem
	}{
		"a record is changed":      {`UPDATE Pexchanges SET record = (SELECT record FROM Pexchanges WHERE id = '#2') WHERE id = '#1'`, []string{"exchange #1 is changed"}},
		"a record is no record":    {`UPDATE Pexchanges SET record = '0' WHERE id = '#1'`, []string{"exchange #1 is changed"}},
		"a record is removed":      {`DELETE FROM Pexchanges WHERE id = '#1'`, []string{"exchange #1 is missing"}},
		"a stray is removed":       {`DELETE FROM Pexchanges WHERE id = 'req_0030'`, []string{"exchange req_0030 is missing"}},
		"a record is added":        {`INSERT INTO Pexchanges SELECT 'req_new'EXTRA, record FROM Pexchanges WHERE id = '#1'`, []string{"exchange req_new is added"}},
		"a record is renamed":      {`UPDATE Pexchanges SET id = 'req_new' WHERE id = '#1'`, []string{"exchange #1 is missing", "exchange req_new is added"}},
		"a seal is removed":        {`DELETE FROM Pseals WHERE seq = 2`, append([]string{"seal 2GW is missing"}, "added", "added", "added", "added", "added", "added", "added", "added", "added", "added")},
		"the last seal is removed": {`DELETE FROM Pseals WHERE seq = 10`, append([]string{"seal 10GW is missing"}, "added", "added", "added", "added", "added", "added", "added", "added", "added", "added")},
		"a seal is changed":        {`UPDATE Pseals SET link = (SELECT link FROM Pseals WHERE seq = 1) WHERE seq = 3`, []string{"seal 3GW is changed", "seal 4GW is changed"}},
		"a sum is changed":         {`UPDATE Prollup SET sums = (SELECT MAX(b.sums) FROM Prollup b WHERE b.part < 0 OR b.part = (SELECT MIN(part) FROM Prollup)) WHERE part = (SELECT MAX(part) FROM Prollup)`, []string{"sums of the hour from 2026-11-20 01:00 UTC"}},
		"a sum is damaged":         {`UPDATE Prollup SET sums = '9' WHERE part = (SELECT MAX(part) FROM Prollup)`, []string{"sums of the hour from 2026-11-20 01:00 UTC cannot be read"}},
		"a sum is removed":         {`DELETE FROM Prollup WHERE part = (SELECT MAX(part) FROM Prollup)`, []string{"sums of the hour from 2026-11-20 01:00 UTC"}},
	}
	for kind, open := range shelves {
		for name, c := range cases {
			t.Run(kind+"/"+name, func(t *testing.T) {
				s := open(t)
				ids := stock(t, s, 100, 10)
				gateway, extra := "", ""
				if kind == "Postgres" {
					gateway, extra = " of gateway gw-1", ", 'gw-1'"
					if name == "a sum is changed" { // bytea has no maximum
						c.query = strings.Replace(c.query, "MAX(b.sums)", "b.sums", 1)
					}
				}
				names := strings.NewReplacer("#1", ids[13], "#2", ids[17], "EXTRA", extra, "Pexchanges", s.prefix+"exchanges", "Pseals", s.prefix+"seals", "Prollup", s.prefix+"rollup", "GW", gateway)
				s.exec(t, names.Replace(c.query))
				r := verified(t, s)
				if len(r.Problems) != len(c.want) || r.OK() {
					t.Fatalf("%d problems, want %d:\n%s", len(r.Problems), len(c.want), strings.Join(r.Problems, "\n"))
				}
				for i, want := range c.want {
					if !strings.Contains(r.Problems[i], names.Replace(want)) {
						t.Errorf("%s\nwant %s", r.Problems[i], names.Replace(want))
					}
				}
			})
		}
	}
}

func TestVerifyTellsPrunedFromMissing(t *testing.T) {
	s := shelves["SQLite"](t)
	ids := stock(t, s, 300, 50)
	lite, _ := s.sealed.(*ledger.SQLite)
	n, err := lite.Prune(t.Context(), time.Date(2026, 11, 20, 2, 30, 0, 0, time.UTC))
	if err != nil || n != 150 {
		t.Fatal(n, err)
	}
	if r := verified(t, s); !r.OK() || r.Pruned != 150 || r.Records != 300 {
		t.Errorf("%+v", r)
	}
	s.exec(t, fmt.Sprintf("DELETE FROM exchanges WHERE id = '%s'", ids[201]))
	if r := verified(t, s); len(r.Problems) != 1 || !strings.Contains(r.Problems[0], ids[201]) {
		t.Errorf("%+v", r)
	}
}

func TestProblemsAreBoundedAndCounted(t *testing.T) {
	s := shelves["SQLite"](t)
	stock(t, s, 1500, 500)
	s.exec(t, "DELETE FROM exchanges")
	if r := verified(t, s); len(r.Problems) != 1000 || r.More != 500 {
		t.Errorf("%d problems and %d more", len(r.Problems), r.More)
	}
}

// TestWhatIsOlderThanSealsIsSealedOnce, when a version that seals opens it first.
func TestWhatIsOlderThanSealsIsSealedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	open := func() *ledger.SQLite {
		s, err := ledger.OpenSQLite(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	stock(t, s, 6000, 100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(query string) {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	exec("DELETE FROM seals; UPDATE state SET seals = -1, sealed = 0, head = x''")
	s = open()
	if r := verified(t, s); !r.OK() || r.Seals != 2 || r.Records != 6000 {
		t.Errorf("%+v", r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	exec("DELETE FROM seals")
	s = open()
	defer s.Close()
	if r := verified(t, s); r.OK() || r.More == 0 {
		t.Errorf("seals that went are made again: %+v", r)
	}
}

// TestPostgresAndSQLiteVerifyWhileTheyGrow: what comes and goes meanwhile is no
// problem.
func TestPostgresAndSQLiteVerifyWhileTheyGrow(t *testing.T) {
	for name, open := range shelves {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			ids := stock(t, s, 1000, 100)
			done := make(chan error, 1)
			go func() {
				for i := range 60 {
					var batch []*ledger.Exchange
					for n := range 50 {
						ex := storetest.Exchange(n)
						ex.Start = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(i*50+n) * time.Minute)
						ex.ID = storetest.GatewayID(ex.Start, 100_000+i*50+n)
						batch = append(batch, ex)
					}
					if err := s.Append(t.Context(), ledger.Position{Segment: 2, Offset: int64(i + 1)}, batch); err != nil {
						done <- err
						return
					}
					if lite, ok := s.sealed.(*ledger.SQLite); ok && i == 30 {
						if _, err := lite.Prune(t.Context(), time.Date(2026, 11, 20, 5, 0, 0, 0, time.UTC)); err != nil {
							done <- err
							return
						}
					}
				}
				done <- nil
			}()
			for rounds, more := 0, true; more; rounds++ {
				select {
				case err := <-done:
					if err != nil {
						t.Fatal(err)
					}
					more = false
				default:
				}
				if r := verified(t, s); !r.OK() || r.Records < int64(len(ids)) {
					t.Fatalf("round %d: %+v", rounds, r)
				}
			}
			if r := verified(t, s); r.Records != 4000 {
				t.Errorf("%+v", r)
			}
		})
	}
}
