package wire

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWordsAreHeardInNamesAndValues(t *testing.T) {
	w := NewWords(`tags"`, "tp1.", `models"`, `model"`)
	for _, tt := range []struct {
		body string
		want uint8
	}{
		{`{}`, 0},
		{`{"":""}`, 0},
		{`{"tags":1}`, 1},
		{`{"tagset":"tags"}`, 1},
		{`{"a":"tp1.gemini.AA","models":[]}`, 2 | 4},
		{`{"a":[{"b":["tp1."]},{"model":{}}]}`, 2 | 8},
		{`{"model":"x tp1."}`, 8},
		{`{"a":"\"model\""}`, 0},
		{`{"a":"\"tp1.\""}`, 0},
		{`{"t\u0061gs":1}`, 0},
		{` {"a" : "tags" } `, 1},
	} {
		var got Heard
		if _, err := w.Scan([]byte(tt.body), nil, nil, &got); err != nil || got.Said != tt.want {
			t.Errorf("%s: %04b, want %04b (%v)", tt.body, got.Said, tt.want, err)
		}
	}
}

// A scan that listens finds what one that does not finds, and hears what a walk
// over the decoded strings hears.
func TestWordsAreHeardAsTheyAreDecoded(t *testing.T) {
	var strs func(v any, each func(string))
	strs = func(v any, each func(string)) {
		switch v := v.(type) {
		case string:
			each(v)
		case []any:
			for _, e := range v {
				strs(e, each)
			}
		case map[string]any:
			for k, e := range v {
				each(k)
				strs(e, each)
			}
		}
	}
	text := rapid.StringMatching(`[ab]{0,6}`)
	value := rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return []any{text.Draw(t, "text"), 1.0}
		case 1:
			return map[string]any{text.Draw(t, "name"): text.Draw(t, "text")}
		default:
			return text.Draw(t, "text")
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab]{1,3}"?`), 1, 8, rapid.ID).Draw(t, "words")
		tree := rapid.MapOf(text, value).Draw(t, "tree")
		body, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		var found, plain [1]Member
		var got Heard
		o, err := NewWords(words...).Scan(body, []string{"a"}, found[:], &got)
		o2, err2 := Scan(body, []string{"a"}, plain[:])
		if err != nil || err2 != nil || o != o2 || found != plain {
			t.Fatalf("%s: listening changes what is found: %v %v", body, err, err2)
		}
		var want uint8
		strs(any(tree), func(s string) {
			for i, word := range words {
				if strings.HasPrefix(s+`"`, word) {
					want |= 1 << i
				}
			}
		})
		if got.Said != want {
			t.Fatalf("%s, words %q: heard %08b, want %08b", body, words, got.Said, want)
		}
	})
}
