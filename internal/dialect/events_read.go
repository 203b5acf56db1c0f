package dialect

import "tailplane/internal/wire"

// eventMemory is the memory in which the events of a stream are taken apart, one
// after the other. What is told of them has memory of its own. Its zero value is
// ready.
type eventMemory struct {
	document document
	words    words
	heard    wire.Heard
}

// How much there is for one event.
const (
	mostEventObjects = 8
	mostEventMembers = 32
	mostEventItems   = 4
)

// parse is parseObject, until the next event.
func (m *eventMemory) parse(data []byte) (*object, error) {
	d := &m.document
	if d.words == nil {
		*d = document{
			objects: newArena[object](mostEventObjects), members: newArena[member](mostEventMembers), items: newArena[[]byte](mostEventItems),
			words: &m.words,
		}
	}
	d.clear()
	if err := validate(data, &m.heard); err != nil {
		return nil, err
	}
	return d.open(data, &m.heard)
}
