package complexity

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// drawn are samples in which the strong model is needed where a prompt speaks of
// proofs; n of them, the same for a seed.
func drawn(n int, seed uint64) []Sample {
	random := rand.New(rand.NewPCG(seed, 5))
	easy := strings.Fields("hello please tell me the time weather name capital colour city river song dinner")
	hard := strings.Fields("prove lemma integral compactness manifold theorem derive bound spectrum kernel")
	chance := func(p float64) float32 {
		if random.Float64() < p {
			return 1
		}
		return 0
	}
	var e Extractor
	out := make([]Sample, n)
	for i := range out {
		var words []string
		isHard := random.IntN(3) == 0
		for range 5 + random.IntN(20) {
			from := easy
			if isHard && random.IntN(2) == 0 {
				from = hard
			}
			words = append(words, from[random.IntN(len(from))])
		}
		s := Sample{Vector: e.Extract(0, strings.Join(words, " ")).Clone(), Strong: chance(0.95), Weak: chance(0.93), Group: fmt.Sprint(i % 3)}
		if isHard {
			s.Weak = chance(0.3)
		}
		out[i] = s
	}
	return out
}

// trained is a model of drawn samples.
func trained(t testing.TB) *Model {
	t.Helper()
	m, err := Train(t.Context(), Training{Weak: "small", Strong: "large", Source: "drawn", Samples: drawn(2000, 1), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
