package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"tailplane/internal/policy"
)

// TestExplainTellsWhatWouldBecomeOfARequest and does nothing: no target is asked,
// nothing is recorded.
func TestExplainTellsWhatWouldBecomeOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, `
targets:
  a: {kind: vllm, url: "http://a", labels: [eu]}
  b: {kind: vllm, url: "http://b", labels: [eu]}
  c: {kind: vllm, url: "http://c"}
models:
  m: {pool: [a, b, c], served_as: x, require: [eu], fallback: [c/y]}
rules: [{name: night, when: 'model == "old"', to: m}]
keys: {required: false}
`, nil)
		defer r.stop()
		e := r.gateway.Explain(t.Context(), policy.Anonymous(), "/v1/chat/completions", http.Header{}, []byte(`{"model":"old","messages":[{"role":"user","content":"hello there, how is it going?"}]}`))
		if e.Refused != "" || e.Rule != "night" || e.Model != "old" || e.Input == 0 || e.Why == "" || len(e.Candidates) != 4 {
			t.Fatalf("%+v", e)
		}
		places := map[int]int{}
		for _, c := range e.Candidates {
			places[c.Place]++
			ranked := c.Target != "c"
			if ranked != (c.Terms != nil) || ranked && (c.Terms.Cost <= 0 || c.Not != "" || c.Place > 2) {
				t.Errorf("%+v with terms %+v", c, c.Terms)
			}
			if !ranked && (c.Place != 0 || c.Not != "it is not labelled eu") {
				t.Errorf("%+v", c)
			}
		}
		if places[1] != 1 || places[2] != 1 {
			t.Errorf("places %v", places)
		}
		for body, want := range map[string]string{
			`{"model":"nobody","messages":[]}`: `no model "nobody" here; GET /v1/models lists what there is`,
			`{"model":`:                        "",
		} {
			if e := r.gateway.Explain(t.Context(), policy.Anonymous(), "/v1/chat/completions", http.Header{}, []byte(body)); e.Refused == "" || want != "" && e.Refused != want {
				t.Errorf("%s: %+v", body, e)
			}
		}
		if e := r.gateway.Explain(t.Context(), policy.Anonymous(), "/v1/nothing", http.Header{}, nil); e.Refused == "" {
			t.Error("a path that is not served is explained")
		}
		if n := len(r.records()); n != 0 {
			t.Errorf("%d exchanges are recorded", n)
		}
	})
}

// TestExplainEmbedsNothing, and tells what would be decided without.
func TestExplainEmbedsNothing(t *testing.T) {
	setSecrets(t)
	if _, err := embedded(); err != nil {
		t.Fatal(err)
	}
	bubble(t, withTrained(t, `
targets:
  a: {kind: vllm, url: "http://a"}
  e: {kind: vllm, url: "http://e"}
models:
  m: {complexity: {file: EMBEDDED.tpc, weak: a/small, strong: a/large, strong_share: 0.5}, embeddings: e/bge}
keys: {required: false}
`), func(t *testing.T, r *rig) {
		host := r.host("e", reply(t, okScript))
		e := r.gateway.Explain(t.Context(), policy.Anonymous(), "/v1/chat/completions", http.Header{}, []byte(`{"model":"m","messages":[{"role":"user","content":"hello"}]}`))
		if e.Refused != "" || !strings.HasPrefix(e.Why, "strong: no_embedding;") || len(host.Heard()) != 0 {
			t.Errorf("%+v; the target was asked %d times", e, len(host.Heard()))
		}
		r.outcomes()
	})
}
