package gateway

import (
	"bytes"
	"net/http"
	"strings"

	"tailplane/internal/llm"
)

// arrayFrames writes a stream of events as one JSON array whose elements are the
// events' data, which is what Google's API streams to a client that does not ask
// for alt=sse. It changes nothing but the frame, and nothing at all of an answer
// that is no stream of events.
type arrayFrames struct {
	http.ResponseWriter
	decided bool
	frames  bool // the answer is a stream of events
	begun   bool // an element was written
	line    []byte
	out     []byte
}

// asArray puts the frames around the answer where the client wants them.
func (c *call) asArray() {
	if c.surface.stream && c.surface.dialect.Name() == llm.Gemini && !strings.EqualFold(c.r.URL.Query().Get("alt"), "sse") {
		c.w = &arrayFrames{ResponseWriter: c.w}
	}
}

// endArray ends the array of an answer that has come to its end.
func (c *call) endArray() {
	if a, ok := c.w.(*arrayFrames); ok && !c.abort {
		a.end()
	}
}

// Unwrap lets http.ResponseController find what the writer below can do.
func (a *arrayFrames) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Flush sends what was written.
func (a *arrayFrames) Flush() { _ = http.NewResponseController(a.ResponseWriter).Flush() }

// WriteHeader decides whether the answer is a stream.
func (a *arrayFrames) WriteHeader(status int) {
	a.decide()
	a.ResponseWriter.WriteHeader(status)
}

func (a *arrayFrames) decide() {
	if a.decided {
		return
	}
	a.decided = true
	if h := a.Header(); strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") {
		a.frames = true
		h.Set("Content-Type", "application/json")
	}
}

// Write takes whole or broken lines of events.
func (a *arrayFrames) Write(p []byte) (int, error) {
	a.decide()
	if !a.frames {
		return a.ResponseWriter.Write(p)
	}
	a.out = a.out[:0]
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			a.line = append(a.line, rest...)
			break
		}
		a.line = append(a.line, rest[:end]...)
		rest = rest[end+1:]
		a.take(bytes.TrimSuffix(a.line, []byte("\r")))
		a.line = a.line[:0]
	}
	if len(a.out) == 0 {
		return len(p), nil
	}
	if _, err := a.ResponseWriter.Write(a.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// take adds the data of a line to the array. Gemini's events have one line each.
func (a *arrayFrames) take(line []byte) {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok {
		return
	}
	if a.begun {
		a.out = append(a.out, ",\r\n"...)
	} else {
		a.out = append(a.out, '[')
	}
	a.begun = true
	a.out = append(append(a.out, bytes.TrimPrefix(data, []byte(" "))...), '\n')
}

func (a *arrayFrames) end() {
	if !a.frames {
		return
	}
	end := "]"
	if !a.begun {
		end = "[]"
	}
	_, _ = a.ResponseWriter.Write([]byte(end)) // a client that has gone misses nothing
}
