package dialect

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// responsesCalls are requests that must survive a round trip to the last spelling.
var responsesCalls = map[string]string{
	"a bare input":       `{"model":"m","input":"hi"}`,
	"no input":           `{"model":"m","prompt":{"id":"pmpt_1","variables":{"a":"b"}}}`,
	"null input":         `{"model":"m","input":null}`,
	"an empty input":     `{"model":"m","input":[]}`,
	"instructions":       `{"model":"m","instructions":"be brief","input":"hi","stream":false}`,
	"empty instructions": `{"model":"m","instructions":"","input":"hi","tools":[],"metadata":{},"include":[]}`,
	"null everywhere": `{"model":"m","input":"hi","instructions":null,"temperature":null,"tools":null,"tool_choice":null,
		"text":null,"reasoning":null,"metadata":null,"include":null,"stream":null,"user":null,"parallel_tool_calls":null,
		"max_output_tokens":null,"top_logprobs":null,"previous_response_id":null}`,
	"spelled numbers": `{"model":"m","input":"hi","temperature":1.0,"top_p":1e-1,"max_output_tokens":1e3,"top_logprobs":5.0}`,
	"zero numbers":    `{"model":"m","input":"hi","temperature":0,"top_p":0.0,"max_output_tokens":0,"top_logprobs":0}`,
	"system messages": `{"model":"m","instructions":"one","input":[{"role":"developer","content":"two"},
		{"type":"message","role":"system","content":[{"type":"input_text","text":"three"},{"type":"text","text":"four"}]},
		{"role":"user","content":"hi"},{"role":"system","content":"late"}]}`,
	"a system message with an id": `{"model":"m","input":[{"id":"msg_1","role":"system","content":"two"},{"role":"system","content":"x"}]}`,
	"system alone":                `{"model":"m","input":[{"role":"system","content":"x"}]}`,
	"content of every kind": `{"model":"m","input":[{"type":"message","role":"user","content":[
		{"type":"input_text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}},
		{"type":"output_text","text":"odd"},{"type":"text","text":"odder"},{"type":"input_text","text":""},
		{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"low"},
		{"type":"input_image","image_url":"https://example.com/a.png","file_id":null,"detail":"auto"},
		{"type":"input_image","image_url":"data:image/svg+xml;utf8,<svg/>"},
		{"type":"input_image","file_id":"file_1"},
		{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"},
		{"type":"input_file","filename":"a.pdf","file_data":"AAAA"},
		{"type":"input_file","file_data":"data:text/plain;charset=utf-8;base64,AAAA"},
		{"type":"input_file","file_url":"https://example.com/a.pdf"},
		{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav","extra":1}},
		{"type":"computer_screenshot","image_url":"x"}]}]}`,
	"an assistant with identity": `{"model":"m","input":[{"type":"message","id":"msg_1","status":"completed","role":"assistant",
		"phase":"final_answer","content":[{"type":"output_text","text":"a","annotations":[],"logprobs":[]},
		{"type":"output_text","text":"b","annotations":[{"type":"url_citation","url":"u"}]},
		{"type":"input_text","text":"c"},{"type":"refusal","refusal":"no"}]},{"role":"assistant","content":[]}]}`,
	"tools at work": `{"model":"m","input":[{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"a\": 1}","status":"completed"},
		{"type":"function_call","call_id":"c2","name":"f","arguments":"","namespace":"n"},
		{"type":"function_call_output","call_id":"c1","output":"42"},
		{"type":"function_call_output","id":null,"call_id":"c2","output":[{"type":"input_text","text":"x"},{"type":"input_image","image_url":"u"}]},
		{"type":"function_call_output","call_id":"c3","output":[]},{"type":"function_call_output","call_id":"c3","output":""},
		{"type":"function_call_output","call_id":null,"name":"f","output":"x"}]}`,
	"reasoning": `{"model":"m","input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"abc"},
		{"type":"reasoning","id":"rs_2","summary":[{"type":"summary_text","text":"one"},{"text":"two","type":"summary_text"}],"encrypted_content":null},
		{"type":"reasoning","id":"rs_3","summary":[{"type":"summary_text","text":"one"}],"content":[{"type":"reasoning_text","text":"deep"}],"status":null},
		{"type":"reasoning","id":"rs_4","content":[{"type":"reasoning_text","text":"deep"}]},
		{"type":"reasoning","id":"rs_5","summary":[{"type":"summary_text","text":""}]}]}`,
	"items of its own": `{"model":"m","previous_response_id":"resp_1","input":[{"type":"item_reference","id":"msg_1"},{"id":"msg_2"},
		{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search"}},
		{"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot"}},{"type":"mcp_approval_response","approve":true}]}`,
	"tools": `{"model":"m","input":"hi","tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":true},
		{"type":"function","name":"g","parameters":null,"strict":null,"defer_loading":true},{"type":"web_search","filters":null},
		{"type":"function","name":"h","description":""}],"tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":false}`,
	"a choice of its own": `{"model":"m","input":"hi","tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]}}`,
	"a choice by word":    `{"model":"m","input":"hi","tool_choice":"required"}`,
	"output shape": `{"model":"m","input":"hi","text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"b":1,"a":2},
		"description":"d"},"verbosity":"low"},"reasoning":{"effort":"high","summary":"auto","generate_summary":null,"mode":"pro"}}`,
	"json object":   `{"model":"m","input":"hi","text":{"format":{"type":"json_object"}},"reasoning":{}}`,
	"plain text":    `{"model":"m","input":"hi","text":{"format":{"type":"text","x":1}},"reasoning":{"effort":null}}`,
	"a grammar":     `{"model":"m","input":"hi","text":{"format":{"type":"grammar","grammar":"g"}}}`,
	"empty text":    `{"model":"m","input":"hi","text":{}}`,
	"null format":   `{"model":"m","input":"hi","text":{"format":null,"verbosity":null}}`,
	"housekeeping":  `{"model":"m","input":"hi","store":true,"background":true,"truncation":"auto","safety_identifier":"s","user":"u","metadata":{"b":"1","a":"2"},"service_tier":"flex","stream":true,"stream_options":{"include_obfuscation":false},"include":["message.output_text.logprobs","file_search_call.results"],"top_logprobs":2,"unknown":{"x":[1.50]}}`,
	"quiet include": `{"model":"m","input":"hi","store":false,"background":false,"truncation":"disabled","service_tier":"auto","include":["reasoning.encrypted_content"]}`,
}

