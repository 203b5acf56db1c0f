package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/fleet"
	"tailplane/internal/ledger"
	"tailplane/internal/policy"
	"tailplane/internal/sim"
)

// divided is two engines that decode and two that compute prompts.
const divided = `
targets:
  d1: {kind: vllm, url: "http://d1"}
  d2: {kind: vllm, url: "http://d2"}
  p1: {kind: vllm, url: "http://p1"}
  p2: {kind: vllm, url: "http://p2"}
models:
  m: {pool: [d1, d2], served_as: big, prefill: {pool: [p1, p2], convention: vllm}}
keys: {required: false}
`

// engines starts simulated engines, which are up until the rig stops.
func (r *rig) engines(t *testing.T, names ...string) {
	for _, name := range names {
		p := sim.Llama8B()
		p.Jitter = 0
		engine, err := sim.New(sim.Options{Models: []sim.Model{{ID: "big", Profile: p, ReplyMin: 20, ReplyMax: 20}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		server := &http.Server{Handler: engine}
		l := r.net.Listen(name)
		var running sync.WaitGroup
		running.Go(func() { _ = engine.Run(ctx) })
		running.Go(func() { _ = server.Serve(l) })
		r.closers = append(r.closers, func() {
			r.client.CloseIdle()
			cancel()
			_ = server.Close()
			running.Wait()
			time.Sleep(time.Second) // net/http lingers half a second on a connection that it closes itself
		})
	}
}

// words is a text of so many words, others for each seed.
func words(seed string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%d ", seed, i)
	}
	return b.String()
}

// say sends a conversation, turns by user and assistant in turn.
func (r *rig) say(t *testing.T, ctx context.Context, more string, turns ...string) *httptest.ResponseRecorder {
	t.Helper()
	var list []string
	for i, text := range turns {
		list = append(list, fmt.Sprintf(`{"role":%q,"content":%q}`, [...]string{"user", "assistant"}[i%2], text))
	}
	w := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(fmt.Sprintf(`{"model":"m","messages":[%s]%s}`, strings.Join(list, ","), more)))
	req.Host = "127.0.0.1:4600"
	r.gateway.ServeHTTP(w, req)
	return w
}

// last is the record of the latest request.
func (r *rig) last() *ledger.Exchange {
	list := r.records()
	return list[len(list)-1]
}

// TestAConversationIsComputedWhereItIsCachedAndStaysWhereItIsAnswered: its first prompt
// goes to the prefill side, its next turn needs nobody, and another conversation that
// begins alike has its prompt computed where the beginning is.
func TestAConversationIsComputedWhereItIsCachedAndStaysWhereItIsAnswered(t *testing.T) {
	bubble(t, divided, func(t *testing.T, r *rig) {
		r.engines(t, "d1", "d2", "p1", "p2")
		system := words("alpha", 1500)
		if w := r.say(t, t.Context(), `,"stream":true`, system+"what now?"); w.Code != 200 {
			t.Fatal(w.Body)
		}
		one := r.last()
		if len(one.Attempts) != 2 || !one.Attempts[0].Leg() || one.Prefill.Target != one.Attempts[0].Target || one.Prefill.Among != 2 || len(one.Prefill.Choice) != 2 {
			t.Fatalf("%+v", one)
		}
		if leg, answer := &one.Attempts[0], &one.Attempts[1]; leg.Usage.Output != 1 || leg.Took < answer.FirstToken || one.Usage.CacheRead != 0 || one.Usage.Input != leg.Usage.Input {
			t.Errorf("the leg %+v of %+v", leg, answer)
		}
		if one.Policy != "least_kv" {
			t.Errorf("who answers was chosen by %s", one.Policy)
		}
		r.say(t, t.Context(), "", system+"what now?", "this", "and then?")
		two := r.last()
		if len(two.Attempts) != 1 || two.Attempts[0].Target != one.Attempts[1].Target || two.Prefill.Target != "" || two.Prefill.Uncached >= 256 {
			t.Errorf("the next turn: %+v", two)
		}
		if two.Usage.CacheRead < 1000 {
			t.Errorf("where nobody was asked, what is cached is what the engine says: %+v", two.Usage)
		}
		r.say(t, t.Context(), `,"stream":true`, system+words("beta", 1500))
		three := r.last()
		if len(three.Attempts) != 2 || three.Attempts[0].Target != one.Attempts[0].Target {
			t.Fatalf("another conversation: %+v", three)
		}
		if leg := three.Attempts[0].Usage; leg.CacheRead < 1000 || three.Usage.CacheRead != leg.CacheRead {
			t.Errorf("%d tokens were cached where the prompt was computed, and %d count", leg.CacheRead, three.Usage.CacheRead)
		}
		m := scrape(r.metrics)
		if m[`tailplane_prefill_legs_total{model="m",outcome="ok"}`] != 2 || m[`tailplane_prefill_legs_total{model="m",outcome="cached"}`] != 1 || m[`tailplane_prefill_leg_seconds_count{model="m"}`] != 2 {
			t.Errorf("%v", m)
		}
		if m[`tailplane_tokens_total{direction="input",model="m"}`] != float64(one.Usage.Input+two.Usage.Input+three.Usage.Input) {
			t.Error("the tokens of a leg count twice")
		}
		if m[`tailplane_overhead_seconds_sum{model="m"}`] > 0.001 {
			t.Error("the time of a leg counts as the gateway's own")
		}
	})
}

// TestAPrefillSideThatDiesFailsNoRequest: after a few faults it is left alone, and its
// healthy part has all; without one the engines that decode do everything.
func TestAPrefillSideThatDiesFailsNoRequest(t *testing.T) {
	bubble(t, strings.Replace(divided, "served_as: big,", "served_as: big, policy: round_robin,", 1), func(t *testing.T, r *rig) {
		r.engines(t, "d1", "d2", "p2")
		ask := func(n int) {
			for i := range n {
				if w := r.say(t, t.Context(), "", words(fmt.Sprint("s", i, "x", len(r.records())), 400)); w.Code != 200 {
					t.Fatalf("request %d: %d %s", i, w.Code, w.Body)
				}
			}
		}
		ask(30)
		m := scrape(r.metrics)
		failed, done := m[`tailplane_prefill_legs_total{model="m",outcome="failed"}`], m[`tailplane_prefill_legs_total{model="m",outcome="ok"}`]
		if failed < 2 || failed > 8 || failed+done != 30 {
			t.Errorf("%v legs failed and %v did not", failed, done)
		}
		last := r.last()
		if last.Prefill.Target != "p2" || len(last.Prefill.Choice) != 2 || last.Prefill.Choice[1].Not == "" {
			t.Errorf("the last one: %+v", last.Prefill)
		}
		r.gateway.Swap(r.plane(strings.Replace(divided, "pool: [p1, p2]", "pool: [p2]", 1)))
		r.fleet.Target("p2").Drain(fleet.DrainLive, true)
		ask(3)
		if last := r.last(); len(last.Attempts) != 1 || last.Prefill.Target != "" || last.Prefill.Why != "no replica of the prefill side is ready" || last.Prefill.Choice[0].Not != "it is drained" {
			t.Errorf("without a prefill side: %+v", last)
		}
	})
}

// TestReplicasAreBusyWithWhatIsOnItsWayToThem: one that will decode counts a request
// while its prompt is computed, so that many at once are spread; a prefill replica takes
// one prompt at a time, and as many requests as its limit allows, and the others go
// without.
func TestReplicasAreBusyWithWhatIsOnItsWayToThem(t *testing.T) {
	for _, c := range []struct {
		name, limit string
		requests    int
		busy        map[string]int64
		ok, unready float64
	}{
		{"no limit", "", 4, map[string]int64{"d1": 2, "d2": 2, "p2": 1}, 2, 0}, // the others would be computed too late

		{"one at a time", ", limits: {in_flight: 1}", 2, map[string]int64{"d1": 1, "d2": 1, "p2": 1}, 1, 1},
		{"one in a minute", ", limits: {requests: 1/m}", 2, map[string]int64{"d1": 1, "d2": 1, "p2": 1}, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(divided, `p2: {kind: vllm, url: "http://p2"`, `p2: {kind: vllm, url: "http://p2"`+c.limit, 1)
			bubble(t, strings.Replace(text, "pool: [p1, p2]", "pool: [p2]", 1), func(t *testing.T, r *rig) {
				r.engines(t, "d1", "d2", "p2")
				var asked sync.WaitGroup
				for i := range c.requests {
					asked.Go(func() { r.say(t, t.Context(), "", words(fmt.Sprint("s", i, "x"), 3000)) })
					synctest.Wait()
				}
				for name, want := range c.busy {
					if n := r.fleet.Target(name).View(time.Now(), "big").InFlight; n != want {
						t.Errorf("%s has %d in flight, want %d", name, n, want)
					}
				}
				asked.Wait()
				m := scrape(r.metrics)
				if ok, unready := m[`tailplane_prefill_legs_total{model="m",outcome="ok"}`], m[`tailplane_prefill_legs_total{model="m",outcome="unready"}`]; ok != c.ok || unready != c.unready {
					t.Errorf("%v legs were made, %v could not be", ok, unready)
				}
			})
		})
	}
}

