package watch_test

import (
	"fmt"
	"testing"
	"time"

	"tailplane/internal/upstream"
)

// since is a page of an engine that was started at that second.
func since(start, generated float64) string {
	return fmt.Sprintf("process_start_time_seconds %g\n%s", start, load(1, 0, generated))
}

// TestARestartEmptiesTheCacheOnce: seen by its start or its counters, at once after
// the engine was lost and within three looks otherwise, and never twice for one.
func TestARestartEmptiesTheCacheOnce(t *testing.T) {
	cases := map[string]struct {
		before, after string
		down          func(s *server)
		within        time.Duration
	}{
		"by its counters":       {load(1, 0, 500), load(1, 0, 3), nil, 2 * time.Second},
		"by its start":          {since(1000, 500), since(2000, 600), nil, 2 * time.Second},
		"it loads in between":   {since(1000, 500), since(2000, 3), func(s *server) { s.health = 503 }, 600 * time.Millisecond},
		"it fails its check":    {load(1, 0, 500), load(1, 0, 3), func(s *server) { s.health = 500 }, 600 * time.Millisecond},
		"its pages are missing": {load(1, 0, 500), load(1, 0, 3), func(s *server) { s.page = "" }, 2 * time.Second},
	}
	for name, c := range cases {
		bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
			r.server.set(func(s *server) { s.page = c.before })
			time.Sleep(3 * time.Second)
			if c.down != nil {
				// The metrics of the one that ends stay on its page until the next has them.
				r.server.set(func(s *server) { s.page = "" })
				r.server.set(c.down)
				time.Sleep(7 * time.Second)
			}
			r.server.set(func(s *server) { s.health, s.page = 200, c.after })
			time.Sleep(c.within)
			if r.counts.of("restart") != 1 || r.counts.of("emptied", "a") != 1 || !r.said("an engine was started anew") {
				t.Errorf("%s: %v after %v\n%s", name, r.counts.n, c.within, &r.log)
			}
			time.Sleep(time.Minute)
			if r.counts.of("restart") != 1 || r.counts.of("emptied", "a") != 1 || r.counts.of("changed", "a") != 0 {
				t.Errorf("%s: told again: %v", name, r.counts.n)
			}
		})
	}
}

// TestSeveralServersAtOneAddressAreNoRestart: their cache is kept, and it is said
// that they are several, whether each look meets another one or each stays a while.
func TestSeveralServersAtOneAddressAreNoRestart(t *testing.T) {
	for name, c := range map[string]struct{ stays, most int }{"each look": {1, 0}, "each for ten looks": {10, 1}, "each for two minutes": {240, 1}} {
		bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
			distrusted, looks := 0, 0
			r.server.set(func(s *server) {
				s.turns = func() string {
					looks++
					if looks/c.stays%2 == 1 {
						return since(2000, float64(100+looks))
					}
					return since(1000, float64(90000+looks))
				}
			})
			for range 1200 {
				time.Sleep(time.Second)
				r.watcher.Distrusted(func(_, why string) { distrusted++ })
			}
			if n := r.counts.of("emptied", "a"); n > c.most || r.counts.of("restart") != n || distrusted == 0 || !r.said("as if several servers were behind one address") {
				t.Errorf("%s: emptied %d times, not believed in %d looks\n%s", name, n, distrusted, &r.log)
			}
		})
	}
}

// TestAReplicaThatWasAwayIsComparedWithItself: while it restarts it is no target.
// One that was only away has its cache; one at another address is another one.
func TestAReplicaThatWasAwayIsComparedWithItself(t *testing.T) {
	away := func(r *rig) {
		time.Sleep(3 * time.Second)
		r.watcher.Watch(nil)
		time.Sleep(30 * time.Second)
	}
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		r.server.set(func(s *server) { s.page = since(1000, 500) })
		away(r)
		r.watch(upstream.Config{})
		time.Sleep(2 * time.Second)
		if r.counts.of("emptied", "a") != 0 {
			t.Errorf("it was away, and is taken for new: %v", r.counts.n)
		}
		away(r)
		r.server.set(func(s *server) { s.page = since(2000, 1) })
		r.watch(upstream.Config{})
		time.Sleep(100 * time.Millisecond)
		if r.counts.of("emptied", "a") != 1 || r.counts.of("restart") != 1 {
			t.Errorf("it restarted while it was no target: %v", r.counts.n)
		}
		stop := r.host("b", r.server)
		away(r)
		r.watch(upstream.Config{URL: "http://b"})
		time.Sleep(100 * time.Millisecond)
		if r.counts.of("emptied", "a") != 2 || r.counts.of("restart") != 1 || !r.said("another address") {
			t.Errorf("another address: %v", r.counts.n)
		}
		r.watcher.Watch(nil)
		time.Sleep(time.Second)
		r.client.CloseIdle()
		stop()
	})
}

// TestAnEngineThatSleepsHasNoCache, for which it need not restart.
func TestAnEngineThatSleepsHasNoCache(t *testing.T) {
	bubble(t, upstream.Config{}, func(t *testing.T, r *rig) {
		state := func(awake int) string {
			return load(0, 0, 500) + fmt.Sprintf("vllm:engine_sleep_state{sleep_state=\"awake\"} %d\n", awake)
		}
		for i, awake := range []int{1, 0, 1, 0} {
			r.server.set(func(s *server) { s.page = state(awake) })
			time.Sleep(5 * time.Second)
			if n := r.counts.of("emptied", "a"); n != (i+1)/2 || r.counts.of("restart") != 0 {
				t.Errorf("state %d: %v", i, r.counts.n)
			}
		}
	})
}
