package complexity

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Test is one measurement of a way of training on a set of prompts.
type Test struct {
	Set   string `json:"set"`
	Split string `json:"split"` // how the prompts of the training and of the test are told apart
	// InDomain says that training and test come from the same distribution: what
	// such a test shows does not hold for other traffic.
	InDomain bool `json:"in_domain"`
	// Seeds is how many times it was done; the curve is the mean of them, Low and
	// High the range of APGR.
	Seeds int     `json:"seeds"`
	Curve Curve   `json:"curve"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	// Guarded is the same with the guard in front, in one pass over the prompts in
	// an order by chance; nil where none was asked.
	Guarded *Guarded `json:"guarded,omitempty"`
	Note    string   `json:"note,omitempty"`
}

// Guarded is how a router with a guard does. The guard's strong calls are
// prompts with a need of 1.
type Guarded struct {
	Cold   int     `json:"cold"` // requests, by verdict
	Same   int     `json:"same"`
	Off    int     `json:"off"`
	Figure string  `json:"figure,omitempty"` // what the guard saw at the end
	PSI    float64 `json:"psi,omitempty"`
	APGR   float64 `json:"apgr"`
	// Lift is what the router recovers of the gap over a random one that makes as
	// many strong calls, at the worst of the nine thresholds that would send 10%,
	// 20% ... of the training to the strong model. Below zero is worse than chance.
	Lift          float64 `json:"lift"`
	UnguardedLift float64 `json:"unguarded_lift"`
}

// Plan is what to measure.
type Plan struct {
	Folds int
	Seeds int    // how many times the folds are drawn
	Seed  uint64 // the first of them
	// LeaveGroupOut also trains on all groups of a set but one, for each.
	LeaveGroupOut bool
}

// Report is what was measured.
type Report struct {
	Tests []Test   `json:"tests"`
	Notes []string `json:"notes,omitempty"`
}

// fewestPairs is how many prompts with both outcomes a set needs.
const fewestPairs = 100

// Measure trains and tests on sets: within each by folds, by groups, and with a
// fifth held out; and from each to each other.
func Measure(ctx context.Context, sets []Set, plan Plan) (Report, error) {
	whole, r := paired(sets)
	for _, s := range whole {
		tests, err := within(ctx, s, plan)
		if err != nil {
			return r, fmt.Errorf("%s: %w", s.Name, err)
		}
		r.Tests = append(r.Tests, tests...)
	}
	for _, from := range whole {
		for _, to := range whole {
			if from.Name == to.Name {
				continue
			}
			t, err := between(ctx, from, to, plan.Seed)
			if err != nil {
				return r, fmt.Errorf("%s to %s: %w", from.Name, to.Name, err)
			}
			r.Tests = append(r.Tests, t)
		}
	}
	return r, nil
}

// Measure tests a model as it is on each set.
func (m *Model) Measure(sets []Set, seed uint64) (Report, error) {
	whole, r := paired(sets)
	for _, s := range whole {
		t, err := m.Test(s, seed)
		if err != nil {
			return r, fmt.Errorf("%s: %w", s.Name, err)
		}
		r.Tests = append(r.Tests, t)
	}
	return r, nil
}

// paired keeps the prompts that both models answered, and says which sets have
// too few of them.
func paired(sets []Set) (whole []Set, r Report) {
	for _, s := range sets {
		s.Samples = slices.DeleteFunc(slices.Clone(s.Samples), func(s Sample) bool { return !s.Pair() })
		if len(s.Samples) < fewestPairs {
			r.Notes = append(r.Notes, fmt.Sprintf("%s has %d prompts that both models answered; the protocol needs %d", s.Name, len(s.Samples), fewestPairs))
			continue
		}
		whole = append(whole, s)
	}
	return whole, r
}

func within(ctx context.Context, s Set, plan Plan) ([]Test, error) {
	folds := Test{Set: s.Name, Split: fmt.Sprintf("%d folds", plan.Folds), InDomain: true}
	for seed := plan.Seed; seed < plan.Seed+uint64(max(1, plan.Seeds)); seed++ {
		c, err := crossedCurve(ctx, s.Samples, Folds(s.Samples, plan.Folds, seed), seed)
		if err != nil {
			return nil, err
		}
		folds.add(c)
	}
	folds.mean()
	out := []Test{folds}
	if groups := Groups(s.Samples); plan.LeaveGroupOut && groups.Parts > 1 {
		t := Test{Set: s.Name, Split: fmt.Sprintf("each of %d groups left out", groups.Parts)}
		c, err := crossedCurve(ctx, s.Samples, groups, plan.Seed)
		if err != nil {
			return nil, err
		}
		t.add(c)
		out = append(out, t)
	}
	training, rest := Folds(s.Samples, 5, plan.Seed).parted(s.Samples, 0)
	m, err := Train(ctx, Training{Samples: training, Seed: plan.Seed})
	if errors.Is(err, ErrTooFew) {
		return out, nil // the folds were measured
	}
	if err != nil {
		return nil, err
	}
	t, err := m.Test(Set{s.Name, rest}, plan.Seed)
	if err != nil {
		return nil, err
	}
	t.Split, t.InDomain = "a fifth held out", true
	return append(out, t), nil
}

func between(ctx context.Context, from, to Set, seed uint64) (Test, error) {
	m, err := Train(ctx, Training{Samples: from.Samples, Seed: seed})
	if err != nil {
		return Test{}, err
	}
	t, err := m.Test(to, seed)
	t.Split = "trained on " + from.Name
	return t, err
}

// add takes a run into the sums.
func (t *Test) add(c Curve) {
	if t.Seeds == 0 {
		t.Curve, t.Low, t.High, t.Seeds = c, c.APGR, c.APGR, 1
		return
	}
	t.Seeds++
	t.Low, t.High = min(t.Low, c.APGR), max(t.High, c.APGR)
	t.Curve.APGR += c.APGR
	t.Curve.CPT50 += c.CPT50
	t.Curve.CPT80 += c.CPT80
	for i := range c.Accuracy {
		t.Curve.Accuracy[i] += c.Accuracy[i]
	}
}

// mean divides the sums.
func (t *Test) mean() {
	n := float64(t.Seeds)
	t.Curve.APGR, t.Curve.CPT50, t.Curve.CPT80 = t.Curve.APGR/n, t.Curve.CPT50/n, t.Curve.CPT80/n
	for i := range t.Curve.Accuracy {
		t.Curve.Accuracy[i] /= n
	}
}

func crossedCurve(ctx context.Context, samples []Sample, split Split, seed uint64) (Curve, error) {
	scores, err := cross(ctx, samples, split, seed)
	if err != nil {
		return Curve{}, err
	}
	needs := make([]float64, len(scores))
	for i := range scores {
		needs[i] = float64(scores[i].need())
	}
	return CurveOf(samples, needs)
}

// Test measures a model as it is on prompts that both models answered, with and
// without its guard. The test is in the domain of the model if it was trained on
// most of the prompts, or if the guard takes them for what it was trained on.
func (m *Model) Test(s Set, seed uint64) (Test, error) {
	t := Test{Set: s.Name, Split: "the model as it is"}
	known := m.Trained(s.Samples)
	if known > 0 {
		t.Note = fmt.Sprintf("the model was trained on about %.0f%% of these prompts, and knows their outcomes", known*100)
	}
	n := len(s.Samples)
	bare, guarded := make([]float64, n), make([]float64, n)
	guard := NewGuard(m, Drift{})
	var g Guarded
	for _, i := range rand.New(rand.NewPCG(seed, 2)).Perm(n) {
		score := m.Score(s.Samples[i].Vector)
		bare[i], guarded[i] = float64(score.Need), 1
		guard.Observe(score, &s.Samples[i].Shape)
		switch guard.Look(score).Verdict {
		case Cold:
			g.Cold++
		case Same:
			g.Same++
			guarded[i] = bare[i]
		default:
			g.Off++
		}
	}
	c, err := CurveOf(s.Samples, bare)
	if err != nil {
		return t, err
	}
	t.add(c)
	if c, err = CurveOf(s.Samples, guarded); err != nil {
		return t, err
	}
	end := guard.Now()
	g.Figure, g.PSI, g.APGR = end.Figure, end.PSI, c.APGR
	g.Lift, g.UnguardedLift = m.lift(s.Samples, guarded), m.lift(s.Samples, bare)
	t.Guarded = &g
	t.InDomain = known > 0.5 || g.Same > g.Off
	return t, nil
}

// lift is that of [Guarded].
func (m *Model) lift(samples []Sample, needs []float64) float64 {
	var gap float64
	for i := range samples {
		gap += float64(samples[i].Strong - samples[i].Weak)
	}
	worst := 1.0
	for share := 1; share < steps; share++ {
		threshold := float64(m.Threshold(float64(share) / steps))
		calls, gain := 0, 0.0
		for i := range samples {
			if needs[i] >= threshold {
				calls++
				gain += float64(samples[i].Strong - samples[i].Weak)
			}
		}
		worst = min(worst, gain/gap-float64(calls)/float64(len(samples)))
	}
	return worst
}

// InDomain is the sentence that goes with every figure of a report that comes
// from training and testing on the same distribution; empty without any.
func (r *Report) InDomain() string {
	var names []string
	for _, t := range r.Tests {
		if t.InDomain && !slices.Contains(names, t.Set) {
			names = append(names, t.Set)
		}
	}
	if names == nil {
		return ""
	}
	return "trained and tested on the same distribution: " + strings.Join(names, ", ") + "; other traffic does worse, see the rows trained elsewhere"
}
