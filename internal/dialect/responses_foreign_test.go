package dialect

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/llm"
)

func responsesSaid(s string) llm.Part { return llm.Part{Kind: llm.PartText, Text: quoted(s)} }

func responsesFeatures(losses []llm.Loss) string {
	var names []string
	for _, l := range losses {
		names = append(names, l.Feature)
	}
	return strings.Join(names, " ")
}

// responsesChatExtra is what a chat request's node keeps.
func responsesChatExtra(members string) llm.Extra {
	return llm.Extra{Dialect: llm.Chat, Members: []byte(members), Spelled: []byte(`{"quiet":null}`)}
}

func TestResponsesSaysForeignCalls(t *testing.T) {
	call := &llm.Call{
		Model:  "m",
		System: []llm.Part{responsesSaid("one"), {Kind: llm.PartText, Text: quoted("two"), Cache: &llm.CacheMark{Type: "ephemeral"}}},
		Turns: []llm.Turn{
			{Role: llm.RoleUser, Name: "ann", Parts: []llm.Part{responsesSaid("hi")}},
			{Role: llm.RoleUser, Parts: []llm.Part{
				responsesSaid("look"),
				{Kind: llm.PartImage, Media: &llm.Media{Type: "image/jpeg", Data: "AAAA"}},
				{Kind: llm.PartImage, Media: &llm.Media{URL: "https://example.com/a.png", Detail: "high"}},
				{Kind: llm.PartFile, Media: &llm.Media{Type: "application/pdf", Data: "BBBB"}},
				{Kind: llm.PartAudio, Media: &llm.Media{Type: "audio/mpeg", Data: "CCCC"}},
			}},
			{Role: llm.RoleAssistant, Parts: []llm.Part{
				{Kind: llm.PartThinking, Text: quoted("hm"), Signature: "s", SignedBy: llm.Anthropic},
				{Kind: llm.PartThinking, Text: quoted("ours"), Signature: "enc", SignedBy: llm.Responses},
				responsesSaid("calling"),
				{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: "c1", Name: "f", Arguments: `{"a":1}`}},
				{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: "c2", Name: "g"}},
			}},
			{Role: llm.RoleUser, Parts: []llm.Part{
				{Kind: llm.PartToolResult, Result: &llm.ToolResult{CallID: "c1", Parts: []llm.Part{responsesSaid("42")}}},
				{Kind: llm.PartToolResult, Result: &llm.ToolResult{CallID: "c2", Error: true, Parts: []llm.Part{
					responsesSaid("bad"), {Kind: llm.PartImage, Media: &llm.Media{URL: "u"}},
				}}},
				responsesSaid("go on"),
			}},
			{Role: llm.RoleSystem, Parts: []llm.Part{responsesSaid("late")}},
		},
		Tools:    []llm.Tool{{Name: "f", Schema: []byte(`{"type":"object"}`)}, {Name: "g", Strict: new(true)}},
		Choice:   llm.ToolChoice{Mode: llm.ToolNamed, Name: "f"},
		Output:   llm.Output{Kind: llm.OutputSchema, Schema: []byte(`{"a":1}`)},
		Sampling: llm.Sampling{MaxTokens: 9, Temperature: new(0.5)},
		Logprobs: llm.Logprobs{Want: true, Top: new(2)},
		Stream:   true, WantUsage: true, User: "u", Metadata: map[string]string{"b": "1", "a": "2"},
	}
	want := `{"model":"m","instructions":"one\n\ntwo","input":[
		{"type":"message","role":"user","content":"hi"},
		{"type":"message","role":"user","content":[{"type":"input_text","text":"look"},
			{"type":"input_image","image_url":"data:image/jpeg;base64,AAAA"},
			{"type":"input_image","image_url":"https://example.com/a.png","detail":"high"},
			{"type":"input_file","filename":"document","file_data":"data:application/pdf;base64,BBBB"},
			{"type":"input_audio","input_audio":{"data":"CCCC","format":"mp3"}}]},
		{"type":"reasoning","summary":[{"type":"summary_text","text":"ours"}],"encrypted_content":"enc"},
		{"type":"message","role":"assistant","content":"calling"},
		{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
		{"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},
		{"type":"function_call_output","call_id":"c1","output":"42"},
		{"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"bad"},{"type":"input_image","image_url":"u"}]},
		{"type":"message","role":"user","content":"go on"},
		{"type":"message","role":"system","content":"late"}],
		"tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":false},
			{"type":"function","name":"g","parameters":{"type":"object","properties":{}},"strict":true}],
		"tool_choice":{"type":"function","name":"f"},
		"text":{"format":{"type":"json_schema","name":"answer","schema":{"a":1}}},
		"max_output_tokens":9,"temperature":0.5,"top_logprobs":2,"stream":true,"metadata":{"a":"2","b":"1"},"user":"u",
		"store":false,"include":["reasoning.encrypted_content","message.output_text.logprobs"]}`
	out, losses, err := ResponsesCodec{}.EncodeCall(nil, call)
	if err != nil {
		t.Fatal(err)
	}
	responsesSame(t, out, []byte(want))
	if got := responsesFeatures(losses); got != "cache_control messages.name thinking tool_result.is_error" {
		t.Errorf("losses: %s", got)
	}
	again, _, _ := ResponsesCodec{}.EncodeCall(nil, call)
	if string(again) != string(out) {
		t.Error("the same call is written in two ways")
	}
}

