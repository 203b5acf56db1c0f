package complexity

import (
	"math"
	"slices"
	"unicode/utf8"
)

const (
	bucketBits = 18
	// Buckets is how many places words and pairs of words are hashed to.
	Buckets = 1 << bucketBits
	// MostText is how many bytes of a prompt are looked at. Of a longer one it is
	// the first half of that and the last half: the task stands at one end, and
	// what is between is most often material.
	MostText = 8 << 10
	// mostWords bounds the distinct words, and the pairs of neighbours, of a
	// vector. MostText cannot hold more: a word takes a byte and one of space.
	mostWords = MostText/2 + 2
)

// Vector is what is known of a prompt: which buckets its words and its pairs of
// neighbouring words fall into, each once, and the [Shape] of the text.
// The order of words is lost, and so are their counts.
type Vector struct {
	Words, Pairs []uint32
	Shape        Shape
	// Meaning are the buckets of the text's embedding, and Embedding is the model
	// that made it; both are empty where there is none.
	Meaning   []uint32
	Embedding string
}

// Clone returns a copy that nobody else writes to, its buckets in ascending
// order.
func (v Vector) Clone() Vector {
	v.Words, v.Pairs, v.Meaning = slices.Clone(v.Words), slices.Clone(v.Pairs), slices.Clone(v.Meaning)
	slices.Sort(v.Words)
	slices.Sort(v.Pairs)
	slices.Sort(v.Meaning)
	return v
}

// Key names the prompt: equal vectors have equal keys, whatever the order of
// their buckets. It joins what two models did with the same prompt. An embedding
// does not count: the same text is not embedded alike each time, nor always.
func (v Vector) Key() uint64 {
	key := uint64(len(v.Words))<<32 | uint64(len(v.Pairs))
	for _, b := range v.Words {
		key += mix(uint64(b) + 1)
	}
	for _, b := range v.Pairs {
		key += mix(uint64(b) + Buckets + 1)
	}
	for _, x := range v.Shape {
		key = mix(key ^ uint64(math.Float32bits(x)))
	}
	return key
}

// groups are the buckets that are weighed together. What the weight of each is
// multiplied by keeps long prompts from being louder than short ones, and the
// words of a long one from drowning what it means.
func (v Vector) groups() [2]group {
	return [2]group{{[2][]uint32{v.Words, v.Pairs}, norm(len(v.Words) + len(v.Pairs))}, {[2][]uint32{v.Meaning}, norm(len(v.Meaning))}}
}

// group is a part of a vector.
type group struct {
	lists [2][]uint32
	norm  float32
}

func norm(n int) float32 { return float32(1 / math.Sqrt(float64(max(1, n)))) }

// Extractor turns texts into vectors. It holds the memory for that and is for
// one goroutine at a time; after the first use it allocates nothing.
type Extractor struct {
	seen         [Buckets / 64]uint64
	words, pairs []uint32
	meaning      []uint32
	turned       []float32
}

// Extract returns the vector of a text. Its slices belong to the extractor and
// hold until the next call. Texts are only comparable under the same seed, which
// is part of every hash; one that is secret keeps others from looking words up.
func (e *Extractor) Extract(seed uint64, text string) Vector {
	e.forget()
	r := reader{e: e, basis: mix(seed ^ 0x9e3779b97f4a7c15)}
	begin, end := ends(text, MostText)
	r.read(begin)
	r.read(end)
	return Vector{Words: e.words, Pairs: e.pairs, Shape: r.tally.shape(len(text), len(e.words))}
}

// ends are the first half and the last of so many bytes of a text; all of it is
// the first where it is no longer.
func ends(text string, most int) (begin, end string) {
	if len(text) <= most {
		return text, ""
	}
	return text[:most/2], text[len(text)-most/2:]
}

// Excerpt is what is embedded of a text: at most so many bytes, of a longer one
// those of its two ends, in whole characters.
func Excerpt(text string, most int) string {
	begin, end := ends(text, min(most, MostText)-1) // and a line's end between them
	if end == "" {
		return begin
	}
	for len(begin) > 0 && !utf8.RuneStart(text[len(begin)]) {
		begin = begin[:len(begin)-1]
	}
	for len(end) > 0 && !utf8.RuneStart(end[0]) {
		end = end[1:]
	}
	return begin + "\n" + end
}

func (e *Extractor) forget() {
	if e.words == nil {
		e.words, e.pairs = make([]uint32, 0, mostWords), make([]uint32, 0, mostWords)
	}
	for _, b := range e.words {
		e.seen[b/64] = 0
	}
	for _, b := range e.pairs {
		e.seen[b/64] = 0
	}
	e.words, e.pairs = e.words[:0], e.pairs[:0]
}

// add puts the bucket of a hash on a list, once for both lists.
func (e *Extractor) add(list []uint32, hash uint64) []uint32 {
	bucket := uint32(hash % Buckets)
	if bit := uint64(1) << (bucket % 64); e.seen[bucket/64]&bit == 0 && len(list) < cap(list) {
		e.seen[bucket/64] |= bit
		list = append(list, bucket)
	}
	return list
}

// reader goes over a text once.
type reader struct {
	e     *Extractor
	basis uint64 // where each word's hash begins
	last  uint64 // the hash of the word before; 0 at the beginning
	tally tally
}

const prime = 0x100000001b3 // of FNV-1a

// read takes a piece of text. A word is a run of letters and digits in lower
// case; in scripts without spaces each character is one, so that a pair is two
// characters.
func (r *reader) read(text string) {
	hash, length := r.basis, 0
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			i++
			class := classes[c]
			r.tally.count[class]++
			if class.inWord() {
				if class == upper {
					c |= 0x20
				}
				hash, length = (hash^uint64(c))*prime, length+1
				continue
			}
			if length > 0 {
				r.word(hash, length)
				hash, length = r.basis, 0
			}
			continue
		}
		ru, size := utf8.DecodeRuneInString(text[i:])
		i += size
		class := classOf(ru)
		r.tally.count[class]++
		r.tally.foreign++
		if class.inWord() {
			if class == upper {
				ru += 0x20
			}
			hash, length = (hash^uint64(ru))*prime, length+1
			if class != spaceless {
				continue
			}
		}
		if length > 0 {
			r.word(hash, length)
			hash, length = r.basis, 0
		}
	}
	if length > 0 {
		r.word(hash, length)
	}
}

func (r *reader) word(hash uint64, length int) {
	r.tally.words++
	r.tally.letters += length
	hash = mix(hash)
	r.e.words = r.e.add(r.e.words, hash)
	if r.last != 0 {
		r.e.pairs = r.e.add(r.e.pairs, mix(r.last*31+hash))
	}
	r.last = hash
}

// mix spreads the bits of a hash (the finaliser of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
