package wire

import (
	"bytes"
	"fmt"
)

// Rules of the scanner, after RFC 8259:
//
//   - One pass, no recursion, no allocation unless it fails. What passes is valid JSON
//     down to the last byte, so later readers of the same bytes need not check again.
//   - A string must be valid UTF-8. A lone surrogate escape such as "\ud83d" passes: the
//     grammar allows it, clients that cut text inside an emoji send it, and rejecting it is
//     the upstream's decision. This is the one difference from jsontext's default rules.
//   - Nesting ends at MaxDepth containers, the outermost one included.
//   - A byte order mark before the object is an error.

// MaxDepth is how many containers may be open at once.
const MaxDepth = 512

// SyntaxError says where a text stops being the JSON that Scan accepts.
type SyntaxError struct {
	Offset int // of the offending byte; the length of the text if it ends too early
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Reason)
}

// DuplicateError says that a wanted member stands in the object more than once. Readers
// disagree about which one counts, so neither is used.
type DuplicateError struct {
	Offset int // of the second key
	Name   string
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("member %q appears again at byte %d: send it once", e.Name, e.Offset)
}

const (
	endsEarly   = "the text ends too early"
	needsObject = "a JSON object must start here"
	needsKey    = "a member name in quotes must stand here"
	needsColon  = "':' must follow the member name"
	needsComma  = "',' or the end of the object or array must follow the value"
	needsValue  = "a value must stand here"
	nestsDeep   = "nested deeper than 512 levels"
	trailing    = "nothing may follow the object"
)

// Scan validates body as one JSON object with optional white space around it and finds
// the members called names: found[i] is where names[i] stands, or zero when it is absent.
// Escapes in keys are resolved before keys are compared. The names must differ from each
// other, and len(found) >= len(names).
//
// The error is a *SyntaxError, or a *DuplicateError when a wanted member appears twice
// (other duplicates pass); found then holds nothing of use. The work grows with the
// length of body alone; no error is worse than linear.
func Scan(body []byte, names []string, found []Member) (Object, error) {
	return scan(body, Span{0, len(body)}, names, found, nil)
}

// ScanAt is Scan for the object that stands at span at inside body. All offsets, those in
// errors too, stay relative to body.
func ScanAt(body []byte, at Span, names []string, found []Member) (Object, error) {
	return scan(body, at, names, found, nil)
}

func scan(body []byte, at Span, names []string, found []Member, heard *heard) (Object, error) {
	b := body[:at.End]
	found = found[:len(names)]
	clear(found)
	i := skipSpace(b, at.Start)
	if i >= len(b) || b[i] != '{' {
		return Object{}, syntax(b, i, needsObject)
	}
	obj := Object{Open: i}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		obj.Close, obj.Empty = i, true
		return obj, atEnd(b, i+1)
	}
	for {
		m, reason := nextMember(b, i, heard)
		if reason != "" {
			return obj, syntax(b, m.Value.End, reason)
		}
		if heard != nil {
			heard.note(m)
		}
		if n := match(m.Key.Of(b), names); n >= 0 {
			if !found[n].IsZero() {
				return obj, &DuplicateError{Offset: m.Key.Start, Name: names[n]}
			}
			found[n] = m
		}
		i = skipSpace(b, m.Value.End)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == '}':
			obj.Close = i
			return obj, atEnd(b, i+1)
		default:
			return obj, syntax(b, i, needsComma)
		}
	}
}

// nextMember reads the member whose key starts at i. When reason is not empty, Value.End
// of the member is where the fault is.
func nextMember(b []byte, i int, heard *heard) (m Member, reason string) {
	m.Key.Start = i
	m.Key.End, m.Value.Start, reason = skipKey(b, i, heard)
	if reason != "" {
		m.Value.End = m.Value.Start
		return m, reason
	}
	m.Value.End, reason = skipValue(b, m.Value.Start, heard)
	return m, reason
}

// match returns the index of the name that the raw key spells, or -1.
func match(key []byte, names []string) int {
	plain := key[1 : len(key)-1]
	for n, name := range names {
		if string(plain) == name {
			return n
		}
	}
	if bytes.IndexByte(plain, '\\') >= 0 {
		for n, name := range names {
			if StringEquals(key, name) {
				return n
			}
		}
	}
	return -1
}

// atEnd checks that only white space stands from i on.
func atEnd(b []byte, i int) error {
	if i = skipSpace(b, i); i < len(b) {
		return syntax(b, i, trailing)
	}
	return nil
}

func syntax(b []byte, at int, reason string) error {
	if at >= len(b) {
		at, reason = len(b), endsEarly
	}
	return &SyntaxError{Offset: at, Reason: reason}
}
