package complexity

import (
	"context"
	"math/rand/v2"
	"slices"
)

// Split says which of some parts each sample belongs to.
type Split struct {
	Of    []int
	Parts int
}

// Folds divides samples into k parts by chance. Samples of the same prompt
// come into the same part, so that none is tested on what it was trained on.
func Folds(samples []Sample, k int, seed uint64) Split {
	s := Split{make([]int, len(samples)), k}
	of := map[uint64]int{}
	for n, i := range rand.New(rand.NewPCG(seed, 0)).Perm(len(samples)) {
		key := samples[i].Key()
		if _, known := of[key]; !known {
			of[key] = n % k
		}
		s.Of[i] = of[key]
	}
	return s
}

// Groups makes one part of each group.
func Groups(samples []Sample) (s Split) {
	var names []string
	for i := range samples {
		names = append(names, samples[i].Group)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for i := range samples {
		n, _ := slices.BinarySearch(names, samples[i].Group)
		s.Of = append(s.Of, n)
	}
	s.Parts = len(names)
	return s
}

// parted are the samples of all parts but one, and those of that.
func (s Split) parted(samples []Sample, part int) (others, those []Sample) {
	for i := range samples {
		if s.Of[i] == part {
			those = append(those, samples[i])
		} else {
			others = append(others, samples[i])
		}
	}
	return others, those
}

// crossed is what a sample is told by a model that was trained without its part.
type crossed struct {
	weak, strong float32 // chance of being right
	novelty      float32 // share of its words that the model has not seen
}

func (c crossed) need() float32 { return need(c.weak, c.strong) }

// cross trains a model for each part, on the others, and asks it about the
// part's samples.
func cross(ctx context.Context, samples []Sample, split Split, seed uint64) ([]crossed, error) {
	out := make([]crossed, len(samples))
	for part := range split.Parts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		training, _ := split.parted(samples, part)
		w := fit(training, seed)
		seen := seenBy(training)
		for i := range samples {
			if v := samples[i].Vector; split.Of[i] == part {
				right := w.right(v)
				out[i] = crossed{right[weakly], right[strongly], seen.novelty(v)}
			}
		}
	}
	return out, nil
}
