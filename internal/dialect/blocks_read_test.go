package dialect

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// TestAReceiverThatHasEnoughIsLeftAlone stops each stream behind each of its
// events, of which one has more behind it that is wrong.
func TestAReceiverThatHasEnoughIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		codec  Codec
		stream io.Reader
	}{
		"anthropic": {AnthropicCodec{}, strings.NewReader(anthropicLines(anthropicHead + `{"type":"message_delta","usage":{"output_tokens":12},"delta":5}`))},
		"converse":  {ConverseCodec{}, bytes.NewReader(converseFrames(converseHead[0], converseHead[1], `metadata {"usage":{"inputTokens":3},"metrics":5}`, `contentBlockStop {"contentBlockIndex":"x"}`))},
		"chat":      {ChatCodec{}, strings.NewReader(stream(`{"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"a"}},{"index":900}]}`))},
		"gemini":    {GeminiCodec{}, strings.NewReader(geminiStream(`{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b","thoughtSignature":5}]}}]}`))},
	} {
		text, err := io.ReadAll(c.stream)
		if err != nil {
			t.Fatal(err)
		}
		all, last := eventsOf(bytes.NewReader(text), c.codec)
		if last == nil || len(all) == 0 {
			t.Errorf("%s: %d events and no error", name, len(all))
		}
		for n := range all {
			told := 0
			for range c.codec.Events(bytes.NewReader(text)) {
				if told++; told > n {
					break
				}
			}
			if told != n+1 {
				t.Errorf("%s: %d events instead of %d", name, told, n+1)
			}
		}
	}
}
