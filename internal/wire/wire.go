// Package wire owns bytes: it finds and edits members inside JSON text and cuts
// streams, of server-sent events or of AWS's binary frames, into events, both in place.
//
// It never builds a tree, never re-serialises what it did not change, and knows no
// dialect: which members and events matter is the caller's business. It keeps no
// state between calls except inside an EventReader or a Rewrite, and only an
// EventReader does I/O.
//
// Start reading at Scan (scan.go) and Splice (edit.go) for request bodies, and at
// EventReader (sse.go, eventstream.go) for streams.
package wire

// Span is a half-open range of bytes: Start is inside, End is not.
type Span struct{ Start, End int }

// Of returns the bytes of b that s names. The result aliases b.
func (s Span) Of(b []byte) []byte { return b[s.Start:s.End:s.End] }

// IsZero reports whether s is the zero Span, which stands for "absent": no JSON value
// starts and ends at byte 0.
func (s Span) IsZero() bool { return s == Span{} }

// Member is one member of a JSON object: where its key (quotes included) and its value
// stand, both without surrounding white space. The zero Member is an absent one.
type Member struct{ Key, Value Span }

// IsZero reports whether the member is absent.
func (m Member) IsZero() bool { return m == Member{} }

// Object says where a scanned object opens and closes, as offsets of '{' and '}', and
// whether it has no members, so that a member can be inserted.
type Object struct {
	Open, Close int
	Empty       bool
}
