package wire

import "iter"

// Elements walks the elements of the array at span at, in order. The array must have
// passed Scan as part of body; of anything else it yields nothing, or stops at the fault.
func Elements(body []byte, at Span) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		b := body[:at.End]
		i := enter(b, at, '[')
		for i < len(b) && b[i] != ']' {
			end, reason := skipValue(b, i, nil)
			if reason != "" || !yield(Span{i, end}) {
				return
			}
			i = pastComma(b, end)
		}
	}
}

// Members walks all members of the object at span at, in order, duplicates included. The
// object must have passed Scan; of anything else it yields nothing, or stops at the fault.
func Members(body []byte, at Span) iter.Seq[Member] {
	return func(yield func(Member) bool) {
		b := body[:at.End]
		i := enter(b, at, '{')
		for i < len(b) && b[i] != '}' {
			m, reason := nextMember(b, i, nil)
			if reason != "" || !yield(m) {
				return
			}
			i = pastComma(b, m.Value.End)
		}
	}
}

// enter returns the offset of what follows the opening bracket at the start of at, and
// len(b), where every walk ends, if another byte stands there.
func enter(b []byte, at Span, bracket byte) int {
	if at.Start >= len(b) || b[at.Start] != bracket {
		return len(b)
	}
	return skipSpace(b, at.Start+1)
}

// pastComma returns the offset of the next element's first byte, or of the closing bracket.
func pastComma(b []byte, i int) int {
	i = skipSpace(b, i)
	if i < len(b) && b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	return i
}
