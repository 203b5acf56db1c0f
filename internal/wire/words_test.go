package wire

import (
	"encoding/json"
	"fmt"
	"slices"
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

// A scan that listens notes the members that a walk over the object comes by.
func TestMembersAreNoted(t *testing.T) {
	for _, n := range []int{0, 1, MostMembers, MostMembers + 1, 3 * MostMembers} {
		var body []byte
		for i := range n {
			body = fmt.Appendf(body, `, "m\u00e9%d" : [{"a":%d}]`, i%7, i)
		}
		body = append(append([]byte(" {"), strings.TrimPrefix(string(body), ",")...), " } "...)
		heard := Heard{Members: []Member{{}, {}}} // of the body before
		var deaf *Words
		object, err := deaf.Scan(body, nil, nil, &heard)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Collect(Members(body, Span{object.Open, object.Close + 1}))
		if n > MostMembers {
			want = nil
		}
		if !slices.Equal(heard.Members, want) {
			t.Errorf("%d members: %v, want %v", n, heard.Members, want)
		}
	}
}

// What a body with many long strings takes is given back with the next one.
func TestSpansOfAHostileBodyAreLetGo(t *testing.T) {
	long := `"` + strings.Repeat("x", LongString) + `"`
	body := []byte(`{"a":[` + strings.Repeat(long+",", keptSpans+1) + long + `]}`)
	var deaf *Words
	var heard Heard
	if _, err := deaf.Scan(body, nil, nil, &heard); err != nil || len(heard.Long) != keptSpans+2 {
		t.Fatalf("%d long strings (%v)", len(heard.Long), err)
	}
	if _, err := deaf.Scan([]byte(`{}`), nil, nil, &heard); err != nil || cap(heard.Long) > keptSpans {
		t.Errorf("room for %d long strings is kept (%v)", cap(heard.Long), err)
	}
}
