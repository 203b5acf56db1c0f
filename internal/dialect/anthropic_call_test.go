package dialect

import (
	"io"
	"strings"
	"testing"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

var anthropicCalls = map[string]string{
	"bare strings":         `{"model":"m","max_tokens":5,"system":"be brief","messages":[{"role":"user","content":"hi"}]}`,
	"count without a cap":  `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`,
	"empty lists":          `{"model":"m","system":[],"tools":[],"stop_sequences":[],"messages":[],"metadata":{},"output_config":{}}`,
	"nulls":                `{"model":"m","max_tokens":null,"system":null,"tools":null,"stop_sequences":null,"temperature":null,"stream":null,"thinking":null,"metadata":null,"tool_choice":null,"output_config":null,"messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":null,"citations":null}],"name":null}]}`,
	"stated defaults":      `{"model":"m","max_tokens":0,"stream":false,"top_k":0,"temperature":0,"messages":[{"role":"user","content":""}]}`,
	"numbers as spelled":   `{"model":"m","max_tokens":10.0,"temperature":1.0,"top_p":0.90,"top_k":4e1,"messages":[],"x":1.50,"thinking":{"type":"enabled","budget_tokens":2048.0}}`,
	"unknown everywhere":   `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x","z":{"a":[1,2]}}],"y":true}],"w":[null],"tools":[{"name":"f","input_schema":{"type":"object"},"defer_loading":true}],"tool_choice":{"type":"auto","q":1},"metadata":{"user_id":"u","k":"v"},"output_config":{"effort":"low","task_budget":{"type":"tokens","total":9}}}`,
	"cache marks":          `{"model":"m","system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","cache_control":{"type":"ephemeral","scope":"x"}}]}],"tools":[{"name":"f","input_schema":{},"cache_control":{"type":"ephemeral","ttl":null}}],"cache_control":{"type":"ephemeral"}}`,
	"media":                `{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},{"type":"image","source":{"type":"url","url":"https://x/y.png"}},{"type":"image","source":{"type":"file","file_id":"f_1","n":1}},{"type":"document","title":"t","context":"c","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"grüß"}},{"type":"document","source":{"type":"content","content":"x"}},{"type":"document","title":null,"source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}},{"type":"image","source":{"type":"base64","media_type":"","data":""}}]}]}`,
	"tool turns":           `{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{"x": 1.0}},{"type":"tool_use","id":"b","name":"f"},{"type":"tool_use","id":"c","name":"f","input":null,"caller":{"type":"direct"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"ok","is_error":false},{"type":"tool_result","tool_use_id":"b","content":[],"is_error":true},{"type":"tool_result","tool_use_id":"c","content":null},{"type":"tool_result","tool_use_id":"d","content":[{"type":"text","text":"t"},{"type":"image","source":{"type":"url","url":"u"}},{"type":"tool_reference","tool_name":"f"},{"type":"tool_use","id":"x"}]}]}]}`,
	"thinking":             `{"model":"m","thinking":{"type":"adaptive","display":"omitted"},"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s=="},{"type":"thinking","thinking":"","signature":""},{"type":"thinking","thinking":"u"},{"type":"redacted_thinking","data":"d"}]}]}`,
	"server blocks":        `{"model":"m","messages":[{"role":"assistant","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}},{"type":"web_search_tool_result","tool_use_id":"s","content":[]},{"type":"compaction","content":null}]},{"role":"system","content":[{"type":"tool_addition","tool":{"name":"x"}}]}],"tools":[{"type":"web_search_20250305","name":"web_search","cache_control":{"type":"ephemeral"}},{"type":"custom","name":"f","description":"","strict":false,"input_schema":{"type":"object"}},{"name":"g"}]}`,
	"forced tool":          `{"model":"m","messages":[],"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}}`,
	"any tool":             `{"model":"m","messages":[],"tool_choice":{"type":"any","disable_parallel_tool_use":false}}`,
	"unknown choice":       `{"model":"m","messages":[],"tool_choice":{"type":"rank","k":2}}`,
	"schema":               `{"model":"m","messages":[],"output_config":{"format":{"type":"json_schema","schema":{"type":"object"},"z":1}}}`,
	"schema, older":        `{"model":"m","messages":[],"output_format":{"type":"json_schema","schema":{"type":"object"}},"output_config":{"effort":"max"}}`,
	"schema, both":         `{"model":"m","messages":[],"output_format":{"type":"json_schema","schema":{"a":1}},"output_config":{"format":{"type":"json_schema","schema":{"b":1}}}}`,
	"schema of other kind": `{"model":"m","messages":[],"output_format":{"type":"grammar"},"output_config":{"format":{"type":"json_schema"},"effort":""}}`,
	"escapes":              `{"model":"m\u00e9","messages":[{"role":"user","content":"<a&b>\u2028\n\"\\"}],"\u0078":"\u0000"}`,
}

func TestAnthropicCallSurvivesARoundTrip(t *testing.T) {
	for name, body := range anthropicCalls {
		t.Run(name, func(t *testing.T) { anthropicRoundTripCall(t, []byte(body)) })
	}
}

func TestAnthropicMalformedCallNamesTheMember(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`[]`, "invalid JSON"},
		{`{`, "invalid JSON"},
		{"{\"model\":\"\xff\"}", "UTF-8"},
		{`{}`, "model: "},
		{`{"model":1}`, "model: must be a string"},
		{`{"model":"m"}`, "messages: "},
		{`{"model":"m","messages":{}}`, "messages: "},
		{`{"model":"m","messages":[1]}`, "messages[0]: must be an object"},
		{`{"model":"m","messages":[{"role":"bot","content":"x"}]}`, "messages[0].role: "},
		{`{"model":"m","messages":[{"role":"user"}]}`, "messages[0].content: "},
		{`{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}`, "messages[0].content[0].text: "},
		{`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"}]}]}`, "messages[0].content[1].source: "},
		{`{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":1}]}]}]}`, "messages[0].content[0].content[0].text: "},
		{`{"model":"m","messages":[],"messages":[]}`, "member \"messages\" appears twice"},
		{`{"model":"m","messages":[],"system":3}`, "system: "},
		{`{"model":"m","messages":[],"max_tokens":"5"}`, "max_tokens: must be a whole number"},
		{`{"model":"m","messages":[],"max_tokens":1e99}`, "max_tokens: must be a whole number"},
		{`{"model":"m","messages":[],"temperature":true}`, "temperature: must be a number"},
		{`{"model":"m","messages":[],"temperature":1e999}`, "temperature: must be a number"},
		{`{"model":"m","messages":[],"stream":"yes"}`, "stream: "},
		{`{"model":"m","messages":[],"tools":[{}]}`, "tools[0].name: "},
		{`{"model":"m","messages":[],"tools":[{"name":"f","input_schema":[]}]}`, "tools[0].input_schema: "},
		{`{"model":"m","messages":[],"tool_choice":{"type":"tool"}}`, "tool_choice.name: "},
		{`{"model":"m","messages":[],"stop_sequences":["a",1]}`, "stop_sequences[1]: "},
		{`{"model":"m","messages":[],"thinking":{"type":""}}`, "thinking.type: "},
		{`{"model":"m","messages":[],"output_config":{"format":[]}}`, "output_config.format: "},
		{`{"model":"m","messages":[],"metadata":"u"}`, "metadata: "},
		{`{"model":"m","messages":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, "invalid JSON"},
	} {
		_, err := ReadCall(AnthropicCodec{}, []byte(c.body))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s: got %v, want %q", c.body, err, c.want)
		}
	}
}

func TestAnthropicCallIsUnderstood(t *testing.T) {
	c, err := ReadCall(AnthropicCodec{}, []byte(`{"model":"m","max_tokens":9,"system":"s","temperature":0.5,"top_k":3,"stop_sequences":["x"],"stream":true,
		"metadata":{"user_id":"u"},"thinking":{"type":"enabled","budget_tokens":2000},"tool_choice":{"type":"any","disable_parallel_tool_use":true},
		"tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"strict":true}],
		"messages":[{"role":"user","content":[{"type":"document","title":"T","source":{"type":"text","media_type":"text/plain","data":"hi"}}]},
		{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"tool_use","id":"i","name":"f","input":{"a":1}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	doc, thought, use := c.Turns[0].Parts[0], c.Turns[1].Parts[0], c.Turns[1].Parts[1]
	ok := c.Sampling.MaxTokens == 9 && *c.Sampling.Temperature == 0.5 && *c.Sampling.TopK == 3 && c.Sampling.Stop[0] == "x" && c.Stream &&
		unquoted(c.System[0].Text) == "s" && c.User == "u" && c.Reasoning.Budget == 2000 && c.Choice.Mode == llm.ToolRequired && !*c.Parallel && *c.Tools[0].Strict &&
		doc.Kind == llm.PartFile && doc.Media.Name == "T" && doc.Media.Data == "aGk=" &&
		thought.SignedBy == llm.Anthropic && thought.Signature == "s" && use.Tool.Arguments == `{"a":1}` && c.Extra.Members == nil
	if !ok {
		t.Fatalf("%+v", c)
	}
}

func TestAnthropicGlanceAndSplice(t *testing.T) {
	body := []byte(` {"messages":[{"model":"no"}], "mod\u0065l" : "claude" ,"stream":true,"max_tokens":7,"x":1.0}`)
	var at At
	g, err := AnthropicCodec{}.Glance(body, &at)
	want := llm.Glance{Op: llm.OpGenerate, Dialect: llm.Anthropic, Model: "claude", Stream: true, WantUsage: true, MaxTokens: 7, Bytes: len(body)}
	if err != nil || g != want {
		t.Fatalf("%+v %v", g, err)
	}
	got := string(AnthropicCodec{}.Splice(nil, body, &at, Rewrite{Model: `a"b`, Usage: true}).Append([]byte("^")))
	if want := "^" + strings.Replace(string(body), `"claude"`, `"a\"b"`, 1); got != want {
		t.Errorf("got %s", got)
	}
	if got := string(AnthropicCodec{}.Splice(nil, body, &at, Rewrite{}).Append(nil)); got != string(body) {
		t.Errorf("without an edit: %s", got)
	}
	for _, c := range []struct{ body, want string }{
		{`{"model":"a","model":"b"}`, "member \"model\" appears again"},
		{`{"model":""}`, "model: "},
		{`{"stream":true}`, "model: "},
		{`{"model":"m","stream":1}`, "stream: "},
		{`{"model":"m","max_tokens":"x"}`, "max_tokens: "},
		{`nope`, "invalid JSON"},
	} {
		if _, err := (AnthropicCodec{}).Glance([]byte(c.body), &at); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.body, err)
		}
	}
}

func TestWrappedSignatures(t *testing.T) {
	for _, s := range []string{"", "x", "EqQB+/==", strings.Repeat("é", 50)} {
		by, got, ok := unwrapSignature(wrapSignature(llm.Responses, s))
		if by != llm.Responses || got != s || !ok {
			t.Errorf("%q: %v %q %v", s, by, got, ok)
		}
	}
	for _, s := range []string{"", "EqQBCkgIBxABGAIiQ", "tp1.", "tp1..YQ", "tp1.chat", "tp1.chat.%%", "tp2.chat.YQ", "tp1.chat.YR"} {
		if _, _, ok := unwrapSignature(s); ok {
			t.Errorf("%q is taken for a wrapped one", s)
		}
	}
}

func TestARequestWithAWrappedSignatureIsKnown(t *testing.T) {
	for body, want := range map[string]bool{
		`{"signature":"` + wrapSignature(llm.Responses, "x") + `"}`: true,
		`{"signature":"EqQB"}`: false,
	} {
		if carriesWrapped(t, []byte(body)) != want {
			t.Errorf("%s: not %v", body, want)
		}
	}
}

func TestAnthropicForeignThinkingNeverReachesTheProvider(t *testing.T) {
	wrapped := wrapSignature(llm.Responses, "opaque")
	body := []byte(`{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"},
		{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"` + wrapped + `"}]},
		{"role":"assistant","content":[{"type":"redacted_thinking","data":"` + wrapped + `"},{"type":"text","text":"b"}]}]}`)
	c, err := ReadCall(AnthropicCodec{}, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []llm.Part{c.Turns[1].Parts[0], c.Turns[2].Parts[0]} {
		if p.SignedBy != llm.Responses || p.Signature != "opaque" {
			t.Errorf("not unwrapped: %+v", p)
		}
	}
	got, losses, err := AnthropicCodec{}.EncodeCall(nil, c)
	if err != nil || len(losses) != 1 || losses[0].Feature != "messages.content.thinking" {
		t.Fatalf("%v %v", losses, err)
	}
	anthropicSameJSON(t, got, []byte(`{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"}]}]}`))
}

func TestAnthropicEncodingDoesNotWriteThroughTheCall(t *testing.T) {
	c := anthropicForeign()
	c.Turns = append(c.Turns, llm.Turn{Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartText, Text: quoted("end  ")}, {Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: "a b", Arguments: "{"}}}},
		llm.Turn{Role: llm.RoleTool, Parts: []llm.Part{{Kind: llm.PartToolResult, Result: &llm.ToolResult{CallID: "a b"}}}}, llm.Turn{Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartText, Text: quoted("end  ")}}})
	first, _, err := AnthropicCodec{}.EncodeCall(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	second, _, _ := AnthropicCodec{}.EncodeCall(nil, c)
	if string(first) != string(second) || unquoted(c.Turns[3].Parts[0].Text) != "end  " || c.Turns[1].Parts[1].Tool.ID != "a b" {
		t.Errorf("the call changed:\n%s\n%s", first, second)
	}
}

