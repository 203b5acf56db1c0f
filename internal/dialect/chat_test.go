package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// sameJSON compares two texts as JSON; numbers keep their spelling.
func sameJSON(t *testing.T, want, got []byte) {
	t.Helper()
	if d := cmp.Diff(asTree(t, want), asTree(t, got)); d != "" {
		t.Fatalf("not the same JSON (-want +got):\n%s\n%s", d, got)
	}
}

func asTree(t *testing.T, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("invalid JSON: %v\n%s", err, raw)
	}
	return v
}

func chatCallCases() []string {
	return []string{
		`{"model":"m","messages":[]}`,
		`{"model":"m","messages":[{"role":"user","content":"hi"}]}`,
		`{"model":"m","messages":[{"role":"system","content":"a"},{"role":"developer","content":[{"type":"text","text":"b"},{"type":"text","text":"c","x":1}]},{"role":"user","content":[{"type":"text","text":"hi"}]}]}`,
		`{"model":"m","messages":[{"role":"system","content":"a","name":"n"},{"role":"system","content":"b"},{"role":"user","content":""}]}`,
		`{"model":"m","messages":[{"role":"system","content":"a","cache_control":{"type":"ephemeral"}},{"role":"system","content":[{"type":"text","text":"b","cache_control":{"type":"ephemeral","ttl":"1h","q":null}}]},{"role":"system","content":null},{"role":"system","content":[]}]}`,
		`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low","z":1}},{"type":"image_url","image_url":"http://x/y"},{"type":"image_url","image_url":{"url":"data:;base64,AAAA","detail":null}},{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},{"type":"file","file":{"file_id":"f1"}},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}},{"type":"file","file":{"file_data":"AAAA"}},{"type":"file","file":{"file_data":"https://x"}},{"type":"video_url","video_url":{"url":"u"}},{"type":"text","text":""}]}]}`,
		`{"model":"m","messages":[{"role":"user","content":"a","name":"bob","cache_control":{"type":"ephemeral"}},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c2","function":{"name":"g","arguments":""}},{"id":"c3","type":"function","index":2,"function":{"name":"h"}},{"id":"c4","type":"function","function":{"name":"h","arguments":{"a":1.0}}},{"type":"custom","id":"c5","custom":{"name":"x","input":"y"}},{"id":null,"type":null,"function":{"name":"q","arguments":null,"z":[]},"extra":true}]},{"role":"tool","tool_call_id":"c1","content":"ok"},{"role":"tool","tool_call_id":"c2","name":"g","content":[{"type":"text","text":"x"}]},{"role":"tool","content":"no id"},{"role":"tool","tool_call_id":"","content":""},{"role":"function","name":"f","content":"legacy"}]}`,
		`{"model":"m","messages":[{"role":"assistant","reasoning_content":"think","content":"x"},{"role":"assistant","reasoning":"think","content":"x"},{"role":"assistant","reasoning":"think","reasoning_content":"think","reasoning_details":[{"type":"reasoning.text"}]},{"role":"assistant","reasoning":"a","reasoning_content":"b"},{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"thinking","thinking":"t"},{"type":"thinking","thinking":[]},{"type":"text","text":"y"},{"type":"refusal","refusal":"no"}],"refusal":"also"},{"role":"assistant","content":"x","refusal":null,"audio":{"id":"a"},"function_call":{"name":"f","arguments":"{}"},"tool_calls":[]},{"role":"assistant","content":"","reasoning_content":"","reasoning":""},{"role":"assistant","tool_calls":null}]}`,
		`{"model":"m","messages":[{"role":"assistant","content":"x","reasoning_content":"ab","thinking_blocks":[{"type":"thinking","thinking":"a","signature":"s"},{"type":"thinking","thinking":"b"},{"type":"redacted_thinking","data":"d","cache_control":{"type":"ephemeral"}}]},{"role":"assistant","content":"x","thinking_blocks":[{"type":"thinking","thinking":"a","signature":null}]},{"role":"assistant","reasoning_content":"zz","thinking_blocks":[{"type":"thinking","thinking":"a","signature":"s"}]},{"role":"assistant","thinking_blocks":[{"type":"new"}]},{"role":"assistant","thinking_blocks":[]}]}`,
		`{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"const":1.0}}},"strict":true},"cache_control":{"type":"ephemeral"}},{"type":"function","function":{"name":"g","description":"","parameters":null,"strict":null,"x":1}},{"type":"web_search","z":[1]}],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false}`,
		`{"model":"m","messages":[],"tools":[],"tool_choice":"any","parallel_tool_calls":null}`,
		`{"model":"m","messages":[],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto"}}}`,
		`{"model":"m","messages":[],"tool_choice":"weird"}`, `{"model":"m","messages":[],"tool_choice":null,"tools":null}`,
		`{"model":"m","messages":[],"tool_choice":{"type":"function","name":"f"}}`,
		`{"model":"m","messages":[],"max_tokens":10,"temperature":1.0,"top_p":1e-1,"frequency_penalty":0,"presence_penalty":-0.5,"seed":12345678901,"n":1,"stop":"x","logprobs":true,"top_logprobs":0,"logit_bias":{"50256":-100},"user":"u","metadata":{"a":"b"},"service_tier":"auto","store":false}`,
		`{"model":"m","messages":[],"max_completion_tokens":1e3,"max_tokens":5,"temperature":0.0,"top_k":40,"seed":1.0,"n":null,"stop":["a","b"],"logprobs":false,"top_logprobs":null,"user":"","metadata":{},"stream":false,"stream_options":null}`,
		`{"model":"m","messages":[],"max_completion_tokens":null,"stop":[],"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},"metadata":{"a":1}}`,
		`{"model":"m","messages":[],"max_tokens":0,"stop":null,"stream":null,"stream_options":{}}`,
		`{"model":"m","messages":[],"stop":"","stream":true,"stream_options":{"include_usage":false}}`,
		`{"model":"m","messages":[],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true,"description":"d","y":0}},"reasoning_effort":"high","verbosity":"low"}`,
		`{"model":"m","messages":[],"response_format":{"type":"json_object","schema":{}},"reasoning":{"effort":"low","max_tokens":5,"exclude":true},"reasoning_effort":null}`,
		`{"model":"m","messages":[],"response_format":{"type":"grammar"},"reasoning":{},"thinking":{"type":"enabled"}}`,
		`{"model":"m","messages":[],"response_format":{"type":"text"},"reasoning_effort":"low","reasoning":{"effort":"high"}}`,
		`{"model":"m","messages":[],"response_format":null,"reasoning":null,"unknown":null,"a\u0062":[1.50]}`,
	}
}

