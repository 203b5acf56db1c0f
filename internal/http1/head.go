package http1

import "bytes"

// HeadEnd returns the length of the head in b including its empty line, or 0
// and where to search on when more has come. A bare LF ends a line here; whether
// such a head is taken is for its reader to say.
func HeadEnd(b []byte, from int) (end, next int) {
	for i := from; ; {
		k := bytes.IndexByte(b[i:], '\n')
		if k < 0 {
			return 0, len(b)
		}
		i += k
		switch rest := b[i+1:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return i + 2, 0
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return i + 3, 0
		case len(rest) == 0 || len(rest) == 1 && rest[0] == '\r':
			return 0, i
		}
		i++
	}
}
