package route

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Groups are the groups of a process, by name: what was learned outlives the
// config that names it. The zero Groups is ready. Safe for concurrent use.
type Groups struct {
	// Tell is given what other gateways want to know; nil tells nobody. It is set
	// before the first group is made.
	Tell func(Delta)
	// Self is the name by which other gateways know this one.
	Self string

	mu     sync.Mutex
	byName map[string]*Group
	byKey  map[uint64]*Group
}

// Group returns the group of that name, making it when it is new. Its queries say by
// which policy they rank.
func (gs *Groups) Group(name string) *Group {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g, ok := gs.byName[name]
	if !ok {
		if gs.byName == nil {
			gs.byName, gs.byKey = map[string]*Group{}, map[uint64]*Group{}
		}
		g = NewGroup(name, auto{}, gs.Tell)
		g.self = gs.Self
		gs.byName[name], gs.byKey[g.key] = g, g
	}
	return g
}

// Peek is [Groups.Group] for a look: a group that there is not is made for the caller
// alone.
func (gs *Groups) Peek(name string) *Group {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g, ok := gs.byName[name]; ok {
		return g
	}
	return NewGroup(name, auto{}, nil)
}

// each calls do for every group.
func (gs *Groups) each(do func(g *Group)) {
	gs.mu.Lock()
	list := slices.Collect(maps.Values(gs.byName))
	gs.mu.Unlock()
	for _, g := range list {
		do(g)
	}
}

// Apply takes in what another gateway told.
func (gs *Groups) Apply(now time.Time, peer string, d Delta) {
	gs.mu.Lock()
	g := gs.byKey[d.Group]
	gs.mu.Unlock()
	if g != nil {
		g.Apply(now, peer, d)
	}
}

// Silent forgets the load that a gateway told of, which is not heard any more.
func (gs *Groups) Silent(now time.Time, peer string) {
	gs.each(func(g *Group) { g.Silent(now, peer) })
}

// Forget lets go of what was learned of a target that has gone, or serves
// something else now.
func (gs *Groups) Forget(target string) { gs.each(func(g *Group) { g.forget(target) }) }

// Cleared says that a target's cache is empty: its engine has started anew.
func (gs *Groups) Cleared(target string) {
	gs.each(func(g *Group) {
		g.of(target, func(m *member) { g.index.Clear(m.slot); m.adapters = adapters{}; m.events.began(); g.resize(m) })
	})
}
