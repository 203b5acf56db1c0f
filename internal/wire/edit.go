package wire

import (
	"fmt"
	"slices"
)

// Edit replaces the bytes of At by With. An empty At inserts; an empty With deletes.
type Edit struct {
	At   Span
	With []byte
}

// Splice appends body with the edits made to dst, in one pass: every byte outside the
// edits is copied as it is. dst must not share memory with body. Edits must be in order and
// must not overlap, else Splice panics, for that is a bug of the caller; several insertions
// at one place are made in the order given. An edit that changes nothing may stand anywhere.
func Splice(dst, body []byte, edits ...Edit) []byte {
	return splice(dst, body, Span{0, len(body)}, edits)
}

// splice is Splice for what stands at the span part of body, which has all the edits.
func splice(dst, body []byte, part Span, edits []Edit) []byte {
	size, done := part.End-part.Start, part.Start
	for _, e := range edits {
		if e.isNothing() {
			continue
		}
		if e.At.Start < done || e.At.End < e.At.Start || e.At.End > len(body) {
			panicEdit(e.At, done, len(body))
		}
		size += len(e.With) - (e.At.End - e.At.Start)
		done = e.At.End
	}
	dst, done = slices.Grow(dst, size), part.Start
	for _, e := range edits {
		if e.isNothing() {
			continue
		}
		dst = append(dst, body[done:e.At.Start]...)
		dst = append(dst, e.With...)
		done = e.At.End
	}
	return append(dst, body[done:part.End]...)
}

// Spliced is a body with its edits made, of which only New is new: Front and Back are what
// the body has before its first edit and behind its last.
type Spliced struct{ Front, New, Back []byte }

// Len is how many bytes the whole has.
func (s Spliced) Len() int { return len(s.Front) + len(s.New) + len(s.Back) }

// Append appends the whole to dst, which must not share memory with it.
func (s Spliced) Append(dst []byte) []byte {
	dst = slices.Grow(dst, s.Len())
	return append(append(append(dst, s.Front...), s.New...), s.Back...)
}

// SetValue is body with one value in the place of another; New is appended to dst.
func SetValue(dst, body []byte, at Span, value string) Spliced {
	return Spliced{Front: body[:at.Start], New: AppendString(dst, value), Back: body[at.End:]}
}

func (e Edit) isNothing() bool { return e.At.Start == e.At.End && len(e.With) == 0 }

func panicEdit(at Span, done, size int) {
	panic(fmt.Sprintf("wire: edit at %d..%d of %d bytes does not follow the one that ends at %d", at.Start, at.End, size, done))
}

// SetMember returns the edit that makes value the value of the member called name in o:
// it replaces the old value when m is the member, and inserts the member before the closing
// brace when m is zero. The inserted text is appended to buf, which is returned too; a
// caller that keeps buf allocates nothing. value must be valid JSON; the edit aliases it.
//
// One SetMember or DropMember per object may be used alone. Where several members of one
// object change together, use Rewrite, which gets the commas between them right.
func SetMember(buf []byte, o Object, m Member, name string, value []byte) (Edit, []byte) {
	if !m.IsZero() {
		return Edit{At: m.Value, With: value}, buf
	}
	from := len(buf)
	buf = appendMember(buf, !o.Empty, name, value)
	return Edit{At: Span{o.Close, o.Close}, With: buf[from:len(buf):len(buf)]}, buf
}

func appendMember(buf []byte, comma bool, name string, value []byte) []byte {
	if comma {
		buf = append(buf, ',')
	}
	buf = append(AppendString(buf, name), ':')
	return append(buf, value...)
}

// DropMember returns the edit that removes the member m of the object o in body, together
// with the comma before it, or the one behind it when it is the first. White space goes with
// the comma. The edit changes nothing when m is zero.
func DropMember(body []byte, o Object, m Member) Edit {
	if m.IsZero() {
		return Edit{}
	}
	return Edit{At: withComma(body, o, Span{m.Key.Start, m.Value.End})}
}

// withComma widens a run of whole members by the one comma that must go with it. A run that
// is the whole object has none.
func withComma(body []byte, o Object, run Span) Span {
	before := run.Start - 1
	for before > o.Open && body[before] != ',' {
		before--
	}
	if before > o.Open {
		return Span{before, run.End}
	}
	if behind := skipSpace(body, run.End); behind < o.Close {
		return Span{run.Start, skipSpace(body, behind+1)}
	}
	return run
}
