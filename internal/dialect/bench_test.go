package dialect

import (
	"fmt"
	"strings"
	"testing"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// What a request and its answer cost on their way: translated between the two
// dialects that are met most, and tapped as they pass through.

// benchCall is a chat request of about n bytes with escapes as prose has them.
func benchCall(n int) []byte {
	const text = `She said \"keep it level\" and wrote down what lift and weight and drag and thrust are, one after the other.\nThen she went on to the next page; café. `
	return fmt.Appendf(nil, `{"messages":[{"role":"system","content":"You are a careful assistant."},{"role":"user","content":"%s"}],"model":"x-small","max_tokens":256,"temperature":0.2}`, strings.Repeat(text, n/len(text)))
}

// benchReply is an answer of Anthropic with about n bytes of text.
func benchReply(n int) []byte {
	const text = `Lift equals weight; drag equals thrust.\n`
	return fmt.Appendf(nil, `{"id":"msg_01","type":"message","role":"assistant","model":"bench-small","content":[{"type":"text","text":"%s"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":312,"output_tokens":96,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}}`, strings.Repeat(text, n/len(text)))
}

func BenchmarkTranslateCall(b *testing.B) {
	for _, n := range []int{1 << 10, 100 << 10} {
		body := benchCall(n)
		b.Run(fmt.Sprintf("%dKB", n>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var out []byte
			var at At
			if _, err := (ChatCodec{}).Glance(body, &at); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				call, err := ChatCodec{}.DecodeCall(body, &at)
				if err != nil {
					b.Fatal(err)
				}
				if out, _, err = (AnthropicCodec{}).EncodeCall(out[:0], call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTranslateReply(b *testing.B) {
	for _, n := range []int{1 << 10, 100 << 10} {
		body := benchReply(n)
		b.Run(fmt.Sprintf("%dKB", n>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var out []byte
			var at At
			for b.Loop() {
				reply, err := AnthropicCodec{}.DecodeReply(body, &at)
				if err != nil {
					b.Fatal(err)
				}
				if out, _, err = (ChatCodec{}).EncodeReply(out[:0], reply); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGlance(b *testing.B) {
	for _, n := range []int{1 << 10, 100 << 10} {
		body := benchCall(n)
		b.Run(fmt.Sprintf("%dKB", n>>10), func(b *testing.B) {
			var at At
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (ChatCodec{}).Glance(body, &at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTapContent(b *testing.B) {
	for _, c := range []struct {
		surface    Surface
		name, data string
	}{
		{ChatCodec{}, "", `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"lift"},"logprobs":null,"finish_reason":null}],"usage":null}`},
		{AnthropicCodec{}, "content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lift"}}`},
		{GeminiCodec{}, "", `{"candidates":[{"content":{"parts":[{"text":"lift"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9,"promptTokensDetails":[{"modality":"TEXT","tokenCount":9}]},"modelVersion":"m","responseId":"r"}`},
		{ResponsesCodec{}, "response.output_text.delta", `{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"lift","logprobs":[]}`},
	} {
		b.Run(string(c.surface.Name()), func(b *testing.B) {
			ev := wire.Event{Data: []byte(c.data)}
			if c.name != "" {
				ev.Name = []byte(c.name)
			}
			t := Tap{Model: "m", Usage: llm.Usage{}}
			b.ReportAllocs()
			for b.Loop() {
				if !c.surface.TapEvent(&t, ev).Has(SightContent) {
					b.Fatal("no content was seen")
				}
			}
		})
	}
}
