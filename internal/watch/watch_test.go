package watch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tailplane/internal/engine"
	"tailplane/internal/fleet"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
	"tailplane/internal/sim"
	"tailplane/internal/upstream"
	"tailplane/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSignalsReachTheFleet(t *testing.T) {
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		r.server.set(func(s *server) { s.page = load(3, 2, 10) })
		time.Sleep(2 * time.Second)
		s := r.state.Signals(time.Now())
		if !s.Known.Has(engine.SignalRunning|engine.SignalWaiting|engine.SignalKVUsage) || s.Running != 3 || s.Waiting != 2 || s.KVUsage != 0.5 {
			t.Errorf("%+v", s)
		}
		if n := r.server.count("/metrics"); n < 4 || n > 6 {
			t.Errorf("looked at %d times in two seconds", n)
		}
		if r.standing().State != fleet.Healthy {
			t.Errorf("%+v", r.standing())
		}
		var missing []string
		r.watcher.Missing(func(_, signal string) { missing = append(missing, signal) })
		if want := []string{"kv_tokens", "prefix_cache", "preemptions", "adapters", "awake"}; !slices.Equal(missing, want) {
			t.Errorf("missing %v, want %v", missing, want)
		}
		r.server.set(func(s *server) { s.page = "" }) // it says nothing any more
		time.Sleep(5 * time.Second)
		if s := r.state.Signals(time.Now()); s.Known.Has(engine.SignalRunning) || !s.Known.Has(engine.SignalGenerated) {
			t.Errorf("after five seconds of silence %v is known", s.Known.Names())
		}
		if r.counts.of("scrape", "status") < 5 || !r.said("cannot be had; it is balanced by what is in flight here") {
			t.Errorf("counted %v, said %s", r.counts.n, &r.log)
		}
		if v := r.state.View(time.Now(), "m"); v.Broken || v.Penalty > 0 {
			t.Errorf("a target without metrics is taken for a sick one: %+v", v)
		}
		r.server.set(func(s *server) { s.page = load(1, 0, 11) })
		time.Sleep(time.Second)
		if s := r.state.Signals(time.Now()); s.Running != 1 || !s.Known.Has(engine.SignalRunning) || !r.said("can be had again") {
			t.Errorf("%+v %s", s, &r.log)
		}
	})
}

// TestAStandstillIsFound, whatever the health endpoint says: with work in the
// batch, and with work in front of an empty one. It is over when something moves.
func TestAStandstillIsFound(t *testing.T) {
	for name, page := range map[string]string{"in the batch": load(4, 0, 1000), "in front of it": load(0, 7, 1000)} {
		bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
			for i := range 20 { // it works
				r.server.set(func(s *server) { s.page = load(4, 0, float64(i)) })
				time.Sleep(time.Second)
			}
			r.server.set(func(s *server) { s.page = page })
			begun := time.Now()
			for r.standing().State != fleet.Ejected {
				if time.Since(begun) > 30*time.Second {
					t.Fatalf("%s: not found in half a minute: %+v", name, r.standing())
				}
				time.Sleep(100 * time.Millisecond)
			}
			if since := time.Since(begun); since < 15*time.Second {
				t.Errorf("%s: left alone after %v already", name, since)
			}
			if s := r.standing(); s.Cause != fleet.CauseWedged || !r.state.View(time.Now(), "m").Broken {
				t.Errorf("%s: %+v", name, s)
			}
			time.Sleep(time.Minute) // health says 200 all the time
			if s := r.standing(); s.State != fleet.Ejected || r.server.count("/health") < 10 || !r.said("why=wedged") {
				t.Errorf("%s: after a minute %+v, said %s", name, s, &r.log)
			}
			r.server.set(func(s *server) { s.page = load(0, 0, 1001) })
			time.Sleep(6 * time.Second)
			if r.state.View(time.Now(), "m").Broken {
				t.Errorf("%s: it moves, and is not tried: %+v", name, r.standing())
			}
		})
	}
}

