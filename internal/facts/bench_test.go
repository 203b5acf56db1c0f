package facts_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"tailplane/internal/facts"
)

// BenchmarkApply is one change of one document, durable when it returns.
func BenchmarkApply(b *testing.B) {
	for name, open := range map[string]func() (facts.Store, error){
		"memory": func() (facts.Store, error) { return facts.NewMemory(), nil },
		"sqlite": func() (facts.Store, error) {
			return facts.OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "facts.db"))
		},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := open()
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for n := 0; b.Loop(); n++ {
				change := facts.Change{Kind: facts.KindKey, Name: fmt.Sprint("k", n), Body: json.RawMessage(`{"name":"app","secrets":[{"hash":"00","form":"hmac"}]}`)}
				if _, err := s.Apply(b.Context(), "bench", t0, []facts.Change{change}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
