package dialect

import (
	"bytes"
	"reflect"
	"testing"
	"testing/iotest"

	"tailplane/internal/llm"
)

// geminiUncertain reports whether a body holds what the laws leave out: wrapped
// thinking, which no target is given, and lone surrogates, which have no text.
func geminiUncertain(body []byte) bool {
	return bytes.Contains(body, []byte(signatureBase64)) || bytes.Contains(body, []byte(`\u`))
}

func FuzzGeminiCall(f *testing.F) {
	for _, body := range geminiCalls {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ReadCall(GeminiCodec{}, body)
		if err != nil || geminiUncertain(body) {
			return
		}
		geminiTripCall(t, body)
		for _, to := range []Codec{ChatCodec{}, ResponsesCodec{}, AnthropicCodec{}} {
			c.Model = "m"
			if out, _, err := to.EncodeCall(nil, c); err == nil {
				anthropicJSON(t, out)
			}
		}
		c.Extra = llm.Extra{Dialect: llm.Chat}
		if out, _, err := (GeminiCodec{}).EncodeCall(nil, c); err == nil {
			anthropicJSON(t, out)
		}
	})
}

func FuzzGeminiReply(f *testing.F) {
	for _, body := range geminiReplies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		GeminiCodec{}.DecodeError(body)
		r, err := GeminiCodec{}.DecodeReply(body, new(At))
		if err != nil || geminiUncertain(body) {
			return
		}
		geminiTripReply(t, body)
		for _, to := range []Codec{ChatCodec{}, ResponsesCodec{}, AnthropicCodec{}} {
			if out, _, err := to.EncodeReply(nil, r); err == nil {
				anthropicJSON(t, out)
			}
		}
	})
}

func FuzzGeminiEvents(f *testing.F) {
	f.Add([]byte(geminiStream(geminiFull)))
	f.Add([]byte("[" + geminiReplies[0] + "\n,\r\n" + geminiReplies[5] + "]"))
	f.Add([]byte(geminiStream(geminiReplies[3])))
	f.Add([]byte("data: {\"error\":{}}\n\n"))
	f.Add([]byte("data: {\"promptFeedback\":{\"blockReason\":\"0\"},\"\\b0\":{\"\":0}}\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		read := func(one bool) (events []llm.Event, bad error) {
			var r interface{ Read([]byte) (int, error) } = bytes.NewReader(stream)
			if one {
				r = iotest.OneByteReader(r)
			}
			for ev, err := range (GeminiCodec{}).Events(r) {
				if err != nil {
					return events, err
				}
				events = append(events, ev)
			}
			return events, nil
		}
		events, err := read(false)
		again, errAgain := read(true)
		if !reflect.DeepEqual(events, again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("cut differently:\n%+v %v\n%+v %v", events, err, again, errAgain)
		}
		if err != nil || geminiUncertain(stream) {
			return
		}
		want, wantErr := geminiCollect(string(stream))
		out := geminiWrite(t, GeminiCodec{}.Events(bytes.NewReader(stream)))
		got, gotErr := geminiCollect(out)
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("ends with %v instead of %v: %s", gotErr, wantErr, out)
		}
		if wantErr == nil && (got.Usage != want.Usage || len(got.Choices) != len(want.Choices)) {
			t.Fatalf("%+v became %+v: %s", want, got, out)
		}
	})
}
