package sim

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

const tools = `[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["C","F"]}},"required":["city","unit"]}}},
{"type":"function","function":{"name":"send_mail","parameters":{"type":"object","properties":{"to":{"type":"string","format":"email"}},"required":["to"]}}}]`

func ask(user, more string) string {
	text, _ := json.Marshal(user)
	return fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":%s}]%s}`, text, more)
}

func TestToolsAreCalledWhenAskedFor(t *testing.T) {
	cases := []struct {
		name, user, more string
		want             []string // names
	}{
		{"not asked for", "Tell me a story", "", nil},
		{"named", "Use get_weather for Paris now", "", []string{"get_weather"}},
		{"named in words", "Please get weather in Paris", "", []string{"get_weather"}},
		{"part of a word", "forget_weather is not a tool", "", nil},
		{"two named", "Use get_weather and send_mail", "", []string{"get_weather", "send_mail"}},
		{"two named, one allowed", "Use get_weather and send_mail", `,"parallel_tool_calls":false`, []string{"get_weather"}},
		{"required", "Tell me a story", `,"tool_choice":"required"`, []string{"get_weather"}},
		{"required and named in text", "Do send_mail", `,"tool_choice":"required"`, []string{"send_mail"}},
		{"chosen by name", "x", `,"tool_choice":{"type":"function","function":{"name":"send_mail"}}`, []string{"send_mail"}},
		{"none", "Use get_weather", `,"tool_choice":"none"`, nil},
	}
	bubble(t, one(steady()), func(r *rig) {
		for _, c := range cases {
			more := `,"tools":` + tools + c.more
			a := r.json(chatPath, ask(c.user, more))
			checkCalls(t, c.name, a.Choices[0].Message.ToolCalls, c.want)
			wantReason := "tool_calls"
			if c.want == nil {
				wantReason = "stop"
			}
			if got := *a.Choices[0].FinishReason; got != wantReason {
				t.Errorf("%s: finish_reason is %s", c.name, got)
			}
			events, err := r.stream(chatPath, ask(c.user, more+`,"stream":true`))
			if err != nil {
				t.Fatal(err)
			}
			checkCalls(t, c.name+", streamed", joinCalls(events), c.want)
		}
	})
}

func joinCalls(events []event) []toolCall {
	var calls []toolCall
	for _, e := range events {
		for _, c := range e.Choices {
			for _, d := range c.Delta.ToolCalls {
				if d.ID != "" {
					calls = append(calls, toolCall{ID: d.ID})
				}
				calls[d.Index].Function.Name += d.Function.Name
				calls[d.Index].Function.Arguments += d.Function.Arguments
			}
		}
	}
	return calls
}

func checkCalls(t *testing.T, name string, got []toolCall, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d calls, want %d", name, len(got), len(want))
		return
	}
	ids := make(map[string]bool)
	for i, c := range got {
		var args map[string]string
		if err := json.Unmarshal([]byte(c.Function.Arguments), &args); err != nil {
			t.Errorf("%s: arguments %q: %v", name, c.Function.Arguments, err)
		}
		need := map[string]string{"get_weather": "city", "send_mail": "to"}[c.Function.Name]
		if c.Function.Name != want[i] || c.ID == "" || ids[c.ID] || args[need] == "" {
			t.Errorf("%s: call %d is %+v", name, i, c)
		}
		ids[c.ID] = true
	}
}

func TestToolResultIsAnsweredInText(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		a := r.json(chatPath, `{"model":"m","tools":`+tools+`,"messages":[{"role":"user","content":"Use get_weather"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"get_weather","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"a","content":"12 degrees"}]}`)
		m := a.Choices[0].Message
		if len(m.ToolCalls) != 0 || !strings.Contains(*m.Content, "12 degrees") || !strings.Contains(*m.Content, marker) {
			t.Errorf("answer is %+v", m)
		}
	})
}

