package dialect

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// toFrames writes Anthropic's events for a client of Bedrock, size bytes at once.
func toFrames(t testing.TB, text string, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewInvokeWriter(&out)
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := w.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	return out.Bytes()
}

func fromFrames(r io.Reader) (string, error) {
	var x InvokeReader
	x.Reset(r, 0)
	defer x.Release()
	text, err := io.ReadAll(&x)
	return string(text), err
}

func TestInvokeChangesTheEnvelopeAlone(t *testing.T) {
	text := anthropicLines(anthropicFull)
	frames := toFrames(t, text, len(text))
	for _, size := range []int{1, 2, 7, 100} {
		if !bytes.Equal(toFrames(t, text, size), frames) {
			t.Errorf("pieces of %d bytes give other frames", size)
		}
	}
	want, _ := anthropicEvents(strings.NewReader(text))
	for how, r := range map[string]io.Reader{
		"whole": bytes.NewReader(frames), "one byte": iotest.OneByteReader(bytes.NewReader(frames)), "with EOF": iotest.DataErrReader(bytes.NewReader(frames)),
	} {
		again, err := fromFrames(r)
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		got, _ := anthropicEvents(strings.NewReader(again))
		if len(want) < 5 || len(got) != len(want) || again != strings.ReplaceAll(text, ": comment\n\n", "") {
			t.Errorf("%s: %d events became %d:\n%s\nwas\n%s", how, len(want), len(got), again, text)
		}
	}
}

func TestInvokeTellsFailures(t *testing.T) {
	for exception, word := range map[string]string{
		"throttlingException": "rate_limit_error", "validationException": "invalid_request_error", "serviceUnavailableException": "overloaded_error",
		"modelTimeoutException": "timeout_error", "internalServerException": "api_error", "modelStreamErrorException": "api_error",
	} {
		text, err := fromFrames(bytes.NewReader(wire.AppendException(nil, exception, []byte(`{"message":"why"}`))))
		if err != nil || text != "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\""+word+"\",\"message\":\"why\"}}\n\n" {
			t.Errorf("%s: %q, %v", exception, text, err)
		}
		if exception == "modelStreamErrorException" {
			continue
		}
		if got := converseLines(t, toFrames(t, text, len(text))); len(got) != 1 || got[0] != exception+` {"message":"why"}` {
			t.Errorf("%s came back as %s", exception, got)
		}
	}
	fault := AnthropicCodec{}.AppendFault(nil, &llm.Fault{Kind: llm.FaultIdle, Message: "m"}, "r")
	if got := converseLines(t, toFrames(t, string(fault), 9)); len(got) != 1 || got[0] != `modelTimeoutException {"message":"m"}` {
		t.Errorf("a fault of ours: %s", got)
	}
}

func TestInvokeRefusesWhatIsNoChunk(t *testing.T) {
	for _, payload := range []string{`{`, `{}`, `{"bytes":1}`, `{"bytes":"%"}`, `{"bytes":"aGk="}`} {
		if text, err := fromFrames(bytes.NewReader(wire.AppendFrame(nil, "chunk", []byte(payload)))); err == nil || text != "" {
			t.Errorf("%s gives %q", payload, text)
		}
	}
	whole := toFrames(t, anthropicLines(anthropicFull), 1<<20)
	if _, err := fromFrames(bytes.NewReader(whole[:len(whole)-1])); err != io.ErrUnexpectedEOF {
		t.Errorf("cut: %v", err)
	}
	whole[len(whole)-1] ^= 1
	if _, err := fromFrames(bytes.NewReader(whole)); !isFrameError(err) {
		t.Errorf("a flipped bit: %v", err)
	}
	if text, err := fromFrames(bytes.NewReader(wire.AppendFrame(nil, "new", []byte(`{}`)))); err != nil || text != "" {
		t.Errorf("an unknown event: %q, %v", text, err)
	}
}

func isFrameError(err error) bool {
	_, is := errors.AsType[*wire.FrameError](err)
	return is
}

func FuzzInvokeReader(f *testing.F) {
	f.Add("chunk", []byte(`{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"ab"}`))
	f.Add("chunk", []byte(`{"bytes":""}`))
	f.Add("throttlingException", []byte(`{"message":"m"}`))
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		frame := converseFrames(name + " " + string(payload))
		text, err := fromFrames(bytes.NewReader(frame))
		again, err1 := fromFrames(iotest.OneByteReader(bytes.NewReader(frame)))
		if text != again || (err == nil) != (err1 == nil) {
			t.Fatalf("%q, %v; byte by byte %q, %v", text, err, again, err1)
		}
		toFrames(t, text, 3)
	})
}