func TestResponsesDeclaresWhatItCannotSay(t *testing.T) {
	other := llm.Part{Kind: llm.PartOther, Raw: []byte(`{}`), Extra: llm.Extra{Dialect: llm.Anthropic}}
	file := llm.Part{Kind: llm.PartFile, Media: &llm.Media{FileID: "f"}, Extra: llm.Extra{Dialect: llm.Anthropic}}
	image := llm.Part{Kind: llm.PartImage, Media: &llm.Media{URL: "u"}}
	sound := llm.Part{Kind: llm.PartAudio, Media: &llm.Media{URL: "u"}}
	cases := map[string]struct {
		call *llm.Call
		want string
	}{
		"sampling": {&llm.Call{Sampling: llm.Sampling{
			TopK: new(1), FrequencyPenalty: new(1.0), PresencePenalty: new(1.0), Seed: new(int64(1)), Stop: []string{"x"}, N: 2,
		}}, "top_k frequency_penalty presence_penalty seed stop n"},
		"a call without an id": {&llm.Call{Turns: []llm.Turn{{Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartToolCall, Tool: &llm.ToolCall{}}}}}}, ""},
		"one choice":           {&llm.Call{Sampling: llm.Sampling{N: 1}}, ""},
		"members":              {&llm.Call{Extra: responsesChatExtra(`{"logit_bias":{"1":2},"prediction":1}`)}, "logit_bias prediction"},
		"members of nodes": {&llm.Call{
			Turns:  []llm.Turn{{Role: llm.RoleUser, Extra: responsesChatExtra(`{"a":1}`), Parts: []llm.Part{{Kind: llm.PartText, Extra: responsesChatExtra(`{"b":1}`)}}}},
			Tools:  []llm.Tool{{Name: "f", Cache: &llm.CacheMark{}, Extra: responsesChatExtra(`{"c":1}`)}, {Raw: []byte("{}"), Extra: llm.Extra{Dialect: llm.Anthropic}}},
			Choice: llm.ToolChoice{Raw: []byte(`"x"`), Extra: llm.Extra{Dialect: llm.Chat}},
			Output: llm.Output{Extra: responsesChatExtra(`{"d":1}`)}, Reasoning: llm.Reasoning{Extra: responsesChatExtra(`{"e":1}`)},
		}, "messages.a content.b tools.c cache_control tools tool_choice response_format.d reasoning.e"},
		"parts": {&llm.Call{Turns: []llm.Turn{
			{Role: llm.RoleUser, Parts: []llm.Part{other, file, sound}}, {Role: llm.RoleAssistant, Parts: []llm.Part{image}},
		}}, "content content.file content.audio content.image"},
		"system":   {&llm.Call{System: []llm.Part{image}}, "system"},
		"budget":   {&llm.Call{Reasoning: llm.Reasoning{Budget: 10000}}, "thinking.budget_tokens"},
		"disabled": {&llm.Call{Reasoning: llm.Reasoning{Mode: "disabled"}}, "thinking"},
		"adaptive": {&llm.Call{Reasoning: llm.Reasoning{Mode: "adaptive", Effort: "low"}}, ""},
		"unsigned": {&llm.Call{Turns: []llm.Turn{{Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartThinking, Text: quoted("x")}}}}}, "thinking"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.call.Model = "m"
			out, losses, err := ResponsesCodec{}.EncodeCall(nil, c.call)
			if err != nil {
				t.Fatal(err)
			}
			if got := responsesFeatures(losses); got != c.want {
				t.Errorf("losses %q, want %q\n%s", got, c.want, out)
			}
		})
	}
	if _, _, err := (ResponsesCodec{}).EncodeCall(nil, &llm.Call{}); err == nil {
		t.Error("a call without a model is written")
	}
}

