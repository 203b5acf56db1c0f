package dialect

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

func TestGlanceReadsAChatRequest(t *testing.T) {
	var at At
	g, err := ChatCodec{}.Glance([]byte(`{"messages":[],"model":"a\u0062","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"max_completion_tokens":7}`), &at)
	if err != nil || g.Model != "ab" || !g.Stream || !g.WantUsage || g.MaxTokens != 7 || g.Op != llm.OpGenerate {
		t.Fatalf("%+v %v", g, err)
	}
	for _, c := range [...]struct{ body, want string }{
		{`{}`, "model: is missing: name the model to use"},
		{`{"model":null}`, "model: must be a string"},
		{`{"model":""}`, "model: must name the model to use"},
		{`{"model":"a","model":"b"}`, `member "model" appears again at byte 13: send it once`},
		{`{"model":"a","stream":"yes"}`, "stream: must be true or false"},
		{`{"model":"a","stream_options":[]}`, "stream_options: must be an object"},
		{`{"model":"a"`, "invalid JSON at byte 12: the text ends too early"},
	} {
		if _, err := (ChatCodec{}).Glance([]byte(c.body), &at); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v", c.body, err)
		}
	}
}

func TestSpliceChangesOnlyWhatItNames(t *testing.T) {
	for _, c := range [...]struct{ body, want string }{
		{`{ "model" : "a", "x": 1.0 }`, `{ "model" : "b", "x": 1.0 }`},
		{`{"model":"a","stream":true}`, `{"model":"b","stream":true,"stream_options":{"include_usage":true}}`},
		{`{"stream":true,"stream_options":{},"model":"a"}`, `{"stream":true,"stream_options":{"include_usage":true},"model":"b"}`},
		{`{"stream":true,"stream_options":{"x":1 },"model":"a"}`, `{"stream":true,"stream_options":{"x":1 ,"include_usage":true},"model":"b"}`},
		{`{"stream":true,"stream_options":{"include_usage": false},"model":"a"}`, `{"stream":true,"stream_options":{"include_usage": true},"model":"b"}`},
		{`{"stream":true,"stream_options":null,"model":"a"}`, `{"stream":true,"stream_options":{"include_usage":true},"model":"b"}`},
	} {
		var at At
		if _, err := (ChatCodec{}).Glance([]byte(c.body), &at); err != nil {
			t.Fatal(err)
		}
		if got := (ChatCodec{}).Splice(nil, []byte(c.body), &at, Rewrite{Model: "b", Usage: true}).Append(nil); string(got) != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.body, got, c.want)
		}
		if got := (ChatCodec{}).Splice(nil, []byte(c.body), &at, Rewrite{}).Append(nil); string(got) != c.body {
			t.Errorf("an empty rewrite changed %s to %s", c.body, got)
		}
	}
}

func TestErrorEnvelopesOfManyServers(t *testing.T) {
	for _, c := range [...]struct {
		body string
		want llm.ErrorBody
	}{
		{`{"error":{"message":"m","type":"t","param":"p","code":"c"}}`, llm.ErrorBody{Type: "t", Code: "c", Param: "p", Message: "m"}},
		{`{"error":{"message":"m","type":null,"param":null,"code":null}}`, llm.ErrorBody{Message: "m"}},
		{`{"error":{"message":"m","code":429}}`, llm.ErrorBody{Code: "429", Message: "m"}},
		{`{"error":"model not found"}`, llm.ErrorBody{Message: "model not found"}},
		{`{"detail":"Unauthorized"}`, llm.ErrorBody{Message: "Unauthorized"}},
		{`{"detail":[{"loc":["body","messages",0],"msg":"field required","type":"x"},{"msg":"b"}]}`, llm.ErrorBody{Message: "body.messages.0: field required; b"}},
		{`{"id":"x","message":"invalid api token"}`, llm.ErrorBody{Message: "invalid api token"}},
		{`{"code":"invalid-argument","error":"Incorrect API key"}`, llm.ErrorBody{Code: "invalid-argument", Message: "Incorrect API key"}},
		{`{"object":"error","message":"too long","type":"BadRequestError","code":400}`, llm.ErrorBody{Type: "BadRequestError", Code: "400", Message: "too long"}},
		{`[{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}]`, llm.ErrorBody{Type: "INVALID_ARGUMENT", Code: "400", Message: "API key not valid"}},
		{`{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"{\"error\":{\"message\":\"slow down\"}}","provider_name":"P"}}}`, llm.ErrorBody{Code: "429", Message: "Provider returned error: slow down"}},
		{"<html><head><title>502 Bad Gateway</title></head></html>", llm.ErrorBody{Message: "the upstream answered with an HTML page: 502 Bad Gateway"}},
		{"no healthy\r\n upstream\x00", llm.ErrorBody{Message: "no healthy upstream"}},
		{"", llm.ErrorBody{Message: "the upstream answered with an empty body"}},
	} {
		if got := (ChatCodec{}).DecodeError([]byte(c.body)); got != c.want {
			t.Errorf("%s\n got %+v\nwant %+v", c.body, got, c.want)
		}
	}
}

