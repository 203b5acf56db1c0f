package route

// random asks any replica.
type random struct{}

// Rank is by chance.
func (random) Rank(q *Query, rs []Replica) Why {
	for i := range rs {
		rs[i].Cost = chance(q.Roll, rs[i].Key)
	}
	return "drawn"
}