// TestWhatLooksLikeAStandstill and is none.
func TestWhatLooksLikeAStandstill(t *testing.T) {
	cases := map[string]func(r *rig, second int){
		"nothing to do": func(r *rig, _ int) { r.server.set(func(s *server) { s.page = load(0, 0, 5) }) },
		"a long prompt in pieces": func(r *rig, i int) {
			r.server.set(func(s *server) {
				s.page = strings.Replace(load(1, 0, 5), "perc{engine=\"0\"} 0.5", fmt.Sprintf("perc{engine=\"0\"} 0.%d", 100+i), 1)
			})
		},
		"a page that stands still while answers come": func(r *rig, _ int) {
			r.server.set(func(s *server) { s.page = load(3, 0, 5) })
			r.serve(1)
		},
		"no counters": func(r *rig, _ int) { r.server.set(func(s *server) { s.page = "vllm:num_requests_running 4\n" }) },
		"looks that fail in between": func(r *rig, i int) {
			r.server.set(func(s *server) { s.page = []string{load(3, 0, 5), ""}[i/12%2] })
		},
	}
	for name, play := range cases {
		bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
			for i := range 90 {
				play(r, i)
				time.Sleep(time.Second)
				if s := r.standing(); s.State == fleet.Ejected {
					t.Fatalf("%s: left alone after %d s: %+v", name, i, s)
				}
			}
		})
	}
}

// TestLiesAreNotUsed: values that cannot be true, counters that stand still while
// answers come, pages of several servers behind one address, pages that are none.
func TestLiesAreNotUsed(t *testing.T) {
	distrusted := func(r *rig) (why string) {
		r.watcher.Distrusted(func(_, reason string) { why = reason })
		return why
	}
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		r.server.set(func(s *server) { s.page = strings.Replace(load(1e12, 3, 5), " 0.5", " 7.3", 1) })
		time.Sleep(3 * time.Second)
		s := r.state.Signals(time.Now())
		if s.Known.Has(engine.SignalRunning) || s.Known.Has(engine.SignalKVUsage) || s.Waiting != 3 {
			t.Errorf("impossible values: %+v", s)
		}
		if r.counts.of("refused", "running") < 5 || r.counts.of("refused", "kv_usage") < 5 {
			t.Errorf("counted %v", r.counts.n)
		}
	})
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		r.server.set(func(s *server) { s.page = load(9, 9, 5) })
		for range 20 {
			time.Sleep(time.Second)
			r.serve(1)
		}
		if s := r.state.Signals(time.Now()); s.Known != 0 || distrusted(r) != "frozen" || !r.said("balanced by what is in flight here") {
			t.Errorf("a frozen page: %v, %q, %s", s.Known.Names(), distrusted(r), &r.log)
		}
		r.server.set(func(s *server) { s.page = load(1, 0, 6) })
		time.Sleep(time.Second)
		if s := r.state.Signals(time.Now()); s.Running != 1 || distrusted(r) != "" || !r.said("used again") {
			t.Errorf("it moves again: %+v", s)
		}
	})
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		for i := range 60 {
			r.server.set(func(s *server) { s.page = load(float64(i%2*50), 0, float64(1000+i-500*(i%2))) })
			time.Sleep(500 * time.Millisecond)
		}
		if s := r.state.Signals(time.Now()); s.Known != 0 || distrusted(r) != "unsteady" {
			t.Errorf("two servers at one address: %v, %q", s.Known.Names(), distrusted(r))
		}
		r.server.set(func(s *server) { s.page = load(2, 0, 2000) })
		time.Sleep(62 * time.Second)
		if distrusted(r) != "" {
			t.Error("it is never believed again")
		}
	})
	for name, page := range map[string]string{"garbage": "\x00\xff{]}\n\x01\n", "a web page": "<html>\n<body>\n", "JSON": `[{"iter":1}]`} {
		bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
			r.server.set(func(s *server) { s.page = page })
			time.Sleep(5 * time.Second)
			if v := r.state.View(time.Now(), "m"); r.counts.of("scrape", "garbage") < 5 || v.Broken {
				t.Errorf("%s: counted %v, %+v", name, r.counts.n, v)
			}
		})
	}
}

