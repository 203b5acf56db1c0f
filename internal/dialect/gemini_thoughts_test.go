package dialect

import (
	"strings"
	"testing"

	"tailplane/internal/llm"
)

// TestGeminiJoinsTheThoughtsThatAStreamTookApart holds that a provider is given
// each thought with its signature, however the client's SDK kept the pieces, and
// that nothing but such pieces is joined.
func TestGeminiJoinsTheThoughtsThatAStreamTookApart(t *testing.T) {
	sign := func(by llm.Dialect, signature string) string {
		p := llm.Part{Kind: llm.PartThinking, Signature: signature, SignedBy: by}
		return `{"text":"","thought":true,"thoughtSignature":"` + geminiWrap(&p) + `"}`
	}
	opaque := llm.Part{Kind: llm.PartThinking, Signature: "opaque", SignedBy: llm.Anthropic, Redacted: true}
	thought := func(text string) string { return `{"text":"` + text + `","thought":true}` }
	apart := func(pieces ...string) string { return strings.Join(pieces, `]},{"role":"model","parts":[`) }
	together := func(pieces ...string) string { return strings.Join(pieces, ",") }
	one := `{"type":"thinking","thinking":"hm so","signature":"s1"}`
	cases := []struct {
		name, parts string
		want        string // Anthropic's content of the answer
	}{
		{"parts of a turn", together(thought("hm"), thought(" so"), sign(llm.Anthropic, "s1"), `{"text":"a"}`), one + `,{"type":"text","text":"a"}`},
		{"turns", apart(thought("hm"), thought(" so"), sign(llm.Anthropic, "s1"), `{"text":"a"}`), one + `,{"type":"text","text":"a"}`},
		{"two thoughts", apart(thought("hm so"), sign(llm.Anthropic, "s1"), thought("b"), sign(llm.Anthropic, "s2"), `{"text":"a"}`), one + `,{"type":"thinking","thinking":"b","signature":"s2"},{"type":"text","text":"a"}`},
		{"a text between", together(thought("hm"), `{"text":"a"}`, sign(llm.Anthropic, "s1")), `{"type":"text","text":"a"},{"type":"thinking","thinking":"","signature":"s1"}`},
		{"redacted", together(thought("hm"), `{"text":"","thought":true,"thoughtSignature":"`+geminiWrap(&opaque)+`"}`, `{"text":"a"}`), `{"type":"redacted_thinking","data":"opaque"},{"type":"text","text":"a"}`},
		{"Gemini's own", together(thought("hm"), sign(llm.Gemini, "AAAA"), `{"text":"a"}`), `{"type":"text","text":"a"}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			call, err := ReadCall(GeminiCodec{}, []byte(`{"contents":[{"role":"user","parts":[{"text":"x"}]},{"role":"model","parts":[`+c.parts+`]},{"role":"user","parts":[{"text":"y"}]}]}`))
			if err != nil {
				t.Fatal(err)
			}
			call.Model = "claude-sonnet-4-5"
			out, _, err := AnthropicCodec{}.EncodeCall(nil, call)
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"role":"assistant","content":[` + c.want + `]}`; !strings.Contains(string(out), want) {
				t.Errorf("no %s in %s", want, out)
			}
		})
	}
}