func TestFaultIsToldAsOpenAIDoes(t *testing.T) {
	f := &llm.Fault{Kind: llm.FaultRateLimit, Message: `slow "down"`, Param: "p"}
	want := `{"error":{"message":"slow \"down\"","type":"rate_limit_error","param":"p","code":"rate_limit"}}`
	sameJSON(t, []byte(want), ChatCodec{}.EncodeError(f, "r"))
	if got := string(ChatCodec{}.AppendFault(nil, f, "r")); got != "data: "+want+"\n\n" {
		t.Error(got)
	}
	sameJSON(t, []byte(`{"error":{"message":"internal","type":"server_error","param":null,"code":"internal"}}`),
		EmbeddingsSurface{}.EncodeError(&llm.Fault{Kind: llm.FaultInternal}, ""))
}

func TestCompletionsSurviveRoundTrip(t *testing.T) {
	for _, body := range []string{
		`{"model":"m","prompt":"p","max_tokens":5,"temperature":1.0,"logprobs":2,"echo":true,"stop":["a"],"user":"u","best_of":1,"suffix":null}`,
		`{"model":"m","prompt":["p"],"stop":"x","stream":true,"stream_options":{"include_usage":true},"logprobs":null,"top_k":1}`,
		`{"model":"m","prompt":"","n":0,"seed":1}`,
	} {
		call, err := ReadCall(CompletionsCodec{}, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		got, losses, err := CompletionsCodec{}.EncodeCall(nil, call)
		if err != nil || len(losses) > 0 {
			t.Errorf("%v %v", err, losses)
		}
		sameJSON(t, []byte(body), got)
	}
	for _, body := range []string{
		`{"id":"1","object":"text_completion","created":1,"model":"m","choices":[{"text":"x","index":0,"logprobs":{"tokens":["x"]},"finish_reason":"length"},{"text":"","index":1,"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`,
		`{"choices":[{}]}`,
	} {
		reply, err := CompletionsCodec{}.DecodeReply([]byte(body), new(At))
		if err != nil {
			t.Fatal(err)
		}
		got, losses, err := CompletionsCodec{}.EncodeReply(nil, reply)
		if err != nil || len(losses) > 0 {
			t.Errorf("%v %v", err, losses)
		}
		sameJSON(t, []byte(body), got)
	}
}

func TestCompletionsBatchCannotBeTranslated(t *testing.T) {
	for _, prompt := range []string{`["a","b"]`, `[1,2]`, `[[1]]`, `[]`} {
		_, err := ReadCall(CompletionsCodec{}, []byte(`{"model":"m","prompt":`+prompt+`}`))
		if err == nil || !strings.Contains(err.Error(), "only splice") {
			t.Errorf("%s: %v", prompt, err)
		}
	}
}

func TestCompletionsTargetSaysOneText(t *testing.T) {
	call, err := ReadCall(ChatCodec{}, []byte(`{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}],"tools":[{"type":"function","function":{"name":"f"}}],"logit_bias":{"1":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	got, losses, err := CompletionsCodec{}.EncodeCall(nil, call)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, []byte(`{"model":"m","prompt":"s\n\nu"}`), got)
	if len(losses) != 3 {
		t.Errorf("%v", losses)
	}
}

func TestCompletionsStreamSurvivesItsWriter(t *testing.T) {
	in := stream(`{"id":"1","object":"text_completion","created":1,"model":"m","choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":null}]}`,
		`{"id":"1","created":1,"model":"m","choices":[{"text":"b","index":0,"finish_reason":"stop"}]}`,
		`{"id":"1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`, "[DONE]")
	want, err := Collect(CompletionsCodec{}.Events(strings.NewReader(in)))
	if err != nil || unquoted(want.Choices[0].Parts[0].Text) != "ab" || !want.HasUsage {
		t.Fatalf("%+v %v", want, err)
	}
	var out bytes.Buffer
	w := CompletionsCodec{}.Writer(&out, nil)
	for ev := range Replay(want) {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Collect(CompletionsCodec{}.Events(&out))
	if err != nil || unquoted(got.Choices[0].Parts[0].Text) != "ab" || got.Usage != want.Usage {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestEmbeddingsSurface(t *testing.T) {
	body := []byte(`{"input":["a"],"model":"e"}`)
	var at At
	g, err := EmbeddingsSurface{}.Glance(body, &at)
	if err != nil || g.Model != "e" || g.Op != llm.OpEmbed {
		t.Fatalf("%+v %v", g, err)
	}
	if got := string(EmbeddingsSurface{}.Splice(nil, body, &at, Rewrite{Model: "f", Usage: true}).Append(nil)); got != `{"input":["a"],"model":"f"}` {
		t.Error(got)
	}
	var tap Tap
	EmbeddingsSurface{}.TapReply(&tap, []byte(`{"object":"list","data":[],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}`))
	if tap.Usage.Input != 8 || tap.Model != "e" {
		t.Errorf("%+v", tap)
	}
	if CodecFor(llm.Embeddings) != nil || For(llm.Embeddings) == nil {
		t.Error("embeddings is a surface, not a codec")
	}
}

func TestReplayIsCollectedToTheSameReply(t *testing.T) {
	for _, body := range chatReplyCases()[:1] {
		want, err := ChatCodec{}.DecodeReply([]byte(body), new(At))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := ChatCodec{}.Writer(&out, nil)
		for ev := range Replay(want) {
			if err := w.Write(ev); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Collect(ChatCodec{}.Events(&out))
		if err != nil || got.ID != want.ID || got.Usage != want.Usage || unquoted(got.Choices[0].Parts[0].Text) != "x" || got.Choices[0].Stop != want.Choices[0].Stop {
			t.Errorf("%+v %v", got, err)
		}
	}
}

// sameTree compares as JSON without failing on numbers out of range.
func sameTree(t *testing.T, a, b []byte) bool {
	t.Helper()
	x, _ := json.Marshal(asTree(t, a))
	y, _ := json.Marshal(asTree(t, b))
	return bytes.Equal(x, y)
}

func FuzzChatCall(f *testing.F) {
	for _, c := range chatCallCases() {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		call, err := ReadCall(ChatCodec{}, body)
		if err != nil || bytes.Contains(body, []byte(signaturePrefix)) || ambiguous(body) {
			return
		}
		got, losses, err := ChatCodec{}.EncodeCall(nil, call)
		if err != nil || len(losses) > 0 || !sameTree(t, body, got) {
			t.Fatalf("%v %v\n%s\n%s", err, losses, body, got)
		}
	})
}

func FuzzChatReply(f *testing.F) {
	for _, c := range chatReplyCases() {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		reply, err := ChatCodec{}.DecodeReply(body, new(At))
		if err != nil || bytes.Contains(body, []byte(signaturePrefix)) || ambiguous(body) {
			return
		}
		got, losses, err := ChatCodec{}.EncodeReply(nil, reply)
		if err != nil || len(losses) > 0 || !sameTree(t, body, got) {
			t.Fatalf("%v %v\n%s\n%s", err, losses, body, got)
		}
	})
}

// ambiguous texts have no one meaning as JSON: a half of a surrogate pair, or
// one member twice somewhere in a value that passes through.
func ambiguous(body []byte) bool {
	if bytes.Contains(bytes.ToLower(body), []byte(`\ud`)) {
		return true
	}
	var twice func(raw []byte) bool
	twice = func(raw []byte) bool {
		all := wire.Span{Start: 0, End: len(raw)}
		seen := map[string]bool{}
		for m := range wire.Members(raw, all) {
			name, _ := wire.String(m.Key.Of(raw))
			if seen[name] || twice(m.Value.Of(raw)) {
				return true
			}
			seen[name] = true
		}
		for e := range wire.Elements(raw, all) {
			if twice(e.Of(raw)) {
				return true
			}
		}
		return false
	}
	return twice(bytes.TrimSpace(body))
}

func FuzzCompletionsCall(f *testing.F) {
	f.Add([]byte(`{"model":"m","prompt":"p","max_tokens":5,"stop":"x","logprobs":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		call, err := ReadCall(CompletionsCodec{}, body)
		if err != nil || ambiguous(body) {
			return
		}
		got, losses, err := CompletionsCodec{}.EncodeCall(nil, call)
		if err != nil || len(losses) > 0 || !sameTree(t, body, got) {
			t.Fatalf("%v %v\n%s\n%s", err, losses, body, got)
		}
	})
}

func completionsStreams() []string {
	return []string{
		stream(`{"id":"1","object":"text_completion","created":1,"model":"m","choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":null}]}`,
			`{"id":"1","created":1,"model":"m","choices":[{"text":"b","index":1,"logprobs":{"tokens":["b"]},"finish_reason":"stop"},{"text":"","index":0,"finish_reason":"length"}]}`,
			`{"id":"1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`, "[DONE]"),
		stream(`{"error":{"message":"boom"}}`),
	}
}

func FuzzCompletionsEvents(f *testing.F) {
	for _, c := range completionsStreams() {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		want, werr := eventsOf(bytes.NewReader(in), CompletionsCodec{})
		got, gerr := eventsOf(iotest.OneByteReader(bytes.NewReader(in)), CompletionsCodec{})
		if !reflect.DeepEqual(want, got) || (werr == nil) != (gerr == nil) || werr != nil && werr.Error() != gerr.Error() {
			t.Fatalf("%v %v\n%v\n%v", werr, gerr, want, got)
		}
		first, err := Collect(CompletionsCodec{}.Events(bytes.NewReader(in)))
		if err != nil {
			return
		}
		var out bytes.Buffer
		w := CompletionsCodec{}.Writer(&out, nil)
		for _, ev := range want {
			if err := w.Write(ev); err != nil {
				t.Fatal(err)
			}
		}
		again, err := Collect(CompletionsCodec{}.Events(&out))
		if err != nil || !sameAnswer(first, again) {
			t.Fatalf("%v\n%+v\n%+v", err, first, again)
		}
	})
}

func FuzzCompletionsReply(f *testing.F) {
	f.Add([]byte(`{"id":"1","object":"text_completion","created":1,"model":"m","choices":[{"text":"x","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		reply, err := CompletionsCodec{}.DecodeReply(body, new(At))
		if err != nil || ambiguous(body) {
			return
		}
		got, losses, err := CompletionsCodec{}.EncodeReply(nil, reply)
		if err != nil || len(losses) > 0 || !sameTree(t, body, got) {
			t.Fatalf("%v %v\n%s\n%s", err, losses, body, got)
		}
	})
}

func TestUsageClassesNestWhateverTheServerCounts(t *testing.T) {
	for _, c := range [...]struct {
		raw  string
		want llm.Usage
	}{
		{`{"prompt_tokens":12,"completion_tokens":9,"total_tokens":212,"completion_tokens_details":{"reasoning_tokens":191}}`, llm.Usage{Input: 12, Output: 200, Reasoning: 191}},
		{`{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":163}}`, llm.Usage{Input: 170, CacheRead: 163, Output: 1}},
		{`{"prompt_tokens":9,"completion_tokens":201,"total_tokens":585,"prompt_tokens_details":{"audio_tokens":375}}`, llm.Usage{Input: 384, InputAudio: 375, Output: 201}},
		{`{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":8}}`, llm.Usage{Input: 10, CacheRead: 8, CacheWrite: 2, Output: 1}},
		{`{"prompt_tokens":10,"completion_tokens":1,"prompt_cache_hit_tokens":4}`, llm.Usage{Input: 10, CacheRead: 4, Output: 1}},
	} {
		c.want.Source = llm.UsageReported
		if got, ok := openAIUsage([]byte(c.raw)); !ok || got != c.want {
			t.Errorf("%s: %+v", c.raw, got)
		}
	}
}
