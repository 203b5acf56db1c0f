package prefix

import (
	"bytes"
	"cmp"
	"slices"
)

// What stands here writes nodes into the canonical stream. It calls itself no
// deeper than maxDepth, the depth of the nodes.
//
// Where the stream is what stands in the body, as mostly, nothing is written
// until it is not any more: body[from:to] is still to be written, and
// comes before everything else that is.

// piece writes a node as it is spelled.
func (w *writer) piece(n int32) {
	start, end := w.nodes[n].start, w.nodes[n].end
	if int(start) != w.to {
		w.flush()
		w.from = int(start)
	}
	w.to = int(end)
	if w.to-w.from >= 4*coarse {
		w.flushWhole()
	}
}

// punct writes one byte of punctuation.
func (w *writer) punct(c byte) {
	if w.to < len(w.body) && w.body[w.to] == c {
		w.to++
		return
	}
	w.flush()
	w.addByte(c)
}

func (w *writer) flush() {
	w.add(w.body[w.from:w.to])
	w.from = w.to
}

// flushWhole writes what makes whole strides of a long text, which needs no copy of
// it, while the text is in the processor's cache.
func (w *writer) flushWhole() {
	n := w.to - w.from
	if w.stride > 0 {
		n -= (w.n + n) % w.stride
	}
	w.add(w.body[w.from : w.from+n])
	w.from += n
}

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
		w.punct('[')
		w.list(n)
		w.punct(']')
	case isMedia(w.text(n)):
		w.media(w.text(n))
	default:
		w.piece(n)
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
			w.punct(',')
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
		w.punct('{')
		w.list(n)
		w.punct('}')
		return
	}
	members := w.members[base:]
	w.sort(members)
	if text, ok := w.onlyText(members); ok {
		w.piece(text)
	} else {
		w.punct('{')
		for i, m := range members {
			if i > 0 {
				w.punct(',')
			}
			w.member(m.key)
		}
		w.punct('}')
	}
	w.members = w.members[:base]
}

// collect appends the members of an object, and reports whether the object
// consists of names and values.
func (w *writer) collect(object int32) bool {
	end := w.nodes[object].next
	for key := object + 1; key < end; key = w.nodes[key+1].next {
		if w.at(key) != '"' || key+1 == end {
			return false
		}
		if r := rank(w.text(key)); r != unsaid {
			w.members = append(w.members, member{key, r})
		}
	}
	return true
}

// member is a name with its value behind it, and its place among the others.
type member struct {
	key  int32
	rank int32
}

// Ranks of members. A turn's role comes first, then what kind of thing it is,
// then what it says; the rest by name.
const (
	unsaid  = iota // not in the stream
	role           // of a turn
	kind           // of a part
	content        // of a turn
	named
)

func rank(key []byte) int32 {
	switch string(key) {
	case `"role"`:
		return role
	case `"type"`:
		return kind
	case `"content"`, `"parts"`:
		return content
	case `"cache_control"`, `"cachePoint"`:
		return unsaid
	}
	return named
}

// sort puts members in order; of the same name, the first stays first. Most
// objects are short and in order.
func (w *writer) sort(members []member) {
	for i := 1; i < len(members); i++ {
		if w.order(members[i-1], members[i]) > 0 {
			slices.SortFunc(members, w.order)
			return
		}
	}
}

func (w *writer) order(a, b member) int {
	if a.rank != b.rank {
		return int(a.rank - b.rank)
	}
	return cmp.Or(bytes.Compare(w.text(a.key), w.text(b.key)), int(a.key-b.key))
}

func (w *writer) member(key int32) {
	w.piece(key)
	w.punct(':')
	if value := key + 1; w.at(value) == '[' && string(w.text(key)) == `"content"` {
		w.list(value) // a text in a list is the text
	} else {
		w.value(value)
	}
}

// onlyText returns the text of a part that has nothing else.
func (w *writer) onlyText(members []member) (text int32, ok bool) {
	n := len(members)
	if n == 0 || n > 2 || n == 2 && (members[0].rank != kind || !namesText(w.text(members[0].key+1))) {
		return 0, false
	}
	last := members[n-1].key
	return last + 1, string(w.text(last)) == `"text"` && w.at(last+1) == '"'
}

func namesText(kind []byte) bool {
	switch string(kind) {
	case `"text"`, `"input_text"`, `"output_text"`:
		return true
	}
	return false
}

// isCacheMark reports whether an element is an object of nothing else.
func (w *writer) isCacheMark(n int32) bool {
	return w.at(n) == '{' && n+1 < w.nodes[n].next && rank(w.text(n+1)) == unsaid &&
		n+2 < w.nodes[n].next && w.nodes[n+2].next == w.nodes[n].next
}

// asItStands writes JSON text without the white space outside of its strings.
func (w *writer) asItStands(b []byte) {
	w.flush()
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
