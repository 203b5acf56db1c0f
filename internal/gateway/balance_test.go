package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tailplane/internal/models"
	"tailplane/internal/policy"
	"tailplane/internal/route"
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

// sharing has names that lead to the same replicas in each way that there is.
const sharing = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}, c: {kind: vllm, url: "http://c"}}
models:
  chat:      {pool: [a, b], served_as: llama}
  chat-2026: {pool: [a, b], served_as: llama}
  turns:     {pool: [a, b], served_as: llama, policy: least_request}
  sql:       {pool: [a, b], served_as: sql-lora, adapter_of: llama, fallback: [chat]}
  law:       {pool: [a, b], served_as: law-lora, adapter_of: llama}
  other:     {pool: [a, b], served_as: qwen}
  mixed:     {route: [a/llama, c/qwen], policy: auto}
  mixed-too: {route: [c/qwen, a/llama], policy: auto}
customers: {acme: {}, globex: {}}
keys: {static: [{name: one, key: env:CLIENT_KEY, may_name_customers: true}]}
`

// long is a request with a prompt that fills some checkpoints.
func long(model string) string {
	return `{"model":"` + model + `","stream":true,"messages":[{"role":"user","content":"` + strings.Repeat("a prompt that is long ", 200) + `"}]}`
}

// askFor sends a long prompt to a model for a customer, and returns its target.
func (r *rig) askFor(t *testing.T, model, customer string) string {
	t.Helper()
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(long(model)))
	req.Host = "127.0.0.1:4600"
	req.Header.Set("Authorization", "Bearer "+clientKey)
	req.Header.Set("X-Tailplane-Customer", customer)
	r.gateway.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", model, w.Code, w.Body)
	}
	return w.Header().Get("X-Tailplane-Target")
}

// hits are where the long prompt is expected in a cache.
func (r *rig) hits(t *testing.T, model, customer string) (at []string) {
	t.Helper()
	h := http.Header{"X-Tailplane-Customer": {customer}}
	e := r.gateway.Explain(t.Context(), r.gateway.Plane().Keys.Named("one"), "/v1/chat/completions", h, []byte(long(model)))
	if e.Refused != "" {
		t.Fatal(e.Refused)
	}
	for _, c := range e.Candidates {
		if c.Hit > 0 {
			at = append(at, c.Target)
		}
	}
	return at
}

// TestACacheIsSharedByTheNamesThatLeadToIt, and by nothing that it does not serve:
// another customer's prompts, an adapter's, another model's.
func TestACacheIsSharedByTheNamesThatLeadToIt(t *testing.T) {
	setSecrets(t)
	cases := []struct {
		asked string
		hits  string // names that find the prompt afterwards
	}{
		{"chat", "chat chat-2026 turns"},
		{"chat-2026", "chat chat-2026 turns"},
		{"turns", "chat chat-2026 turns"},
		{"sql", "sql"},
		{"law", "law"},
		{"other", "other"},
		{"mixed", "mixed mixed-too"},
		{"mixed-too", "mixed mixed-too"},
	}
	for _, c := range cases {
		bubble(t, sharing, func(t *testing.T, r *rig) {
			for _, name := range []string{"a", "b", "c"} {
				r.host(name, reply(t, streamWhole))
			}
			at := r.askFor(t, c.asked, "acme")
			for _, name := range []string{"chat", "chat-2026", "turns", "sql", "law", "other", "mixed", "mixed-too"} {
				var want []string
				if slices.Contains(strings.Fields(c.hits), name) {
					want = []string{at}
				}
				got := r.hits(t, name, "acme")
				if name == "sql" { // the base model behind it is its own
					got = slices.DeleteFunc(got, func(string) bool { return slices.Contains(strings.Fields(c.hits), "chat") })
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s was asked at %s, and %s expects hits at %v, want %v", c.asked, at, name, got, want)
				}
				if other := r.hits(t, name, "globex"); len(other) > 0 {
					t.Errorf("%s was asked for acme, and %s expects hits for globex at %v", c.asked, name, other)
				}
			}
		})
	}
}

// TestAFallbackFromAnAdapterIsThePromptOfItsBase: what the base model computed is
// found there by it, and not by the adapter.
func TestAFallbackFromAnAdapterIsThePromptOfItsBase(t *testing.T) {
	setSecrets(t)
	config := strings.Replace(sharing, "fallback: [chat]", "fallback: [alone]", 1)
	config = strings.Replace(config, "  other: ", "  alone: {pool: [c], served_as: llama}\n  at-c: {pool: [c], served_as: sql-lora, adapter_of: llama}\n  other: ", 1)
	bubble(t, config, func(t *testing.T, r *rig) {
		r.host("a", reply(t, failScript))
		r.host("b", reply(t, failScript))
		r.host("c", reply(t, streamWhole))
		if at := r.askFor(t, "sql", "acme"); at != "c" {
			t.Fatalf("asked at %s", at)
		}
		if at := r.hits(t, "alone", "acme"); !slices.Equal(at, []string{"c"}) {
			t.Errorf("the base model expects it at %v", at)
		}
		if at := r.hits(t, "at-c", "acme"); at != nil {
			t.Errorf("the adapter expects it at %v", at)
		}
	})
}

// TestCallersMakeNoGroups, whatever lists of models they want ranked together.
func TestCallersMakeNoGroups(t *testing.T) {
	setSecrets(t)
	bubble(t, strings.Replace(sharing, "may_name_customers: true", "may_route: true", 1), func(t *testing.T, r *rig) {
		for _, name := range []string{"a", "b", "c"} {
			r.host(name, reply(t, streamWhole))
		}
		groups := func() int { return reflect.ValueOf(&r.groups).Elem().FieldByName("byName").Len() }
		before, names := 0, []string{"turns", "other", "sql", "law", "mixed", "chat-2026"}
		for list := 1<<len(names) - 1; list > 0; list-- {
			more := []string{}
			for i, name := range names {
				if list>>i&1 == 1 {
					more = append(more, `"`+name+`"`)
				}
			}
			body := strings.Replace(long("chat"), "{", `{"models":[`+strings.Join(more, ",")+`],"provider":{"sort":"price"},`, 1)
			w := httptest.NewRecorder()
			req := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
			req.Host = "127.0.0.1:4600"
			req.Header.Set("Authorization", "Bearer "+clientKey)
			r.gateway.ServeHTTP(w, req)
			if w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if before == 0 {
				before = groups()
			}
		}
		if n := groups(); n > before {
			t.Errorf("%d groups, %d before other lists of models", n, before)
		}
	})
}

// TestNamesThatCallersMakeUpAreRemembered, with what is learned of them, but not
// without bound.
func TestNamesThatCallersMakeUpAreRemembered(t *testing.T) {
	setSecrets(t)
	bubble(t, sharing, func(t *testing.T, r *rig) {
		r.host("a", reply(t, streamWhole))
		r.host("b", reply(t, streamWhole))
		r.discovered = []models.Target{{Name: "pod", Discovered: true, Replicas: []models.Replica{{Target: "a"}, {Target: "b"}}}}
		r.gateway.Swap(r.plane(sharing))
		at := r.askFor(t, "pod/any-1", "acme")
		if hits := r.hits(t, "pod/any-1", "acme"); !slices.Equal(hits, []string{at}) {
			t.Errorf("pod/any-1 was asked at %s, and expects hits at %v", at, hits)
		}
		groups := func() int { return reflect.ValueOf(&r.groups).Elem().FieldByName("byName").Len() }
		before := groups()
		for i := range 1100 {
			r.askFor(t, fmt.Sprintf("pod/any-%d", i), "acme")
		}
		if n := groups() - before; n > 1024 {
			t.Errorf("1100 names made %d groups", n)
		}
	})
}

// TestGatewaysTellEachOtherTheSameHashes, by whichever name a prompt was asked for.
func TestGatewaysTellEachOtherTheSameHashes(t *testing.T) {
	setSecrets(t)
	told := map[string]route.Delta{}
	for _, model := range []string{"chat", "chat-2026", "turns", "sql"} {
		bubble(t, sharing, func(t *testing.T, r *rig) {
			for _, name := range []string{"a", "b"} {
				r.host(name, reply(t, streamWhole))
			}
			r.told = func(d route.Delta) {
				if d.Kind == route.DeltaSent {
					told[model] = d
				}
			}
			r.askFor(t, model, "acme")
		})
	}
	for _, model := range []string{"chat-2026", "turns"} {
		if a, b := told["chat"], told[model]; a.Head.Hash == 0 || a.Group != b.Group || a.Head != b.Head || a.Lane != b.Lane {
			t.Errorf("chat is told of as %+v, %s as %+v", a, model, b)
		}
	}
	if a, b := told["chat"], told["sql"]; a.Group != b.Group || a.Head.Hash == b.Head.Hash || a.Head.End != b.Head.End {
		t.Errorf("the base model is told of as %+v, its adapter as %+v", a, b)
	}
}
