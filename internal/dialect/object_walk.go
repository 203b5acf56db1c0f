package dialect

import "bytes"

// Walking JSON that wire.Scan has validated, which is why it trusts what it
// sees: a string ends at the next quote without an escape, so long texts cost
// one search for a byte. Of other bytes a walk sees less or ends early, but it
// never leaves the slice.

// walk stands between two members or elements of one container.
type walk struct {
	raw        []byte
	at         int
	key, value []byte // of the last step; key is nil in an array
}

// walkInto begins behind the bracket that opens raw.
func walkInto(raw []byte) walk { return walk{raw: raw, at: 1} }

// member steps to the next member of an object; false at the end.
func (w *walk) member() bool {
	i := w.next()
	if i >= len(w.raw) || w.raw[i] != '"' {
		return false
	}
	end := stringEnd(w.raw, i)
	w.key, w.at = w.raw[i:end], end
	if i = w.next(); len(w.key) < 2 || i >= len(w.raw) {
		return false
	}
	return w.take(i)
}

// element steps to the next element of an array; false at the end.
func (w *walk) element() bool {
	i := w.next()
	return i < len(w.raw) && w.raw[i] != ']' && w.take(i)
}

// next is where the next token behind white space, commas and colons starts.
func (w *walk) next() int {
	i := w.at
	for i < len(w.raw) && (isSpace(w.raw[i]) || w.raw[i] == ',' || w.raw[i] == ':') {
		i++
	}
	return i
}

func (w *walk) take(i int) bool {
	end := valueEnd(w.raw, i)
	w.value, w.at = w.raw[i:end], end
	return end > i
}

// valueEnd is the offset behind the value that begins at b[i].
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		return containerEnd(b, i)
	}
	for i < len(b) {
		switch b[i] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return i
		}
		i++
	}
	return i
}

func containerEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return i
}

// stringEnd is the offset behind the quote that closes the string whose
// opening quote is b[i].
func stringEnd(b []byte, i int) int {
	for end := i + 1; ; end++ {
		n := bytes.IndexByte(b[end:], '"')
		if n < 0 {
			return len(b)
		}
		end += n
		slashes := 0
		for b[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end + 1
		}
	}
}

// elements are the elements of an array; none of anything else.
func elements(raw []byte) [][]byte {
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	items := make([][]byte, 0, 4)
	for w := walkInto(raw); w.element(); {
		items = append(items, w.value)
	}
	return items
}
