package route

import "slices"

// llmd scores as llm-d's default configuration does: the queue and the memory
// that engines publish, and the share of the prompt that matches, weighted 2, 2
// and 3; the highest score is asked.
type llmd struct{}

// Rank is by the score, turned round.
func (llmd) Rank(_ *Query, rs []Replica) Why {
	longest := slices.MaxFunc(rs, func(a, b Replica) int { return int(a.Engine.Waiting - b.Engine.Waiting) }).Engine.Waiting
	shortest := slices.MinFunc(rs, func(a, b Replica) int { return int(a.Engine.Waiting - b.Engine.Waiting) }).Engine.Waiting
	for i := range rs {
		r := &rs[i]
		queue, match := 1.0, 0.0
		if longest > shortest {
			queue = (longest - r.Engine.Waiting) / (longest - shortest)
		}
		if r.Prompt > 0 {
			match = float64(r.Hit) / float64(r.Prompt)
		}
		r.Cost = -(2*queue + 2*(1-r.Engine.KVUsage) + 3*match)
	}
	return "the highest of the weighted scores"
}
