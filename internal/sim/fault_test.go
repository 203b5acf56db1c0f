package sim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	askStream = `{"model":"m","stream":true,"max_tokens":6,"ignore_eos":true,"messages":[{"role":"user","content":"x"}]}`
	askWhole  = `{"model":"m","max_tokens":6,"ignore_eos":true,"messages":[{"role":"user","content":"x"}]}`
	chatPath  = "/v1/chat/completions"
)

func TestFaultTextForm(t *testing.T) {
	cases := []struct {
		text string
		want Fault
		err  string // part of the error
	}{
		{text: ""},
		{text: "ok"},
		{text: " cut=3 ", want: Fault{Kind: FaultCut, After: 3}},
		{text: "cut", want: Fault{Kind: FaultCut}},
		{text: "stall=2", want: Fault{Kind: FaultStall, After: 2}},
		{text: "slow=1.5s", want: Fault{Kind: FaultSlow, Delay: 1500 * time.Millisecond}},
		{text: "429", want: Fault{Kind: FaultLimited, Delay: time.Second}},
		{text: "429=250ms", want: Fault{Kind: FaultLimited, Delay: 250 * time.Millisecond}},
		{text: "late-error", want: Fault{Kind: FaultLateError, After: 1}},
		{text: "truncate", want: Fault{Kind: FaultTruncate, After: -1}},
		{text: "truncate=0", want: Fault{Kind: FaultTruncate}},
		{text: "refuse", want: Fault{Kind: FaultRefuse}},
		{text: "slow", err: `as in "slow=2s"`},
		{text: "slow=fast", err: `duration "fast"`},
		{text: "slow=-1s", err: "zero or more"},
		{text: "cut=x", err: `count "x"`},
		{text: "cut=-1", err: "0 or more"},
		{text: "html=1", err: "no argument"},
		{text: "=3", err: "unknown fault"},
		{text: "burn", err: "want one of ok, 429"},
	}
	for _, c := range cases {
		got, err := ParseFault(c.text)
		switch {
		case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: error is %v, want %q in it", c.text, err, c.err)
		case got != c.want:
			t.Errorf("%q is read as %+v, want %+v", c.text, got, c.want)
		}
	}
	script, err := ParseScript("429, 429=2s ,ok")
	if err != nil || !slices.Equal(script, []Fault{{Kind: FaultLimited, Delay: time.Second}, {Kind: FaultLimited, Delay: 2 * time.Second}, {}}) {
		t.Errorf("script is read as %v, %v", script, err)
	}
	if _, err := ParseScript("ok,,burn"); err == nil || !strings.Contains(err.Error(), "entry 3") {
		t.Errorf("a broken script gives %v", err)
	}
}

func FuzzParseFault(f *testing.F) {
	for _, r := range faultTable() {
		f.Add(string(r.kind))
		f.Add(string(r.kind) + "=2s")
		f.Add(string(r.kind) + "=3")
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseFault(s)
		if err != nil {
			return
		}
		again, err := ParseFault(got.String())
		if err != nil || again != got {
			t.Errorf("%q is %+v; its text %q is %+v, %v", s, got, got.String(), again, err)
		}
	})
}

func TestFaultsBeforeTheFirstByte(t *testing.T) {
	cases := []struct {
		fault  string
		status int
		header map[string]string
		body   string // part of it
		isJSON bool
	}{
		{"429=1500ms", 429, map[string]string{
			"Retry-After": "2", "Retry-After-Ms": "1500",
			"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "1.5s",
		}, `"code":"rate_limit_exceeded"`, true},
		{"500", 500, nil, `"type":"InternalServerError"`, true},
		{"503", 503, nil, `"type":"ServiceUnavailableError"`, true},
		{"garbage", 200, nil, "not json", false},
		{"html", 200, map[string]string{"Content-Type": "text/html; charset=utf-8"}, "<!doctype html>", false},
		{"burn", 400, nil, "unknown fault", true},
	}
	bubble(t, one(steady()), func(r *rig) {
		for _, ask := range []string{askStream, askWhole} {
			for _, c := range cases {
				resp, body := r.call(chatPath, ask, FaultHeader, c.fault)
				if resp.StatusCode != c.status || !strings.Contains(body, c.body) || json.Valid([]byte(body)) != c.isJSON {
					t.Errorf("%s answers %d %s", c.fault, resp.StatusCode, body)
				}
				for k, v := range c.header {
					if got := resp.Header.Get(k); got != v {
						t.Errorf("%s: %s is %q, want %q", c.fault, k, got, v)
					}
				}
			}
			if _, err := r.client.Do(r.request(context.Background(), chatPath, ask, FaultHeader, "refuse")); err == nil {
				t.Error("refuse answers")
			}
		}
	})
}

