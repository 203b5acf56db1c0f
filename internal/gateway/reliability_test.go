package gateway_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/gateway"
	"tailplane/internal/ledger"
	"tailplane/internal/llmtest"
	"tailplane/internal/telemetry"
)

// bubble runs a test in virtual time with a gateway of its own, and stops that
// at the end.
func bubble(t *testing.T, config string, test func(t *testing.T, r *rig)) {
	t.Helper()
	if _, err := prices(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(casesStart))
		r := newRig(t, config, nil)
		defer r.stop()
		test(t, r)
	})
}

// reply parses a script that is known to be good.
func reply(t *testing.T, text string) *llmtest.Reply {
	t.Helper()
	r, err := llmtest.ParseReply(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	okScript   = "HTTP 200\ncontent-type: application/json\n\n{\"choices\":[]}\n"
	failScript = "HTTP 500\ncontent-type: application/json\n\n{\"error\":{\"message\":\"boom\"}}\n"
	chatBody   = `{"model":"m","messages":[]}`
)

// post makes a chat request without a server in between.
func (r *rig) post(body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
	req.Host = "127.0.0.1:4600"
	r.gateway.ServeHTTP(w, req)
	return w
}

func TestTrafficFollowsTheWeights(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}}
models: {m: {route: [{to: a/x, weight: 3}, {to: b/x, weight: 1}]}}
keys: {required: false}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		a, b := r.host("a", reply(t, okScript)), r.host("b", reply(t, okScript))
		const n = 600
		for range n {
			if w := r.post(chatBody); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		// Five standard deviations of a binomial with p = 3/4 are 53.
		if got := len(a.Heard()); got < 450-53 || got > 450+53 || got+len(b.Heard()) != n {
			t.Errorf("a got %d of %d, b %d, want about 3 to 1", got, n, len(b.Heard()))
		}
	})
}

