package gateway

import (
	"io"
	"net/http"
	"strings"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// reframed is an answer whose stream the client wants in another frame than its
// dialect's server-sent events. It changes nothing but the frame, and nothing at
// all of an answer that is no stream.
type reframed struct {
	http.ResponseWriter
	kind   string    // the content type of the frame
	events io.Writer // takes whole server-sent events

	decided, streams bool
}

// asArray frames the answer as one JSON array, which is what Google's API streams
// to a client that does not ask for alt=sse.
func (c *call) asArray() {
	if c.surface.stream && c.surface.dialect.Name() == llm.Gemini && !strings.EqualFold(c.r.URL.Query().Get("alt"), "sse") {
		c.w = &reframed{ResponseWriter: c.w, kind: "application/json", events: dialect.NewGeminiArrayWriter(c.w)}
	}
}

// asChunks frames the answer as InvokeModelWithResponseStream's.
func (c *call) asChunks() {
	if c.surface.stream {
		c.w = &reframed{ResponseWriter: c.w, kind: wire.EventStream.ContentType(), events: dialect.NewInvokeWriter(c.w)}
	}
}

// endFrames ends the frame of an answer that has come to its end.
func (c *call) endFrames() {
	if a, ok := c.w.(*reframed); ok && a.streams && !c.abort {
		if end, ok := a.events.(io.Closer); ok {
			_ = end.Close() // a client that has gone misses nothing
		}
	}
}

// Unwrap lets http.ResponseController find what the writer below can do.
func (a *reframed) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Flush sends what was written.
func (a *reframed) Flush() { _ = http.NewResponseController(a.ResponseWriter).Flush() }

// WriteHeader decides whether the answer is a stream.
func (a *reframed) WriteHeader(status int) {
	a.decide()
	a.ResponseWriter.WriteHeader(status)
}

func (a *reframed) decide() {
	if a.decided {
		return
	}
	a.decided = true
	if h := a.Header(); strings.HasPrefix(h.Get("Content-Type"), wire.SSE.ContentType()) {
		a.streams = true
		h.Set("Content-Type", a.kind)
	}
}

// Write takes whole events of a stream, and any bytes of another answer.
func (a *reframed) Write(p []byte) (int, error) {
	a.decide()
	if !a.streams {
		return a.ResponseWriter.Write(p)
	}
	return a.events.Write(p)
}
