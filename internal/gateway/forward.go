package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/upstream"
)

// The forward lane carries operations that have no conversation in them. Its
// rules:
//
//   - It is the same way as every request's: key, admission, candidates, faults
//     and fallback before the first byte, settlement. Only how the model is found
//     and how the answer is copied differ, and those are data of the surface.
//   - Bytes pass unchanged, apart from the model's name and lists, out of which
//     what belongs to others is cut.
//   - Of the client's query only the named parameters go on, and of its headers
//     those that mean something to the provider: never a key.

// laneForward is the lane's name in the ledger.
const laneForward = "forward"

// finding says where an operation names its model, or which target it is for.
type finding uint8

const (
	findBody   finding = iota // a member of the JSON object or a field of the form
	findPath                  // the path names the model
	findQuery                 // the query does
	findObject                // the target that keeps the object whose id is in the path
	findTarget                // a header, or the only target that serves the operation
)

// forward is what the lane knows about an operation.
type forward struct {
	find     finding
	optional bool // a body without a model is for the provider's own default
	// suffix is what follows the operation's path at the target. {id} and {model}
	// stand for the object's id and the target's name of the model.
	suffix string
	// speaks is the dialect that a target must speak; empty: its kind must serve
	// the operation.
	speaks llm.Dialect
	// query are the parameters of the client's query that are passed on.
	query []string
	// meter reads what the answer has used; nil means that nothing is charged.
	meter func(*call)
	// keeps are the members of an answer that are ids of objects which the
	// target keeps for the caller.
	keeps []string
	// refers is a member of the request that names such an object.
	refers string
	// list: the answer lists objects of the whole account.
	list bool
	// copied: the answer is copied as it comes, whatever it is.
	copied bool
	// once: a second attempt could do it twice.
	once bool
}

var (
	pageQuery = []string{"after", "before", "limit", "order", "purpose"}
	itemQuery = []string{"after", "before", "limit", "order", "include", "include[]", "stream", "starting_after", "include_obfuscation"}
)

// forwardRows are the paths of the lane that are OpenAI's, or are called alike by
// everybody.
var forwardRows = []served{
	{path: "/rerank", bases: rerankBases, op: llm.OpRerank, to: &forward{meter: meterRerank}},
	{path: "/audio/transcriptions", bases: openAIBases, op: llm.OpTranscribe, to: &forward{meter: meterHeard}},
	{path: "/audio/translations", bases: openAIBases, op: llm.OpTranslateAudio, to: &forward{meter: meterHeard}},
	{path: "/audio/speech", bases: openAIBases, op: llm.OpSpeech, to: &forward{meter: meterSpoken}},
	{path: "/images/generations", bases: openAIBases, op: llm.OpImage, to: &forward{suffix: "/generations", optional: true, meter: meterImages}},
	{path: "/images/edits", bases: openAIBases, op: llm.OpImage, to: &forward{suffix: "/edits", optional: true, meter: meterImages}},
	{path: "/images/variations", bases: openAIBases, op: llm.OpImage, to: &forward{suffix: "/variations", optional: true, meter: meterImages}},
	{path: "/moderations", bases: openAIBases, op: llm.OpModerate, to: &forward{optional: true}},
	{path: "/tokenize", bases: engineBases, op: llm.OpTokenize, to: &forward{}},
	{path: "/detokenize", bases: engineBases, op: llm.OpDetokenize, to: &forward{}},
	{path: "/realtime", bases: openAIBases, op: llm.OpRealtime, method: http.MethodGet, to: &forward{find: findQuery}},

	{path: "/files", bases: openAIBases, op: llm.OpFile, to: &forward{find: findTarget, keeps: []string{"id"}}},
	{path: "/files", bases: openAIBases, op: llm.OpFile, method: http.MethodGet, to: &forward{find: findTarget, query: pageQuery, list: true}},
	{path: "/files/{id}", bases: openAIBases, op: llm.OpFile, method: http.MethodGet, to: &forward{find: findObject, suffix: "/{id}"}},
	{path: "/files/{id}", bases: openAIBases, op: llm.OpFile, method: http.MethodDelete, to: &forward{find: findObject, suffix: "/{id}"}},
	{path: "/files/{id}/content", bases: openAIBases, op: llm.OpFile, method: http.MethodGet, to: &forward{find: findObject, suffix: "/{id}/content", copied: true}},

	{path: "/batches", bases: openAIBases, op: llm.OpBatch, to: &forward{find: findTarget, refers: "input_file_id", keeps: []string{"id"}, once: true}},
	{path: "/batches", bases: openAIBases, op: llm.OpBatch, method: http.MethodGet, to: &forward{find: findTarget, query: pageQuery, list: true}},
	{path: "/batches/{id}", bases: openAIBases, op: llm.OpBatch, method: http.MethodGet, to: &forward{find: findObject, suffix: "/{id}", keeps: batchKeeps}},
	{path: "/batches/{id}/cancel", bases: openAIBases, op: llm.OpBatch, to: &forward{find: findObject, suffix: "/{id}/cancel", keeps: batchKeeps}},

	{path: "/responses/{id}", bases: openAIBases, op: llm.OpResponse, method: http.MethodGet, to: &forward{find: findObject, suffix: "/{id}", query: itemQuery}},
	{path: "/responses/{id}", bases: openAIBases, op: llm.OpResponse, method: http.MethodDelete, to: &forward{find: findObject, suffix: "/{id}"}},
	{path: "/responses/{id}/cancel", bases: openAIBases, op: llm.OpResponse, to: &forward{find: findObject, suffix: "/{id}/cancel"}},
	{path: "/responses/{id}/input_items", bases: openAIBases, op: llm.OpResponse, method: http.MethodGet, to: &forward{find: findObject, suffix: "/{id}/input_items", query: itemQuery}},
}

