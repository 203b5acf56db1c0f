package upstream

import (
	"slices"

	"tailplane/internal/discover"
)

// validateDiscovery reports what is wrong with a `discover:` section, and with
// what cannot stand beside one.
func (c Config) validateDiscovery(path string, report func(path, wrong, right string)) {
	if c.Discover.IsZero() {
		return
	}
	at := path + ".discover"
	c.Discover.Validate(at, report)
	if kind, ok := Find(c.Kind); ok && (!kind.Engine || kind == &simulator) {
		report(at, "replicas are found of engines alone, and "+kind.Name+" is none", "remove it, or use the kind of the server that runs there")
	}
	if c.URL != "" {
		report(path+".url", "the target has a url and says where its addresses are found", "keep one of url and discover")
	}
	if !c.KVEvents.Anywhere() {
		report(path+".kv_events.endpoint", "every replica would be taken for the engine that publishes there", "write tcp://*:PORT: each at its own host")
	}
	if c.Egress.Address != "" {
		report(path+".egress.address", "every replica would be dialed at one address", "remove it; replicas are dialed where they are found")
	}
}

// Replica is the config of one replica of a discovered target. The models that
// clients may call without naming the target stay the target's.
func (c Config) Replica(r discover.Replica) Config {
	c.URL, c.Discover, c.Models, c.Of = c.Discover.URL(r.Address), discover.Config{}, nil, r.Target
	c.Labels = slices.Concat(c.Labels, r.Labels)
	return c
}

// Called reports whether a name of the config means the target: its own, or that
// of the target whose replica it is.
func (t *Target) Called(name string) bool {
	return name == t.Name || t.Config.Of != "" && name == t.Config.Of
}
