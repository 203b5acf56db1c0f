package route

// leastKV asks the replica with the least of its KV cache in use and the least in
// flight, each as a share, so that neither outweighs the other. It is for replicas
// whose prompts are computed elsewhere: what they have to give is memory and places
// in a batch. One that holds the prompt spares the transfer of it, for which a little
// more load is taken.
type leastKV struct{}

// holdsShare is the load that a replica may have more than another one and be asked
// for having the whole prompt in its cache.
const holdsShare = 0.1

// Rank is by what is in use.
func (leastKV) Rank(_ *Query, rs []Replica) Why {
	all := len(rs)
	for i := range rs {
		all += rs[i].InFlight
	}
	for i := range rs {
		r := &rs[i]
		load := float64(r.InFlight) / float64(all*r.Weight)
		r.Cost = r.Fill + load - holdsShare*float64(max(0, r.Hit))/float64(max(1, r.Prompt))
	}
	return "the least KV cache in use and the least in flight"
}
