package dialect

import (
	"slices"
	"testing"

	"tailplane/internal/llm"
)

func anthropicText(s string) llm.Part { return llm.Part{Kind: llm.PartText, Text: quoted(s)} }

func anthropicTurn(role llm.Role, parts ...llm.Part) llm.Turn {
	return llm.Turn{Role: role, Parts: parts}
}

func anthropicCallPart(id, args string) llm.Part {
	return llm.Part{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: id, Name: "f", Arguments: args}}
}

func anthropicResultPart(id string, parts ...llm.Part) llm.Part {
	return llm.Part{Kind: llm.PartToolResult, Result: &llm.ToolResult{CallID: id, Parts: parts}}
}

func anthropicMediaPart(kind llm.PartKind, m llm.Media) llm.Part {
	return llm.Part{Kind: kind, Media: &m}
}

var anthropicHi = []llm.Turn{anthropicTurn(llm.RoleUser, anthropicText("hi"))}

const anthropicHiJSON = `"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]`

// anthropicForeignCalls are calls of another dialect, what is sent to Anthropic for
// them, and the features that are lost.
var anthropicForeignCalls = map[string]struct {
	call   llm.Call
	want   string
	losses []string
}{
	"the cap of the family": {
		call: llm.Call{Model: "claude-3-5-haiku-latest", Turns: anthropicHi},
		want: `{"model":"claude-3-5-haiku-latest","max_tokens":8192,` + anthropicHiJSON + `}`,
	},
	"the cap of an unknown model": {
		call: llm.Call{Model: "glm", Turns: anthropicHi, Stream: true, User: "u"},
		want: `{"model":"glm","max_tokens":4096,"stream":true,"metadata":{"user_id":"u"},` + anthropicHiJSON + `}`,
	},
	"settings that anthropic does not have": {
		call: llm.Call{
			Model: "m", Turns: anthropicHi, Logprobs: llm.Logprobs{Want: true}, Metadata: map[string]string{"a": "b"},
			Sampling: llm.Sampling{MaxTokens: 5, Temperature: new(1.7), TopP: new(0.5), FrequencyPenalty: new(0.1), PresencePenalty: new(0.0), Seed: new(int64(3)), N: 2, Stop: []string{"\n", "END"}},
			Output:   llm.Output{Kind: llm.OutputJSON, Verbosity: "low"},
			Extra:    llm.Extra{Dialect: llm.Chat, Members: []byte(`{"logit_bias":{"1":2},"store":null}`)},
		},
		want:   `{"model":"m","max_tokens":5,"temperature":1,"stop_sequences":["END"],` + anthropicHiJSON + `}`,
		losses: []string{"frequency_penalty", "logit_bias", "logprobs", "metadata", "n", "response_format", "seed", "stop", "temperature", "top_p", "verbosity"},
	},
	"turns in the shape that anthropic wants": {
		call: llm.Call{Model: "m", Sampling: llm.Sampling{MaxTokens: 5}, System: []llm.Part{anthropicText("a")}, Turns: []llm.Turn{
			anthropicTurn(llm.RoleSystem, anthropicText("b")),
			anthropicTurn(llm.RoleUser, anthropicText("q")), anthropicTurn(llm.RoleUser, anthropicText("")),
			anthropicTurn(llm.RoleAssistant, anthropicText(""), anthropicCallPart("call.1", ""), anthropicCallPart("b", `{"x":1}`)),
			anthropicTurn(llm.RoleTool, anthropicResultPart("call.1", anthropicText("r"))),
			anthropicTurn(llm.RoleSystem, anthropicText("now")),
			anthropicTurn(llm.RoleTool, anthropicResultPart("b", anthropicText("s"), anthropicMediaPart(llm.PartImage, llm.Media{URL: "data:image/png;base64,iVBO"}))),
			anthropicTurn(llm.RoleAssistant, anthropicText("done \n")),
		}},
		want: `{"model":"m","max_tokens":5,"system":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"messages":[
			{"role":"user","content":[{"type":"text","text":"q"}]},
			{"role":"assistant","content":[{"type":"tool_use","id":"call_1_958ca8995d7ef1bc","name":"f","input":{}},{"type":"tool_use","id":"b","name":"f","input":{"x":1}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1_958ca8995d7ef1bc","content":"r"},
				{"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"s"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}]},
				{"type":"text","text":"now"}]},
			{"role":"assistant","content":[{"type":"text","text":"done"}]}]}`,
		losses: []string{"messages.content", "messages.role"},
	},
	"the assistant speaks first": {
		call:   llm.Call{Model: "m", Sampling: llm.Sampling{MaxTokens: 5}, Turns: []llm.Turn{anthropicTurn(llm.RoleAssistant, anthropicCallPart("i", "{bad")), anthropicTurn(llm.RoleTool, anthropicResultPart("i"))}},
		want:   `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"."}]},{"role":"assistant","content":[{"type":"tool_use","id":"i","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"i"}]}]}`,
		losses: []string{"messages", "messages.tool_calls.arguments"},
	},
	"only instructions": {
		call:   llm.Call{Model: "m", Sampling: llm.Sampling{MaxTokens: 5}, System: []llm.Part{anthropicText("hi")}},
		want:   `{"model":"m","max_tokens":5,` + anthropicHiJSON + `}`,
		losses: []string{"messages"},
	},
	"parts of every kind": {
		call: llm.Call{Model: "m", Sampling: llm.Sampling{MaxTokens: 5}, Turns: []llm.Turn{
			anthropicTurn(
				llm.RoleUser,
				anthropicMediaPart(llm.PartImage, llm.Media{URL: "https://x/y.png", Detail: "high"}),
				anthropicMediaPart(llm.PartImage, llm.Media{Data: "/9j/4A"}),
				anthropicMediaPart(llm.PartImage, llm.Media{Data: "AAAA"}),
				anthropicMediaPart(llm.PartFile, llm.Media{Data: "data:application/pdf;base64,JVBERi0=", Name: "a.pdf"}),
				anthropicMediaPart(llm.PartFile, llm.Media{Data: "aGk=", Type: "text/csv"}),
				anthropicMediaPart(llm.PartFile, llm.Media{FileID: "file-1"}),
				anthropicMediaPart(llm.PartAudio, llm.Media{Data: "AA", Type: "wav"}),
				llm.Part{Kind: llm.PartOther, Raw: []byte(`{}`), Extra: llm.Extra{Dialect: llm.Responses}},
				llm.Part{Kind: llm.PartText, Text: quoted("t"), Cache: &llm.CacheMark{Type: "ephemeral", TTL: "1h"}, Extra: llm.Extra{Dialect: llm.Chat, Members: []byte(`{"zz":1}`)}},
			),
			anthropicTurn(
				llm.RoleAssistant,
				llm.Part{Kind: llm.PartThinking, Text: quoted("mine"), Signature: "s", SignedBy: llm.Anthropic},
				llm.Part{Kind: llm.PartThinking, Text: quoted("other"), Signature: "s", SignedBy: llm.Responses},
				llm.Part{Kind: llm.PartThinking, Text: quoted("nobody's")},
				llm.Part{Kind: llm.PartRefusal, Text: quoted("no")},
			),
		}},
		want: `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[
			{"type":"image","source":{"type":"url","url":"https://x/y.png"}},
			{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/4A"}},
			{"type":"document","title":"a.pdf","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}},
			{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hi"}},
			{"type":"text","text":"t","cache_control":{"type":"ephemeral","ttl":"1h"}}]},
			{"role":"assistant","content":[{"type":"thinking","thinking":"mine","signature":"s"},{"type":"text","text":"no"}]}]}`,
		losses: []string{"messages.content", "messages.content.file", "messages.content.image_url", "messages.content.image_url.detail", "messages.content.input_audio", "messages.content.refusal", "messages.content.thinking", "messages.content.zz"},
	},
	"tools": {
		call: llm.Call{
			Model: "m", Sampling: llm.Sampling{MaxTokens: 5}, Turns: anthropicHi, Parallel: new(false),
			Tools: []llm.Tool{{Name: "f", Strict: new(false)}, {Name: "g", Description: "d", Strict: new(true), Schema: []byte(`{"properties":{}}`)}, {Raw: []byte(`{"type":"web_search"}`), Extra: llm.Extra{Dialect: llm.Responses}}},
		},
		want: `{"model":"m","max_tokens":5,` + anthropicHiJSON + `,"tool_choice":{"type":"auto","disable_parallel_tool_use":true},"tools":[
			{"name":"f","input_schema":{"type":"object","properties":{}}},{"name":"g","description":"d","strict":true,"input_schema":{"type":"object","properties":{}}}]}`,
		losses: []string{"tools"},
	},
	"a choice without a tool": {
		call:   llm.Call{Model: "m", Sampling: llm.Sampling{MaxTokens: 5}, Turns: anthropicHi, Choice: llm.ToolChoice{Mode: llm.ToolRequired}},
		want:   `{"model":"m","max_tokens":5,` + anthropicHiJSON + `}`,
		losses: []string{"tool_choice"},
	},
	"a schema keeps its name": {
		call: llm.Call{Model: "m", Sampling: llm.Sampling{MaxTokens: 5}, Turns: anthropicHi, Output: llm.Output{Kind: llm.OutputSchema, Name: "n", Description: "d", Schema: []byte(`{"type":"object","description":"own"}`)}},
		want: `{"model":"m","max_tokens":5,` + anthropicHiJSON + `,"output_config":{"format":{"type":"json_schema","schema":{"title":"n","type":"object","description":"own"}}}}`,
	},
	"effort becomes a budget": {
		call:   llm.Call{Model: "claude-sonnet-4-5", Turns: anthropicHi, Reasoning: llm.Reasoning{Effort: "medium"}, Sampling: llm.Sampling{Temperature: new(0.3), TopK: new(4)}},
		want:   `{"model":"claude-sonnet-4-5","max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":8192},` + anthropicHiJSON + `}`,
		losses: []string{"temperature", "top_k"},
	},
	"the budget stays below the cap": {
		call:   llm.Call{Model: "claude-opus-4-1", Turns: anthropicHi, Reasoning: llm.Reasoning{Effort: "high"}, Sampling: llm.Sampling{MaxTokens: 3000}},
		want:   `{"model":"claude-opus-4-1","max_tokens":3000,"thinking":{"type":"enabled","budget_tokens":1500},` + anthropicHiJSON + `}`,
		losses: []string{"reasoning_effort"},
	},
	"no room to think": {
		call:   llm.Call{Model: "claude-opus-4-1", Turns: anthropicHi, Reasoning: llm.Reasoning{Effort: "low"}, Sampling: llm.Sampling{MaxTokens: 1000}},
		want:   `{"model":"claude-opus-4-1","max_tokens":1000,` + anthropicHiJSON + `}`,
		losses: []string{"reasoning_effort"},
	},
	"a large budget raises an unstated cap": {
		call: llm.Call{Model: "claude-opus-4-1", Turns: anthropicHi, Reasoning: llm.Reasoning{Budget: 32000, Mode: "enabled"}},
		want: `{"model":"claude-opus-4-1","max_tokens":33024,"thinking":{"type":"enabled","budget_tokens":32000},` + anthropicHiJSON + `}`,
	},
	"effort where the model takes it": {
		call: llm.Call{Model: "us.anthropic.claude-opus-4.7-v1:0", Turns: anthropicHi, Reasoning: llm.Reasoning{Effort: "xhigh", Summary: "auto"}, Sampling: llm.Sampling{MaxTokens: 5}},
		want: `{"model":"us.anthropic.claude-opus-4.7-v1:0","max_tokens":5,"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"xhigh"},` + anthropicHiJSON + `}`,
	},
	"effort that the model does not know": {
		call:   llm.Call{Model: "claude-opus-4-6", Turns: anthropicHi, Reasoning: llm.Reasoning{Effort: "xhigh"}, Sampling: llm.Sampling{MaxTokens: 5}},
		want:   `{"model":"claude-opus-4-6","max_tokens":5,"thinking":{"type":"adaptive"},"output_config":{"effort":"high"},` + anthropicHiJSON + `}`,
		losses: []string{"reasoning_effort"},
	},
	"no thinking": {
		call: llm.Call{Model: "claude-sonnet-4-5", Turns: anthropicHi, Reasoning: llm.Reasoning{Effort: "none"}, Sampling: llm.Sampling{MaxTokens: 5}},
		want: `{"model":"claude-sonnet-4-5","max_tokens":5,"thinking":{"type":"disabled"},` + anthropicHiJSON + `}`,
	},
	"a model that cannot think": {
		call:   llm.Call{Model: "claude-3-haiku-20240307", Turns: anthropicHi, Reasoning: llm.Reasoning{Effort: "low"}, Sampling: llm.Sampling{MaxTokens: 5}},
		want:   `{"model":"claude-3-haiku-20240307","max_tokens":5,` + anthropicHiJSON + `}`,
		losses: []string{"reasoning_effort"},
	},
	"thinking gives way to a forced tool": {
		call: llm.Call{
			Model: "claude-sonnet-4-5", Turns: anthropicHi, Reasoning: llm.Reasoning{Effort: "low"}, Sampling: llm.Sampling{MaxTokens: 5},
			Tools: []llm.Tool{{Name: "f", Schema: []byte(`{"type":"object"}`)}}, Choice: llm.ToolChoice{Mode: llm.ToolNamed, Name: "f"},
		},
		want:   `{"model":"claude-sonnet-4-5","max_tokens":5,` + anthropicHiJSON + `,"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"f"}}`,
		losses: []string{"reasoning_effort"},
	},
	"thinking gives way to a tool loop that began without it": {
		call: llm.Call{
			Model: "claude-sonnet-4-5", Reasoning: llm.Reasoning{Effort: "low"}, Sampling: llm.Sampling{MaxTokens: 5},
			Turns: []llm.Turn{anthropicHi[0], anthropicTurn(llm.RoleAssistant, anthropicCallPart("i", "{}")), anthropicTurn(llm.RoleTool, anthropicResultPart("i", anthropicText("r")))},
		},
		want:   `{"model":"claude-sonnet-4-5","max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":[{"type":"tool_use","id":"i","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"i","content":"r"}]}]}`,
		losses: []string{"reasoning_effort"},
	},
}

