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

// share is what a weighted step has led to: the candidates of its group from
// begin to before end.
type share struct{ weight, group, begin, end int }

// largestScale bounds what even multiplies weights by.
const largestScale = 1 << 20

// even gives the candidates of each share together the weight of its step, so
// that a split between two models splits their traffic, however many replicas
// stand behind each.
func even(out []Candidate, shares []share) {
	totals, scale := make([]int, len(shares)), 1
	for k, s := range shares {
		for i := s.begin; i < s.end; i++ {
			if out[i].Group == s.group {
				totals[k] += out[i].Weight / s.weight
			}
		}
		if totals[k] > 0 {
			scale = min(scale/common(scale, totals[k])*totals[k], largestScale)
		}
	}
	for k, s := range shares {
		for i := s.begin; i < s.end; i++ {
			if out[i].Group == s.group {
				out[i].Weight = max(1, out[i].Weight*scale/totals[k])
			}
		}
	}
}

// common is the greatest common divisor.
func common(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
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
