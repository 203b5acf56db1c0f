package wire

// The skippers of this file step over one piece of JSON that starts at b[i] and return the
// offset behind it. A reason that is not empty says what is wrong, and then the offset is
// where. They take offsets up to and including len(b), and tell the strings that they come by
// to heard, which may be nil.

// space has a bit for each of the four JSON white space characters.
const space = 1<<' ' | 1<<'\t' | 1<<'\n' | 1<<'\r'

func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && space>>b[i]&1 != 0 {
		i++
	}
	return i
}

// skipKey steps over a member's key, its colon and the white space behind that. It returns
// the end of the key and the start of the value; on failure value is where the fault is.
func skipKey(b []byte, i int, heard *heard) (key, value int, reason string) {
	if i >= len(b) || b[i] != '"' {
		return i, i, needsKey
	}
	key, reason = skipString(b, i, heard)
	if reason != "" {
		return key, key, reason
	}
	value = skipSpace(b, key)
	if value >= len(b) || b[value] != ':' {
		return key, value, needsColon
	}
	return key, skipSpace(b, value+1), ""
}

func skipValue(b []byte, i int, heard *heard) (int, string) {
	if i >= len(b) {
		return i, endsEarly
	}
	switch b[i] {
	case '"':
		return skipString(b, i, heard)
	case '{', '[':
		return skipContainer(b, i, heard)
	}
	return skipScalar(b, i)
}

// skipContainer steps over an object or array with all it holds. It has room for the
// MaxDepth-1 levels below an outermost object.
func skipContainer(b []byte, i int, heard *heard) (end int, reason string) {
	var open nesting
	for {
		if i >= len(b) {
			return i, endsEarly
		}
		switch c := b[i]; c {
		case '"':
			i, reason = skipString(b, i, heard)
		case '{', '[':
			if !open.push(c) {
				return i, nestsDeep
			}
			i = skipSpace(b, i+1)
			switch {
			case i < len(b) && b[i] == open.closer: // empty: closed below
			case c == '[':
				continue
			default:
				if _, i, reason = skipKey(b, i, heard); reason == "" {
					continue
				}
			}
		default:
			i, reason = skipScalar(b, i)
		}
		if reason != "" {
			return i, reason
		}
		for i = skipSpace(b, i); i < len(b) && b[i] == open.closer; i = skipSpace(b, i) {
			i++
			if open.pop() {
				return i, ""
			}
		}
		if i >= len(b) || b[i] != ',' {
			return i, needsComma
		}
		i = skipSpace(b, i+1)
		if open.closer == '}' {
			if _, i, reason = skipKey(b, i, heard); reason != "" {
				return i, reason
			}
		}
	}
}

// nesting is the stack of open containers, one bit each: set for an object.
type nesting struct {
	objects [MaxDepth / 64]uint64
	depth   int
	closer  byte // what closes the innermost container
}

// push opens the container that starts with c, and reports false when it is one too deep.
func (n *nesting) push(c byte) bool {
	if n.depth == MaxDepth-1 {
		return false
	}
	word, bit := &n.objects[n.depth/64], uint64(1)<<(n.depth%64)
	*word &^= bit
	if c == '{' {
		*word |= bit
	}
	n.depth++
	n.closer = c + 2 // in ASCII both closers stand two behind their openers
	return true
}

// pop closes the innermost container and reports whether it was the outermost.
func (n *nesting) pop() bool {
	n.depth--
	if n.depth == 0 {
		return true
	}
	top := n.depth - 1
	n.closer = ']'
	if n.objects[top/64]>>(top%64)&1 != 0 {
		n.closer = '}'
	}
	return false
}

// skipScalar steps over a literal or a number.
func skipScalar(b []byte, i int) (int, string) {
	if i >= len(b) {
		return i, endsEarly
	}
	switch b[i] {
	case 't':
		return skipLiteral(b, i, "true")
	case 'f':
		return skipLiteral(b, i, "false")
	case 'n':
		return skipLiteral(b, i, "null")
	}
	return skipNumber(b, i)
}

func skipLiteral(b []byte, i int, want string) (int, string) {
	if len(b)-i >= len(want) && string(b[i:i+len(want)]) == want {
		return i + len(want), ""
	}
	for k := 0; k < len(want) && i < len(b) && b[i] == want[k]; k++ {
		i++
	}
	return i, "only true, false and null may stand without quotes"
}

func skipNumber(b []byte, i int) (int, string) {
	start := i
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	i = skipDigits(b, i)
	switch {
	case i == first && i == start:
		return i, needsValue
	case i == first:
		return i, "a digit must follow '-'"
	case b[first] == '0' && i > first+1:
		return first + 1, "a number must not start with 0"
	}
	if i < len(b) && b[i] == '.' {
		first = i + 1
		if i = skipDigits(b, first); i == first {
			return i, "a digit must follow the decimal point"
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		first = i
		if i = skipDigits(b, first); i == first {
			return i, "the exponent needs a digit"
		}
	}
	return i, ""
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}
