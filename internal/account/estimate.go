package account

import (
	"math"
	"sync"
)

// An Estimator says how many tokens a request is likely to use, from what earlier
// ones did: tokens a byte for each model, and a high quantile of the output's
// length for each model and key. It is safe for concurrent use, and the same
// requests in the same order give the same estimates.
//
// Its memory is bounded: what was learnt stands in two generations. What is new
// or used goes into the young one; when that is full it becomes the old one, and
// what was in the old one and not used since is forgotten.
type Estimator struct {
	mu         sync.Mutex
	young, old map[estimateName]*learnt
	most       int
	forgotten  uint64
}

// estimateName is a model and a key; an empty key is the model as a whole.
type estimateName struct{ model, key string }

// learnt is what is known of a model, or of a model for one key.
type learnt struct {
	perByte float64 // tokens of input for a byte of the request
	inputs  int
	output  quantile
}

const (
	// DefaultEstimates is how many models and pairs of a model and a key a
	// generation has; one takes about 150 bytes and its names.
	DefaultEstimates = 16 << 10

	coldPerByte = 0.25 // tokens a byte before anything is learnt
	coldOutput  = 1024
	highShare   = 0.9 // of outputs are not longer than the estimate
	enough      = 8   // outputs after which a quantile is believed
	slowest     = 1. / 64
)

// NewEstimator returns an estimator with generations of limit entries; 0 is
// DefaultEstimates.
func NewEstimator(limit int) *Estimator {
	if limit <= 0 {
		limit = DefaultEstimates
	}
	return &Estimator{young: map[estimateName]*learnt{}, old: map[estimateName]*learnt{}, most: limit}
}

// Estimate is the tokens that a request is likely to use: bytes are those of its
// body, maxOutput the most output it asks for, 0 when it does not say. Of a model
// of which nothing is known a token is four bytes, and the output 1024 tokens or
// the maximum.
func (e *Estimator) Estimate(model, key string, bytes int, maxOutput int64) (input, output int64) {
	perByte, output := coldPerByte, int64(coldOutput)
	e.mu.Lock()
	whole := e.find(estimateName{model: model})
	if whole != nil {
		if whole.inputs > 0 {
			perByte = whole.perByte
		}
		if whole.output.seen >= enough {
			output = whole.output.estimate()
		}
	}
	if own := e.find(estimateName{model, key}); own != nil && own.output.seen >= enough {
		output = own.output.estimate()
	}
	e.mu.Unlock()
	if maxOutput > 0 {
		output = min(output, maxOutput)
	}
	return int64(math.Ceil(float64(max(0, bytes)) * perByte)), output
}

// Learn tells what a request has used. One without input or output teaches
// nothing of it.
func (e *Estimator) Learn(model, key string, bytes int, input, output int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	whole := e.make(estimateName{model: model})
	if bytes > 0 && input > 0 {
		whole.inputs++
		ratio := float64(input) / float64(bytes)
		whole.perByte += (ratio - whole.perByte) * max(slowest, 1/float64(whole.inputs))
	}
	if output <= 0 {
		return
	}
	whole.output.add(float64(output))
	if key != "" {
		e.make(estimateName{model, key}).output.add(float64(output))
	}
}

// Forgotten is how many models and pairs were forgotten because there were more
// than fit.
func (e *Estimator) Forgotten() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.forgotten
}

// find is what was learnt under a name, or nil. What is used becomes young.
func (e *Estimator) find(name estimateName) *learnt {
	if l := e.young[name]; l != nil {
		return l
	}
	l := e.old[name]
	if l != nil {
		delete(e.old, name)
		e.put(name, l)
	}
	return l
}

func (e *Estimator) make(name estimateName) *learnt {
	l := e.find(name)
	if l == nil {
		l = &learnt{}
		e.put(name, l)
	}
	return l
}

func (e *Estimator) put(name estimateName, l *learnt) {
	if len(e.young) >= e.most {
		e.forgotten += uint64(len(e.old))
		e.old, e.young = e.young, make(map[estimateName]*learnt, e.most)
	}
	e.young[name] = l
}

// quantile follows the high quantile of a stream with five markers (the P2
// method of Jain and Chlamtac, 1985): the least, the largest, the quantile and
// the two halfway to it, each moved along a parabola towards the rank where it
// should stand. Old values fade: the ranks are halved now and then.
type quantile struct {
	seen   int
	height [5]float64
	rank   [5]float64
}

// fade is the number of values after which older ones count half.
const fade = 512

var quantileShares = [5]float64{0, highShare / 2, highShare, (1 + highShare) / 2, 1}

func (q *quantile) add(x float64) {
	q.seen++
	if q.seen <= len(q.height) {
		q.first(x)
		return
	}
	k := 0
	switch {
	case x < q.height[0]:
		q.height[0] = x
	case x >= q.height[4]:
		q.height[4], k = x, 3
	default:
		for x >= q.height[k+1] {
			k++
		}
	}
	for i := k + 1; i < 5; i++ {
		q.rank[i]++
	}
	for i := 1; i < 4; i++ {
		q.move(i)
	}
	if q.rank[4] >= fade {
		q.fade()
	}
}

// first puts one of the first five in its place.
func (q *quantile) first(x float64) {
	i := q.seen - 1
	for ; i > 0 && q.height[i-1] > x; i-- {
		q.height[i] = q.height[i-1]
	}
	q.height[i] = x
	q.rank[q.seen-1] = float64(q.seen)
}

// move moves a marker by one rank when it is that far from where it should be.
func (q *quantile) move(i int) {
	d := 1 + quantileShares[i]*(q.rank[4]-1) - q.rank[i]
	n, h := &q.rank, &q.height
	switch {
	case d >= 1 && n[i+1]-n[i] > 1:
		d = 1
	case d <= -1 && n[i-1]-n[i] < -1:
		d = -1
	default:
		return
	}
	x := h[i] + d/(n[i+1]-n[i-1])*((n[i]-n[i-1]+d)*(h[i+1]-h[i])/(n[i+1]-n[i])+(n[i+1]-n[i]-d)*(h[i]-h[i-1])/(n[i]-n[i-1]))
	if x <= h[i-1] || x >= h[i+1] {
		j := i + int(d)
		x = h[i] + d*(h[j]-h[i])/(n[j]-n[i])
	}
	h[i] = x
	n[i] += d
}

// fade halves the ranks, and lets the largest value fall back towards the others,
// so that one long answer is not remembered for ever.
func (q *quantile) fade() {
	for i := range q.rank {
		q.rank[i] = max(float64(i+1), math.Floor(q.rank[i]/2))
	}
	for i := 1; i < 5; i++ {
		q.rank[i] = max(q.rank[i], q.rank[i-1]+1)
	}
	q.height[4] = q.height[3] + (q.height[4]-q.height[3])/2
}

// estimate is the quantile in whole tokens.
func (q *quantile) estimate() int64 { return max(1, int64(math.Ceil(q.height[2]))) }
