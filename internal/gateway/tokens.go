package gateway

import (
	"strconv"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
)

// countHere answers a question for the number of tokens from an estimate, marked
// as one in the body and in a header, when the target that is to be asked has no
// way to count in the client's dialect.
func (c *call) countHere(target *candidate) bool {
	switch c.seen.Op {
	case llm.OpCount:
		if target.Speaks(c.surface.dialect.Name()) {
			return false
		}
	case llm.OpTokenize:
		if _, ok := target.ForwardPath(llm.OpTokenize, ""); ok {
			return false
		}
	default:
		return false
	}
	c.head("application/json", nil, nil)
	c.set("X-Tailplane-Estimated", "true")
	_ = c.writeWhole(c.estimate()) // a count costs nobody anything
	return true
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