func TestAFullTargetIsPassedOver(t *testing.T) {
	const config = `
targets:
  a: {kind: openai, url: "http://a", limits: {in_flight: 1}}
  b: {kind: openai, url: "http://b"}
models:
  m: {route: [a/x, b/x]}
  only: {route: [a/x]}
keys: {required: false}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		r.host("a", reply(t, "HTTP 200\ncontent-type: application/json\n\n@delay 30s\n{\"choices\":[]}\n"))
		r.host("b", reply(t, okScript))
		done := make(chan *httptest.ResponseRecorder)
		go func() { done <- r.post(chatBody) }()
		time.Sleep(time.Second)
		begin := time.Now()
		if w := r.post(chatBody); w.Code != 200 || w.Header().Get("X-Tailplane-Target") != "b" || time.Since(begin) != 0 {
			t.Errorf("while a is full: %d from %q after %v", w.Code, w.Header().Get("X-Tailplane-Target"), time.Since(begin))
		}
		w := r.post(`{"model":"only","messages":[]}`)
		if w.Code != 429 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), `"code":"shed"`) {
			t.Errorf("while every candidate is full: %d %v %s", w.Code, w.Header(), w.Body)
		}
		if w := <-done; w.Code != 200 || w.Header().Get("X-Tailplane-Target") != "a" {
			t.Errorf("the one that filled it: %d", w.Code)
		}
		if w := r.post(`{"model":"only","messages":[]}`); w.Code != 200 {
			t.Errorf("afterwards: %d %s", w.Code, w.Body)
		}
	})
}

func TestMetricsAreShownToWhoHasAKey(t *testing.T) {
	bubble(t, "targets: {a: {kind: sim}}\nkeys: {required: false}\n", func(t *testing.T, r *rig) {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		req.Host = "127.0.0.1:4600"
		r.gateway.ServeHTTP(w, req)
		if w.Code != 200 || !strings.Contains(w.Body.String(), "tailplane_build_info") {
			t.Errorf("%d %.200s", w.Code, w.Body)
		}
	})
}

func TestRetriesCannotMultiplyAnOutage(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a", models: [m]}}
retry: {attempts: 5, budget_percent: 20}
keys: {required: false}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		a := r.host("a", reply(t, failScript))
		const n = 100
		for range n {
			r.post(chatBody)
		}
		// Ten retries to begin with, and one for every fifth request.
		if got := len(a.Heard()) - n; got < 10 || got > 10+n/5 {
			t.Errorf("%d retries for %d requests, want 10 to %d", got, n, 10+n/5)
		}
	})
}

// TestADemandedWaitIsNotTheGatewaysOwnTime: it is the target that wants it.
func TestADemandedWaitIsNotTheGatewaysOwnTime(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}}
models: {m: {route: [a/x], retry: {attempts: 1}}}
keys: {required: false}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		r.host("a", reply(t, "HTTP 429\nretry-after: 3\ncontent-type: application/json\n\n{}\n"), reply(t, okScript))
		r.post(chatBody)
		begin := time.Now()
		if w := r.post(chatBody); w.Code != http.StatusOK || time.Since(begin) < 3*time.Second {
			t.Fatalf("%d after %v", w.Code, time.Since(begin))
		}
		if n := scrape(r.metrics)[`tailplane_overhead_seconds_sum{model="m"}`]; n > 0.001 {
			t.Errorf("%v s of waiting count as the gateway's own", n)
		}
	})
}

func TestABrokenTargetIsLeftAloneAndTriedAgain(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}}
models: {m: {route: [a/x, b/x], retry: {attempts: 1}}}
keys: {required: false}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		fail := reply(t, failScript)
		a := r.host("a", fail, fail, fail, fail, fail, reply(t, okScript))
		r.host("b", reply(t, okScript))
		for range 8 {
			if w := r.post(chatBody); w.Code != http.StatusOK || w.Header().Get("X-Tailplane-Target") != "b" {
				t.Errorf("%d from %q, want 200 from b", w.Code, w.Header().Get("X-Tailplane-Target"))
			}
		}
		if got := len(a.Heard()); got != 5 {
			t.Errorf("the failing target was asked %d times, want 5", got)
		}
		time.Sleep(1100 * time.Millisecond)
		if w := r.post(chatBody); w.Header().Get("X-Tailplane-Target") != "a" {
			t.Errorf("after the pause %q answers, want a", w.Header().Get("X-Tailplane-Target"))
		}
	})
}

// TestAReloadDisturbsNoStream swaps the plane while a stream runs: the stream
// goes on as it began, the next request follows the new plane.
func TestAReloadDisturbsNoStream(t *testing.T) {
	const after = `
targets: {b: {kind: vllm, url: "http://b", models: [m]}}
keys: {required: false}
`
	bubble(t, chatConfig, func(t *testing.T, r *rig) {
		event := `data: {"choices":[{"index":0,"delta":{"content":"x"}}]}` + "\n\n"
		r.host("a", reply(t, "HTTP 200\ncontent-type: text/event-stream\n\n"+strings.Repeat(event+"@delay 1s\n", 5)+
			`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n"))
		r.host("b", reply(t, okScript))
		stream := make(chan *httptest.ResponseRecorder)
		go func() { stream <- r.post(`{"model":"m","stream":true,"messages":[]}`) }()
		time.Sleep(2500 * time.Millisecond)
		r.gateway.Swap(r.plane(after))
		if w := r.post(chatBody); w.Code != http.StatusOK || w.Header().Get("X-Tailplane-Target") != "b" {
			t.Errorf("the new plane is not used: %d from %q", w.Code, w.Header().Get("X-Tailplane-Target"))
		}
		w := <-stream
		if got := strings.Count(w.Body.String(), `"x"`); got != 5 || !strings.HasSuffix(w.Body.String(), "data: [DONE]\n\n") {
			t.Errorf("the stream was disturbed: %s", w.Body)
		}
		records := r.records()
		if len(records) != 2 || records[0].Config == records[1].Config || records[0].Outcome != ledger.OutcomeOK {
			t.Errorf("records %s", asJSON(t, records))
		}
	})
}