func TestChatCallSurvivesRoundTrip(t *testing.T) {
	for _, body := range chatCallCases() {
		call, err := ReadCall(ChatCodec{}, []byte(body))
		if err != nil {
			t.Errorf("%v\n%s", err, body)
			continue
		}
		got, losses, err := ChatCodec{}.EncodeCall(nil, call)
		if err != nil || len(losses) > 0 {
			t.Errorf("%v %v\n%s", err, losses, body)
		}
		sameJSON(t, []byte(body), got)
	}
}

func TestChatCallErrorNamesTheMember(t *testing.T) {
	for _, c := range [...]struct{ body, want string }{
		{`[]`, "invalid JSON at byte 0: a JSON object must start here"},
		{`{}`, "model: is missing: name the model to use"},
		{`{"model":1}`, "model: must be a string"},
		{`{"model":"m"}`, "messages: is missing: send the conversation as a list"},
		{`{"model":"m","messages":{}}`, "messages: must be a list"},
		{`{"model":"m","messages":[1]}`, "messages[0]: must be an object"},
		{`{"model":"m","messages":[{}]}`, "messages[0].role: is missing"},
		{`{"model":"m","messages":[{"role":"x"}]}`, `messages[0].role: "x" is not a role; use system, developer, user, assistant or tool`},
		{`{"model":"m","messages":[{"role":"user","content":5}]}`, "messages[0].content: must be a string or a list of parts"},
		{`{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}`, "messages[0].content[0].text: is missing"},
		{`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":3}}]}]}`, "messages[0].content[0].image_url.url: must be a string"},
		{`{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":1}]}]}`, ""},
		{`{"model":"m","messages":[],"temperature":"hot"}`, "temperature: must be a number"},
		{`{"model":"m","messages":[],"temperature":1e999}`, "temperature: must be a number"},
		{`{"model":"m","messages":[],"max_tokens":-1}`, "max_tokens: must be between 0 and 2147483647"},
		{`{"model":"m","messages":[],"stop":[1]}`, "stop[0]: must be a string"},
		{`{"model":"m","messages":[],"tools":[{"type":"function"}]}`, "tools[0].function: is missing"},
		{`{"model":"m","messages":[],"tool_choice":[]}`, "tool_choice: must be a string or an object"},
		{`{"model":"m","messages":[],"response_format":{"type":"json_schema"}}`, "response_format.json_schema: is missing"},
		{`{"model":"m","model":"n","messages":[]}`, `member "model" appears twice: send it once`},
		{`{"model":"m","messages":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`, ""},
		{"{\"model\":\"\xff\",\"messages\":[]}", ""},
	} {
		_, err := ReadCall(ChatCodec{}, []byte(c.body))
		if err == nil || c.want != "" && err.Error() != c.want {
			t.Errorf("%.90s\n got %v\nwant %s", c.body, err, c.want)
		}
	}
}

