package dialect

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"tailplane/internal/llm"
)

const (
	converseSonnet = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
	converseNova2  = "us.amazon.nova-2-lite-v1:0"
	converseLlama  = "us.meta.llama3-3-70b-instruct-v1:0"
)

// TestConverseSaysForeignCalls has chat requests as they are said to models of
// each family. The messages are "hi" where none are given.
func TestConverseSaysForeignCalls(t *testing.T) {
	const hi = `"messages":[{"role":"user","content":[{"text":"hi"}]}]`
	const tool = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]`
	const spec = `"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}]`
	const loop = `"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c 1","type":"function","function":{"name":"f","arguments":""}}]},{"role":"tool","tool_call_id":"c 1","content":"ok"}]`
	const said = `"messages":[{"role":"user","content":[{"text":"hi"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":"c_1_f6b93e190d9abb85","name":"f","input":{}}}]},{"role":"user","content":[{"toolResult":{"toolUseId":"c_1_f6b93e190d9abb85","content":[{"text":"ok"}]}}]}]`
	for _, c := range []struct{ name, model, in, want, losses string }{
		{"plain", converseLlama, `"max_tokens":5,"temperature":0.5,"top_p":0.9,"stop":["x"]`, hi + `,"inferenceConfig":{"maxTokens":5,"temperature":0.5,"topP":0.9,"stopSequences":["x"]}`, ""},
		{"claude takes one of two", converseSonnet, `"temperature":0.5,"top_p":0.9`, hi + `,"inferenceConfig":{"temperature":0.5}`, "top_p"},
		{"what it cannot say", converseLlama, `"seed":1,"n":2,"frequency_penalty":1,"presence_penalty":1,"user":"u","logprobs":true,"temperature":2`, hi + `,"inferenceConfig":{"temperature":1}`, "frequency_penalty logprobs n presence_penalty seed temperature user"},
		{"metadata", converseLlama, `"metadata":{"b":"2","a":"1"}`, hi + `,"requestMetadata":{"a":"1","b":"2"}`, ""},
		{"top_k of claude", converseSonnet, `"top_k":4`, hi + `,"additionalModelRequestFields":{"top_k":4}`, ""},
		{"top_k of nova", converseNova2, `"top_k":4`, hi + `,"additionalModelRequestFields":{"inferenceConfig":{"topK":4}}`, ""},
		{"top_k of others", converseLlama, `"top_k":4`, hi, "top_k"},
		{"thinking of claude", converseSonnet, `"reasoning_effort":"low","max_tokens":4000`, hi + `,"inferenceConfig":{"maxTokens":4000},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":1024}}`, ""},
		{"thinking of newer claude", "anthropic.claude-opus-4-7-v1", `"reasoning_effort":"high"`, hi + `,"additionalModelRequestFields":{"thinking":{"type":"adaptive"},"output_config":{"effort":"high"}}`, ""},
		{"thinking of nova", converseNova2, `"reasoning_effort":"high"`, hi + `,"additionalModelRequestFields":{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"high"}}`, ""},
		{"no thinking of nova", converseNova2, `"reasoning_effort":"none"`, hi + `,"additionalModelRequestFields":{"reasoningConfig":{"type":"disabled"}}`, ""},
		{"thinking of gpt-oss", "openai.gpt-oss-120b-1:0", `"reasoning_effort":"minimal"`, hi + `,"additionalModelRequestFields":{"reasoning_effort":"low"}`, "reasoning_effort"},
		{"thinking of deepseek", "deepseek.v3-v1:0", `"reasoning_effort":"high"`, hi + `,"additionalModelRequestFields":{"reasoning_config":"high"}`, ""},
		{"thinking of others", converseLlama, `"reasoning_effort":"high"`, hi, "reasoning_effort"},
		{"schema", converseSonnet, `"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}}`, hi + `,"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\"}","name":"n"}}}}`, ""},
		{"JSON without a schema", converseSonnet, `"response_format":{"type":"json_object"}`, hi, "response_format"},
		{"a tool that must be called", converseLlama, tool + `,"tool_choice":"required"`, hi + `,"toolConfig":{` + spec + `,"toolChoice":{"any":{}}}`, ""},
		{"a named tool", converseLlama, tool + `,"tool_choice":{"type":"function","function":{"name":"f"}}`, hi + `,"toolConfig":{` + spec + `,"toolChoice":{"tool":{"name":"f"}}}`, ""},
		{"tools that may not be called", converseLlama, tool + `,"tool_choice":"none"`, hi, "tool_choice"},
		{"one tool at a time", converseLlama, tool + `,"parallel_tool_calls":false`, hi + `,"toolConfig":{` + spec + `}`, "parallel_tool_calls"},
		{"a tool loop", converseLlama, loop + "," + tool, said + `,"toolConfig":{` + spec + `}`, ""},
		{"a tool loop without tools", converseLlama, loop, said + `,"toolConfig":{` + spec + `}`, "tools"},
		{"a tool loop that is over", converseLlama, loop + "," + tool + `,"tool_choice":"none"`, said + `,"toolConfig":{` + spec + `}`, "tool_choice"},
		{
			"documents", converseLlama,
			`"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,aGk="}},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,aGk="}}]}]`,
			`"messages":[{"role":"user","content":[{"document":{"format":"pdf","name":"a-pdf","source":{"bytes":"aGk="}}},{"document":{"format":"pdf","name":"a-pdf-2","source":{"bytes":"aGk="}}},{"text":"."}]}]`,
			"messages.content messages.content.file.name",
		},
		{
			"images", converseLlama,
			`"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpg;base64,aGk="}},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]`,
			`"messages":[{"role":"user","content":[{"image":{"format":"jpeg","source":{"bytes":"aGk="}}}]}]`, "messages.content.image_url",
		},
		{
			"cache points", converseSonnet,
			`"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]`,
			`"messages":[{"role":"user","content":[{"text":"a"},{"cachePoint":{"type":"default","ttl":"1h"}}]}]`, "",
		},
		{
			"no cache points", converseLlama,
			`"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]`,
			`"messages":[{"role":"user","content":[{"text":"a"}]}]`, "cache_control",
		},
		{
			"turns that belong together", converseLlama,
			`"messages":[{"role":"system","content":"be"},{"role":"assistant","content":"a "},{"role":"assistant","content":"b "}]`,
			`"system":[{"text":"be"}],"messages":[{"role":"user","content":[{"text":"."}]},{"role":"assistant","content":[{"text":"a "},{"text":"b"}]}]`, "messages messages.content",
		},
	} {
		body := `{"model":"m",` + c.in + `}`
		if !strings.Contains(c.in, "messages") {
			body = `{"model":"m","messages":[{"role":"user","content":"hi"}],` + c.in + `}`
		}
		call, err := ReadCall(ChatCodec{}, []byte(body))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		call.Model = c.model
		got, losses, err := ConverseCodec{}.EncodeCall(nil, call)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var names []string
		for _, l := range losses {
			names = append(names, l.Feature)
		}
		slices.Sort(names)
		if have := strings.Join(names, " "); have != c.losses {
			t.Errorf("%s: losses %q, want %q", c.name, have, c.losses)
		}
		t.Run(c.name, func(t *testing.T) { converseSame(t, got, []byte("{"+c.want+"}")) })
	}
}

