package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"tailplane/internal/dialect"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/upstream"
	"tailplane/internal/wire"
)

// Vectors between dialects. A request that its target does not take as it is, is
// said in OpenAI's dialect first, and from there in the target's; its answer goes
// the same way back. One request may become several.

// embedsNatively reports whether the target takes a request for vectors as the
// client has written it.
func (c *call) embedsNatively(target *candidate) bool {
	form := target.Embedding(target.model)
	switch c.surface.dialect.Name() {
	case llm.Gemini:
		var found [1]wire.Member
		_, err := wire.Scan(c.body, []string{"requests"}, found[:])
		return err != nil || target.EmbedsContent(target.model, !found[0].IsZero())
	case llm.Converse:
		return form == upstream.EmbedsInvoke
	}
	return form == upstream.EmbedsOpenAI
}

// embedAt makes an attempt at a target that takes vectors in another form.
func (c *call) embedAt(target *candidate, a *ledger.Attempt) *llm.Fault {
	c.tap.Reset()
	c.aside.Reset()
	c.refusal = h1.Header{}
	a.Lane, a.Dialect = laneTranslate, llm.Embeddings
	v := vectors{call: c, target: target}
	if err := v.read(); err != nil {
		return badRequest(err)
	}
	out := upstream.Call{Op: llm.OpEmbed, Dialect: llm.Embeddings, Model: target.model}
	bodies, err := v.questions(&out)
	if err != nil {
		return badRequest(err)
	}
	a.Dialect = out.Dialect
	if f := c.lose(target, v.losses); f != nil {
		return f
	}
	answers, f := c.askAll(target, a, out, bodies)
	if f != nil {
		v.paid(answers)
		return f
	}
	a.FirstToken = now().Sub(c.ex.Start) - a.Begin
	body, err := v.answer(answers)
	if f, is := errors.AsType[*llm.Fault](err); is {
		return f
	}
	if err != nil {
		return garbage(fmt.Sprintf("target %s answered with something that is not valid %s: %v", target.Name, out.Dialect, err), err)
	}
	c.head("application/json", nil, target)
	if c.surface.dialect.Name() == llm.Converse {
		c.set("X-Amzn-Bedrock-Input-Token-Count", strconv.FormatInt(c.tap.Usage.Input, 10))
	}
	return c.writeWhole(body)
}

// vectors is one request for vectors on its way to a target and back.
type vectors struct {
	call   *call
	target *candidate
	body   []byte // in OpenAI's dialect, with the target's name of the model
	losses []llm.Loss

	client *dialect.EmbedCall // of a client of Gemini
	asks   *dialect.EmbedCall // what a target of Google's is asked
	plan   *dialect.EmbedPlan // what Bedrock is asked
	family dialect.InvokeEmbedding
}

// read says the client's request in OpenAI's dialect.
func (v *vectors) read() (err error) {
	c, model := v.call, v.target.ModelName(v.target.model)
	switch c.surface.dialect.Name() {
	case llm.Gemini:
		if v.client, err = dialect.DecodeGeminiEmbed(c.body); err != nil {
			return err
		}
		out := *v.client
		out.Model = model
		v.body, v.losses = dialect.EncodeOpenAIEmbed(&out)
	case llm.Converse:
		v.body, v.losses, err = c.invoked.OpenAIRequest(model, c.body)
	default:
		v.body = c.surface.dialect.Splice(nil, c.body, &c.at, dialect.Rewrite{Model: model}).Append(nil)
	}
	return err
}

// questions are the bodies that the target is asked, and out how.
func (v *vectors) questions(out *upstream.Call) (bodies [][]byte, err error) {
	model := v.target.ModelName(v.target.model)
	var losses []llm.Loss
	switch form := v.target.Embedding(v.target.model); form {
	case upstream.EmbedsInvoke:
		if v.family = dialect.InvokeEmbeddingOf(model); v.family == dialect.InvokeNoEmbedding {
			v.family = dialect.InvokeEmbeddingOf(v.target.model)
		}
		if v.family == dialect.InvokeNoEmbedding {
			return nil, fmt.Errorf("model: vectors of %q at target %s have a form that is not known here; invoke it with its maker's own body", v.target.model, v.target.Name)
		}
		if v.plan, err = v.family.Requests(v.body); err != nil {
			return nil, err
		}
		bodies, losses = v.plan.Bodies, v.plan.Losses
	case upstream.EmbedsGemini, upstream.EmbedsVertex:
		out.Dialect = llm.Gemini
		if v.asks, err = dialect.DecodeOpenAIEmbed(v.body); err != nil {
			return nil, err
		}
		if form == upstream.EmbedsVertex {
			bodies, losses = dialect.EncodeVertexEmbed(v.asks)
			break
		}
		var body []byte
		body, losses = dialect.EncodeGeminiEmbed(v.asks)
		bodies = [][]byte{body}
	default:
		bodies = [][]byte{v.body}
	}
	v.losses = append(v.losses, losses...)
	return bodies, nil
}

