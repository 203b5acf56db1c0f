package route

import (
	"tailplane/internal/models"
)

// smetric follows vLLM Router's policy of that name: a follow-up turn stays with
// its best match as long as what is queued there can be computed within the
// objective for the first token, or nobody can keep it; other prompts, and turns
// that must move, go where queued work times requests in flight is least. Work
// counts attention: n new tokens of a prompt of L cost lin*n + att*n*(L - n/2).
//
// The original's constants for work, hit ratio and slack are not recorded with
// its description; those here are ours.
type smetric struct {
	slo  float64 // seconds, and of that for each token of the prompt
	each float64
}

// A follow-up is a prompt of which followUp is in a cache; the objective for the
// first token is smetricTTFT and smetricEach for each token of the prompt.
const (
	followUp    = 0.5
	smetricEach = 0.2e-3
)

func newSMetric(p models.Policy) Policy {
	return smetric{slo: p.TTFT.Seconds(), each: smetricEach}
}

// Rank gives the one that is stayed with no cost.
func (p smetric) Rank(_ *Query, rs []Replica) Why {
	best, within := 0, false
	slo := p.slo + p.each*float64(rs[0].Prompt)
	for i := range rs {
		r := &rs[i]
		if r.Hit > rs[best].Hit {
			best = i
		}
		within = within || r.Queue <= slo
		r.Cost = 1 + r.Queue*float64(r.InFlight) + 1e-6*float64(r.InFlight)
	}
	r := &rs[best]
	if r.Prompt > 0 && float64(r.Hit) > followUp*float64(r.Prompt) && (r.Queue <= slo || !within) {
		r.Cost = 0
		return "it stays with its match while the objective holds"
	}
	return "the least queued work times batch"
}
