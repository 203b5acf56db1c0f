package account

import "sync"

// Estimator learns how many tokens requests take: how many a byte of a model's
// prompts has, and how long answers are, for each key at a model. It remembers two
// generations of keys, so that its memory is bounded and what is used stays.
type Estimator struct {
	mu     sync.Mutex
	models map[string]*learned
	young  map[pair]*learned
	old    map[pair]*learned
}

type pair struct{ model, key string }

// learned is what is known of one model, or of one key at it.
type learned struct {
	perByte float64 // tokens of input for each byte of a request
	output  float64 // of nine answers in ten
}

const (
	mostPairs  = 50_000 // of a generation
	mostModels = 4096
	// usual is how long answers are taken to be before any was seen.
	usual = 1024
	// often is the share of answers that the estimate shall cover.
	often = 0.9
)

// NewEstimator makes one that knows nothing.
func NewEstimator() *Estimator {
	return &Estimator{models: map[string]*learned{}, young: map[pair]*learned{}}
}

// Estimate is how many tokens a request of so many bytes is expected to take, and
// its answer to have: nine answers in ten have no more. maxOutput is the request's
// own limit, 0 for none.
func (e *Estimator) Estimate(model, key string, bytes int, maxOutput int64) (input, output int64) {
	perByte, likely := 0.25, float64(usual)
	e.mu.Lock()
	if m := e.models[model]; m != nil {
		perByte, likely = m.perByte, m.output
	}
	if k := e.find(pair{model, key}); k != nil {
		likely = k.output
	}
	e.mu.Unlock()
	input, output = int64(perByte*float64(bytes))+1, int64(likely)+1
	if maxOutput > 0 {
		output = min(output, maxOutput)
	}
	return input, output
}

// Learn takes over what a request took.
func (e *Estimator) Learn(model, key string, bytes int, input, output int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.models[model]
	if m == nil {
		if len(e.models) >= mostModels {
			return
		}
		m = &learned{perByte: 0.25, output: usual}
		e.models[model] = m
	}
	if bytes > 0 && input > 0 {
		m.perByte += (float64(input)/float64(bytes) - m.perByte) / 16
	}
	m.see(output)
	p := pair{model, key}
	k := e.find(p)
	if k == nil {
		k = &learned{output: m.output}
		e.keep(p, k)
	}
	k.see(output)
}

// see moves the estimate towards a quantile: up by a step when an answer was
// longer, down by a ninth of it when it was not, so that it rests where one in ten
// is longer. The step is a share of the estimate, so that it is right for long and
// short answers alike (stochastic approximation of a quantile).
func (l *learned) see(output int64) {
	step := l.output/8 + 1
	if float64(output) > l.output {
		l.output = min(l.output+step*often, float64(output))
		return
	}
	l.output = max(l.output-step*(1-often), float64(output)*0.5, 1)
}

// find looks into both generations; what is used is kept young.
func (e *Estimator) find(p pair) *learned {
	if k := e.young[p]; k != nil {
		return k
	}
	k := e.old[p]
	if k != nil {
		e.keep(p, k)
	}
	return k
}

func (e *Estimator) keep(p pair, k *learned) {
	if len(e.young) >= mostPairs {
		e.old, e.young = e.young, map[pair]*learned{}
	}
	e.young[p] = k
}
