package gateway

import (
	"net/http"
	"strconv"
	"time"

	"tailplane/internal/dialect"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/upstream"
	"tailplane/internal/wire"
)

// countHere answers a question for the number of tokens from an estimate, marked
// as one in the body and in a header, when the target that is to be asked has no
// way to count.
func (c *call) countHere(target *candidate) bool {
	switch c.seen.Op {
	case llm.OpCount:
		if target.Serves(llm.OpCount, c.surface.dialect.Name(), target.model) || c.countsThere(target) {
			return false
		}
	case llm.OpTokenize:
		if _, ok := target.ForwardPath(llm.OpTokenize, ""); ok {
			return false
		}
	default:
		return false
	}
	_ = c.answerEstimate() // a count costs nobody anything
	return true
}

func (c *call) answerEstimate() *llm.Fault {
	c.head("application/json", nil, nil)
	c.set("X-Tailplane-Estimated", "true")
	return c.writeWhole(c.estimate())
}

// countsThere reports whether the target counts what the request says when it is
// said in the chat dialect: its tokenizer takes conversations, template, tools
// and all.
func (c *call) countsThere(target *candidate) bool {
	_, codec := c.surface.dialect.(dialect.Codec)
	return codec && c.surface.forward == nil && target.CountsChat() && target.Serves(llm.OpGenerate, llm.Chat, target.model)
}

// countAt asks an engine's tokenizer and answers in the client's dialect. One that
// does not understand the question, as older versions do not, leaves it to the
// estimate.
func (c *call) countAt(target *candidate, a *ledger.Attempt, begin time.Time) *llm.Fault {
	c.tap.Reset()
	c.refusal = h1.Header{}
	a.Lane, a.Dialect = laneTranslate, llm.Chat
	codec, f := c.translate(target, dialect.ChatCodec{})
	if f != nil {
		return f
	}
	path, _ := target.ForwardPath(llm.OpTokenize, "")
	target.Fill(&c.req, upstream.Call{
		Op: llm.OpTokenize, Dialect: llm.Chat, Model: target.model, Body: c.out, Forward: c.forwarded(a.Dialect),
		Passage:        upstream.Passage{Method: http.MethodPost, Path: path, Type: "application/json", Accept: "application/json"},
		ConnectTimeout: c.to.Connect, HeadDeadline: c.firstDeadline(begin),
	}, begin)
	use, f := target.Authorize(c.ctx, &c.req, c.ex.Customer, begin)
	if f != nil {
		return f
	}
	c.use = use.Name()
	f = c.askTokenizer(target, a, codec, begin)
	target.Report(use, f, now())
	return f
}

// askTokenizer sends the question and says its answer in the client's dialect.
func (c *call) askTokenizer(target *candidate, a *ledger.Attempt, codec dialect.Surface, begin time.Time) *llm.Fault {
	resp, err := target.Do(c.ctx, &c.req)
	if err != nil {
		return upstream.Broken(err, c.timeoutKind(begin))
	}
	defer resp.Close()
	a.Head, a.Status = now().Sub(begin), resp.Status
	switch resp.Status {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity:
		return c.answerEstimate()
	default:
		return c.refused(target, resp, codec)
	}
	c.reply = c.reply[:0]
	if err := c.readWhole(resp, c.plane.Listen.MaxBody, c.deadline); err != nil {
		return upstream.Broken(err, llm.FaultTotal)
	}
	var found [1]wire.Member
	if _, err := wire.Scan(c.reply, []string{"count"}, found[:]); err != nil || found[0].IsZero() {
		return c.answerEstimate()
	}
	n := count(c.reply, found[0])
	c.head("application/json", resp, target)
	return c.writeWhole(dialect.AnthropicCodec{}.EncodeCountReply(n, false))
}

// estimate is the answer in the words of the surface.
func (c *call) estimate() []byte {
	n := meter.EstimateTokens(len(c.body))
	text := strconv.FormatInt(n, 10)
	switch {
	case c.seen.Op == llm.OpTokenize:
		return []byte(`{"count":` + text + `,"max_model_len":null,"tokens":[],"estimated":true}`)
	case c.surface.dialect.Name() == llm.Gemini:
		return []byte(`{"totalTokens":` + text + `,"estimated":true}`)
	case c.surface.dialect.Name() == llm.Converse:
		return []byte(`{"inputTokens":` + text + `,"estimated":true}`)
	}
	return dialect.AnthropicCodec{}.EncodeCountReply(n, true)
}

// asContent gives a question to a tokenizer the member content, which is what
// llama.cpp calls the text, where it says prompt.
func asContent(body []byte) []byte {
	var found [2]wire.Member
	object, err := wire.Scan(body, []string{"prompt", "content"}, found[:])
	if err != nil || found[0].IsZero() {
		return body
	}
	edit, _ := wire.SetMember(nil, object, found[1], "content", found[0].Value.Of(body))
	return wire.Splice(nil, body, edit)
}
