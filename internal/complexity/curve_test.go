package complexity

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// pairs makes samples of one letter each: S the strong model alone is right, W
// the weak one alone, b both, n neither.
func pairs(letters string) []Sample {
	var out []Sample
	for _, l := range letters {
		var s Sample
		if l == 'S' || l == 'b' {
			s.Strong = 1
		}
		if l == 'W' || l == 'b' {
			s.Weak = 1
		}
		out = append(out, s)
	}
	return out
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// TestTheProtocolByHand: ten prompts, so that each step is one. Four are worth
// the strong model, one is worth keeping from it: the gap is 3 of 10.
func TestTheProtocolByHand(t *testing.T) {
	samples := pairs("SSSSbbbnnW")
	falling := []float64{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}
	for _, c := range []struct {
		name               string
		scores             []float64
		apgr, cpt50, cpt80 float64
	}{
		// Gains after 0..10 calls: 0 1 2 3 4 4 4 4 4 4 3, over 3. Their trapezoids
		// sum to 31.5; in tenths of 3 that is 1.05. Half the gap, 1.5, lies between
		// the first and the second call; four fifths, 2.4, between the second and
		// the third.
		{"perfect", falling, 1.05, 15, 24},
		// Gains: 0 -1 -1 -1 -1 -1 -1 0 1 2 3: trapezoids sum to -1.5. 1.5 lies between
		// 8 and 9 calls, 2.4 between 9 and 10.
		{"reversed", []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, -1.5 / 30, 85, 94},
		{"constant", make([]float64, 10), 0.5, 50, 80},
		// The first five and the last five are each of one score. Gains: 4/5 a call up
		// to 4, then -1/5 down to 3: trapezoids 10 and 17.5.
		{"two levels", []float64{1, 1, 1, 1, 1, 0, 0, 0, 0, 0}, 27.5 / 30, 18.75, 30},
	} {
		got, err := CurveOf(samples, c.scores)
		if err != nil {
			t.Fatal(err)
		}
		if !near(got.APGR, c.apgr) || !near(got.CPT50, c.cpt50) || !near(got.CPT80, c.cpt80) {
			t.Errorf("%s: APGR %v, CPT50 %v, CPT80 %v; want %v, %v, %v", c.name, got.APGR, got.CPT50, got.CPT80, c.apgr, c.cpt50, c.cpt80)
		}
		if !near(got.Weak, 0.4) || !near(got.Strong, 0.7) || got.Accuracy[0] != got.Weak || got.Accuracy[steps] != got.Strong {
			t.Errorf("%s: from %v to %v, %v", c.name, got.Weak, got.Strong, got.Accuracy)
		}
	}
}

func TestWithoutAGapNothingIsRecovered(t *testing.T) {
	if _, err := CurveOf(pairs("WWS"), []float64{1, 2, 3}); !errors.Is(err, ErrNoGap) {
		t.Errorf("%v", err)
	}
}

// TestChanceIsAHalf: whatever the prompts, a router without an opinion is chance,
// and one that is turned around mirrors it.
func TestChanceIsAHalf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := append(pairs(rapid.StringMatching(`[SWbn]{1,60}`).Draw(t, "outcomes")), pairs("S")...)
		scores := make([]float64, len(samples))
		c, err := CurveOf(samples, scores)
		if errors.Is(err, ErrNoGap) {
			return
		}
		if !near(c.APGR, 0.5) || !near(c.CPT50, 50) || !near(c.CPT80, 80) {
			t.Fatalf("constant: %+v", c)
		}
		turned := make([]float64, len(samples))
		for i := range scores {
			scores[i] = rapid.Float64Range(0, 1).Draw(t, "score")
			turned[i] = -scores[i]
		}
		a, _ := CurveOf(samples, scores)
		b, _ := CurveOf(samples, turned)
		if !near(a.APGR+b.APGR, 1) {
			t.Fatalf("%v and, turned around, %v", a.APGR, b.APGR)
		}
	})
}
