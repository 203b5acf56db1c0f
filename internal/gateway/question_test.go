package gateway

import "testing"

// TestQuestions: the user's last words are found in a request of any dialect.
func TestQuestions(t *testing.T) {
	for _, c := range []struct {
		name, body  string
		first, last string
		turns       int
	}{
		{"chat", `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"one"},{"role":"assistant","content":"x"},{"role":"user","content":"t\"wo"}]}`, "one", `t"wo`, 2},
		{"chat, in parts", `{"messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"here"}]}]}`, "look\nhere", "look\nhere", 1},
		{"anthropic, after a tool", `{"messages":[{"role":"user","content":"go"},{"role":"assistant","content":[]},{"role":"user","content":[{"type":"tool_result","content":"r"}]}]}`, "go", "go", 2},
		{"responses", `{"input":"hi"}`, "hi", "hi", 1},
		{"responses, items", `{"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"reasoning","content":[{"type":"reasoning_text","text":"no"}]}]}`, "a", "a", 1},
		{"gemini", `{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"no"}]},{"role":"user","parts":[{"text":"b"}]}]}`, "a", "b", 2},
		{"converse", `{"messages":[{"role":"user","content":[{"text":"a"},{"image":{}}]}]}`, "a", "a", 1},
		{"completions", `{"prompt":"a"}`, "a", "a", 1},
		{"a picture alone", `{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, "", "", 1},
		{"no conversation", `{"messages":{"role":"user"}}`, "", "", 0},
		{"no JSON", `{"messages":[`, "", "", 0},
	} {
		if got, want := questionIn([]byte(c.body)), (question{c.first, c.last, c.turns}); got != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
}

// FuzzQuestion: no body is too odd, and what is found fits together.
func FuzzQuestion(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"text":"a"}]}]}`))
	f.Add([]byte(`{"contents":[{"parts":[{"text":"a"}]}],"prompt":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		q := questionIn(body)
		if q.turns == 0 && (q.first != "" || q.last != "") || (q.first == "") != (q.last == "") {
			t.Errorf("%+v in %q", q, body)
		}
	})
}
