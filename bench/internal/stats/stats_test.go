package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestMedianIsTheMiddle(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := Median(c.x); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestQuantileIsNearestRank(t *testing.T) {
	x := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]int64{0: 1, 0.05: 1, 0.5: 5, 0.51: 6, 0.99: 10, 1: 10} {
		if got := Quantile(x, q); got != want {
			t.Errorf("Quantile(%v) = %d, want %d", q, got, want)
		}
	}
}

func TestBootstrapLiesWithinTheDataAndAroundTheMedian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(rapid.Float64Range(0.5, 2), 1, 20).Draw(t, "x")
		lo, hi := Bootstrap(x, rand.New(rand.NewPCG(1, 2)))
		if lo < slices.Min(x) || hi > slices.Max(x) || lo > hi {
			t.Fatalf("interval %v-%v of %v", lo, hi, x)
		}
	})
	x := []float64{1, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07, 1.08, 1.09, 1.1, 9}
	lo, hi := Bootstrap(x, rand.New(rand.NewPCG(1, 2)))
	if lo >= Median(x) || hi <= Median(x) || hi > 1.2 {
		t.Errorf("interval %v-%v does not enclose the median %v tightly", lo, hi, Median(x))
	}
}

func TestRatiosPairRoundsAndSkipMissingOnes(t *testing.T) {
	if got := Ratios([]float64{2, 0, 6, 8}, []float64{1, 1, 0, 4}); !slices.Equal(got, []float64{2, 2}) {
		t.Errorf("ratios %v", got)
	}
	if got := Differences([]float64{2, 0, 6, 8}, []float64{1, 1, 0, 4}); !slices.Equal(got, []float64{1, 4}) {
		t.Errorf("differences %v", got)
	}
}

func TestJudge(t *testing.T) {
	good := Trust{AA: 1.02}
	seen, unseen := &Summary{Med: 21, Lo: 15}, &Summary{Med: 21, Lo: -1}
	for _, c := range []struct {
		name string
		s    Summary
		t    Trust
		want Verdict
	}{
		{"below the bar", Summary{N: 12, Med: 1.9, Lo: 1.8}, good, Pass},
		{"on the bar", Summary{N: 12, Med: 2, Lo: 1.8}, good, Pass},
		{"interval above", Summary{N: 12, Med: 2.3, Lo: 2.1}, good, Fail},
		{"interval across", Summary{N: 12, Med: 2.3, Lo: 1.9}, good, Inconclusive},
		{"few rounds", Summary{N: 11, Med: 1, Lo: 1}, good, Inconclusive},
		{"A/A low", Summary{N: 12, Med: 1, Lo: 1}, Trust{AA: 0.89}, Inconclusive},
		{"A/A missing", Summary{N: 12, Med: 1, Lo: 1}, Trust{AA: math.NaN()}, Inconclusive},
		{"control seen", Summary{N: 12, Med: 1, Lo: 1}, Trust{AA: 1, Control: seen, Cost: 20}, Pass},
		{"control unseen", Summary{N: 12, Med: 3, Lo: 3}, Trust{AA: 1, Control: unseen, Cost: 20}, Inconclusive},
		{"control too large", Summary{N: 12, Med: 1, Lo: 1}, Trust{AA: 1, Control: &Summary{Med: 31, Lo: 20}, Cost: 20}, Inconclusive},
	} {
		if got, why := Judge(c.s, 2, c.t); got != c.want {
			t.Errorf("%s: %s (%s), want %s", c.name, got, why, c.want)
		}
	}
}
