package dialect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/llm"
)

// geminiCalls are requests in every form that the codec knows.
var geminiCalls = []string{
	`{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`,
	`{"contents":[]}`,
	`{"contents":[{"parts":[{"functionResponse":{}},{"functionResponse":{"parts":[]}}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":{},"parametersJsonSchema":{}}]}]}`,
	`{"model":"models/gemini-2.5-flash","contents":[{"parts":[{"text":"a"}]},{"role":"","parts":[]},{"role":"user"}],"systemInstruction":{"role":"user","parts":[{"text":"be"}]},"labels":{"a":"b"},"cachedContent":"c"}`,
	`{"contents":[{"role":"model","parts":[{"text":"t","thought":true,"thoughtSignature":"c2ln"},{"text":"a","thoughtSignature":"c2lo"},{"text":"","thoughtSignature":"c2lp"},{"functionCall":{"name":"f","args":{"a":[1.0]}},"thoughtSignature":"c2lq"},{"functionCall":{"id":"x","name":"g"}},{"functionCall":{}}]}]}`,
	`{"contents":[{"role":"function","parts":[{"functionResponse":{"name":"f","response":{"result":"x"}}},{"functionResponse":{"id":"1","name":"g","response":{"error":"x"},"parts":[{"inlineData":{"mimeType":"image/png","data":"aGk="}}],"willContinue":false}},{"functionResponse":{"name":"h","response":null}},{"function_response":{"name":"i","response":{}}}]}]}`,
	`{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"aGk="}},{"inline_data":{"mime_type":"audio/wav","data":"aGk=","display_name":"n"}},{"fileData":{"mimeType":"video/mp4","fileUri":"https://youtu.be/x"},"videoMetadata":{"fps":1}},{"file_data":{"file_uri":"gs://b/x"},"thought_signature":"c2ln"},{"executableCode":{"code":"1"}},{"inlineData":{}},{"fileData":{"fileUri":""}}]}]}`,
	`{"contents":[],"tools":[{"functionDeclarations":[{"name":"f","description":"","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","format":"enum","nullable":true}}}}]},{"googleSearch":{}},{"function_declarations":[{"name":"g","parameters_json_schema":{"type":"object"}}],"code_execution":{}}],"toolConfig":{"functionCallingConfig":{"mode":"any","allowedFunctionNames":["f"]}}}`,
	`{"contents":[],"tools":{"function_declarations":[{"name":"f"}]},"tool_config":{"function_calling_config":{"mode":"VALIDATED","allowed_function_names":["a","b"]},"x":1}}`,
	`{"contents":[],"generation_config":{"temperature":1.0,"topP":0.1,"top_k":3.0,"candidate_count":2,"max_output_tokens":9,"seed":4,"stop_sequences":["x"],"presencePenalty":0,"frequency_penalty":1,"response_logprobs":true,"logprobs":2,"responseModalities":["TEXT"],"thinking_config":{"thinking_budget":0,"include_thoughts":true}}}`,
	`{"contents":[],"generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":6,"properties":{"a":{"type":"STRING","minLength":"1"}}},"thinkingConfig":{"thinkingBudget":-1,"thinkingLevel":"HIGH"}}}`,
	`{"contents":[],"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object"},"thinkingConfig":{"thinkingBudget":2147483648,"thinkingLevel":null}}}`,
	`{"contents":[],"generationConfig":{"responseMimeType":"text/x.enum","responseSchema":{"enum":["a"]},"stopSequences":null,"thinkingConfig":{}},"toolConfig":{"functionCallingConfig":{"mode":"NEW"}}}`,
}

