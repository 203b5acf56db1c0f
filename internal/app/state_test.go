package app

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestADamagedJournalIsToldOf at the start, on the screen and in the log.
func TestADamagedJournalIsToldOf(t *testing.T) {
	for name, damage := range map[string]func(segment []byte){
		"a record": func(b []byte) { b[200] ^= 1 },
		"a header": func(b []byte) { b[20] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			state := filepath.Join(t.TempDir(), "state")
			r := serving(t, Options{State: state})
			r.ask(t, "sim/fast")
			r.stop(t)
			paths, err := filepath.Glob(filepath.Join(state, "*", "segment-*.tpl"))
			if err != nil || len(paths) != 1 {
				t.Fatal(paths, err)
			}
			data := must(os.ReadFile(paths[0]))
			damage(data)
			if err := os.WriteFile(paths[0], data, 0o600); err != nil {
				t.Fatal(err)
			}
			r = serving(t, Options{State: state})
			r.stop(t)
			if out := r.out.String(); !strings.Contains(out, "the ledger's journal is damaged in 1 place") {
				t.Errorf("the screen says %s", out)
			}
			if log := r.err.String(); !strings.Contains(log, "journal segment 1 is torn") {
				t.Errorf("the log says %s", log)
			}
		})
	}
}

// TestASecondProgramLeavesTheDatabasesAlone: a newer version that is started by mistake
// must not change what the running one works with.
func TestASecondProgramLeavesTheDatabasesAlone(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no lock")
	}
	r := serving(t, Options{})
	db := must(sql.Open("sqlite", "file:"+filepath.Join(r.opt.State, "ledger.db")+"?_pragma=busy_timeout(5000)"))
	defer db.Close()
	newest := func() (name string) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), `SELECT name FROM migrations ORDER BY number DESC LIMIT 1`).Scan(&name); err != nil {
			t.Fatal(err)
		}
		return name
	}
	// The one that runs now knows one migration less than the one that comes.
	if _, err := db.ExecContext(t.Context(), `DELETE FROM migrations WHERE number = (SELECT MAX(number) FROM migrations)`); err != nil {
		t.Fatal(err)
	}
	before := newest()
	opt := Options{State: r.opt.State, Data: "127.0.0.1:0", Admin: "127.0.0.1:0", Out: io.Discard, Err: io.Discard}
	err := Serve(context.Background(), opt, func(*Server) {})
	if _, is := errors.AsType[*InUseError](err); !is {
		t.Errorf("the second one ends with %v", err)
	}
	if after := newest(); after != before {
		t.Errorf("the database was brought from %s to %s", before, after)
	}
}

// TestAnEndThatIsNotWellIsAnError: who watches the program learns by its exit code
// that the last records have not reached the store.
func TestAnEndThatIsNotWellIsAnError(t *testing.T) {
	r := serving(t, Options{NoDetect: true})
	if err := r.kept.close(); err != nil {
		t.Fatal(err)
	}
	r.do(t, http.MethodPost, "/v1/chat/completions", `{"model":"sim/fast","messages":[{"role":"user","content":"hi"}]}`)
	r.cancel()
	err := <-r.done
	r.done = nil
	if err == nil || !strings.Contains(err.Error(), "ledger: ") {
		t.Errorf("it ended with %v", err)
	}
	if !strings.Contains(r.err.String(), "not everything ended well") {
		t.Errorf("the log says %s", r.err)
	}
}
