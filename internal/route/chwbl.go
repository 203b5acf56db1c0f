package route

import (
	"slices"

	"tailplane/internal/models"
)

// chwbl is consistent hashing with bounded loads (Mirrokni, Thorup and
// Zadimoghaddam, 2018) as KubeAI publishes it: a ring of points for each
// replica; a prompt walks from its own point to the first replica that has at
// most factor times the average in flight. The new request counts in the
// average and not at the replica, as there.
//
// The prompt's point is its lane (what stands up to the end of the first user
// message), where KubeAI takes that message's first hundred characters.
type chwbl struct {
	replication int
	factor      float64
	ring        []point
	of          []uint64 // the keys of the replicas that the ring was made for
}

type point struct {
	at    uint64
	place int
}

func newCHWBL(p models.Policy) Policy {
	return &chwbl{replication: p.Replication, factor: float64(p.LoadFactor) / 100}
}

// Rank is the order of the ring, those within the bound first.
func (p *chwbl) Rank(q *Query, rs []Replica) Why {
	p.build(rs)
	total := 1
	for i := range rs {
		total += rs[i].InFlight
		rs[i].Cost = -1
	}
	bound := float64(total) / float64(len(rs)) * p.factor
	start, _ := slices.BinarySearchFunc(p.ring, mix(q.lane()), func(a point, at uint64) int {
		if a.at < at {
			return -1
		}
		return 1
	})
	for step, left := 0, len(rs); left > 0; step++ {
		r := &rs[p.ring[(start+step)%len(p.ring)].place]
		if r.Cost >= 0 {
			continue
		}
		r.Cost = float64(len(rs) - left)
		if float64(r.InFlight) > bound {
			r.Cost += float64(len(rs))
		}
		left--
	}
	return "its place on the ring, within the bound of load"
}

// build makes the ring anew when the replicas are others.
func (p *chwbl) build(rs []Replica) {
	if slices.EqualFunc(p.of, rs, func(key uint64, r Replica) bool { return key == r.Key }) {
		return
	}
	p.of, p.ring = p.of[:0], p.ring[:0]
	for i := range rs {
		p.of = append(p.of, rs[i].Key)
		at := rs[i].Key
		for range p.replication {
			at = mix(at)
			p.ring = append(p.ring, point{at, i})
		}
	}
	slices.SortFunc(p.ring, func(a, b point) int {
		if a.at < b.at {
			return -1
		}
		return 1
	})
}

// lane is what a prompt shares with the rest of its conversation; chance where it
// shares nothing.
func (q *Query) lane() uint64 {
	if q.Chain.Lane != 0 {
		return q.Chain.Lane
	}
	if len(q.Chain.Marks) > 0 {
		return q.Chain.Marks[0].Hash
	}
	return q.Roll
}