// responsesRequired are the members that OpenAI's schema demands of a Response.
var responsesRequired = []string{
	"id", "object", "created_at", "error", "incomplete_details", "instructions", "model", "tools", "output",
	"parallel_tool_calls", "metadata", "tool_choice", "temperature", "top_p", "status", "text", "usage",
}

func TestResponsesSaysForeignAnswersCompletely(t *testing.T) {
	reply := &llm.Reply{
		ID: "chatcmpl-7", Model: "m", Created: 5, HasUsage: true,
		Usage: llm.Usage{Input: 10, CacheRead: 4, CacheWrite: 1, Output: 6, Reasoning: 2},
		Extra: responsesChatExtra(`{"system_fingerprint":"x"}`),
		Choices: []llm.Choice{{
			Parts: []llm.Part{
				{Kind: llm.PartThinking, Text: quoted("hm"), Signature: "s", SignedBy: llm.Anthropic},
				{Kind: llm.PartThinking, Signature: "r", SignedBy: llm.Anthropic, Redacted: true},
				{Kind: llm.PartThinking, Text: quoted("plain")},
				responsesSaid("a"), responsesSaid("b"),
				{Kind: llm.PartRefusal, Text: quoted("no")},
				{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: "c", Name: "f"}},
			},
			Stop:     llm.Stop{Reason: llm.StopLength},
			Logprobs: []llm.TokenLogprob{{Token: "a", Logprob: -1, Bytes: []int{97}}},
		}, {}},
	}
	out, losses, err := ResponsesCodec{}.EncodeReply(nil, reply)
	if err != nil {
		t.Fatal(err)
	}
	if got := responsesFeatures(losses); got != "system_fingerprint choices" {
		t.Errorf("losses: %s", got)
	}
	o, err := parseObject(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range responsesRequired {
		if !o.has(name) {
			t.Errorf("%s is missing", name)
		}
	}
	responsesSame(t, o.peek("usage"), []byte(`{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":1},
		"output_tokens":6,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":16}`))
	responsesSame(t, []byte(`{"o":`+string(o.peek("output"))+`,"i":`+string(o.peek("incomplete_details"))+`}`), []byte(`{"i":{"reason":"max_output_tokens"},"o":[
		{"type":"reasoning","id":"rs_7_0","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"tp1.anthropic.cw"},
		{"type":"reasoning","id":"rs_7_1","summary":[],"encrypted_content":"tp1.anthropic-redacted.cg"},
		{"type":"reasoning","id":"rs_7_2","summary":[{"type":"summary_text","text":"plain"}],"encrypted_content":"tp1.unsigned."},
		{"type":"message","id":"msg_7_3","status":"completed","role":"assistant","content":[
			{"type":"output_text","text":"a","annotations":[],"logprobs":[{"token":"a","logprob":-1,"bytes":[97],"top_logprobs":[]}]},
			{"type":"output_text","text":"b","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]},
		{"type":"function_call","id":"fc_7_4","status":"completed","call_id":"c","name":"f","arguments":"{}"}]}`))
	if id := string(o.peek("id")); id != `"resp_7"` {
		t.Errorf("id %s", id)
	}
}