// geminiReplies are answers in every form.
var geminiReplies = []string{
	`{"candidates":[{"content":{"parts":[{"text":"hi"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"totalTokenCount":11},"modelVersion":"gemini-2.5-flash","responseId":"r"}`,
	`{"candidates":[{"content":{"role":"model"},"finishReason":"MAX_TOKENS"}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":109,"thoughtsTokenCount":100,"cachedContentTokenCount":4,"promptTokensDetails":[{"modality":"TEXT","tokenCount":4},{"modality":"AUDIO","tokenCount":5}],"trafficType":"PROVISIONED_THROUGHPUT"}}`,
	`{"candidates":[{"finishReason":"SAFETY","safetyRatings":[{"category":"X","blocked":true}]}],"createTime":"2026-04-02T17:03:50.399550Z"}`,
	`{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}`,
	`{"promptFeedback":{"safetyRatings":[]},"candidates":[]}`,
	`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"c2ln"},{"functionCall":{"name":"f"}}],"role":"model"},"finishReason":"STOP","finishMessage":"calls","avgLogprobs":-0.1,"index":0},{"content":{},"finishReason":3,"index":1}],"usageMetadata":{"trafficType":"ON_DEMAND"}}`,
	`{"candidates":[{"content":{"parts":[{"text":"a","thought":true},{"text":"b","thoughtSignature":"c2ln"},{"executableCode":{"code":"1"}},{"inlineData":{"mimeType":"image/png","data":"aGk="}}],"role":"model"},"finishReason":"NEW_REASON","groundingMetadata":{"webSearchQueries":["q"]},"citationMetadata":{"citations":[{"uri":"u"}]}}]}`,
	`{"candidates":[{"content":{"parts":[{"text":"4"}],"role":"model"},"finishReason":1,"logprobsResult":{"chosenCandidates":[{"token":"4","tokenId":2,"logProbability":-0.5}],"topCandidates":[{"candidates":[{"token":"4","logProbability":-0.5}]}]}}],"usageMetadata":{"promptTokenCount":1,"toolUsePromptTokenCount":5,"candidatesTokenCount":1,"totalTokenCount":7,"candidatesTokensDetails":[{"modality":4,"tokenCount":1}]}}`,
	`{"candidates":[{"content":null,"finishReason":null}],"usageMetadata":null}`,
	`{"usageMetadata":{"promptTokenCount":3}}`,
	`{"candidates":[{"logprobsResult":{"":[{}]}}]}`,
	`{"candidates":[{"finishReason":0.1},{"finishReason":0},{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}`,
}

func geminiTripCall(t testing.TB, body []byte) {
	t.Helper()
	c, err := ReadCall(GeminiCodec{}, body)
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	got, losses, err := GeminiCodec{}.EncodeCall(nil, c)
	if err != nil || len(losses) > 0 {
		t.Fatalf("%v %v in %s", err, losses, body)
	}
	anthropicSameJSON(t, got, body)
}

func geminiTripReply(t testing.TB, body []byte) {
	t.Helper()
	r, err := GeminiCodec{}.DecodeReply(body, new(At))
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	got, losses, err := GeminiCodec{}.EncodeReply(nil, r)
	if err != nil || len(losses) > 0 {
		t.Fatalf("%v %v in %s", err, losses, body)
	}
	anthropicSameJSON(t, got, body)
	var tap Tap
	GeminiCodec{}.TapReply(&tap, body)
	if tap.Usage != r.Usage || tap.HasUsage != r.HasUsage || tap.Model != r.Model {
		t.Fatalf("tap %+v, decoded %+v in %s", tap, r, body)
	}
	if len(r.Choices) == 1 && tap.Stop != r.Choices[0].Stop.Reason {
		t.Fatalf("tap stopped with %q, decoded %q in %s", tap.Stop, r.Choices[0].Stop.Reason, body)
	}
}

func TestGeminiSurvivesTheRoundTrip(t *testing.T) {
	for _, body := range geminiCalls {
		geminiTripCall(t, []byte(body))
	}
	for _, body := range geminiReplies {
		geminiTripReply(t, []byte(body))
	}
}

