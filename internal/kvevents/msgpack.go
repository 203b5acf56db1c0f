package kvevents

import (
	"encoding/binary"
	"errors"
	"math"
)

// kind is what a MessagePack value is.
type kind uint8

const (
	null kind = iota
	boolean
	unsigned // a number of zero or more
	negative // a number below zero
	float
	text
	binaries
	extension
	array
	mapping
)

// token is one MessagePack value, without what is inside of an array or map.
type token struct {
	kind kind
	n    uint64 // a number's bits in two's complement; how many are inside
	data []byte // of text and binaries
}

var errMalformed = errors.New("this is no batch of events")

// unpacker reads MessagePack. It takes no memory. Its error is final: once bad,
// everything is null.
type unpacker struct {
	rest []byte
	bad  bool
}

func (u *unpacker) fail() token {
	u.bad, u.rest = true, nil
	return token{}
}

// next reads one value's token. An array or map that has more inside than bytes
// follow is malformed, so that no count can ask for memory.
func (u *unpacker) next() token {
	b, ok := u.number(1)
	switch {
	case !ok:
		return token{}
	case b < 0x80:
		return token{kind: unsigned, n: b}
	case b < 0x90:
		return u.inside(mapping, b&0x0f)
	case b < 0xa0:
		return u.inside(array, b&0x0f)
	case b < 0xc0:
		return u.bytes(text, b&0x1f)
	case b >= 0xe0:
		return token{kind: negative, n: uint64(int64(int8(b)))}
	case b == 0xc0:
		return token{}
	case b == 0xc2 || b == 0xc3:
		return token{kind: boolean, n: b & 1}
	}
	f := forms[b-0xc0]
	if f.size == 0 && f.kind != extension {
		return u.fail()
	}
	n, _ := u.number(f.size)
	switch f.kind {
	case array, mapping:
		return u.inside(f.kind, n)
	case text, binaries:
		return u.bytes(f.kind, n)
	case extension:
		return u.bytes(extension, n+f.more)
	case negative: // a signed number, which may be above
		shift := 64 - 8*f.size
		if v := int64(n<<shift) >> shift; v < 0 {
			return token{kind: negative, n: uint64(v)}
		}
		return token{kind: unsigned, n: n}
	}
	return token{kind: f.kind, n: n}
}

// forms are the values of c0 to df: what they are, how many bytes of number
// follow, and how many bytes an extension has beside.
var forms = [32]struct {
	kind kind
	size int
	more uint64
}{
	0x04: {binaries, 1, 0}, 0x05: {binaries, 2, 0}, 0x06: {binaries, 4, 0},
	0x07: {extension, 1, 1}, 0x08: {extension, 2, 1}, 0x09: {extension, 4, 1},
	0x0a: {float, 4, 0}, 0x0b: {float, 8, 0},
	0x0c: {unsigned, 1, 0}, 0x0d: {unsigned, 2, 0}, 0x0e: {unsigned, 4, 0}, 0x0f: {unsigned, 8, 0},
	0x10: {negative, 1, 0}, 0x11: {negative, 2, 0}, 0x12: {negative, 4, 0}, 0x13: {negative, 8, 0},
	0x14: {extension, 0, 2}, 0x15: {extension, 0, 3}, 0x16: {extension, 0, 5}, 0x17: {extension, 0, 9}, 0x18: {extension, 0, 17},
	0x19: {text, 1, 0}, 0x1a: {text, 2, 0}, 0x1b: {text, 4, 0},
	0x1c: {array, 2, 0}, 0x1d: {array, 4, 0}, 0x1e: {mapping, 2, 0}, 0x1f: {mapping, 4, 0},
}

func (u *unpacker) number(size int) (n uint64, ok bool) {
	if len(u.rest) < size {
		u.fail()
		return 0, false
	}
	for _, b := range u.rest[:size] {
		n = n<<8 | uint64(b)
	}
	u.rest = u.rest[size:]
	return n, true
}

func (u *unpacker) bytes(k kind, n uint64) token {
	if n > uint64(len(u.rest)) {
		return u.fail()
	}
	t := token{kind: k, data: u.rest[:n]}
	u.rest = u.rest[n:]
	return t
}

func (u *unpacker) inside(k kind, n uint64) token {
	least := n
	if k == mapping {
		least = 2 * n
	}
	if least > uint64(len(u.rest)) {
		return u.fail()
	}
	return token{kind: k, n: n}
}

// skip passes over a value with everything that is inside of it.
func (u *unpacker) skip() { u.skipInside(u.next()) }

// skipInside passes over what is inside of a token.
func (u *unpacker) skipInside(t token) {
	for left := t.children(); left > 0 && !u.bad; left-- {
		left += u.next().children()
	}
}

func (t token) children() uint64 {
	switch t.kind {
	case array:
		return t.n
	case mapping:
		return 2 * t.n
	}
	return 0
}

// integer is a token's number where it is one that fits.
func (t token) integer() (int, bool) {
	if t.kind == unsigned && t.n <= math.MaxInt32 {
		return int(t.n), true
	}
	return 0, false
}

// hash is the 64 bits that stand for a block: a number, or the end of a longer
// hash.
func (t token) hash() (uint64, bool) {
	switch {
	case t.kind == unsigned || t.kind == negative:
		return t.n, true
	case (t.kind == binaries || t.kind == text) && len(t.data) >= 8:
		return binary.BigEndian.Uint64(t.data[len(t.data)-8:]), true
	}
	return 0, false
}
