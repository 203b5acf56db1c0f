package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tailplane/internal/ledger"
)

// repeating is the context of a request whose head came before.
type repeating struct {
	context.Context
	kept *any
}

func (r repeating) Kept() *any { return r.kept }

// TestAHeadThatComesAgainSaysTheSame: what was read out of a head is used again for
// the next request with that head, and only as long as the settings are the same.
func TestAHeadThatComesAgainSaysTheSame(t *testing.T) {
	setSecrets(t)
	const text = `
targets: {a: {kind: openai-compatible, url: "http://a", dialects: [chat]}}
models: {m: {route: [a/x]}}
customers: {acme: {}, globex: {}}
keys: {static: [{name: app, key: "env:CLIENT_KEY", may_name_customers: true}]}
`
	bubble(t, text, func(t *testing.T, r *rig) {
		upstream := r.host("a", reply(t, okScript), reply(t, okScript), reply(t, okScript), reply(t, okScript))
		var kept any
		ask := func(again bool) int {
			req := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`))
			for name, value := range map[string]string{
				"Authorization": "Bearer " + clientKey, "X-Request-Id": "trace-1", "User-Agent": "sdk/1", "X-Tailplane-Customer": "acme", "X-Tailplane-Tags": "b, a,b",
				"X-Tailplane-Session": "s1", "Traceparent": "00-1", "Openai-Beta": "beta=1", "X-Tailplane-Timeout-Total": "9s", "X-Tailplane-Lossless": "1",
			} {
				req.Header.Set(name, value)
			}
			req.Host = "127.0.0.1"
			if again {
				req = req.WithContext(repeating{req.Context(), &kept})
			}
			w := httptest.NewRecorder()
			r.gateway.ServeHTTP(w, req)
			return w.Code
		}
		for _, again := range []bool{false, true, true, true} {
			if status := ask(again); status != http.StatusOK {
				t.Fatalf("answered with %d", status)
			}
		}
		if kept == nil {
			t.Fatal("nothing was kept of a head that comes again")
		}
		said := func(ex *ledger.Exchange) string {
			return strings.TrimSpace(fmt.Sprintln(ex.Name, ex.Customer, ex.Attributed, ex.TraceID, ex.Client, ex.Session, ex.Tags))
		}
		records, heard := r.records(), upstream.Heard()
		for i := range records {
			if said(records[i]) != said(records[0]) || fmt.Sprint(heard[i].Header) != fmt.Sprint(heard[0].Header) {
				t.Errorf("request %d said %s to the ledger and %v to the upstream, the first %s and %v", i, said(records[i]), heard[i].Header, said(records[0]), heard[0].Header)
			}
		}
		if got, want := said(records[0]), "app acme claim trace-1 sdk/1 s1 [a b]"; got != want {
			t.Errorf("the first said %s, want %s", got, want)
		}
		t.Setenv("CLIENT_KEY", "sk-tp-another")
		r.gateway.Swap(r.plane(text))
		if status := ask(true); status != http.StatusUnauthorized {
			t.Errorf("a key that the new settings do not have was answered with %d", status)
		}
	})
}
