package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tailplane/internal/egress"
	"tailplane/internal/facts"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/policy"
	"tailplane/internal/secret"
)

const token = "0123456789abcdef0123456789abcdef"

// desk is a service over a ledger in memory with two exchanges.
func desk(t *testing.T) (*Service, http.Handler) {
	t.Helper()
	store := ledger.NewMemory(0)
	journal, err := ledger.OpenJournal(ledger.JournalOptions{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journal.Close() })
	kept := facts.NewMemory()
	keys, err := policy.OpenStore(t.Context(), policy.Options{Facts: kept}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"req_aa1", "req_aa2"} {
		ex := ledger.Exchange{ID: id, Start: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), Model: "m", Outcome: ledger.OutcomeOK, Usage: llm.Usage{Input: 3, Output: 4}}
		if err := errors.Join(journal.Admit(&ex), journal.Settle(&ex)); err != nil {
			t.Fatal(err)
		}
	}
	book, err := meter.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{
		Reader: store, Journal: journal, Keys: keys, Facts: kept,
		Explain: func(context.Context, Explain) (any, bool) { return map[string]string{}, true },
		Models:  func(key string) ([]Model, bool) { return []Model{{Name: "m"}}, key != "nobody" },
		Status:  func() Status { return Status{Version: "test", Ledger: LedgerOf(journal)} },
		Egress:  func() egress.Report { return egress.Report{Default: "deny"} },
		Pair: func(key string, _ time.Time) (policy.Pair, *policy.Key, error) {
			err := map[string]error{"nobody": policy.ErrNoKey, "two": policy.ErrSeveral}[key]
			return policy.Pair{ID: "TPAK", Secret: secret.Plain("hush")}, &policy.Key{ID: "aa", KeySpec: policy.KeySpec{Name: key}}, err
		},
		Book: func() *meter.Book { return book },
		Rerate: func(context.Context, ledger.Run, func(*ledger.Exchange) []ledger.Rate) (ledger.RunOutcome, error) {
			return ledger.RunOutcome{}, nil
		},
		Hourly: func() map[string]int64 { return nil },
		Reload: func() error { return errors.New("f.yaml:1:1: no; yes") },
	}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("tailplane_x 1\n")) })
	s.Door = NewDoor(secret.Plain(token))
	return s, s.Handler(func() []string { return []string{"gateway.test"} }, metrics)
}

// request is one question and what its answer must be.
type request struct {
	name, method, path, body string
	host, auth               string
	status                   int
	says                     string
}

