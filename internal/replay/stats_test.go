package replay

import (
	"math"
	"testing"
)

func TestInterval(t *testing.T) {
	// Student's t of four degrees of freedom: 2.776; deviation sqrt(2.5).
	i := IntervalOf([]float64{1, 2, 3, 4, 5})
	if want := 2.776 * math.Sqrt(2.5/5); i.Mean != 3 || math.Abs(i.High-3-want) > 1e-9 || math.Abs(3-i.Low-want) > 1e-9 {
		t.Errorf("%+v", i)
	}
	if i := IntervalOf([]float64{7}); i != (Interval{7, 7, 7}) {
		t.Errorf("of one: %+v", i)
	}
	if f := FactorOf([]float64{.5, 2}); math.Abs(f.Mean-1) > 1e-12 || math.Abs(f.Low*f.High-1) > 1e-12 {
		t.Errorf("half and double: %+v", f)
	}
	if f := FactorOf([]float64{0, 2}); f.Mean != 1 {
		t.Errorf("with a zero: %+v", f)
	}
}

func TestQuantile(t *testing.T) {
	xs := []float64{0, 10, 20, 30, 40}
	for q, want := range map[float64]float64{0: 0, .5: 20, .9: 36, 1: 40} {
		if got := quantile(xs, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("%g: %g, want %g", q, got, want)
		}
	}
	if quantile(nil, .5) != 0 {
		t.Error("of nothing")
	}
}

func TestChain(t *testing.T) {
	var a, b, c chain
	first := Request{Input: 200, Output: 70, Runs: []Span{{1, 3}}, Goes: []Span{{1, 5}}}
	next := Request{Input: 330, Output: 1, Runs: []Span{{1, 5}}}
	a.build(&first, 64, 2, 9)
	b.build(&next, 64, 2, 9)
	c.build(&next, 64, 2, 8)
	if len(a.Marks) != 3 || len(a.hashes) != 4 || a.Bytes != 800 || a.Marks[2].End != 192*4 {
		t.Errorf("%d marks, %d hashes, %d bytes", len(a.Marks), len(a.hashes), a.Bytes)
	}
	if a.Marks[2] != b.Marks[2] || a.hashes[3] != b.hashes[3] || a.Lane != a.Marks[1].Hash || a.Lane != b.Lane {
		t.Error("a prompt that goes on is another one")
	}
	if c.Marks[0].Hash == b.Marks[0].Hash || c.Lane == b.Lane {
		t.Error("sessions with the same ids share them")
	}
	short := Request{Input: 90, Output: 1, Runs: []Span{{1, 1}}}
	a.build(&short, 64, 2, 9)
	if len(a.Marks) != 1 || a.Lane != a.Marks[0].Hash {
		t.Errorf("a short prompt's lane: %d marks, %x", len(a.Marks), a.Lane)
	}
}
