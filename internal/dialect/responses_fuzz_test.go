package dialect

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/llm"
)

func FuzzResponsesCall(f *testing.F) {
	for _, body := range responsesCalls {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := ResponsesCodec{}
		call, err := ReadCall(c, body)
		if err != nil {
			return
		}
		out, losses, err := c.EncodeCall(nil, call)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if bytes.Contains(body, []byte("tp1")) || bytes.Contains(body, []byte(`\u`)) {
			return // wrapped thinking is not for the target; lone surrogates have no text
		}
		if len(losses) > 0 {
			t.Errorf("losses in one dialect: %v", losses)
		}
		responsesSame(t, out, bytes.TrimSpace(body))
	})
}

func FuzzResponsesReply(f *testing.F) {
	for _, body := range responsesReplies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := ResponsesCodec{}
		reply, err := c.DecodeReply(body, new(At))
		if err != nil {
			return
		}
		out, losses, err := c.EncodeReply(nil, reply)
		if err != nil || len(losses) > 0 {
			t.Fatalf("what was decoded cannot be encoded: %v, %v", err, losses)
		}
		var tap Tap
		if c.TapReply(&tap, body); tap.Usage != reply.Usage {
			t.Errorf("the tap found %v, decoding %v", tap.Usage, reply.Usage)
		}
		if !bytes.Contains(body, []byte(`\u`)) {
			responsesSame(t, out, bytes.TrimSpace(body))
		}
	})
}

func FuzzResponsesEvents(f *testing.F) {
	f.Add([]byte(responsesStream), uint8(7))
	for event := range strings.SplitSeq(responsesStream, "\n\n") {
		f.Add([]byte(event+"\n\n"), uint8(3))
	}
	f.Add([]byte(responsesBroken), uint8(1))
	f.Add([]byte(`data:{"type":"response.completed","response":{"status":"0"}}`+"\n\n"), uint8(2)) // a word that names no event
	f.Fuzz(func(t *testing.T, stream []byte, cut uint8) {
		whole, err := responsesEvents(bytes.NewReader(stream))
		half, halfErr := responsesEvents(iotest.HalfReader(bytes.NewReader(stream)))
		if (err == nil) != (halfErr == nil) {
			t.Fatalf("read whole: %v; in halves: %v", err, halfErr)
		}
		one, _ := responsesEvents(&responsesCuts{data: stream, size: int(cut)%16 + 1})
		if diff := cmp.Diff(whole, half); diff != "" {
			t.Errorf("halves give other events: %s", diff)
		}
		if diff := cmp.Diff(whole, one); diff != "" {
			t.Errorf("cuts give other events: %s", diff)
		}
		if !utf8.Valid(stream) {
			return
		}
		var out bytes.Buffer
		w := ResponsesCodec{}.Writer(&out, nil)
		for _, ev := range whole {
			if err := w.Write(ev); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := responsesEvents(&out); (len(whole) > 0 && whole[len(whole)-1].Kind == llm.EventEnd) != (err == nil) && len(whole) > 0 &&
			whole[len(whole)-1].Kind != llm.EventFault {
			t.Errorf("what was written reads as: %v", err)
		}
	})
}
