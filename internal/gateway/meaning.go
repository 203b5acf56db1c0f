package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"tailplane/internal/complexity"
	"tailplane/internal/dialect"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/wire"
)

// The rules of embeddings:
//
//   - A request whose text is to be embedded asks for that once, before it is
//     decided, in a call of its own: that goes the way of any attempt for vectors,
//     with the target's limits, credential, health, usage and price.
//   - Only a candidate that is ready, and may see the request, is asked, and waited for no longer than the
//     config says. A request without an embedding goes on.
//   - The attempt answers nothing. It is kept apart while the request is on its way,
//     and comes first in the record once that is settled.

// meaning asks for the embedding of a text; it is empty where none came.
func (c *call) meaning(text string) complexity.Embedding {
	from := &c.dest.embeddings
	dest, err := c.plane.destination(from.From, c.key, c.dry)
	if err != nil {
		return complexity.Embedding{} // no target of that name is there now
	}
	begin := now()
	ctx, cancel := context.WithTimeout(c.ctx, from.Timeout)
	defer cancel()
	var answer heard
	s := c.embedder(c.allowed(dest), &answer)
	defer s.release()
	s.ctx, s.deadline = ctx, begin.Add(from.Timeout)
	s.to.Connect = min(s.to.Connect, from.Timeout*2/3) // a target that cannot be reached is told from a slow one
	s.body = wire.AppendString(append(s.body[:0], `{"model":`...), from.From)
	s.body = wire.AppendString(append(s.body, `,"input":`...), complexity.Excerpt(text, from.MaxBytes))
	s.body = append(s.body, '}')
	if s.glance() != nil {
		return complexity.Embedding{} // a bug; the text is a string, whatever it holds
	}
	target := s.atHand()
	if target == nil {
		return complexity.Embedding{}
	}
	f := s.ask(target, ledger.WhyEmbedding, 0)
	c.judged.embedded = append(c.judged.embedded, s.ex.Attempts...)
	c.judged.waited = now().Sub(begin)
	vector, ok := answer.vector()
	if f != nil || !ok {
		return complexity.Embedding{}
	}
	return complexity.Embedding{Model: target.model, Vector: vector}
}

// allowed is a destination without the targets that may not see the request: an
// embedding shows as much of it as an answer does.
func (c *call) allowed(dest *destination) *destination {
	if len(c.dest.require)+len(c.dest.barring) == 0 {
		return dest
	}
	out := dest.changed()
	for i := range out.candidates {
		t := &out.candidates[i]
		t.barred = cmp.Or(t.barred, lacks(t.Config.Labels, c.dest.require), c.dest.bars(t))
	}
	return out
}

// embedder is a call for vectors in the name of this one.
func (c *call) embedder(dest *destination, w http.ResponseWriter) *call {
	s := c.gateway.calls.Get().(*call)
	r := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/v1/embeddings"}, Header: http.Header{}}
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if values := c.r.Header[name]; values != nil {
			r.Header[name] = values
		}
	}
	s.plane, s.surface, s.w, s.r = c.plane, surface{op: llm.OpEmbed, dialect: dialect.EmbeddingsSurface{}, method: http.MethodPost}, w, r
	s.hear()
	s.key, s.party, s.dest, s.to, s.race = c.key, c.party, dest, c.to, nil
	s.ex = ledger.Exchange{
		ID: c.ex.ID, Start: c.ex.Start, Op: llm.OpEmbed, Dialect: llm.Embeddings, Bytes: len(c.body),
		Customer: c.ex.Customer, Team: c.ex.Team, Name: c.ex.Name, Key: c.ex.Key, Attempts: s.attempt[:0], Choice: s.choice[:0],
	}
	return s
}

// atHand is the candidate that is to be asked first; nil unless it is ready.
func (c *call) atHand() *candidate {
	f := c.choose()
	c.dest.metrics.InFlight.Dec() // the request is one of another model
	if f != nil || !c.views[c.order[0]].Ready() {
		return nil
	}
	return &c.dest.candidates[c.order[0]]
}

// heard takes the answer to a question of our own.
type heard struct {
	head http.Header
	body []byte
}

func (h *heard) Header() http.Header {
	if h.head == nil {
		h.head = http.Header{}
	}
	return h.head
}

func (h *heard) Write(b []byte) (int, error) { h.body = append(h.body, b...); return len(b), nil }
func (h *heard) WriteHeader(int)             {}

// vector is the one that the answer holds.
func (h *heard) vector() (vector []float32, ok bool) {
	reply, err := dialect.DecodeOpenAIEmbedReply(h.body)
	if err != nil || len(reply.Vectors) != 1 {
		return nil, false
	}
	return vector, json.Unmarshal(reply.Vectors[0], &vector) == nil
}

// embeds reports whether the text of a request is to be embedded: somebody looks at
// the embedding, and the decision is not made without it.
func (c *call) embeds(text string, held complexity.Choice) bool {
	d := c.dest
	looked := d.learns || d.router != nil && d.router.Embedding() != ""
	return d.embeddings.From != "" && looked && text != "" && held != complexity.Strong && !c.dry
}

// embedding is what the embedding of the request is expected to cost at most, by
// its dearest candidate, and the most that it can; ok is false when there is no
// such amount.
func (c *call) embedding() (expected, most int64, ok bool) {
	from := &c.dest.embeddings
	if from.From == "" || c.seen.Op != llm.OpGenerate || c.surface.forward != nil {
		return 0, 0, true
	}
	dest, err := c.plane.destination(from.From, c.key, c.dry)
	if err != nil {
		return 0, 0, true // nobody will be asked
	}
	size := min(len(c.body), from.MaxBytes)
	ok = true
	for i := range dest.candidates {
		rate := dest.candidates[i].rate
		expected = max(expected, rate.Cost(c.ex.Start, llm.Usage{Input: meter.EstimateTokens(size)}).Nano)
		bound, known := rate.Bound(c.ex.Start, int64(size)+64, 0)
		most, ok = max(most, bound), ok && known
	}
	return expected, most, ok
}
