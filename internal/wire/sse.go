package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"slices"
	"strings"
)

// Rules of the stream reader, after the event stream section of the HTML standard:
//
//   - A line ends with LF, CR or CR LF, in any mixture; a block ends with an empty line. A CR
//     ends its line at once: if LF comes behind it with the next read, it is swallowed there.
//   - The field name ends at the first colon; one space behind the colon is not part of the
//     value; a line without colon is a field with an empty value; a line that starts with a
//     colon is a comment.
//   - Known fields are event, data and id. An id with a NUL in it is ignored. retry and
//     unknown fields are ignored: an upstream's reconnection time is not the client's.
//   - A byte order mark counts only as the first bytes of the stream.
//   - The bytes are not checked to be UTF-8; a read may end inside a character.
//   - How the stream is cut into reads changes none of Name, Data and ID of any event.

const (
	initialBuffer = 2 << 10  // a live stream costs no more while its events come one by one
	burstBuffer   = 16 << 10 // as far as the buffer grows because reads fill it
	maxKept       = 64 << 10 // no larger buffer survives Release
	minRead       = 512      // the buffer grows rather than offer less room to a Read
	maxEmptyReads = 100
)

// DefaultEventLimit is the limit that a limit of 0 stands for, in bytes.
const DefaultEventLimit = 16 << 20

// ErrEventTooLarge says that one event has more bytes than the reader's limit.
var ErrEventTooLarge = errors.New("an event of the stream is larger than the limit")

const byteOrderMark = "\xEF\xBB\xBF"

// Event is one block of a stream: an event, or comments, or an empty line alone. All fields
// alias the reader's memory and are valid until the next Fill, Reset or Release.
type Event struct {
	Name []byte // of the last event field, or a frame's type of event, exception or error; nil when absent
	Data []byte // the data lines joined by LF, nil when the block has none; a frame's payload
	ID   []byte // of the last id field; nil when absent

	// Exception says that a frame tells a failure: Name is the exception's type. A frame of
	// the kind error, which has its words in a header, has them in Data.
	Exception bool

	// Raw is the block or the frame as it came, the empty line included. All Raws and then Rest, joined,
	// are the input. A byte order mark belongs to the first Raw. The LF of a CR LF that two
	// reads cut apart starts the next Raw; while nothing else has come it is a Raw of its own.
	Raw    []byte
	Offset int // where Raw starts inside Buffered()
}

// EventReader cuts a stream into events. A turn is one Fill, then Next until it is false.
// The zero value is ready after Reset. It is not safe for concurrent use.
type EventReader struct {
	src   io.Reader
	limit int
	err   error // what the next Fill returns

	buf    []byte // Buffered()
	joined []byte // Data of several lines, since the last Fill

	start   int  // of the first byte not returned by Next: the block's Raw
	content int  // of the block's first line: start, or behind the LF of a cut CR LF
	line    int  // of the line being read
	scanned int  // the line has no end before this offset
	cr      bool // the byte before line is a CR: an LF there belongs to it
	full    bool // the last read took all the room there was
	first   bool // no block has been returned: a byte order mark may stand at start

	framing Framing
}

// Reset makes the reader read server-sent events from r from the beginning. An event may
// have limit bytes, not counting its empty line; 0 means DefaultEventLimit. Memory of an
// earlier use is kept.
func (e *EventReader) Reset(r io.Reader, limit int) { e.ResetFrames(r, SSE, limit) }

// ResetFrames is Reset for a stream in any framing.
func (e *EventReader) ResetFrames(r io.Reader, framing Framing, limit int) {
	if limit <= 0 {
		limit = DefaultEventLimit
	}
	*e = EventReader{src: r, framing: framing, limit: limit, buf: e.buf[:0], joined: e.joined[:0], first: true}
}

// Release lets go of the source and of a buffer of more than 64 KiB, so that the reader can
// be pooled. It must be Reset before it is used again.
func (e *EventReader) Release() {
	buf, joined := e.buf, e.joined
	if cap(buf) > maxKept {
		buf = nil
	}
	if cap(joined) > maxKept {
		joined = nil
	}
	*e = EventReader{buf: buf[:0], joined: joined[:0], err: io.ErrClosedPipe}
}

// Fill reads from the source once (again only after an empty read without error) and drops
// the bytes that Next has returned. It blocks as long as the source does. It returns io.EOF
// at the end, or the source's error, after the bytes that came with it; ErrEventTooLarge
// when Next met an event above the limit, a *FrameError when it met a broken frame, and
// io.ErrUnexpectedEOF when the source ended inside a frame. Every error stays.
func (e *EventReader) Fill() error {
	if e.err != nil {
		return e.end()
	}
	e.joined = e.joined[:0]
	if e.start > 0 {
		e.buf = e.buf[:copy(e.buf, e.buf[e.start:])]
		e.content -= e.start
		e.line -= e.start
		e.scanned -= e.start
		e.start = 0
	}
	switch used, size := len(e.buf), cap(e.buf); {
	case size == 0:
		e.buf = make([]byte, 0, initialBuffer)
	case size-used < minRead, e.full && size < burstBuffer:
		e.buf = slices.Grow(e.buf, size) // doubles
	}
	for range maxEmptyReads {
		used := len(e.buf)
		n, err := e.src.Read(e.buf[used:cap(e.buf)])
		e.buf = e.buf[:used+n]
		e.full = len(e.buf) == cap(e.buf)
		e.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return e.end()
		}
	}
	e.err = io.ErrNoProgress
	return e.err
}