func TestANewModelAndANewStartAreTold(t *testing.T) {
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		time.Sleep(61 * time.Second)
		if r.counts.of("identity") != 0 || r.counts.of("changed", "a") != 0 {
			t.Fatalf("the first look is a change: %v", r.counts.n)
		}
		r.server.set(func(s *server) { s.models = `{"data":[{"id":"m","created":77,"root":"r2","max_model_len":8192}]}` })
		time.Sleep(2 * time.Minute)
		if r.counts.of("identity") != 1 || r.counts.of("changed", "a") != 1 || !r.said("another model under the same name") {
			t.Errorf("another model: %v, %s", r.counts.n, &r.log)
		}
		r.server.set(func(s *server) { s.models = `{"data":[{"id":"other"}]}` })
		time.Sleep(3 * time.Minute)
		if r.counts.of("identity") != 2 || r.counts.of("emptied", "a") != 1 || !r.said("does not list a model any more") {
			t.Errorf("a model that is gone: %v, %s", r.counts.n, &r.log)
		}
		r.server.set(func(s *server) { s.page = load(1, 0, 500) })
		time.Sleep(2 * time.Second)
		listed := r.server.count("/v1/models")
		for seen := listed; listed == seen; listed = r.server.count("/v1/models") { // the next look of its own is a minute away then
			time.Sleep(time.Second)
		}
		r.server.set(func(s *server) { s.page = load(1, 0, 3) })
		time.Sleep(7 * time.Second)
		if r.counts.of("restart") != 1 || r.counts.of("emptied", "a") != 2 || r.counts.of("changed", "a") != 1 || !r.said("started anew") {
			t.Errorf("a counter that begins anew: %v", r.counts.n)
		}
		if r.server.count("/v1/models") != listed+1 {
			t.Error("after a restart it is not looked which model is served")
		}
	})
}

func TestReadinessIsFollowed(t *testing.T) {
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		r.server.set(func(s *server) { s.health = 503 })
		time.Sleep(8 * time.Second)
		r.serve(1) // even while requests end well
		if v := r.state.View(time.Now(), "m"); !v.Broken || v.Cause != fleet.CauseUnready || r.standing().State != fleet.Warming {
			t.Errorf("it loads: %+v", v)
		}
		r.server.set(func(s *server) { s.health = 200 })
		time.Sleep(7 * time.Second)
		if v := r.state.View(time.Now(), "m"); v.Broken || v.Penalty == 0 || r.standing().State != fleet.SlowStart {
			t.Errorf("it has loaded: %+v, %+v", v, r.standing())
		}
		time.Sleep(40 * time.Second)
		r.serve(1)
		if v := r.state.View(time.Now(), "m"); v != (fleet.View{}) {
			t.Errorf("after the slow start: %+v", v)
		}
	})
}

// TestChecksCountOnlyWhereRequestsAreBlind: one that fails ejects an idle target,
// and none that serves; after it the target is tried at once.
func TestChecksCountOnlyWhereRequestsAreBlind(t *testing.T) {
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		r.server.set(func(s *server) { s.health = 500 })
		for range 60 {
			time.Sleep(time.Second)
			r.serve(1)
		}
		if s := r.standing(); s.State != fleet.Healthy {
			t.Errorf("one that serves is ejected by a check: %+v", s)
		}
		time.Sleep(16 * time.Second)
		if s := r.standing(); s.State != fleet.Ejected || s.Cause != fleet.CauseProbe {
			t.Errorf("an idle one is not: %+v", s)
		}
		time.Sleep(5 * time.Minute)
		r.server.set(func(s *server) { s.health = 200 })
		time.Sleep(6 * time.Second)
		if v := r.state.View(time.Now(), "m"); v.Broken || r.counts.of("health", "sick") < 10 || r.counts.of("health", "ready") < 1 {
			t.Errorf("it answers, and is not tried: %+v, %v", v, r.counts.n)
		}
	})
}

