package complexity

import (
	"strings"
	"testing"
)

// fourKB is prose with numbers, 4096 bytes.
func fourKB() string {
	var b strings.Builder
	random := drawn(1, 3)[0].Words // any numbers
	for i := 0; b.Len() < 4096; i++ {
		b.WriteString([]string{"the ", "quick ", "Brown ", "fox; ", "jumps ", "over ", "42 ", "lazy "}[i%8])
		for x := random[i%len(random)] + uint32(i*i); x > 0; x /= 26 {
			b.WriteByte('a' + byte(x%26))
		}
		b.WriteByte(' ')
	}
	return b.String()[:4096]
}

func TestADecisionDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector empties pools at random")
	}
	share := 0.3
	r := NewRouter(Config{StrongShare: &share, Floor: 0.5}, trained(t), nil)
	ask := Ask{Customer: "acme", Text: fourKB()}
	embedded := NewRouter(Config{StrongShare: &share, Floor: 0.5}, withMeaning(t), nil)
	for name, r := range map[string]*Router{"by words": r, "by meaning": embedded} {
		ask.Embedding = Embedding{r.Embedding(), direction(1024, 1)}
		r.Route(ask)
		// The pool may be emptied by a collection in between, hence not zero exactly.
		if n := testing.AllocsPerRun(200, func() { r.Route(ask) }); n >= 1 {
			t.Errorf("%s: %v allocations for a decision", name, n)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	share := 0.3
	r := NewRouter(Config{StrongShare: &share}, trained(b), nil)
	for _, c := range []struct{ name, text string }{
		{"4KB", fourKB()},
		{"400B", fourKB()[:400]},
		{"Cyrillic4KB", strings.Repeat("съешь ещё этих мягких французских булок ", 60)[:4096]},
		{"400KB", strings.Repeat(fourKB(), 100)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Route(Ask{Text: c.text})
			}
		})
	}
}