func TestResponseFormats(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		var object map[string]any
		a := r.json(chatPath, ask("x", `,"response_format":{"type":"json_object"}`))
		if err := json.Unmarshal([]byte(*a.Choices[0].Message.Content), &object); err != nil {
			t.Error(err)
		}
		a = r.json(chatPath, ask("x", `,"response_format":{"type":"json_schema","json_schema":{"name":"p","schema":{"type":"object","required":["age"],"properties":{"age":{"type":"integer","minimum":18}}}}}`))
		if got := *a.Choices[0].Message.Content; got != `{"age":18}` {
			t.Errorf("schema is answered with %s", got)
		}
	})
}

func TestLengthAndStop(t *testing.T) {
	cases := []struct {
		name, more string
		tokens     int // -1: any
		reason     string
		stop       string
	}{
		{"natural", "", -1, "stop", ""},
		{"cut by max_tokens", `,"max_tokens":5`, 5, "length", ""},
		{"max_completion_tokens goes first", `,"max_tokens":9,"max_completion_tokens":4`, 4, "length", ""},
		{"a large limit changes nothing", `,"max_tokens":800`, -1, "stop", ""},
		{"ignore_eos", `,"max_tokens":200,"ignore_eos":true`, 200, "length", ""},
		{"stop string", `,"stop":"(simulated)"`, -1, "stop", "(simulated)"},
		{"first of several stops", `,"stop":["zzz","(simu"]`, -1, "stop", "(simu"},
		{"stop that does not occur", `,"stop":["zzz"]`, -1, "stop", ""},
	}
	bubble(t, one(steady()), func(r *rig) {
		for _, c := range cases {
			a := r.json(chatPath, ask("Tell me of tails", c.more))
			ch := a.Choices[0]
			n := len(tokenize(*ch.Message.Content))
			if n != a.Usage.Completion || (c.tokens >= 0 && n != c.tokens) {
				t.Errorf("%s: %d tokens, usage says %d", c.name, n, a.Usage.Completion)
			}
			if *ch.FinishReason != c.reason || (c.stop != "") != (ch.StopReason != nil) || (c.stop != "" && *ch.StopReason != c.stop) {
				t.Errorf("%s: %s, %v", c.name, *ch.FinishReason, ch.StopReason)
			}
			if c.stop != "" && strings.Contains(*ch.Message.Content, c.stop) {
				t.Errorf("%s: the stop string is in %q", c.name, *ch.Message.Content)
			}
			if c.name == "natural" && (n < 24 || n > 90) {
				t.Errorf("%d tokens are not about 24 to 60", n)
			}
		}
	})
}

func TestSameRequestGetsTheSameAnswerStreamedOrNot(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		a := r.json(chatPath, ask("What is a tailplane?", ""))
		b := r.json(chatPath, ask("What is a tailplane?", ""))
		events, _ := r.stream(chatPath, ask("What is a tailplane?", `,"stream":true`))
		other := r.json(chatPath, ask("What is a tailplane?", `,"seed":7`))
		text := *a.Choices[0].Message.Content
		if text != *b.Choices[0].Message.Content || text != content(events) {
			t.Errorf("answers differ: %q, %q, %q", text, *b.Choices[0].Message.Content, content(events))
		}
		if text == *other.Choices[0].Message.Content {
			t.Error("the seed changes nothing")
		}
		if a.ID == b.ID || a.Object != "chat.completion" || events[0].Object != "chat.completion.chunk" || a.Model != "m" {
			t.Errorf("ids %s, %s; objects %s, %s; model %s", a.ID, b.ID, a.Object, events[0].Object, a.Model)
		}
	})
}

func TestLogprobs(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		a := r.json(chatPath, ask("x", `,"logprobs":true,"top_logprobs":20`))
		lp := a.Choices[0].Logprobs
		if lp == nil || len(lp.Content) != a.Usage.Completion {
			t.Fatal("not one logprob per token")
		}
		for _, l := range lp.Content {
			sum, last := 0.0, 0.0
			for _, top := range l.Top {
				if top.Logprob > last {
					t.Fatalf("%q: logprobs rise", l.Token)
				}
				last = top.Logprob
				sum += math.Exp(top.Logprob)
			}
			if len(l.Top) != 20 || sum > 1.001 || l.Top[0].Logprob != l.Logprob {
				t.Fatalf("%q: %d alternatives with probability %g", l.Token, len(l.Top), sum)
			}
		}
		events, _ := r.stream(chatPath, ask("x", `,"logprobs":true,"stream":true`))
		if lp := events[1].Choices[0].Logprobs; lp == nil || len(lp.Content) != 1 || len(lp.Content[0].Top) != 0 {
			t.Errorf("streamed: %s", events[1].data)
		}
		text := r.json("/v1/completions", `{"model":"m","prompt":"x","logprobs":2}`)
		if lp := text.Choices[0].Logprobs; lp == nil || len(lp.Tokens) != 16 || lp.TextOffset[1] != len(lp.Tokens[0]) {
			t.Errorf("completions: %+v", lp)
		}
	})
}

