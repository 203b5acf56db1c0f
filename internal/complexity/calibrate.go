package complexity

import (
	"math"
	"slices"
)

// worse says whether the weak model's answer was worse than the strong one's, as
// far as it is known: where the strong model was not asked, an answer that was
// not good counts as worse. known is false where the weak one was not asked.
func (s *Sample) worse() (worse float64, known bool) {
	switch {
	case isNaN(s.Weak):
		return 0, false
	case isNaN(s.Strong):
		return float64(1 - s.Weak), true
	}
	return float64(max(0, s.Strong-s.Weak)), true
}

// mostLevels bounds a calibration.
const mostLevels = 64

// isotonic maps a need to a risk by levels that only rise: Risk[i] holds from
// From[i] on.
type isotonic struct {
	From, Risk []float32
}

// at is the risk of a need; without a calibration it is the need.
func (c isotonic) at(need float32) float32 {
	if len(c.From) == 0 {
		return need
	}
	n, _ := slices.BinarySearch(c.From, need)
	if n < len(c.From) && c.From[n] == need {
		return c.Risk[n]
	}
	return c.Risk[max(0, n-1)]
}

type observed struct {
	need  float32
	worse float64
}

// isotonicOf is the rising curve nearest to what was observed (pool adjacent
// violators), in at most mostLevels levels.
func isotonicOf(points []observed) isotonic {
	points = slices.Clone(points)
	slices.SortStableFunc(points, func(a, b observed) int { return compare(float64(a.need), float64(b.need)) })
	type level struct {
		from   float32
		sum, n float64
	}
	var levels []level
	// Points are first taken together, so that no level rests on a handful of them.
	size := max(1, (len(points)+mostLevels-1)/mostLevels)
	for i := 0; i < len(points); {
		l := level{from: points[i].need}
		for ; i < len(points) && (l.n < float64(size) || points[i].need == points[i-1].need); i++ {
			l.sum, l.n = l.sum+points[i].worse, l.n+1
		}
		levels = append(levels, l)
		for k := len(levels) - 1; k > 0 && levels[k-1].sum/levels[k-1].n >= levels[k].sum/levels[k].n; k-- {
			levels[k-1].sum += levels[k].sum
			levels[k-1].n += levels[k].n
			levels = levels[:k]
		}
	}
	var c isotonic
	for _, l := range levels {
		c.From, c.Risk = append(c.From, l.from), append(c.Risk, float32(l.sum/l.n))
	}
	return c
}

const (
	rungs = 20
	// fewest is how many outcomes of the weak model a customer has to have for a
	// ladder of their own.
	fewest = 100
	// mostLadders bounds how many customers a model file has figures of.
	mostLadders = 1024
	// Doubt is the chance that a floor is promised wrongly.
	Doubt = 0.1
)

// ladder counts, below each of some needs, how many outcomes the weak model had
// and how many of them were worse: what a floor of quality is read off.
type ladder struct {
	Customer string
	Rungs    []rung
}

type rung struct {
	Below float32 // need
	N     uint32
	Worse float32 // sum, as outcomes may lie between
}

func ladderOf(customer string, points []observed) ladder {
	points = slices.Clone(points)
	slices.SortStableFunc(points, func(a, b observed) int { return compare(float64(a.need), float64(b.need)) })
	l := ladder{Customer: customer}
	sum, k := 0.0, 0
	for r := 1; r <= rungs; r++ {
		for ; k < len(points)*r/rungs; k++ {
			sum += points[k].worse
		}
		below := float32(math.MaxFloat32)
		if k < len(points) {
			below = points[k].need
		}
		l.Rungs = append(l.Rungs, rung{below, uint32(k), float32(sum)})
	}
	return l
}

// limit is the highest need below which the weak model may answer, so that at
// least the floor's share of what it answers is no worse: with a chance of
// error of at most doubt, if what comes is drawn like what was counted. Each
// rung is tested for itself (the tail of a binomial distribution, the doubt
// shared out among the rungs: "learn then test"), and the highest that passes
// is taken. ok is false where none does: too few outcomes, or too bad ones.
func (l ladder) limit(floor, doubt float64) (need float32, ok bool) {
	for _, r := range l.Rungs {
		// What lies between good and bad is rounded up, to be on the safe side.
		if r.N > 0 && binomialTail(int(r.N), int(math.Ceil(float64(r.Worse))), 1-floor) <= doubt/rungs {
			need, ok = r.Below, true
		}
	}
	return need, ok
}

// binomialTail is the chance of at most k hits in n when each has the chance p.
// It sums the side on which the terms only fall, until they count no more: some
// square roots of n.
func binomialTail(n, k int, p float64) float64 {
	switch {
	case k >= n, p <= 0:
		return 1
	case p >= 1:
		return 0
	case float64(k) < float64(n)*p:
		term := binomialTerm(n, k, p)
		sum := term
		for i := k; i > 0 && term > sum*1e-17; i-- {
			term *= float64(i) * (1 - p) / (float64(n-i+1) * p)
			sum += term
		}
		return min(1, sum)
	}
	term := binomialTerm(n, k+1, p)
	sum := term
	for i := k + 1; i < n && term > sum*1e-17; i++ {
		term *= float64(n-i) * p / (float64(i+1) * (1 - p))
		sum += term
	}
	return max(0, 1-sum)
}

// binomialTerm is the chance of exactly k.
func binomialTerm(n, k int, p float64) float64 {
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	return math.Exp(lg(n) - lg(k) - lg(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

// Floor is the highest need below which the weak model may answer a customer so
// that a share of its answers is no worse than the strong model's would be.
// Customers with too few outcomes of their own are judged by all. ok is false
// where the outcomes do not support the promise.
func (m *Model) Floor(customer string, share float64) (need float32, ok bool) {
	if len(m.ladders) == 0 {
		return 0, false
	}
	of := m.ladders[0]
	for _, l := range m.ladders[1:] {
		if l.Customer == customer && customer != "" {
			of = l
		}
	}
	return of.limit(share, Doubt)
}
