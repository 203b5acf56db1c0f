package dialect

import (
	"encoding/base64"
	"io"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Anthropic's dialect on Bedrock (InvokeModelWithResponseStream) is the same
// conversation in another envelope: each event of a stream is a frame of the type
// chunk whose payload is {"bytes"}, the event's data in base64, and failures are
// exceptions. InvokeReader and InvokeWriter change the envelope and nothing in
// it, so that AnthropicCodec works on both sides.

const invokeChunk = "chunk"

// invokeErrors gives Anthropic's word for each exception; others are api_error.
var invokeErrors = []struct{ exception, word string }{
	{"throttlingException", "rate_limit_error"},
	{"validationException", "invalid_request_error"},
	{"serviceUnavailableException", "overloaded_error"},
	{"modelTimeoutException", "timeout_error"},
	{"internalServerException", anthropicAPIError},
}

var (
	invokeNames = [...]string{"bytes"}
	invokeType  = [...]string{"type"}
)

// InvokeReader reads the frames of a stream as Anthropic's server-sent events;
// an exception becomes an error event. A Read reads the source at most once more
// than it must to return something. The zero value is ready after Reset. It is
// not safe for concurrent use.
type InvokeReader struct {
	events wire.EventReader
	text   []byte // server-sent events; what was read of them is before at
	at     int
	data   []byte
}

// Reset makes the reader read from r, whose frames have limit bytes at most.
func (x *InvokeReader) Reset(r io.Reader, limit int) {
	x.events.ResetFrames(r, wire.EventStream, limit)
	x.text, x.at = x.text[:0], 0
}

// Release lets go of the source, and of memory that one large event took.
func (x *InvokeReader) Release() {
	x.events.Release()
	if cap(x.text)+cap(x.data) > invokeKept {
		x.text, x.data = nil, nil
	}
	x.text, x.at = x.text[:0], 0
}

// invokeKept is the most memory that a reader keeps for its next stream.
const invokeKept = 256 << 10

// Read implements io.Reader. Its error is the source's, or says what is wrong
// with a frame.
func (x *InvokeReader) Read(p []byte) (int, error) {
	for x.at == len(x.text) {
		x.text, x.at = x.text[:0], 0
		if err := x.events.Fill(); err != nil {
			return 0, err
		}
		for ev, ok := x.events.Next(); ok; ev, ok = x.events.Next() {
			if err := x.event(ev); err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, x.text[x.at:])
	x.at += n
	return n, nil
}

func (x *InvokeReader) event(ev wire.Event) error {
	if ev.Exception {
		word := anthropicAPIError
		for _, e := range invokeErrors {
			if e.exception == string(ev.Name) {
				word = e.word
			}
		}
		x.text = wire.AppendEvent(x.text, "error", anthropicErrorBody(word, AnthropicCodec{}.DecodeError(ev.Data).Message, ""))
		return nil
	}
	if string(ev.Name) != invokeChunk {
		return nil
	}
	var found [1]wire.Member
	if _, err := wire.Scan(ev.Data, invokeNames[:], found[:]); err != nil {
		return where{name: invokeChunk}.wrong("%v", err)
	}
	raw := found[0].Value.Of(ev.Data)
	if len(raw) < 2 || raw[0] != '"' {
		return where{name: "chunk.bytes"}.wrong("is required and must be a string")
	}
	var err error
	if x.data, err = base64.StdEncoding.AppendDecode(x.data[:0], raw[1:len(raw)-1]); err != nil {
		return where{name: "chunk.bytes"}.wrong("must be base64")
	}
	if _, err := wire.Scan(x.data, invokeType[:], found[:]); err != nil {
		return where{name: "chunk.bytes"}.wrong("%v", err)
	}
	name := ""
	for _, known := range anthropicKinds[1:] {
		if wire.StringEquals(found[0].Value.Of(x.data), known) {
			name = known
		}
	}
	if name == "" {
		name, _ = wire.Unquote(found[0].Value.Of(x.data))
	}
	x.text = wire.AppendEvent(x.text, name, x.data)
	return nil
}

// InvokeWriter writes Anthropic's server-sent events, in whatever pieces they
// come, as the frames of a stream for a client of Bedrock. Comments are left out:
// frames have none. It is used by one goroutine.
type InvokeWriter struct {
	w      io.Writer
	feed   feed
	events wire.EventReader
	out    []byte
}

// NewInvokeWriter returns a writer of frames to w.
func NewInvokeWriter(w io.Writer) *InvokeWriter {
	x := &InvokeWriter{w: w}
	x.events.Reset(&x.feed, 0)
	return x
}

// feed is what was written and not yet read.
type feed struct{ rest []byte }

func (f *feed) Read(p []byte) (int, error) {
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// Write writes the frames of the events that p completes with one call to the
// underlying writer. The error is that writer's, or says that an event is too
// large.
func (x *InvokeWriter) Write(p []byte) (int, error) {
	x.feed.rest, x.out = p, x.out[:0]
	for len(x.feed.rest) > 0 {
		if err := x.events.Fill(); err != nil {
			return len(p) - len(x.feed.rest), err
		}
		for ev, ok := x.events.Next(); ok; ev, ok = x.events.Next() {
			x.out = AppendInvoke(x.out, ev)
		}
	}
	if len(x.out) == 0 {
		return len(p), nil
	}
	if _, err := x.w.Write(x.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// AppendInvoke appends one event of Anthropic's stream as a frame; one without
// data gives none.
func AppendInvoke(dst []byte, ev wire.Event) []byte {
	if len(ev.Data) == 0 {
		return dst
	}
	if anthropicKindOf(ev) == anthropicErrorEvent {
		b := AnthropicCodec{}.DecodeError(ev.Data)
		name := "internalServerException"
		for _, e := range invokeErrors {
			if e.word == b.Type {
				name = e.exception
			}
		}
		return wire.AppendException(dst, name, converseErrorBody(b.Message))
	}
	w := newObjectOf(llm.Extra{}, len(ev.Data)*4/3+32)
	w.key("bytes")
	w.buf = append(base64.StdEncoding.AppendEncode(append(w.buf, '"'), ev.Data), '"')
	return wire.AppendFrame(dst, invokeChunk, w.end())
}
