package upstream

import (
	"encoding/json"
	"testing"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// FuzzEdit: whatever the body, an edit and an envelope give valid JSON or an
// error, and never a panic.
func FuzzEdit(f *testing.F) {
	for _, seed := range []string{
		`{"model":"m","temperature":0.1,"max_tokens":5,"stop":["a","b","c","d","e","f"],"messages":[{"role":"developer"}]}`,
		`{"tools":[{"function":{"parameters":{"minimum":1,"items":[{"maximum":2}]}}}],"tool_choice":"required"}`,
		`{"max_tokens":null,"max_completion_tokens":1}`, `{"max_tokens":1,"max_completion_tokens":null}`,
		`{"reasoning":{"effort":"xhigh"},"max_output_tokens":3}`, `{"anthropic_beta":["a"],"model":1,"stream":{}}`, `{"\u006dodel":"m"}`, `{`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	var all []*Quirks
	for _, k := range []struct {
		kind, model string
		dialect     llm.Dialect
	}{
		{"openai", "gpt-5-nano", llm.Chat},
		{"openai", "o1-mini", llm.Chat},
		{"openai", "gpt-5.4", llm.Responses},
		{"mistral", "mistral-small-latest", llm.Chat},
		{"cohere", "command-a-03-2025", llm.Chat},
		{"anthropic", "claude-opus-4-6", llm.Anthropic},
		{"gemini", "gemini-2.5-pro", llm.Gemini},
	} {
		all = append(all, quirksOf(f, k.kind, k.model, k.dialect))
	}
	envelope := bedrock.Envelopes[llm.Anthropic]
	beta := []h1.Field{{Name: anthropicBeta, Value: `x,"y"`}}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, q := range all {
			if got, _, err := q.Edit(nil, body); err == nil && !json.Valid(got) {
				t.Fatalf("%q becomes %q for %s", body, got, q.who)
			} else if err == nil && !q.Concern(body) && string(got) != string(body) {
				t.Fatalf("%q is of no concern to %s and becomes %q", body, q.who, got)
			}
		}
		if got, err := envelope.Apply(nil, body, beta); err == nil && !json.Valid(got) {
			t.Fatalf("%q becomes %q in its envelope", body, got)
		}
	})
}
