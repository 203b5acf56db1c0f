package dialect

import (
	"encoding/base64"
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Questions for the number of tokens of a conversation. They hold less than the
// conversation's own request, and servers refuse the rest of it.

// EncodeCount writes a request of Anthropic's count_tokens.
func (c AnthropicCodec) EncodeCount(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error) {
	body, losses, err := c.EncodeCall(nil, call)
	if err == nil {
		body, err = only(dst, body, "model", "system", "messages", "tools", "tool_choice", "thinking", "mcp_servers", "output_config")
	}
	return body, losses, err
}

// EncodeVertexCount writes a request of :countTokens for Vertex, which takes the
// conversation by itself.
func (c GeminiCodec) EncodeVertexCount(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error) {
	body, losses, err := c.EncodeCall(nil, call)
	if err == nil {
		body, err = only(dst, body, "contents", "systemInstruction", "tools", "generationConfig")
	}
	return body, losses, err
}

// EncodeCount writes a request of Bedrock's CountTokens.
func (c ConverseCodec) EncodeCount(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error) {
	body, losses, err := c.EncodeCall(nil, call)
	if err == nil {
		body, err = only(nil, body, "messages", "system", "toolConfig", "additionalModelRequestFields")
	}
	if err != nil {
		return nil, losses, err
	}
	w := appendObject(dst, llm.Extra{}, len(body))
	in := w.sub("input")
	in.put("converse", body)
	in.endSub()
	w.end()
	return w.buf, losses, nil
}

// DecodeCount reads a request of Bedrock's CountTokens. Like Converse's it names
// no model. The body of InvokeModel is understood in Anthropic's dialect.
func (c ConverseCodec) DecodeCount(body []byte, _ *At) (*llm.Call, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	in := o.sub("input")
	if in == nil {
		return nil, o.under("input").wrong("is required")
	}
	if err := o.err(); err != nil {
		return nil, err
	}
	if raw := in.get("converse"); raw != nil {
		return c.DecodeCall(raw, new(At))
	}
	invoke := in.sub("invokeModel")
	if invoke == nil {
		return nil, o.under("input").wrong("must have converse or invokeModel")
	}
	own, err := base64.StdEncoding.DecodeString(invoke.str("body"))
	if err := o.err(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, invoke.under("body").wrong("must be base64")
	}
	if own, err = only(nil, own, "system", "messages", "tools", "tool_choice", "thinking", "max_tokens"); err != nil {
		return nil, invoke.under("body").wrong("must be a conversation in Anthropic's dialect: %v", err)
	}
	object, err := wire.Scan(own, nil, nil)
	if err != nil {
		return nil, err
	}
	edit, _ := wire.SetMember(nil, object, wire.Member{}, "model", []byte(`"invokeModel"`))
	return AnthropicCodec{}.DecodeCall(wire.Mend(wire.Splice(nil, own, edit)), new(At))
}

// EncodeCountReply is the answer of CountTokens. It has no place to say that the
// figure is an estimate.
func (ConverseCodec) EncodeCountReply(tokens int64) []byte {
	w := newObject(llm.Extra{})
	w.integer("inputTokens", tokens)
	return w.end()
}

// only appends an object with the named members of a body, as far as it has them.
func only(dst, body []byte, names ...string) ([]byte, error) {
	found := make([]wire.Member, len(names))
	if _, err := wire.Scan(body, names, found); err != nil {
		return nil, err
	}
	w := appendObject(dst, llm.Extra{}, len(body))
	for i, m := range found {
		if !m.IsZero() {
			w.put(names[i], m.Value.Of(body))
		}
	}
	w.end()
	return w.buf, nil
}

// :countTokens. Its request holds a conversation, either under
// generateContentRequest or, without the settings, by itself; its answer holds
// totalTokens.

// DecodeCount reads a request of :countTokens. As with DecodeCall, the model is
// the path's unless the body names it.
func (GeminiCodec) DecodeCount(body []byte, at *At) (*llm.Call, error) {
	o, err := geminiBody(body, at)
	if err != nil {
		return nil, err
	}
	in := geminiSub(o, "generateContentRequest")
	if in == nil {
		in = o
	}
	return geminiDecodeRequest(in)
}

// EncodeCount writes a request of :countTokens for the Gemini API, which wants
// the model named inside.
func (c GeminiCodec) EncodeCount(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error) {
	body, losses, err := c.EncodeCall(nil, call)
	if err != nil {
		return nil, losses, err
	}
	o, err := parseObject(body)
	if err != nil {
		return nil, losses, err
	}
	o.put([]byte(`"model"`), stringJSON(geminiModels+call.Model))
	return append(dst, closeRaw(appendRaw(nil, []byte(`"generateContentRequest"`), o.left()))...), losses, nil
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

// EncodeCountReply is the answer of /v1/messages/count_tokens. An estimate
// says so in the member estimated, which Anthropic does not have.
func (AnthropicCodec) EncodeCountReply(tokens int64, estimated bool) []byte {
	b := strconv.AppendInt([]byte(`{"input_tokens":`), tokens, 10)
	if estimated {
		b = append(b, `,"estimated":true`...)
	}
	return append(b, '}')
}

// DecodeCountReply reads the answer of /v1/messages/count_tokens.
func (AnthropicCodec) DecodeCountReply(body []byte) (tokens int64, estimated bool, err error) {
	o, err := parseObject(body)
	if err != nil {
		return 0, false, err
	}
	tokens, estimated = o.place("input_tokens"), o.flag("estimated")
	return tokens, estimated, o.err()
}