func TestGeminiRequestsThatAreWrong(t *testing.T) {
	for body, want := range map[string]string{
		`{`:                         "",
		`{}`:                        "contents: is required",
		`{"contents":{}}`:           "contents: must be a list",
		`{"contents":[{"role":1}]}`: "contents[0].role: must be a string",
		`{"contents":[{"role":"assistant","parts":[]}]}`:                                                `contents[0].role: must be "user"`,
		`{"contents":[{"parts":[{"functionCall":{"name":"f","args":"x"}}]}]}`:                           "contents[0].parts[0].functionCall.args: must be an object",
		`{"contents":[{"parts":[{"functionResponse":{"name":"f","response":"x"}}]}]}`:                   "contents[0].parts[0].functionResponse.response: must be an object",
		`{"contents":[],"generationConfig":{"topK":1,"top_k":2}}`:                                       `generationConfig: member "topK" appears twice, also as "top_k"`,
		`{"contents":[],"generationConfig":{"maxOutputTokens":-1}}`:                                     "generationConfig.maxOutputTokens: must be between 0",
		`{"contents":[],"tools":[{"functionDeclarations":[{}]}]}`:                                       "tools[0].functionDeclarations[0].name: is missing",
		`{"contents":[],"generationConfig":{"responseMimeType":"application/json","responseSchema":1}}`: "generationConfig.responseSchema: must be an object",
	} {
		_, err := ReadCall(GeminiCodec{}, []byte(body))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

func TestGeminiGlance(t *testing.T) {
	var at At
	for body, want := range map[string]int{
		geminiCalls[0]: 0, `{"contents":[],"generation_config":{"max_output_tokens":9}}`: 9,
		`{"contents":[],"generationConfig":{"maxOutputTokens":"x"}}`: 0,
		`{"contents":[],"generationConfig":{"maxOutputTokens":7}}`:   7,
	} {
		g, err := GeminiCodec{}.Glance([]byte(body), &at)
		if err != nil || g.MaxTokens != want || g.Model != "" || g.Stream || g.Dialect != llm.Gemini {
			t.Errorf("%s: %+v %v", body, g, err)
		}
		if out := (GeminiCodec{}).Splice(nil, []byte(body), &at, Rewrite{Model: "m", Usage: true}).Append(nil); string(out) != body {
			t.Errorf("splice made %s of %s", out, body)
		}
	}
	if _, err := (GeminiCodec{}).Glance([]byte(`[]`), &at); err == nil {
		t.Error("a list is taken for a request")
	}
}

func TestGeminiPairsResultsWithCallsByName(t *testing.T) {
	body := `{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}},{"functionCall":{"name":"g"}},{"functionCall":{"name":"f"}},{"functionCall":{"id":"call_0_1","name":"g"}}]},
		{"role":"user","parts":[{"functionResponse":{"name":"g"}},{"functionResponse":{"id":"call_0_1","name":"g"}},{"functionResponse":{"name":"f"}},{"functionResponse":{"name":"f"}},{"functionResponse":{"name":"f"}}]}]}`
	c, err := ReadCall(GeminiCodec{}, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var calls, results []string
	for _, p := range c.Turns[0].Parts {
		calls = append(calls, p.Tool.ID)
	}
	for _, p := range c.Turns[1].Parts {
		results = append(results, p.Result.CallID)
	}
	want := []string{"call_0_0", "call_0_1_", "call_0_2", "call_0_1"}
	if d := cmp.Diff(want, calls); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"call_0_1_", "call_0_1", "call_0_0", "call_0_2", "call_1_4"}, results); d != "" {
		t.Error(d)
	}
}

func TestGeminiUsageNestsItsClasses(t *testing.T) {
	u, ok := geminiUsage([]byte(`{"promptTokenCount":100,"cachedContentTokenCount":40,"toolUsePromptTokenCount":7,"candidatesTokenCount":20,"thoughtsTokenCount":5,"totalTokenCount":132,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":30}],"candidatesTokensDetails":[{"modality":4,"tokenCount":3}]}`))
	want := llm.Usage{Input: 107, CacheRead: 40, InputAudio: 30, Output: 25, Reasoning: 5, OutputAudio: 3, Source: llm.UsageReported}
	if !ok || u != want || u.Total() != 132 {
		t.Errorf("%+v %v", u, ok)
	}
	back, ok := geminiUsage(geminiUsageJSON(&want, llm.Extra{}, &lossList{}))
	if !ok || back != want {
		t.Errorf("written and read: %+v", back)
	}
	if _, ok := geminiUsage([]byte(`{"trafficType":"ON_DEMAND"}`)); ok {
		t.Error("a usage without figures counts")
	}
}

// TestGeminiSignaturesComeBackThroughEveryClient gives an answer of Gemini to a
// client of each dialect, which hands it back with its next request: to Gemini
// each signature must stand on its part again.
func TestGeminiSignaturesComeBackThroughEveryClient(t *testing.T) {
	body := []byte(`{"responseId":"r","candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true,"thoughtSignature":"dGhpbms="},{"text":"so","thoughtSignature":"dGV4dA=="},{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"Y2FsbA=="},{"functionCall":{"name":"g","args":{}}}]},"finishReason":"STOP"}]}`)
	for _, c := range []struct {
		codec Codec
		again func(answer map[string]any) map[string]any
	}{
		{ChatCodec{}, func(a map[string]any) map[string]any {
			message := a["choices"].([]any)[0].(map[string]any)["message"]
			return map[string]any{"model": "m", "messages": []any{map[string]any{"role": "user", "content": "x"}, message}}
		}},
		{AnthropicCodec{}, func(a map[string]any) map[string]any {
			turn := map[string]any{"role": "assistant", "content": a["content"]}
			return map[string]any{"model": "m", "max_tokens": 9, "messages": []any{map[string]any{"role": "user", "content": "x"}, turn}}
		}},
		{ResponsesCodec{}, func(a map[string]any) map[string]any {
			return map[string]any{"model": "m", "input": append([]any{map[string]any{"role": "user", "content": "x"}}, a["output"].([]any)...)}
		}},
	} {
		t.Run(string(c.codec.Name()), func(t *testing.T) {
			r, err := GeminiCodec{}.DecodeReply(body, new(At))
			if err != nil || r.Choices[0].Stop.Reason != llm.StopTool {
				t.Fatalf("%+v %v", r, err)
			}
			told, _, err := c.codec.EncodeReply(nil, r)
			if err != nil {
				t.Fatal(err)
			}
			var answer map[string]any
			if err := json.Unmarshal(told, &answer); err != nil {
				t.Fatal(err)
			}
			request, err := json.Marshal(c.again(answer))
			if err != nil {
				t.Fatal(err)
			}
			if !carriesWrapped(t, request) {
				t.Errorf("no wrapping is seen in %s", request)
			}
			call, err := ReadCall(c.codec, request)
			if err != nil {
				t.Fatal(err)
			}
			call.Model = "gemini-3-pro-preview"
			out, _, err := GeminiCodec{}.EncodeCall(nil, call)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				`"thoughtSignature":"dGhpbms="`, `{"text":"so","thoughtSignature":"dGV4dA=="}`,
				`"name":"f","args":{"a":1}},"thoughtSignature":"Y2FsbA=="}`, `"name":"g","args":{}}}`,
			} {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %s in %s", want, out)
				}
			}
		})
	}
}

