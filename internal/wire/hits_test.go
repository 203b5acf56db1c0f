package wire

import (
	"math/rand/v2"
	"testing"
)

type hitsFunc func(b []byte, i int) (at int, hits uint64)

// hitsByByte is what every nextHits says, byte by byte.
func hitsByByte(b []byte, i int) (at int, hits uint64) {
	for ; len(b)-i >= 64 && hits == 0; at, i = i, i+64 {
		for n, c := range b[i : i+64] {
			if c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
				hits |= 1 << n
			}
		}
	}
	if hits == 0 {
		at = i
	}
	return at, hits
}

// hitsWithoutEscapes is hitsByByte without what an escape covers, but for the '\' of one that
// is none or does not end in the block.
func hitsWithoutEscapes(b []byte, i int) (at int, hits uint64) {
	for ; len(b)-i >= 64; i += 64 {
		for n := 0; n < 64; n++ {
			switch c := b[i+n]; {
			case c == '\\' && n < 63 && escapable(b[i+n+1]):
				n++
			case c == '\\':
				hits |= 1 << n
				n++
			case c < ' ' || c == '"' || c >= 0x80:
				hits |= 1 << n
			}
		}
		if hits != 0 {
			return i, hits
		}
	}
	return i, 0
}

func checkHits(t *testing.T, got, want hitsFunc) {
	t.Helper()
	b := make([]byte, 200)
	check := func(b []byte, i int) {
		t.Helper()
		at, hits := got(b, i)
		if wantAt, want := want(b, i); at != wantAt || hits != want {
			t.Fatalf("from %d in %q: %d %064b, want %d %064b", i, b, at, hits, wantAt, want)
		}
	}
	for c := range 256 { // each byte, at each place, also behind a '\'
		for at := range b {
			for n := range b {
				b[n] = 'n'
			}
			b[at] = byte(c)
			check(b, 3)
			if at > 0 {
				b[at-1] = '\\'
				check(b, 3)
			}
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	const pieces = "\\\\\\\\\\\\\"\"/bfnrtu\x00\n\x1f\x7f\x80\xe6\xff aaaa"
	for range 50_000 {
		dense := rnd.IntN(60)
		for n := range b {
			if b[n] = 'a'; rnd.IntN(dense+1) == 0 {
				b[n] = pieces[rnd.IntN(len(pieces))]
			}
		}
		check(b[:rnd.IntN(len(b)+1)], 0)
	}
	for n := range b { // what stands behind the end is not looked at
		b[n] = '"'
	}
	for length := range 130 {
		for i := range length + 1 {
			check(b[:length], i)
		}
		b[length] = 'a'
	}
}

// TestHitsInWords compares with a look at each byte.
func TestHitsInWords(t *testing.T) { checkHits(t, hitsInWords, hitsByByte) }
