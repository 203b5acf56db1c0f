package prefix

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// The scanner finds the pieces of JSON text and judges none of them. Its rules:
//
//   - Separators and white space are what stands between pieces; a text without
//     them, or with too many, is read as well as it goes.
//   - A container or string that is not closed ends with the text; any closing
//     bracket closes the innermost container.
//   - Nothing is read twice: the work grows with the length of the text alone.
//   - There are at most maxDepth levels and maxNodes pieces. A container that is
//     deeper is one piece; behind the last piece the text is not read.

const (
	maxDepth = 64
	maxNodes = 1 << 18
	keptNode = 1 << 16 // more are given back with the chain's Reset
)

// node is a piece of text: a string, a scalar (in an array a run of them, commas
// included), or a container, whose content follows it in the list of nodes.
type node struct {
	start, end int32
	next       int32 // the node behind this one and all it holds
}

// Kinds of bytes outside of strings.
const (
	plain = iota
	blank
	separator
	opening
	closing
	quote
)

var kinds = [256]uint8{
	' ': blank, '\t': blank, '\n': blank, '\r': blank,
	',': separator, ':': separator,
	'{': opening, '[': opening, '}': closing, ']': closing,
	'"': quote,
}

// stringEnd is the offset behind the string that starts at i.
func stringEnd(b []byte, i int) int {
	for from := i + 1; ; {
		at := nextQuote(b, from)
		if at < 0 {
			return len(b)
		}
		escape := at
		for escape > i+1 && b[escape-1] == '\\' {
			escape--
		}
		from = at + 1
		if (at-escape)&1 == 0 {
			return from
		}
	}
}

// nextQuote is the offset of the first quote at or behind i, or -1. A few words
// are looked through here, since most strings are too short to be worth a call.
func nextQuote(b []byte, i int) int {
	const ones = 0x0101010101010101
	const tops, quotes = 0x80 * ones, '"' * ones
	for near := i + 24; i < near && i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:]) ^ quotes
		if x = (x - ones) &^ x & tops; x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	if n := bytes.IndexByte(b[i:], '"'); n >= 0 {
		return i + n
	}
	return -1
}

// valueEnd is the offset behind the value that starts at i; tight says that
// there is no white space in it, other than in strings.
func valueEnd(b []byte, i int) (end int, tight bool) {
	tight = true
	for depth := 0; i < len(b); {
		switch kinds[b[i]] {
		case quote:
			i = stringEnd(b, i)
		case opening:
			depth++
			i++
		case closing:
			depth--
			i++
		case plain:
			i = plainEnd(b, i)
		case blank:
			tight = false
			i++
			continue
		default:
			i++
			continue
		}
		if depth <= 0 {
			return i, tight
		}
	}
	return len(b), tight
}

func plainEnd(b []byte, i int) int {
	for i < len(b) && kinds[b[i]] == plain {
		i++
	}
	return i
}

// skipTo is the offset of the next byte that is neither white space nor a
// separator.
func skipTo(b []byte, i int) int {
	for i < len(b) && (kinds[b[i]] == blank || kinds[b[i]] == separator) {
		i++
	}
	return i
}

// scan appends the nodes of the value that starts at i, and returns the offset
// behind it. b is shorter than 2 GB.
func (s *scratch) scan(b []byte, i int) int {
	var open [maxDepth]int32
	depth := 0
	for i = skipTo(b, i); i < len(b) && len(s.nodes) < maxNodes; i = skipTo(b, i) {
		at := i
		switch kinds[b[i]] {
		case quote:
			i = stringEnd(b, i)
			s.push(at, i)
		case opening:
			if depth == maxDepth {
				i, _ = valueEnd(b, i)
				s.push(at, i)
				break
			}
			open[depth] = int32(len(s.nodes))
			depth++
			i++
			s.push(at, len(b))
			continue
		case closing:
			if depth == 0 {
				return i + 1
			}
			i++
			depth--
			s.close(open[depth], i)
		default:
			i = s.scalar(b, i, depth > 0 && b[s.nodes[open[max(0, depth-1)]].start] == '[')
		}
		if depth == 0 {
			return i
		}
	}
	for _, n := range open[:depth] {
		s.close(n, i)
	}
	return i
}

// scalar appends what starts at i and is no string and no container.
func (s *scratch) scalar(b []byte, i int, inArray bool) int {
	at := i
	i = plainEnd(b, i)
	for inArray && i+1 < len(b) && b[i] == ',' && kinds[b[i+1]] == plain {
		i = plainEnd(b, i+1)
	}
	s.push(at, i)
	return i
}

func (s *scratch) push(start, end int) {
	s.nodes = append(s.nodes, node{int32(start), int32(end), int32(len(s.nodes) + 1)})
}

func (s *scratch) close(n int32, end int) {
	s.nodes[n].end, s.nodes[n].next = int32(end), int32(len(s.nodes))
}
