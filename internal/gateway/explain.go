package gateway

import (
	"context"
	"net/http"
	"slices"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/policy"
	"tailplane/internal/route"
)

// Explained is what the gateway would do with a request now, and why.
type Explained struct {
	Model      string          `json:"model"`
	Rule       string          `json:"rule,omitempty"`
	Why        string          `json:"why,omitempty"`
	Refused    string          `json:"refused,omitempty"` // nobody would be asked, and why
	Input      int             `json:"input,omitempty"`   // tokens that the prompt is expected to have
	Output     int             `json:"output,omitempty"`  // and the answer
	Candidates []ExplainedPart `json:"candidates,omitempty"`
	// Prefill is who would compute the prompt, where the model has replicas for that.
	Prefill ledger.Prefill `json:"prefill,omitzero"`
}

// ExplainedPart is one candidate as it stands for the request.
type ExplainedPart struct {
	Target   string       `json:"target"`
	Model    string       `json:"model"`
	Group    int          `json:"group"`
	Place    int          `json:"place,omitempty"` // in the order of asking, from 1; 0 is never
	Not      string       `json:"not,omitempty"`   // why it is not asked, or not at once
	InFlight int64        `json:"in_flight"`
	Hit      int          `json:"hit,omitempty"` // tokens of the prompt that are expected in its cache
	Terms    *route.Terms `json:"terms,omitempty"`
}

// Explain takes a request of a key the way up to the first attempt and tells what it
// found. Nothing is sent, recorded, counted or learned, and no policy takes a turn for it.
func (g *Gateway) Explain(ctx context.Context, key *policy.Key, path string, header http.Header, body []byte) Explained {
	s, at, found := g.paths.find(path, http.MethodPost)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, path, http.NoBody)
	if !found || err != nil || s.forward != nil {
		return Explained{Refused: path + " takes no conversation; ask with one of /v1/chat/completions, /v1/messages, /v1/responses"}
	}
	r.Header = header
	c := g.calls.Get().(*call)
	defer func() {
		c.reset()
		g.calls.Put(c)
	}()
	c.open(g.plane.Load(), s, nowhere{}, r)
	c.place, c.key, c.body = at, key, append(c.body[:0], body...)
	c.ex.Key, c.ex.Name = key.ID, key.Name
	out := &Explained{}
	c.dry = true
	if f := c.explained(out); f != nil {
		out.Refused = f.Message
	}
	out.Model = c.ex.Model
	return *out
}

// explained is the way.
func (c *call) explained(out *Explained) *llm.Fault {
	for _, step := range []func() *llm.Fault{c.glance, c.attribute, c.resolve} {
		if f := step(); f != nil {
			return f
		}
	}
	if c.rule != nil {
		out.Rule = c.rule.called()
	}
	if f := c.judge(); f != nil {
		return f
	}
	f := c.choose()
	out.Why, out.Input, out.Output = c.ex.Reason, c.input, c.asked.Output
	for i := range c.views {
		t, v := &c.dest.candidates[i], &c.views[i]
		part := ExplainedPart{Target: t.Name, Model: t.model, Group: t.group, Place: slices.Index(c.order, i) + 1, Not: v.Not(), InFlight: v.InFlight}
		if c.dest.balanced && c.saw[i].ranked {
			part.Hit, part.Terms = c.saw[i].hit, new(c.saw[i].terms)
		}
		out.Candidates = append(out.Candidates, part)
	}
	if f == nil {
		if first := &c.dest.candidates[c.order[0]]; first.prefill != nil && c.divides() {
			c.choosePrefill(first, now())
			out.Prefill = c.leg.found
			out.Prefill.Choice = slices.Clone(c.leg.found.Choice)
		}
	}
	return f
}

// nowhere takes an answer that nobody waits for.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
