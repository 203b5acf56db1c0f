package dialect

import (
	"encoding/base64"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Questions for the number of tokens of a conversation. They hold less than the
// conversation's own request, and servers refuse the rest of it.

// EncodeCount writes a request of Anthropic's count_tokens.
func (c AnthropicCodec) EncodeCount(call *llm.Call) ([]byte, []llm.Loss, error) {
	body, losses, err := c.EncodeCall(call)
	if err == nil {
		body, err = only(body, "model", "system", "messages", "tools", "tool_choice", "thinking", "mcp_servers", "output_config")
	}
	return body, losses, err
}

// EncodeVertexCount writes a request of :countTokens for Vertex, which takes the
// conversation by itself.
func (c GeminiCodec) EncodeVertexCount(call *llm.Call) ([]byte, []llm.Loss, error) {
	body, losses, err := c.EncodeCall(call)
	if err == nil {
		body, err = only(body, "contents", "systemInstruction", "tools", "generationConfig")
	}
	return body, losses, err
}

// EncodeCount writes a request of Bedrock's CountTokens.
func (c ConverseCodec) EncodeCount(call *llm.Call) ([]byte, []llm.Loss, error) {
	body, losses, err := c.EncodeCall(call)
	if err == nil {
		body, err = only(body, "messages", "system", "toolConfig", "additionalModelRequestFields")
	}
	if err != nil {
		return nil, losses, err
	}
	w := newObject(llm.Extra{})
	in := w.sub("input")
	in.put("converse", body)
	w.endSub("input", &in)
	return w.end(), losses, nil
}

// DecodeCount reads a request of Bedrock's CountTokens. Like Converse's it names
// no model. The body of InvokeModel is understood in Anthropic's dialect.
func (c ConverseCodec) DecodeCount(body []byte) (*llm.Call, error) {
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
		return c.DecodeCall(raw)
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
	if own, err = only(own, "system", "messages", "tools", "tool_choice", "thinking", "max_tokens"); err != nil {
		return nil, invoke.under("body").wrong("must be a conversation in Anthropic's dialect: %v", err)
	}
	object, err := wire.Scan(own, nil, nil)
	if err != nil {
		return nil, err
	}
	edit, _ := wire.SetMember(nil, object, wire.Member{}, "model", []byte(`"invokeModel"`))
	return AnthropicCodec{}.DecodeCall(wire.Splice(nil, own, edit))
}

// EncodeCountReply is the answer of CountTokens. It has no place to say that the
// figure is an estimate.
func (ConverseCodec) EncodeCountReply(tokens int64) []byte {
	w := newObject(llm.Extra{})
	w.integer("inputTokens", tokens)
	return w.end()
}

// only is an object with the named members of a body, as far as it has them.
func only(body []byte, names ...string) ([]byte, error) {
	found := make([]wire.Member, len(names))
	if _, err := wire.Scan(body, names, found); err != nil {
		return nil, err
	}
	w := newObjectOf(llm.Extra{}, len(body))
	for i, m := range found {
		if !m.IsZero() {
			w.put(names[i], m.Value.Of(body))
		}
	}
	return w.end(), nil
}
