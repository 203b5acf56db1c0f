package replay

import (
	"time"

	"tailplane/internal/models"
	"tailplane/internal/route"
)

// gateway is a router among others, with what it alone knows.
type gateway struct {
	group    *route.Group
	facts    []route.Facts
	decision route.Decision
	scraped  time.Duration
}

func (w *world) addGateway() {
	g := &gateway{scraped: -1}
	g.group = route.NewGroup("model", route.NewPolicy(models.Policy{Name: w.setup.Policy}), func(d route.Delta) { w.tell(g, d) })
	for i := range w.replicas {
		g.facts = append(g.facts, route.Facts{
			Name: w.replicas[i].name, Weight: 1,
			Engine: route.Engine{Known: route.SignalKVTokens, KVTokens: float64(w.setup.Engine.KVTokens)},
		})
	}
	w.gateways = append(w.gateways, g)
}

// tell brings what one gateway did to the others.
func (w *world) tell(from *gateway, d route.Delta) {
	if w.setup.Gossip.Off {
		return
	}
	for _, g := range w.gateways {
		if g == from || w.setup.Gossip.Loss > 0 && w.rng.Float64() < w.setup.Gossip.Loss {
			continue
		}
		spread := w.setup.Gossip.Max - w.setup.Gossip.Min
		delay := w.setup.Gossip.Min + time.Duration(w.rng.Float64()*float64(spread))
		w.events.plan(w.now+delay, func() { g.group.Apply(w.time(), d) })
	}
}

// arrives is a request's way from its gateway to an engine.
func (w *world) arrives(c *call) {
	roll := mix(mix(w.setup.Seed) ^ mix(c.salt) ^ uint64(len(w.calls)))
	c.id, c.arrived = uint64(len(w.calls)), w.now
	c.gateway = w.gateways[int(roll>>33)%len(w.gateways)]
	w.calls = append(w.calls, c)
	c.chain = w.chainOf(c)
	c.query = route.Query{Chain: c.chain.Chain, Roll: mix(roll)}
	w.send(c)
}

func (w *world) chainOf(c *call) *chain {
	var ch *chain
	if n := len(w.spare); n > 0 {
		ch, w.spare = w.spare[n-1], w.spare[:n-1]
	} else {
		ch = &chain{}
	}
	ch.build(c.req, w.trace.Block, c.lane, c.salt)
	return ch
}

// send asks the first of the gateway's order that takes the request.
func (w *world) send(c *call) {
	g := c.gateway
	w.scrape(g)
	g.decision.Order = g.decision.Order[:0]
	g.group.Pick(w.time(), &c.query, g.facts, &g.decision, false)
	for _, i := range g.decision.Order {
		c.replica = i
		if w.submit(c) {
			return
		}
	}
	w.out.Failed++
	w.leave(c)
}

// submit reports whether the engine took the request.
func (w *world) submit(c *call) bool {
	r := &w.replicas[c.replica]
	err := r.engine.Submit(w.now, engineRequest(c))
	if err != nil {
		return false
	}
	c.gateway.group.Sent(w.time(), &c.query, r.name, &c.ticket)
	r.next, r.due = r.engine.Next()
	return true
}

// scrape reads the engines' metrics again when they have got old.
func (w *world) scrape(g *gateway) {
	every := w.setup.Scrape
	if every <= 0 || g.scraped >= 0 && w.now-g.scraped < every {
		return
	}
	g.scraped = w.now - w.now%every
	for i := range w.replicas {
		l := w.replicas[i].engine.Load()
		e := &g.facts[i].Engine
		e.Known |= route.SignalRunning | route.SignalWaiting | route.SignalKVUsage
		e.Running, e.Waiting = float64(l.Running), float64(l.Waiting)
		e.KVUsage = float64(l.UsedBlocks) / float64(l.Blocks)
	}
}
