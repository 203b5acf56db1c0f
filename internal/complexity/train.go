package complexity

import (
	"math"
	"math/rand/v2"
)

// Sample is a prompt and what came of it. Weak and Strong are how good the
// model's answer was, from 0 to 1; NaN where it was not asked.
type Sample struct {
	Vector
	Weak, Strong float32
	Customer     string // whose it was; empty where that is not known
	Group        string // what it is of a kind with, such as a subject; for [Measure]
}

// Pair tells whether both models answered the prompt.
func (s *Sample) Pair() bool { return !isNaN(s.Weak) && !isNaN(s.Strong) }

func isNaN(x float32) bool { return x != x }

// The constants of the training, found by five-fold validation on MMLU and
// GSM8K (docs/guides/complexity.md). 3 to 5 epochs, rates of 0.06 to 0.15 and four
// times the decay stay within 0.005 of APGR.
const (
	epochs   = 3
	rate     = 0.1
	decay    = 1e-3 // L2, of the buckets that a sample has
	warmth   = 1e-2 // what AdaGrad's sums begin with
	heads    = 2
	weakly   = 0 // the head that predicts whether the weak model is right
	strongly = 1 // and the strong one
)

// weights are those of the training. What belongs to one place stands together,
// as the places are visited at random.
type weights struct {
	bucket []cell // Buckets
	shape  [Shapes]cell
}

// cell is one weight of each head, and AdaGrad's sums of squares.
type cell struct {
	w, sum [heads]float32
}

// right is the chance of each head's model to be right about a vector.
func (w *weights) right(v Vector) (right [heads]float32) {
	for _, g := range v.groups() {
		var sum [heads]float32
		for _, list := range g.lists {
			for _, b := range list {
				c := &w.bucket[b]
				sum[weakly] += c.w[weakly]
				sum[strongly] += c.w[strongly]
			}
		}
		right[weakly] += sum[weakly] * g.norm
		right[strongly] += sum[strongly] * g.norm
	}
	for h := range right {
		for i, x := range v.Shape {
			right[h] += w.shape[i].w[h] * x
		}
		right[h] = sigmoid(right[h])
	}
	return right
}

// fit trains both heads on the samples, each on those that its model answered:
// logistic regression by AdaGrad over hashed features, one sample at a time in
// an order that the seed decides. Outcomes between 0 and 1 are taken as they are.
func fit(samples []Sample, seed uint64) *weights {
	w := &weights{bucket: make([]cell, Buckets)}
	for i := range w.bucket {
		w.bucket[i].sum = [heads]float32{warmth, warmth}
	}
	for i := range w.shape {
		w.shape[i].sum = [heads]float32{warmth, warmth}
	}
	random := rand.New(rand.NewPCG(seed, 1))
	for range epochs {
		for _, i := range random.Perm(len(samples)) {
			w.step(&samples[i])
		}
	}
	return w
}

// step moves the weights of one sample against their gradient.
func (w *weights) step(s *Sample) {
	right := w.right(s.Vector)
	groups := s.groups()
	for h, want := range [heads]float32{weakly: s.Weak, strongly: s.Strong} {
		if isNaN(want) {
			continue
		}
		wrong := right[h] - want
		for _, g := range groups {
			for _, list := range g.lists {
				for _, b := range list {
					w.bucket[b].move(h, wrong*g.norm)
				}
			}
		}
		for i, x := range s.Shape {
			w.shape[i].move(h, wrong*x)
		}
	}
}

func (c *cell) move(head int, gradient float32) {
	g := gradient + decay*c.w[head]
	c.sum[head] += g * g
	c.w[head] -= rate * g / float32(math.Sqrt(float64(c.sum[head])))
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }
