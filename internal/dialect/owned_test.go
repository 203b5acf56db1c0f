package dialect

import (
	"bytes"
	"testing"
)

// Bodies whose nodes are kept as they stand: raw parts, raw tools, schemas,
// unknown members, usage.
var ownedCalls = map[string]struct {
	codec Codec
	body  string
}{
	"chat": {ChatCodec{}, `{"model":"m","x_new":{"a":1},"messages":[{"role":"system","content":"be brief"},{"role":"function","name":"f","content":"1"},
		{"role":"user","content":[{"type":"text","text":"hi","odd":2},{"type":"video_url","video_url":{"url":"u"}}]},
		{"role":"assistant","content":null,"tool_calls":[{"type":"custom","id":"c","custom":{"name":"n","input":"i"}}]}],
		"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}},{"type":"custom","custom":{"name":"n"}}],
		"tool_choice":{"type":"allowed_tools","allowed_tools":{}},"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"}}},"logit_bias":{"1":2}}`},
	"completions": {CompletionsCodec{}, `{"model":"m","prompt":["hi"],"suffix":"s","logit_bias":{"1":2}}`},
	"anthropic": {AnthropicCodec{}, `{"model":"m","max_tokens":5,"x_new":{"a":1},"messages":[{"role":"user","content":[{"type":"text","text":"hi","citations":[{"a":1}]},{"type":"container_upload","file_id":"f"}]}],
		"tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"w"}],"tool_choice":{"type":"odd"},"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}}`},
	"converse": {ConverseCodec{}, `{"x_new":{"a":1},"messages":[{"role":"user","content":[{"text":"hi","odd":2},{"searchResult":{"source":"s"}},{"guardContent":{"text":{"text":"g","qualifiers":["query"]}}}]},
		{"role":"assistant","content":[{"toolUse":{"toolUseId":"t","name":"f","input":{"a":1}}},{"citationsContent":{"content":[{"text":"x"},{"text":"y"}],"citations":[{"title":"t"}]}}]}],
		"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}},{"systemTool":{"name":"n"}}],"toolChoice":{"odd":{}}},"additionalModelRequestFields":{"thinking":{"type":"adaptive","x":1},"y":2}}`},
	"gemini": {GeminiCodec{}, `{"x_new":{"a":1},"contents":[{"role":"user","parts":[{"text":"hi","odd":1},{"executableCode":{"code":"1"}},{"functionResponse":{"name":"f","response":{"a":1}}}]}],"tools":[{"googleSearch":{}},
		{"function_declarations":[{"name":"f","parameters":{"type":"OBJECT"}},{"name":"g","parametersJsonSchema":{"type":"object"}}],"urlContext":{}}],"toolConfig":{"functionCallingConfig":{"mode":"odd"}},"generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"STRING"}}}`},
	"responses": {ResponsesCodec{}, `{"model":"m","x_new":{"a":1},"input":[{"type":"item_reference","id":"i"},{"role":"user","content":[{"type":"input_text","text":"hi"},{"type":"odd","a":1}]}],
		"tools":[{"type":"function","name":"f","parameters":{"type":"object"}},{"type":"web_search"}],"tool_choice":{"type":"odd"},"text":{"format":{"type":"json_schema","name":"s","schema":{"type":"object"}}}}`},
}

var ownedReplies = map[string]struct {
	codec Codec
	body  string
}{
	"chat":      {ChatCodec{}, `{"id":"1","model":"m","x_new":[1],"choices":[{"index":0,"message":{"role":"assistant","content":"hi","annotations":[1]},"logprobs":{"content":[{"token":"hi","logprob":-1,"bytes":null,"top_logprobs":[]}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":0.1}}`},
	"anthropic": {AnthropicCodec{}, `{"id":"1","type":"message","role":"assistant","model":"m","content":[{"type":"server_tool_use","id":"s","name":"w","input":{}},{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1,"x":7}}`},
	"converse":  {ConverseCodec{}, `{"output":{"message":{"role":"assistant","content":[{"toolUse":{"toolUseId":"s","name":"n","type":"server_tool_use","input":{}}},{"text":"hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2,"x":7},"metrics":{"latencyMs":5},"trace":{"a":1}}`},
	"gemini":    {GeminiCodec{}, `{"x_new":[1],"responseId":"1","candidates":[{"content":{"parts":[{"executableCode":{"code":"1"}},{"functionCall":{"name":"f","args":{"a":1}},"odd":1}],"role":"model"},"finishReason":1,"groundingMetadata":{"a":1},"logprobsResult":{"chosenCandidates":[{"token":"a","logProbability":-1}]}}],"usageMetadata":{"promptTokenCount":1,"x":7}}`},
	"responses": {ResponsesCodec{}, `{"id":"1","model":"m","object":"response","status":"completed","x_new":1,"output":[{"type":"web_search_call","id":"w"},{"type":"message","id":"i","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[1]}]}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}`},
}

func TestWhatACodecReturnsHoldsNothingOfTheBody(t *testing.T) {
	same := func(t *testing.T, before, after []byte) {
		t.Helper()
		if !bytes.Equal(before, after) {
			t.Errorf("%s\nbecame\n%s", before, after)
		}
	}
	for name, c := range ownedCalls {
		t.Run(name+" call", func(t *testing.T) {
			body := []byte(c.body)
			call, err := c.codec.DecodeCall(body)
			if err != nil {
				t.Fatal(err)
			}
			before, _, _ := c.codec.EncodeCall(call)
			clear(body)
			after, _, _ := c.codec.EncodeCall(call)
			same(t, before, after)
		})
	}
	for name, c := range ownedReplies {
		t.Run(name+" reply", func(t *testing.T) {
			body := []byte(c.body)
			reply, err := c.codec.DecodeReply(body)
			if err != nil {
				t.Fatal(err)
			}
			before, _, _ := c.codec.EncodeReply(reply)
			clear(body)
			after, _, _ := c.codec.EncodeReply(reply)
			same(t, before, after)
		})
	}
}
