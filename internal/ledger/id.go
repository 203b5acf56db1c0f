package ledger

import (
	"strings"
	"time"
)

// The gateway's ids are "req_" and 26 characters of base 32: 48 bits of Unix
// milliseconds, then random ones. They sort by time as text, so the index of
// ids serves as the index of time. An exchange whose id says another time than
// its Start, or none, is a stray: a store keeps a note of it.

const (
	idPrefix   = "req_"
	idLen      = len(idPrefix) + 26
	idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	// idDigits hold the 48 bits of time and two random ones.
	idDigits = 10
	// idAfter is greater than every id of the gateway.
	idAfter = idPrefix + "{"
	// idSlack, in milliseconds, is how far an id and its Start may lie apart:
	// the clock is read once for each.
	idSlack = 5
)

// idMilli returns the time that an id carries, in Unix milliseconds.
func idMilli(id string) (int64, bool) {
	if len(id) != idLen || !strings.HasPrefix(id, idPrefix) {
		return 0, false
	}
	n := int64(0)
	for i := len(idPrefix); i < len(idPrefix)+idDigits; i++ {
		d := idValue(id[i])
		if d > 31 {
			return 0, false
		}
		n = n<<5 | int64(d)
	}
	return n >> 2, true
}

// idValue is what a digit of idAlphabet stands for, and 255 for any other byte.
func idValue(c byte) byte {
	const values = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0a" +
		"\x0b\x0c\x0d\x0e\x0f\x10\x11\xff\x12\x13\xff\x14\x15\xff\x16\x17\x18\x19\x1a\xff\x1b\x1c\x1d\x1e\x1f"
	if c -= '0'; int(c) < len(values) {
		return values[c]
	}
	return 255
}

// idFrom returns a text that is not greater than any id made at or after a
// time, and greater than every id made before it.
func idFrom(milli int64) string {
	n := min(max(milli, 0), 1<<48-1) << 2
	var b [idDigits]byte
	for i := idDigits - 1; i >= 0; i-- {
		b[i] = idAlphabet[n&31]
		n >>= 5
	}
	return idPrefix + string(b[:])
}

// isStray says whether the id does not tell when the exchange began.
func isStray(id string, start time.Time) bool {
	at, ok := idMilli(id)
	d := at - start.UnixMilli()
	return !ok || d < -idSlack || d > idSlack
}