// TestConverseKeepsThinkingOfItsOwn follows signatures from an answer of one
// dialect over a client of another and back.
func TestConverseKeepsThinkingOfItsOwn(t *testing.T) {
	for _, c := range []struct {
		name, model string
		part        llm.Part
		kept        bool
	}{
		{"bedrock's", converseLlama, llm.Part{Kind: llm.PartThinking, Text: quoted("hm"), Signature: "sig", SignedBy: llm.Converse}, true},
		{"bedrock's redacted", converseSonnet, llm.Part{Kind: llm.PartThinking, Signature: "cmVk", SignedBy: llm.Converse, Redacted: true}, true},
		{"claude's to claude", converseSonnet, llm.Part{Kind: llm.PartThinking, Text: quoted("hm"), Signature: "sig", SignedBy: llm.Anthropic}, true},
		{"claude's to others", converseLlama, llm.Part{Kind: llm.PartThinking, Text: quoted("hm"), Signature: "sig", SignedBy: llm.Anthropic}, false},
		{"nobody's", converseSonnet, llm.Part{Kind: llm.PartThinking, Text: quoted("hm")}, false},
	} {
		for _, client := range []Codec{AnthropicCodec{}, ConverseCodec{}, ChatCodec{}, ResponsesCodec{}} {
			reply := &llm.Reply{ID: "r", Model: "m", Choices: []llm.Choice{{Parts: []llm.Part{c.part, {Kind: llm.PartText, Text: quoted("x")}}, Stop: llm.Stop{Reason: llm.StopEnd}}}}
			body, _, err := client.EncodeReply(nil, reply)
			if err != nil {
				t.Fatal(err)
			}
			told, err := client.DecodeReply(body, new(At))
			if err != nil {
				t.Fatal(err)
			}
			call := &llm.Call{Model: c.model, Turns: []llm.Turn{
				{Role: llm.RoleUser, Parts: []llm.Part{{Kind: llm.PartText, Text: quoted("a")}}},
				{Role: llm.RoleAssistant, Parts: told.Choices[0].Parts},
				{Role: llm.RoleUser, Parts: []llm.Part{{Kind: llm.PartText, Text: quoted("b")}}},
			}}
			for i := range call.Turns[1].Parts {
				unwrapThinking(&call.Turns[1].Parts[i])
			}
			got, losses, err := ConverseCodec{}.EncodeCall(nil, call)
			if err != nil {
				t.Fatal(err)
			}
			want := `"reasoningText":{"text":"hm","signature":"sig"}`
			if c.part.Redacted {
				want = `"redactedContent":"cmVk"`
			}
			if has := bytes.Contains(got, []byte(want)); has != c.kept || c.kept == slices.ContainsFunc(losses, func(l llm.Loss) bool { return strings.Contains(l.Feature, "thinking") }) {
				t.Errorf("%s over %s: %s, losses %v", c.name, client.Name(), got, losses)
			}
		}
	}
}

