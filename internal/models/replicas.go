package models

import "slices"

// expand is a candidate itself, or where its target is discovered the replicas
// that there are now: of the first rank in the candidate's own group, of each
// further one in a group behind it. They are a pool, unless they share the
// traffic of neighbours by weight.
func expand(replicas map[string][]Replica, c Candidate) []Candidate {
	list, discovered := replicas[c.Target]
	if !discovered {
		return []Candidate{c}
	}
	if c.Weight == 0 && c.Policy.IsZero() {
		c.Policy.Name = PolicyAuto
	}
	out := make([]Candidate, 0, len(list))
	for _, r := range list {
		one := c
		one.Target, one.Group = r.Target, c.Group+r.Rank
		if r.Weight > 0 || c.Weight > 0 {
			one.Weight = max(1, r.Weight) * max(1, c.Weight)
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b Candidate) int { return a.Group - b.Group })
	return out
}

// Discovered are the discovered targets that a name leads to, as candidates that
// stand for their replicas, however many there are now.
func (c *Catalog) Discovered(name string) []Candidate {
	var list []Candidate
	if _, ok := c.plans[name]; ok {
		list = (&walk{config: c.config, targets: c.names, left: mostSteps}).flatten(name, 0)
	} else if target, model, ok := splitTarget(name, c.names); ok {
		list = []Candidate{{Target: target, Model: model}}
	}
	return slices.DeleteFunc(list, func(one Candidate) bool {
		_, discovered := c.replicas[one.Target]
		return !discovered
	})
}
