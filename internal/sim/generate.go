package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Rules of this file: an answer's head goes out when the engine has taken the
// request, each token when the engine has emitted it; tokens that are due
// together share one write. However a handler ends, its job leaves the engine.

// face is the form of an answer: chat or text completion.
type face interface {
	prefix() string                 // of the id
	object() string                 // of a whole response
	chunk() string                  // object of an event
	open(dst []byte) []byte         // members of the first event; none means no such event
	token(dst []byte, i int) []byte // members of the event of token i
	close(dst []byte) []byte        // members of the event with the finish reason
	whole(dst []byte) []byte        // members of a whole response
}

// generation is one planned answer.
type generation struct {
	model  *model
	req    Request // without its ID
	finish string  // for metrics
	tokens int
	face   face
	stream bool
	usage  bool // the stream ends with a usage event

	transfer *transfer // of the prompt, between engines; nil is none
}

// newGeneration joins prompt and reply into what the engine is asked for.
func newGeneration(m *model, seq *sequencer, r reply, q sampling, f face) *generation {
	prompt := seq.tokens
	for _, p := range r.pieces {
		seq.token(p.text)
	}
	g := &generation{
		model: m, face: f, tokens: len(r.pieces), finish: reasonStop, stream: q.Stream,
		req: Request{Prompt: prompt, Output: len(r.pieces), Hashes: seq.hashes},
	}
	if r.finish == reasonLength {
		g.finish = reasonLength
	}
	g.transfer, g.req.Remote = q.Transfer, q.Transfer.remote(m.Profile.BlockSize)
	g.usage = q.StreamOptions != nil && q.StreamOptions.IncludeUsage
	return g
}

func (g *generation) job(id uint64) *job {
	g.req.ID = id
	return &job{model: g.model, req: g.req, finish: g.finish, wake: make(chan struct{}, 1)}
}

// usage is OpenAI's token count.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Total      int `json:"total_tokens"`
	Completion int `json:"completion_tokens"`
	Details    struct {
		Cached int64 `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

func (g *generation) used(j *job) usage {
	u := usage{Prompt: g.req.Prompt, Completion: g.tokens, Total: g.req.Prompt + g.tokens}
	u.Details.Cached = j.cached.Load()
	return u
}

// appendHead appends the members every body and event begins with, brace
// included, and a comma.
func appendHead(dst []byte, id, object, model string, created int64) []byte {
	dst = append(dst, `{"id":"`...)
	dst = append(dst, id...)
	dst = append(dst, `","object":"`...)
	dst = append(dst, object...)
	dst = append(dst, `","created":`...)
	dst = strconv.AppendInt(dst, created, 10)
	dst = append(dst, `,"model":`...)
	dst = appendQuoted(dst, model)
	return append(dst, ',')
}

func appendJSON(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sim: own types always marshal: " + err.Error())
	}
	return append(dst, b...)
}

// generate runs a planned answer, or the fault it is to suffer.
func (s *Server) generate(w http.ResponseWriter, r *http.Request, g *generation) {
	f, err := s.pickFault(r, g.model)
	if err != nil {
		writeError(w, err)
		return
	}
	if answered := s.playEarly(w, r, f, g); answered {
		return
	}
	j := g.job(s.ids.Add(1))
	if err := s.start(r.Context(), j); err != nil {
		if r.Context().Err() == nil {
			writeError(w, err)
		}
		return
	}
	reason := reasonAbort
	defer func() { s.cancel(j, reason) }()
	if f.Kind == FaultLateError {
		reason = reasonError
	}
	id := fmt.Sprintf("%ssim%016x", g.face.prefix(), mix(s.opt.Seed, strconv.FormatUint(j.req.ID, 10)))
	if g.stream {
		s.writeStream(w, r, g, j, f, id)
		return
	}
	s.writeWhole(w, r, g, j, f, id)
}

