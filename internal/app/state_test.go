package app

import (
	"os"
	"path/filepath"
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
