package wire

import "bytes"

// Words look for texts that a string of a JSON text begins with, all of them in one
// pass. The zero value looks for nothing. It is not changed after NewWords and is
// safe for concurrent use.
type Words struct {
	words []string
	first [256]uint8 // by the first byte of a word, the bits of those that begin with it
}

// NewWords looks for at most eight words, none of them empty: what stands behind an
// opening quote. A closing quote at the end of a word makes it the whole string.
func NewWords(words ...string) *Words {
	w := &Words{words: words}
	for i, word := range words {
		w.first[word[0]] |= 1 << i
	}
	return w
}

// In returns bit i for the i-th word when b seems to hold a string that begins with
// it. It is true of no other word but one behind a quote inside a string, and it is
// false of a string that spells the word with escapes. Quotes are found many
// bytes at a time: a long prompt costs little, and needs not be valid JSON.
func (w *Words) In(b []byte) (found uint8) {
	for {
		i := bytes.IndexByte(b, '"')
		if i < 0 || i+1 == len(b) {
			return found
		}
		b = b[i+1:]
		for bits, n := w.first[b[0]]&^found, 0; bits != 0; bits, n = bits>>1, n+1 {
			if bits&1 != 0 && len(b) >= len(w.words[n]) && string(b[:len(w.words[n])]) == w.words[n] {
				found |= 1 << n
			}
		}
	}
}
