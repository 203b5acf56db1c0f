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

// Heard is what a scan came by in the strings of a body, be they names or values at
// any depth.
type Heard struct {
	// Said has bit i set when a string begins with the i-th word. One that spells
	// the word with escapes does not.
	Said uint8
	// Halves says that there are escapes of surrogates, which can be halves of a
	// pair without the other one (see Mend).
	Halves bool
	// Long is where the strings of more than LongString bytes stand, in their
	// order: whoever walks over the body again need not read them again.
	Long []Span
	// Members are all members of the object, in their order and duplicates included.
	// There are none of an object that is empty or has more than MostMembers.
	Members []Member
}

// LongString is how many bytes a string may have that is not long.
const LongString = 256

// MostMembers is how many members of an object are noted.
const MostMembers = 32

// keptSpans bounds the memory that is used again, which a hostile body fills.
const keptSpans = 4 << 10

// Scan is [Scan], and listens. What h held before is overwritten; its memory is
// used again.
func (w *Words) Scan(body []byte, names []string, found []Member, h *Heard) (Object, error) {
	*h = Heard{Long: h.Long[:0], Members: h.Members[:0]}
	if cap(h.Long) > keptSpans {
		h.Long = nil
	}
	object, err := scan(body, Span{0, len(body)}, names, found, &heard{words: w, Heard: h})
	if len(h.Members) > MostMembers {
		h.Members = h.Members[:0]
	}
	return object, err
}

// heard listens for the words of one scan.
type heard struct {
	words *Words
	*Heard
}

// note notes a member; one more than MostMembers says that there are too many.
func (h *heard) note(m Member) {
	if len(h.Members) <= MostMembers {
		h.Members = append(h.Members, m)
	}
}

// hear looks at what stands behind an opening quote.
func (h *heard) hear(b []byte) {
	if h.words != nil && len(b) > 0 && h.words.first[b[0]] != 0 {
		h.compare(b)
	}
}

func (h *heard) compare(b []byte) {
	for i, word := range h.words.words {
		if len(b) >= len(word) && string(b[:len(word)]) == word {
			h.Said |= 1 << i
		}
	}
}
