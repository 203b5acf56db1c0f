package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Strings are most of a prompt's bytes, so this file reads short ones eight bytes at a time: a
// uint64 holds eight bytes, the first in its lowest bits, and a search sets the top bit of
// each byte that it looks for. Subtraction borrows only out of a byte that is a hit, so the
// lowest hit is always exact; hits above it may be false. Long ones are read in blocks of 64
// bytes: nextHits has one bit for each byte that needs a look, and all of them are exact.

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// special marks the bytes that plain string text must not hold: '"', '\', control
// characters and everything that is not ASCII. XOR with 2 moves '"' next to the control
// characters and leaves them in place, so one subtraction finds both.
func special(w uint64) uint64 {
	low := (w ^ 0x02*ones) - 0x21*ones
	backslash := (w ^ '\\'*ones) - ones
	return low | backslash | w
}

// plainEnd returns the offset of the first byte from i on that is special and neither begins
// an escape of two bytes nor a valid character, or len(b). It may stop at a valid character
// among the last 64 bytes.
func plainEnd(b []byte, i int) int {
	for {
		at, hits := nextHits(b, i)
		if hits == 0 {
			return plainTail(b, at)
		}
		for i = at + 64; hits != 0; {
			n := at + bits.TrailingZeros64(hits)
			switch c := b[n]; {
			case c == '\\' && n+1 < len(b) && escapable(b[n+1]):
				n += 2
			case c >= utf8.RuneSelf:
				if len(b)-n > 8 {
					n += short(binary.LittleEndian.Uint64(b[n:]))
				}
				if b[n] >= utf8.RuneSelf { // another one, or the first if it is not short
					ok := false
					if n, ok = skipUTF8(b, n); !ok {
						return n
					}
				}
			default:
				return n
			}
			if n >= i { // what begins in the block may end behind it
				i = n
				break
			}
			hits &= ^uint64(0) << (n - at)
		}
	}
}

// plainTail is plainEnd for fewer than 64 bytes.
func plainTail(b []byte, i int) int {
	for i < len(b) {
		c := b[i]
		if c < ' ' || c == '"' || c >= utf8.RuneSelf {
			return i
		}
		if c == '\\' {
			if i+1 == len(b) || !escapable(b[i+1]) {
				return i
			}
			i++
		}
		i++
	}
	return i
}

// escapable reports whether c makes an escape of two bytes with the '\' before it.
func escapable(c byte) bool {
	const (
		low  = 1<<'"' | 1<<'/'
		high = 1<<('\\'-64) | 1<<('b'-64) | 1<<('f'-64) | 1<<('n'-64) | 1<<('r'-64) | 1<<('t'-64)
	)
	set := uint64(low)
	if c >= 64 {
		set = high
	}
	return c < utf8.RuneSelf && set>>(c&63)&1 != 0
}

// skipString steps over the string whose opening quote is b[i].
func skipString(b []byte, i int, heard *heard) (int, string) {
	start := i
	i++
	if heard != nil {
		heard.hear(b[i:])
	}
	for most := min(i+32, len(b)-8); i <= most; i += 8 { // keys and short values
		if hits := special(binary.LittleEndian.Uint64(b[i:])) & tops; hits != 0 {
			if i += bits.TrailingZeros64(hits) / 8; b[i] == '"' {
				return i + 1, ""
			}
			break
		}
	}
	for {
		if i = plainEnd(b, i); i >= len(b) {
			return i, endsEarly
		}
		switch c := b[i]; {
		case c == '"':
			if heard != nil && i-start > LongString {
				heard.Long = append(heard.Long, Span{start, i + 1})
			}
			return i + 1, ""
		case c >= utf8.RuneSelf:
			end, ok := skipUTF8(b, i)
			if !ok {
				return end, "not valid UTF-8"
			}
			i = end
		case c < ' ':
			return i, "a control character in a string must be escaped"
		case len(b)-i >= 6 && b[i+1] == 'u' && hex4(b[i+2:]) >= 0:
			if heard != nil && utf16.IsSurrogate(hex4(b[i+2:])) {
				heard.Halves = true
			}
			i += 6
		default:
			return i, "not an escape sequence of JSON"
		}
	}
}

// hex4 returns the value of four hexadecimal digits, or -1.
func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// skipUTF8 steps over the characters from i on that are not ASCII. When ok is false, end is
// where the first invalid one starts. Characters of three bytes are taken two at a time
// where possible: the scripts that use them seldom stop after one.
func skipUTF8(b []byte, i int) (end int, ok bool) {
	for i < len(b) && b[i] >= utf8.RuneSelf {
		n := 0
		if len(b)-i >= 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			if three(w) && three(w>>24) {
				i += 6
				continue
			}
			n = short(w)
		}
		if n == 0 {
			var r rune
			if r, n = utf8.DecodeRune(b[i:]); r == utf8.RuneError && n == 1 {
				return i, false
			}
		}
		i += n
	}
	return i, true
}

// short returns the length of the valid character of two or three bytes that w starts with,
// 0 if it is another one or invalid.
func short(w uint64) int {
	switch {
	case three(w):
		return 3
	case w&0xC0E0 == 0x80C0 && w&0x1E != 0: // leads C0 and C1 would be overlong
		return 2
	}
	return 0
}

// three reports whether the low three bytes of w are a valid character. The lead's four bits
// and the top bit of the next six decide the ranges that UTF-8 forbids: 00000 is an overlong
// form and 11011 a surrogate.
func three(w uint64) bool {
	high := w&0x0F<<1 | w>>13&1
	return w&0xC0C0F0 == 0x8080E0 && high != 0 && high != 0x1B
}