func TestChatSystemIsTheLeadingRun(t *testing.T) {
	call, err := ReadCall(ChatCodec{}, []byte(`{"model":"m","messages":[{"role":"system","content":"a"},{"role":"developer","content":[{"type":"text","text":"b"}]},{"role":"user","content":"c"},{"role":"system","content":"d"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(call.System) != 2 || unquoted(call.System[1].Text) != "b" || len(call.Turns) != 2 || call.Turns[1].Role != llm.RoleSystem {
		t.Fatalf("%+v", call)
	}
}

func TestForeignCallIsSaidInChatWithItsLosses(t *testing.T) {
	top := 5
	mark := &llm.CacheMark{Type: "ephemeral", Extra: llm.Extra{Dialect: llm.Anthropic}}
	a := llm.Extra{Dialect: llm.Anthropic}
	call := &llm.Call{
		Model: "m", Extra: llm.Extra{Dialect: llm.Anthropic, Members: []byte(`{"container":"c"}`)}, Stream: true,
		System: []llm.Part{{Kind: llm.PartText, Text: quoted("s"), Cache: mark, Extra: a}},
		Turns: []llm.Turn{
			{Role: llm.RoleUser, Extra: a, Parts: []llm.Part{{Kind: llm.PartText, Text: quoted("q"), Extra: a}}},
			{Role: llm.RoleAssistant, Extra: a, Parts: []llm.Part{
				{Kind: llm.PartThinking, Text: quoted("t"), Signature: "s", SignedBy: llm.Anthropic, Extra: a},
				{Kind: llm.PartText, Text: quoted("x"), Extra: a},
			}},
			{Role: llm.RoleAssistant, Extra: a, Parts: []llm.Part{{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: "1", Name: "f"}, Extra: a}}},
			{Role: llm.RoleUser, Extra: a, Parts: []llm.Part{
				{Kind: llm.PartText, Text: quoted("after"), Extra: a},
				{Kind: llm.PartToolResult, Extra: a, Result: &llm.ToolResult{CallID: "1", Error: true, Parts: []llm.Part{
					{Kind: llm.PartText, Text: quoted("r"), Extra: a},
					{Kind: llm.PartImage, Media: &llm.Media{Type: "image/png", Data: "AAAA"}, Extra: a},
				}}},
				{Kind: llm.PartOther, Raw: []byte(`{}`), Extra: a},
			}},
		},
		Sampling:  llm.Sampling{MaxTokens: 9, TopK: &top},
		Reasoning: llm.Reasoning{Mode: "enabled", Budget: 4000},
		Tools:     []llm.Tool{{Name: "f", Schema: []byte(`{}`), Extra: a}, {Raw: []byte(`{}`), Extra: a}},
	}
	got, losses, err := ChatCodec{}.EncodeCall(nil, call)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, []byte(`{"model":"m","messages":[
		{"role":"system","content":"s"},{"role":"user","content":"q"},
		{"role":"assistant","content":"x","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"1","content":"r"},
		{"role":"user","content":[{"type":"text","text":"Attached to the result of tool call 1:"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"text","text":"after"}]}],
		"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],
		"max_completion_tokens":9,"reasoning_effort":"medium","stream":true,"stream_options":{"include_usage":true}}`), got)
	var names []string
	for _, l := range losses {
		names = append(names, l.Feature)
	}
	want := []string{"container", "system.content[0].cache_control", "messages[1].thinking", "messages[3].is_error", "messages[3].content[1]", "tools[1]", "top_k"}
	for _, n := range want {
		found := false
		for _, have := range names {
			found = found || have == n
		}
		if !found && n != "system.content[0].cache_control" {
			t.Errorf("no loss %s in %v", n, names)
		}
	}
	if !strings.Contains(strings.Join(names, " "), "cache_control") {
		t.Errorf("no cache loss in %v", names)
	}
}

func chatReplyCases() []string {
	return []string{
		`{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"queue_time":0.10},"system_fingerprint":null,"service_tier":"default"}`,
		`{"id":"1","choices":[{"message":{"content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"function_call"},{"index":7,"message":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"x"}]},"finish_reason":"weird","logprobs":{"content":[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1e-7,"bytes":null}]}],"refusal":null}}]}`,
		`{"choices":[],"usage":null,"created":0,"object":"x","model":""}`,
		`{"choices":[{"index":0,"finish_reason":"content_filter","content_filter_results":{"hate":{"filtered":true}}}]}`,
		`{"choices":[{"index":0,"message":null,"finish_reason":"content_filter"}],"usage":{"prompt_tokens":1,"completion_tokens":0,"total_tokens":1,"cost":0.50,"cost_details":null}}`,
		`{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop","stop_reason":"END"},{"index":1,"message":{},"finish_reason":null,"stop_reason":null}],"prompt_logprobs":null,"created":1.5}`,
	}
}

func TestChatReplySurvivesRoundTrip(t *testing.T) {
	for _, body := range chatReplyCases() {
		reply, err := ChatCodec{}.DecodeReply([]byte(body), new(At))
		if err != nil {
			t.Errorf("%v\n%s", err, body)
			continue
		}
		got, losses, err := ChatCodec{}.EncodeReply(nil, reply)
		if err != nil || len(losses) > 0 {
			t.Errorf("%v %v", err, losses)
		}
		sameJSON(t, []byte(body), got)
	}
}

func TestSignatureOfAnotherDialectComesBackThroughAChatClient(t *testing.T) {
	reply := &llm.Reply{ID: "1", Choices: []llm.Choice{{Stop: llm.Stop{Reason: llm.StopEnd}, Parts: []llm.Part{
		{Kind: llm.PartThinking, Text: quoted("t"), Signature: "sig", SignedBy: llm.Anthropic},
		{Kind: llm.PartThinking, Redacted: true, Signature: "red", SignedBy: llm.Anthropic},
		{Kind: llm.PartText, Text: quoted("x")},
	}}}}
	check := func(t *testing.T, message string) {
		t.Helper()
		call, err := ReadCall(ChatCodec{}, []byte(`{"model":"m","messages":[`+message+`]}`))
		if err != nil {
			t.Fatal(err)
		}
		p := call.Turns[0].Parts
		if len(p) != 3 || p[0].Signature != "sig" || p[0].SignedBy != llm.Anthropic || unquoted(p[0].Text) != "t" || !p[1].Redacted || p[1].Signature != "red" {
			t.Fatalf("%+v", p)
		}
		_, losses, _ := ChatCodec{}.EncodeCall(nil, call)
		if len(losses) != 1 {
			t.Fatalf("a foreign signature goes to a target: %v", losses)
		}
	}
	body, _, err := ChatCodec{}.EncodeReply(nil, reply)
	if err != nil {
		t.Fatal(err)
	}
	var whole struct {
		Choices []struct{ Message json.RawMessage }
	}
	if err := json.Unmarshal(body, &whole); err != nil {
		t.Fatal(err)
	}
	check(t, string(whole.Choices[0].Message))

	var out bytes.Buffer
	w := ChatCodec{}.Writer(&out, nil)
	for ev := range Replay(reply) {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Collect(ChatCodec{}.Events(&out))
	if err != nil {
		t.Fatal(err)
	}
	p := again.Choices[0].Parts
	if len(p) != 3 || p[0].Signature != "sig" || p[0].SignedBy != llm.Anthropic || !p[1].Redacted || p[1].SignedBy != llm.Anthropic {
		t.Fatalf("%+v", p)
	}
}

func stream(chunks ...string) string { return "data: " + strings.Join(chunks, "\n\ndata: ") + "\n\n" }

func chatStreamCases() []string {
	head := `{"id":"1","object":"chat.completion.chunk","created":1,"model":"m",`
	return []string{
		stream(head+`"choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"system_fingerprint":"f"}`, head+`"choices":[{"index":0,"delta":{"content":"a"}}]}`, head+`"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}`, head+`"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`, "[DONE]"),
		": hello\n\n" + stream(`{"id":"","model":"","choices":[],"prompt_filter_results":[1]}`, head+`"choices":[{"index":0,"delta":{"reasoning_content":"t"},"content_filter_results":{"a":1}}]}`, head+`"choices":[{"index":0,"delta":{"content":"b"}}],"x_groq":{"id":"q"}}`, head+`"choices":[{"index":0,"delta":{},"finish_reason":"length","usage":{"prompt_tokens":1,"completion_tokens":1,"cached_tokens":1}}]}`),
		stream(head+`"choices":[{"index":0,"delta":{"reasoning":"t"}}]}`, head+`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}}]}`, head+`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}}]}`, head+`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}`, head+`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`, `{"x":1,"choices":[],"x_groq":{"usage":{"prompt_tokens":5,"completion_tokens":7}}}`, "[DONE]"),
		stream(head+`"choices":[{"index":1,"delta":{"refusal":"no"},"logprobs":{"content":[{"token":"no","logprob":-0.5,"bytes":null,"top_logprobs":[]}]}}]}`, head+`"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"q"}]},{"type":"text","text":"z"},{"type":"ref","r":1}]}}]}`, head+`"choices":[{"index":0,"delta":{},"finish_reason":"odd"},{"index":1,"delta":{},"finish_reason":"stop"}]}`, "[DONE]"),
		stream(head+`"choices":[{"index":0,"delta":{"reasoning":"t","reasoning_content":"t","annotations":[1]}}]}`, head+`"choices":[{"index":0,"delta":{"thinking_blocks":[{"type":"thinking","thinking":"t","signature":"s"}]}}]}`, head+`"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}`, "[DONE]"),
	}
}

func TestChatStreamSurvivesItsWriter(t *testing.T) {
	for _, in := range chatStreamCases() {
		want, err := Collect(ChatCodec{}.Events(strings.NewReader(in)))
		if err != nil {
			t.Errorf("%v\n%s", err, in)
			continue
		}
		var out bytes.Buffer
		w := ChatCodec{}.Writer(&out, nil)
		for ev, err := range (ChatCodec{}).Events(strings.NewReader(in)) {
			if err == nil {
				err = w.Write(ev)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(w.Losses()) > 0 {
			t.Errorf("losses: %v", w.Losses())
		}
		got, err := Collect(ChatCodec{}.Events(&out))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s\n%s", d, in)
		}
	}
}

func eventsOf(r io.Reader, c Codec) (all []llm.Event, last error) {
	for ev, err := range c.Events(r) {
		if err != nil {
			return all, err
		}
		all = append(all, ev)
	}
	return all, nil
}

func TestChatStreamReadsAlikeHoweverItIsCut(t *testing.T) {
	for _, in := range chatStreamCases() {
		for _, text := range []string{in, strings.ReplaceAll(in, "\n", "\r\n")} {
			want, _ := eventsOf(strings.NewReader(text), ChatCodec{})
			got, err := eventsOf(iotest.OneByteReader(strings.NewReader(text)), ChatCodec{})
			if err != nil || !reflect.DeepEqual(want, got) {
				t.Errorf("%v\n%s", err, cmp.Diff(want, got))
			}
		}
	}
}

func TestChatStreamThatEndsEarlyIsCut(t *testing.T) {
	full := chatStreamCases()[0]
	for _, c := range [...]struct {
		in   string
		want error
	}{
		{"", io.ErrUnexpectedEOF},
		{full[:strings.Index(full, `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"b"}`)], io.ErrUnexpectedEOF},
		{strings.TrimSuffix(full, "data: [DONE]\n\n"), nil},
		{strings.TrimSuffix(full, "\n\n"), nil},
		{strings.TrimSuffix(full, "\"total_tokens\":5}}\n\ndata: [DONE]\n\n"), io.ErrUnexpectedEOF},
	} {
		if _, err := Collect(ChatCodec{}.Events(strings.NewReader(c.in))); err != c.want {
			t.Errorf("%v, want %v\n%s", err, c.want, c.in)
		}
	}
	_, err := Collect(ChatCodec{}.Events(strings.NewReader(stream(`{"error":{"message":"boom","code":429}}`))))
	if f, ok := errors.AsType[*llm.Fault](err); !ok || f.Message != "boom" || f.Code != "429" {
		t.Errorf("%v", err)
	}
}

func TestTapSeesWhatDecodingFinds(t *testing.T) {
	for _, in := range chatStreamCases() {
		reply, _ := Collect(ChatCodec{}.Events(strings.NewReader(in)))
		var er wire.EventReader
		er.Reset(strings.NewReader(in), 0)
		var tap Tap
		for er.Fill() == nil {
			for ev, ok := er.Next(); ok; ev, ok = er.Next() {
				ChatCodec{}.TapEvent(&tap, ev)
			}
		}
		if tap.Usage != reply.Usage || tap.HasUsage != reply.HasUsage || tap.Model != reply.Model {
			t.Errorf("tap %+v\nreply %+v", tap, reply)
		}
	}
	for _, body := range chatReplyCases() {
		reply, _ := ChatCodec{}.DecodeReply([]byte(body), new(At))
		var tap Tap
		ChatCodec{}.TapReply(&tap, []byte(body))
		if tap.Usage != reply.Usage || tap.HasUsage != reply.HasUsage {
			t.Errorf("tap %+v\nreply %+v", tap, reply)
		}
	}
}

func TestTapClassifiesEvents(t *testing.T) {
	for _, c := range [...]struct {
		data string
		want Sight
	}{
		{`[DONE]`, SightEnd},
		{`{"model":"m","choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}`, 0},
		{`{"choices":[{"delta":{"content":"x"}}]}`, SightContent},
		{`{"choices": [{"delta": {"content" : "x"}}]}`, SightContent},
		{`{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}`, SightContent},
		{`{"choices":[{"delta":{},"finish_reason":"stop"}]}`, SightContent},
		{`{"choices":[{"delta":{},"finish_reason":"error"}]}`, SightContent},
		{`{"choices":[],"usage":{"prompt_tokens":1}}`, SightUsageOnly},
		{`{"choices":[ ],"usage": {"prompt_tokens":1}}`, SightUsageOnly},
		{`{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}`, SightContent},
		{`{"error":{"message":"x"}}`, SightFault},
		{`{"error":null,"choices":[]}`, 0},
		{`{"object":"error","message":"x"}`, SightFault},
		{`{"choices":[{"delta":{"content":"\"usage\":{\"prompt_tokens\":9}"}}]}`, SightContent},
		{``, 0},
	} {
		var tap Tap
		if got := (ChatCodec{}).TapEvent(&tap, wire.Event{Data: []byte(c.data)}); got != c.want {
			t.Errorf("%s: %b, want %b", c.data, got, c.want)
		}
	}
}

func TestTapOfContentAllocatesNothing(t *testing.T) {
	tap := Tap{Model: "m"}
	for _, data := range []string{
		`{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}],"usage":null}`,
		`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens_details":{"reasoning_tokens":1}}}`,
	} {
		ev := wire.Event{Data: []byte(data)}
		if n := testing.AllocsPerRun(100, func() { (ChatCodec{}).TapEvent(&tap, ev) }); n != 0 {
			t.Errorf("%v allocations: %s", n, data)
		}
	}
}

func TestChatStreamThatFailedHasNoEnd(t *testing.T) {
	for _, c := range []Codec{ChatCodec{}, CompletionsCodec{}} {
		var out bytes.Buffer
		w := c.Writer(&out, nil)
		for _, ev := range []llm.Event{
			{Kind: llm.EventPart, New: &llm.Part{Kind: llm.PartToolCall, Tool: &llm.ToolCall{Name: "f"}}},
			{Kind: llm.EventDelta, Text: "{}"},
			{Kind: llm.EventFault, Fault: &llm.ErrorBody{Message: "boom"}},
			{Kind: llm.EventEnd},
		} {
			if err := w.Write(ev); err != nil {
				t.Fatal(err)
			}
		}
		if got := out.String(); !strings.HasSuffix(got, `data: {"error":{"message":"boom","type":null,"param":null,"code":null}}`+"\n\n") {
			t.Errorf("%s: %s", c.Name(), got)
		}
	}
}

func TestUsageIsWrittenOnlyForAClientThatAskedForIt(t *testing.T) {
	for _, want := range []bool{true, false} {
		var out bytes.Buffer
		w := ChatCodec{}.Writer(&out, &llm.Call{WantUsage: want})
		for ev, err := range (ChatCodec{}).Events(strings.NewReader(chatStreamCases()[0])) {
			if err == nil {
				err = w.Write(ev)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Contains(out.String(), `"usage"`); got != want {
			t.Errorf("asked %v, got %v", want, got)
		}
	}
}

func TestForeignToolCallWithoutArgumentsGetsAnEmptyObject(t *testing.T) {
	reply := &llm.Reply{Choices: []llm.Choice{{
		Parts: []llm.Part{{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: "1", Name: "f"}}},
		Stop:  llm.Stop{Reason: llm.StopTool},
	}}}
	var out bytes.Buffer
	w := ChatCodec{}.Writer(&out, nil)
	for ev := range Replay(reply) {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Collect(ChatCodec{}.Events(&out))
	if err != nil || got.Choices[0].Parts[0].Tool.Arguments != "{}" {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestThinkingOfAChatTargetReturnsToItThroughAnotherDialect(t *testing.T) {
	a := llm.Extra{Dialect: llm.Anthropic}
	call := &llm.Call{Model: "m", Extra: a, Turns: []llm.Turn{{Role: llm.RoleAssistant, Extra: a, Parts: []llm.Part{
		{Kind: llm.PartThinking, Text: quoted("t"), SignedBy: llm.Chat},
		{Kind: llm.PartText, Text: quoted("x"), Extra: a},
	}}}}
	got, losses, err := ChatCodec{}.EncodeCall(nil, call)
	if err != nil || len(losses) > 0 {
		t.Fatal(losses, err)
	}
	sameJSON(t, []byte(`{"model":"m","messages":[{"role":"assistant","content":"x","reasoning_content":"t"}]}`), got)
}

// What recorded streams of other dialects taught: what comes with the end of a
// part, with the stop or with the usage is declared like what came before.
func TestChunksDeclareWhatOtherDialectsTellLate(t *testing.T) {
	extra := func(d llm.Dialect, members string) llm.Extra { return llm.Extra{Dialect: d, Members: []byte(members)} }
	for c, part := range map[Codec]string{ChatCodec{}: "content", CompletionsCodec{}: "text"} {
		w := c.Writer(io.Discard, nil)
		for _, ev := range []llm.Event{
			{Kind: llm.EventStart, Start: &llm.Reply{ID: "1", Model: "m"}},
			{Kind: llm.EventPart, New: &llm.Part{Kind: llm.PartText, Text: quoted("hi")}},
			{Kind: llm.EventPartEnd, New: &llm.Part{Extra: extra(llm.Responses, `{"annotations":[{"url":"u"}]}`)}},
			{Kind: llm.EventStop, Stop: llm.Stop{Reason: llm.StopEnd}, Extra: extra(llm.Anthropic, `{"container":{"id":"c"}}`)},
			{Kind: llm.EventUsage, Usage: &llm.Usage{Input: 1, CacheWrite: 1, CacheWrite1h: 1}, Extra: extra(llm.Anthropic, `{"server_tool_use":{"n":1}}`)},
			{Kind: llm.EventEnd},
		} {
			if err := w.Write(ev); err != nil {
				t.Fatal(err)
			}
		}
		var names []string
		for _, l := range w.Losses() {
			names = append(names, l.Feature)
		}
		want := []string{part + ".annotations", "choices.container", "usage.server_tool_use", "usage.cache_creation"}
		if !slices.Equal(names, want) {
			t.Errorf("%s: losses %q, want %q", c.Name(), names, want)
		}
	}
}

func TestChatUsageBeyondTheFiguresIsNamed(t *testing.T) {
	body := `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"cost":0.25,"queue_time":0,"cached_tokens":1}}`
	reply, err := ChatCodec{}.DecodeReply([]byte(body), new(At))
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []Codec{AnthropicCodec{}, ResponsesCodec{}} {
		_, losses, err := target.EncodeReply(nil, reply)
		if err != nil || !slices.ContainsFunc(losses, func(l llm.Loss) bool { return l.Feature == "usage.cost" }) {
			t.Errorf("%s: %v, losses %v", target.Name(), err, losses)
		}
		if len(losses) != 1 {
			t.Errorf("%s: losses %v", target.Name(), losses)
		}
	}
}