func TestConverseWriterPutsBlocksInARow(t *testing.T) {
	call := func(id string) *llm.Part {
		return &llm.Part{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: id, Name: "f"}}
	}
	out, losses := converseWrite(t, []llm.Event{
		{Kind: llm.EventStart, Start: &llm.Reply{ID: "r", Model: "m"}},
		{Kind: llm.EventPart, Part: 0, New: &llm.Part{Kind: llm.PartText}},
		{Kind: llm.EventPart, Part: 1, New: call("a")},
		{Kind: llm.EventPart, Part: 2, New: call("b")},
		{Kind: llm.EventDelta, Part: 2, Text: "{}"},
		{Kind: llm.EventDelta, Part: 1, Text: "{\"x\":1}"},
		{Kind: llm.EventPartEnd, Part: 1},
		{Kind: llm.EventPartEnd, Part: 2},
		{Kind: llm.EventStop, Stop: llm.Stop{Reason: llm.StopTool}},
		{Kind: llm.EventUsage, Usage: &llm.Usage{Input: 10, CacheRead: 4, Output: 2}},
		{Kind: llm.EventEnd},
	})
	want := []string{
		`messageStart {"role":"assistant"}`,
		`contentBlockStart {"start":{"toolUse":{"toolUseId":"a","name":"f"}},"contentBlockIndex":0}`,
		`contentBlockDelta {"delta":{"toolUse":{"input":"{\"x\":1}"}},"contentBlockIndex":0}`,
		`contentBlockStop {"contentBlockIndex":0}`,
		`contentBlockStart {"start":{"toolUse":{"toolUseId":"b","name":"f"}},"contentBlockIndex":1}`,
		`contentBlockDelta {"delta":{"toolUse":{"input":"{}"}},"contentBlockIndex":1}`,
		`contentBlockStop {"contentBlockIndex":1}`,
		`messageStop {"stopReason":"tool_use"}`,
		`metadata {"usage":{"inputTokens":6,"outputTokens":2,"totalTokens":12,"cacheReadInputTokens":4,"cacheWriteInputTokens":0},"metrics":{"latencyMs":0}}`,
	}
	if got := converseLines(t, out); !slices.Equal(got, want) || losses != nil {
		t.Errorf("got\n%s\nwant\n%s\nlosses %v", strings.Join(got, "\n"), strings.Join(want, "\n"), losses)
	}
}
