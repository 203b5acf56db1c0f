package app

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"tailplane/internal/gateway"
	"tailplane/internal/kvevents"
	"tailplane/internal/route"
)

// publisher is one stream of cache events.
type publisher struct {
	target, address, topic string
}

// cacheEvents listens to the engines that publish what they cache. One goroutine,
// Run, starts and ends the listeners as planes come and go.
type cacheEvents struct {
	server *Server
	wanted chan map[publisher]bool // one slot, the newest

	mu      sync.Mutex
	streams map[publisher]*stream
	decide  map[string]bool // by target, whether its events say what is evicted
}

// stream is the listener to a publisher, and what that said of its cache.
type stream struct {
	*kvevents.Subscriber
	held kvevents.Held   // of the listener's goroutine
	said kvevents.Change // with the last batch; the owner's lock guards it
}

func newCacheEvents(s *Server) *cacheEvents {
	e := &cacheEvents{server: s, wanted: make(chan map[publisher]bool, 1), streams: map[publisher]*stream{}, decide: map[string]bool{}}
	s.metrics.Total("cache_events_total", "Cache events of engines, and batches of them that were lost.", []string{"upstream", "what"}, e.count)
	s.metrics.Watch("cache_events_decide", "Whether what is known of a cache follows its engine's events (1), or an estimate of its capacity (0).", []string{"upstream"}, e.state)
	return e
}

// count tells what came of each target, over its ranks.
func (e *cacheEvents) count(emit func(float64, ...string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	events, lost := map[string]uint64{}, map[string]uint64{}
	for p, sub := range e.streams {
		t := sub.Stats()
		events[p.target] += t.Events
		lost[p.target] += t.Lost
	}
	for target, n := range events {
		emit(float64(n), target, "event")
		emit(float64(lost[target]), target, "lost batch")
	}
}

// follow has the engines of a plane listened to.
func (e *cacheEvents) follow(p *gateway.Plane) {
	want := map[publisher]bool{}
	for i := range p.Targets {
		t := &p.Targets[i]
		for _, at := range t.Config.CacheEvents(t.Name) {
			want[publisher{t.Name, at.Address, t.Config.KVEvents.Topic}] = true
		}
	}
	select {
	case <-e.wanted:
	default:
	}
	e.wanted <- want // there is room: reloads come one at a time
}

// Run listens until ctx ends.
func (e *cacheEvents) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	running := map[publisher]context.CancelFunc{}
	for {
		select {
		case <-ctx.Done():
			for _, stop := range running {
				stop()
			}
			return nil
		case want := <-e.wanted:
			for p, stop := range running {
				if !want[p] {
					stop()
					delete(running, p)
				}
			}
			for p := range want {
				if running[p] != nil {
					continue
				}
				sub, err := e.open(p)
				if err != nil {
					e.server.log.Error("an engine's cache events cannot be listened to", "target", p.target, "error", err)
					continue
				}
				one, stop := context.WithCancel(ctx)
				running[p] = stop
				wg.Go(func() { _ = sub.Run(one) })
			}
			e.keep(running)
		}
	}
}

// state tells of each target whether its events decide.
func (e *cacheEvents) state(emit func(float64, ...string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for target, decide := range e.decide {
		value := 0.0
		if decide {
			value = 1
		}
		emit(value, target)
	}
}

// open makes the listener to one engine.
func (e *cacheEvents) open(p publisher) (*kvevents.Subscriber, error) {
	dialer, err := e.server.direct(e.server.outside.Load())
	if err != nil {
		return nil, fmt.Errorf("the way to %s: %w", p.address, err)
	}
	groups, t := &e.server.groups, new(stream)
	t.Subscriber = kvevents.New(p.address, p.topic, kvevents.Options{
		Dial:  dialer.DialContext,
		Begun: t.held.Begin,
		Event: func(ev kvevents.Event) {
			t.held.Add(&ev)
			if ev.Kind == kvevents.Cleared {
				groups.Cleared(p.target)
			}
		},
		Batch: func() { e.tell(p, t) },
		Lost: func(l kvevents.Lost) {
			t.held.Miss(l)
			if l.Restarted {
				groups.Cleared(p.target)
			}
		},
		Log: e.server.log.Logger,
	})
	e.mu.Lock()
	e.streams[p] = t
	if !e.decide[p.target] {
		e.decide[p.target] = false // it is told of
	}
	e.mu.Unlock()
	return t.Subscriber, nil
}

// tell brings what a publisher said to the groups, with what the other ranks of its
// target hold, and logs when the events of a target begin to decide, or end to.
func (e *cacheEvents) tell(p publisher, t *stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.streams[p] != t {
		return // it is listened to no more
	}
	target := p.target
	t.said = t.held.Take()
	c := route.Cached{Stored: t.said.Stored, Removed: t.said.Removed, Exact: true}
	for p, other := range e.streams {
		if p.target == target {
			c.Held += other.said.Held
			c.Exact = c.Exact && other.said.Exact
		}
	}
	decide := e.server.groups.Cached(time.Now(), target, c)
	if decide == e.decide[target] {
		return
	}
	e.decide[target] = decide
	if decide {
		e.server.log.Info("cache events: what is known of the cache follows them", "target", target, "tokens", c.Held)
		return
	}
	e.server.log.Warn("cache events: they are not all there, cannot be true, or other gateways send there, too; what is known of the cache follows its capacity", "target", target)
}

// keep forgets the streams that have ended, and what they said.
func (e *cacheEvents) keep(running map[publisher]context.CancelFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	heard := map[string]bool{}
	for p := range running {
		heard[p.target] = true
	}
	maps.DeleteFunc(e.streams, func(p publisher, _ *stream) bool { return running[p] == nil })
	for target := range e.decide {
		if !heard[target] {
			delete(e.decide, target)
			e.server.groups.Cached(time.Now(), target, route.Cached{}) // an estimate decides
		}
	}
}
