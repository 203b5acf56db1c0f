package gateway_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tailplane/internal/complexity"
	"tailplane/internal/config"
	"tailplane/internal/gateway"
)

// trainedFile is what cases with complexity call their trained model, embeddedFile
// one that was trained with embeddings of the model "bge", and latestID the latest id
// that the client was told.
const (
	trainedFile  = "TRAINED.tpc"
	embeddedFile = "EMBEDDED.tpc"
	latestID     = "req_THELATESTTHATTHECLIENTSAWX"
)

// prompts are n of which those with words of mathematics are hard; the same for a
// seed.
func prompts(n int, seed uint64) (texts []string, hard []bool) {
	random := rand.New(rand.NewPCG(seed, 5))
	plain := strings.Fields("hello please tell me the time weather name capital colour city river song dinner")
	learned := strings.Fields("prove lemma integral compactness manifold theorem derive bound spectrum kernel")
	for range n {
		from := plain
		isHard := random.IntN(3) == 0
		if isHard {
			from = learned
		}
		words := make([]string, 5+random.IntN(20))
		for i := range words {
			words[i] = from[random.IntN(len(from))]
		}
		texts, hard = append(texts, strings.Join(words, " ")), append(hard, isHard)
	}
	return texts, hard
}

// trained is a model for which hard prompts need the strong one.
var trained = sync.OnceValues(func() (*complexity.Model, error) {
	texts, hard := prompts(600, 1)
	samples := make([]complexity.Sample, len(texts))
	var e complexity.Extractor
	for i, text := range texts {
		samples[i] = complexity.Sample{Vector: e.Extract(0, text).Clone(), Weak: 1, Strong: 1}
		if hard[i] {
			samples[i].Weak = 0
		}
	}
	return complexity.Train(context.Background(), complexity.Training{Weak: "small", Strong: "large", Source: "test", Samples: samples, Seed: 1})
})

// embeddingOf is one near [1, 0, 0] for easy prompts, and near [0, 1, 0] for hard ones.
func embeddingOf(hard bool, random *rand.Rand) complexity.Embedding {
	v := []float32{1, 0, 0}
	if hard {
		v = []float32{0, 1, 0}
	}
	for i := range v {
		v[i] += float32(random.NormFloat64()) / 20
	}
	return complexity.Embedding{Model: "bge", Vector: v}
}

// embedded is a model for which the words say nothing, and the embedding everything.
var embedded = sync.OnceValues(func() (*complexity.Model, error) {
	texts, words := prompts(900, 1)
	var samples []complexity.Sample
	var e complexity.Extractors
	random := rand.New(rand.NewPCG(1, 6))
	for i, text := range texts {
		if words[i] {
			continue // with the words of mathematics
		}
		s := complexity.Sample{Weak: float32(i % 2), Strong: 1}
		e.See(0, text, embeddingOf(s.Weak == 0, random), func(v complexity.Vector) { s.Vector = v.Clone() })
		samples = append(samples, s)
	}
	return complexity.Train(context.Background(), complexity.Training{Weak: "small", Strong: "large", Source: "test", Samples: samples, Seed: 1})
})

// withTrained writes the models where the config of a case looks for them.
func withTrained(t *testing.T, text string) string {
	for name, model := range map[string]func() (*complexity.Model, error){trainedFile: trained, embeddedFile: embedded} {
		if !strings.Contains(text, name) {
			continue
		}
		m, err := model()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "model.tpc")
		if err := os.WriteFile(path, m.Encode(), 0o600); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, name, path)
	}
	return text
}

// judges adds to the parts of a plane who decides, after enough traffic like the
// training, and the log of outcomes.
func (r *rig) judges(file *config.File, parts *gateway.Parts) {
	models, failed := file.Trained()
	if failed != nil {
		r.t.Fatal(failed)
	}
	parts.Routers, parts.Learning = map[string]*complexity.Router{}, r.learning
	texts, hard := prompts(128, 2)
	random := rand.New(rand.NewPCG(2, 6))
	for name, m := range models {
		router := complexity.NewRouter(*file.Models[name].Complexity, m, nil)
		for i, text := range texts {
			ask := complexity.Ask{Text: text}
			if m.Embedding != "" {
				if hard[i] {
					continue
				}
				ask.Embedding = embeddingOf(i%2 == 0, random)
			} else if i >= 64 {
				break
			}
			router.Route(ask)
		}
		parts.Routers[name] = router
	}
}

// keepsOutcomes opens a log for a case.
func (r *rig) keepsOutcomes(t *testing.T) (read func() []complexity.Outcome) {
	dir := t.TempDir()
	log, err := complexity.OpenOutcomes(dir, complexity.DefaultBounds(), 7)
	if err != nil {
		t.Fatal(err)
	}
	r.learning = gateway.NewLearning(log)
	return func() (out []complexity.Outcome) {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		paths, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, path := range paths {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			_, list, bad, err := complexity.ReadOutcomes(f)
			if err != nil || bad != 0 {
				t.Errorf("%s: %d bad lines, %v", path, bad, err)
			}
			out = append(out, list...)
			_ = f.Close()
		}
		return out
	}
}

// TestTheReasonsOfChoices: the model of the cases decides as they need it to
// by its scores and by nothing else.
func TestTheReasonsOfChoices(t *testing.T) {
	setSecrets(t)
	r := newRig(t, withTrained(t, "targets:\n  a: {kind: sim, url: \"http://a\"}\nkeys: {required: false}\nmodels:\n  m: {complexity: {file: TRAINED.tpc, weak: a/sim, strong: a/other, strong_share: 0.4}}\n"), nil)
	plane := r.gateway.Plane()
	for text, want := range map[string]complexity.Reason{
		"hello please tell me the time": complexity.BecauseEasy, "prove lemma derive bound": complexity.BecauseNeeded, "": complexity.BecauseNoText,
	} {
		if got := plane.Routers()["m"].Route(complexity.Ask{Text: text}); got.Why != want {
			t.Errorf("%q: %v, want %s", text, got, want)
		}
	}
	r.stop()
	r.outcomes()
}
