package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/llmtest"
)

const (
	hedgeConfig = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}, c: {kind: vllm, url: "http://c"}}
models: {m: {pool: [a, b], served_as: x, policy: round_robin, hedge: 10%, fallback: [c/x], retry: {attempts: 1}}}
keys: {required: false}
`
	streamBody   = `{"model":"m","messages":[],"stream":true}`
	streamHead   = "HTTP 200\ncontent-type: text/event-stream\n\n"
	streamBegin  = `data: {"choices":[{"delta":{"content":"hi"}}]}` + "\n\n"
	streamFinish = `data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}` + "\n\ndata: [DONE]\n\n"
	streamWhole  = streamHead + streamBegin + streamFinish
)

// said is a stream that says a word.
func said(word string) string { return strings.Replace(streamWhole, "hi", word, 1) }

// hedging has earned a second attempt: of ten requests each replica answered five,
// and the next one asks a.
func hedging(t *testing.T, config, a, b, c string, test func(t *testing.T, r *rig, hosts map[string]*llmtest.Upstream)) {
	t.Helper()
	bubble(t, config, func(t *testing.T, r *rig) {
		quick, hosts := reply(t, streamWhole), map[string]*llmtest.Upstream{}
		for name, script := range map[string]string{"a": a, "b": b} {
			hosts[name] = r.host(name, quick, quick, quick, quick, quick, reply(t, script))
		}
		hosts["c"] = r.host("c", reply(t, c))
		for range 10 {
			if w := r.post(streamBody); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		time.Sleep(time.Second) // records are in the order of their time
		test(t, r, hosts)
	})
}

// attempts are those of the last request, each as its target, reason and fault.
func (r *rig) attempts() (*ledger.Exchange, string) {
	list := r.records()
	last := list[len(list)-1]
	var out []string
	for _, a := range last.Attempts {
		out = append(out, strings.Trim(fmt.Sprintf("%s %s %s", a.Target, a.Why, a.Fault), " "))
	}
	return last, strings.Join(out, ", ")
}

func TestALateAttemptGetsAnotherBesideIt(t *testing.T) {
	const late = streamHead + "@delay 10s\n" + streamBegin + streamFinish
	for name, c := range map[string]struct {
		a, b, c  string
		attempts string
		says     string // in the answer
		first    time.Duration
		outcome  ledger.Outcome
		metric   string
	}{
		"the second is first": {
			a: streamHead + "@stall", b: said("second"),
			attempts: "a first hedge_lost, b hedge", says: "second", first: 500 * time.Millisecond, outcome: ledger.OutcomeOK, metric: "won",
		},
		"before the head": {
			a: "@delay 10s\n" + streamWhole, b: said("second"),
			attempts: "a first hedge_lost, b hedge", says: "second", first: 500 * time.Millisecond, outcome: ledger.OutcomeOK, metric: "won",
		},
		"the first is first": {
			a: streamHead + "@delay 3s\n" + said("first")[len(streamHead):], b: streamHead + "@stall",
			attempts: "b hedge hedge_lost, a first", says: "first", first: 3 * time.Second, outcome: ledger.OutcomeOK, metric: "lost",
		},
		"the first fails while the second is late": {
			a: "@delay 2s\n" + failScript, b: streamHead + "@delay 5s\n" + said("second")[len(streamHead):],
			attempts: "a first upstream_error, b hedge", says: "second", first: 5500 * time.Millisecond, outcome: ledger.OutcomeOK, metric: "won",
		},
		"the second fails": {
			a: late, b: failScript,
			attempts: "b hedge upstream_error, a first", says: "hi", first: 10 * time.Second, outcome: ledger.OutcomeOK, metric: "lost",
		},
		"both fail": {
			a: "@delay 2s\n" + failScript, b: failScript, c: said("behind"),
			attempts: "b hedge upstream_error, a first upstream_error, c fallback", says: "behind", outcome: ledger.OutcomeOK, metric: "lost",
		},
		"nobody will take it": {
			a: "@delay 2s\nHTTP 400\ncontent-type: application/json\n\n{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\"}}\n", b: streamHead + "@stall",
			attempts: "b hedge hedge_lost, a first bad_request", says: "invalid_request_error", outcome: ledger.OutcomeFailed, metric: "lost",
		},
		"the second breaks off": {
			a: streamHead + "@stall", b: streamHead + streamBegin + "@cut",
			attempts: "a first hedge_lost, b hedge stream_cut", says: `"error"`, first: 500 * time.Millisecond, outcome: ledger.OutcomeBroken, metric: "won",
		},
	} {
		t.Run(name, func(t *testing.T) {
			hedging(t, hedgeConfig, c.a, c.b, c.c, func(t *testing.T, r *rig, hosts map[string]*llmtest.Upstream) {
				w := r.post(streamBody)
				x, attempts := r.attempts()
				if attempts != c.attempts || x.Outcome != c.outcome || c.first != 0 && x.FirstToken.Round(time.Millisecond) != c.first {
					t.Errorf("%s; %s after %v, want %s; %s after %v", attempts, x.Outcome, x.FirstToken, c.attempts, c.outcome, c.first)
				}
				if !strings.Contains(w.Body.String(), c.says) {
					t.Errorf("the answer does not say %s: %s", c.says, w.Body)
				}
				if c.outcome == ledger.OutcomeOK && (x.Usage.Output != 1 || x.Status != 200 || x.SentBytes != int64(w.Body.Len()) || x.Events == 0) {
					t.Errorf("used %+v, status %d, %d bytes sent of %d", x.Usage, x.Status, x.SentBytes, w.Body.Len())
				}
				if got := scrape(r.metrics)[`tailplane_hedges_total{model="m",outcome="`+c.metric+`"}`]; got != 1 {
					t.Errorf("%v hedges are %s", got, c.metric)
				}
				if target := w.Header().Get("X-Tailplane-Target"); c.outcome == ledger.OutcomeOK && !strings.Contains(attempts, target+" ") {
					t.Errorf("the answer is of %q", target)
				}
			})
		})
	}
}

// TestASecondAttemptIsTranslated, with a first one that was prepared to be.
func TestASecondAttemptIsTranslated(t *testing.T) {
	hedging(t, hedgeConfig, streamHead+"@stall", said("second"), okScript, func(t *testing.T, r *rig, _ map[string]*llmtest.Upstream) {
		w := r.send("POST", "/v1/messages", "application/json", `{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hello"}]}`)
		if !strings.Contains(w.Body.String(), "message_stop") || !strings.Contains(w.Body.String(), "second") {
			t.Errorf("%s", w.Body)
		}
		if _, attempts := r.attempts(); attempts != "a first hedge_lost, b hedge" {
			t.Error(attempts)
		}
	})
}

