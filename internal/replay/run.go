package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tailplane/internal/kvevents"
	"tailplane/internal/route"
	"tailplane/internal/sim"
)

// Rules of this file: time is virtual. Of one instant the engines' events come
// first, in the order of the replicas, then what was planned, in the order of
// planning. Nothing takes time but the engines, the traces' own pauses, and
// gossip: networks and decisions are free.

// epoch is when virtual time begins, for routers, which want a date.
var epoch = time.Unix(1_600_000_000, 0)

// world is one run of one policy with one seed.
type world struct {
	setup    Setup
	trace    *Trace
	events   events
	now      time.Duration
	replicas []replica
	gateways []*gateway
	calls    []*call // by the engines' ids; nil when over
	spare    []*chain
	order    []int // scratch of send
	changes  []sim.CacheChange
	rng      *rand.Rand // in the order of events; what policies are compared by comes from mix
	out      Outcome
}

// replica is an engine and when it has something to do.
type replica struct {
	name   string
	engine *sim.Engine
	held   *kvevents.Held // what it says of its cache; nil where nobody listens
	load   sim.Load       // when its metrics were read last
	next   time.Duration
	due    bool
	dead   bool
}

// Run plays a trace once. The same arguments give the same outcome.
func Run(ctx context.Context, t *Trace, s Setup) (*Outcome, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s.Engine.BlockSize = t.Block
	w := &world{setup: s, trace: t, rng: rand.New(rand.NewPCG(s.Seed, 0x7265706c6179))}
	if err := w.build(); err != nil {
		return nil, err
	}
	for i := range w.replicas {
		if at, dies := s.Kill[i]; dies {
			w.events.plan(at, func() { w.kill(i) })
		}
	}
	if len(t.Sessions) > 0 {
		w.startSessions()
	} else {
		w.startRequests()
	}
	if s.Scrape > 0 {
		w.events.plan(0, w.scrape)
	}
	if err := w.play(ctx); err != nil {
		return nil, err
	}
	for i := range w.replicas {
		w.out.Preemptions += w.replicas[i].engine.Counters().Preemptions
	}
	return &w.out, nil
}

func (w *world) build() error {
	for i := range w.setup.Replicas {
		p := w.setup.Engine
		if speed, ok := w.setup.Slow[i]; ok {
			p = slowed(p, speed)
		}
		e, err := sim.NewEngine(p, mix(w.setup.Seed)+uint64(i))
		if err != nil {
			return err
		}
		r := replica{name: fmt.Sprintf("replica-%d", i), engine: e}
		if w.setup.Events {
			r.listen()
		}
		w.replicas = append(w.replicas, r)
	}
	for range w.setup.Gateways {
		w.addGateway()
	}
	return nil
}

// play lets things happen until nothing is left to happen.
func (w *world) play(ctx context.Context) error {
	for n := 0; ; n++ {
		if n&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		at, planned := w.events.next()
		if r := w.soonest(); r >= 0 && (!planned || w.replicas[r].next <= at) {
			w.now = w.replicas[r].next
			w.advance(r)
			continue
		}
		if !planned {
			return nil
		}
		e := w.events.pop()
		w.now = e.at
		e.do()
	}
}

// soonest is the replica whose engine has something to do first; -1 is none.
func (w *world) soonest() int {
	best := -1
	for i := range w.replicas {
		if r := &w.replicas[i]; r.due && (best < 0 || r.next < w.replicas[best].next) {
			best = i
		}
	}
	return best
}

// advance plays one event of an engine and passes on what it gave out.
func (w *world) advance(i int) {
	r := &w.replicas[i]
	for _, m := range r.engine.Advance(w.now) {
		if m.Token > 0 && !m.Done {
			continue
		}
		c := w.calls[m.ID]
		if !c.begun {
			c.begun, c.first, c.cached = true, w.now, m.Cached
			c.ticket.First(w.time())
		}
		if m.Done {
			w.ends(c)
		}
	}
	w.cached(r)
	r.next, r.due = r.engine.Next()
}

func (w *world) ends(c *call) {
	res := route.Result{OK: true, Input: c.req.Input, Cached: c.cached, Output: c.req.Output}
	if w.setup.Untold {
		res.Cached = -1
	}
	c.ticket.Done(w.time(), res)
	if !c.stranger {
		w.out.add(c, w.now)
	}
	w.leave(c)
}

// leave frees what a call held and lets its session go on.
func (w *world) leave(c *call) {
	w.spare = append(w.spare, c.chain)
	w.calls[c.id], c.chain = nil, nil
	if c.done != nil {
		c.done()
	}
}

// kill is the death of a replica. What it was writing is cut off; what it had
// not begun to answer is asked elsewhere by the gateway, which sees the
// connection end.
func (w *world) kill(i int) {
	w.replicas[i].dead, w.replicas[i].due = true, false
	hit := slices.DeleteFunc(slices.Clone(w.calls), func(c *call) bool { return c == nil || c.replica != i })
	for _, c := range hit {
		if c.stranger {
			continue
		}
		c.ticket.Done(w.time(), route.Result{Cached: -1})
		c.gateway.failed(i)
	}
	for _, c := range hit {
		if c.begun && !c.stranger {
			w.out.Cut++
		}
		if c.begun || c.stranger {
			w.leave(c)
			continue
		}
		w.out.Retried++
		w.send(c)
	}
}

func (w *world) time() time.Time { return epoch.Add(w.now) }