func TestResponsesClientBringsForeignThinkingBack(t *testing.T) {
	thoughts := []llm.Part{
		{Kind: llm.PartThinking, Text: quoted("hm"), Signature: "s+/=", SignedBy: llm.Anthropic},
		{Kind: llm.PartThinking, Signature: "r", SignedBy: llm.Anthropic, Redacted: true},
		{Kind: llm.PartThinking, Text: quoted("plain")},
	}
	out, _, err := ResponsesCodec{}.EncodeReply(nil, &llm.Reply{Choices: []llm.Choice{{Parts: thoughts}}})
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseObject(out)
	if err != nil {
		t.Fatal(err)
	}
	call, err := ReadCall(ResponsesCodec{}, []byte(`{"model":"m","input":`+string(o.peek("output"))+`}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range thoughts {
		if diff := cmp.Diff([]llm.Part{want}, call.Turns[i].Parts); diff != "" {
			t.Errorf("thought %d: %s", i, diff)
		}
	}
	body, losses, err := ResponsesCodec{}.EncodeCall(nil, call)
	if err != nil || responsesFeatures(losses) != "thinking" || strings.Contains(string(body), "tp1.") {
		t.Errorf("OpenAI is shown foreign thinking: %s, %v, %v", body, losses, err)
	}
}

func TestResponsesStopsMapBothWays(t *testing.T) {
	cases := []struct {
		reason         llm.StopReason
		status, detail string
	}{
		{llm.StopEnd, "completed", ""},
		{llm.StopTool, "completed", ""},
		{llm.StopSequence, "completed", ""},
		{llm.StopRefusal, "incomplete", "content_filter"},
		{llm.StopPause, "completed", ""},
		{llm.StopLength, "incomplete", "max_output_tokens"},
		{llm.StopFilter, "incomplete", "content_filter"},
		{llm.StopError, "failed", ""},
	}
	for _, c := range cases {
		status, detail := responsesStatus(llm.Stop{Reason: c.reason})
		if status != c.status || detail != c.detail {
			t.Errorf("%s is said as %s, %s", c.reason, status, detail)
		}
	}
	back := map[[2]string]llm.StopReason{
		{"completed", ""}: llm.StopEnd, {"incomplete", "max_output_tokens"}: llm.StopLength,
		{"incomplete", "content_filter"}: llm.StopFilter, {"incomplete", "new"}: llm.StopOther,
		{"failed", ""}: llm.StopError, {"cancelled", ""}: llm.StopOther, {"in_progress", ""}: "",
	}
	for words, want := range back {
		if got := responsesStopOf(words[0], words[1], false); got.Reason != want {
			t.Errorf("%v is read as %s", words, got.Reason)
		}
	}
	if got := responsesStopOf("completed", "", true); got.Reason != llm.StopTool {
		t.Errorf("an answer with a tool call stops for %s", got.Reason)
	}
}

func TestResponsesGivesCallsWithoutAnIDOne(t *testing.T) {
	tool := llm.Part{Kind: llm.PartToolCall, Tool: &llm.ToolCall{Name: "f"}}
	result := llm.Part{Kind: llm.PartToolResult, Result: &llm.ToolResult{}}
	call := &llm.Call{Model: "m", Turns: []llm.Turn{
		{Role: llm.RoleAssistant, Parts: []llm.Part{tool, tool}}, {Role: llm.RoleTool, Parts: []llm.Part{result, result}},
	}}
	body, _, err := ResponsesCodec{}.EncodeCall(nil, call)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"call_1", "call_2"} {
		if strings.Count(string(body), `"call_id":"`+want+`"`) != 2 {
			t.Errorf("%s is not said twice: %s", want, body)
		}
	}
	answer, _, err := ResponsesCodec{}.EncodeReply(nil, &llm.Reply{ID: "x", Choices: []llm.Choice{{Parts: []llm.Part{tool, tool}}}})
	if err != nil || !strings.Contains(string(answer), `"call_id":"call_x_0"`) || !strings.Contains(string(answer), `"call_id":"call_x_1"`) {
		t.Errorf("answer %s, %v", answer, err)
	}
}
