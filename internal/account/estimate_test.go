package account

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestNothingIsKnownAtFirst(t *testing.T) {
	e := NewEstimator(0)
	for _, c := range []struct {
		bytes         int
		most          int64
		input, output int64
	}{{4000, 0, 1000, 1024}, {4001, 100, 1001, 100}, {0, 5000, 0, 1024}, {-1, 0, 0, 1024}} {
		if in, out := e.Estimate("m", "k", c.bytes, c.most); in != c.input || out != c.output {
			t.Errorf("%+v: %d, %d", c, in, out)
		}
	}
}

func TestEstimatesAreLearnt(t *testing.T) {
	e := NewEstimator(0)
	for i := range 200 {
		n := int64(i%10 + 1) // 1 to 10
		e.Learn("m", "short", 3000, 1000, 10*n)
		e.Learn("m", "long", 3000, 1000, 1000*n)
	}
	in, short := e.Estimate("m", "short", 300, 0)
	_, long := e.Estimate("m", "long", 300, 0)
	_, other := e.Estimate("m", "somebody else", 300, 0)
	if in < 99 || in > 101 || short < 80 || short > 100 || long < 8000 || long > 10000 {
		t.Errorf("%d of 100 input, %d of 90 and %d of 9000 output", in, short, long)
	}
	if other < 4000 {
		t.Errorf("a key of which nothing is known: %d", other)
	}
	if _, cut := e.Estimate("m", "long", 300, 50); cut != 50 {
		t.Errorf("%d of a maximum of 50", cut)
	}
	if in, out := e.Estimate("another model", "long", 400, 0); in != 100 || out != coldOutput {
		t.Errorf("another model: %d, %d", in, out)
	}
}

// TestTheQuantileIsHigh compares the markers with what sorting finds: the share
// of values that are not above the estimate is near to nine of ten.
func TestTheQuantileIsHigh(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{
		"even":        func() float64 { return rnd.Float64() * 1000 },
		"exponential": func() float64 { return rnd.ExpFloat64() * 300 },
		"log-normal":  func() float64 { return math.Exp(5 + rnd.NormFloat64()) },
		"two humps":   func() float64 { return []float64{50, 4000}[rnd.IntN(4)/3] + rnd.Float64()*20 },
		"constant":    func() float64 { return 7 },
	} {
		var q quantile
		var all []float64
		for range 3000 {
			x := draw()
			q.add(x)
			all = append(all, x)
		}
		recent := all[len(all)-1000:]
		slices.Sort(recent)
		below, _ := slices.BinarySearch(recent, float64(q.estimate())+0.5)
		if share := float64(below) / 1000; share < 0.84 || share > 0.96 && name != "constant" {
			t.Errorf("%s: %.0f%% are not above the estimate %d", name, 100*share, q.estimate())
		}
	}
}

func TestTheQuantileFollowsAChange(t *testing.T) {
	var q quantile
	feed := func(n int, most float64) int64 {
		for i := range n {
			q.add(most * float64(i%100+1) / 100)
		}
		return q.estimate()
	}
	if got := feed(2000, 1000); got < 850 || got > 950 {
		t.Errorf("%d of 900", got)
	}
	if got := feed(4000, 10000); got < 8000 {
		t.Errorf("%d of 9000 after outputs grew", got)
	}
	if got := feed(8000, 100); got > 400 {
		t.Errorf("%d of 90 after outputs shrank", got)
	}
}

func TestQuantileMarkersStayInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q quantile
		for _, x := range rapid.SliceOfN(rapid.Float64Range(1, 1e9), 1, 2000).Draw(t, "values") {
			q.add(x)
		}
		n := min(q.seen, 5)
		if !slices.IsSorted(q.height[:n]) || !slices.IsSorted(q.rank[:n]) {
			t.Fatalf("%+v", q)
		}
	})
}

func TestEstimatorForgetsWhatIsNotUsed(t *testing.T) {
	e := NewEstimator(100)
	teach := func(key string) {
		for range enough {
			e.Learn("m", key, 100, 25, 5000)
		}
	}
	teach("kept")
	for i := range 10_000 {
		e.Learn("m", fmt.Sprint(i), 100, 25, 10)
		if i%20 == 0 {
			e.Estimate("m", "kept", 100, 0)
		}
	}
	if n := len(e.young) + len(e.old); n > 200 {
		t.Errorf("%d entries with a bound of 200", n)
	}
	if e.Forgotten() < 9000 {
		t.Errorf("%d of 10000 forgotten", e.Forgotten())
	}
	if _, out := e.Estimate("m", "kept", 100, 0); out != 5000 {
		t.Errorf("what was used is forgotten: %d", out)
	}
}

func TestEstimateAllocatesNothing(t *testing.T) {
	e := NewEstimator(0)
	for range enough {
		e.Learn("m", "k", 400, 100, 50)
	}
	if n := testing.AllocsPerRun(1000, func() {
		e.Estimate("m", "k", 400, 0)
		e.Learn("m", "k", 400, 100, 50)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
