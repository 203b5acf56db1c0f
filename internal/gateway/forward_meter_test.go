package gateway

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/wire"
)

// TestUnits is what operations of the forward lane have used, by what their
// requests and answers say.
func TestUnits(t *testing.T) {
	wav := make([]byte, 32044)
	copy(wav, "RIFF....WAVEfmt ")
	binary.LittleEndian.PutUint32(wav[28:], 32000)
	cases := []struct {
		meter       func(*call)
		body, reply string
		want        llm.Usage
	}{
		{meterRerank, `{}`, `{"meta":{"billed_units":{"search_units":2}}}`, llm.Usage{SearchUnits: 2}},
		{meterRerank, `{}`, `{"usage":{"total_tokens":7}}`, llm.Usage{Input: 7}},
		{meterRerank, `{"a":1}`, `[{"index":0}]`, llm.Usage{Input: 2, Source: llm.UsageEstimated}},
		{meterSpoken, `{"input":"Gr\u00fc\u00df dich"}`, "", llm.Usage{Characters: 9}},
		{meterImages, `{}`, `{"data":[{},{}]}`, llm.Usage{Images: 2}},
		{meterImages, `{}`, `{"data":[{}],"usage":{"input_tokens":3,"output_tokens":9,"total_tokens":12}}`, llm.Usage{Images: 1, Input: 3, Output: 9}},
		{meterHeard, "", `{"duration":"x","usage":{"seconds":1.0005}}`, llm.Usage{AudioMillis: 1001}},
		{meterHeard, "", `{"duration":2}`, llm.Usage{AudioMillis: 2000}},
		{meterHeard, "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n" + string(wav) + "\r\n--b--", "1\n00:00", llm.Usage{AudioMillis: 1002, Source: llm.UsageEstimated}},
		{meterHeard, "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n" + strings.Repeat("x", 16000) + "\r\n--b--", "", llm.Usage{AudioMillis: 1000, Source: llm.UsageEstimated}},
		{meterText, `{"content":"x"}`, `{"usageMetadata":{"promptTokenCount":5}}`, llm.Usage{Input: 5}},
		{meterText, `{"content":"x"}`, `{"embedding":{}}`, llm.Usage{Input: meter.EstimateTokens(15), Source: llm.UsageEstimated}},
		{meterInvoke, `{"a":1}`, `{"b":2}`, llm.Usage{Input: 2, Output: 2, Source: llm.UsageEstimated}},
	}
	for i, c := range cases {
		made := &call{body: []byte(c.body), reply: []byte(c.reply), named: named{bound: "b"}}
		c.meter(made)
		if !made.tap.HasUsage || made.tap.Usage != c.want {
			t.Errorf("%d: %s -> %s: %+v, want %+v", i, cut(c.body, 60), c.reply, made.tap.Usage, c.want)
		}
	}
}

func TestMediaUsage(t *testing.T) {
	for text, want := range map[string]llm.Usage{
		`{"input_tokens":5,"output_tokens":2,"input_token_details":{"audio_tokens":9,"cached_tokens":1}}`:             {Input: 5, InputAudio: 5, CacheRead: 1, Output: 2},
		`{"input_tokens":5,"input_tokens_details":{"audio_tokens":3},"output_tokens_details":{"reasoning_tokens":1}}`: {Input: 5, InputAudio: 3, Reasoning: 1},
		`{"total_tokens":4}`: {Input: 4}, `{"seconds":0.5,"type":"duration"}`: {AudioMillis: 500},
		`{"seconds":-1,"input_tokens":-3}`: {}, `{"seconds":1e300}`: {}, `{"seconds":"1"}`: {}, `{}`: {},
		`{"input_tokens":1,"input_tokens":2}`: {},
	} {
		got, ok := mediaUsage([]byte(text), wire.Span{Start: 0, End: len(text)})
		if got != want || ok != (want != llm.Usage{}) {
			t.Errorf("%s: %+v %v, want %+v", text, got, ok, want)
		}
	}
}

func TestABatchsExchangeHasAnIDOfItsOwn(t *testing.T) {
	a, b, c := batchID("a", "batch_1"), batchID("a", "batch_1"), batchID("b", "batch_1")
	if a != b || a == c || len(a) != len(newID(time.Now())) || !strings.HasPrefix(a, "req_") {
		t.Error(fmt.Sprint(a, b, c))
	}
}

func TestARequestIDIsBase32(t *testing.T) {
	plain := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")
		if got, want := requestID(binary.BigEndian.Uint64(raw), binary.BigEndian.Uint64(raw[8:])), "req_"+plain.EncodeToString(raw); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}
