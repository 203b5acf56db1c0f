package http1

// IsTokenByte reports whether a token may hold c (RFC 9110, section 5.6.2).
func IsTokenByte(c byte) bool { return tokens[c] }

// tokens is a table because letters and hyphens alternate in names.
var tokens = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

// IsToken reports whether s is a token.
func IsToken(s string) bool {
	for i := range len(s) {
		if !tokens[s[i]] {
			return false
		}
	}
	return s != ""
}

// IsValue reports whether a field's value may be s: it has no control character but
// the tab.
func IsValue(s string) bool {
	if n := len(s) - 8; n >= 0 { // eight bytes at a time; what may be amiss is looked at below
		suspect := controls(load(s, n))
		for i := 0; i < n; i += 8 {
			suspect |= controls(load(s, i))
		}
		if suspect&tops == 0 {
			return true
		}
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// controls sets the top bit of each byte of w that is a control character. It may
// set others above such a byte, and does for no word without one.
func controls(w uint64) uint64 {
	low, del := w-' '*ones, w^0x7f*ones-ones
	return (low | del) &^ w
}

// load reads the eight bytes of s at i, the first into the lowest bits; the
// compiler makes one load of it.
func load(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// TrimBlanks takes spaces and tabs off both ends, which are no part of a field's value.
func TrimBlanks(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// EqualFold compares ASCII without regard to case; it folds no other letters.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// IsDigit reports whether c is a decimal digit.
func IsDigit(c byte) bool { return c-'0' < 10 }
