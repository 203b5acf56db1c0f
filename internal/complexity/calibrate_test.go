package complexity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestRiskOnlyRises with the need, stays within 0 and 1, and keeps the mean of
// what was observed.
func TestRiskOnlyRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) observed {
			return observed{float32(rapid.IntRange(0, 200).Draw(t, "need")) / 200, float64(rapid.IntRange(0, 1).Draw(t, "worse"))}
		}), 1, 300).Draw(t, "points")
		c := isotonicOf(points)
		if len(c.From) > mostLevels || !slices.IsSorted(c.From) || !slices.IsSorted(c.Risk) {
			t.Fatalf("%+v", c)
		}
		mean, fitted, last := 0.0, 0.0, float32(0)
		for _, p := range points {
			mean += p.worse
			fitted += float64(c.at(p.need))
		}
		if math.Abs(mean-fitted) > 1e-3*float64(len(points)) {
			t.Fatalf("the mean of %v became %v", mean, fitted)
		}
		for i := range 101 {
			r := c.at(float32(i) / 100)
			if r < last || r > 1 {
				t.Fatalf("at %d%% the risk is %v after %v", i, r, last)
			}
			last = r
		}
	})
}

func TestTheTailOfABinomial(t *testing.T) {
	for _, c := range []struct {
		n, k int
		p    float64
		want float64
	}{
		{1, 0, 0.25, 0.75},
		{3, 1, 0.5, 0.5},
		{4, 2, 0.1, 0.9963},
		{10, 10, 0.3, 1},
		{10, 3, 0, 1},
		{10, 3, 1, 0},
	} {
		if got := binomialTail(c.n, c.k, c.p); !near(got, c.want) {
			t.Errorf("at most %d of %d at %v: %v, want %v", c.k, c.n, c.p, got, c.want)
		}
	}
	// The sum of all terms, one by one.
	for _, n := range []int{1, 7, 60} {
		for _, p := range []float64{0.01, 0.3, 0.5, 0.9} {
			sum := 0.0
			for k := range n {
				if sum += binomialTerm(n, k, p); !near(binomialTail(n, k, p), sum) {
					t.Errorf("at most %d of %d at %v: %v, want %v", k, n, p, binomialTail(n, k, p), sum)
				}
			}
		}
	}
	if got := binomialTail(14_000, 1400, 0.1); math.Abs(got-0.5) > 0.02 {
		t.Errorf("the middle of a large one is %v", got)
	}
}

// TestAFloorHolds: over many drawn customers whose risk is known, a promise is
// broken no more often than Doubt allows, and it is worth something.
func TestAFloorHolds(t *testing.T) {
	const floor, customers = 0.9, 400
	random := rand.New(rand.NewPCG(3, 3))
	// The risk at a need is half the need: below a limit its mean is a quarter of it.
	broken, promised := 0, 0
	for range customers {
		points := make([]observed, 2000)
		for i := range points {
			points[i].need = random.Float32()
			if random.Float32() < points[i].need/2 {
				points[i].worse = 1
			}
		}
		limit, ok := ladderOf("", points).limit(floor, Doubt)
		if !ok {
			continue
		}
		promised++
		if min(float64(limit), 1)/4 > 1-floor {
			broken++
		}
	}
	if promised < customers*9/10 {
		t.Errorf("only %d of %d got a promise", promised, customers)
	}
	if broken > int(customers*Doubt) {
		t.Errorf("%d of %d promises are broken", broken, promised)
	}
}

func TestAFloorThatNothingSupportsIsNotPromised(t *testing.T) {
	bad := make([]observed, 500)
	for i := range bad {
		bad[i] = observed{float32(i) / 500, 1}
	}
	few := []observed{{0.1, 0}, {0.2, 0}, {0.3, 0}}
	for name, points := range map[string][]observed{"bad": bad, "few": few, "none": nil} {
		if limit, ok := ladderOf("", points).limit(0.9, Doubt); ok {
			t.Errorf("%s: promised below %v", name, limit)
		}
	}
}

func TestCustomersAreJudgedByTheirOwnOutcomes(t *testing.T) {
	samples := drawn(2000, 1)
	for i := range samples {
		switch i % 4 {
		case 0:
			samples[i].Customer = "lucky"
			samples[i].Weak, samples[i].Strong = 1, 1
		case 1:
			samples[i].Customer = "unlucky"
			samples[i].Weak, samples[i].Strong = 0, 1
		case 2:
			if i < 100 {
				samples[i].Customer = "new"
			}
		}
	}
	m, err := Train(t.Context(), Training{Weak: "small", Strong: "large", Samples: samples, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if limit, ok := m.Floor("lucky", 0.95); !ok || limit < 1 {
		t.Errorf("lucky: %v %v", limit, ok)
	}
	if limit, ok := m.Floor("unlucky", 0.5); ok {
		t.Errorf("unlucky: %v", limit)
	}
	all, ok := m.Floor("", 0.5)
	if limit, other := m.Floor("new", 0.5); limit != all || ok != other {
		t.Errorf("new: %v %v, all: %v %v", limit, other, all, ok)
	}
}
