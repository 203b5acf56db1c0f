package route

// The rules of work that is no conversation:
//
//   - A text of which vectors or scores are made is computed like a prompt, but none
//     of its tokens looks at those of another text in the request, nothing of it is
//     found in a cache, and its end is its first token. So its seconds are in
//     proportion to its tokens, and its whole answer teaches the group's speed.
//   - How long sound and pictures take, and what they leave room for, does not follow
//     from their bytes. They count by how long those before them took for their size,
//     and room for them is a matter of numbers alone.

// Work is what a request makes a replica do. The zero Work is WorkPrompt.
type Work uint8

// The kinds of work.
const (
	WorkPrompt Work = iota // a prompt is computed, and an answer written
	WorkText               // a text is computed, and nothing is written: vectors, scores
	WorkOther              // sound, pictures, and what computes nothing
)

// seconds is what it takes to compute the last uncached of so many tokens.
func (m *model) seconds(k Work, uncached, tokens int) float64 {
	switch k {
	case WorkOther:
		return 0
	case WorkText:
		return m.linear * float64(tokens)
	}
	return m.prefill(uncached, tokens)
}

// shape is a request of the kind as its cost sees it.
func (k Work) shape(uncached, tokens int) (u, pairs float64) {
	u, pairs = shape(uncached, tokens)
	if k == WorkText {
		pairs = 0
	}
	return u, pairs
}

// others is how long WorkOther has taken lately, beside its size.
type others struct{ seconds, size float64 }

// priorOther is how many seconds such a request is expected to take until one has been
// answered.
const priorOther = 1

func (o *others) take(took float64, size int) {
	if size <= 0 || !(took > 0) {
		return
	}
	o.seconds, o.size = smooth(o.seconds, took, 1.0/recent), smooth(o.size, float64(size), 1.0/recent)
}

// expect is how long one of that size is expected to take.
func (o *others) expect(size int) float64 {
	if o.size == 0 {
		return priorOther
	}
	return float64(size) * o.seconds / o.size
}
