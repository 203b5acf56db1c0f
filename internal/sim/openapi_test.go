package sim

import (
	"strings"
	"testing"

	"tailplane/internal/llmtest/openapi"
)

// ownDeviations are the ways in which the simulator deviates from OpenAI's
// description, each with the reason.
var ownDeviations = map[string]string{
	"CreateCompletionResponse/choices/[]/finish_reason is null": "OpenAI writes it so before the last event; its description knows no stream",
	"Error/code is number": "vLLM tells the status there",
}

// TestOpenAPIDescribesTheSimulator: what the simulator answers is what OpenAI
// describes.
func TestOpenAPIDescribesTheSimulator(t *testing.T) {
	path, ok := openapi.Path()
	if !ok {
		t.Skip("no description: put OpenAI's openapi.yaml at ../shared/spec/openai beside the repository")
	}
	spec, err := openapi.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	const (
		messages = `"messages":[{"role":"user","content":"Tell me something about tails"}]`
		tool     = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}]`
	)
	tests := []struct{ schema, path, body string }{
		{"CreateChatCompletionResponse", "/v1/chat/completions", `{"model":"m",` + messages + `}`},
		{"CreateChatCompletionResponse", "/v1/chat/completions", `{"model":"m","max_tokens":2,"logprobs":true,"top_logprobs":2,` + messages + `}`},
		{"CreateChatCompletionResponse", "/v1/chat/completions", `{"model":"m","tool_choice":"required",` + tool + `,` + messages + `}`},
		{"CreateChatCompletionStreamResponse", "/v1/chat/completions", `{"model":"m","stream":true,` + messages + `}`},
		{"CreateChatCompletionStreamResponse", "/v1/chat/completions", `{"model":"m","stream":true,"stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":1,` + messages + `}`},
		{"CreateChatCompletionStreamResponse", "/v1/chat/completions", `{"model":"m","stream":true,"tool_choice":"required",` + tool + `,` + messages + `}`},
		{"CreateCompletionResponse", "/v1/completions", `{"model":"m","prompt":"Tails"}`},
		{"CreateCompletionResponse", "/v1/completions", `{"model":"m","prompt":"Tails","logprobs":2,"max_tokens":3}`},
		{"CreateCompletionResponse", "/v1/completions", `{"model":"m","prompt":"Tails","stream":true,"stream_options":{"include_usage":true}}`},
		{"CreateEmbeddingResponse", "/v1/embeddings", `{"model":"m","input":["a","b"]}`},
		{"ListModelsResponse", "/v1/models", ""},
		{"Model", "/v1/models/m", ""},
		{"ErrorResponse", "/v1/chat/completions", `{"model":"other",` + messages + `}`},
		{"ErrorResponse", "/v1/chat/completions", `{"model":"m","n":3,` + messages + `}`},
		{"ErrorResponse", "/v1/chat/completions", `no JSON`},
		{"ErrorResponse", "/v1/nothing", ""},
	}
	bodies, found := 0, map[string]bool{}
	for _, tt := range tests {
		bubble(t, one(steady()), func(r *rig) {
			for _, body := range r.bodies(tt.path, tt.body) {
				bodies++
				deviations, err := spec.Deviations(tt.schema, []byte(body))
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range deviations {
					if ownDeviations[d] == "" && !found[d] {
						t.Errorf("%s %s: %s\n\t%s", tt.path, tt.body, d, body)
					}
					found[d] = true
				}
			}
		})
	}
	for d := range ownDeviations {
		if !found[d] {
			t.Errorf("nothing deviates so any more: %s", d)
		}
	}
	t.Logf("openapi: %d bodies validated, %d deviations allowed", bodies, len(ownDeviations))
}

// bodies are the answer, or the events of its stream.
func (r *rig) bodies(path, body string) []string {
	r.t.Helper()
	resp, text := r.call(path, body)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return []string{text}
	}
	var out []string
	for line := range strings.Lines(text) {
		if data, ok := strings.CutPrefix(line, "data: "); ok && strings.TrimSpace(data) != "[DONE]" {
			out = append(out, data)
		}
	}
	return out
}
