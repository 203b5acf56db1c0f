package sim

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTokens(t *testing.T) {
	for text, want := range map[string][]string{
		"Hi! (simulated)":    {"Hi", "!", " ", "(", "simu", "lated", ")"},
		"a tailplane":        {"a", " tail", "plane"},
		"in 2026, 12345":     {"in", " 202", "6", ",", " 123", "45"},
		"x = \"y\"\n\n    z": {"x", " ", "=", " ", "\"", "y", "\"", "\n", "\n", "    ", "z"},
		"großartig":          {"gro", "ß", "artig"},
		"日本 😀":               {"日", "本", " 😀"},
	} {
		if got := tokenize(text); !slices.Equal(got, want) {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	english := strings.Join(sentences(), "")
	if per := float64(len(english)) / float64(len(tokenize(english))); per < 3.5 || per > 5 {
		t.Errorf("English has %.2f characters per token", per)
	}
}

func FuzzTokenize(f *testing.F) {
	f.Add("Hello, wörld! 日本 \xff\xfe 12 \n\n  x")
	f.Fuzz(func(t *testing.T, s string) {
		tokens := tokenize(s)
		if strings.Join(tokens, "") != s {
			t.Fatalf("%q does not come back from %q", s, tokens)
		}
		for _, k := range tokens {
			if k == "" || (utf8.ValidString(s) && !utf8.ValidString(k)) {
				t.Fatalf("%q has token %q", s, k)
			}
		}
		quoted := appendQuoted(nil, s)
		var back string
		if err := json.Unmarshal(quoted, &back); err != nil || back != strings.ToValidUTF8(s, "\uFFFD") && utf8.ValidString(s) {
			t.Fatalf("%q is quoted as %s: %v", s, quoted, err)
		}
	})
}

func TestEqualPrefixesHaveEqualBlockHashesAndNoOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.SampledFrom([]string{"a", " a", "bb", "ccc", "\x00", ""})
		a := rapid.SliceOf(token).Draw(t, "a")
		b := slices.Concat(a[:rapid.IntRange(0, len(a)).Draw(t, "shared")], rapid.SliceOf(token).Draw(t, "b"))
		hashes := func(tokens []string) []uint64 {
			q := &sequencer{size: 4}
			for _, k := range tokens {
				q.token(k)
			}
			return q.hashes
		}
		ha, hb := hashes(a), hashes(b)
		if len(ha) != len(a)/4 {
			t.Fatalf("%d hashes for %d tokens", len(ha), len(a))
		}
		for i := range min(len(ha), len(hb)) {
			if same := slices.Equal(a[:4*(i+1)], b[:4*(i+1)]); same != (ha[i] == hb[i]) {
				t.Fatalf("block %d: equal prefix %v, equal hash %v", i, same, ha[i] == hb[i])
			}
		}
	})
}

func TestEveryReplyIsMarkedAsSimulated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user := rapid.String().Draw(t, "user")
		want := rapid.IntRange(0, 100).Draw(t, "want")
		seed := rapid.Uint64().Draw(t, "seed")
		text := replyText(user, want, rand.New(rand.NewPCG(seed, 0)))
		if !strings.Contains(text[:min(len(text), 32)], marker) {
			t.Fatalf("%q does not say so at its beginning", text)
		}
	})
}

func TestInstancesFitTheirSchemas(t *testing.T) {
	cases := []struct{ name, schema, want string }{
		{"nothing", ``, `{}`},
		{"empty", `{}`, `{}`},
		{"required only", `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"null"}},"required":["a"]}`, `{"a":"hint"}`},
		{"none required", `{"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":["null","integer"]}}}`, `{"a":true,"b":1}`},
		{"enum and const", `{"properties":{"a":{"enum":["x","y"]},"b":{"const":3}}}`, `{"a":"x","b":3}`},
		{"numbers", `{"properties":{"a":{"type":"integer","minimum":18},"b":{"type":"number","exclusiveMaximum":0},"c":{"type":"integer","multipleOf":5},"d":{"type":"integer","exclusiveMinimum":7}}}`, `{"a":18,"b":-0.5,"c":5,"d":8}`},
		{"strings", `{"properties":{"a":{"type":"string","maxLength":2},"b":{"type":"string","minLength":6},"c":{"type":"string","format":"date"},"d":{"type":"string","pattern":"^[A-Z]{3}$"}}}`, `{"a":"hi","b":"hint..","c":"2026-01-01","d":"ABC"}`},
		{"arrays", `{"properties":{"a":{"type":"array","items":{"type":"integer"}},"b":{"type":"array","items":{"type":"integer"},"minItems":2},"c":{"prefixItems":[{"type":"boolean"}]}}}`, `{"a":[],"b":[1,1],"c":[true]}`},
		{"reference", `{"$defs":{"p":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}},"type":"object","properties":{"x":{"$ref":"#/$defs/p"}},"required":["x"]}`, `{"x":{"n":1}}`},
		{"alternatives", `{"properties":{"a":{"anyOf":[{"type":"null"},{"type":"integer"}]},"b":{"oneOf":[{"type":"boolean"}]}}}`, `{"a":1,"b":true}`},
		{"all of", `{"allOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"integer"}},"required":["b"]}]}`, `{"a":1,"b":1}`},
		{"recursive", `{"$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v"]}},"$ref":"#/$defs/n"}`, `{"v":1}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := json.Marshal(instance(json.RawMessage(c.schema), "hint"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzInstance: any schema ends, and its instance is JSON.
func FuzzInstance(f *testing.F) {
	f.Add(`{"$ref":"#"}`)
	f.Add(`{"type":"object","required":["a"],"properties":{"a":{"$ref":"#"}}}`)
	f.Add(`{"anyOf":[{"$ref":"#"}],"allOf":[{"$ref":"#/allOf/0"}]}`)
	f.Add(`{"type":"array","minItems":9,"items":{"$ref":"#"}}`)
	f.Add(`{"type":"array","minItems":1000,"items":{"$ref":"#"}}`)
	f.Add(`{"type":"object","required":["a","b","c"],"properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"$ref":"#"}}}`)
	f.Add(`{"type":"number","minimum":1e308,"multipleOf":1e-300}`)
	f.Fuzz(func(t *testing.T, schema string) {
		if _, err := json.Marshal(instance(json.RawMessage(schema), "hint")); err != nil {
			t.Fatal(err)
		}
	})
}
