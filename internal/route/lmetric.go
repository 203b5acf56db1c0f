package route

import "tailplane/internal/models"

// lmetric multiplies the new tokens that a replica would have to prefill with the
// size of its batch (arXiv 2603.15202). There are two readings of the first
// factor: of this prompt alone, or with what is queued there, as Dynamo has it,
// whose second factor is the memory that decoding holds. Neither has a constant.
type lmetric struct{ queued bool }

// FormQueued is the reading of lmetric that counts the queue.
const FormQueued = "queued"

func newLMetric(p models.Policy) Policy { return lmetric{queued: p.Form == FormQueued} }

// Rank is by the product; where it is zero by what is left of it.
func (p lmetric) Rank(_ *Query, rs []Replica) Why {
	for i := range rs {
		r := &rs[i]
		fresh, batch := float64(r.Prompt-r.Hit), float64(r.InFlight)
		if p.queued {
			fresh, batch = fresh+float64(r.Queued), float64(r.Context)+1
		}
		r.Cost = fresh*batch + 1e-6*(fresh+batch)
	}
	return "the least new prefill times batch"
}
