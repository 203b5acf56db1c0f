package ledger

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestMigrationsApplyOnceInOrderAndNeverChange(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "m.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	files := fstest.MapFS{}
	up := func(name, text string) error {
		files["migrations/"+name] = &fstest.MapFile{Data: []byte(text)}
		list, err := migrations(files)
		if err != nil {
			return err
		}
		return migrate(t.Context(), db, list)
	}
	steps := []struct {
		name, text, wrong string
	}{
		{"0001_a.sql", "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);", ""},
		{"0002_b.sql", "INSERT INTO a VALUES (2); INSERT INTO nowhere VALUES (1);", "nowhere"},
		{"0002_b.sql", "INSERT INTO a VALUES (3);", ""},
		{"0002_b.sql", "INSERT INTO a VALUES (4);", "other text"},
		{"0002_b.sql", "INSERT INTO a VALUES (3);", ""},
		{"0004_d.sql", "", "must be 0003"},
	}
	for i, s := range steps {
		err := up(s.name, s.text)
		if (err == nil) != (s.wrong == "") || err != nil && !strings.Contains(err.Error(), s.wrong) {
			t.Errorf("step %d: %v, want %q", i, err, s.wrong)
		}
	}
	var n, sum int
	if err := db.QueryRow("SELECT COUNT(*), SUM(x) FROM a").Scan(&n, &sum); err != nil || n != 2 || sum != 4 {
		t.Errorf("%d rows that sum to %d, %v; want 1 and 3", n, sum, err)
	}
	if err := migrate(t.Context(), db, nil); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("an older program on a newer database: %v", err)
	}
}

func TestConfigIsValidated(t *testing.T) {
	var got []string
	report := func(path, wrong, right string) { got = append(got, path) }
	Default().Validate(report)
	if len(got) != 0 {
		t.Errorf("the default is wrong at %v", got)
	}
	Config{Durability: "sometimes"}.Validate(report)
	if strings.Join(got, " ") != "sync durability retention records max_bytes" {
		t.Errorf("problems at %v", got)
	}
}
