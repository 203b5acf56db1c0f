package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tailplane/internal/llmtest/openapi"
)

// TestOpenAPIDescribesWhatTheGatewaySays: the lists of models and the faults of
// the gateway itself are what OpenAI describes, on each of its surfaces.
func TestOpenAPIDescribesWhatTheGatewaySays(t *testing.T) {
	path, ok := openapi.Path()
	if !ok {
		t.Skip("no description: put OpenAI's openapi.yaml at ../shared/spec/openai beside the repository")
	}
	spec, err := openapi.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	const config = `
targets: {a: {kind: vllm, url: "http://a"}}
models: {m: {route: [{to: a/x}]}, n/o: {route: [{to: a/y}]}}
keys: {required: false}
`
	tests := []struct {
		method, path, body string
		status             int
		schema             string
	}{
		{"GET", "/v1/models", "", 200, "ListModelsResponse"},
		{"GET", "/v1/models/m", "", 200, "Model"},
		{"GET", "/v1/models/n/o", "", 200, "Model"},
		{"GET", "/v1/models/other", "", 404, "ErrorResponse"},
		{"GET", "/v1/nothing", "", 404, "ErrorResponse"},
		{"GET", "/v1/chat/completions", "", 405, "ErrorResponse"},
		{"POST", "/v1/chat/completions", "no JSON", 400, "ErrorResponse"},
		{"POST", "/v1/chat/completions", `{"model":"other","messages":[]}`, 404, "ErrorResponse"},
		{"POST", "/v1/chat/completions", chatBody, 502, "ErrorResponse"},
		{"POST", "/v1/completions", `{"prompt":"x"}`, 400, "ErrorResponse"},
		{"POST", "/v1/completions", `{"model":"other","prompt":"x"}`, 404, "ErrorResponse"},
		{"POST", "/v1/embeddings", `{"model":"other","input":"x"}`, 404, "ErrorResponse"},
		{"POST", "/v1/responses", `{"model":"other","input":"x"}`, 404, "ErrorResponse"},
		{"GET", "/v1/responses/resp_none", "", 404, "ErrorResponse"},
	}
	bubble(t, config, func(t *testing.T, r *rig) {
		r.host("a", reply(t, failScript))
		for _, tt := range tests {
			w := httptest.NewRecorder()
			req := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			req.Host = "127.0.0.1:4600"
			r.gateway.ServeHTTP(w, req)
			if w.Code != tt.status {
				t.Errorf("%s %s %s: %d %s, want %d", tt.method, tt.path, tt.body, w.Code, w.Body, tt.status)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" && w.Code != http.StatusNoContent {
				t.Errorf("%s %s: content type %q", tt.method, tt.path, got)
			}
			deviations, err := spec.Deviations(tt.schema, w.Body.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range deviations {
				t.Errorf("%s %s %s: %s\n\t%s", tt.method, tt.path, tt.body, d, w.Body)
			}
		}
		t.Logf("openapi: %d bodies validated, 0 deviations allowed", len(tests))
	})
}