// TestGeminiClientsHandBackForeignSignatures is the same the other way round: an
// answer of Anthropic or Responses, kept by a client of Gemini, whose SDK reads
// a signature as base64.
func TestGeminiClientsHandBackForeignSignatures(t *testing.T) {
	body := []byte(`{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"redacted_thinking","data":"opaque"},{"type":"text","text":"so"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}`)
	r, err := AnthropicCodec{}.DecodeReply(body, new(At))
	if err != nil {
		t.Fatal(err)
	}
	told, losses, err := GeminiCodec{}.EncodeReply(nil, r)
	if err != nil || len(losses) > 0 {
		t.Fatal(losses, err)
	}
	var answer struct {
		Candidates []struct {
			Content struct {
				Parts []struct{ ThoughtSignature []byte }
			}
		}
	}
	if err := json.Unmarshal(told, &answer); err != nil {
		t.Fatalf("an SDK that wants base64 cannot read %s: %v", told, err)
	}
	var content struct {
		Candidates []struct{ Content json.RawMessage }
	}
	if err := json.Unmarshal(told, &content); err != nil {
		t.Fatal(err)
	}
	request := append(append([]byte(`{"contents":[{"role":"user","parts":[{"text":"x"}]},`), content.Candidates[0].Content...), `]}`...)
	if !carriesWrapped(t, request) {
		t.Errorf("no wrapping is seen in %s", request)
	}
	for _, text := range [][]byte{request, []byte(strings.NewReplacer("+", "-", "/", "_").Replace(string(request)))} {
		call, err := ReadCall(GeminiCodec{}, text)
		if err != nil {
			t.Fatal(err)
		}
		call.Model = "claude-sonnet-4-5"
		out, _, err := AnthropicCodec{}.EncodeCall(nil, call)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"thinking":"hm","signature":"sig"`, `"data":"opaque"`} {
			if !strings.Contains(string(out), want) {
				t.Errorf("no %s in %s", want, out)
			}
		}
		own, losses, err := GeminiCodec{}.EncodeCall(nil, call)
		if err != nil || len(losses) == 0 || strings.Contains(string(own), "hm") || strings.Contains(string(own), signatureBase64) {
			t.Errorf("gemini is given %s %v %v", own, losses, err)
		}
	}
}

func TestGeminiLetsCallsOfOtherModelsThrough(t *testing.T) {
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"2","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"2","content":"{\"a\":1}"},{"role":"tool","tool_call_id":"1","content":"plain"}]}`)
	for model, signed := range map[string]int{"gemini-3-flash-preview": 1, "gemini-2.5-flash": 0, "other": 0} {
		call, err := ReadCall(ChatCodec{}, body)
		if err != nil {
			t.Fatal(err)
		}
		call.Model = model
		out, _, err := GeminiCodec{}.EncodeCall(nil, call)
		if err != nil || strings.Count(string(out), geminiUnsigned) != signed {
			t.Errorf("%s: %s %v", model, out, err)
		}
		for _, want := range []string{`{"id":"2","name":"f","response":{"a":1}}`, `{"id":"1","name":"f","response":{"output":"plain"}}`} {
			if !strings.Contains(string(out), want) {
				t.Errorf("no %s in %s", want, out)
			}
		}
	}
	if text, err := base64.StdEncoding.DecodeString(geminiUnsigned); err != nil || string(text) != "skip_thought_signature_validator" {
		t.Errorf("%s %v", text, err)
	}
}