// responsesReplies are answers that must survive the same way.
var responsesReplies = map[string]string{
	"a whole answer": `{"id":"resp_1","object":"response","created_at":1741476542,"status":"completed","completed_at":1741476543,
		"error":null,"incomplete_details":null,"instructions":"x","max_output_tokens":null,"model":"gpt-5","output":[
		{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"e"},
		{"type":"message","id":"msg_1","status":"completed","role":"assistant","phase":"commentary","content":[
		{"type":"output_text","text":"a","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]},
		{"type":"message","id":"msg_2","status":"completed","role":"assistant","content":[
		{"type":"output_text","text":"b","annotations":[{"type":"url_citation"}],"logprobs":[{"token":"b","logprob":-0.50,"bytes":[98],"top_logprobs":[{"token":"c","logprob":-1,"bytes":null}]}]}]},
		{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{}","status":"completed"},
		{"type":"web_search_call","id":"ws_1","status":"completed"},
		{"type":"message","id":"msg_3","status":"in_progress","role":"assistant","content":[]}],
		"parallel_tool_calls":true,"temperature":1.0,"tools":[],"metadata":{},"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":4},
		"output_tokens":87.0,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":123,"cost":1.50},"user":null}`,
	"cut off":          `{"id":"resp_1","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"model":"m","output":[],"usage":null}`,
	"failed":           `{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"x"},"output":[],"model":"m"}`,
	"odd members":      `{"id":7,"model":null,"created_at":1.5,"status":3,"output":{"a":1},"usage":[],"incomplete_details":"x","error":"y"}`,
	"odd items":        `{"output":[1,"x",null,{"type":"message"},{"type":"message","role":"user","content":[]},{"role":"assistant","content":[]},{"type":"message","role":"assistant","content":"bare"},{"type":"function_call"},{"type":"reasoning","summary":7},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"x","item":1}]},{"type":"message","role":"assistant","content":[{"type":"odd"},{"type":"output_text","text":"x"}]}]}`,
	"nothing":          `{"output":null}`,
	"created as float": `{"created_at":1741476542.0,"output":[],"usage":{"input_tokens":null}}`,
}

// responsesTree is a JSON value of which only the order of members does not count:
// numbers keep their spelling.
func responsesTree(t *testing.T, raw []byte) any {
	t.Helper()
	if o, err := openObject(raw, where{}); err == nil {
		tree := map[string]any{}
		for _, m := range o.members {
			tree[m.name()] = responsesTree(t, m.value)
		}
		return tree
	}
	if len(raw) > 0 && raw[0] == '[' {
		list := []any{}
		for _, el := range elements(raw) {
			list = append(list, responsesTree(t, el))
		}
		return list
	}
	if s, ok := wire.String(raw); ok {
		return s
	}
	return "raw " + string(raw)
}

