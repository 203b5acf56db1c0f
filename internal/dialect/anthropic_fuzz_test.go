package dialect

import (
	"bytes"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"tailplane/internal/llm"
)

func FuzzAnthropicCall(f *testing.F) {
	for _, body := range anthropicCalls {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ReadCall(AnthropicCodec{}, body)
		if err != nil || bytes.Contains(body, []byte("tp1")) || bytes.Contains(body, []byte(`\u`)) {
			return
		}
		got, losses, err := AnthropicCodec{}.EncodeCall(nil, c)
		if c.Model == "" {
			return
		}
		if err != nil || len(losses) > 0 {
			t.Fatalf("%v %v", err, losses)
		}
		anthropicSameJSON(t, got, body)
		c.Extra = llm.Extra{Dialect: llm.Chat}
		if got, _, err = (AnthropicCodec{}).EncodeCall(nil, c); err == nil {
			anthropicJSON(t, got)
		}
	})
}

func FuzzAnthropicReply(f *testing.F) {
	for _, body := range anthropicReplies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		AnthropicCodec{}.DecodeError(body)
		if _, err := (AnthropicCodec{}).DecodeReply(body, new(At)); err == nil && !bytes.Contains(body, []byte(`\u`)) {
			anthropicRoundTripReply(t, body)
		}
	})
}

func FuzzAnthropicEvents(f *testing.F) {
	f.Add([]byte(anthropicLines(anthropicFull)))
	f.Add([]byte(anthropicLines(anthropicHead + anthropicHead + anthropicTail)))
	f.Add([]byte("data: {\"type\":\"error\"}\n\n"))
	f.Add([]byte("event:0\ndata: {\"type\":\"message_start\"}\n\ndata: {\"type\":\"message_start\",\"message\":{}}\n\ndata: {\"type\":\"message_stop\"}\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		events, err := anthropicEvents(bytes.NewReader(stream))
		again, errAgain := anthropicEvents(iotest.OneByteReader(bytes.NewReader(stream)))
		if !reflect.DeepEqual(events, again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("cut differently:\n%+v %v\n%+v %v", events, err, again, errAgain)
		}
		text, _ := anthropicWrite(events)
		if err != nil {
			return
		}
		if _, err := anthropicEvents(bytes.NewReader([]byte(text))); err != nil && err != io.ErrUnexpectedEOF {
			t.Fatalf("%v in %s", err, text)
		}
		if tap := anthropicTap(string(stream)); !bytes.Contains(stream, []byte(`\u`)) && tap.Usage != anthropicGather(events, nil).Usage {
			t.Fatalf("tap %+v, decoded %+v", tap.Usage, anthropicGather(events, nil).Usage)
		}
	})
}