// TestACallerThatLeavesEndsBothAttempts.
func TestACallerThatLeavesEndsBothAttempts(t *testing.T) {
	hedging(t, hedgeConfig, streamHead+"@stall", streamHead+"@stall", okScript, func(t *testing.T, r *rig, hosts map[string]*llmtest.Upstream) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, context.Canceled)
		defer cancel()
		gone, leave := context.WithCancel(ctx)
		time.AfterFunc(2*time.Second, leave)
		req := httptest.NewRequestWithContext(gone, http.MethodPost, "/v1/chat/completions", strings.NewReader(streamBody))
		req.Host = "127.0.0.1:4600"
		begin := time.Now()
		func() {
			defer func() {
				if cause := recover(); cause != http.ErrAbortHandler {
					t.Errorf("the handler ends with %v", cause)
				}
			}()
			r.gateway.ServeHTTP(httptest.NewRecorder(), req)
		}()
		x, attempts := r.attempts()
		if took := time.Since(begin); took > 2100*time.Millisecond || x.Outcome != ledger.OutcomeGone {
			t.Errorf("%s after %v", x.Outcome, took)
		}
		if attempts != "b hedge client_gone, a first client_gone" {
			t.Error(attempts)
		}
	})
}

// TestASecondAttemptKeepsNothingHeld: its call's memory serves later requests, which
// hold what is theirs and give no more than that back.
func TestASecondAttemptKeepsNothingHeld(t *testing.T) {
	config := strings.Replace(hedgeConfig, "hedge: 10%, ", "hedge: 10%, limits: {requests: 1000/m, concurrent: 2}, ", 1)
	hedging(t, config, streamHead+"@stall", said("second"), okScript, func(t *testing.T, r *rig, _ map[string]*llmtest.Upstream) {
		r.post(streamBody)
		if _, attempts := r.attempts(); attempts != "a first hedge_lost, b hedge" {
			t.Fatal(attempts)
		}
		for range 4 {
			if w := r.post(streamBody); w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
	})
}

// TestHedgesAreFew: what makes every answer late is not met with more requests.
func TestHedgesAreFew(t *testing.T) {
	setSecrets(t)
	const n = 300
	for name, c := range map[string]struct {
		config, body string
		want         int // second attempts
	}{
		"of a hundred, ten":       {hedgeConfig, streamBody, n / 10},
		"of engines, one":         {strings.Replace(hedgeConfig, "hedge: 10%, ", "", 1), streamBody, n / 100},
		"none where there are to": {strings.Replace(hedgeConfig, "hedge: 10%", "hedge: off", 1), streamBody, 0},
		"none of whole answers":   {hedgeConfig, chatBody, 0},
		"none that may cost": {
			strings.Replace(strings.Replace(hedgeConfig, "hedge: 10%, ", "", 1), `b: {kind: vllm, url: "http://b"}`, `b: {kind: openai, url: "http://b", key: env:PROVIDER_KEY}`, 1), streamBody, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.config, func(t *testing.T, r *rig) {
				// An answer that is late by more than was predicted, and one that comes at once.
				slow, quick := reply(t, streamHead+"@delay 4s\n"+streamBegin+streamFinish), reply(t, streamWhole)
				if c.body == chatBody {
					slow = reply(t, "@delay 4s\n"+okScript)
					quick = reply(t, okScript)
				}
				var of [2][]*llmtest.Reply
				for i := range 2 * n {
					of[i%2] = append(of[i%2], []*llmtest.Reply{quick, slow, quick, quick}[i%4])
				}
				r.host("a", of[0]...)
				r.host("b", of[1]...)
				r.host("c", quick)
				seconds := 0
				for range n {
					r.post(c.body)
				}
				for _, x := range r.records() {
					for _, a := range x.Attempts {
						if a.Why == "hedge" {
							seconds++
						}
					}
				}
				if seconds > c.want || seconds < c.want*2/3 {
					t.Errorf("%d second attempts of %d requests, want %d", seconds, n, c.want)
				}
			})
		})
	}
}

// TestALostAttemptIsNoFaultOfItsTarget, and teaches nothing of it.
func TestALostAttemptIsNoFaultOfItsTarget(t *testing.T) {
	f := llm.Fault{Kind: llm.FaultHedgeLost}
	if raw, err := json.Marshal(f.Kind); err != nil || string(raw) != `"hedge_lost"` {
		t.Fatal(string(raw), err)
	}
	hedging(t, hedgeConfig, streamHead+"@stall", streamWhole, okScript, func(t *testing.T, r *rig, _ map[string]*llmtest.Upstream) {
		r.post(streamBody)
		if v := r.fleet.Target("a").View(time.Now(), "x"); v.Broken || v.Penalty != 0 || v.Wait != 0 {
			t.Errorf("%+v", v)
		}
	})
}
