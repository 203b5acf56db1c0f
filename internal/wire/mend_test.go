package wire

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Mend changes what cannot be decoded and nothing else: what a text says stays, and a
// second look finds nothing to mend.
func TestMendTakesHalvesOfPairs(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		`\ud83d`, `\uDE00`, `\ud83d\ude00`, `\u00e9`, `\\`, `\"`, `\\ud83d`, "u", "d83d", "é", "😀", `\n`, "x",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := `"` + strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), "") + `"`
		body := []byte(`{"a":` + text + `}`)
		var deaf *Words
		var heard Heard
		if _, err := deaf.Scan(body, nil, nil, &heard); err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(body)
		mended := Mend(body)
		switch {
		case !bytes.Equal(body, before):
			t.Fatalf("%s was written to", before)
		case !heard.Halves && &mended[0] != &body[0]:
			t.Fatalf("%s: mended, but no half was heard", body)
		case len(mended) != len(body):
			t.Fatalf("%s: became %s", body, mended)
		}
		want, _ := String([]byte(text))
		got, ok := String(mended[len(`{"a":`) : len(mended)-1])
		if !ok || got != want {
			t.Fatalf("%s says %q, mended %q", text, want, got)
		}
		if again := Mend(mended); &again[0] != &mended[0] {
			t.Fatalf("%s had to be mended twice", mended)
		}
	})
}