// TestANamedPrefillReplicaIsBusyUntilTheFirstToken: by llm-d's convention nobody tells
// when the prompt is computed.
func TestANamedPrefillReplicaIsBusyUntilTheFirstToken(t *testing.T) {
	text := strings.Replace(divided, "convention: vllm", "convention: llm-d, threshold: 1", 1)
	bubble(t, text, func(t *testing.T, r *rig) {
		for _, name := range []string{"d1", "d2"} {
			r.host(name, reply(t, "@delay 2s\nHTTP 200\ncontent-type: text/event-stream\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n@delay 2s\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"))
		}
		busy := func() (n int64) {
			return r.fleet.Target("p1").View(time.Now(), "big").InFlight + r.fleet.Target("p2").View(time.Now(), "big").InFlight
		}
		var asked sync.WaitGroup
		asked.Go(func() { r.say(t, t.Context(), `,"stream":true`, "how do you do?") })
		time.Sleep(time.Second)
		if n := busy(); n != 1 {
			t.Errorf("%d are busy before the first token", n)
		}
		time.Sleep(2 * time.Second)
		if n := busy(); n != 0 {
			t.Errorf("%d are busy behind the first token", n)
		}
		asked.Wait()
		if last := r.last(); last.Outcome != ledger.OutcomeOK || len(last.Attempts) != 1 || last.Prefill.Target == "" {
			t.Errorf("%+v", last)
		}
	})
}

