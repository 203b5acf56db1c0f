// Package answer checks one HTTP/1.1 response as it arrives in any pieces: its
// status, its framing, and, for an event stream, that it carries every event
// and its end mark. It never holds a body: only the line being read. It never
// decodes JSON: the mock's events carry what is looked for as fixed text.
// Start reading at Reader.Feed.
package answer

import (
	"bytes"
	"hash/fnv"
	"strconv"
)

// Stamp precedes the 20 digits of CLOCK_MONOTONIC in a mock event's content.
const (
	Stamp  = `"@`
	digits = 20
)

// State says how far a response has come.
type State int

// A response is Open until its framing ends it (Ended) or breaks it (Broken).
const (
	Open State = iota
	Ended
	Broken
)

const (
	maxHead = 64 << 10
	maxLine = 256 << 10
)

// Reader checks one response; Reset makes it ready for the next one. It is not
// safe for concurrent use.
type Reader struct {
	// OnEvent, when set, gets each stamped event's send time in nanoseconds.
	OnEvent func(sent int64)

	Status  int
	Events  int  // stamped events seen
	Done    bool // data: [DONE] seen
	Usage   bool // an event with usage seen
	Fault   bool // an event that reports an error seen
	Close   bool // the server ends the connection after this response
	Why     string
	BodyLen int64

	phase   phase
	stream  bool
	line    []byte // incomplete line of head, chunk size or event
	sse     []byte
	left    int64
	hash    uint64
	headLen int
}

type phase int

const (
	statusLine phase = iota
	headers
	sized
	chunkSize
	chunkData
	chunkEnd
	trailers
	untilClose
	finished
)

// Reset forgets the response and keeps the buffers.
func (r *Reader) Reset() {
	*r = Reader{OnEvent: r.OnEvent, line: r.line[:0], sse: r.sse[:0], left: -1, hash: 14695981039346656037}
}

// Hash is FNV-1a of the body so far.
func (r *Reader) Hash() uint64 { return r.hash }

// Stream reports whether the response is an event stream.
func (r *Reader) Stream() bool { return r.stream }

// Feed takes the next bytes of the connection and returns how many of them
// belong to this response.
func (r *Reader) Feed(b []byte) (used int, s State) {
	for used < len(b) {
		n, state := r.step(b[used:])
		used += n
		if state != Open {
			return used, state
		}
	}
	return used, Open
}

// End tells that the connection has closed. Only a response that is framed by
// the close ends well by it.
func (r *Reader) End() State {
	if r.phase == untilClose {
		r.phase = finished
		return Ended
	}
	return r.broken("connection closed inside a response")
}

func (r *Reader) step(b []byte) (int, State) {
	switch r.phase {
	case sized, chunkData:
		n := int(min(r.left, int64(len(b))))
		r.body(b[:n])
		r.left -= int64(n)
		if r.left > 0 {
			return n, Open
		}
		if r.phase == sized {
			r.phase = finished
			return n, Ended
		}
		r.phase = chunkEnd
		return n, Open
	case untilClose:
		r.body(b)
		return len(b), Open
	case finished:
		return 0, Ended
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		r.line = append(r.line, b...)
		if len(r.line) > maxHead {
			return len(b), r.broken("a line of the head is too long")
		}
		return len(b), Open
	}
	line := b[:end]
	if len(r.line) > 0 {
		r.line = append(r.line, line...)
		line = r.line
	}
	state := r.takeLine(bytes.TrimSuffix(line, []byte("\r")))
	r.line = r.line[:0]
	return end + 1, state
}

func (r *Reader) takeLine(line []byte) State {
	switch r.phase {
	case statusLine:
		if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
			return r.broken("not an HTTP/1 status line")
		}
		r.Status, _ = strconv.Atoi(string(line[9:12]))
		r.phase = headers
	case headers:
		r.headLen += len(line)
		if r.headLen > maxHead {
			return r.broken("head too long")
		}
		if len(line) > 0 {
			return r.header(line)
		}
		return r.headDone()
	case chunkSize:
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 32)
		if err != nil || n < 0 {
			return r.broken("bad chunk size")
		}
		r.left, r.phase = n, chunkData
		if n == 0 {
			r.phase = trailers
		}
	case chunkEnd:
		if len(line) != 0 {
			return r.broken("chunk longer than its size")
		}
		r.phase = chunkSize
	case trailers:
		if len(line) == 0 {
			r.phase = finished
			return Ended
		}
	}
	return Open
}

func (r *Reader) header(line []byte) State {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return r.broken("a header line without a colon")
	}
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseInt(string(value), 10, 63)
		if err != nil {
			return r.broken("bad Content-Length")
		}
		r.left = n
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		r.left = -2
	case bytes.EqualFold(name, []byte("Content-Type")):
		r.stream = bytes.HasPrefix(value, []byte("text/event-stream"))
	case bytes.EqualFold(name, []byte("Connection")):
		r.Close = bytes.EqualFold(value, []byte("close"))
	}
	return Open
}

func (r *Reader) headDone() State {
	switch {
	case r.Status >= 100 && r.Status < 200:
		r.phase, r.left = statusLine, -1
	case r.Status == 204 || r.Status == 304 || r.left == 0:
		r.phase = finished
		return Ended
	case r.left == -2:
		r.phase = chunkSize
	case r.left > 0:
		r.phase = sized
	default:
		r.phase, r.Close = untilClose, true
	}
	return Open
}

func (r *Reader) broken(why string) State {
	r.phase, r.Why = finished, why
	return Broken
}

func (r *Reader) body(b []byte) {
	r.BodyLen += int64(len(b))
	if !r.stream {
		h := r.hash
		for _, c := range b {
			h = (h ^ uint64(c)) * 1099511628211
		}
		r.hash = h
		return
	}
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			if len(r.sse)+len(b) <= maxLine {
				r.sse = append(r.sse, b...)
			}
			return
		}
		line := b[:end]
		if len(r.sse) > 0 {
			r.sse = append(r.sse, line...)
			line = r.sse
		}
		r.event(line)
		r.sse = r.sse[:0]
		b = b[end+1:]
	}
}

func (r *Reader) event(line []byte) {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok {
		return
	}
	if at := bytes.Index(data, []byte(Stamp)); at >= 0 && len(data) >= at+len(Stamp)+digits {
		r.Events++
		if r.OnEvent != nil {
			var sent int64
			for _, c := range data[at+len(Stamp) : at+len(Stamp)+digits] {
				sent = sent*10 + int64(c-'0')
			}
			r.OnEvent(sent)
		}
		return
	}
	switch {
	case bytes.Equal(bytes.TrimSpace(data), []byte("[DONE]")):
		r.Done = true
	case bytes.Contains(data, []byte(`"error"`)):
		r.Fault = true
	case bytes.Contains(data, []byte(`"usage":{`)):
		r.Usage = true
	}
}

// HashOf is the Hash of a whole body.
func HashOf(body []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(body)
	return h.Sum64()
}
