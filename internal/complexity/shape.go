package complexity

import (
	"math"
	"unicode/utf8"
)

// Shapes is how many figures there are in a [Shape].
const Shapes = 16

// Shape is what a text looks like from afar: length, and how much of it is
// digits, mathematics, code, lines and other scripts. Each figure lies
// somewhere around -2 to 2.
type Shape [Shapes]float32

// mostShape is what no figure of a shape exceeds, either way.
const mostShape = 16

// The figures of a shape. The first is the same for every text: what is learned
// for it is how often a model is right in general.
const (
	shapeBias = iota
	shapeLength
	shapeLengthSquared
	shapeDigits
	shapeUpper
	shapeMarks
	shapeMaths
	shapeCode
	shapeForeign
	shapeManyDigits
	shapeManyMaths
	shapeLines
	shapeWordLength
	shapeMuchCode
	shapeDistinct
	shapeSpaceless
)

var shapeNames = [Shapes]string{
	"bias", "length", "length squared", "digits", "capitals", "marks", "mathematics", "code", "other scripts", "count of digits",
	"count of mathematics", "lines", "length of words", "amount of code", "distinct words", "scripts without spaces",
}

// class is what a character is good for.
type class uint8

const (
	mark class = iota
	letter
	upper
	digit
	space
	line
	maths
	code
	spaceless // a letter of a script that writes no spaces
	classCount
)

func (c class) inWord() bool { return c == letter || c == upper || c == digit || c == spaceless }

// classes are those of ASCII.
var classes = func() (t [128]class) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-0x20] = letter, upper
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = digit
	}
	for _, c := range "+-*/=^<>$%|" {
		t[c] = maths
	}
	for _, c := range `{}[]();_\#` + "`" {
		t[c] = code
	}
	t[' '], t['\t'], t['\r'], t['\n'] = space, space, space, line
	return t
}()

// span is a range of characters of one class, up to and with To.
type span struct {
	to    rune
	class class
}

// spans go on from where the one before ends, beginning after ASCII. They are
// coarse: what is no mark, space or operator is a letter, and the capitals are
// those whose small letter lies 32 above.
var spans = [...]span{
	{0x9f, mark},
	{0xa0, space},
	{0xa9, mark},
	{0xaa, letter},
	{0xb0, mark},
	{0xb1, maths},
	{0xb4, mark},
	{0xb5, letter},
	{0xb9, mark},
	{0xba, letter},
	{0xbf, mark},
	{0xd6, upper},
	{0xd7, maths},
	{0xde, upper},
	{0xf6, letter},
	{0xf7, maths},
	{0x390, letter},
	{0x3a9, upper},
	{0x40f, letter},
	{0x42f, upper},
	{0xdff, letter},
	{0x109f, spaceless}, // Thai, Lao, Tibetan, Burmese
	{0x177f, letter},
	{0x17ff, spaceless},
	{0x1fff, letter},
	{0x200b, space},
	{0x206f, mark},
	{0x20ff, letter},
	{0x21ff, mark},
	{0x22ff, maths},
	{0x29ff, mark},
	{0x2aff, maths},
	{0x2bff, mark},
	{0x2fff, letter},
	{0x3000, space},
	{0x303f, mark},
	{0x9fff, spaceless},
	{0xf8ff, letter},
	{0xfaff, spaceless},
	{0xfeff, letter},
	{0xff0f, mark},
	{0x1d3ff, letter},
	{0x1d7ff, maths},
	{0x1efff, letter},
	{0x1ffff, mark},
	{0x3ffff, spaceless},
	{utf8.MaxRune, letter},
}

// classOf is the class of a character beyond ASCII.
func classOf(r rune) class {
	// The alphabets that are met most, and Chinese, Japanese and Korean.
	switch {
	case r >= 0x430 && r <= 0xdff, r >= 0xac00 && r <= 0xd7ff, r >= 0xf8 && r <= 0x390:
		return letter
	case r >= 0x3040 && r <= 0x9fff:
		return spaceless
	}
	for _, s := range spans {
		if r <= s.to {
			return s.class
		}
	}
	return letter
}

// tally counts while a text is read.
type tally struct {
	count          [classCount]int
	foreign        int // characters beyond ASCII
	words, letters int
}

// shape sums the tally up; size is the length of the whole text in bytes, and
// distinct the number of different words in what was read of it.
func (t *tally) shape(size, distinct int) Shape {
	read := 0
	for _, n := range t.count {
		read += n
	}
	share := func(n int) float32 { return float32(math.Sqrt(float64(n)/float64(max(1, read))) / 2) }
	many := func(n int) float32 { return float32(math.Log1p(float64(n)) / 8) }
	length := max(-4, min(4, math.Log1p(float64(size))-5.5)) // 5.5 is that of 244 bytes
	words := float64(max(1, t.words))
	return Shape{
		shapeBias:          0.5,
		shapeLength:        float32(length / 2),
		shapeLengthSquared: float32(length * length / 2),
		shapeDigits:        share(t.count[digit]),
		shapeUpper:         share(t.count[upper]),
		shapeMarks:         share(t.count[mark] + t.count[maths] + t.count[code]),
		shapeMaths:         share(t.count[maths]),
		shapeCode:          share(t.count[code]),
		shapeForeign:       share(t.foreign),
		shapeManyDigits:    many(t.count[digit]),
		shapeManyMaths:     many(t.count[maths]),
		shapeLines:         many(t.count[line]),
		shapeWordLength:    float32(min(2, float64(t.letters)/words/5) - 1),
		shapeMuchCode:      many(t.count[code]),
		shapeDistinct:      float32(float64(distinct) / words / 2),
		shapeSpaceless:     share(t.count[spaceless]),
	}
}
