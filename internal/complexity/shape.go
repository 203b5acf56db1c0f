package complexity

import "math"

// Shapes is how many figures there are in a [Shape].
const Shapes = 16

// Shape is what a text looks like from afar: length, and how much of it is
// digits, mathematics, code, lines and other scripts. Each figure lies
// somewhere around -2 to 2.
type Shape [Shapes]float32

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

// classOf is coarse: what is no mark, space or operator is a letter.
func classOf(r rune) class {
	switch {
	case r == 0xd7, r == 0xf7, r == 0xb1, r >= 0x2200 && r < 0x2300, r >= 0x2a00 && r < 0x2b00, r >= 0x1d400 && r < 0x1d800:
		return maths
	case r == 0xa0, r >= 0x2000 && r < 0x200c, r == 0x3000:
		return space
	case r < 0xc0 && r != 0xaa && r != 0xb5 && r != 0xba, r >= 0x2000 && r < 0x2070, r >= 0x2100 && r < 0x2c00, r >= 0x3001 && r < 0x3040, r >= 0xff00 && r < 0xff10, r >= 0x1f000 && r < 0x20000:
		return mark
	case r >= 0x0e00 && r < 0x1000, r >= 0x1000 && r < 0x10a0, r >= 0x1780 && r < 0x1800, r >= 0x3040 && r < 0xa000, r >= 0xf900 && r < 0xfb00, r >= 0x20000 && r < 0x40000:
		return spaceless
	case r >= 0xc0 && r < 0xdf, r >= 0x391 && r < 0x3aa, r >= 0x410 && r < 0x430:
		return upper
	}
	return letter
}

// lower puts the capitals that classOf knows into lower case; all of them lie 32
// below their small letter.
func lower(r rune) rune {
	if classOf(r) == upper {
		return r + 0x20
	}
	return r
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
	length := math.Log1p(float64(size)) - 5.5
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