// anthropicForeign is a small call of another dialect.
func anthropicForeign() *llm.Call {
	return &llm.Call{
		Model: "claude-sonnet-4-5",
		Turns: []llm.Turn{{Role: llm.RoleUser, Parts: []llm.Part{{Kind: llm.PartText, Text: quoted("hi"), Extra: llm.Extra{Dialect: llm.Chat}}}}},
		Extra: llm.Extra{Dialect: llm.Chat},
	}
}

func TestAnthropicErrorEnvelopes(t *testing.T) {
	f := &llm.Fault{Kind: llm.FaultRateLimit, Message: `slow "down"`, Err: io.ErrUnexpectedEOF}
	want := `{"type":"error","error":{"type":"rate_limit_error","message":"slow \"down\""},"request_id":"req_1"}`
	if got := string(AnthropicCodec{}.EncodeError(f, "req_1")); got != want {
		t.Errorf("got %s", got)
	}
	if got := string(AnthropicCodec{}.AppendFault([]byte("x"), f, "req_1")); got != "xevent: error\ndata: "+want+"\n\n" {
		t.Errorf("got %s", got)
	}
	if got := string(AnthropicCodec{}.EncodeError(&llm.Fault{Kind: llm.FaultCut}, "")); got != `{"type":"error","error":{"type":"api_error","message":"stream cut"}}` {
		t.Errorf("got %s", got)
	}
	for body, want := range map[string]llm.ErrorBody{
		`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}`: {Type: "overloaded_error", Message: "Overloaded"},
		`{"error":{"message":"m","type":"invalid_request_error","param":"p","code":"c"}}`:              {Type: "invalid_request_error", Code: "c", Param: "p", Message: "m"},
		`{"error":"plain"}`: {Message: "plain"},
		`{"type":"error"}`:  {Message: `{"type":"error"}`},
	} {
		if got := (AnthropicCodec{}).DecodeError([]byte(body)); got != want {
			t.Errorf("%q: got %+v", body, got)
		}
	}
}

func TestAnthropicEveryFaultHasAnEnvelopeItsSDKCanRead(t *testing.T) {
	for _, kind := range []llm.FaultKind{llm.FaultBadRequest, llm.FaultTooLarge, llm.FaultUnauthorized, llm.FaultForbidden, llm.FaultUnknownModel, llm.FaultOverloaded, llm.FaultTotal, llm.FaultInternal, "new"} {
		body := AnthropicCodec{}.EncodeError(&llm.Fault{Kind: kind}, "r")
		if _, err := wire.Scan(body, nil, nil); err != nil || (AnthropicCodec{}).DecodeError(body).Type == "" {
			t.Errorf("%s: %s", kind, body)
		}
	}
}

// carriesWrapped says whether a scan hears a wrapped signature in a body.
func carriesWrapped(t *testing.T, body []byte) bool {
	t.Helper()
	var heard wire.Heard
	if _, err := wire.NewWords(WrappedSignatures()...).Scan(body, nil, nil, &heard); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return heard.Said != 0
}
