package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Strings are most of a prompt's bytes, so this file reads them eight bytes at a time: a
// uint64 holds eight bytes, the first in its lowest bits, and a search sets the top bit of
// each byte that it looks for. Subtraction borrows only out of a byte that is a hit, so the
// lowest hit is always exact; hits above it may be false.

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
	return (low | backslash | w) & tops
}

// plainEnd returns the offset of the first byte from i on that is special, or len(b).
func plainEnd(b []byte, i int) int {
	rest := b[i:]
	if len(rest) >= 8 { // keys and short values end here
		if m := special(binary.LittleEndian.Uint64(rest)); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		rest = rest[8:]
	}
	for len(rest) >= 32 {
		m0 := special(binary.LittleEndian.Uint64(rest))
		m1 := special(binary.LittleEndian.Uint64(rest[8:]))
		m2 := special(binary.LittleEndian.Uint64(rest[16:]))
		m3 := special(binary.LittleEndian.Uint64(rest[24:]))
		if m0|m1|m2|m3 != 0 {
			break
		}
		rest = rest[32:]
	}
	for len(rest) >= 8 {
		if m := special(binary.LittleEndian.Uint64(rest)); m != 0 {
			return len(b) - len(rest) + bits.TrailingZeros64(m)/8
		}
		rest = rest[8:]
	}
	for k, c := range rest {
		if special(uint64(c)|' '*(ones-1)) != 0 { // seven spaces above c are plain
			return len(b) - len(rest) + k
		}
	}
	return len(b)
}

// skipString steps over the string whose opening quote is b[i].
func skipString(b []byte, i int) (int, string) {
	i++
	for {
		if i = plainEnd(b, i); i >= len(b) {
			return i, endsEarly
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, ""
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return i, "not an escape sequence of JSON"
			}
			i += n
		case c < ' ':
			return i, "a control character in a string must be escaped"
		default:
			end, ok := skipUTF8(b, i)
			if !ok {
				return end, "not valid UTF-8"
			}
			i = end
		}
	}
}

// escapeLen returns the length of the escape sequence that b starts with, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && hex4(b[2:6]) >= 0 {
			return 6
		}
	}
	return 0
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
// where the first invalid one starts. The fast loop takes characters of three bytes, two at
// a time: the scripts that use them seldom stop after one.
func skipUTF8(b []byte, i int) (end int, ok bool) {
	for i < len(b) && b[i] >= utf8.RuneSelf {
		for len(b)-i >= 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			if !threes(w) {
				break
			}
			i += 6
		}
		if i == len(b) || b[i] < utf8.RuneSelf {
			break
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i, false
		}
		i += n
	}
	return i, true
}

// threes reports whether the low six bytes of w are two valid three-byte characters. The
// lead's four bits and the top bit of the next six decide the ranges that UTF-8 forbids:
// 00000 is an overlong form and 11011 a surrogate.
func threes(w uint64) bool {
	if w&0xC0C0F0C0C0F0 != 0x8080E08080E0 {
		return false
	}
	first := w&0x0F<<1 | w>>13&1
	second := w>>24&0x0F<<1 | w>>37&1
	return first != 0 && first != 0x1B && second != 0 && second != 0x1B
}