func anthropicFeatures(losses []llm.Loss) []string {
	var out []string
	for _, l := range losses {
		out = append(out, l.Feature)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestAnthropicSaysWhatItCanOfAForeignCall(t *testing.T) {
	for name, c := range anthropicForeignCalls {
		t.Run(name, func(t *testing.T) {
			got, losses, err := AnthropicCodec{}.EncodeCall(nil, &c.call)
			if err != nil {
				t.Fatal(err)
			}
			anthropicSameJSON(t, got, []byte(c.want))
			if features := anthropicFeatures(losses); !slices.Equal(features, c.losses) {
				t.Errorf("losses %q, want %q", losses, c.losses)
			}
			if _, err := ReadCall(AnthropicCodec{}, got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnthropicCallThatSaysNothingIsRefused(t *testing.T) {
	for _, c := range []llm.Call{{}, {Model: "m"}, {Model: "m", Turns: []llm.Turn{anthropicTurn(llm.RoleUser, anthropicText(""))}}} {
		if _, _, err := (AnthropicCodec{}).EncodeCall(nil, &c); err == nil {
			t.Errorf("%+v was encoded", c)
		}
	}
}

func TestAnthropicToolIDsStayDistinct(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"", "a", "a.", "a:", "a_", "é", "call"} {
		got := toolID(id)
		if was, ok := seen[got]; ok {
			t.Errorf("%q and %q meet at %q", id, was, got)
		}
		if toolID(got) != got {
			t.Errorf("%q is not acceptable", got)
		}
		seen[got] = id
	}
}
