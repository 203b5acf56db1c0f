package dialect

import "bytes"

// Walking JSON that wire.Scan has validated, which is why it trusts what it
// sees: a string ends at the next quote without an escape, so long texts cost
// one search for a byte. Of other bytes a walk sees less or ends early, but it
// never leaves the slice.

// walk stands between two members or elements of one container.
type walk struct {
	doc        *document // that knows the ends of long strings, or nil
	raw        []byte
	at         int
	key, value []byte // of the last step; key is nil in an array
	escaped    bool   // the key has escapes
}

// walkInto begins behind the bracket that opens raw.
func walkInto(raw []byte) walk { return walk{raw: raw, at: 1} }

// walk begins behind the bracket that opens raw, which stands in o's body.
func (o *object) walk(raw []byte) walk { return walk{doc: o.doc, raw: raw, at: 1} }

// member steps to the next member of an object; false at the end.
func (w *walk) member() bool {
	i := w.next()
	if i >= len(w.raw) || w.raw[i] != '"' {
		return false
	}
	end := w.keyEnd(i)
	w.key, w.at = w.raw[i:end], end
	if i = w.next(); len(w.key) < 2 || i >= len(w.raw) {
		return false
	}
	return w.take(i)
}

// keyEnd is stringEnd for a key, which is seldom long.
func (w *walk) keyEnd(i int) int {
	w.escaped = false
	for end := i + 1; end < len(w.raw); end++ {
		switch w.raw[end] {
		case '"':
			return end + 1
		case '\\':
			w.escaped = true
			return w.stringEnd(i)
		}
	}
	return len(w.raw)
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
	end := w.valueEnd(i)
	w.value, w.at = w.raw[i:end], end
	return end > i
}

// valueEnd is the offset behind the value that begins at i.
func (w *walk) valueEnd(i int) int {
	b := w.raw
	switch b[i] {
	case '"':
		return w.stringEnd(i)
	case '{', '[':
		return w.containerEnd(i)
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

func (w *walk) containerEnd(i int) int {
	b, depth := w.raw, 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = w.stringEnd(i)
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
// opening quote stands at i.
func (w *walk) stringEnd(i int) int {
	b, doc := w.raw, w.doc
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
		if doc != nil {
			if known := doc.stringEnd(b, i); known > 0 {
				return known
			}
			doc = nil // asked once
		}
	}
}

// elements are the elements of an array; none of anything else.
func elements(raw []byte) [][]byte { return new(object).elements(raw) }

// elements are those of an array that stands in o's body.
func (o *object) elements(raw []byte) [][]byte {
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	memory := &arena[[]byte]{}
	if o.doc != nil {
		memory = &o.doc.items
	}
	items := memory.begin(4)
	for w := o.walk(raw); w.element(); {
		items = append(items, w.value)
	}
	return memory.end(items)
}
