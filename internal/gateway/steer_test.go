package gateway

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
)

// FuzzWishes: whatever a body says of the route, it is refused or taken out whole,
// and what is left is as good a body as before.
func FuzzWishes(f *testing.F) {
	for _, body := range []string{
		`{"provider":{"order":["b"],"allow_fallbacks":false},"model":"m","models":["a"],"messages":[]}`,
		`{"models":["n"],"provider":{"max_price":{"prompt":1,"completion":"2"},"sort":"price","zdr":true}}`,
		`{"provider":5}`, `{"provider":null,"models":{}}`, `{"models":[1]}`, `{"provider":[],"provider":{}}`, `{"provider":{"only":"x"}`, `"provider"`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &call{body: append([]byte(nil), body...), surface: surface{dialect: dialect.CodecFor(llm.Chat)}, at: dialect.At{Words: newWords()}}
		_, _ = c.surface.dialect.Glance(c.body, &c.at)
		var s steering
		if fault := c.wishes(&s); fault != nil {
			return
		}
		if json.Valid(body) != json.Valid(c.body) {
			t.Fatalf("%s became %s", body, c.body)
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal(body, &before) != nil || json.Unmarshal(c.body, &after) != nil || strings.Contains(string(body), `\`) || !utf8.Valid(body) {
			return
		}
		for name := range before {
			if _, there := after[name]; there == (name == "models" || name == "provider") && strings.Count(string(body), `"`+name+`"`) == 1 {
				t.Fatalf("%s of %s became %s", name, body, c.body)
			}
		}
	})
}
