package complexity

import (
	"errors"
	"math"
	"slices"
)

// steps is in how many parts a curve is cut: ten quantiles of the score.
const steps = 10

// Curve is how a router does on prompts that both models answered, by
// RouteLLM's protocol (github.com/lm-sys/RouteLLM, routellm/evals): the share of
// calls that the strong model gets is raised from 0 to 1 in ten steps, the
// prompts with the highest scores first, and at each the router's accuracy is
// looked at.
//
// Prompts of equal score are taken in no order: each part of them counts as
// good as all of them. The score of a constant router is that of chance, 0.5.
type Curve struct {
	Prompts  int                `json:"prompts"`
	Weak     float64            `json:"weak"`   // accuracy of the weak model alone
	Strong   float64            `json:"strong"` // and of the strong one
	Accuracy [steps + 1]float64 `json:"accuracy"`
	// APGR is the average performance gap recovered: the area between the router's
	// accuracy and the weak model's, over that between the strong one's and the
	// weak one's.
	APGR float64 `json:"apgr"`
	// CPT50 and CPT80 are the share of calls to the strong model, in percent, at
	// which half, and four fifths, of the gap is first recovered.
	CPT50 float64 `json:"cpt50"`
	CPT80 float64 `json:"cpt80"`
}

// ErrNoGap: without a strong model that is better than the weak one there is
// nothing to recover.
var ErrNoGap = errors.New("the strong model is not better than the weak one on these prompts")

// CurveOf measures scores, each the wish for the strong model, on samples that
// are pairs.
func CurveOf(samples []Sample, scores []float64) (Curve, error) {
	n := len(samples)
	order := make([]int, n)
	c := Curve{Prompts: n}
	for i := range samples {
		order[i] = i
		c.Weak += float64(samples[i].Weak)
		c.Strong += float64(samples[i].Strong)
	}
	if c.Strong <= c.Weak {
		return c, ErrNoGap
	}
	slices.SortStableFunc(order, func(a, b int) int { return compare(scores[b], scores[a]) })
	gain := gains(samples, scores, order)
	gap := c.Strong - c.Weak
	last := 0.0
	for k := range c.Accuracy {
		// Where a step does not fall between two prompts, a part of one counts.
		at, part := n*k/steps, float64(n*k%steps)/steps
		now := gain[at]
		if part > 0 {
			now += part * (gain[at+1] - gain[at])
		}
		c.Accuracy[k] = (c.Weak + now) / float64(n)
		if k > 0 {
			c.APGR += (now + last) / 2 / steps / gap
		}
		last = now
	}
	c.Weak, c.Strong = c.Weak/float64(n), c.Strong/float64(n)
	c.CPT50, c.CPT80 = c.calls(0.5), c.calls(0.8)
	return c, nil
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// gains are what the first k prompts of an order gain by the strong model, for
// each k; within equal scores it rises evenly.
func gains(samples []Sample, scores []float64, order []int) []float64 {
	gain := make([]float64, len(order)+1)
	for from := 0; from < len(order); {
		to, sum := from, 0.0
		for ; to < len(order) && scores[order[to]] == scores[order[from]]; to++ {
			sum += float64(samples[order[to]].Strong - samples[order[to]].Weak)
		}
		for k := from; k < to; k++ {
			gain[k+1] = gain[from] + sum*float64(k+1-from)/float64(to-from)
		}
		from = to
	}
	return gain
}

// calls is the share of strong calls, in percent, at which a share of the gap is
// first recovered, with straight lines between the steps.
func (c *Curve) calls(share float64) float64 {
	want := c.Weak + share*(c.Strong-c.Weak)
	for k := 1; k <= steps; k++ {
		if a, b := c.Accuracy[k-1], c.Accuracy[k]; b >= want {
			return (float64(k-1) + max(0, want-a)/math.Max(b-a, 1e-12)) * 100 / steps
		}
	}
	return 100
}