var batchKeeps = []string{"output_file_id", "error_file_id"}

// cannot says why a candidate cannot serve an operation of the lane; empty
// when it can.
func (f *forward) cannot(c *candidate, op llm.Op) string {
	switch {
	case op == llm.OpCount || op == llm.OpTokenize:
		return "" // what it cannot count is estimated
	case op == llm.OpEmbed && c.Embedding(c.model) != upstream.EmbedsNot:
		return ""
	case f.speaks != "" && !c.Speaks(f.speaks):
		return "it serves no " + string(f.speaks)
	}
	if _, ok := c.ForwardPath(op, ""); !ok {
		return "it serves no " + string(op)
	}
	return ""
}

// passage makes the request of an attempt: the body in c.out, and what differs
// from a conversation's request.
func (c *call) passage(target *candidate) (upstream.Passage, *llm.Fault) {
	fwd := c.surface.forward
	suffix := strings.ReplaceAll(fwd.suffix, "{id}", url.PathEscape(c.place.id))
	suffix = strings.ReplaceAll(suffix, "{model}", target.PathModel(target.model))
	path, ok := target.ForwardPath(c.surface.op, suffix)
	if !ok {
		return upstream.Passage{}, unsupported("target " + target.Name + " serves no " + string(c.surface.op))
	}
	p := upstream.Passage{Method: c.surface.method, Accept: "*/*"}
	if path != "" {
		p.Path = path + c.query(target)
	}
	c.out = c.out[:0]
	if len(c.body) > 0 {
		p.Type = cut(c.r.Header.Get("Content-Type"), 200)
		if p.Type == "" {
			p.Type = "application/json"
		}
		c.out = c.named.append(c.out, c.body, target)
	}
	if c.surface.op == llm.OpTokenize && target.TokenizesContent() {
		c.out = asContent(c.out)
	}
	return p, nil
}

// query is what of the client's query goes to a target.
func (c *call) query(target *candidate) string {
	fwd := c.surface.forward
	out := url.Values{}
	if fwd.find == findQuery {
		out.Set("model", target.ModelName(target.model))
	}
	if c.r.URL.RawQuery != "" && len(fwd.query) > 0 {
		asked := c.r.URL.Query()
		for _, name := range fwd.query {
			if values, ok := asked[name]; ok {
				out[name] = values
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "?" + out.Encode()
}

// pass makes one attempt of the lane: the counterpart of exchange.
func (c *call) pass(target *candidate, a *ledger.Attempt, begin time.Time) *llm.Fault {
	c.tap.Reset()
	c.refusal = h1.Header{}
	a.Lane, a.Dialect = laneForward, c.surface.dialect.Name()
	p, f := c.passage(target)
	if f != nil {
		return f
	}
	out := upstream.Call{
		Op: c.seen.Op, Dialect: a.Dialect, Model: target.model, Stream: c.seen.Stream, Body: c.out, Forward: c.forwarded(target, a.Dialect), Passage: p,
		ConnectTimeout: c.to.Connect, HeadDeadline: c.firstDeadline(begin),
	}
	if len(c.out) == 0 {
		out.Body = nil
	}
	target.Fill(&c.req, out, begin)
	use, f := target.Authorize(c.ctx, &c.req, c.ex.Customer, target.model, begin)
	if f != nil {
		return f
	}
	c.use = use.Name()
	f = c.passOn(target, a, begin)
	target.Report(use, f, now())
	return f
}

// passOn sends the request of the lane and copies its answer.
func (c *call) passOn(target *candidate, a *ledger.Attempt, begin time.Time) *llm.Fault {
	if c.surface.op == llm.OpRealtime {
		return c.session(target, a, begin)
	}
	resp, err := target.Do(c.ctx, &c.req)
	if err != nil {
		return c.final(upstream.Broken(err, c.timeoutKind(begin)))
	}
	defer resp.Close()
	a.Head = now().Sub(begin)
	a.Reused, a.Connect, a.Status = resp.Timing.Reused, resp.Timing.Connect+resp.Timing.TLS, resp.Status
	a.Upstream = target.RequestID(resp.Header.Get, begin)
	if resp.Status/100 != 2 {
		return c.final(c.refused(target, resp, c.surface.dialect))
	}
	c.answered = resp.Header
	return c.relayForward(target, a, resp, begin)
}

// final keeps a fault of an operation that must not be done twice from being
// mended by doing it again: a connection that could not be made has done nothing.
func (c *call) final(f *llm.Fault) *llm.Fault {
	if c.surface.forward.once && f.Phase != llm.PhaseConnect && f.Status/100 != 4 {
		f.Retry = llm.RetryNever
	}
	if f.Kind == llm.FaultUnknownModel && c.place.id != "" {
		f.Kind = llm.FaultNotFound // it is the object that the target does not know
	}
	return f
}
