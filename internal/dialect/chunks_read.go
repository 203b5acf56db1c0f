package dialect

import (
	"bytes"
	"fmt"
	"io"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Streams of chunks, read, for the dialects in which every event has the form of
// an answer with a piece of each choice in it: chat, completions and gemini.

// chunkReader turns chunks into canonical events.
type chunkReader interface {
	// chunk reads one chunk: data, opened as o, which notes what is wrong.
	chunk(o *object, data []byte, emit emitter)
	// finish closes what is open.
	finish(emit emitter)
	// complete reports whether every choice that began has stopped.
	complete() bool
	// fault reads the data of an event that is an error.
	fault(data []byte) llm.ErrorBody
}

// emitter tells an event.
type emitter func(llm.Event)

// chunkStream is a stream on its way from a chunkReader to its receiver.
type chunkStream struct {
	reader chunkReader
	yield  func(llm.Event, error) bool
	object *object // the chunk that is being read
	memory eventMemory
	events int  // so far
	gone   bool // the receiver has enough
}

// readChunks runs a stream to its end.
func readChunks(r io.Reader, yield func(llm.Event, error) bool, c chunkReader) {
	s := &chunkStream{reader: c, yield: yield}
	var er wire.EventReader
	er.Reset(r, 0)
	defer er.Release()
	for emit := s.emit; !s.gone; {
		err := er.Fill()
		if err == io.EOF {
			if c.complete() && len(bytes.TrimSpace(er.Rest())) == 0 || endsDone(er.Rest()) {
				s.end(emit)
				return
			}
			err = io.ErrUnexpectedEOF
		}
		for ev, ok := er.Next(); err == nil && ok && !s.gone; ev, ok = er.Next() {
			if isDone(ev.Data) {
				s.end(emit)
				return
			}
			err = s.event(ev, emit)
		}
		if err != nil {
			if !s.gone {
				yield(llm.Event{}, err)
			}
			return
		}
	}
}

// emit tells an event, unless something is wrong with the chunk that is being
// read, or the receiver has enough.
func (s *chunkStream) emit(ev llm.Event) {
	if !s.gone && (s.object == nil || s.object.err() == nil) {
		s.gone = !s.yield(ev, nil)
	}
}

func (s *chunkStream) end(emit emitter) {
	s.reader.finish(emit)
	emit(llm.Event{Kind: llm.EventEnd})
}

// event reads one event of the wire.
func (s *chunkStream) event(ev wire.Event, emit emitter) error {
	if ev.Data == nil {
		if bytes.IndexByte(ev.Raw, ':') >= 0 { // a comment, not a cut line end
			emit(llm.Event{Kind: llm.EventPing})
		}
		return nil
	}
	s.events++
	at, err := scanChunk(ev.Data)
	if string(ev.Name) == "error" || err == nil && at.isFault(ev.Data) {
		body := s.reader.fault(ev.Data)
		emit(llm.Event{Kind: llm.EventFault, Fault: &body})
		return nil
	}
	if s.object, err = s.memory.parse(ev.Data); err == nil {
		s.reader.chunk(s.object, ev.Data, emit)
		err = s.object.err()
	}
	if err != nil {
		return fmt.Errorf("event %d of the stream: %w", s.events, err)
	}
	return nil
}

// endsDone reports whether rest is an end mark that lacks its empty line.
func endsDone(rest []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(rest), []byte("data:"))
	return ok && isDone(rest)
}

// maxChoices bounds the index that a chunk may name.
const maxChoices = 256

// choiceReader is the state of one choice of a stream.
type choiceReader struct {
	dialect llm.Dialect
	index   int
	parts   int // opened so far
	open    int // the open part, -1 for none
	kind    llm.PartKind
	form    uint32
	calls   []callReader
	stopped bool
}

func (c *choiceReader) event(kind llm.EventKind, part int) llm.Event {
	return llm.Event{Kind: kind, Choice: c.index, Part: part}
}

// close ends the open part; end is what became known at its end, nil for
// nothing.
func (c *choiceReader) close(end *llm.Part, emit emitter) {
	if c.open < 0 {
		return
	}
	ev := c.event(llm.EventPartEnd, c.open)
	ev.New = end
	c.open = -1
	emit(ev)
}

// begin opens a part and returns its index.
func (c *choiceReader) begin(p *llm.Part, emit emitter) int {
	if !c.suspend(p.Kind) {
		c.close(nil, emit)
	}
	ownTexts(p)
	ev := c.event(llm.EventPart, c.parts)
	ev.New = p
	c.open, c.kind, c.form = c.parts, p.Kind, p.Extra.Form
	c.parts++
	emit(ev)
	return c.open
}

// text adds to the open part when it is of that kind, else opens one.
func (c *choiceReader) text(kind llm.PartKind, form uint32, text string, emit emitter) {
	if text == "" {
		return
	}
	if c.open < 0 || c.kind != kind || c.form != form {
		p := &llm.Part{Kind: kind, Extra: llm.Extra{Dialect: c.dialect, Form: form}}
		if kind == llm.PartThinking {
			p.SignedBy = c.dialect
		}
		c.begin(p, emit)
	}
	ev := c.event(llm.EventDelta, c.open)
	ev.Text = text
	emit(ev)
}

func (c *choiceReader) stop(s llm.Stop, emit emitter) {
	for i := range c.calls {
		if c.calls[i].part < 0 {
			c.openCall(&c.calls[i], emit)
		}
	}
	c.close(nil, emit)
	c.endCalls(emit)
	c.stopped = true
	ev := c.event(llm.EventStop, 0)
	ev.Stop = s
	emit(ev)
}

// choiceFor is the state of the choice that a chunk's element belongs to; an
// element without index belongs to the first.
func choiceFor(all *[]*choiceReader, o *object, d llm.Dialect) *choiceReader {
	index := choiceIndex(o)
	for _, ch := range *all {
		if ch.index == index {
			return ch
		}
	}
	ch := &choiceReader{dialect: d, index: index, open: -1}
	*all = append(*all, ch)
	return ch
}

// choiceIndex takes the index of a choice; 0 when it has none.
func choiceIndex(o *object) int {
	n, _ := o.whole("index")
	if n < 0 || n >= maxChoices {
		o.wrong("index", "must be between 0 and %d", maxChoices-1)
		return 0
	}
	return int(n)
}

func allStopped(choices []*choiceReader) bool {
	for _, ch := range choices {
		if !ch.stopped {
			return false
		}
	}
	return len(choices) > 0
}
