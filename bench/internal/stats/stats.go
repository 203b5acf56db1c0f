// Package stats owns the judgement of the benchmark: medians of paired rounds,
// their bootstrap interval, and the verdict against a bar. It never measures
// and never reads a clock; randomness is an argument. Start reading at Judge.
package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Resamples is how often Bootstrap draws.
const Resamples = 2000

// Summary describes one series of per-round figures. Lo and Hi bound the
// median's bootstrap 90 % interval.
type Summary struct {
	N   int     `json:"n"`
	Min float64 `json:"min"`
	Med float64 `json:"med"`
	Max float64 `json:"max"`
	Lo  float64 `json:"lo"`
	Hi  float64 `json:"hi"`
}

// Summarize gives the Summary of x, the zero Summary for none.
func Summarize(x []float64, random *rand.Rand) Summary {
	if len(x) == 0 {
		return Summary{}
	}
	lo, hi := Bootstrap(x, random)
	return Summary{N: len(x), Min: slices.Min(x), Med: Median(x), Max: slices.Max(x), Lo: lo, Hi: hi}
}

// Median is the middle of x, or the mean of the two middle values; NaN for an
// empty x.
func Median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(x))
	m := len(s) / 2
	if len(s)%2 == 1 {
		return s[m]
	}
	return (s[m-1] + s[m]) / 2
}

// Quantile is the nearest-rank q-quantile of sorted x, 0 for an empty x.
func Quantile[T int64 | float64](sorted []T, q float64) T {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// Bootstrap is the percentile 90 % interval of the median of x (Efron 1979):
// the 5 % and 95 % quantiles of the medians of Resamples draws with
// replacement.
func Bootstrap(x []float64, random *rand.Rand) (lo, hi float64) {
	if len(x) == 0 {
		return math.NaN(), math.NaN()
	}
	medians, draw := make([]float64, Resamples), make([]float64, len(x))
	for i := range medians {
		for j := range draw {
			draw[j] = x[random.IntN(len(x))]
		}
		medians[i] = Median(draw)
	}
	slices.Sort(medians)
	return Quantile(medians, 0.05), Quantile(medians, 0.95)
}

// Ratios divides a by b round by round. A round in which either is missing
// (0 or not a number) is left out.
func Ratios(a, b []float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		if a[i] > 0 && b[i] > 0 {
			out = append(out, a[i]/b[i])
		}
	}
	return out
}

// Differences subtracts b from a round by round, leaving out what Ratios
// leaves out.
func Differences(a, b []float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		if a[i] > 0 && b[i] > 0 {
			out = append(out, a[i]-b[i])
		}
	}
	return out
}

// Verdict is the outcome of a comparison with a bar.
type Verdict string

// The verdicts. Inconclusive asks for another run; it is never a pass.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
)

// MinRounds is how many rounds a verdict needs.
const MinRounds = 12

// Trust says whether a run's own instruments worked.
type Trust struct {
	// AA is the median ratio of the reference against itself.
	AA float64
	// Control is the difference that the known cost made, in microseconds;
	// nil when the run had no control. Cost is what it should be.
	Control *Summary
	Cost    float64
}

// Good reports whether figures may be judged, and why not. The known cost is
// seen when the interval of the difference is above 0 and its median within
// half of the cost.
func (t Trust) Good() (bool, string) {
	if !(t.AA >= 0.9 && t.AA <= 1.1) {
		return false, "A/A outside 0.9-1.1"
	}
	if c := t.Control; c != nil && !(c.Lo > 0 && c.Med >= t.Cost/2 && c.Med <= t.Cost*3/2) {
		return false, "the known cost was not seen"
	}
	return true, ""
}

// Judge compares s with a bar that its median must not pass. It fails only
// when the whole interval lies above the bar; a median above the bar with an
// interval that reaches below it decides nothing.
func Judge(s Summary, bar float64, t Trust) (Verdict, string) {
	if s.N < MinRounds {
		return Inconclusive, "fewer rounds than 12"
	}
	if ok, why := t.Good(); !ok {
		return Inconclusive, why
	}
	switch {
	case s.Med <= bar:
		return Pass, ""
	case s.Lo > bar:
		return Fail, "the whole interval is above the bar"
	default:
		return Inconclusive, "the interval contains the bar"
	}
}
