package dialect

import (
	"slices"
	"strings"
	"testing"

	"tailplane/internal/llm"
)

var anthropicReplies = map[string]string{
	"text":            `{"id":"msg","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2}}`,
	"cached":          `{"id":"msg","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"stop_sequence","stop_sequence":"END","usage":{"input_tokens":1,"cache_creation_input_tokens":7,"cache_read_input_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":5},"output_tokens":2,"output_tokens_details":{"thinking_tokens":1},"server_tool_use":{"web_search_requests":1},"service_tier":"standard"}}`,
	"odd usage":       `{"id":"msg","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":null,"cache_creation_input_tokens":7,"cache_read_input_tokens":-1,"cache_creation":{"ephemeral_5m_input_tokens":9,"ephemeral_1h_input_tokens":50},"output_tokens":2.0,"output_tokens_details":{"x":1}}}`,
	"bare":            `{"content":[]}`,
	"nulls":           `{"id":null,"type":null,"role":null,"model":null,"content":[],"stop_reason":"","stop_sequence":"","usage":null}`,
	"context is full": `{"id":"msg","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"model_context_window_exceeded","stop_sequence":null,"usage":{}}`,
	"unknown stop":    `{"id":"msg","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"compaction","stop_sequence":null,"stop_details":{"type":"x"},"container":null,"usage":{"input_tokens":1,"output_tokens":1}}`,
	"blocks":          `{"id":"msg","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"d"},{"type":"tool_use","id":"i","name":"f","input":{"a": 1.0},"caller":{"type":"direct"}},{"type":"mcp_tool_use","id":"i","name":"f","input":{}},{"type":"fallback","from":{},"to":{}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":null}}`,
}

func TestAnthropicReplySurvivesARoundTrip(t *testing.T) {
	for name, body := range anthropicReplies {
		t.Run(name, func(t *testing.T) { anthropicRoundTripReply(t, []byte(body)) })
	}
}

func TestAnthropicReplyAddsUpTheInput(t *testing.T) {
	r, err := AnthropicCodec{}.DecodeReply([]byte(anthropicReplies["cached"]), new(At))
	if err != nil {
		t.Fatal(err)
	}
	want := llm.Usage{Input: 17, CacheRead: 9, CacheWrite: 7, CacheWrite1h: 5, Output: 2, Reasoning: 1, Tier: "standard", Source: llm.UsageReported}
	if r.Usage != want || r.Choices[0].Stop != (llm.Stop{Reason: llm.StopSequence, Sequence: "END"}) {
		t.Errorf("%+v", r)
	}
}

func TestAnthropicMalformedReplyNamesTheMember(t *testing.T) {
	for body, want := range map[string]string{
		``: "invalid JSON",
		`{"type":"error","error":{"type":"api_error","message":"boom"}}`: "error: boom",
		`{"content":{}}`:                                           "content: ",
		`{"content":[{"type":"text"}]}`:                            "content[0].text: ",
		`{"content":[],"usage":[]}`:                                "usage: ",
		`{"content":[],"usage":{"output_tokens":"1"}}`:             "usage.output_tokens: ",
		`{"content":[],"usage":{"input_tokens":9007199254740993}}`: "usage.input_tokens: ",
		`{"content":[],"stop_reason":7}`:                           "stop_reason: ",
	} {
		if _, err := (AnthropicCodec{}).DecodeReply([]byte(body), new(At)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestAnthropicSaysWhatItCanOfAForeignReply(t *testing.T) {
	r := &llm.Reply{
		ID: "chatcmpl-1", Model: "gpt", HasUsage: true,
		Usage:      llm.Usage{Input: 10, CacheRead: 4, Output: 6, OutputAudio: 1},
		UsageExtra: llm.Extra{Dialect: llm.Chat, Members: []byte(`{"a":{"b":0},"c":3}`)},
		Extra:      llm.Extra{Dialect: llm.Chat, Members: []byte(`{"system_fingerprint":"x"}`)},
		Choices: []llm.Choice{{
			Parts: []llm.Part{
				{Kind: llm.PartThinking, Text: quoted("t")},
				{Kind: llm.PartThinking, Redacted: true, Signature: "s", SignedBy: llm.Responses},
				{Kind: llm.PartRefusal, Text: quoted("no")},
				anthropicCallPart("call.1", "{oops"),
				{Kind: llm.PartAudio, Media: &llm.Media{}},
			},
			Stop: llm.Stop{Reason: llm.StopFilter},
		}, {}},
	}
	got, losses, err := AnthropicCodec{}.EncodeReply(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	anthropicSameJSON(t, got, []byte(`{"id":"chatcmpl-1","type":"message","role":"assistant","model":"gpt","content":[
		{"type":"thinking","thinking":"t","signature":"tp1.unsigned."},{"type":"redacted_thinking","data":"`+wrapSignature(llm.Responses, "s")+`"},
		{"type":"text","text":"no"},{"type":"tool_use","id":"call.1","name":"f","input":{}}],"stop_reason":"refusal","stop_sequence":null,
		"usage":{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":6}}`))
	want := []string{"choices", "content", "system_fingerprint", "tool_calls.arguments", "usage.audio_tokens", "usage.c"}
	if f := anthropicFeatures(losses); !slices.Equal(f, want) {
		t.Errorf("%q", f)
	}
}

func TestAnthropicStopWordsMapBothWays(t *testing.T) {
	for _, s := range anthropicStops.words {
		if got := anthropicStops.say(anthropicStops.stop(s.word), &lossList{}); got != s.word {
			t.Errorf("%s became %s", s.word, got)
		}
		if got := anthropicStops.say(llm.Stop{Reason: s.reason}, &lossList{}); got == "" {
			t.Errorf("%s has no word", s.reason)
		}
	}
}

func TestAnthropicCountReply(t *testing.T) {
	for _, estimated := range []bool{true, false} {
		n, e, err := AnthropicCodec{}.DecodeCountReply(AnthropicCodec{}.EncodeCountReply(42, estimated))
		if n != 42 || e != estimated || err != nil {
			t.Errorf("%d %v %v", n, e, err)
		}
	}
	if _, _, err := (AnthropicCodec{}).DecodeCountReply([]byte(`{"x":1}`)); err == nil {
		t.Error("a count without a number was read")
	}
}

func TestAnthropicReplyToldAsAStreamIsTheSame(t *testing.T) {
	for name, body := range anthropicReplies {
		want, err := AnthropicCodec{}.DecodeReply([]byte(body), new(At))
		if err != nil {
			t.Fatal(err)
		}
		text, losses := anthropicWrite(slices.Collect(Replay(want)))
		got, err := Collect(AnthropicCodec{}.Events(strings.NewReader(text)))
		if err != nil || len(losses) > 0 {
			t.Fatalf("%s: %v %v in %s", name, err, losses, text)
		}
		if want.ID != got.ID || want.Usage != got.Usage || len(got.Choices) > 1 {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if len(got.Choices) == 0 {
			got.Choices = []llm.Choice{{}}
		}
		a, b := want.Choices[0], got.Choices[0]
		if a.Stop != b.Stop || len(a.Parts) != len(b.Parts) {
			t.Errorf("%s: %+v, want %+v", name, b, a)
		}
		anthropicSameJSON(t, anthropicBlocksJSON(b.Parts), anthropicBlocksJSON(a.Parts))
	}
}

func anthropicBlocksJSON(parts []llm.Part) []byte {
	e := &anthropicEncoder{}
	w := e.object(llm.Extra{})
	e.blocks(&w, "content", parts)
	return w.end()
}
