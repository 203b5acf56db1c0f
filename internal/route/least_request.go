package route

// leastRequest asks the replica with the least in flight; of several by chance.
type leastRequest struct{}

// Rank is by requests in flight.
func (leastRequest) Rank(q *Query, rs []Replica) Why {
	for i := range rs {
		rs[i].Cost = float64(rs[i].InFlight) + chance(q.Roll, rs[i].Key)
	}
	return "the least in flight"
}

// chance is uniform in [0, 1), another for each replica.
func chance(roll, key uint64) float64 { return float64(mix(roll^key)>>11) / (1 << 53) }
