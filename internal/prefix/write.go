package prefix

import (
	"bytes"
	"cmp"
	"slices"
)

// What stands here writes nodes into the canonical stream. It calls itself no
// deeper than maxDepth, the depth of the nodes.

func (w *writer) text(n int32) []byte { return w.body[w.nodes[n].start:w.nodes[n].end] }

// at is the first byte of a node, which says what it is.
func (w *writer) at(n int32) byte { return w.body[w.nodes[n].start] }

func (w *writer) value(n int32) {
	switch c := w.at(n); {
	case w.nodes[n].next == n+1 && (c == '{' || c == '['):
		w.asItStands(w.text(n)) // it is empty, or too deep to be looked into
	case c == '{':
		w.object(n)
	case c == '[':
		w.addByte('[')
		w.list(n)
		w.addByte(']')
	default:
		w.add(w.text(n))
	}
}

// list writes the elements of an array, without its brackets.
func (w *writer) list(array int32) {
	first := true
	for i := array + 1; i < w.nodes[array].next; i = w.nodes[i].next {
		if w.isCacheMark(i) {
			continue
		}
		if !first {
			w.addByte(',')
		}
		first = false
		w.value(i)
	}
}

// object writes an object's members in their order, and one that is nothing but
// a text as that text.
func (w *writer) object(n int32) {
	base := len(w.members)
	if !w.collect(n) {
		w.members = w.members[:base]
		w.addByte('{')
		w.list(n)
		w.addByte('}')
		return
	}
	keys := w.members[base:]
	slices.SortFunc(keys, w.order)
	if text, ok := w.onlyText(keys); ok {
		w.add(w.text(text))
	} else {
		w.addByte('{')
		for i, key := range keys {
			if i > 0 {
				w.addByte(',')
			}
			w.member(key)
		}
		w.addByte('}')
	}
	w.members = w.members[:base]
}

// collect appends the keys of an object to w.members, and reports whether the
// object consists of names and values.
func (w *writer) collect(object int32) bool {
	end := w.nodes[object].next
	for key := object + 1; key < end; key = w.nodes[key+1].next {
		if w.at(key) != '"' || key+1 == end {
			return false
		}
		if !marksCache(w.text(key)) {
			w.members = append(w.members, key)
		}
	}
	return true
}

// order compares two keys: a turn's role comes first, then what kind of thing it
// is, then what it says; the rest by name. Of the same name, the first is first.
func (w *writer) order(a, b int32) int {
	x, y := w.text(a), w.text(b)
	if c := rank(x) - rank(y); c != 0 {
		return c
	}
	return cmp.Or(bytes.Compare(x, y), int(a-b))
}

func rank(key []byte) int {
	switch string(key) {
	case `"role"`:
		return 0
	case `"type"`:
		return 1
	case `"content"`, `"parts"`:
		return 2
	}
	return 3
}

func (w *writer) member(key int32) {
	name, value := w.text(key), key+1
	w.add(name)
	w.addByte(':')
	if w.at(value) == '[' && string(name) == `"content"` {
		w.list(value) // a text in a list is the text
		return
	}
	w.value(value)
}

// onlyText returns the text of a part that has nothing else.
func (w *writer) onlyText(keys []int32) (text int32, ok bool) {
	switch len(keys) {
	case 1:
	case 2:
		if string(w.text(keys[0])) != `"type"` || !namesText(w.text(keys[0]+1)) {
			return 0, false
		}
	default:
		return 0, false
	}
	last := keys[len(keys)-1]
	return last + 1, string(w.text(last)) == `"text"` && w.at(last+1) == '"'
}

func namesText(kind []byte) bool {
	switch string(kind) {
	case `"text"`, `"input_text"`, `"output_text"`:
		return true
	}
	return false
}

// marksCache reports whether a member asks for caching: Anthropic's beside a
// part, Converse's as a part of its own.
func marksCache(key []byte) bool {
	return string(key) == `"cache_control"` || string(key) == `"cachePoint"`
}

// isCacheMark reports whether an element is an object of nothing else.
func (w *writer) isCacheMark(n int32) bool {
	return w.at(n) == '{' && n+1 < w.nodes[n].next && marksCache(w.text(n+1)) &&
		n+2 < w.nodes[n].next && w.nodes[n+2].next == w.nodes[n].next
}

// asItStands writes JSON text without the white space outside of its strings.
func (w *writer) asItStands(b []byte) {
	from := 0
	for i := 0; i < len(b); {
		switch kinds[b[i]] {
		case quote:
			i = stringEnd(b, i)
		case blank:
			w.add(b[from:i])
			for i < len(b) && kinds[b[i]] == blank {
				i++
			}
			from = i
		default:
			i++
		}
	}
	w.add(b[from:])
}