func TestGeminiThinkingByModel(t *testing.T) {
	for _, c := range []struct {
		model  string
		ask    llm.Reasoning
		want   string // thinkingConfig; empty for none
		losses int
	}{
		{"gemini-2.5-flash", llm.Reasoning{Effort: "low"}, `{"thinkingBudget":1024}`, 0},
		{"gemini-2.5-flash", llm.Reasoning{Effort: "none"}, `{"thinkingBudget":0}`, 0},
		{"gemini-2.5-pro", llm.Reasoning{Mode: "adaptive"}, `{"includeThoughts":true,"thinkingBudget":-1}`, 0},
		{"gemini-2.5-pro", llm.Reasoning{Mode: "enabled", Budget: 5000}, `{"includeThoughts":true,"thinkingBudget":5000}`, 0},
		{"gemini-3-pro", llm.Reasoning{Effort: "xhigh", Summary: "auto"}, `{"includeThoughts":true,"thinkingLevel":"high"}`, 1},
		{"gemini-3-pro", llm.Reasoning{Effort: "medium"}, `{"thinkingLevel":"medium"}`, 0},
		{"gemini-3-pro", llm.Reasoning{Mode: "disabled"}, `{"thinkingLevel":"low"}`, 1},
		{"gemini-2.0-flash", llm.Reasoning{Effort: "high"}, "", 1},
		{"gemini-2.0-flash", llm.Reasoning{Mode: "disabled"}, "", 0},
		{"gemini-3-pro", llm.Reasoning{}, "", 0},
		{"gemini-3-pro", llm.Reasoning{Effort: "strange", Summary: "detailed"}, `{"includeThoughts":true}`, 2},
	} {
		call := &llm.Call{Model: c.model, Reasoning: c.ask, Turns: []llm.Turn{{Role: llm.RoleUser, Parts: []llm.Part{{Kind: llm.PartText, Text: quoted("a")}}}}}
		out, losses, err := GeminiCodec{}.EncodeCall(nil, call)
		if err != nil || len(losses) != c.losses {
			t.Errorf("%s %+v: %v %v", c.model, c.ask, losses, err)
		}
		var got struct {
			GenerationConfig struct{ ThinkingConfig json.RawMessage }
		}
		if err := json.Unmarshal(out, &got); err != nil || string(got.GenerationConfig.ThinkingConfig) != c.want {
			t.Errorf("%s %+v: %s, want %s", c.model, c.ask, out, c.want)
		}
	}
}

