package replay

import (
	"cmp"

	"tailplane/internal/kvevents"
	"tailplane/internal/route"
	"tailplane/internal/sim"
)

// listen has an engine's cache followed as the events of a real one are.
func (r *replica) listen() {
	r.engine.WatchCache()
	r.held = new(kvevents.Held)
	r.held.Begin()
}

// cached tells the gateways what became of an engine's cache.
func (w *world) cached(r *replica) {
	if r.held == nil {
		return
	}
	w.changes = r.engine.CacheChanges(w.changes[:0])
	if len(w.changes) == 0 {
		return
	}
	size := w.setup.Engine.BlockSize
	for i := range w.changes {
		r.held.Add(said(&w.changes[i], size))
	}
	c := r.held.Take()
	for _, g := range w.gateways {
		g.group.Cached(w.time(), r.name, route.Cached(c))
	}
}

// said is the event of a change.
func said(c *sim.CacheChange, size int) *kvevents.Event {
	e := kvevents.Event{Kind: kvevents.Stored, Hashes: []uint64{c.Hash}, BlockSize: size}
	if c.Removed {
		e.Kind = kvevents.Removed
	}
	return &e
}

// strange sends a request to an engine by the choice of a client that no gateway
// sees, if it is one of its conversations.
func (w *world) strange(c *call) bool {
	who := mix(cmp.Or(c.chain.Lane, c.salt) ^ mix(w.setup.Seed))
	if float64(who>>11)/(1<<53) >= w.setup.Strangers {
		return false
	}
	c.stranger, c.replica = true, int(mix(who)%uint64(len(w.replicas)))
	r := &w.replicas[c.replica]
	if r.dead || r.engine.Submit(w.now, sim.Request{ID: c.id, Prompt: c.req.Input, Output: c.req.Output, Hashes: c.chain.hashes}) != nil {
		w.leave(c)
		return true
	}
	r.next, r.due = r.engine.Next()
	return true
}
