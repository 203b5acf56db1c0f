package dialect

import (
	"fmt"
	"io"
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

// benchStreams are answers in which n pieces of text come one by one.
func benchStreams(n int) map[string]string {
	words := strings.Fields("lift and weight and drag and thrust , one after the other")
	var chat, anthropic strings.Builder
	anthropic.WriteString(`event: message_start
data: {"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"bench-small","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":312,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

`)
	for i := range n {
		word := words[i%len(words)]
		fmt.Fprintf(&chat, "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench-small\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" %s\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n", word)
		fmt.Fprintf(&anthropic, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" %s\"}}\n\n", word)
	}
	chat.WriteString(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench-small","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n")
	anthropic.WriteString(`event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":96}}

event: message_stop
data: {"type":"message_stop"}

`)
	return map[string]string{"chat": chat.String(), "anthropic": anthropic.String()}
}

// BenchmarkTranslateStream tells what each of a thousand pieces costs: B/op and
// allocs/op are of all of them.
func BenchmarkTranslateStream(b *testing.B) {
	const pieces = 1000
	streams := benchStreams(pieces)
	for _, c := range []struct{ from, to Codec }{{AnthropicCodec{}, ChatCodec{}}, {ChatCodec{}, AnthropicCodec{}}} {
		body := streams[string(c.from.Name())]
		b.Run(string(c.from.Name()), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := c.to.Writer(io.Discard, nil)
				for ev, err := range c.from.Events(strings.NewReader(body)) {
					if err != nil {
						b.Fatal(err)
					}
					if err := w.Write(ev); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pieces, "ns/piece")
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