func TestTheTableAnswers(t *testing.T) {
	const local, bearer = "127.0.0.1:4601", "Bearer " + token
	cases := []request{
		{"status", "GET", "/admin/v1/status", "", local, bearer, 200, `"settled":2`},
		{"models", "GET", "/admin/v1/models", "", local, bearer, 200, `"name":"m"`},
		{"egress", "GET", "/admin/v1/egress", "", local, bearer, 200, `"default":"deny"`},
		{"by id", "GET", "/admin/v1/exchanges/req_aa1", "", local, bearer, 200, `"id":"req_aa1"`},
		{"by a beginning that two have", "GET", "/admin/v1/exchanges/req_aa", "", local, bearer, 409, `"conflict"`},
		{"by an id that nobody has", "GET", "/admin/v1/exchanges/req_b", "", local, bearer, 404, `"not_found"`},
		{"recent", "GET", "/admin/v1/exchanges?limit=1", "", local, bearer, 200, `req_aa`},
		{"too many", "GET", "/admin/v1/exchanges?limit=1001", "", local, bearer, 400, `"usage"`},
		{"no number", "GET", "/admin/v1/exchanges?limit=x", "", local, bearer, 400, `limit must be`},
		{"usage", "GET", "/admin/v1/usage?by=model", "", local, bearer, 200, `"requests":2`},
		{"usage by nonsense", "GET", "/admin/v1/usage?by=x", "", local, bearer, 400, `"usage"`},
		{"usage from nonsense", "GET", "/admin/v1/usage?from=x", "", local, bearer, 400, `from must be`},
		{"usage of a day", "GET", "/admin/v1/usage?by=model&from=2026-11-25", "", local, bearer, 200, `[]`},
		{"a key", "POST", "/admin/v1/keys", `{"name":"n","lifetime_s":60}`, local, bearer, 200, `"key":"sk-tp-`},
		{"a key without a name", "POST", "/admin/v1/keys", `{}`, local, bearer, 400, `name: it is empty`},
		{"a key for ever and a day", "POST", "/admin/v1/keys", `{"name":"n","lifetime_s":999999999999}`, local, bearer, 400, `ten years`},
		{"a key with something else", "POST", "/admin/v1/keys", `{"name":"n","admin":true}`, local, bearer, 400, `not an order`},
		{"a key and another", "POST", "/admin/v1/keys", `{"name":"n"}{}`, local, bearer, 400, `something follows`},
		{"a huge order", "POST", "/admin/v1/keys", `{"name":"` + strings.Repeat("x", 70<<10) + `"}`, local, bearer, 400, `"usage"`},
		{"a pair", "POST", "/admin/v1/keys/aws", `{"key":"n"}`, local, bearer, 200, `{"access_key_id":"TPAK","secret_access_key":"hush","key":"aa","name":"n"}`},
		{"a pair of nobody", "POST", "/admin/v1/keys/aws", `{"key":"nobody"}`, local, bearer, 404, `"not_found"`},
		{"a pair of two", "POST", "/admin/v1/keys/aws", `{"key":"two"}`, local, bearer, 409, `"conflict"`},
		{"a pair of no key", "POST", "/admin/v1/keys/aws", `{}`, local, bearer, 400, `must be`},
		{"a refused reload", "POST", "/admin/v1/reload", "", local, bearer, 422, `f.yaml:1:1: no; yes`},
		{"a wrong method", "DELETE", "/admin/v1/keys", "", local, bearer, 405, ``},
		{"no such place", "GET", "/admin/v1/nosuch", "", local, bearer, 404, ``},
		{"metrics need no token", "GET", "/metrics", "", local, "", 200, `tailplane_x 1`},
		{"nor does health", "GET", "/readyz", "", local, "", 200, `ok`},
		{"no token", "GET", "/admin/v1/status", "", local, "", 401, `"unauthorized"`},
		{"a wrong token", "GET", "/admin/v1/status", "", local, "Bearer x", 401, `"unauthorized"`},
		{"the token without its word", "GET", "/admin/v1/status", "", local, token, 401, `"unauthorized"`},
		{"another host, as in DNS rebinding", "GET", "/admin/v1/status", "", "evil.example", bearer, 403, `"forbidden"`},
		{"another host, for metrics too", "GET", "/metrics", "", "evil.example:4601", "", 403, `"forbidden"`},
		{"a host that begins like ours", "GET", "/metrics", "", "127.0.0.1.evil.example", "", 403, `"forbidden"`},
		{"a name of listen.hosts", "GET", "/livez", "", "Gateway.test:1", "", 200, `ok`},
		{"localhost", "GET", "/livez", "", "localhost:4601", "", 200, `ok`},
		{"IPv6", "GET", "/livez", "", "[::1]:4601", "", 200, `ok`},
	}
	_, h := desk(t)
	for _, c := range cases {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Host = c.host
		if c.auth != "" {
			r.Header.Set("Authorization", c.auth)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %s, want %d and %s", c.name, w.Code, w.Body, c.status, c.says)
		}
		if strings.Contains(w.Body.String(), token) {
			t.Errorf("%s: the token is told", c.name)
		}
	}
}

// TestEveryPlaceNeedsTheToken walks the table: nothing below /admin is answered
// to somebody without it.
func TestEveryPlaceNeedsTheToken(t *testing.T) {
	_, h := desk(t)
	for _, path := range []string{"status", "models", "egress", "exchanges", "exchanges/x", "usage", "keys", "keys/aws", "reload", "", "nosuch", "../v1/status"} {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS", "PUT"} {
			r := httptest.NewRequest(method, "/admin/v1/"+path, nil)
			r.Host = "localhost"
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code/100 != 4 && w.Code/100 != 3 {
				t.Errorf("%s %s is answered with %d", method, path, w.Code)
			}
		}
	}
}

func TestAKeyThatIsMadeOpensAndIsNotKept(t *testing.T) {
	s, _ := desk(t)
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	key, err := s.As(viewers[Operator]).CreateKey(t.Context(), NewKey{Order: policy.Order{KeySpec: policy.KeySpec{Name: "n", Models: []string{"gpt-*"}}, Label: "l"}, Lifetime: 60}, now)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(key.KeyInfo)
	if err != nil || strings.Contains(string(raw), key.Text) {
		t.Errorf("the record holds the key: %s, %v", raw, err)
	}
	keys, err := policy.NewKeys(policy.Setting{}, s.Keys)
	if err != nil {
		t.Fatal(err)
	}
	keys.Use(now)
	if found := keys.Find(key.Text, now.Add(59*time.Second)); found == nil || found.ID != key.ID {
		t.Errorf("found %+v", found)
	}
	if found := keys.Find(key.Text, now.Add(61*time.Second)); found != nil {
		t.Error("it opens after its time")
	}
}
