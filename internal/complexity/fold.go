package complexity

import (
	"math/rand/v2"
	"slices"
)

// Folds divides samples into k parts by chance. Samples of the same prompt
// come into the same part, so that none is tested on what it was trained on.
func Folds(samples []Sample, k int, seed uint64) []int {
	fold := make([]int, len(samples))
	of := map[uint64]int{}
	for n, i := range rand.New(rand.NewPCG(seed, 0)).Perm(len(samples)) {
		key := samples[i].Key()
		if _, known := of[key]; !known {
			of[key] = n % k
		}
		fold[i] = of[key]
	}
	return fold
}

// Groups makes one fold of each group, and returns the number of them.
func Groups(samples []Sample) (fold []int, k int) {
	var names []string
	for i := range samples {
		names = append(names, samples[i].Group)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for i := range samples {
		n, _ := slices.BinarySearch(names, samples[i].Group)
		fold = append(fold, n)
	}
	return fold, len(names)
}

// without are the samples of all folds but one.
func without(samples []Sample, fold []int, which int) []Sample {
	var out []Sample
	for i := range samples {
		if fold[i] != which {
			out = append(out, samples[i])
		}
	}
	return out
}

// crossed is what a sample is told by a model that was trained without its fold.
type crossed struct {
	weak, strong float32 // chance of being right
	novelty      float32 // share of its words that the model has not seen
}

func (c crossed) need() float32 { return need(c.weak, c.strong) }

// cross trains a model for each fold, on the others, and asks it about the
// fold's samples.
func cross(samples []Sample, fold []int, k int, seed uint64) []crossed {
	out := make([]crossed, len(samples))
	for f := range k {
		training := without(samples, fold, f)
		w := fit(training, seed)
		seen := seenBy(training)
		for i := range samples {
			if v := samples[i].Vector; fold[i] == f {
				right := w.right(v)
				out[i] = crossed{right[weakly], right[strongly], seen.novelty(v)}
			}
		}
	}
	return out
}
