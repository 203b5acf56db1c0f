package dialect

import (
	"io"
	"strings"
	"testing"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// tapAll lets a whole stream or answer pass by a tap.
func tapAll(s Surface, text string) Tap {
	var t Tap
	if strings.HasPrefix(text, "{") {
		s.TapReply(&t, []byte(text))
		return t
	}
	var er wire.EventReader
	er.Reset(strings.NewReader(text), 0)
	defer er.Release()
	for er.Fill() == nil {
		for ev, ok := er.Next(); ok; ev, ok = er.Next() {
			s.TapEvent(&t, ev)
		}
	}
	return t
}

func TestTheServiceTierStandsInTheUsage(t *testing.T) {
	const chat = `"id":"1","object":"chat.completion.chunk","created":1,"model":"m"`
	for name, tc := range map[string]struct {
		surface    Surface
		text, tier string
	}{
		"chat":                   {ChatCodec{}, `{"id":"1","object":"chat.completion","created":1,"model":"m","service_tier":"flex","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`, "flex"},
		"chat that says null":    {ChatCodec{}, `{"id":"1","object":"chat.completion","created":1,"model":"m","service_tier":null,"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}`, ""},
		"chat with another word": {ChatCodec{}, `{"id":"1","object":"chat.completion","created":1,"model":"m","service_tier":"ultra","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}`, "ultra"},
		"chat stream, told at the end": {ChatCodec{}, "data: {" + chat + `,"choices":[{"index":0,"delta":{"content":"x"}}]}` + "\n\n" +
			"data: {" + chat + `,"service_tier":"priority","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}` + "\n\ndata: [DONE]\n\n", "priority"},
		"chat stream, told at the beginning": {ChatCodec{}, "data: {" + chat + `,"service_tier":"on_demand","choices":[{"index":0,"delta":{"content":"x"}}]}` + "\n\n" +
			"data: {" + chat + `,"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}` + "\n\ndata: [DONE]\n\n", "on_demand"},
		"responses": {ResponsesCodec{}, `{"id":"r","object":"response","model":"m","status":"completed","service_tier":"default","output":[],"usage":{"input_tokens":1,"output_tokens":2}}`, "default"},
		"responses stream": {ResponsesCodec{}, "event: response.created\ndata: " + `{"type":"response.created","response":{"id":"r","model":"m","status":"in_progress","service_tier":"auto","output":[],"usage":null}}` + "\n\n" +
			"event: response.completed\ndata: " + `{"type":"response.completed","response":{"id":"r","model":"m","status":"completed","service_tier":"flex","output":[],"usage":{"input_tokens":1,"output_tokens":2}}}` + "\n\n", "flex"},
		"anthropic": {AnthropicCodec{}, `{"id":"m","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2,"service_tier":"batch"}}`, "batch"},
		"anthropic stream": {AnthropicCodec{}, "event: message_start\ndata: " + `{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"model":"m","stop_reason":null,"usage":{"input_tokens":1,"output_tokens":1,"service_tier":"priority"}}}` + "\n\n" +
			"event: message_delta\ndata: " + `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}` + "\n\nevent: message_stop\ndata: " + `{"type":"message_stop"}` + "\n\n", "priority"},
		"gemini":            {GeminiCodec{}, `{"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"serviceTier":"flex"}}`, "flex"},
		"vertex":            {GeminiCodec{}, `{"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"trafficType":"ON_DEMAND_PRIORITY"}}`, "ON_DEMAND_PRIORITY"},
		"gemini stream":     {GeminiCodec{}, "data: " + `{"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"trafficType":"PROVISIONED_THROUGHPUT"}}` + "\n\n", "PROVISIONED_THROUGHPUT"},
		"converse":          {ConverseCodec{}, `{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"serviceTier":{"type":"priority"}}`, "priority"},
		"converse, no tier": {ConverseCodec{}, `{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"serviceTier":null}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := tapAll(tc.surface, tc.text)
			if !got.HasUsage || got.Usage.Tier != tc.tier || got.Usage.Output != 2 {
				t.Errorf("the tap has %+v", got.Usage)
			}
			c := tc.surface.(Codec)
			if strings.HasPrefix(tc.text, "{") {
				if r, err := c.DecodeReply([]byte(tc.text), new(At)); err != nil || r.Usage != got.Usage {
					t.Errorf("decoded it is %+v (%v), the tap has %+v", r.Usage, err, got.Usage)
				}
				return
			}
			var u llm.Usage
			for ev, err := range c.Events(strings.NewReader(tc.text)) {
				if err != nil && err != io.ErrUnexpectedEOF {
					t.Fatal(err)
				}
				if ev.Usage != nil {
					u = *ev.Usage
				}
			}
			if u != got.Usage {
				t.Errorf("decoded it is %+v, the tap has %+v", u, got.Usage)
			}
		})
	}
}

func TestTheWordsOfTiersAreFree(t *testing.T) {
	for _, word := range []string{"default", "standard", "auto", "flex", "priority", "batch", "scale", "on_demand"} {
		raw := []byte(`"` + word + `"`)
		if got := tierWord(raw); got != word {
			t.Errorf("%s is %q", word, got)
		}
		if n := testing.AllocsPerRun(10, func() { tierWord(raw) }); n != 0 {
			t.Errorf("%s allocates %v times", word, n)
		}
	}
	for _, raw := range []string{``, `null`, `1`, `""`, `"` + strings.Repeat("x", longestTier) + `"`, `{"a":1}`} {
		if got := tierWord([]byte(raw)); got != "" {
			t.Errorf("%s is the tier %q", raw, got)
		}
	}
}
