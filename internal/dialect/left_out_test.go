package dialect

import (
	"testing"

	"tailplane/internal/llm"
)

// leftOutCases are requests of which a part cannot be said: what refers to it goes
// with it, because the provider would refuse the rest, and each loss has a name.
var leftOutCases = map[string]struct {
	from, to Codec
	body     string
	want     string
	losses   string
}{
	"the result of a custom tool's call, to responses": {
		ChatCodec{},
		ResponsesCodec{},
		`{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"a","type":"custom","custom":{"name":"h","input":"x"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"r"},{"role":"tool","tool_call_id":"b","content":"s"}]}`,
		`{"model":"m","input":[{"type":"message","role":"user","content":"q"},{"type":"function_call","call_id":"b","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"b","output":"s"}],"store":false,"include":["reasoning.encrypted_content"]}`,
		"content",
	},
	"the result of a custom tool's call, to anthropic": {
		ChatCodec{},
		AnthropicCodec{},
		`{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"a","type":"custom","custom":{"name":"h","input":"x"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"r"},{"role":"tool","tool_call_id":"b","content":"s"}]}`,
		`{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":[{"type":"tool_use","id":"b","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"b","content":"s"}]}]}`,
		"messages.content",
	},
	"a turn of server tools alone, to chat": {
		AnthropicCodec{},
		ChatCodec{},
		`{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"x"}}]},{"role":"user","content":"b"}]}`,
		`{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}],"max_completion_tokens":5,"stream_options":{"include_usage":true}}`,
		"messages[1].content[0]",
	},
	"thinking alone, to chat": {
		ResponsesCodec{},
		ChatCodec{},
		`{"model":"m","input":[{"role":"user","content":"a"},{"type":"reasoning","summary":[],"encrypted_content":"e"},{"role":"user","content":"b"}]}`,
		`{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}],"stream_options":{"include_usage":true}}`,
		"messages[1].thinking",
	},
	"the choice of a server tool, to chat": {
		AnthropicCodec{},
		ChatCodec{},
		`{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"}],"tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"tool","name":"web_search"}}`,
		`{"model":"m","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"max_completion_tokens":5,"stream_options":{"include_usage":true}}`,
		"tools[1] tool_choice",
	},
	"the choice of a server tool, to responses": {
		AnthropicCodec{},
		ResponsesCodec{},
		`{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"a"}],"tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"tool","name":"web_search"}}`,
		`{"model":"m","input":[{"type":"message","role":"user","content":"a"}],"tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":false}],"max_output_tokens":50,"store":false,"include":["reasoning.encrypted_content"]}`,
		"tools tool_choice",
	},
	"a forced call without a tool, to responses": {
		ChatCodec{},
		ResponsesCodec{},
		`{"model":"m","messages":[{"role":"user","content":"a"}],"tools":[{"type":"custom","custom":{"name":"h"}}],"tool_choice":"required"}`,
		`{"model":"m","input":[{"type":"message","role":"user","content":"a"}],"store":false,"include":["reasoning.encrypted_content"]}`,
		"tools tool_choice",
	},
	"a search that is asked for by an empty object": {
		ChatCodec{},
		ResponsesCodec{},
		`{"model":"m","messages":[{"role":"user","content":"a"}],"web_search_options":{}}`,
		`{"model":"m","input":[{"type":"message","role":"user","content":"a"}],"store":false,"include":["reasoning.encrypted_content"]}`,
		"web_search_options",
	},
	"a thinking budget, to chat": {
		AnthropicCodec{},
		ChatCodec{},
		`{"model":"m","max_tokens":5000,"messages":[{"role":"user","content":"a"}],"thinking":{"type":"enabled","budget_tokens":2000}}`,
		`{"model":"m","messages":[{"role":"user","content":"a"}],"max_completion_tokens":5000,"stream_options":{"include_usage":true},"reasoning_effort":"low"}`,
		"thinking.budget_tokens",
	},
	"the greatest effort beside a budget, to chat": {
		AnthropicCodec{},
		ChatCodec{},
		`{"model":"m","max_tokens":5000,"messages":[{"role":"user","content":"a"}],"thinking":{"type":"enabled","budget_tokens":2000},"output_config":{"effort":"max"}}`,
		`{"model":"m","messages":[{"role":"user","content":"a"}],"max_completion_tokens":5000,"stream_options":{"include_usage":true},"reasoning_effort":"xhigh"}`,
		"thinking.budget_tokens reasoning_effort",
	},
	"images of types that are misnamed or not taken, to anthropic": {
		ChatCodec{},
		AnthropicCodec{},
		`{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpg;base64,AAAA"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,/9j/4AAQ"}},{"type":"image_url","image_url":{"url":"data:image/svg+xml;base64,PHN2Zz4="}}]}]}`,
		`{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AAAA"}},{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/4AAQ"}}]}]}`,
		"messages.content.image_url",
	},
	"what chat and responses share": {
		ChatCodec{},
		ResponsesCodec{},
		`{"model":"m","messages":[{"role":"user","content":"a"}],"service_tier":"flex","prompt_cache_key":"k","prompt_cache_retention":"24h","safety_identifier":"s","store":true,"logit_bias":{"1":2}}`,
		`{"model":"m","input":[{"type":"message","role":"user","content":"a"}],"service_tier":"flex","prompt_cache_key":"k","prompt_cache_retention":"24h","safety_identifier":"s","store":false,"include":["reasoning.encrypted_content"]}`,
		"store logit_bias",
	},
	"instructions alone, to responses": {
		ChatCodec{},
		ResponsesCodec{},
		`{"model":"m","messages":[{"role":"system","content":"a"},{"role":"system","content":"b"}]}`,
		`{"model":"m","input":[{"type":"message","role":"system","content":"a\n\nb"}],"store":false,"include":["reasoning.encrypted_content"]}`,
		"",
	},
	"penalties of zero, to responses": {
		ChatCodec{},
		ResponsesCodec{},
		`{"model":"m","messages":[{"role":"user","content":"a"}],"frequency_penalty":0,"presence_penalty":0.0}`,
		`{"model":"m","input":[{"type":"message","role":"user","content":"a"}],"store":false,"include":["reasoning.encrypted_content"]}`,
		"",
	},
}

func TestWhatIsLeftOutLeavesNothingBehind(t *testing.T) {
	for name, c := range leftOutCases {
		t.Run(name, func(t *testing.T) {
			call, err := ReadCall(c.from, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			got, losses, err := c.to.EncodeCall(nil, call)
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, []byte(c.want), got)
			if said := responsesFeatures(losses); said != c.losses {
				t.Errorf("losses %q, want %q", said, c.losses)
			}
			own, losses, err := c.from.EncodeCall(nil, call)
			if err != nil || len(losses) > 0 {
				t.Errorf("to its own dialect: %v, losses %v", err, losses)
			}
			sameJSON(t, []byte(c.body), own)
		})
	}
}

// A block of another dialect is called that, not by a number of ours.
func TestStreamsOfBlocksNameTheDialectOfWhatTheyLeaveOut(t *testing.T) {
	other := llm.Part{Kind: llm.PartOther, Raw: []byte(`{"type":"web_search_call"}`), Extra: llm.Extra{Dialect: llm.Responses}}
	_, losses := anthropicScript(t, llm.Event{Kind: llm.EventStart, Start: &llm.Reply{ID: "1"}}, anthropicOpen(0, other), anthropicShut(0), llm.Event{Kind: llm.EventEnd})
	if len(losses) != 1 || losses[0].Detail != "a block that only responses knows was left out" {
		t.Errorf("%v", losses)
	}
}
