package app

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"tailplane/internal/gateway"
	"tailplane/internal/kvevents"
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
	streams map[publisher]*kvevents.Subscriber
}

func newCacheEvents(s *Server) *cacheEvents {
	e := &cacheEvents{server: s, wanted: make(chan map[publisher]bool, 1), streams: map[publisher]*kvevents.Subscriber{}}
	s.metrics.Total("cache_events_total", "Cache events of engines, and batches of them that were lost.", []string{"upstream", "what"}, e.count)
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
		for _, address := range t.Config.KVEvents.Addresses() {
			want[publisher{t.Name, address, t.Config.KVEvents.Topic}] = true
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

// open makes the listener to one engine.
func (e *cacheEvents) open(p publisher) (*kvevents.Subscriber, error) {
	dialer, err := e.server.direct(e.server.outside.Load())
	if err != nil {
		return nil, fmt.Errorf("the way to %s: %w", p.address, err)
	}
	groups := &e.server.groups
	sub := kvevents.New(p.address, p.topic, kvevents.Options{
		Dial: dialer.DialContext,
		Event: func(ev kvevents.Event) {
			if ev.Kind == kvevents.Cleared {
				groups.Cleared(p.target)
			}
		},
		Lost: func(l kvevents.Lost) {
			if l.Restarted {
				groups.Cleared(p.target)
			}
		},
		Log: e.server.log.Logger,
	})
	e.mu.Lock()
	e.streams[p] = sub
	e.mu.Unlock()
	return sub, nil
}

// keep forgets the streams that have ended.
func (e *cacheEvents) keep(running map[publisher]context.CancelFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.streams, func(p publisher, _ *kvevents.Subscriber) bool { return running[p] == nil })
}
