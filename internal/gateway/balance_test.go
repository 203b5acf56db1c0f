package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tailplane/internal/policy"
)

// TestAdaptersShareTheReplicasOfTheirBase: each stays where it has been loaded, and
// what the base model does there counts for it.
func TestAdaptersShareTheReplicasOfTheirBase(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}}
models:
  base: {pool: [a, b], served_as: llama}
  sql:  {pool: [a, b], served_as: sql-lora, adapter_of: llama}
  law:  {pool: [a, b], served_as: law-lora, adapter_of: llama}
keys: {required: false}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		a, b := r.host("a", reply(t, streamWhole)), r.host("b", reply(t, streamWhole))
		ask := func(model string) string {
			w := r.post(strings.Replace(streamBody, `"m"`, `"`+model+`"`, 1))
			if w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			time.Sleep(time.Second)
			return w.Header().Get("X-Tailplane-Target")
		}
		home := map[string]string{"sql": ask("sql"), "law": ask("law")}
		for range 10 {
			for model, want := range home {
				if got := ask(model); got != want {
					t.Fatalf("%s is asked of %s, and was loaded at %s", model, got, want)
				}
			}
		}
		for _, h := range append(a.Heard(), b.Heard()...) {
			var body struct{ Model string }
			if err := json.Unmarshal(h.Body, &body); err != nil || body.Model != "sql-lora" && body.Model != "law-lora" {
				t.Errorf("a target is asked for %q, %v", body.Model, err)
			}
		}
		e := r.gateway.Explain(t.Context(), policy.Anonymous(), "/v1/chat/completions", http.Header{}, []byte(`{"model":"sql","messages":[]}`))
		for _, c := range e.Candidates {
			if (c.Target == home["sql"]) != (c.Terms.Adapter == 0) {
				t.Errorf("%s: %+v, and the adapter is at %s", c.Target, c.Terms, home["sql"])
			}
		}
		for range 30 {
			ask("base")
		}
		x := r.records()
		if last := x[len(x)-1]; last.Among != 2 || last.Choice[0].Adapter != 0 || last.Choice[1].Adapter != 0 {
			t.Errorf("the base model is chosen by %+v", last.Choice)
		}
	})
}
