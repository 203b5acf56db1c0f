package route

// lowestLatency asks the replica whose answers have lately been the quickest: its
// time to the first token, and the expected length of the answer at its pace. One
// that nothing is known of is asked first, so that something gets known.
type lowestLatency struct{}

// Rank is by what was measured.
func (lowestLatency) Rank(q *Query, rs []Replica) Why {
	for i := range rs {
		rs[i].Cost = rs[i].FirstToken + float64(q.Output)*rs[i].PerToken
	}
	return "the lowest latency measured"
}
