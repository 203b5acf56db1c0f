package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tailplane/internal/gateway"
)

const partiesConfig = `
targets: {a: {kind: vllm, url: "http://a", price: {input: 1, output: 1}}}
models: {m: {route: [a/x]}}
customers:
  acme: {}
  globex: {budgets: [{amount: 0.03, per: day, hard: true}]}
keys:
  static:
    - {name: people, may_name_customers: true}
    - {name: machines}
    - {name: app, key: env:CLIENT_KEY, customer: globex, networks: [10.0.0.0/8], surfaces: [chat]}
  jwt: [{issuer: "https://login.test", audience: gw, match: {role: "dev*"}, key: people, customer_claim: org}]
  mtls: [{match: "*.acme.test", key: machines, customer: acme}]
`

// issued are the tokens that the provider of a test has made.
type issued map[string]map[string]any

func (i issued) Verify(_ context.Context, raw string, _ time.Time) (map[string]any, error) {
	claims, ok := i[raw]
	if !ok {
		return nil, errors.New("its signature does not fit")
	}
	return claims, nil
}

// TestWhatStandsForAKey: tokens and certificates are the keys that their rules
// name, for the customers that they prove; where and what a key may be used for
// holds before anything is done.
func TestWhatStandsForAKey(t *testing.T) {
	setSecrets(t)
	bubble(t, partiesConfig, func(t *testing.T, r *rig) {
		r.host("a", reply(t, okScript), reply(t, okScript))
		p := r.plane(partiesConfig)
		claims := func(role, org string) map[string]any {
			return map[string]any{"iss": "https://login.test", "aud": "gw", "role": role, "org": org}
		}
		p.Tokens = []gateway.Tokens{issued{
			"a.good.token": claims("developer", "acme"), "a.guest.token": claims("guest", "acme"), "a.stranger.token": claims("developer", "nobody"),
		}}
		r.gateway.Swap(p)
		cert := &x509.Certificate{DNSNames: []string{"worker.acme.test"}}
		verified := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
		shown := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}} // not verified
		for _, c := range []struct {
			name, bearer, from string
			tls                *tls.ConnectionState
			path               string
			status             int
			says               string
		}{
			{"a token", "a.good.token", "", nil, "", 200, ""},
			{"a token that fits no rule", "a.guest.token", "", nil, "", 401, "stands for no key"},
			{"a token of a customer that is not there", "a.stranger.token", "", nil, "", 403, "nobody"},
			{"a forged token", "a.bad.token", "", nil, "", 401, "its signature does not fit"},
			{"a certificate", "", "", verified, "", 200, ""},
			{"a certificate that nobody verified", "", "", shown, "", 401, "no key was sent"},
			{"a key from elsewhere", clientKey, "192.0.2.1:1234", nil, "", 403, "from this address"},
			{"a key for something else", clientKey, "10.1.2.3:1234", nil, "/v1/messages", 403, "may not use /v1/messages"},
			{"a key of which one character is wrong", clientKey[:len(clientKey)-1] + "x", "", nil, "", 401, "damaged"},
		} {
			path := c.path
			if path == "" {
				path = "/v1/chat/completions"
			}
			req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(chatBody))
			req.Host, req.TLS = "127.0.0.1:4600", c.tls
			if c.from != "" {
				req.RemoteAddr = c.from
			}
			if c.bearer != "" {
				req.Header.Set("Authorization", "Bearer "+c.bearer)
			}
			w := httptest.NewRecorder()
			r.gateway.ServeHTTP(w, req)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("%s: %d %s, want %d and %q", c.name, w.Code, w.Body, c.status, c.says)
			}
			if strings.Contains(w.Body.String(), c.bearer) && c.bearer != "" {
				t.Errorf("%s: the answer repeats what was shown", c.name)
			}
		}
		got := map[string]string{}
		for _, ex := range r.records() {
			if ex.Status == 200 {
				got[ex.Name] = ex.Customer + " by " + ex.Attributed
			}
		}
		if got["people"] != "acme by jwt" || got["machines"] != "acme by mtls" {
			t.Errorf("counted for %v", got)
		}
	})
}

// TestParallelRequestsStayWithinTheBudget: 200 at once would spend a hundred
// times what a customer may (LiteLLM 26672: 99 of 30; 34732: a race).
func TestParallelRequestsStayWithinTheBudget(t *testing.T) {
	setSecrets(t)
	const script = "@delay 1s\nHTTP 200\ncontent-type: application/json\n\n{\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":9000}}\n"
	bubble(t, partiesConfig, func(t *testing.T, r *rig) {
		a := r.host("a", reply(t, script))
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				req := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"m","max_tokens":9000,"messages":[]}`))
				req.Host, req.RemoteAddr = "127.0.0.1:4600", "10.0.0.1:1"
				req.Header.Set("Authorization", "Bearer "+clientKey)
				r.gateway.ServeHTTP(httptest.NewRecorder(), req)
			})
		}
		all.Wait()
		spent := int64(0)
		for _, ex := range r.records() {
			spent += ex.Cost
		}
		// An estimate holds the answer's 1024 tokens and a few of the prompt: nothing has
		// been learned. The excess is what the estimates of those in flight were short by.
		asked := int64(len(a.Heard()))
		if excess := asked * (10_000_000 - 1_024_000); spent > 30_000_000+excess || asked > 30 {
			t.Errorf("%d nano-dollars of 30,000,000 were spent by %d requests", spent, asked)
		}
		for _, s := range r.account.List() {
			if s.InFlight != 0 || s.Budgets[0].Held != 0 || int64(s.Budgets[0].Spent) != spent {
				t.Errorf("after all of it: %+v", s)
			}
		}
	})
}