func TestGeminiErrors(t *testing.T) {
	for _, c := range []struct {
		body string
		want llm.ErrorBody
	}{
		{`{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}`, llm.ErrorBody{Type: "RESOURCE_EXHAUSTED", Code: "RESOURCE_EXHAUSTED", Message: "m", After: 34400 * time.Millisecond}},
		{`[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"},{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents"}]}]}}]`, llm.ErrorBody{Type: "INVALID_ARGUMENT", Code: "API_KEY_INVALID", Param: "contents", Message: "m"}},
		{`{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"soon"},7]}}`, llm.ErrorBody{Type: "RESOURCE_EXHAUSTED", Code: "RESOURCE_EXHAUSTED", Message: "m"}},
		{`{"error":{"message":"m","type":"t","code":"c"}}`, llm.ErrorBody{Type: "t", Code: "c", Message: "m"}},
		{`no luck`, llm.ErrorBody{Message: "no luck"}},
	} {
		if got := (GeminiCodec{}).DecodeError([]byte(c.body)); got != c.want {
			t.Errorf("%s: %+v", c.body, got)
		}
	}
	f := &llm.Fault{Kind: llm.FaultRateLimit, Message: "slow down", After: 48 * time.Second, Param: "contents"}
	body := GeminiCodec{}.EncodeError(f, "req-1")
	want := `{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT","domain":"tailplane"},{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"48s"},{"@type":"type.googleapis.com/google.rpc.RequestInfo","requestId":"req-1"}]}}`
	if string(body) != want {
		t.Errorf("%s", body)
	}
	if got := (GeminiCodec{}).DecodeError(body); got != (llm.ErrorBody{Type: "RESOURCE_EXHAUSTED", Code: "RATE_LIMIT", Param: "contents", Message: "slow down", After: 48 * time.Second}) {
		t.Errorf("%+v", got)
	}
	for kind, status := range map[llm.FaultKind]string{
		llm.FaultBadRequest: "INVALID_ARGUMENT", llm.FaultUnauthorized: "UNAUTHENTICATED", llm.FaultForbidden: "PERMISSION_DENIED", llm.FaultUnknownModel: "NOT_FOUND",
		llm.FaultOverloaded: "UNAVAILABLE", llm.FaultFirstToken: "DEADLINE_EXCEEDED", llm.FaultInternal: "INTERNAL", llm.FaultServer: "UNAVAILABLE",
	} {
		if got := (GeminiCodec{}).DecodeError(GeminiCodec{}.EncodeError(&llm.Fault{Kind: kind}, "")); got.Type != status {
			t.Errorf("%s is told as %s", kind, got.Type)
		}
	}
}

func TestGeminiCount(t *testing.T) {
	codec := GeminiCodec{}
	for _, body := range []string{
		`{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`,
		`{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[{"role":"user","parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"be"}]}}}`,
		`{"generate_content_request":{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}}`,
	} {
		call, err := ReadCount(codec, []byte(body))
		if err != nil || len(call.Turns) != 1 {
			t.Fatalf("%s: %+v %v", body, call, err)
		}
		call.Model = "gemini-2.5-flash"
		out, losses, err := codec.EncodeCount(nil, call)
		if err != nil || len(losses) > 0 || !strings.HasPrefix(string(out), `{"generateContentRequest":{`) || !strings.Contains(string(out), `"model":"models/gemini-2.5-flash"`) {
			t.Errorf("%s %v %v", out, losses, err)
		}
		if again, err := ReadCount(codec, out); err != nil || !reflect.DeepEqual(again.Turns, call.Turns) {
			t.Errorf("%s: %v", out, err)
		}
	}
	if n, err := codec.DecodeCountReply(codec.EncodeCountReply(42)); n != 42 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	for _, body := range []string{`{}`, `[]`, `{"totalTokens":-1}`} {
		if _, err := codec.DecodeCountReply([]byte(body)); err == nil {
			t.Errorf("%s is taken for a count", body)
		}
	}
}

