package complexity

import (
	"math"
	"slices"
)

// Model is what was learned. It never changes and is safe for concurrent use.
type Model struct {
	// Weak and Strong are the names of the two models that it was trained for.
	Weak, Strong string
	// Seed is that of the hashes: prompts are looked at under it.
	Seed uint64
	// Embedding is the model whose embeddings it was trained with; empty without.
	Embedding string
	// Source says what it was trained on, in words.
	Source string
	// Samples is how many prompts it was trained on.
	Samples int

	bucket [Buckets][heads]int8
	scale  [heads]float32 // of one step of a bucket's weight
	shape  [heads]Shape

	seen      seen
	risk      isotonic
	quantiles [100]float32 // of Need in the training, out of fold
	reference reference
	ladders   []ladder // by customer; the first is that of all
	sketch    sketch
}

// Score is what a model says of a prompt.
type Score struct {
	// Weak and Strong are the chances that the weak model's answer is good, and
	// that the strong one's is.
	Weak, Strong float32
	// Need is how much the strong model is wanted, from 0 to 1; at 0.5 both are as
	// good. Prompts are ranked by it.
	Need float32
	// Risk is the chance that the weak model's answer is worse than the strong
	// one's, as it was among prompts of this need that the model did not know.
	Risk float32
	// Novelty is the share of words that the training did not have.
	Novelty float32
}

// need ranks prompts by what the strong model is expected to add: a prompt that
// is too hard for both is no reason to pay for it.
func need(weak, strong float32) float32 { return min(1, max(0, (1+strong-weak)/2)) }

// Score looks at the vector of a prompt.
func (m *Model) Score(v Vector) Score {
	var all [heads]float32
	for _, g := range v.groups() {
		var sum [heads]int32
		for _, list := range g.lists {
			for _, b := range list {
				w := &m.bucket[b%Buckets]
				sum[weakly] += int32(w[weakly])
				sum[strongly] += int32(w[strongly])
			}
		}
		for h := range all {
			all[h] += float32(sum[h]) * m.scale[h] * g.norm
		}
	}
	var right [heads]float32
	for h := range right {
		x := all[h]
		for i, s := range v.Shape {
			x += m.shape[h][i] * s
		}
		right[h] = sigmoid(x)
	}
	n := need(right[weakly], right[strongly])
	return Score{Weak: right[weakly], Strong: right[strongly], Need: n, Risk: m.risk.at(n), Novelty: m.seen.novelty(v)}
}

// Threshold is the need at and above which the given share of the training's
// prompts lies: routed by it, traffic like that sends so much to the strong
// model.
func (m *Model) Threshold(strongShare float64) float32 {
	switch n := len(m.quantiles); {
	case strongShare <= 0:
		return math.MaxFloat32
	case strongShare >= 1:
		return 0
	default:
		return m.quantiles[min(n-1, int((1-strongShare)*float64(n)))]
	}
}

// Promise is a floor of quality and what can be promised of it to everybody.
type Promise struct {
	Floor  float64 `json:"floor"`
	Proven bool    `json:"proven"`
	// WeakShare is how much of traffic like the training the weak model gets then.
	WeakShare float64 `json:"weak_share"`
}

// Promises are those of some usual floors.
func (m *Model) Promises() (out []Promise) {
	for _, share := range []float64{0.8, 0.85, 0.9, 0.95, 0.98} {
		p := Promise{Floor: share}
		limit, proven := m.Floor("", share)
		if p.Proven = proven; proven {
			n, _ := slices.BinarySearch(m.quantiles[:], limit)
			p.WeakShare = float64(n) / float64(len(m.quantiles))
		}
		out = append(out, p)
	}
	return out
}

// pack takes the weights over, each bucket's in one byte.
func (m *Model) pack(w *weights) {
	for h := range heads {
		var most float32
		for i := range w.bucket {
			most = max(most, w.bucket[i].w[h], -w.bucket[i].w[h])
		}
		m.scale[h] = max(most, 1e-6) / math.MaxInt8
		for i := range w.bucket {
			m.bucket[i][h] = int8(math.Round(float64(w.bucket[i].w[h] / m.scale[h])))
		}
		for i := range w.shape {
			m.shape[h][i] = w.shape[i].w[h]
		}
	}
}

// seen are the buckets of the words that a training had, a bit each.
type seen [Buckets / 8]byte

func seenBy(samples []Sample) *seen {
	var s seen
	for i := range samples {
		for _, b := range samples[i].Words {
			s[b%Buckets/8] |= 1 << (b % 8)
		}
	}
	return &s
}

// novelty is the share of a vector's words that are not there; that of a text
// without words is 0.
func (s *seen) novelty(v Vector) float32 {
	unseen := 0
	for _, b := range v.Words {
		if s[b%Buckets/8]&(1<<(b%8)) == 0 {
			unseen++
		}
	}
	return float32(unseen) / float32(max(1, len(v.Words)))
}
