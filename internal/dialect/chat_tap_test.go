package dialect

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tailplane/internal/wire"
)

// usageText draws a usage object, most of them plain.
func usageText(t *rapid.T) string {
	var object func(names []string, deep bool) string
	value := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"0", "1", "2", "3", "5", "1000", "123456789012345", "1234567890123456", "99999999999999999999", "-1", "1.0", "1e3", "null", `"5"`, "[]", "{}"}).Draw(t, "value")
	})
	object = func(names []string, deep bool) string {
		var members []string
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 6).Draw(t, "names") {
			is := rapid.SampledFrom([]string{"7", "4", "11", ""}).Draw(t, "plain value")
			switch {
			case is == "":
				is = value.Draw(t, "value")
			case deep && strings.HasSuffix(name, "details"):
				is = object([]string{"cached_tokens", "audio_tokens", "reasoning_tokens", "accepted_prediction_tokens", "cache_write_tokens", "text_tokens"}, false)
			}
			members = append(members, fmt.Sprintf("%q:%s", name, is))
		}
		return "{" + strings.Join(members, rapid.SampledFrom([]string{",", ",", ",", ", "}).Draw(t, "comma")) + "}"
	}
	return object(append([]string{"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details", "cost", `a\"b`}, usageNames[:]...), true)
}

func TestAPlainUsageIsTheUsage(t *testing.T) {
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(usageText(t))
		if _, err := wire.Scan(raw, nil, nil); err != nil {
			t.Skip("not JSON")
		}
		got, ok := plainUsage(raw)
		if !ok {
			return
		}
		plain++
		if want, ok := openAIUsage(raw); !ok || got != want {
			t.Fatalf("%s\nis read as %+v\ninstead of %+v, %v", raw, got, want, ok)
		}
	})
	if plain == 0 {
		t.Error("no object was plain")
	}
}

func TestTheUsageOfOpenAIIsPlain(t *testing.T) {
	for _, tc := range []struct {
		raw   string
		plain bool
	}{
		{`{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}`, true},
		{`{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"prompt_tokens_details":null}`, true},
		{`{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":1},` +
			`"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":2,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`, true},
		{`{"prompt_tokens":9,"completion_tokens":8,"total_tokens":20,"completion_tokens_details":{"reasoning_tokens":3}}`, false},
		{`{"prompt_tokens":9,"completion_tokens":8,"total_tokens":18,"prompt_tokens_details":{"audio_tokens":1}}`, false},
		{`{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":10}}`, false},
		{`{"prompt_tokens":9,"prompt_tokens":9}`, false},
		{`{"prompt_tokens":9,"prompt_cache_hit_tokens":4}`, false},
		{`{"prompt_tokens": 9}`, false},
		{`{"prompt_tokens":9.0}`, false},
	} {
		u, ok := plainUsage([]byte(tc.raw))
		if want, _ := openAIUsage([]byte(tc.raw)); ok != tc.plain || ok && u != want {
			t.Errorf("%s: %+v, %v", tc.raw, u, ok)
		}
	}
}

// BenchmarkTapReply looks at a whole answer as OpenAI sends it.
func BenchmarkTapReply(b *testing.B) {
	reply := []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-5.2-mini","choices":[{"index":0,"message":{"role":"assistant",` +
		`"content":"The wing keeps level because the tail does its small part. The wing keeps level because the tail does its small part.","refusal":null,` +
		`"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":250,"completion_tokens":64,"total_tokens":314,` +
		`"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,` +
		`"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"}`)
	var t Tap
	b.ReportAllocs()
	for b.Loop() {
		t.Reset()
		if s, err := (ChatCodec{}).TapReply(&t, reply); err != nil || s != SightContent || t.Usage.Output != 64 {
			b.Fatal(s, err)
		}
	}
}

func TestTheTapStopsAsTheAnswerDoes(t *testing.T) {
	long := strings.Repeat("lift ", 40)
	for _, choices := range []string{
		`[]`, `[{"index":0,"message":{"content":"x"},"finish_reason":"length"}]`,
		`[{"finish_reason":"length","index":0,"message":{"content":"` + long + `"}}]`,
		`[{"index":0,"message":{"content":"x"},"finish_reason":"length"},{"index":1,"message":{"content":"x"},"finish_reason":"stop"}]`,
		`[{"finish_reason":"stop","index":0,"message":{"content":"` + long + `"}},{"finish_reason":"length","index":1,"message":{"content":"` + long + `"}}]`,
		`[{"index":0,"message":{"content":"\"finish_reason\":\"length\""},"finish_reason":"stop"}]`,
		`[{"index":0,"message":{"content":"x"},"finish_reason":null}]`,
	} {
		body := []byte(`{"id":"c","object":"chat.completion","created":1,"model":"m","choices":` + choices + `}`)
		var tapped, taken Tap
		_, err := ChatCodec{}.TapReply(&tapped, body)
		reply, derr := ChatCodec{}.DecodeReply(body, new(At))
		if err != nil || derr != nil {
			t.Fatal(err, derr)
		}
		if taken.Take(reply); tapped.Stop != taken.Stop {
			t.Errorf("%s: the tap sees %q, the answer says %q", choices, tapped.Stop, taken.Stop)
		}
	}
}
