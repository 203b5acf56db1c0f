package wire

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The readers of this file take the bytes of one value as Scan found it, without white
// space around it. They are total: bytes that are not such a value give false.

// String decodes a JSON string. A lone surrogate escape becomes U+FFFD. It is false if raw
// is not a string.
func String(raw []byte) (string, bool) {
	if !isString(raw) {
		return "", false
	}
	return Unquote(raw)
}

// Unquote is String for a value that Scan has passed, which it does not check again: false
// is for one of another type.
func Unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	text := raw[1 : len(raw)-1]
	plain := bytes.IndexByte(text, '\\')
	if plain < 0 {
		return string(text), true
	}
	var out strings.Builder
	out.Grow(len(text))
	for plain >= 0 {
		out.Write(text[:plain])
		r, n := unescape(text[plain:])
		out.WriteRune(r)
		text = text[plain+n:]
		plain = bytes.IndexByte(text, '\\')
	}
	out.Write(text)
	return out.String(), true
}

// Mend returns valid JSON in which no escape is half of a surrogate pair: in place of each
// such half stands the escape of U+FFFD, which is as long. It is body itself when there is
// nothing to mend, else a copy. Servers refuse a body for a half, which clients send that cut
// a text inside of an emoji.
func Mend(body []byte) []byte {
	mended := body
	for i := 0; ; {
		n := bytes.IndexByte(body[i:], '\\')
		if n < 0 || len(body)-i-n < 2 {
			return mended
		}
		i += n
		r, size := unescape(body[i:])
		if r == utf8.RuneError && size == 6 && utf16.IsSurrogate(hex4(body[i+2:])) {
			if &mended[0] == &body[0] {
				mended = bytes.Clone(body)
			}
			copy(mended[i:], `\ufffd`)
		}
		i += size
	}
}

// StringEquals reports whether raw is a JSON string that decodes to s. It does not allocate.
func StringEquals(raw []byte, s string) bool {
	if !isString(raw) {
		return false
	}
	text := raw[1 : len(raw)-1]
	for len(text) > 0 && len(s) > 0 {
		if text[0] != '\\' {
			if text[0] != s[0] {
				return false
			}
			text, s = text[1:], s[1:]
			continue
		}
		r, n := unescape(text)
		var char [utf8.UTFMax]byte
		size := utf8.EncodeRune(char[:], r)
		if len(s) < size || s[:size] != string(char[:size]) {
			return false
		}
		text, s = text[n:], s[size:]
	}
	return len(text) == 0 && len(s) == 0
}

func isString(raw []byte) bool {
	if len(raw) < 2 || raw[0] != '"' {
		return false
	}
	end, reason := skipString(raw, 0, nil)
	return reason == "" && end == len(raw)
}

// unescape decodes the valid escape sequence that text starts with, a surrogate pair in one
// step, and returns how many bytes it took.
func unescape(text []byte) (rune, int) {
	switch c := text[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default:
		return rune(c), 2
	}
	r := hex4(text[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(text) >= 12 && text[6] == '\\' && text[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(text[8:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// Int reads a JSON number that is a whole one. Spellings such as 1e3 and 2.0 count as
// whole, because servers accept them where they want an integer; they are read as a
// float64 and must be below 2^53 in magnitude. It is false for everything else, and for
// what an int64 cannot hold.
func Int(raw []byte) (int64, bool) {
	if n, ok := smallInt(raw); ok {
		return n, true
	}
	if end, reason := skipNumber(raw, 0); reason != "" || end != len(raw) {
		return 0, false
	}
	digits, limit := raw, uint64(math.MaxInt64)
	if raw[0] == '-' {
		digits, limit = raw[1:], limit+1
	}
	var n uint64
	for _, c := range digits {
		if c-'0' > 9 {
			return wholeFloat(raw)
		}
		if n > limit/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	switch {
	case n > limit:
		return 0, false
	case raw[0] == '-':
		return -int64(n), true
	}
	return int64(n), true
}

// smallInt is Int for what nearly all whole numbers are: some digits that an int64
// holds whatever they are.
func smallInt(raw []byte) (n int64, ok bool) {
	if len(raw) == 0 || len(raw) > 18 || raw[0] == '0' && len(raw) > 1 {
		return 0, false
	}
	for _, c := range raw {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func wholeFloat(raw []byte) (int64, bool) {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// Bool reads true or false; ok is false for everything else.
func Bool(raw []byte) (value, ok bool) {
	value = string(raw) == "true"
	return value, value || string(raw) == "false"
}

// IsNull reports whether raw is null.
func IsNull(raw []byte) bool { return string(raw) == "null" }

// load reads the eight bytes of s at i, the first into the lowest bits; the
// compiler makes one load of it.
func load(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// AppendString appends s to dst as a JSON string, quotes included. It escapes only what
// JSON demands, so '<', '>' and '&' stay as they are. Each invalid byte of UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = slices.Grow(dst, len(s)+len(s)/32+2) // once, for a text with few escapes
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		for i+8 <= len(s) && special(load(s, i))&tops == 0 {
			i += 8
		}
		if i == len(s) {
			break
		}
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		i++
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(append(dst, s[from:i-1]...), '\\')
		from = i
		switch c {
		case '\b':
			dst = append(dst, 'b')
		case '\t':
			dst = append(dst, 't')
		case '\n':
			dst = append(dst, 'n')
		case '\f':
			dst = append(dst, 'f')
		case '\r':
			dst = append(dst, 'r')
		case '"', '\\':
			dst = append(dst, c)
		default:
			dst = append(dst, 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
