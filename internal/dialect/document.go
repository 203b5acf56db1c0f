package dialect

import (
	"slices"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// document is what the objects of one body share.
type document struct {
	wrong   error       // the first thing that is wrong in the body
	body    []byte      // as it was scanned, or nil
	long    []wire.Span // where its long strings stand
	objects arena[object]
	members arena[member]
	items   arena[[]byte]
	words   *words // nil when all strings have memory of their own
	lent    *lent  // nil when what is read has
}

// How much an At has memory for: a short request.
const (
	mostObjects = 16
	mostMembers = 64
	mostItems   = 32
	mostTurns   = 8
	mostParts   = 16
	mostChoices = 1
)

// mostLent is the longest body whose reading is lent memory: that leans on the
// body until the At is used again, and shall not keep a long one.
const mostLent = 64 << 10

// memory is what an At lends; it is used for one body after the other.
type memory struct {
	document document
	lent     lent
	words    words
}

func newMemory() *memory {
	m := &memory{
		document: document{
			objects: newArena[object](mostObjects), members: newArena[member](mostMembers), items: newArena[[]byte](mostItems),
		},
		lent: lent{
			calls: newArena[llm.Call](1), replies: newArena[llm.Reply](1),
			turns: newArena[llm.Turn](mostTurns), parts: newArena[llm.Part](mostParts), choices: newArena[llm.Choice](mostChoices),
		},
	}
	m.document.words = &m.words
	return m
}

// document is the place for the objects of a body. What was read before in the memory
// of at is gone.
func (at *At) document(body []byte) *document {
	if at.memory == nil {
		at.memory = newMemory()
	}
	d := &at.memory.document
	d.clear()
	at.memory.lent.clear()
	if d.lent = &at.memory.lent; len(body) > mostLent {
		d.lent = nil
	}
	return d
}

// open mends a body that has been validated, and opens it.
func (d *document) open(body []byte, heard *wire.Heard) (*object, error) {
	if heard.Halves {
		body = wire.Mend(body)
	}
	d.body, d.long = body, heard.Long
	o := d.object(where{})
	if len(heard.Members) > 0 {
		return o, o.enter(body, heard.Members)
	}
	for len(body) > 0 && isSpace(body[0]) {
		body = body[1:]
	}
	return o, o.fill(body)
}

// object is an empty object of the document.
func (d *document) object(at where) *object {
	o := d.objects.one()
	if o == nil {
		o = newObjectAlone()
	}
	o.where, o.doc = at, d
	return o
}

// taken is how much of a document's memory is taken.
type taken struct{ objects, members, items int }

func (d *document) taken() taken {
	return taken{d.objects.used, d.members.used, d.items.used}
}

// release gives back what was taken behind t.
func (d *document) release(t taken) {
	d.objects.release(t.objects)
	d.members.release(t.members)
	d.items.release(t.items)
}

// clear lets go of a body.
func (d *document) clear() {
	d.release(taken{})
	d.wrong, d.body, d.long = nil, nil, nil
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