func TestTextCompletions(t *testing.T) {
	bubble(t, one(steady()), func(r *rig) {
		for _, prompt := range []string{`"Once upon a time"`, `["Once upon a time"]`, `[1,2,3]`, `[[1,2,3]]`} {
			body := `{"model":"m","prompt":` + prompt
			a := r.json("/v1/completions", body+"}")
			if a.Usage.Completion != 16 || *a.Choices[0].FinishReason != "length" || a.Object != "text_completion" {
				t.Errorf("%s: %+v", prompt, a)
			}
			events, err := r.stream("/v1/completions", body+`,"stream":true}`)
			if err != nil || content(events) != a.Choices[0].Text || len(events) != 18 {
				t.Errorf("%s: %d events, %q, want %q", prompt, len(events), content(events), a.Choices[0].Text)
			}
		}
	})
}

func TestEmbeddings(t *testing.T) {
	type result struct {
		Data []struct {
			Index     int
			Embedding json.RawMessage
		}
		Usage usage
	}
	bubble(t, one(steady()), func(r *rig) {
		get := func(more string) (res result) {
			_, body := r.call("/v1/embeddings", `{"model":"m",`+more+`}`)
			if err := json.Unmarshal([]byte(body), &res); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			return res
		}
		start := time.Now()
		plain := get(`"input":["one text","another"]`)
		if got, want := time.Since(start), time.Duration(31+plain.Usage.Prompt)*time.Millisecond; got != want {
			t.Errorf("took %v, want the prefill's %v", got, want)
		}
		var v [2][]float32
		for i := range v {
			_ = json.Unmarshal(plain.Data[i].Embedding, &v[i])
			var norm float64
			for _, x := range v[i] {
				norm += float64(x) * float64(x)
			}
			if len(v[i]) != 384 || math.Abs(norm-1) > 1e-5 {
				t.Errorf("vector %d has %d dimensions and norm %g", i, len(v[i]), norm)
			}
		}
		if v[0][0] == v[1][0] {
			t.Error("two texts have one vector")
		}
		coded := get(`"input":"one text","encoding_format":"base64"`)
		var text string
		_ = json.Unmarshal(coded.Data[0].Embedding, &text)
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(b) != 4*384 || math.Float32frombits(binary.LittleEndian.Uint32(b)) != v[0][0] {
			t.Errorf("base64 differs: %d bytes, %v", len(b), err)
		}
		var short []float32
		_ = json.Unmarshal(get(`"input":"one text","dimensions":8`).Data[0].Embedding, &short)
		if len(short) != 8 {
			t.Errorf("%d dimensions", len(short))
		}
	})
}