// TestFaultsInsideAStream: a healthy stream here is role, six tokens, finish
// reason, [DONE].
func TestFaultsInsideAStream(t *testing.T) {
	cases := []struct {
		fault    string
		events   int // error events and [DONE] included
		broken   bool
		lastHas  string
		finished bool // some event has a finish_reason
		reason   string
	}{
		{"ok", 9, false, "[DONE]", true, "length"},
		{"cut", 0, true, "", false, "abort"},
		{"cut=3", 3, true, "content", false, "abort"},
		{"cut=8", 8, true, "finish_reason", true, "length"},
		{"cut=99", 9, false, "[DONE]", true, "length"},
		{"error-in-stream", 2, false, "[DONE]", false, ""},
		{"late-error=2", 4, false, "[DONE]", false, "error"},
		{"truncate", 7, false, "content", false, "length"},
		{"truncate=2", 2, false, "content", false, "abort"},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			bubble(t, one(steady()), func(r *rig) {
				events, err := r.stream(chatPath, askStream, FaultHeader, c.fault)
				if (err != nil) != c.broken || len(events) != c.events {
					t.Fatalf("%d events, then %v", len(events), err)
				}
				if c.events > 0 && !strings.Contains(events[c.events-1].data, c.lastHas) {
					t.Errorf("the last event is %s", events[c.events-1].data)
				}
				finished, failed := false, false
				for _, e := range events {
					failed = failed || e.Error != nil
					for _, ch := range e.Choices {
						finished = finished || ch.FinishReason != nil
					}
				}
				if finished != c.finished || failed != strings.Contains(c.fault, "error") {
					t.Errorf("finish_reason seen: %v, error seen: %v", finished, failed)
				}
				if c.reason == "" {
					return
				}
				time.Sleep(time.Second) // the engine takes the cancellation in
				if got := r.metric("vllm:request_success_total", map[string]string{"finished_reason": c.reason}); got != 1 {
					t.Errorf("%g requests counted as %s", got, c.reason)
				}
			})
		})
	}
}

func TestFaultsInABody(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		_, whole := r.call(chatPath, askWhole)
		for _, c := range []struct {
			fault  string
			status int
			length int // -1 not looked at
			broken bool
		}{
			{"ok", 200, len(whole), false},
			{"cut", 200, len(whole) / 2, true},
			{"truncate", 200, len(whole) / 2, false},
			{"late-error", 500, -1, false},
			{"error-in-stream", 200, -1, false},
		} {
			resp, err := r.client.Do(r.request(context.Background(), chatPath, askWhole, FaultHeader, c.fault))
			if err != nil {
				t.Fatalf("%s: %v", c.fault, err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != c.status || (err != nil) != c.broken || (c.length >= 0 && abs(len(b)-c.length) > 2) {
				t.Errorf("%s: %d with %d bytes of %d, then %v", c.fault, resp.StatusCode, len(b), len(whole), err)
			}
		}
	})
}

func abs(n int) int { return max(n, -n) }

func TestStallSendsTheHeadAndThenNothing(t *testing.T) {
	for _, ask := range []string{askStream, askWhole} {
		bubble(t, one(steady()), func(r *rig) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			resp, err := r.client.Do(r.request(ctx, chatPath, ask, FaultHeader, "stall"))
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("no head: %v", err)
			}
			defer resp.Body.Close()
			start := time.Now()
			b, err := io.ReadAll(resp.Body)
			if len(b) != 0 || err == nil || time.Since(start) < 59*time.Minute {
				t.Errorf("%d bytes and %v after %v", len(b), err, time.Since(start))
			}
		})
	}
}

func TestSlowDelaysTheFirstToken(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		quick, _ := r.stream(chatPath, askStream)
		slow, err := r.stream(chatPath, askStream, FaultHeader, "slow=3s")
		if err != nil || len(slow) != len(quick) {
			t.Fatalf("%d events, then %v", len(slow), err)
		}
		// The second prompt has cached blocks, so allow for its shorter prefill.
		if got := slow[0].at - quick[0].at; got > 3*time.Second || got < 2980*time.Millisecond {
			t.Errorf("the first token is %v later", got)
		}
	})
}

func TestScriptIsPlayedOncePerRequestInOrder(t *testing.T) {
	o := one(steady())
	o.Script = []Fault{{Kind: FaultLimited}, {Kind: FaultInternal}, {}}
	o.Fault = Fault{Kind: FaultOverload}
	bubble(t, o, func(r *rig) {
		var got []int
		for range 5 {
			if resp, _ := r.call("/v1/models", ""); resp.StatusCode != http.StatusOK {
				t.Errorf("a fault hits /v1/models: %d", resp.StatusCode)
			}
			resp, _ := r.call(chatPath, askWhole)
			got = append(got, resp.StatusCode)
		}
		if want := []int{429, 500, 200, 503, 503}; !slices.Equal(got, want) {
			t.Errorf("answers are %v, want %v", got, want)
		}
	})
}

func TestHeaderIsIgnoredUnlessAllowed(t *testing.T) {
	o := one(steady())
	o.AllowFaultHeader = false
	bubble(t, o, func(r *rig) {
		if resp, _ := r.call(chatPath, askWhole, FaultHeader, "500"); resp.StatusCode != http.StatusOK {
			t.Errorf("answers %d", resp.StatusCode)
		}
	})
}

func TestSetFaultHitsItsModelUntilReset(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		var got []int
		for _, f := range []Fault{{Kind: FaultInternal}, {}} {
			if err := r.sim.SetFault("m", f); err != nil {
				t.Fatal(err)
			}
			resp, _ := r.call("/v1/embeddings", `{"model":"m","input":"x"}`)
			got = append(got, resp.StatusCode)
		}
		if !slices.Equal(got, []int{500, 200}) {
			t.Errorf("answers are %v", got)
		}
		if r.sim.SetFault("nobody", Fault{}) == nil || r.sim.Hold("nobody", 1) == nil {
			t.Error("an unknown model is accepted")
		}
	})
}

func TestHeldCacheKeepsRequestsWaiting(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		if err := r.sim.Hold("m", 1<<20); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(5*time.Second, func() { _ = r.sim.Hold("m", 0) })
		time.AfterFunc(4*time.Second, func() {
			if usage, waiting := r.metric("vllm:kv_cache_usage_perc", nil), r.metric("vllm:num_requests_waiting", nil); usage != 1 || waiting != 1 {
				t.Errorf("usage %g, waiting %g", usage, waiting)
			}
		})
		events, err := r.stream(chatPath, askStream)
		if err != nil || events[0].at < 5*time.Second {
			t.Errorf("first token at %v, %v", events[0].at, err)
		}
	})
}
