package complexity

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"
)

func TestTrainingIsDeterministic(t *testing.T) {
	make := func(seed uint64) []byte {
		m, err := Train(t.Context(), Training{Weak: "small", Strong: "large", Samples: drawn(600, 1), Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return m.Encode()
	}
	if !bytes.Equal(make(1), make(1)) {
		t.Error("the same seed made two models")
	}
	if bytes.Equal(make(1), make(2)) {
		t.Error("the seed decides nothing")
	}
}

// TestAModelLearnsWhatSetsPromptsApart, keeps its scores between 0 and 1, and one
// byte a weight is enough.
func TestAModelLearnsWhatSetsPromptsApart(t *testing.T) {
	m := trained(t)
	easy, hard := m.Score(see("please tell me the weather in the city")), m.Score(see("prove the lemma and derive a bound on the kernel"))
	if easy.Need >= hard.Need || easy.Risk >= hard.Risk || easy.Weak <= hard.Weak {
		t.Errorf("easy %+v, hard %+v", easy, hard)
	}
	unknown := m.Score(see("zzyzx qwfp"))
	if unknown.Novelty != 1 || easy.Novelty != float32(1)/7 { // "in" was never drawn
		t.Errorf("novelty %v and %v", unknown.Novelty, easy.Novelty)
	}
	samples := drawn(2000, 1)
	w := fit(samples, 1)
	for i := range samples {
		s := m.Score(samples[i].Vector)
		for _, x := range []float32{s.Need, s.Risk, s.Weak, s.Strong, s.Novelty} {
			if !(x >= 0 && x <= 1) {
				t.Fatalf("%+v", s)
			}
		}
		if exact := w.right(samples[i].Vector); math.Abs(float64(exact[weakly]-s.Weak)) > 0.02 || math.Abs(float64(exact[strongly]-s.Strong)) > 0.02 {
			t.Fatalf("packed %v and %v, exact %v", s.Weak, s.Strong, exact)
		}
	}
	test, err := m.Test(Set{"drawn", drawn(1000, 2)}, 1)
	if err != nil || test.Curve.APGR < 0.75 {
		t.Errorf("APGR %v, %v", test.Curve.APGR, err)
	}
}

// TestEachHeadLearnsFromItsOwnModel: prompts that only one model answered are
// enough, which is what a gateway sees.
func TestEachHeadLearnsFromItsOwnModel(t *testing.T) {
	samples := drawn(3000, 1)
	for i := range samples {
		if i%2 == 0 {
			samples[i].Weak = float32(math.NaN())
		} else {
			samples[i].Strong = float32(math.NaN())
		}
	}
	m, err := Train(t.Context(), Training{Weak: "small", Strong: "large", Samples: samples, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	test, err := m.Test(Set{"drawn", drawn(1000, 2)}, 1)
	if err != nil || test.Curve.APGR < 0.7 {
		t.Errorf("APGR %v, %v", test.Curve.APGR, err)
	}
}

func TestTooFewOutcomesAreRefused(t *testing.T) {
	for _, s := range [][]Sample{nil, drawn(FewestOutcomes-1, 1)} {
		if _, err := Train(t.Context(), Training{Weak: "small", Strong: "large", Samples: s}); !errors.Is(err, ErrTooFew) {
			t.Errorf("%d: %v", len(s), err)
		}
	}
}

func TestFoldsKeepEqualPromptsTogether(t *testing.T) {
	samples := drawn(300, 1)
	samples = append(samples, samples...)
	fold := Folds(samples, 5, 1).Of
	count := [5]int{}
	for i := range 300 {
		count[fold[i]]++
		if fold[i] != fold[i+300] {
			t.Fatalf("prompt %d is trained on and tested on", i)
		}
	}
	for f, n := range count {
		if n < 30 {
			t.Errorf("fold %d has %d of 300", f, n)
		}
	}
}

// TestAModelKnowsWhatItWasTrainedOn, about.
func TestAModelKnowsWhatItWasTrainedOn(t *testing.T) {
	samples := drawn(6000, 1)
	m := &Model{sketch: sketchOf(samples[:3000])}
	for _, c := range []struct {
		name string
		of   []Sample
		want float64
	}{{"all", samples[:3000], 1}, {"half", samples, 0.5}, {"none", samples[3000:], 0}} {
		if got := m.Trained(c.of); math.Abs(got-c.want) > 0.05 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTrainingEndsWhenItIsToldTo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Train(ctx, Training{Weak: "small", Strong: "large", Samples: drawn(600, 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestPromisesGetDearer: a higher floor leaves the weak model less.
func TestPromisesGetDearer(t *testing.T) {
	last := 1.0
	proven := 0
	for _, p := range trained(t).Promises() {
		if p.WeakShare > last || (p.Proven && p.WeakShare == 0) || (!p.Proven && p.WeakShare != 0) {
			t.Errorf("%+v after %v", p, last)
		}
		if p.Proven {
			proven++
		}
		last = p.WeakShare
	}
	if proven == 0 {
		t.Error("nothing is promised")
	}
}
