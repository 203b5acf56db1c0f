package replay

import (
	"cmp"
	"errors"
	"strconv"
	"time"

	"tailplane/internal/engine"
	"tailplane/internal/route"
	"tailplane/internal/sim"
)

// call is a request on its way.
type call struct {
	req      *Request
	id       uint64
	salt     uint64 // of its session
	lane     int
	gateway  *gateway
	replica  int // that it was sent to last; -1 is none yet
	chain    *chain
	query    route.Query
	ticket   route.Ticket
	arrived  time.Duration
	first    time.Duration
	cached   int
	begun    bool
	stranger bool   // of another client
	done     func() // its session goes on
}

// gateway is a router among others, with what it alone knows.
type gateway struct {
	name     string
	group    *route.Group
	facts    []route.Facts // of the replicas that may be asked
	places   []int         // which those are
	faults   []int         // in a row, by replica
	decision route.Decision
}

// mostFaults in a row keep a replica out. It never comes back: the dead stay so.
const mostFaults = 3

func (w *world) addGateway() {
	g := &gateway{name: strconv.Itoa(len(w.gateways)), faults: make([]int, len(w.replicas))}
	tell := func(d route.Delta) { w.tell(g, d) }
	if w.setup.Gossip.Off || w.setup.Gateways == 1 {
		tell = nil
	}
	g.group = route.NewGroup("model", route.NewPolicy(w.setup.Policy), tell)
	g.group.As(g.name)
	for i := range w.replicas {
		g.places = append(g.places, i)
		g.facts = append(g.facts, route.Facts{
			Name: w.replicas[i].name, Weight: 1,
			Engine: engine.Sample{Known: engine.SignalKVTokens, KVTokens: float64(cmp.Or(w.setup.Says, w.setup.Engine.KVTokens))},
		})
	}
	w.gateways = append(w.gateways, g)
}

// failed notes a fault of a replica, and keeps it out after some.
func (g *gateway) failed(replica int) {
	g.faults[replica]++
	if g.faults[replica] < mostFaults || len(g.places) == 1 {
		return
	}
	for at, i := range g.places {
		if i == replica {
			g.places = append(g.places[:at], g.places[at+1:]...)
			g.facts = append(g.facts[:at], g.facts[at+1:]...)
			return
		}
	}
}

// tell brings what one gateway did to the others.
func (w *world) tell(from *gateway, d route.Delta) {
	for _, g := range w.gateways {
		if g == from || w.setup.Gossip.Loss > 0 && w.rng.Float64() < w.setup.Gossip.Loss {
			continue
		}
		spread := w.setup.Gossip.Max - w.setup.Gossip.Min
		delay := w.setup.Gossip.Min + time.Duration(w.rng.Float64()*float64(spread))
		w.events.plan(w.now+delay, func() { g.group.Apply(w.time(), from.name, d) })
	}
}

// arrives is a request's way from its gateway to an engine. draw is what chance
// means for it: the same whatever the policy does.
func (w *world) arrives(c *call, draw uint64) {
	roll := mix(mix(w.setup.Seed) ^ draw)
	c.id, c.arrived, c.replica = uint64(len(w.calls)), w.now, -1
	c.gateway = w.gateways[(roll>>32)%uint64(len(w.gateways))]
	w.calls = append(w.calls, c)
	c.chain = w.chainOf(c)
	if w.strange(c) {
		return
	}
	c.query = route.Query{Chain: c.chain.Chain, Roll: mix(roll)}
	if w.setup.SessionIDs {
		c.query.Session = c.salt
	}
	w.send(c)
}

func (w *world) chainOf(c *call) *chain {
	ch := &chain{}
	if n := len(w.spare); n > 0 {
		ch, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	ch.build(c.req, w.trace.Block, c.lane, c.salt)
	return ch
}

// send asks the replicas in the order of the gateway's decision, until one
// takes the request; one that is held back is decided about anew.
func (w *world) send(c *call) {
	g := c.gateway
	g.decision.Order = g.decision.Order[:0]
	g.group.Pick(w.time(), &c.query, g.facts, &g.decision, false)
	if hold := g.decision.Hold; hold > 0 {
		c.query.Held = true
		w.events.plan(w.now+hold, func() { w.send(c) })
		return
	}
	w.order = w.order[:0]
	for _, i := range g.decision.Order {
		w.order = append(w.order, g.places[i])
	}
	for _, i := range w.order {
		switch err := w.submit(c, i); {
		case err == nil:
			return
		case errors.Is(err, sim.ErrTooLong):
			w.out.TooLong++
			w.leave(c)
			return
		}
	}
	w.out.Failed++
	w.leave(c)
}

// errDead is a refused connection.
var errDead = errors.New("replay: the replica is dead")

// submit tells the group of an attempt, and hands the request to the engine.
func (w *world) submit(c *call, replica int) error {
	r := &w.replicas[replica]
	c.replica = replica
	c.gateway.group.Sent(w.time(), &c.query, r.name, &c.ticket)
	err := errDead
	if !r.dead {
		err = r.engine.Submit(w.now, sim.Request{ID: c.id, Prompt: c.req.Input, Output: c.req.Output, Hashes: c.chain.hashes})
	}
	if err != nil {
		c.ticket.Done(w.time(), route.Result{Cached: -1})
		if err == errDead {
			c.gateway.failed(replica)
		}
		return err
	}
	c.gateway.faults[replica] = 0
	r.next, r.due = r.engine.Next()
	return nil
}

// scrape reads the engines' metrics, for all gateways at once, and plans the
// next time as long as anything else will happen.
func (w *world) scrape() {
	for i := range w.replicas {
		w.replicas[i].load = w.replicas[i].engine.Load()
	}
	for _, g := range w.gateways {
		for at, i := range g.places {
			l, e := &w.replicas[i].load, &g.facts[at].Engine
			e.Known |= engine.SignalRunning | engine.SignalWaiting | engine.SignalKVUsage
			e.Running, e.Waiting = float64(l.Running), float64(l.Waiting)
			e.KVUsage = float64(l.UsedBlocks) / float64(l.Blocks)
		}
	}
	if _, planned := w.events.next(); planned || w.soonest() >= 0 {
		w.events.plan(w.now+w.setup.Scrape, w.scrape)
	}
}
