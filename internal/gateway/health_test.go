package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tailplane/internal/fleet"
	"tailplane/internal/llm"
	"tailplane/internal/llmtest"
)

// lose has so many connections of targets fail.
func (r *rig) lose(n int, targets ...string) {
	for _, name := range targets {
		state := r.fleet.Target(name)
		for range n {
			state.Begin(time.Now(), 0)
			state.Report(time.Now(), "x", &llm.Fault{Kind: llm.FaultConnect, Scope: llm.ScopeTarget})
			state.End()
		}
	}
}

// answered sends so many requests and counts who answered, "" where nobody did.
func (r *rig) answered(n int) map[string]int {
	out := map[string]int{}
	for range n {
		w := r.post(chatBody)
		out[w.Header().Get("X-Tailplane-Target")]++
		if w.Code != http.StatusOK && w.Header().Get("X-Tailplane-Target") != "" {
			r.t.Errorf("%d: %s", w.Code, w.Body)
		}
	}
	return out
}

const poolConfig = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}, c: {kind: vllm, url: "http://c"}}
models: {m: {pool: [a, b, c], served_as: x}}
keys: {required: false}
`

// TestWhenAllAreEjectedAllAreAsked, and not the first of them alone.
func TestWhenAllAreEjectedAllAreAsked(t *testing.T) {
	bubble(t, poolConfig, func(t *testing.T, r *rig) {
		for _, name := range []string{"a", "b", "c"} {
			r.host(name, reply(t, okScript))
			r.fleet.Target(name).Eject(time.Now(), fleet.CauseWedged)
		}
		got := r.answered(60)
		if len(got) != 3 || got[""] != 0 {
			t.Errorf("in panic %v answer", got)
		}
	})
}

// TestAMajorityIsNotLeftAloneForAJudgement: of three one may be ejected for a judgement;
// one without a connection stays so.
func TestAMajorityIsNotLeftAloneForAJudgement(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}, c: {kind: vllm, url: "http://c"}}
models: {m: {route: [{to: a/x, weight: 1}, {to: b/x, weight: 1}, {to: c/x, weight: 1}]}}
keys: {required: false}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		for _, name := range []string{"a", "b", "c"} {
			r.host(name, reply(t, okScript))
		}
		r.fleet.Target("b").Eject(time.Now(), fleet.CauseSlow)
		r.fleet.Target("c").Eject(time.Now(), fleet.CauseRate)
		if got := r.answered(60); got["a"] == 0 || got["b"] == 0 || got["c"] != 0 || got["b"] >= got["a"] {
			t.Errorf("two of three are judged, and %v answer", got)
		}
		r.fleet.Target("a").Eject(time.Now(), fleet.CauseSlow)
		r.lose(3, "b") // nobody is left but by judgement
		if got := r.answered(30); got[""] != 0 {
			t.Errorf("%v", got)
		}
	})
}

func TestADrainedTargetGetsNothing(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}}
models: {m: {route: [a/x, b/x]}}
keys: {required: false}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		a, b := r.host("a", reply(t, okScript)), r.host("b", reply(t, okScript))
		r.fleet.Target("a").Drain(fleet.DrainLive, true)
		if got := r.answered(10); got["b"] != 10 {
			t.Errorf("%v answer while a is drained", got)
		}
		r.fleet.Target("b").Drain(fleet.DrainLive, true)
		w := r.post(chatBody)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "it is drained") {
			t.Errorf("all are drained: %d %s", w.Code, w.Body)
		}
		if n := len(a.Heard()); n != 0 || len(b.Heard()) != 10 {
			t.Errorf("a drained target was asked %d times", n)
		}
		r.fleet.Target("a").Drain(fleet.DrainLive, false)
		if got := r.answered(1); got["a"] != 1 {
			t.Errorf("%v", got)
		}
	})
}

// TestASlowStartGetsLess of the traffic, and not nothing, whether it is drawn by weight
// or a policy ranks.
func TestASlowStartGetsLess(t *testing.T) {
	const targets = `
