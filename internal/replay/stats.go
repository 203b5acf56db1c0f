package replay

import (
	"math"
	"slices"
)

// Interval is a mean over seeds with its 95 % confidence interval.
type Interval struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// IntervalOf is the interval of a figure, given that of each seed: by Student's t; of
// one value it is that value.
func IntervalOf(xs []float64) Interval {
	m := mean(xs)
	if len(xs) < 2 {
		return Interval{m, m, m}
	}
	sum := 0.0
	for _, x := range xs {
		sum += (x - m) * (x - m)
	}
	half := student(len(xs)-1) * math.Sqrt(sum/float64(len(xs)-1)/float64(len(xs)))
	return Interval{m, m - half, m + half}
}

// FactorOf is the interval of ratios, given that of each seed: by their logarithms, so
// that half and double lie equally far from one.
func FactorOf(xs []float64) Interval {
	logs := make([]float64, len(xs))
	for i, x := range xs {
		if x <= 0 {
			return IntervalOf(xs)
		}
		logs[i] = math.Log(x)
	}
	i := IntervalOf(logs)
	return Interval{math.Exp(i.Mean), math.Exp(i.Low), math.Exp(i.High)}
}

// student is the two-sided 95 % quantile of Student's t.
func student(df int) float64 {
	table := []float64{
		12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
		2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
	}
	if df <= len(table) {
		return table[df-1]
	}
	return 1.96 + 2.5/float64(df)
}

func mean(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

// quantile of sorted values, between neighbours by their distance.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func sorted(xs []float64) []float64 {
	s := slices.Clone(xs)
	slices.Sort(s)
	return s
}
