package h1

import (
	"iter"

	"tailplane/internal/http1"
)

// Header holds the fields of a response in their order. It is a view of the
// response head and stays valid after Response.Close. Names keep their
// spelling; values have no surrounding white space. The zero value is empty.
type Header struct {
	head   string
	fields []span
}

// span is where one field lies in the head, which has at most mostHead bytes.
type span struct{ name, nameEnd, value, valueEnd uint16 }

// Len is the number of fields.
func (h Header) Len() int { return len(h.fields) }

// Get returns the first value of name, in any case, or "".
func (h Header) Get(name string) string {
	for _, f := range h.fields {
		if http1.EqualFold(h.head[f.name:f.nameEnd], name) {
			return h.head[f.value:f.valueEnd]
		}
	}
	return ""
}

// Has reports whether there is a field name, in any case.
func (h Header) Has(name string) bool {
	for _, f := range h.fields {
		if http1.EqualFold(h.head[f.name:f.nameEnd], name) {
			return true
		}
	}
	return false
}

// Values yields all values of name, in any case, in order.
func (h Header) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, f := range h.fields {
			if http1.EqualFold(h.head[f.name:f.nameEnd], name) && !yield(h.head[f.value:f.valueEnd]) {
				return
			}
		}
	}
}

// All yields all fields as name and value, in order.
func (h Header) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, f := range h.fields {
			if !yield(h.head[f.name:f.nameEnd], h.head[f.value:f.valueEnd]) {
				return
			}
		}
	}
}