func TestGeminiEmbedsForClientsOfOpenAI(t *testing.T) {
	ask, err := DecodeOpenAIEmbed([]byte(`{"model":"gemini-embedding-001","input":["a","b"],"dimensions":2,"encoding_format":"base64","user":"u"}`))
	if err != nil {
		t.Fatal(err)
	}
	out, losses := EncodeGeminiEmbed(ask)
	if want := `{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]},"outputDimensionality":2},{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"b"}]},"outputDimensionality":2}]}`; string(out) != want || len(losses) != 1 || losses[0].Feature != "user" {
		t.Errorf("%s %v", out, losses)
	}
	reply, err := DecodeGeminiEmbedReply([]byte(`{"embeddings":[{"values":[0.5,-1]},{"values":[2,0.25]}],"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}}`))
	if err != nil {
		t.Fatal(err)
	}
	told := EncodeOpenAIEmbedReply(reply, ask)
	if want := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAAPwAAgL8="},{"object":"embedding","index":1,"embedding":"AAAAQAAAgD4="}],"model":"gemini-embedding-001","usage":{"prompt_tokens":4,"total_tokens":4}}`; string(told) != want {
		t.Errorf("%s", told)
	}
	back, err := DecodeOpenAIEmbedReply(told)
	if err != nil || !bytes.Equal(back.Vectors[0], []byte("[0.5,-1]")) || back.Usage.Input != 4 {
		t.Errorf("%+v %v", back, err)
	}
	for _, body := range []string{`{"model":"m"}`, `{"input":"a"}`, `{"model":"m","input":[[1,2]]}`, `{"model":"m","input":[]}`} {
		if _, err := DecodeOpenAIEmbed([]byte(body)); err == nil {
			t.Errorf("%s is taken for a request", body)
		}
	}
}

func TestOpenAIEmbedsForClientsOfGemini(t *testing.T) {
	for body, want := range map[string]string{
		`{"content":{"parts":[{"text":"a"},{"text":"b"}]},"outputDimensionality":2}`:                                                      `{"embedding":{"values":[0.5,-1]}}`,
		`{"requests":[{"model":"models/m","content":{"role":"user","parts":[{"text":"ab"}]},"output_dimensionality":2,"task_type":"X"}]}`: `{"embeddings":[{"values":[0.5,-1]}]}`,
	} {
		ask, err := DecodeGeminiEmbed([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		ask.Model = "text-embedding-3-small"
		out, losses := EncodeOpenAIEmbed(ask)
		if string(out) != `{"model":"text-embedding-3-small","input":["ab"],"dimensions":2,"encoding_format":"float"}` || len(losses) != strings.Count(body, "task_type") {
			t.Errorf("%s %v", out, losses)
		}
		reply, err := DecodeOpenAIEmbedReply([]byte(`{"model":"m","data":[{"embedding":[0.5,-1]}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := EncodeGeminiEmbedReply(reply, ask); string(got) != want {
			t.Errorf("%s, want %s", got, want)
		}
		if one, err := DecodeGeminiEmbedReply([]byte(want)); err != nil || !reflect.DeepEqual(one.Vectors, reply.Vectors) {
			t.Errorf("%+v %v", one, err)
		}
	}
	for _, body := range []string{`{}`, `{"requests":[]}`, `{"requests":[{}]}`, `{"content":{"parts":[{"inlineData":{"data":"aGk="}}]}}`} {
		if _, err := DecodeGeminiEmbed([]byte(body)); err == nil {
			t.Errorf("%s is taken for a request", body)
		}
	}
	for _, body := range []string{`{}`, `{"embeddings":[{"values":"x"}]}`, `{"embedding":{"values":[{}]}}`} {
		if _, err := DecodeGeminiEmbedReply([]byte(body)); err == nil {
			t.Errorf("%s is taken for an answer", body)
		}
	}
}