// TestATokenIsAskedForOnlyWhereItSaysMore: streamed, with a prompt that never
// begins alike; not while requests are served. Two that do not come eject,
// although the health endpoint says 200, and one that comes ends that.
func TestATokenIsAskedForOnlyWhereItSaysMore(t *testing.T) {
	c := upstream.Config{Watch: fleet.Look{Probe: fleet.Probe{Model: "m", Interval: 10 * time.Second}}}
	bubble(t, c, func(t *testing.T, r *rig) {
		r.server.set(func(s *server) { s.token = true })
		for range 60 {
			time.Sleep(time.Second)
			r.serve(1)
		}
		if n := r.server.count("/v1/chat/completions"); n > 1 {
			t.Errorf("asked %d times while requests are served", n)
		}
		time.Sleep(time.Minute)
		r.server.set(func(s *server) {
			if n := len(s.prompts); n < 4 || n > 8 {
				t.Errorf("asked %d times in a minute without requests", n)
			}
			var begins []string
			for _, body := range s.prompts {
				var q struct {
					Model     string
					Stream    bool
					MaxTokens int `json:"max_tokens"`
					Messages  []struct{ Content string }
				}
				if err := json.Unmarshal([]byte(body), &q); err != nil || q.Model != "m" || !q.Stream || q.MaxTokens != 1 || len(q.Messages) != 1 {
					t.Fatalf("asked %s: %v", body, err)
				}
				begins = append(begins, q.Messages[0].Content[:32])
			}
			slices.Sort(begins)
			if len(slices.Compact(begins)) != len(s.prompts) {
				t.Errorf("prompts begin alike: %q", begins)
			}
			s.token = false
		})
		time.Sleep(2 * time.Minute)
		if s := r.standing(); s.State != fleet.Ejected || s.Cause != fleet.CauseProbe || r.counts.of("token", "no token") < 2 {
			t.Errorf("no token comes, and health says 200: %+v, %v", s, r.counts.n)
		}
		r.server.set(func(s *server) { s.token = true })
		time.Sleep(45 * time.Second)
		if v := r.state.View(time.Now(), "m"); v.Broken || r.counts.of("token", "token") == 0 {
			t.Errorf("a token came, and it is not tried: %+v", v)
		}
	})
}

// TestAnEngineThatFlaps is left alone longer each time, and one whose checks
// answer slowly is not left alone at all.
func TestAnEngineThatFlapsOrIsSlow(t *testing.T) {
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		begun, asked := time.Now(), 0
		for time.Since(begun) < 10*time.Minute {
			if !r.state.View(time.Now(), "m").Broken {
				asked++
				r.fail(1)
			}
			time.Sleep(500 * time.Millisecond)
		}
		if asked > 15 {
			t.Errorf("one whose every connection fails was asked %d times in ten minutes", asked)
		}
	})
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		r.server.set(func(s *server) { s.slow = 1500 * time.Millisecond; s.page = load(2, 0, 5) })
		for i := range 60 {
			time.Sleep(time.Second)
			r.server.set(func(s *server) { s.page = load(2, 0, float64(i)) })
		}
		if v := r.state.View(time.Now(), "m"); v != (fleet.View{}) || !r.state.Signals(time.Now()).Known.Has(engine.SignalRunning) {
			t.Errorf("a slow but healthy engine: %+v, %v", v, r.state.Signals(time.Now()).Known.Names())
		}
	})
}

func TestAReloadKeepsWhatWasSeenAndStopsWhatIsGone(t *testing.T) {
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		r.server.set(func(s *server) { s.page = load(4, 0, 1000) })
		for range 8 {
			time.Sleep(3 * time.Second)
			r.watch(upstream.Config{}) // as a reload does
		}
		if s := r.standing(); s.Cause != fleet.CauseWedged {
			t.Errorf("reloads hide a standstill: %+v", s)
		}
		r.watch(upstream.Config{Watch: fleet.Look{Metrics: fleet.Off, Health: fleet.Off}})
		time.Sleep(time.Second)
		all := func() int {
			return r.server.count("/metrics") + r.server.count("/health") + r.server.count("/v1/models")
		}
		before := all()
		time.Sleep(3 * time.Minute)
		if after := all(); after != before {
			t.Errorf("switched off, and looked at %d times", after-before)
		}
		r.watch(upstream.Config{})
		time.Sleep(10 * time.Second)
		r.watcher.Watch(nil)
		time.Sleep(time.Second)
		before = r.server.count("/metrics")
		time.Sleep(time.Minute)
		if r.server.count("/metrics") != before {
			t.Error("a target that is gone is looked at")
		}
	})
}

