package queuesim

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tailplane/internal/queue"
)

// call is one request of a simulated load.
type call struct {
	at             time.Duration
	tenant         string
	band           queue.Band
	prompt, output int

	sent, first, done time.Duration // -1: never
	refused           queue.Reason
}

func (c *call) ttft() float64 { return (c.first - c.at).Seconds() }

// Lengths draws prompts and answers, in tokens: log-normal prompts, geometric answers.
type Lengths struct {
	Median, Sigma float64 // of prompts; Sigma is that of their logarithms
	Most          int     // no prompt is longer
	Output        float64 // mean of the answers
}

// Chats are prompts of 3000 tokens in the median, 4500 on average, with answers
// of 150.
func Chats() Lengths { return Lengths{Median: 3000, Sigma: 0.9, Most: 32_000, Output: 150} }

// Shorts are prompts of 800 tokens in the median, 1200 on average: there the
// decoding is a third of the work, and a step of a full batch is long beside a
// prompt.
func Shorts() Lengths { return Lengths{Median: 800, Sigma: 0.9, Most: 32_000, Output: 150} }

// load is one tenant's Poisson process.
type load struct {
	tenant string
	band   queue.Band
	rate   float64 // requests a second
	of     Lengths
	weight float64
}

// calls draws what the tenants ask for until the end, each from its own source,
// so that one tenant's requests are the same whatever the others do.
func calls(seed uint64, until time.Duration, loads ...load) []*call {
	var out []*call
	for _, l := range loads {
		own := uint64(14695981039346656037)
		for _, c := range []byte(l.tenant) {
			own = (own ^ uint64(c)) * 1099511628211
		}
		rng := rand.New(rand.NewPCG(own, seed))
		for at := time.Duration(0); ; {
			at += time.Duration(rng.ExpFloat64() / l.rate * float64(time.Second))
			if at > until {
				break
			}
			prompt := min(l.of.Most, 16+int(l.of.Median*math.Exp(l.of.Sigma*rng.NormFloat64())))
			output := 1 + int(rng.ExpFloat64()*l.of.Output)
			out = append(out, &call{at: at, tenant: l.tenant, band: l.band, prompt: prompt, output: output, sent: -1, first: -1, done: -1})
		}
	}
	slices.SortStableFunc(out, func(a, b *call) int { return int(a.at - b.at) })
	return out
}

// runs are the calls of each seed.
type runs [][]*call

// all are those of every seed.
func (r runs) all() []*call { return slices.Concat(r...) }

// quantile is of what the calls that were answered and that pass the filter give.
func quantile(all []*call, q float64, of func(*call) bool) float64 {
	var v []float64
	for _, c := range all {
		if c.first >= 0 && of(c) {
			v = append(v, c.ttft())
		}
	}
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return v[min(len(v)-1, int(q*float64(len(v))))]
}
