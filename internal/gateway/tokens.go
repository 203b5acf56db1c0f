package gateway

import (
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

// countHere answers a question for the number of tokens from an estimate, marked
// as one in the body and in a header, when the target that is to be asked has no
// way to count.
func (c *call) countHere(target *candidate) bool {
	switch c.seen.Op {
	case llm.OpCount:
		if target.Counting(target.model) != upstream.CountsNot {
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

// countsNatively reports whether the target counts what the client has written as
// it stands.
func (c *call) countsNatively(target *candidate) bool {
	form := target.Counting(target.model)
	switch c.surface.dialect.Name() {
	case llm.Gemini:
		return form == upstream.CountsGemini && !c.countsBare() || form == upstream.CountsVertex && !c.countsRequest()
	case llm.Converse:
		return form == upstream.CountsConverse
	}
	return form == upstream.CountsAnthropic
}

// countsRequest reports whether a question in Gemini's dialect holds a whole
// request, which only the Gemini API takes.
func (c *call) countsRequest() bool {
	return c.has("generateContentRequest", "generate_content_request")
}

// countsBare reports whether one holds more of a request than its contents by
// itself, which only Vertex takes.
func (c *call) countsBare() bool {
	return c.has("systemInstruction", "system_instruction", "tools", "generationConfig", "generation_config")
}

// has reports whether the body has one of the members.
func (c *call) has(names ...string) bool {
	found := make([]wire.Member, len(names))
	if _, err := wire.Scan(c.body, names, found); err != nil {
		return false
	}
	return slices.ContainsFunc(found, func(m wire.Member) bool { return !m.IsZero() })
}

// counting is how a target is asked in one of the forms, and the member of its
// answer that is the figure.
type counting struct {
	dialect dialect.Codec
	encode  encoder
	figure  string
}

func countingIn(form upstream.Counting) counting {
	switch form {
	case upstream.CountsGemini:
		return counting{dialect.GeminiCodec{}, dialect.GeminiCodec{}.EncodeCount, "totalTokens"}
	case upstream.CountsVertex:
		return counting{dialect.GeminiCodec{}, dialect.GeminiCodec{}.EncodeVertexCount, "totalTokens"}
	case upstream.CountsConverse:
		return counting{dialect.ConverseCodec{}, dialect.ConverseCodec{}.EncodeCount, "inputTokens"}
	case upstream.CountsChat:
		return counting{dialect.ChatCodec{}, dialect.ChatCodec{}.EncodeCall, "count"}
	}
	return counting{dialect.AnthropicCodec{}, dialect.AnthropicCodec{}.EncodeCount, "input_tokens"}
}

// countAt asks a target in its own form and answers in the client's dialect. One
// that does not understand the question, as older engines and some models do
// not, leaves it to the estimate.
func (c *call) countAt(target *candidate, a *ledger.Attempt) *llm.Fault {
	c.tap.Reset()
	c.refusal = h1.Header{}
	form := target.Counting(target.model)
	how := countingIn(form)
	a.Lane, a.Dialect = laneTranslate, how.dialect.Name()
	if f := c.translate(target, how.dialect, how.encode); f != nil {
		return f
	}
	if f := c.enclose(target, a.Dialect); f != nil {
		return f
	}
	out := upstream.Call{Op: llm.OpCount, Dialect: a.Dialect, Model: target.model}
	if form == upstream.CountsChat {
		path, _ := target.ForwardPath(llm.OpTokenize, "")
		out.Op = llm.OpTokenize
		out.Passage = upstream.Passage{Method: http.MethodPost, Path: path, Type: "application/json", Accept: "application/json"}
	}
	answers, f := c.askAll(target, a, out, [][]byte{c.out})
	if f != nil {
		switch a.Status {
		case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity:
			return c.answerEstimate()
		}
		return f
	}
	var found [1]wire.Member
	body := answers[0].body
	if _, err := wire.Scan(body, []string{how.figure}, found[:]); err != nil || found[0].IsZero() {
		return c.answerEstimate()
	}
	c.head("application/json", nil, target)
	return c.writeWhole(c.counted(count(body, found[0]), false))
}

// estimate is the answer in the words of the surface.
func (c *call) estimate() []byte {
	n := meter.EstimateTokens(len(c.body))
	if c.seen.Op == llm.OpTokenize {
		return []byte(`{"count":` + strconv.FormatInt(n, 10) + `,"max_model_len":null,"tokens":[],"estimated":true}`)
	}
	return c.counted(n, true)
}

// counted is the answer to a question for the number of tokens. Anthropic's has a
// member that says estimated; the others leave that to the header.
func (c *call) counted(n int64, estimated bool) []byte {
	switch c.surface.dialect.Name() {
	case llm.Gemini:
		return dialect.GeminiCodec{}.EncodeCountReply(n)
	case llm.Converse:
		return dialect.ConverseCodec{}.EncodeCountReply(n)
	}
	return dialect.AnthropicCodec{}.EncodeCountReply(n, estimated)
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