targets: {a: {kind: vllm, url: "http://a"}, b: {kind: vllm, url: "http://b"}}
keys: {required: false}
models:
`
	for name, model := range map[string]string{
		"by weight":   "{route: [{to: a/x, weight: 1}, {to: b/x, weight: 1}]}",
		"auto":        "{pool: [a, b], served_as: x}",
		"round_robin": "{pool: [a, b], served_as: x, policy: round_robin}",
	} {
		bubble(t, targets+"  m: "+model+"\n", func(t *testing.T, r *rig) {
			r.host("a", reply(t, okScript))
			r.host("b", reply(t, okScript))
			a := r.fleet.Target("a")
			a.Unready(time.Now(), time.Minute)
			a.Ready(time.Now())
			if got := r.answered(300); got["a"] < 10 || got["a"] > 80 {
				t.Errorf("%s: at its beginning it gets %d of 300", name, got["a"])
			}
			time.Sleep(time.Minute)
			if got := r.answered(300); got["a"] < 100 {
				t.Errorf("%s: after a minute it gets %d of 300", name, got["a"])
			}
		})
	}
}

// TestReadinessEndsWithTheOrderToStop, and requests are served on, each as the last
// of its connection.
func TestReadinessEndsWithTheOrderToStop(t *testing.T) {
	bubble(t, poolConfig, func(t *testing.T, r *rig) {
		for _, name := range []string{"a", "b", "c"} {
			r.host(name, reply(t, okScript))
		}
		check := func(ready, live int) {
			t.Helper()
			for path, want := range map[string]int{"/readyz": ready, "/health/readiness": ready, "/livez": live, "/health": live} {
				if w := r.send("GET", path, "", ""); w.Code != want {
					t.Errorf("%s: %d, want %d", path, w.Code, want)
				}
			}
			for _, body := range []string{chatBody, "{}"} {
				if w := r.post(body); w.Code != map[string]int{chatBody: 200, "{}": 400}[body] || (w.Header().Get("Connection") == "close") != (ready != 200 || body == "{}") {
					t.Errorf("%d, Connection: %q", w.Code, w.Header().Get("Connection"))
				}
			}
		}
		check(200, 200)
		r.gateway.Drain()
		check(503, 200)
	})
}

// TestOneThatIsLateAmongOthersIsAskedLess, though all of its answers are sound, and
// left alone when it stays so.
func TestOneThatIsLateAmongOthersIsAskedLess(t *testing.T) {
	config := strings.Replace(poolConfig, "served_as: x", "served_as: x, policy: round_robin, hedge: off", 1)
	bubble(t, config, func(t *testing.T, r *rig) {
		soon := reply(t, streamHead+"@delay 100ms\n"+streamBegin+streamFinish)
		late := reply(t, streamHead+"@delay 5s\n"+streamBegin+streamFinish)
		for name, script := range map[string]*llmtest.Reply{"a": soon, "b": soon, "c": late} {
			r.host(name, script)
		}
		var was []fleet.State // of c, as they follow each other
		for range 3 {         // each is known then
			r.post(streamBody)
		}
		for n := range 150 {
			if w := r.post(streamBody); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			for _, name := range []string{"a", "b"} {
				if is := r.fleet.Target(name).Standing(time.Now()).State; is != fleet.Healthy {
					t.Fatalf("%s is %v", name, is)
				}
			}
			is := r.fleet.Target("c").Standing(time.Now()).State
			if n < 60 && is != fleet.Healthy {
				t.Fatalf("c is %v after %d requests, before anybody can be told to be late", is, n)
			}
			if len(was) == 0 || is != was[len(was)-1] {
				was = append(was, is)
			}
		}
		if want := []fleet.State{fleet.Healthy, fleet.Degraded, fleet.Ejected}; len(was) < 3 || !slices.Equal(was[:3], want) {
			t.Errorf("c is %v, want first %v", was, want)
		}
	})
}
