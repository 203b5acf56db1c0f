package dialect

import (
	"strconv"

	"tailplane/internal/llm"
)

// :countTokens. Its request holds a conversation, either under
// generateContentRequest or, without the settings, by itself; its answer holds
// totalTokens.

// DecodeCount reads a request of :countTokens. As with DecodeCall, the model is
// the path's unless the body names it.
func (GeminiCodec) DecodeCount(body []byte) (*llm.Call, error) {
	o, err := gemParse(body)
	if err != nil {
		return nil, err
	}
	in := gemSub(o, "generateContentRequest")
	if in == nil {
		in = o
	}
	return gemDecodeRequest(in)
}

// EncodeCount writes a request of :countTokens for the Gemini API, which wants
// the model named inside.
func (c GeminiCodec) EncodeCount(call *llm.Call) ([]byte, []llm.Loss, error) {
	body, losses, err := c.EncodeCall(call)
	if err != nil {
		return nil, losses, err
	}
	o, err := parseObject(body)
	if err != nil {
		return nil, losses, err
	}
	o.put([]byte(`"model"`), stringJSON(gemModels+call.Model))
	return closeRaw(appendRaw(nil, []byte(`"generateContentRequest"`), o.left())), losses, nil
}

// EncodeCountReply is the answer of :countTokens. It has no place to say that
// the figure is an estimate.
func (GeminiCodec) EncodeCountReply(tokens int64) []byte {
	return append(strconv.AppendInt([]byte(`{"totalTokens":`), tokens, 10), '}')
}

// DecodeCountReply reads the answer of :countTokens.
func (GeminiCodec) DecodeCountReply(body []byte) (tokens int64, err error) {
	o, err := parseObject(body)
	if err != nil {
		return 0, err
	}
	tokens, ok := o.whole("totalTokens")
	if !ok || tokens < 0 {
		o.wrong("totalTokens", "is required and must be a count")
	}
	return tokens, o.err()
}
