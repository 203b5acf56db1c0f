package facts_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tailplane/internal/facts"
	"tailplane/internal/facts/factstest"
	"tailplane/internal/pg"
)

func TestMemory(t *testing.T) {
	factstest.Run(t, func(*testing.T) facts.Store { return facts.NewMemory() })
}

func TestSQLite(t *testing.T) {
	factstest.Run(t, func(t *testing.T) facts.Store { return openSQLite(t, filepath.Join(t.TempDir(), "facts.db")) })
}

func TestPostgres(t *testing.T) {
	dsn := os.Getenv("TAILPLANE_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("TAILPLANE_TEST_POSTGRES names no database")
	}
	factstest.Run(t, func(t *testing.T) facts.Store {
		s, err := facts.OpenPostgres(t.Context(), database(t, dsn))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// database is a schema of the test's own.
func database(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	name := "facts_" + strings.ToLower(rand.Text())
	admin, err := pg.Open(t.Context(), dsn, pg.Options{Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Exec(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	word := " search_path="
	if strings.Contains(dsn, "://") {
		word = "?search_path="
		if strings.Contains(dsn, "?") {
			word = "&search_path="
		}
	}
	pool, err := pg.Open(t.Context(), dsn+word+name, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		_, _ = admin.Exec(context.WithoutCancel(t.Context()), "DROP SCHEMA "+name+" CASCADE")
		admin.Close()
	})
	return pool
}

func openSQLite(t *testing.T, path string) *facts.SQLite {
	t.Helper()
	s, err := facts.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var t0 = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// TestTheFileIsItsOwnersAndOutlivesTheProcess: and one of a newer version is
// refused.
func TestTheFileIsItsOwnersAndOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a file?.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil { // made by a careless hand
		t.Fatal(err)
	}
	s := openSQLite(t, path)
	if _, err := s.Apply(t.Context(), "eve", t0, []facts.Change{{Kind: "team", Name: "a", Body: json.RawMessage(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f, st.Mode().Perm(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSQLite(t, path)
	if list, revision, err := s.All(t.Context()); err != nil || len(list) != 1 || revision != 1 {
		t.Errorf("after a restart %v, %d, %v", list, revision, err)
	}
	exec(t, path, `INSERT INTO migrations (number, sum) VALUES (99, '')`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := facts.OpenSQLite(t.Context(), path); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("a newer schema: %v", err)
	}
}

// exec changes a database behind the program's back.
func exec(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.ReplaceAll(path, "?", "%3f"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestTamperingShows(t *testing.T) {
	for statement, want := range map[string]string{
		`UPDATE audit SET actor = 'mallory' WHERE seq = 1`:                              "record 1 is not",
		`UPDATE audit SET at = at + 1 WHERE seq = 2`:                                    "record 2 is not",
		`UPDATE audit SET after = '{"x":9}' WHERE seq = 4`:                              "record 4 is not",
		`UPDATE audit SET link = 'x' WHERE seq = 2`:                                     "record 3 is not",
		`DELETE FROM audit WHERE seq = 1`:                                               "records 1 to 1 are missing",
		`DELETE FROM audit WHERE seq = 2`:                                               "records 2 to 2 are missing",
		`DELETE FROM audit WHERE seq = 4`:                                               "records 4 to 4 are missing",
		`DELETE FROM audit`:                                                             "records 1 to 4 are missing",
		`UPDATE facts SET body = '{"role":"owner"}' WHERE name = 'a'`:                   "changed without a record",
		`UPDATE facts SET revision = 3 WHERE name = 'a'`:                                "has revision 3",
		`INSERT INTO facts VALUES ('role', 'mallory', '{}', 3)`:                         "without a record of its making",
		`UPDATE facts SET body = NULL WHERE name = 'b'`:                                 "changed without a record",
		`UPDATE facts SET revision = 9, body = '{"role":1}' WHERE name = 'a'`:           "records 5 to 9 are missing",
		`UPDATE audit SET before = NULL, after = before, seq = 7 WHERE seq = 4`:         "records 4 to 6 are missing",
		`UPDATE audit SET kind = 'role', link = (SELECT link FROM audit) WHERE seq = 3`: "record 3 is not",
	} {
		path := filepath.Join(t.TempDir(), "facts.db")
		s := openSQLite(t, path)
		for _, c := range []facts.Change{
			{Kind: "team", Name: "a", Body: json.RawMessage(`{}`)},
			{Kind: "team", Name: "b", Body: json.RawMessage(`{}`)},
			{Kind: "team", Name: "a", Body: json.RawMessage(`{"x":1}`), Seen: 1},
			{Kind: "team", Name: "a", Body: json.RawMessage(`{"x":2}`), Seen: 3},
		} {
			if _, err := s.Apply(t.Context(), "eve", t0, []facts.Change{c}); err != nil {
				t.Fatal(err)
			}
		}
		before, err := facts.VerifyAudit(t.Context(), s)
		if err != nil || !before.OK() {
			t.Fatalf("untouched: %+v, %v", before, err)
		}
		exec(t, path, statement)
		r, err := facts.VerifyAudit(t.Context(), s)
		if err != nil || !strings.Contains(strings.Join(r.Problems, "\n"), want) {
			t.Errorf("%s: %q, %v, want %q", statement, r.Problems, err, want)
		}
		_ = s.Close()
	}
}
