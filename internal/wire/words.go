package wire

// Words are texts that a scan looks out for. A nil one looks out for nothing. It
// is not changed after NewWords and is safe for concurrent use.
type Words struct {
	words []string
	first [256]uint8 // by the first byte of a word, the bits of those that begin with it
}

// NewWords looks out for strings that begin with one of at most eight words, none
// of them empty. A closing quote at the end of a word makes it the whole string.
func NewWords(words ...string) *Words {
	w := &Words{words: words}
	for i, word := range words {
		w.first[word[0]] |= 1 << i
	}
	return w
}

// Scan is [Scan], and sets bit i of said when a string of the body, be it a name or
// a value at any depth, begins with the i-th word. A string that spells the word
// with escapes does not.
func (w *Words) Scan(body []byte, names []string, found []Member) (o Object, said uint8, err error) {
	if w == nil {
		o, err = Scan(body, names, found)
		return o, 0, err
	}
	h := heard{words: w}
	o, err = scan(body, Span{0, len(body)}, names, found, &h)
	return o, h.said, err
}

// heard is the words that one scan came by.
type heard struct {
	words *Words
	said  uint8
}

// hear looks at what stands behind an opening quote.
func (h *heard) hear(b []byte) {
	if len(b) > 0 && h.words.first[b[0]] != 0 {
		h.compare(b)
	}
}

func (h *heard) compare(b []byte) {
	for i, word := range h.words.words {
		if len(b) >= len(word) && string(b[:len(word)]) == word {
			h.said |= 1 << i
		}
	}
}