// brokenWriter is a connection that a bug, not the network, breaks.
type brokenWriter struct{ httptest.ResponseRecorder }

func (*brokenWriter) Write([]byte) (int, error) { panic("a bug in the test") }

// TestABugEndsOneRequest: a panic is settled, tells nothing to the client but
// that it happened, and leaves no count behind.
func TestABugEndsOneRequest(t *testing.T) {
	bubble(t, chatConfig, func(t *testing.T, r *rig) {
		r.host("a", reply(t, okScript))
		req := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(chatBody))
		req.Host = "localhost"
		func() {
			defer func() { _ = recover() }() // the server's part
			r.gateway.ServeHTTP(&brokenWriter{}, req)
		}()
		if w := r.post(chatBody); w.Code != http.StatusOK {
			t.Errorf("the next request got %d", w.Code)
		}
		records := r.records()
		if len(records) != 2 {
			t.Fatalf("%d records, want 2", len(records))
		}
	})
}

func TestTheAccessLineSaysWhatHappened(t *testing.T) {
	bubble(t, chatConfig, func(t *testing.T, r *rig) {
		r.host("a", reply(t, okScript))
		w := r.post(chatBody)
		r.lines.Flush()
		var line map[string]any
		if err := json.Unmarshal(bytes.TrimSpace(r.log.Bytes()), &line); err != nil {
			t.Fatalf("%v in %q", err, r.log)
		}
		want := map[string]any{"msg": "request", "request": w.Header().Get("X-Request-Id"), "model": "m", "target": "a", "outcome": "ok", "status": 200.0, "pricing": "unpriced"}
		for name, value := range want {
			if line[name] != value {
				t.Errorf("%s is %v, want %v", name, line[name], value)
			}
		}
	})
}

// TestAFullLedgerStopsNobody: an answer is worth more to its caller than its
// record is to us, and what is not recorded is counted and logged.
func TestAFullLedgerStopsNobody(t *testing.T) {
	bubble(t, chatConfig, func(t *testing.T, r *rig) {
		r.host("a", reply(t, okScript))
		before := r.journal
		closed, err := ledger.OpenJournal(ledger.JournalOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := closed.Close(); err != nil {
			t.Fatal(err)
		}
		log := telemetry.NewLog(r.lines, "json", nil)
		r.gateway = gateway.New(r.gateway.Plane(), closed, r.metrics, log)
		if w := r.post(chatBody); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		r.lines.Flush()
		if n := scrape(r.metrics)["tailplane_ledger_errors_total"]; n == 0 || !strings.Contains(r.log.String(), "the ledger did not take a record") {
			t.Errorf("%v errors are counted, the log says %s", n, r.log)
		}
		if before.Stats().Admitted != 0 {
			t.Error("the record went elsewhere")
		}
	})
}

func TestLimitsAreKeptForEachCredential(t *testing.T) {
	setSecrets(t)
	const config = `
targets:
  a: {kind: groq, url: "http://a", keys: [{name: one, key: env:PROVIDER_KEY}]}
models:
  m: {route: [a/x]}
keys: {required: false}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		r.host("a", reply(t, strings.Replace(okScript, "\n\n", "\nx-ratelimit-limit-requests: 10\nx-ratelimit-remaining-requests: 4\nx-ratelimit-reset-requests: 1s\n\n", 1)))
		r.post(chatBody)
		state := r.fleet.Target("a")
		for name, known := range map[string]bool{"one": true, "": false} {
			q := state.Quota(name, "x")
			if _, got := q.Headroom(time.Now()); got != known {
				t.Errorf("the limits of credential %q are known: %v", name, got)
			}
		}
	})
}
