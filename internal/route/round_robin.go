package route

// roundRobin asks the replicas in turn.
type roundRobin struct{ next int }

// Rank begins one further than the last time.
func (p *roundRobin) Rank(q *Query, rs []Replica) Why {
	for i := range rs {
		rs[i].Cost = float64((i - p.next%len(rs) + len(rs)) % len(rs))
	}
	if !q.Dry {
		p.next++
	}
	return "its turn"
}
