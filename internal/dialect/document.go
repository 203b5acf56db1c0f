package dialect

import (
	"slices"

	"tailplane/internal/wire"
)

// document is what the objects of one body share.
type document struct {
	wrong   error       // the first thing that is wrong in the body
	body    []byte      // as it was scanned, or nil
	long    []wire.Span // where its long strings stand
	objects []object    // memory for the first of them, which is used for one body after the other
	used    int
}

// mostObjects is how many objects an At has memory for: a short request's.
const mostObjects = 12

// document is the place for the objects of a body.
func (at *At) document() *document {
	if at.opened == nil {
		at.opened = &document{objects: make([]object, mostObjects)}
	}
	at.opened.clear()
	return at.opened
}

// open mends a body that has been validated, and opens it.
func (d *document) open(body []byte, heard *wire.Heard) (*object, error) {
	if heard.Halves {
		body = wire.Mend(body)
	}
	d.body, d.long = body, heard.Long
	for len(body) > 0 && isSpace(body[0]) {
		body = body[1:]
	}
	o := d.object(where{})
	if err := o.fill(body); err != nil {
		return nil, err
	}
	return o, nil
}

// object is an empty object of the document.
func (d *document) object(at where) *object {
	if d.used == len(d.objects) {
		return &object{where: at, doc: d}
	}
	o := &d.objects[d.used]
	d.used++
	o.where, o.doc = at, d
	return o
}

// clear lets go of a body.
func (d *document) clear() {
	clear(d.objects[:d.used])
	d.wrong, d.body, d.long, d.used = nil, nil, nil, 0
}

// stringEnd is the offset behind the string whose opening quote is b[i], and that
// the scan found to be long; 0 when it is no such one. Where b stands in the body
// is told by its capacity, since whatever is cut out of the body ends with it.
func (d *document) stringEnd(b []byte, i int) int {
	start := cap(d.body) - cap(b) + i
	at, found := slices.BinarySearchFunc(d.long, start, func(s wire.Span, start int) int { return s.Start - start })
	if !found || &d.body[start] != &b[i] {
		return 0
	}
	return min(i+d.long[at].End-start, len(b))
}
