package ledger_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"tailplane/internal/ledger"
	"tailplane/internal/ledger/storetest"
	"tailplane/internal/pg"
)

// openPool is a pool in a schema of the test's own; the test is skipped without
// PostgreSQL.
func openPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	address := os.Getenv("TAILPLANE_TEST_POSTGRES")
	if address == "" {
		t.Skip("it needs PostgreSQL: make test-postgres")
	}
	h := fnv.New64()
	_, _ = h.Write([]byte(t.Name()))
	schema := fmt.Sprintf("ledger_%x_%d", h.Sum64(), os.Getpid())
	all, err := pg.Open(t.Context(), address, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all.Exec(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
	}
	pool, err := pg.Open(t.Context(), address+sep+"search_path="+schema, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		if _, err := all.Exec(context.Background(), "DROP SCHEMA "+schema+" CASCADE"); err != nil {
			t.Error(err)
		}
		all.Close()
	})
	return pool
}

func TestPostgresConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		s, err := ledger.OpenPostgres(t.Context(), openPool(t), "gw-1")
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// TestPostgresGatewaysShareALedger: each has its own position; an exchange counts
// once, whoever brings it; sums are everybody's.
func TestPostgresGatewaysShareALedger(t *testing.T) {
	pool := openPool(t)
	var stores []*ledger.Postgres
	for _, name := range []string{"a", "b"} {
		s, err := ledger.OpenPostgres(t.Context(), pool, name)
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
	}
	same := storetest.Exchange(1)
	for i, s := range stores {
		for n := range 40 {
			batch := []*ledger.Exchange{same, storetest.Exchange(100*i + n + 2)}
			if err := s.Append(t.Context(), ledger.Position{Segment: 1, Offset: int64(100 + n)}, batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	rows, err := stores[0].Usage(t.Context(), ledger.UsageQuery{})
	if err != nil || rows[0].Requests != 81 {
		t.Errorf("%d requests, want 81: %v", rows[0].Requests, err)
	}
	for _, s := range stores {
		if pos, err := s.Position(t.Context()); err != nil || pos.Offset != 139 {
			t.Errorf("%+v, %v", pos, err)
		}
	}
}