func responsesSame(t *testing.T, got, want []byte) {
	t.Helper()
	if _, err := wire.Scan(got, nil, nil); err != nil {
		t.Fatalf("what was written is not JSON: %v\n%s", err, got)
	}
	if diff := cmp.Diff(responsesTree(t, want), responsesTree(t, got)); diff != "" {
		t.Errorf("the JSON changed (-want +got):\n%s", diff)
	}
}

func TestResponsesCallSurvivesTheRoundTrip(t *testing.T) {
	for name, body := range responsesCalls {
		t.Run(name, func(t *testing.T) {
			call, err := ReadCall(ResponsesCodec{}, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			out, losses, err := ResponsesCodec{}.EncodeCall(nil, call)
			if err != nil || len(losses) > 0 {
				t.Fatalf("encoding: %v, losses %v", err, losses)
			}
			responsesSame(t, out, []byte(body))
		})
	}
}

func TestResponsesReplySurvivesTheRoundTrip(t *testing.T) {
	for name, body := range responsesReplies {
		t.Run(name, func(t *testing.T) {
			reply, err := ResponsesCodec{}.DecodeReply([]byte(body), new(At))
			if err != nil {
				t.Fatal(err)
			}
			out, losses, err := ResponsesCodec{}.EncodeReply(nil, reply)
			if err != nil || len(losses) > 0 {
				t.Fatalf("encoding: %v, losses %v", err, losses)
			}
			responsesSame(t, out, []byte(body))
		})
	}
}

// A provider's error under a status of success must not become an empty answer.
func TestResponsesReplyIsNotAnErrorEnvelope(t *testing.T) {
	for _, body := range []string{`{}`, `{"error":{"message":"m","type":"invalid_request_error"}}`, `{"choices":[]}`} {
		if reply, err := (ResponsesCodec{}).DecodeReply([]byte(body), new(At)); err == nil {
			t.Errorf("%s is read as %+v", body, reply)
		}
	}
}

func TestResponsesCallErrorsNameTheMember(t *testing.T) {
	cases := map[string]string{
		`{"input":"x"}`:             `model: is missing`,
		`{"model":"","input":"x"}`:  `model: must name a model`,
		`{"model":7}`:               `model: must be a string`,
		`{"model":"m","input":7}`:   `input: must be a string or a list of items`,
		`{"model":"m","input":[7]}`: `input[0]: must be an object`,
		`{"model":"m","input":[{"role":"critic","content":"x"}]}`:                                   `input[0].role: must be user, assistant, system or developer`,
		`{"model":"m","input":[{"role":"user"}]}`:                                                   `input[0].content: must be a string or a list of parts`,
		`{"model":"m","input":[{"role":"user","content":[{"text":1}]}]}`:                            `input[0].content[0].type: is missing`,
		`{"model":"m","input":[{"role":"user","content":[{"type":"input_text"}]}]}`:                 `input[0].content[0].text: is missing`,
		`{"model":"m","input":[{"role":"user","content":[{"type":"input_audio"}]}]}`:                `input[0].content[0].input_audio: is required and must be an object`,
		`{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":{}}]}]}`: `input[0].content[0].image_url: must be a string`,
		`{"model":"m","input":[{"type":"function_call","name":"f","arguments":"{}"}]}`:              `input[0].call_id: is missing`,
		`{"model":"m","input":[{"type":"reasoning","summary":{}}]}`:                                 `input[0].summary: must be a list`,
		`{"model":"m","tools":[{"type":"function"}]}`:                                               `tools[0].name: is missing`,
		`{"model":"m","tools":[{"type":"function","name":"f","parameters":[]}]}`:                    `tools[0].parameters: must be an object`,
		`{"model":"m","tool_choice":7}`:                                                             `tool_choice: must be a string or an object`,
		`{"model":"m","text":{"format":{}}}`:                                                        `text.format.type: is missing`,
		`{"model":"m","text":{"format":"json"}}`:                                                    `text.format: must be an object`,
		`{"model":"m","metadata":{"a":1}}`:                                                          `metadata.a: must be a string`,
		`{"model":"m","stream":"yes"}`:                                                              `stream: must be true or false`,
		`{"model":"m","temperature":"hot"}`:                                                         `temperature: must be a number`,
		`{"model":"m","max_output_tokens":1.5}`:                                                     `max_output_tokens: must be a whole number`,
		`{"model":"m","max_output_tokens":-1}`:                                                      `max_output_tokens: must be between 0 and 2147483647`,
		`{"model":"m","top_logprobs":-1}`:                                                           `top_logprobs: must be between 0 and 2147483647`,
		`{"model":"m","model":"n"}`:                                                                 `member "model" appears twice: send it once`,
		`[]`:                                                                                        `invalid JSON at byte 0: a JSON object must start here`,
	}
	for body, want := range cases {
		if _, err := ReadCall(ResponsesCodec{}, []byte(body)); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", body, err, want)
		}
	}
}

