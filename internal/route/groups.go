package route

import (
	"sync"

	"tailplane/internal/models"
)

// Groups are the groups of a process, by name: what was learned outlives the
// config that names it. The zero Groups is ready. Safe for concurrent use.
type Groups struct {
	// Tell is given what other gateways want to know; nil tells nobody. It is set
	// before the first group is made.
	Tell func(Delta)

	mu     sync.Mutex
	byName map[string]*Group
	byKey  map[uint64]*Group
}

// Group returns the group of that name with the policy that the config asks for
// now, making it when it is new. A policy keeps its state as long as it is asked
// for in the same words.
func (gs *Groups) Group(name string, p models.Policy) *Group {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g, ok := gs.byName[name]
	if !ok {
		if gs.byName == nil {
			gs.byName, gs.byKey = map[string]*Group{}, map[uint64]*Group{}
		}
		g = NewGroup(name, NewPolicy(p), gs.Tell)
		g.asked = p
		gs.byName[name], gs.byKey[g.key] = g, g
		return g
	}
	g.use(p)
	return g
}

// use changes the policy when the config asks for another one, and keeps what
// was learned.
func (g *Group) use(p models.Policy) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p != g.asked {
		g.policy, g.asked = NewPolicy(p), p
	}
}
