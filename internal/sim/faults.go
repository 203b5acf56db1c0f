package sim

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Rules of this file: this is where faults act. A fault is chosen once per
// generation request: header, then script, then the model's, then the default.

// FaultHeader is the request header that names a fault, where
// Options.AllowFaultHeader is set.
const FaultHeader = "x-sim-fault"

func (s *Server) pickFault(r *http.Request, m *model) (Fault, error) {
	if h := r.Header.Get(FaultHeader); h != "" && s.opt.AllowFaultHeader {
		f, err := ParseFault(h)
		if err != nil {
			return Fault{}, badRequest(FaultHeader, "%s", err)
		}
		return f, nil
	}
	if n := len(s.opt.Script); n > 0 {
		if i := s.seen.Add(1) - 1; i < int64(n) {
			return s.opt.Script[i], nil
		}
	}
	if f := m.fault.Load(); f != nil && f.Kind != "" {
		return *f, nil
	}
	return s.opt.Fault, nil
}

// playEarly acts out the faults that come before the engine. It reports whether
// the request has been answered.
func (s *Server) playEarly(w http.ResponseWriter, r *http.Request, f Fault, g *generation) (answered bool) {
	switch f.Kind {
	case FaultLimited:
		setLimitHeaders(w.Header(), f.Delay)
		writeError(w, rateLimited(g.model.ID))
	case FaultInternal:
		writeError(w, internalError())
	case FaultOverload:
		writeError(w, unavailable("The simulated engine is overloaded."))
	case FaultRefuse:
		panic(http.ErrAbortHandler)
	case FaultGarbage:
		playText(w, contentType(g.stream), "data: {\"id\": \"garbage\", choices [\x00\x01 not json\n\n")
	case FaultHTML:
		playText(w, "text/html; charset=utf-8", "<!doctype html>\n<title>Sign in</title>\n<p>This is a captive portal (simulated).</p>\n")
	case FaultInStream:
		playInStream(w, g.stream)
	case FaultSlow:
		return !pause(r.Context(), f.Delay)
	default:
		return false
	}
	return true
}

// setLimitHeaders are the rate limit headers OpenAI sends with a 429.
func setLimitHeaders(h http.Header, after time.Duration) {
	h.Set("Retry-After", strconv.FormatInt(int64((after+time.Second-1)/time.Second), 10))
	h.Set("Retry-After-Ms", strconv.FormatInt(after.Milliseconds(), 10))
	h.Set("X-Ratelimit-Limit-Requests", "60")
	h.Set("X-Ratelimit-Remaining-Requests", "0")
	h.Set("X-Ratelimit-Reset-Requests", after.String())
	h.Set("X-Ratelimit-Limit-Tokens", "60000")
	h.Set("X-Ratelimit-Remaining-Tokens", "0")
	h.Set("X-Ratelimit-Reset-Tokens", after.String())
}

func contentType(stream bool) string {
	if stream {
		return "text/event-stream; charset=utf-8"
	}
	return "application/json"
}

func playText(w http.ResponseWriter, kind, body string) {
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write([]byte(body))
}

func playInStream(w http.ResponseWriter, stream bool) {
	body := string(internalError().body())
	if stream {
		body = "data: " + body + "\n\ndata: [DONE]\n\n"
	}
	playText(w, contentType(stream), body)
}

// pause waits; false means the client left first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// playStream acts out a fault that is due in a stream. It ends the answer.
func (s *Server) playStream(r *http.Request, e *events) {
	if e.fault.Kind == FaultLateError {
		e.buf = append(e.buf, "data: "...)
		e.buf = append(e.buf, internalError().body()...)
		e.buf = append(e.buf, "\n\ndata: [DONE]\n\n"...)
	}
	e.flush()
	switch e.fault.Kind {
	case FaultStall:
		s.stall(r)
	case FaultCut:
		panic(http.ErrAbortHandler)
	}
}

// stall keeps the connection open and silent until someone leaves.
func (s *Server) stall(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.stopped:
		panic(http.ErrAbortHandler)
	}
}

// playWhole writes the body b, or what a fault leaves of it: counts of events
// have no meaning here.
func (s *Server) playWhole(w http.ResponseWriter, r *http.Request, f Fault, b []byte) {
	switch f.Kind {
	case FaultStall, FaultCut, FaultTruncate:
	case FaultLateError:
		writeError(w, internalError())
		return
	default:
		writeBody(w, http.StatusOK, b)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if f.Kind != FaultStall {
		_, _ = w.Write(b[:len(b)/2])
	}
	_ = http.NewResponseController(w).Flush() // without a length the end is in the framing
	switch f.Kind {
	case FaultStall:
		s.stall(r)
	case FaultCut:
		panic(http.ErrAbortHandler)
	}
}
