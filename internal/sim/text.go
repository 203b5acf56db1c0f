package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rules of this file: all text is a deterministic function of its arguments;
// joining the tokens of a text gives the text; tokens never cut a rune.

// nextToken returns the length in bytes of the first token of s, which is not
// empty: a word of up to six letters, four letters of a longer one, up to three
// digits, a run of up to four equal spaces, or one other rune. One space before
// a word belongs to it. English comes out near four characters per token.
func nextToken(s string) int {
	lead := 0
	if s[0] == ' ' && len(s) > 1 && isWordByte(s[1]) {
		lead = 1
	}
	rest := s[lead:]
	c := rest[0]
	switch {
	case c >= utf8.RuneSelf:
		return lead + wideToken(rest)
	case isLetter(c):
		n := runLen(rest, 7, isLetter)
		if n > 6 {
			n = 4
		}
		return lead + n
	case isDigit(c):
		return lead + runLen(rest, 3, isDigit)
	case c == ' ':
		return lead + runLen(rest, 4, func(b byte) bool { return b == ' ' })
	}
	return lead + 1
}

// wideToken is nextToken for text that does not start in ASCII: up to four
// letters of an alphabet, or a single rune of anything else.
func wideToken(s string) int {
	n := 0
	for range 4 {
		r, size := utf8.DecodeRuneInString(s[n:])
		if size == 0 || (n > 0 && !alphabetic(r)) {
			break
		}
		n += size
		if !alphabetic(r) {
			break
		}
	}
	return n
}

// alphabetic is a non-ASCII letter of a script that writes words with letters;
// from U+2E80 on, East Asian scripts count one token per character.
func alphabetic(r rune) bool {
	return r >= utf8.RuneSelf && r < 0x2E80 && unicode.IsLetter(r)
}

func isLetter(c byte) bool   { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool    { return c >= '0' && c <= '9' }
func isWordByte(c byte) bool { return isLetter(c) || isDigit(c) || c >= utf8.RuneSelf }

func runLen(s string, most int, in func(byte) bool) int {
	n := 1
	for n < len(s) && n < most && in(s[n]) {
		n++
	}
	return n
}

// tokenize splits s into its tokens.
func tokenize(s string) []string {
	tokens := make([]string, 0, len(s)/4+1)
	for len(s) > 0 {
		n := nextToken(s)
		tokens = append(tokens, s[:n])
		s = s[n:]
	}
	return tokens
}

// sequencer counts the tokens of a sequence and computes the chain hashes of
// its full blocks.
type sequencer struct {
	size   int
	hash   uint64
	tokens int
	hashes []uint64
	record bool // keep the tokens in seen
	seen   []string
}

// token adds one token.
func (q *sequencer) token(t string) {
	q.hash = mix(q.hash, t)
	q.tokens++
	if q.record {
		q.seen = append(q.seen, t)
	}
	if q.tokens%q.size == 0 {
		q.hashes = append(q.hashes, q.hash)
	}
}

// text adds the tokens of s.
func (q *sequencer) text(s string) {
	for len(s) > 0 {
		n := nextToken(s)
		q.token(s[:n])
		s = s[n:]
	}
}

// mix folds s into h, eight bytes at a time. Not cryptographic: a collision
// only makes a simulated cache hit.
func mix(h uint64, s string) uint64 {
	const k = 0x9E3779B97F4A7C15
	h = (h ^ uint64(len(s))) * k
	var word [8]byte
	for len(s) > 0 {
		clear(word[:])
		n := copy(word[:], s)
		s = s[n:]
		h ^= binary.LittleEndian.Uint64(word[:])
		h *= k
		h ^= h >> 29
	}
	return h
}

// tokenID is the number a token is given by /tokenize.
func tokenID(t string) int { return int(mix(1, t) % 128_000) }

// marker is in every text the simulator writes.
const marker = "(simulated)"

// sentences returns the fillers that replies are made of.
func sentences() []string {
	return []string{
		" No model was asked and no GPU was harmed.",
		" Every token here came from a small timing model.",
		" The words are made up, but the delays are carefully chosen.",
		" If this were a real model, it would have an opinion by now.",
		" Point the same client at a real target and only the answer changes.",
		" Streaming, usage and limits behave as they would elsewhere.",
		" Ask again and you will get the same friendly answer.",
		" This costs nothing, so feel free to try it under load.",
	}
}

// replyText writes an answer to the last user text. It ends with a sentence
// once it has at least want tokens; a bare greeting is answered with a greeting.
func replyText(user string, want int, rng *rand.Rand) string {
	words := firstWords(user, 13)
	if want == 0 || (len(words) <= 4 && greets(words)) {
		return "Hi! " + marker
	}
	var b strings.Builder
	b.WriteString(opener(user, words, rng))
	b.WriteString(" " + marker)
	if len(words) > 0 {
		b.WriteString(" You said: \"" + strings.Join(words[:min(len(words), 12)], " ") + "\".")
	}
	extend(&b, want, rng)
	return b.String()
}

// firstWords returns at most n words of s.
func firstWords(s string, n int) []string {
	words := make([]string, 0, n)
	for w := range strings.FieldsSeq(s) {
		if len(words) == n {
			break
		}
		words = append(words, w)
	}
	return words
}

// extend adds sentences until b has at least want tokens.
func extend(b *strings.Builder, want int, rng *rand.Rand) {
	fill := sentences()
	have := len(tokenize(b.String()))
	for i := rng.IntN(len(fill)); have < want; i++ {
		s := fill[i%len(fill)]
		b.WriteString(s)
		have += len(tokenize(s))
	}
}

func opener(user string, words []string, rng *rand.Rand) string {
	switch {
	case greets(words):
		return "Hi!"
	case strings.Contains(user, "?"):
		return "Good question!"
	}
	return []string{"Sure!", "Happy to help!", "Of course!"}[rng.IntN(3)]
}

func greets(words []string) bool {
	for _, w := range words[:min(len(words), 4)] {
		switch strings.ToLower(strings.Trim(w, ".,!?\"'")) {
		case "hi", "hello", "hey":
			return true
		}
	}
	return false
}