// TestMetricsElsewhereGetNoCredential, and those at the target get it.
func TestMetricsElsewhereGetNoCredential(t *testing.T) {
	path := t.TempDir() + "/key"
	if err := os.WriteFile(path, []byte("sk-0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	ref, err := secret.Parse("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	c := upstream.Config{Kind: "triton", Key: ref, Watch: fleet.Look{Metrics: "http://b:8002/metrics"}}
	bubble(t, c, func(t *testing.T, r *rig) {
		other := &server{heard: map[string]int{}, page: "nv_trt_llm_request_metrics{request_type=\"waiting\"} 4\n"}
		stop := r.host("b", other)
		time.Sleep(2 * time.Second)
		if s := r.state.Signals(time.Now()); s.Waiting != 4 || s.Known != engine.SignalWaiting {
			t.Errorf("%+v", s)
		}
		r.watch(upstream.Config{Key: ref})
		time.Sleep(2 * time.Second)
		r.client.CloseIdle()
		stop()
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		if slices.ContainsFunc(other.keys, func(k string) bool { return k != "" }) || len(r.server.keys) == 0 || r.server.keys[0] != "Bearer sk-0123456789abcdef" {
			t.Errorf("elsewhere %q, at home %q", other.keys, r.server.keys)
		}
	})
}

// TestTheSimulatorsMetricsAreVLLMs: its load and cache, and a standstill when
// its cache is taken away from the requests that wait.
func TestTheSimulatorsMetricsAreVLLMs(t *testing.T) {
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		engines, err := sim.New(sim.Options{Models: []sim.Model{{ID: "fast", Profile: sim.Fast()}}, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- engines.Run(ctx) }()
		stop := r.host("s", engines)
		target, err := upstream.New("s", upstream.Config{Kind: "sim", URL: "http://s"}, r.client, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		state := r.fleet.Target("s")
		state.Begin(time.Now(), 0)
		state.End()
		r.watcher.Watch([]watch.Target{{Target: target, State: state, Models: []string{"fast"}}})
		time.Sleep(2 * time.Second)
		s := state.Signals(time.Now())
		if want := float64(sim.Fast().Blocks() * sim.Fast().BlockSize); s.KVTokens != want || !s.Known.Has(engine.SignalGenerated|engine.SignalKVUsage) {
			t.Errorf("%+v, want a cache of %g tokens", s, want)
		}
		if err := engines.Hold("fast", int(s.KVTokens)); err != nil {
			t.Fatal(err)
		}
		resp := make(chan *llm.Fault)
		go func() {
			a, f := target.Glimpse(ctx, upstream.Glimpse{Path: "/v1/completions", Body: []byte(`{"model":"fast","prompt":"hello","max_tokens":5}`)})
			if a != nil {
				a.Close()
			}
			resp <- f
		}()
		time.Sleep(29 * time.Second)
		if s := state.Standing(time.Now()); s.Cause != fleet.CauseWedged {
			t.Errorf("an engine without cache, with a request that waits: %+v, %+v", s, state.Signals(time.Now()))
		}
		if err := engines.Hold("fast", 0); err != nil {
			t.Fatal(err)
		}
		if f := <-resp; f != nil {
			t.Error(f)
		}
		time.Sleep(10 * time.Second)
		if state.View(time.Now(), "fast").Broken {
			t.Errorf("it moves, and is not tried: %+v", state.Standing(time.Now()))
		}
		r.watcher.Watch(nil)
		synctest.Wait()
		r.client.CloseIdle()
		stop()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestNobodyIsLookedAtUnasked: a target without a word of its own about watching is
// contacted after its first request, and not before.
func TestNobodyIsLookedAtUnasked(t *testing.T) {
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		unasked := &server{health: 200, heard: map[string]int{}, page: load(0, 0, 0)}
		stop := r.host("b", unasked)
		target, err := upstream.New("b", upstream.Config{Kind: "vllm", URL: "http://b"}, r.client, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		state := r.fleet.Target("b")
		r.watcher.Watch([]watch.Target{{Target: target, State: state}})
		time.Sleep(time.Minute)
		if n := unasked.total(); n != 0 {
			t.Errorf("it was asked %d things before its first request", n)
		}
		state.Begin(time.Now(), 0)
		state.End()
		time.Sleep(10 * time.Second)
		if unasked.total() == 0 {
			t.Error("it is not looked at after its first request")
		}
		stop()
	})
}
