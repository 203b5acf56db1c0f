package dialect

import (
	"slices"
	"testing"

	"tailplane/internal/llm"
)

// TestALossIsDeclaredOnce: two calls of an answer that lose the same are one loss.
func TestALossIsDeclaredOnce(t *testing.T) {
	call := func(id string) llm.Part {
		return llm.Part{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: id, Name: "f", Arguments: "no JSON"}}
	}
	for _, c := range []Codec{AnthropicCodec{}, ConverseCodec{}, GeminiCodec{}} {
		reply := &llm.Reply{ID: "r", Choices: []llm.Choice{{Parts: []llm.Part{call("a"), call("b")}, Stop: llm.Stop{Reason: llm.StopTool}}}}
		_, losses, err := c.EncodeReply(nil, reply)
		want := []llm.Loss{{Feature: "tool_calls.arguments", Detail: "they are no JSON object and became {}"}}
		if err != nil || !slices.Equal(losses, want) {
			t.Errorf("%s: %v %v", c.Name(), losses, err)
		}
	}
}