func TestBadRequestsAreExplained(t *testing.T) {
	cases := []struct {
		path, body string
		status     int
		message    string
	}{
		{chatPath, `{`, 400, "JSON"},
		{chatPath, `{"model":"m","messages":"x"}`, 400, "messages has the wrong type"},
		{chatPath, `{"messages":[]}`, 400, "`model` is missing"},
		{chatPath, `{"model":"x","messages":[]}`, 404, "The model `x` does not exist."},
		{chatPath, `{"model":"m","messages":[]}`, 400, "at least one message"},
		{chatPath, `{"model":"m","messages":[{"content":"x"}]}`, 400, "messages[0] has no role"},
		{chatPath, ask("x", `,"n":2`), 400, "one choice"},
		{chatPath, ask("x", `,"max_tokens":0`), 400, "at least 1"},
		{chatPath, ask("x", `,"max_tokens":5000`), 400, "maximum context length is 1024"},
		{chatPath, ask(strings.Repeat("word ", 2000), ""), 400, "maximum context length"},
		{chatPath, ask("x", `,"min_tokens":5,"max_tokens":4`), 400, "min_tokens"},
		{chatPath, ask("x", `,"temperature":-1`), 400, "temperature"},
		{chatPath, ask("x", `,"top_logprobs":3`), 400, "logprobs"},
		{chatPath, ask("x", `,"stop":3`), 400, "stop must be"},
		{chatPath, ask("x", `,"stream_options":{"include_usage":true}`), 400, "Stream options"},
		{chatPath, ask("x", `,"tool_choice":"required"`), 400, "tools"},
		{chatPath, ask("x", `,"tool_choice":"maybe"`), 400, "want none, auto"},
		{chatPath, ask("x", `,"tools":`+tools+`,"tool_choice":{"type":"function","function":{"name":"zzz"}}`), 400, "does not match"},
		{"/v1/completions", `{"model":"m"}`, 400, "`prompt` is missing"},
		{"/v1/completions", `{"model":"m","prompt":["a","b"]}`, 400, "one prompt"},
		{"/v1/completions", `{"model":"m","prompt":{}}`, 400, "prompt must be"},
		{"/v1/completions", `{"model":"m","prompt":"x","echo":true}`, 400, "echo"},
		{"/v1/embeddings", `{"model":"m","input":[]}`, 400, "empty"},
		{"/v1/embeddings", `{"model":"m","input":"x","dimensions":0}`, 400, "dimensions"},
		{"/v1/embeddings", `{"model":"m","input":"x","encoding_format":"hex"}`, 400, "encoding_format"},
		{"/v1/responses", `{}`, 404, "POST /v1/responses"},
		{"/v1/models/x", "", 404, "does not exist"},
		{chatPath, ask(strings.Repeat("x", 1<<16), ""), 413, "larger than 65536 bytes"},
	}
	o := one(steady())
	o.MaxBody = 1 << 16
	bubble(t, o, func(r *rig) {
		for _, c := range cases {
			resp, body := r.call(c.path, c.body)
			var a answer
			_ = json.Unmarshal([]byte(body), &a)
			if resp.StatusCode != c.status || a.Error == nil || !strings.Contains(a.Error.Message, c.message) || a.Error.Type == "" {
				t.Errorf("%s %.80s\nanswers %d %s", c.path, c.body, resp.StatusCode, body)
			}
		}
	})
}

func TestSmallEndpoints(t *testing.T) {
	bubble(t, Options{}, func(r *rig) {
		for path, want := range map[string]string{
			"/v1/models":      `"id":"slow"`,
			"/v1/models/fast": `"max_model_len":32768`,
			"/version":        `+sim`,
			"/health":         "",
		} {
			resp, body := r.call(path, "")
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s answers %d %s", path, resp.StatusCode, body)
			}
		}
		_, body := r.call("/tokenize", `{"model":"fast","prompt":"Hello, tokens","return_token_strs":true}`)
		var a tokenizeAnswer
		if err := json.Unmarshal([]byte(body), &a); err != nil || a.Count != 3 || len(a.Tokens) != 3 || strings.Join(a.Strings, "|") != "Hello|,| tokens" {
			t.Errorf("tokenize answers %s", body)
		}
		messages := `"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"image_url","image_url":{"url":"data:"}}]}]`
		_, body = r.call("/tokenize", `{"model":"fast",`+messages+`}`)
		_ = json.Unmarshal([]byte(body), &a)
		if used := r.json(chatPath, `{"model":"fast",`+messages+`}`).Usage.Prompt; a.Count != used || len(a.Tokens) != used || used < imageTokens {
			t.Errorf("tokenize counts %d, usage %d", a.Count, used)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"same name twice": {Models: []Model{steady(), steady()}},
		"no name":         {Models: []Model{{Profile: exact()}}},
		"bad profile":     {Models: []Model{{ID: "x"}}},
		"bad reply range": {Models: []Model{{ID: "x", Profile: exact(), ReplyMin: 5, ReplyMax: 2}}},
		"bad speedup":     {Speedup: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
