package complexity

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Training is what a model is made from.
type Training struct {
	Weak, Strong string
	Source       string // what the samples are, in words
	HashSeed     uint64 // under which the samples were hashed
	Samples      []Sample
	// Seed decides the order of samples and the folds. The same samples in the
	// same order and the same seed make the same model on the same processor
	// architecture, byte for byte.
	Seed uint64
}

// FewestOutcomes is how many outcomes each of the two models has to have.
const FewestOutcomes = 200

// ErrTooFew: there is nothing to learn from.
var ErrTooFew = errors.New("too few outcomes")

// ErrMixed: some samples have an embedding of one model, and others another or none.
var ErrMixed = errors.New("the samples are not embedded alike")

// embeddingOf is the model that all samples are embedded by; uniform is false where
// they are not alike.
func embeddingOf(samples []Sample) (model string, uniform bool) {
	for i := range samples {
		if samples[i].Embedding != samples[0].Embedding {
			return "", false
		}
	}
	if len(samples) == 0 {
		return "", true
	}
	return samples[0].Embedding, true
}

// calibrationFolds is by how many models the samples are judged that were not
// trained on them. The more there are, the nearer they come to the model that is
// trained on all, which matters where there are few samples.
func calibrationFolds(samples int) int {
	if samples < 5000 {
		return 10
	}
	return 5
}

// Train makes a model. It trains once on all samples, and then on
// all but one of some parts, for each: what the calibration, the floors and the
// guard compare with comes from the scores of samples that a model had not seen.
func Train(ctx context.Context, t Training) (*Model, error) {
	var weak, strong int
	for i := range t.Samples {
		if !isNaN(t.Samples[i].Weak) {
			weak++
		}
		if !isNaN(t.Samples[i].Strong) {
			strong++
		}
	}
	if weak < FewestOutcomes || strong < FewestOutcomes {
		return nil, fmt.Errorf("%w: %d of %s and %d of %s; %d of each are needed", ErrTooFew, weak, t.Weak, strong, t.Strong, FewestOutcomes)
	}
	embedding, uniform := embeddingOf(t.Samples)
	if !uniform {
		return nil, ErrMixed
	}
	m := &Model{Weak: t.Weak, Strong: t.Strong, Seed: t.HashSeed, Embedding: embedding, Source: t.Source, Samples: len(t.Samples)}
	m.pack(fit(t.Samples, t.Seed))
	m.seen = *seenBy(t.Samples)
	m.sketch = sketchOf(t.Samples)
	scores, err := cross(ctx, t.Samples, Folds(t.Samples, calibrationFolds(len(t.Samples)), t.Seed), t.Seed)
	if err != nil {
		return nil, err
	}
	m.reference = referenceOf(t.Samples, scores)
	m.calibrate(t.Samples, scores)
	return m, nil
}

func (m *Model) calibrate(samples []Sample, scores []crossed) {
	needs := make([]float32, len(samples))
	var all []observed
	of := map[string][]observed{}
	for i := range samples {
		needs[i] = scores[i].need()
		if worse, known := samples[i].worse(); known {
			p := observed{needs[i], worse}
			all = append(all, p)
			if c := samples[i].Customer; c != "" {
				of[c] = append(of[c], p)
			}
		}
	}
	slices.Sort(needs)
	for q := range m.quantiles {
		m.quantiles[q] = needs[len(needs)*q/len(m.quantiles)]
	}
	m.risk = isotonicOf(all)
	m.ladders = []ladder{ladderOf("", all)}
	// The customers with the most outcomes have ladders of their own.
	var names []string
	for name, points := range of {
		if len(points) >= fewest && len(name) <= mostName {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return compareBy(len(of[b])-len(of[a]), a, b)
	})
	for _, name := range names[:min(len(names), mostLadders-1)] {
		m.ladders = append(m.ladders, ladderOf(name, of[name]))
	}
}

func compareBy(first int, a, b string) int {
	switch {
	case first != 0:
		return first
	case a < b:
		return -1
	}
	return 1
}

// sketch are the smallest keys of the prompts that a model was trained on. Of
// any other prompts, the share that the training had can be told from those of
// their keys that lie below its largest.
type sketch []uint64

const mostSketched = 1024

func sketchOf(samples []Sample) sketch {
	var s sketch
	for i := range samples {
		s = append(s, mix(samples[i].Key()))
	}
	slices.Sort(s)
	s = slices.Compact(s)
	return slices.Clone(s[:min(len(s), mostSketched)])
}

// Trained is about which share of the samples' prompts the model was trained on.
func (m *Model) Trained(samples []Sample) float64 {
	limit := uint64(math.MaxUint64)
	if len(m.sketch) == mostSketched {
		limit = m.sketch[len(m.sketch)-1]
	}
	within, known := 0, 0
	for i := range samples {
		key := mix(samples[i].Key())
		if key > limit {
			continue
		}
		within++
		if _, found := slices.BinarySearch(m.sketch, key); found {
			known++
		}
	}
	return float64(known) / float64(max(1, within))
}