// answer makes the client's answer of the target's, and notes what was used.
func (v *vectors) answer(answers []asked) ([]byte, error) {
	body, err := v.openAI(answers)
	if err != nil {
		return nil, err
	}
	c := v.call
	sight, err := dialect.EmbeddingsSurface{}.TapReply(&c.tap, body)
	switch {
	case err != nil:
		return nil, err
	case sight.Has(dialect.SightFault):
		return nil, v.target.Classify(upstream.Answer{Body: dialect.EmbeddingsSurface{}.DecodeError(body)}, now())
	}
	if c.tap.Usage.Input == 0 {
		c.took(llm.Usage{Input: meter.EstimateTokens(len(c.body)), Source: llm.UsageEstimated})
	}
	switch c.surface.dialect.Name() {
	case llm.Gemini:
		reply, err := dialect.DecodeOpenAIEmbedReply(body)
		if err != nil {
			return nil, err
		}
		return dialect.EncodeGeminiEmbedReply(reply, v.client), nil
	case llm.Converse:
		body, _, err = c.invoked.InvokeReply(body)
	}
	return body, err
}

// paid notes what was used by those pieces of a failed attempt that were answered.
func (v *vectors) paid(answers []asked) {
	answers = slices.DeleteFunc(slices.Clone(answers), func(a asked) bool { return a.status != http.StatusOK || a.fault != nil })
	if len(answers) == 0 {
		return
	}
	if body, err := v.openAI(answers); err == nil {
		_, _ = dialect.EmbeddingsSurface{}.TapReply(&v.call.tap, body) // an answer that was made here
	}
}

// openAI says the answers in OpenAI's dialect.
func (v *vectors) openAI(answers []asked) ([]byte, error) {
	switch {
	case v.plan != nil:
		parts := make([]dialect.EmbedAnswer, len(answers))
		for i := range answers {
			tokens, _ := strconv.ParseInt(answers[i].header.Get(dialect.InvokeTokenHeader), 10, 32)
			parts[i] = dialect.EmbedAnswer{Body: answers[i].body, Tokens: max(tokens, 0)}
		}
		return v.family.Reply(v.target.model, v.plan, parts)
	case v.asks == nil:
		return answers[0].body, nil
	case v.target.Embedding(v.target.model) == upstream.EmbedsVertex:
		reply := &dialect.EmbedReply{}
		for i := range answers {
			if err := dialect.DecodeVertexEmbedReply(reply, answers[i].body); err != nil {
				return nil, err
			}
		}
		return dialect.EncodeOpenAIEmbedReply(reply, v.asks), nil
	}
	reply, err := dialect.DecodeGeminiEmbedReply(answers[0].body)
	if err != nil {
		return nil, err
	}
	return dialect.EncodeOpenAIEmbedReply(reply, v.asks), nil
}

// openVectors notes the family of a request for vectors that a client of Bedrock
// makes through InvokeModel: by the model's name, else by its body.
func (c *call) openVectors() bool {
	if c.surface.stream {
		return false
	}
	if c.invoked = dialect.InvokeEmbeddingOf(c.place.model); c.invoked != dialect.InvokeNoEmbedding {
		return true
	}
	var found [5]wire.Member
	if _, err := wire.Scan(c.body, []string{"inputText", "texts", "input_type", "textGenerationConfig", "inputImage"}, found[:]); err != nil {
		return false
	}
	switch {
	case !found[0].IsZero() && found[3].IsZero() && found[4].IsZero():
		c.invoked = dialect.InvokeTitanV2
	case !found[1].IsZero() && !found[2].IsZero():
		c.invoked = dialect.InvokeCohereV3
	}
	return c.invoked != dialect.InvokeNoEmbedding
}
