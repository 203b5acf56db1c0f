package wire

import "slices"

// Change says what becomes of one member: with Value nil it is dropped (or stays absent),
// else Value, which must be valid JSON, becomes its value.
type Change struct {
	Name   string
	Member Member // as Scan found it; zero when absent
	Value  []byte
}

// Rewrite gathers edits to one body and makes them together. The zero value is ready, and
// Reset makes a used one ready again without giving its memory back, so it can be pooled.
// It is not safe for concurrent use.
type Rewrite struct {
	edits []Edit
	text  []byte // what inserted members consist of
}

// Reset forgets all edits.
func (r *Rewrite) Reset() {
	clear(r.edits)
	r.edits, r.text = r.edits[:0], r.text[:0]
}

// Add adds one edit, for example inside a value that no Change touches.
func (r *Rewrite) Add(e Edit) { r.edits = append(r.edits, e) }

// Change adds the edits that make changes to the members of the object o in body. It is
// called once for each object, with all of its changes, and sorts them in place; new members
// are inserted at the end in the order given.
func (r *Rewrite) Change(body []byte, o Object, changes []Change) {
	slices.SortStableFunc(changes, func(a, b Change) int { return place(a, o) - place(b, o) })
	comma := !o.Empty // whether an inserted member follows another one
	for i := 0; i < len(changes); i++ {
		c := changes[i]
		switch {
		case c.Member.IsZero() && c.Value == nil:
		case c.Member.IsZero():
			from := len(r.text)
			r.text = appendMember(r.text, comma, c.Name, c.Value)
			r.Add(Edit{At: Span{o.Close, o.Close}, With: r.text[from:len(r.text):len(r.text)]})
			comma = true
		case c.Value != nil:
			r.Add(Edit{At: c.Member.Value, With: c.Value})
		default:
			run := Span{c.Member.Key.Start, c.Member.Value.End}
			for i+1 < len(changes) && follows(body, run, changes[i+1]) {
				i++
				run.End = changes[i].Member.Value.End
			}
			at := withComma(body, o, run)
			if at == run {
				comma = false
			}
			r.Add(Edit{At: at})
		}
	}
}

// place orders changes by where they happen.
func place(c Change, o Object) int {
	if c.Member.IsZero() {
		return o.Close
	}
	return c.Member.Key.Start
}

// follows reports whether c drops the very next member behind run.
func follows(body []byte, run Span, c Change) bool {
	return c.Value == nil && !c.Member.IsZero() && pastComma(body, run.End) == c.Member.Key.Start
}

// Splice is body with all edits made; New is appended to dst. It panics when edits overlap.
func (r *Rewrite) Splice(dst, body []byte) Spliced {
	r.sort()
	r.edits = slices.DeleteFunc(r.edits, Edit.isNothing)
	if len(r.edits) == 0 {
		return Spliced{Front: body, New: dst}
	}
	part := Span{r.edits[0].At.Start, r.edits[len(r.edits)-1].At.End}
	return Spliced{Front: body[:part.Start], New: splice(dst, body, part, r.edits), Back: body[part.End:]}
}

// Append appends body with all edits made to dst. It panics when edits overlap.
func (r *Rewrite) Append(dst, body []byte) []byte {
	r.sort()
	return Splice(dst, body, r.edits...)
}

func (r *Rewrite) sort() {
	slices.SortStableFunc(r.edits, func(a, b Edit) int { return a.At.Start - b.At.Start })
}
