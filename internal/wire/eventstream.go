package wire

import (
	"encoding/binary"
	"hash/crc32"
)

// Rules of the AWS event stream (content type application/vnd.amazon.eventstream):
//
//   - A frame is the prelude (length of the frame, length of its headers, CRC of these 8
//     bytes), the headers, the payload, and the CRC of all before it. Numbers are big endian,
//     the CRC is that of IEEE 802.3.
//   - The prelude is judged as soon as its 12 bytes are there: a broken length never makes
//     the reader wait for bytes that will not come.
//   - A frame that is not exactly what its lengths and checksums say is a *FrameError. What
//     follows it is not read: the next frame's place is not known any more.
//   - A source that ends inside a frame gives io.ErrUnexpectedEOF instead of io.EOF.

// Framing says how a stream is cut into events.
type Framing uint8

// The framings.
const (
	SSE         Framing = iota // text/event-stream
	EventStream                // application/vnd.amazon.eventstream
)

// ContentType is the media type of a stream in this framing.
func (f Framing) ContentType() string {
	if f == EventStream {
		return "application/vnd.amazon.eventstream"
	}
	return "text/event-stream"
}

// FrameError says why a frame of an event stream is none.
type FrameError struct{ Reason string }

func (e *FrameError) Error() string { return "a frame of the event stream is broken: " + e.Reason }

const (
	preludeSize = 12
	frameMin    = preludeSize + 4
	maxHeaders  = 128 << 10 // AWS's limit
)

// The headers that make an Event.
const (
	headerMessage   = ":message-type"
	headerEvent     = ":event-type"
	headerException = ":exception-type"
	headerContent   = ":content-type"
	headerErrorCode = ":error-code"
	headerErrorText = ":error-message"
)

// nextFrame is Next for EventStream.
func (e *EventReader) nextFrame() (Event, bool) {
	b := e.buf[e.start:]
	if len(b) < preludeSize {
		return Event{}, false
	}
	size, headers := uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))
	switch {
	case crc32.ChecksumIEEE(b[:8]) != binary.BigEndian.Uint32(b[8:]):
		return e.broken("the checksum of its prelude is wrong")
	case size < frameMin || headers > size-frameMin || headers > maxHeaders:
		return e.broken("its lengths are impossible")
	case size > uint64(e.limit):
		e.err = ErrEventTooLarge
		return Event{}, false
	case uint64(len(b)) < size:
		return Event{}, false
	}
	body := b[: size-4 : size-4]
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(b[size-4:]) {
		return e.broken("its checksum is wrong")
	}
	ev, ok := parseFrame(body[preludeSize:preludeSize+headers:preludeSize+headers], body[preludeSize+headers:])
	if !ok {
		return e.broken("its headers cannot be read")
	}
	ev.Raw, ev.Offset = b[:size:size], e.start
	e.start += int(size)
	return ev, true
}

func (e *EventReader) broken(reason string) (Event, bool) {
	e.err = &FrameError{Reason: reason}
	return Event{}, false
}

// parseFrame reads the headers. Of a header that stands twice the last one counts.
func parseFrame(headers, payload []byte) (ev Event, ok bool) {
	var kind, name, exception, code, text []byte
	for len(headers) > 0 {
		key, value, rest, ok := nextHeader(headers)
		if !ok {
			return Event{}, false
		}
		headers = rest
		switch string(key) {
		case headerMessage:
			kind = value
		case headerEvent:
			name = value
		case headerException:
			exception = value
		case headerErrorCode:
			code = value
		case headerErrorText:
			text = value
		}
	}
	ev = Event{Name: name, Data: payload}
	switch string(kind) {
	case "exception":
		ev.Name, ev.Exception = exception, true
	case "error":
		ev.Name, ev.Exception = code, true
		if len(payload) == 0 {
			ev.Data = text
		}
	}
	return ev, true
}

// headerSizes are the bytes of the values of each type; -1 stands for a length of two bytes
// and as many bytes more: true, false, int8, int16, int32, int64, bytes, string, time, UUID.
var headerSizes = [...]int{0, 0, 1, 2, 4, 8, -1, -1, 8, 16}

const headerString = 7

// nextHeader cuts off the first header. value is nil when it is no string.
func nextHeader(b []byte) (key, value, rest []byte, ok bool) {
	n := int(b[0])
	if n == 0 || len(b) < n+2 || int(b[n+1]) >= len(headerSizes) {
		return nil, nil, nil, false
	}
	key, kind, b := b[1:n+1:n+1], b[n+1], b[n+2:]
	size := headerSizes[kind]
	if size < 0 {
		if len(b) < 2 {
			return nil, nil, nil, false
		}
		size, b = int(binary.BigEndian.Uint16(b)), b[2:]
	}
	if len(b) < size {
		return nil, nil, nil, false
	}
	if kind == headerString {
		value = b[:size:size]
	}
	return key, value, b[size:], true
}

// AppendFrame appends an event of the type name as a frame; payload is JSON.
func AppendFrame(dst []byte, name string, payload []byte) []byte {
	return appendFrame(dst, headerEvent, name, "event", payload)
}

// AppendException appends a frame that ends a stream with an exception of the type name,
// whose payload is JSON.
func AppendException(dst []byte, name string, payload []byte) []byte {
	return appendFrame(dst, headerException, name, "exception", payload)
}

func appendFrame(dst []byte, header, name, kind string, payload []byte) []byte {
	from := len(dst)
	dst = append(dst, make([]byte, preludeSize)...)
	dst = appendHeader(dst, header, name)
	dst = appendHeader(dst, headerContent, "application/json")
	dst = appendHeader(dst, headerMessage, kind)
	headers := len(dst) - from - preludeSize
	dst = append(dst, payload...)
	frame := dst[from:]
	binary.BigEndian.PutUint32(frame, uint32(len(frame)+4))
	binary.BigEndian.PutUint32(frame[4:], uint32(headers))
	binary.BigEndian.PutUint32(frame[8:], crc32.ChecksumIEEE(frame[:8]))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(frame))
}

// appendHeader appends a string header. AWS allows 32 KiB of it; a name has far less.
func appendHeader(dst []byte, key, value string) []byte {
	value = value[:min(len(value), 1<<15-1)]
	dst = append(append(dst, byte(len(key))), key...)
	dst = binary.BigEndian.AppendUint16(append(dst, headerString), uint16(len(value)))
	return append(dst, value...)
}