// TestExplainTellsWhoWouldComputeThePrompt and asks nobody.
func TestExplainTellsWhoWouldComputeThePrompt(t *testing.T) {
	bubble(t, divided, func(t *testing.T, r *rig) {
		explain := func(text string) ledger.Prefill {
			return r.gateway.Explain(t.Context(), policy.Anonymous(), "/v1/chat/completions", http.Header{}, fmt.Appendf(nil, `{"model":"m","messages":[{"role":"user","content":%q}]}`, text)).Prefill
		}
		if p := explain(words("a", 900)); p.Target == "" || p.Policy != "auto" || p.Uncached < 256 || len(p.Choice) != 2 || p.Choice[0].Cost == 0 {
			t.Errorf("a long prompt: %+v", p)
		}
		if p := explain("hi"); p.Target != "" || !strings.Contains(p.Why, "fewer than 256 tokens") {
			t.Errorf("a short prompt: %+v", p)
		}
		if n := len(r.records()); n != 0 {
			t.Errorf("%d exchanges are recorded", n)
		}
		for name, n := range scrape(r.metrics) {
			if strings.Contains(name, "prefill_legs") && n != 0 {
				t.Errorf("%s is %v", name, n)
			}
		}
	})
}

// TestAPrefillSideThatIsBehindIsNotWaitedFor: what would be computed much later there
// than where it is answered is computed where it is answered.
func TestAPrefillSideThatIsBehindIsNotWaitedFor(t *testing.T) {
	bubble(t, strings.Replace(divided, "pool: [p1, p2]", "pool: [p1]", 1), func(t *testing.T, r *rig) {
		r.engines(t, "d1", "d2", "p1")
		for i := range 100 { // until it is known how long such prompts take
			r.say(t, t.Context(), "", words(fmt.Sprint("w", i, "x"), 3000))
		}
		warm, warmed := scrape(r.metrics), len(r.records())
		most, stop := int64(0), make(chan struct{})
		var watched sync.WaitGroup
		watched.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					most = max(most, r.fleet.Target("p1").View(time.Now(), "big").InFlight)
				}
			}
		})
		var asked sync.WaitGroup
		for i := range 12 {
			asked.Go(func() { r.say(t, t.Context(), "", words(fmt.Sprint("s", i, "x"), 3000)) })
			synctest.Wait()
		}
		asked.Wait()
		m := scrape(r.metrics)
		made := func(outcome string) float64 {
			name := fmt.Sprintf(`tailplane_prefill_legs_total{model="m",outcome=%q}`, outcome)
			return m[name] - warm[name]
		}
		ok, busy := made("ok"), made("busy")
		close(stop)
		watched.Wait()
		if most > 2 {
			t.Errorf("%d prompts were at the prefill engine at once: they are to wait here", most)
		}
		if busy == 0 || ok < 4 || ok+busy != 12 {
			t.Errorf("%v legs were made, and %v would have been too late", ok, busy)
		}
		for _, ex := range r.records()[warmed:] {
			if p := &ex.Prefill; p.Target == "" && (len(ex.Attempts) != 1 || !strings.HasPrefix(p.Why, "p1 is ") && !strings.HasPrefix(p.Why, "the prefill side is full") || len(p.Choice) != 1) {
				t.Errorf("%+v", ex)
			}
			if strings.Contains(ex.Prefill.Why, "expired") {
				t.Errorf("a prompt has waited %v in vain, though it was known how long others take", ex.Queued)
			}
		}
	})
}
