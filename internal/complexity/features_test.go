package complexity

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func see(text string) Vector {
	var e Extractor
	return e.Extract(0, text).Clone()
}

func TestWhatAVectorTellsApart(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		words      bool // whether the words are the same
		pairs      bool // and the pairs
	}{
		{"case", "Prove THIS lemma", "prove this lemma", true, true},
		{"marks and space", "prove, this\n\tlemma!", "prove this lemma", true, true},
		{"order", "this lemma prove", "prove this lemma", true, false},
		{"capitals beyond ASCII", "ÄRGER ÜBER ДОКАЖИ", "ärger über докажи", true, true},
		{"another word", "prove that lemma", "prove this lemma", false, false},
		{"Chinese has no spaces", "证明引理", "引理证明", true, false},
		{"counts", "no no no", "no no", true, true},
	} {
		a, b := see(c.a), see(c.b)
		if got := slices.Equal(a.Words, b.Words); got != c.words {
			t.Errorf("%s: same words %v, want %v", c.name, got, c.words)
		}
		if got := slices.Equal(a.Pairs, b.Pairs); got != c.pairs {
			t.Errorf("%s: same pairs %v, want %v", c.name, got, c.pairs)
		}
	}
	if n := len(see("证明引理").Words); n != 4 {
		t.Errorf("four characters are %d words", n)
	}
}

func TestTheShapeSeesWhatATextIs(t *testing.T) {
	plain, code, sum := see("tell me about the sea at night").Shape, see("for (i = 0; i < n; i++) { a[i] = b[i]; }").Shape, see("what is 12 + 30 * 45 / 5 = ?").Shape
	for _, c := range []struct {
		figure     int
		more, less Shape
	}{
		{shapeCode, code, plain},
		{shapeMuchCode, code, sum},
		{shapeMaths, sum, plain},
		{shapeDigits, sum, plain},
		{shapeForeign, see("докажи лемму").Shape, plain},
		{shapeSpaceless, see("证明引理").Shape, see("докажи лемму").Shape},
		{shapeUpper, see("SHOUT AT ME").Shape, plain},
		{shapeLines, see("a\nb\nc").Shape, see("a b c").Shape},
		{shapeLength, see(strings.Repeat("long ", 100)).Shape, plain},
		{shapeDistinct, plain, see("no no no no").Shape},
	} {
		if c.more[c.figure] <= c.less[c.figure] {
			t.Errorf("%s: %v is not more than %v", shapeNames[c.figure], c.more[c.figure], c.less[c.figure])
		}
	}
}

func TestOfALongTextBothEndsAreSeen(t *testing.T) {
	middle := strings.Repeat("filler ", MostText/4)
	v := see("alpha beta " + middle + "needle " + middle + " omega psi")
	has := func(word string) bool { return slices.Contains(v.Words, see(word).Words[0]) }
	if !has("alpha") || !has("psi") || !has("filler") {
		t.Error("an end is missing")
	}
	if has("needle") {
		t.Error("the middle was read; it is out of bounds")
	}
}

func TestASeedHidesWords(t *testing.T) {
	var e Extractor
	a, b := e.Extract(1, "prove this lemma").Clone(), e.Extract(2, "prove this lemma").Clone()
	if slices.Equal(a.Words, b.Words) {
		t.Error("two seeds give the same buckets")
	}
}

// TestExtractorsForget: what a text leaves behind in an extractor is in no other
// vector, and vectors are within bounds whatever the text.
func TestExtractorsForget(t *testing.T) {
	var used Extractor
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		again, fresh := used.Extract(7, text).Clone(), (&Extractor{}).Extract(7, text).Clone()
		if !slices.Equal(again.Words, fresh.Words) || !slices.Equal(again.Pairs, fresh.Pairs) || again.Shape != fresh.Shape {
			t.Fatal("a used extractor sees something else")
		}
		if again.Key() != fresh.Key() {
			t.Fatal("the keys differ")
		}
		for _, b := range slices.Concat(again.Words, again.Pairs) {
			if b >= Buckets {
				t.Fatalf("bucket %d", b)
			}
		}
		for i, x := range again.Shape {
			if !(x >= -4 && x <= 8) {
				t.Fatalf("%s is %v", shapeNames[i], x)
			}
		}
	})
}

// TestSpansGoUp: each begins where the one before ends, and agrees with Unicode
// about the letters of the alphabets that are used most.
func TestSpansGoUp(t *testing.T) {
	for i := 1; i < len(spans); i++ {
		if spans[i].to <= spans[i-1].to {
			t.Errorf("span %d ends at %x, before the one before", i, spans[i].to)
		}
	}
	for r := rune(0xa0); r < 0x530; r++ {
		if unicode.IsLetter(r) && !classOf(r).inWord() {
			t.Errorf("%c (%x) is a letter", r, r)
		}
	}
	for _, r := range "“”‘’…–—«»¿。、「」！" {
		if classOf(r).inWord() {
			t.Errorf("%c (%x) is in a word", r, r)
		}
	}
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		if classOf(r) == upper && unicode.IsLetter(r) && unicode.ToLower(r) != r+0x20 {
			t.Errorf("%c (%x) is no capital 32 below its small letter", r, r)
		}
	}
}
