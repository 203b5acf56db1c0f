package complexity

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The names of RouteLLM's pair.
const (
	mixtral = "mistralai/Mixtral-8x7B-Instruct-v0.1"
	gpt4    = "gpt-4-1106-preview"
)

// routellm reads RouteLLM's published results: from $TAILPLANE_TRACES, else from
// ../shared/traces beside the repository, else the test is skipped.
func routellm(t testing.TB) *Data {
	t.Helper()
	if testing.Short() || raceDetector {
		t.Skip("it trains for a quarter of a minute, and for much longer under the race detector, which has nothing to find here")
	}
	dir, ok := traces()
	if !ok {
		t.Skip("no traces: set TAILPLANE_TRACES, or put them at ../shared/traces beside the repository")
	}
	d, err := Read(From{Path: filepath.Join(dir, "routellm"), Weak: mixtral, Strong: gpt4})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func traces() (dir string, ok bool) {
	dir = os.Getenv("TAILPLANE_TRACES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "traces")
	}
	info, err := os.Stat(filepath.Join(dir, "routellm"))
	return dir, err == nil && info.IsDir()
}

// TestTheBarsAreReached asserts what docs/guides/complexity.md promises, and a
// little less than was measured: the figures move by 0.01 with the seed.
func TestTheBarsAreReached(t *testing.T) {
	d := routellm(t)
	r, err := Measure(t.Context(), d.Sets, Plan{Folds: 5, Seeds: 5, Seed: 1, LeaveGroupOut: true})
	if err != nil {
		t.Fatal(err)
	}
	bars := map[[2]string]struct{ apgr, cpt50 float64 }{
		{"mmlu", "5 folds"}:                    {0.65, 28},
		{"mmlu", "each of 57 groups left out"}: {0.57, 100},
		{"gsm8k", "5 folds"}:                   {0.63, 100},
	}
	for _, x := range r.Tests {
		t.Logf("%-6s %-28s APGR %.4f (%.4f to %.4f)  CPT50 %.1f  CPT80 %.1f", x.Set, x.Split, x.Curve.APGR, x.Low, x.High, x.Curve.CPT50, x.Curve.CPT80)
		bar, asserted := bars[[2]string{x.Set, x.Split}]
		if asserted && (x.Curve.APGR < bar.apgr || x.Curve.CPT50 > bar.cpt50) {
			t.Errorf("%s, %s: APGR %.4f and CPT50 %.1f miss %+v", x.Set, x.Split, x.Curve.APGR, x.Curve.CPT50, bar)
		}
		delete(bars, [2]string{x.Set, x.Split})
		if g := x.Guarded; g != nil {
			t.Logf("       guard: %+v", *g)
			checkGuarded(t, x)
		}
	}
	for missing := range bars {
		t.Errorf("%v was not measured", missing)
	}
}

// checkGuarded: off the distribution the guard leaves nothing to the scores, so
// that no threshold does worse than chance; on it, it hardly ever speaks. Which it is
// the split says: InDomain is the guard's own opinion, and a blind guard would pass.
func checkGuarded(t *testing.T, x Test) {
	t.Helper()
	g := x.Guarded
	if !strings.HasPrefix(x.Split, "trained on ") {
		if g.Off > (g.Same+g.Off)/50 {
			t.Errorf("%s, %s: the guard holds %d of %d for another distribution", x.Set, x.Split, g.Off, g.Same+g.Off)
		}
		return
	}
	if g.Lift < -1e-9 || g.APGR < 0.5-1e-9 {
		t.Errorf("%s, %s: worse than chance with the guard: lift %v, APGR %v", x.Set, x.Split, g.Lift, g.APGR)
	}
	if g.Off == 0 {
		t.Errorf("%s, %s: the guard saw nothing", x.Set, x.Split)
	}
}

// TestContaminatedPromptsAreLeftOut has the counts of the published data.
func TestContaminatedPromptsAreLeftOut(t *testing.T) {
	d := routellm(t)
	for name, want := range map[string]int{"mmlu": 14_042 - 5, "gsm8k": 1_319 - 12} {
		i := slices.IndexFunc(d.Sets, func(s Set) bool { return s.Name == name })
		if i < 0 || len(d.Sets[i].Samples) != want {
			t.Errorf("%s: want %d prompts of %+v", name, want, d.Notes)
		}
	}
}

// TestWhatIsPromisedHoldsOnPromptsThatNobodySaw: floors and risks are worked out
// on four fifths of MMLU and counted on the fifth, for five ways to divide it.
func TestWhatIsPromisedHoldsOnPromptsThatNobodySaw(t *testing.T) {
	d := routellm(t)
	i := slices.IndexFunc(d.Sets, func(s Set) bool { return s.Name == "mmlu" })
	samples := d.Sets[i].Samples
	floors := []float64{0.83, 0.85, 0.87}
	worse, weak := make([]float64, len(floors)), make([]float64, len(floors))
	var off, n float64
	for seed := range uint64(5) {
		training, rest := Folds(samples, 5, seed).parted(samples, 0)
		m, err := Train(t.Context(), Training{Samples: training, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		var risk, was [10]float64
		limits := make([]float32, len(floors)) // none is promised below nothing
		for k, f := range floors {
			limits[k], _ = m.Floor("", f)
		}
		for i := range rest {
			s := m.Score(rest[i].Vector)
			bad, _ := rest[i].worse()
			n++
			risk[min(9, int(s.Risk*20))] += float64(s.Risk)
			was[min(9, int(s.Risk*20))] += bad
			for k := range floors {
				if s.Need < limits[k] {
					weak[k]++
					worse[k] += bad
				}
			}
		}
		for k := range risk {
			off += math.Abs(risk[k] - was[k])
		}
	}
	for k, f := range floors {
		kept := 1 - worse[k]/weak[k]
		t.Logf("floor %v: the weak model gets %.1f%%, of which %.1f%% are as good", f, 100*weak[k]/n, 100*kept)
		if weak[k] == 0 || kept < f {
			t.Errorf("a floor of %v became %v", f, kept)
		}
	}
	if t.Logf("the risk is off by %.3f on average", off/n); off/n > 0.03 {
		t.Errorf("the calibration error is %v", off/n)
	}
}