// end is why there is nothing more to read.
func (e *EventReader) end() error {
	if e.framing == EventStream && e.err == io.EOF && len(e.Rest()) > 0 {
		e.err = io.ErrUnexpectedEOF
	}
	return e.err
}

// Buffered returns what the last Fill left to read, events already returned included.
func (e *EventReader) Buffered() []byte { return e.buf }

// Rest returns the bytes behind the last complete event. If it is not empty at the end of
// the stream, the stream ended inside an event.
func (e *EventReader) Rest() []byte { return e.buf[e.start:] }

// Next returns the next complete event among the buffered bytes, and false when there is
// none, when it is larger than the limit, or when it is a broken frame.
func (e *EventReader) Next() (Event, bool) {
	if e.err == ErrEventTooLarge {
		return Event{}, false
	}
	if e.framing == EventStream {
		return e.nextFrame()
	}
	blank, ok := e.findBlank()
	if !ok {
		if e.content > e.start && e.content == len(e.buf) {
			return e.take(Event{}), true
		}
		blank = len(e.buf)
	}
	if blank-e.content > e.limit {
		e.err = ErrEventTooLarge
		return Event{}, false
	}
	if !ok {
		return Event{}, false
	}
	return e.take(e.parse(e.content, blank)), true
}

// take completes ev with the bytes up to line, and starts the next block there.
func (e *EventReader) take(ev Event) Event {
	ev.Raw, ev.Offset = e.buf[e.start:e.line:e.line], e.start
	e.start, e.content, e.first = e.line, e.line, false
	return ev
}

// findBlank goes on to the next empty line and returns where its end starts; line is then
// behind it. When there is none it remembers how far it looked, so that each byte is read once.
func (e *EventReader) findBlank() (blank int, ok bool) {
	for {
		if e.cr && e.line < len(e.buf) {
			e.cr = false
			if e.buf[e.line] == '\n' {
				if e.content == e.line {
					e.content++
				}
				e.line++
				e.scanned = e.line
			}
		}
		end := lineEnd(e.buf, e.scanned)
		if end == len(e.buf) {
			e.scanned = end
			return 0, false
		}
		start := e.line
		e.line, e.scanned, e.cr = end+1, end+1, e.buf[end] == '\r'
		if end == start || e.first && start == e.start && string(e.buf[start:end]) == byteOrderMark {
			if e.cr && e.line < len(e.buf) && e.buf[e.line] == '\n' {
				e.line, e.scanned, e.cr = e.line+1, e.line+1, false
			}
			return end, true
		}
	}
}

// parse reads the fields of the lines from start to end, which are complete.
func (e *EventReader) parse(start, end int) Event {
	var ev Event
	lines, mark := e.buf[start:end], -1
	if e.first {
		lines = bytes.TrimPrefix(lines, []byte(byteOrderMark))
	}
	for len(lines) > 0 {
		n := lineEnd(lines, 0)
		line, rest := lines[:n:n], lines[min(n+1, len(lines)):]
		if len(rest) > 0 && lines[n] == '\r' && rest[0] == '\n' {
			rest = rest[1:]
		}
		lines = rest
		name, value := field(line)
		switch string(name) {
		case "event":
			ev.Name = value
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				ev.ID = value
			}
		case "data":
			if ev.Data == nil {
				ev.Data = value
				continue
			}
			if mark < 0 {
				mark = len(e.joined)
				e.joined = append(e.joined, ev.Data...)
			}
			e.joined = append(append(e.joined, '\n'), value...)
			ev.Data = e.joined[mark:len(e.joined):len(e.joined)]
		}
	}
	return ev
}

// field splits a line; the value is never nil. The name of a comment is empty.
func field(line []byte) (name, value []byte) {
	name, value, found := bytes.Cut(line, []byte{':'})
	if !found {
		return line, line[len(line):]
	}
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return name, value
}

// lineEnd returns the offset of the first CR or LF from i on, or len(b).
func lineEnd(b []byte, i int) int {
	rest := b[i:]
	for len(rest) >= 16 {
		if breaks(binary.LittleEndian.Uint64(rest))|breaks(binary.LittleEndian.Uint64(rest[8:])) != 0 {
			break
		}
		rest = rest[16:]
	}
	for len(rest) >= 8 {
		if m := breaks(binary.LittleEndian.Uint64(rest)); m != 0 {
			return len(b) - len(rest) + bits.TrailingZeros64(m)/8
		}
		rest = rest[8:]
	}
	for k, c := range rest {
		if c == '\n' || c == '\r' {
			return len(b) - len(rest) + k
		}
	}
	return len(b)
}

// breaks marks the CRs and LFs of a word in the way text.go describes.
func breaks(w uint64) uint64 {
	lf, cr := w^'\n'*ones, w^'\r'*ones
	return ((lf-ones)&^lf | (cr-ones)&^cr) & tops
}

// AppendEvent appends an event to dst: an event field if name is not empty, one data field
// for each line of data, and the empty line. A line break in data may be LF, CR or CR LF,
// and reads back as LF; name is cut at its first line break.
func AppendEvent(dst []byte, name string, data []byte) []byte {
	if i := strings.IndexAny(name, "\r\n"); i >= 0 {
		name = name[:i]
	}
	if name != "" {
		dst = append(append(append(dst, "event: "...), name...), '\n')
	}
	for {
		end := lineEnd(data, 0)
		dst = append(append(append(dst, "data: "...), data[:end]...), '\n')
		if end == len(data) {
			return append(dst, '\n')
		}
		if data[end] == '\r' && end+1 < len(data) && data[end+1] == '\n' {
			end++
		}
		data = data[end+1:]
	}
}