func TestResponsesCallIsSaidInCanonicalWords(t *testing.T) {
	body := `{"model":"m","instructions":"one","input":[{"role":"developer","content":"two"},{"role":"user","content":[
		{"type":"input_text","text":"look"},{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"low"}]},
		{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}],"encrypted_content":"sig"},
		{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"42"}],
		"tool_choice":"required","include":["message.output_text.logprobs"],"text":{"format":{"type":"json_object"}},"reasoning":{"effort":"low"},
		"max_output_tokens":50}`
	call, err := ReadCall(ResponsesCodec{}, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	responsesBare := func(parts []llm.Part) []llm.Part {
		for i := range parts {
			parts[i].Extra = llm.Extra{}
			if r := parts[i].Result; r != nil {
				r.Parts[0].Extra = llm.Extra{}
			}
		}
		return parts
	}
	text := func(s string) llm.Part { return llm.Part{Kind: llm.PartText, Text: quoted(s)} }
	wants := [][]llm.Part{
		{text("look"), {Kind: llm.PartImage, Media: &llm.Media{Type: "image/png", Data: "AAAA", Detail: "low"}}},
		{{Kind: llm.PartThinking, Text: quoted("a\n\nb"), Signature: "sig", SignedBy: llm.Responses}},
		{{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: "c", Name: "f", Arguments: "{}"}}},
		{{Kind: llm.PartToolResult, Result: &llm.ToolResult{CallID: "c", Parts: []llm.Part{text("42")}}}},
	}
	if diff := cmp.Diff([]llm.Part{text("one"), text("two")}, responsesBare(call.System)); diff != "" {
		t.Errorf("system: %s", diff)
	}
	roles := []llm.Role{llm.RoleUser, llm.RoleAssistant, llm.RoleAssistant, llm.RoleTool}
	for i, turn := range call.Turns {
		if diff := cmp.Diff(wants[i], responsesBare(turn.Parts)); diff != "" || turn.Role != roles[i] {
			t.Errorf("turn %d of the %s: %s", i, turn.Role, diff)
		}
	}
	if call.Choice.Mode != llm.ToolRequired || !call.Logprobs.Want || call.Output.Kind != llm.OutputJSON ||
		call.Reasoning.Effort != "low" || call.Sampling.MaxTokens != 50 {
		t.Errorf("settings: %+v", call)
	}
}

func TestResponsesStatefulCallsAreNamed(t *testing.T) {
	cases := map[string]string{
		`{"model":"m","input":"x","previous_response_id":"r"}`:                                                            "previous_response_id",
		`{"model":"m","input":"x","previous_response_id":null}`:                                                           "",
		`{"model":"m","input":"x","conversation":"c"}`:                                                                    "conversation",
		`{"model":"m","prompt":{"id":"p"}}`:                                                                               "prompt",
		`{"model":"m","input":"x","background":true}`:                                                                     "background",
		`{"model":"m","input":"x","background":false,"store":true}`:                                                       "",
		`{"model":"m","input":[{"type":"item_reference","id":"x"}]}`:                                                      "input[].item_reference",
		`{"model":"m","input":[{"id":"x"}]}`:                                                                              "input[].item_reference",
		`{"model":"m","input":[{"type":"web_search_call","id":"x"},{"role":"user","content":[{"type":"odd","id":"x"}]}]}`: "",
	}
	for body, want := range cases {
		call, err := ReadCall(ResponsesCodec{}, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := ResponsesStateful(call); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", body, got, ok)
		}
	}
	if _, ok := ResponsesStateful(&llm.Call{Extra: llm.Extra{Dialect: llm.Chat, Members: []byte(`{"prompt":1}`)}}); ok {
		t.Error("a chat call is taken for a stateful one")
	}
}