// writeWhole answers in one body when the last token is there.
func (s *Server) writeWhole(w http.ResponseWriter, r *http.Request, g *generation, j *job, f Fault, id string) {
	for !j.done.Load() {
		if !s.awaitToken(r, j) {
			s.endEarly(r)
			return
		}
	}
	b := make([]byte, 0, 512)
	b = appendHead(b, id, g.face.object(), g.model.ID, time.Now().Unix())
	b = g.face.whole(b)
	b = append(b, `,"usage":`...)
	b = appendJSON(b, g.used(j))
	b = g.appendTransfer(b, j.req.ID)
	b = append(b, '}')
	s.playWhole(w, r, f, b)
}

// awaitToken waits for news of j; false means the client or the server left.
func (s *Server) awaitToken(r *http.Request, j *job) bool {
	select {
	case <-j.wake:
		return true
	case <-r.Context().Done():
	case <-s.stopped:
	}
	return false
}

// endEarly ends an answer that cannot be completed: the connection breaks, so
// that nobody takes it for complete.
func (s *Server) endEarly(r *http.Request) {
	if r.Context().Err() == nil {
		panic(http.ErrAbortHandler)
	}
}

// writeStream sends one event per token.
func (s *Server) writeStream(w http.ResponseWriter, r *http.Request, g *generation, j *job, f Fault, id string) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	e := &events{w: w, rc: http.NewResponseController(w), fault: f}
	e.head = appendHead([]byte("data: "), id, g.face.chunk(), g.model.ID, time.Now().Unix())
	if !s.sendTokens(r, g, j, e) {
		return
	}
	ended := e.send(g.face.close)
	if ended && g.usage {
		ended = e.send(func(dst []byte) []byte { return appendJSON(append(dst, `"choices":[],"usage":`...), g.used(j)) })
	}
	// A fault that counts exactly all events acts here, before the clean end.
	if !ended || e.due() {
		s.playStream(r, e)
		return
	}
	e.buf = append(e.buf, "data: [DONE]\n\n"...)
	e.flush()
}

// sendTokens sends the events of all tokens as they come. On false the answer
// has ended in some other way.
func (s *Server) sendTokens(r *http.Request, g *generation, j *job, e *events) bool {
	for sent := 0; sent < g.tokens; {
		ready := int(j.tokens.Load())
		if sent == 0 && ready > 0 && !e.send(g.face.open) {
			s.playStream(r, e)
			return false
		}
		for ; sent < ready; sent++ {
			if !e.send(func(dst []byte) []byte { return g.face.token(dst, sent) }) {
				s.playStream(r, e)
				return false
			}
		}
		if sent == g.tokens {
			break
		}
		if e.flush(); e.err != nil {
			return false
		}
		if !s.awaitToken(r, j) {
			s.endEarly(r)
			return false
		}
	}
	if e.fault.Kind == FaultTruncate && e.fault.After < 0 {
		s.playStream(r, e)
		return false
	}
	return true
}

// events collects the events of one stream and writes them in one go.
type events struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	head  []byte // what each event begins with
	buf   []byte
	count int
	fault Fault
	err   error // of the last write; the client is gone
}

// due reports whether the fault acts before the next event.
func (e *events) due() bool {
	switch e.fault.Kind {
	case FaultStall, FaultCut, FaultLateError, FaultTruncate:
		return e.count == e.fault.After
	}
	return false
}

// send adds an event with the given members; false means the fault acts now.
func (e *events) send(members func(dst []byte) []byte) bool {
	if e.due() {
		return false
	}
	start := len(e.buf)
	e.buf = append(e.buf, e.head...)
	before := len(e.buf)
	e.buf = members(e.buf)
	if len(e.buf) == before { // no such event
		e.buf = e.buf[:start]
		return true
	}
	e.buf = append(e.buf, "}\n\n"...)
	e.count++
	return true
}

// flush writes what was collected and pushes it, or the head alone, out.
func (e *events) flush() {
	if _, e.err = e.w.Write(e.buf); e.err == nil {
		e.err = e.rc.Flush()
	}
	e.buf = e.buf[:0]
}
