package wire

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWords(t *testing.T) {
	w := NewWords(`tags"`, "tp1.", `models"`, `model"`)
	for _, tt := range []struct {
		body string
		want uint8
	}{
		{``, 0},
		{`"`, 0},
		{`{"tags":1}`, 1},
		{`{"tags`, 0},
		{`{"tagset":"tags"}`, 1},
		{`{"a":"tp1.gemini.AA","models":[]}`, 2 | 4},
		{`{"model":"x tp1."}`, 8},
		{`{"a":"\"model\""}`, 0},
		{`{"a":"\"tp1.\""}`, 2},
		{strings.Repeat("x", 100) + `""tags"`, 1},
	} {
		if got := w.In([]byte(tt.body)); got != tt.want {
			t.Errorf("%s: %04b, want %04b", tt.body, got, tt.want)
		}
	}
}

// What is found is what a search for each word alone finds.
func TestWordsAreFoundAsEachAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab"]{1,3}`), 1, 8, rapid.ID).Draw(t, "words")
		body := rapid.StringMatching(`[ab"]{0,40}`).Draw(t, "body")
		got := NewWords(words...).In([]byte(body))
		for i, word := range words {
			if want := strings.Contains(body, `"`+word); want != (got>>i&1 == 1) {
				t.Fatalf("%q in %q: found is %v", word, body, !want)
			}
		}
	})
}
