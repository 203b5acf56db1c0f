package dialect

import (
	"errors"
	"io"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Streams of blocks, read, for the dialects in which each block is announced,
// filled and ended by its index. See blocks_write.go for such streams, written.

// blockReader is the part of a stream's state that its dialect has no say in.
type blockReader struct {
	out     []llm.Event // what the event that is being read has told
	object  *object     // of that event
	memory  eventMemory // that it is taken apart in
	started bool
	ended   bool
	parts   int // opened so far
}

// read tells the events of a stream. event takes one event of the wire, and end
// the end of the bytes; what either has told comes before its error.
func (s *blockReader) read(r *wire.EventReader, event func(wire.Event) error, end func() error, yield func(llm.Event, error) bool) {
	for {
		err := r.Fill()
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			s.object = nil
			if !s.tell(event(ev), yield) || s.ended {
				return
			}
		}
		if errors.Is(err, io.EOF) {
			s.object = nil
			s.tell(end(), yield)
			return
		}
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
	}
}

// tell hands on what was emitted, then an error; false when that is the last.
func (s *blockReader) tell(err error, yield func(llm.Event, error) bool) bool {
	for _, ev := range s.out {
		if !yield(ev, nil) {
			return false
		}
	}
	s.out = s.out[:0]
	if err != nil {
		yield(llm.Event{}, err)
	}
	return err == nil
}

// emit tells an event, unless something is wrong with the one that is being read.
func (s *blockReader) emit(ev llm.Event) {
	if s.object == nil || s.object.err() == nil {
		s.out = append(s.out, ev)
	}
}

// open tells that the next part begins, and is its index.
func (s *blockReader) open(p *llm.Part) int {
	part := s.parts
	s.parts++
	s.emit(llm.Event{Kind: llm.EventPart, Part: part, New: p})
	return part
}

// takeRole takes who speaks in a turn of such a dialect's request.
func takeRole(o *object) llm.Role {
	role := llm.Role(o.need("role"))
	switch role {
	case llm.RoleUser, llm.RoleAssistant, llm.RoleSystem:
	default:
		o.wrong("role", `must be "user", "assistant" or "system"`)
	}
	return role
}
