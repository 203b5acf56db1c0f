package dialect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"tailplane/internal/llm"
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

// ReadCall reads a request of a codec as a gateway does: validated at first, then
// decoded.
func ReadCall(c Codec, body []byte) (*llm.Call, error) { return ReadCallWith(new(At), c, body) }

// ReadCallWith is ReadCall in the memory of at.
func ReadCallWith(at *At, c Codec, body []byte) (*llm.Call, error) {
	if err := validate(body, &at.Heard); err != nil {
		return nil, err
	}
	return c.DecodeCall(body, at)
}

// ReadCount is ReadCall for a question for the number of tokens.
func ReadCount(c interface {
	DecodeCount(body []byte, at *At) (*llm.Call, error)
}, body []byte,
) (*llm.Call, error) {
	var at At
	if err := validate(body, &at.Heard); err != nil {
		return nil, err
	}
	return c.DecodeCount(body, &at)
}

// What a codec returns holds nothing of the body but the texts, so all but the
// texts can be read when the body is gone.
func TestWhatACodecReturnsHoldsNothingOfTheBodyButTexts(t *testing.T) {
	own := func(parts []llm.Part) {
		for i := range parts {
			parts[i].Text = bytes.Clone(parts[i].Text)
			if r := parts[i].Result; r != nil {
				for k := range r.Parts {
					r.Parts[k].Text = bytes.Clone(r.Parts[k].Text)
				}
			}
		}
	}
	same := func(t *testing.T, before, after []byte) {
		t.Helper()
		if !bytes.Equal(before, after) {
			t.Errorf("%s\nbecame\n%s", before, after)
		}
	}
	for name, c := range ownedCalls {
		t.Run(name+" call", func(t *testing.T) {
			body := []byte(c.body)
			call, err := ReadCall(c.codec, body)
			if err != nil {
				t.Fatal(err)
			}
			own(call.System)
			for i := range call.Turns {
				own(call.Turns[i].Parts)
			}
			before, _, _ := c.codec.EncodeCall(nil, call)
			clear(body)
			after, _, _ := c.codec.EncodeCall(nil, call)
			same(t, before, after)
		})
	}
	for name, c := range ownedReplies {
		t.Run(name+" reply", func(t *testing.T) {
			body := []byte(c.body)
			reply, err := c.codec.DecodeReply(body, new(At))
			if err != nil {
				t.Fatal(err)
			}
			for i := range reply.Choices {
				own(reply.Choices[i].Parts)
			}
			before, _, _ := c.codec.EncodeReply(nil, reply)
			clear(body)
			after, _, _ := c.codec.EncodeReply(nil, reply)
			same(t, before, after)
		})
	}
}

// ownedStreams have texts in the events that open parts.
var ownedStreams = map[string]struct {
	codec  Codec
	events []string
}{
	"anthropic": {AnthropicCodec{}, []string{
		`{"type":"message_start","message":{"id":"1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"first"}}`, `{"type":"content_block_stop","index":0}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":"then","signature":""}}`, `{"type":"content_block_stop","index":1}`,
	}},
	"chat": {ChatCodec{}, []string{
		`{"id":"1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":[{"type":"refusal","refusal":"first"}]}}]}`,
		`{"id":"1","model":"m","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"then"}]}]}}]}`,
		`{"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"at last"},"finish_reason":"stop"}]}`,
	}},
	"gemini": {GeminiCodec{}, []string{
		`{"candidates":[{"content":{"parts":[{"text":"first","odd":1},{"text":"then","thought":true,"odd":2}],"role":"model"},"index":0}],"responseId":"1"}`,
		`{"candidates":[{"content":{"parts":[{"text":"at last"}],"role":"model"},"index":0,"finishReason":"STOP"}]}`,
	}},
	"responses": {ResponsesCodec{}, []string{
		`{"type":"response.created","response":{"id":"1","model":"m","output":[]}}`,
		`{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"a","role":"assistant","content":[]}}`,
		`{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":"output_text","text":"first","annotations":[]}}`,
		`{"type":"response.content_part.done","output_index":0,"content_index":0,"part":{"type":"output_text","text":"first","annotations":[]}}`,
		`{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"a","role":"assistant","content":[{"type":"output_text","text":"first","annotations":[]}]}}`,
	}},
}

// The bytes of a stream's events are overwritten by those behind them.
func TestEventsHoldNothingOfTheStream(t *testing.T) {
	for name, c := range ownedStreams {
		t.Run(name, func(t *testing.T) {
			var r overwritten
			for _, data := range c.events {
				var kind struct{ Type string }
				if err := json.Unmarshal([]byte(data), &kind); err != nil {
					t.Fatal(err)
				}
				r.rest = append(r.rest, "event: "+kind.Type+"\ndata: "+data+"\n\n")
			}
			var events []llm.Event
			var before []string
			for ev, err := range c.codec.Events(&r) {
				if err != nil {
					break
				}
				events = append(events, ev)
				before = append(before, dump(ev))
			}
			texts := false
			for i, ev := range events {
				if after := dump(ev); after != before[i] {
					t.Errorf("%s\nbecame\n%s", before[i], after)
				}
				texts = texts || ev.Text != "" || ev.New != nil && !ev.New.Text.Empty()
			}
			if !texts {
				t.Errorf("%d events without a text", len(events))
			}
		})
	}
}

func dump(ev llm.Event) string {
	raw, err := json.Marshal(ev)
	return fmt.Sprint(string(raw), err)
}

// overwritten reads one text after the other, then much that is nothing.
type overwritten struct {
	rest []string
	done int
}

func (o *overwritten) Read(b []byte) (int, error) {
	if len(o.rest) == 0 {
		if o.done++; o.done > 4096 {
			return 0, io.EOF
		}
		return copy(b, ":..............................................................\n\n"), nil
	}
	n := copy(b, o.rest[0])
	if o.rest[0] = o.rest[0][n:]; o.rest[0] == "" {
		o.rest = o.rest[1:]
	}
	return n, nil
}

// What an encoder writes stands behind what is there, and is the same.
func TestEncodersAppend(t *testing.T) {
	there := []byte(`{"a":1}`)
	behind := func(t *testing.T, d llm.Dialect, alone, behind []byte) {
		t.Helper()
		if string(behind) != string(there)+string(alone) {
			t.Errorf("%s: %s, want %s", d, behind, alone)
		}
	}
	for _, to := range []Codec{ChatCodec{}, CompletionsCodec{}, AnthropicCodec{}, ConverseCodec{}, GeminiCodec{}, ResponsesCodec{}} {
		for name, c := range ownedCalls {
			call, err := ReadCall(c.codec, []byte(c.body))
			if err != nil {
				t.Fatal(name, err)
			}
			call.Model = "m"
			alone, _, err := to.EncodeCall(nil, call)
			if err != nil {
				continue
			}
			second, _, _ := to.EncodeCall(there[:len(there):len(there)], call)
			behind(t, to.Name(), alone, second)
		}
		for name, c := range ownedReplies {
			reply, err := c.codec.DecodeReply([]byte(c.body), new(At))
			if err != nil {
				t.Fatal(name, err)
			}
			alone, _, _ := to.EncodeReply(nil, reply)
			second, _, _ := to.EncodeReply(there[:len(there):len(there)], reply)
			behind(t, to.Name(), alone, second)
		}
	}
}
