package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// geminiStream makes a stream of one event for each line.
func geminiStream(lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(&b, "data: %s\n\n", line)
		}
	}
	return b.String()
}

// geminiFull is a stream with parts of all kinds.
const geminiFull = `{"candidates":[{"content":{"parts":[{"text":"hm ","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"gemini-3","responseId":"r"}
{"candidates":[{"content":{"parts":[{"text":"so","thought":true,"thoughtSignature":"dGhpbms="}],"role":"model"},"index":0}],"modelVersion":"gemini-3","responseId":"r"}
{"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"},"index":0}],"responseId":"r"}
{"candidates":[{"content":{"parts":[{"text":"b"},{"executableCode":{"code":"1"}},{"text":"c","thoughtSignature":"dGV4dA=="}],"role":"model"},"index":0}],"responseId":"r"}
{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"x":1}},"thoughtSignature":"Y2FsbA=="},{"functionCall":{"name":"f"}}],"role":"model"},"index":0}],"responseId":"r"}
{"candidates":[{"content":{"parts":[{"functionCall":{"name":"g","willContinue":true}}]}}],"responseId":"r"}
{"candidates":[{"content":{"parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$.list[0].name","stringValue":"Ro","willContinue":true},{"jsonPath":"$['a.b']","boolValue":true}],"willContinue":true}}]}}],"responseId":"r"}
{"candidates":[{"content":{"parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$.list[0].name","stringValue":"m\""},{"jsonPath":"$.n","numberValue":0.5},{"jsonPath":"$.z","nullValue":"NULL_VALUE"}],"willContinue":true}}]}}],"responseId":"r"}
{"candidates":[{"content":{"parts":[{"functionCall":{}}]}}],"responseId":"r"}
{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"ZW5k"}],"role":"model"},"finishReason":"STOP","index":0,"groundingMetadata":{"webSearchQueries":["q"]}}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"thoughtsTokenCount":2,"totalTokenCount":15},"responseId":"r"}
`

func geminiCollect(text string) (*llm.Reply, error) {
	return Collect(GeminiCodec{}.Events(strings.NewReader(text)))
}

func TestGeminiStreamOfEveryKindOfPart(t *testing.T) {
	r, err := geminiCollect(geminiStream(geminiFull))
	if err != nil {
		t.Fatal(err)
	}
	type part struct{ Kind, Text, Sign, By, ID string }
	kinds := map[llm.PartKind]string{llm.PartText: "text", llm.PartThinking: "thinking", llm.PartToolCall: "call", llm.PartOther: "other"}
	var got []part
	for _, p := range r.Choices[0].Parts {
		q := part{Kind: kinds[p.Kind], Text: unquoted(p.Text), Sign: p.Signature, By: string(p.SignedBy)}
		if p.Tool != nil {
			q.Text, q.ID = p.Tool.Name+p.Tool.Arguments, p.Tool.ID
		}
		got = append(got, q)
	}
	want := []part{
		{"thinking", "hm so", "dGhpbms=", "gemini", ""},
		{"text", "ab", "", "", ""},
		{"other", "", "", "", ""},
		{"thinking", "", "dGV4dA==", "gemini-part", ""},
		{"text", "c", "", "", ""},
		{"thinking", "", "Y2FsbA==", "gemini-call", ""},
		{"call", `f{"x":1}`, "", "", "call_r_6"},
		{"call", "f", "", "", "call_r_7"},
		{"call", `g{"list":[{"name":"Rom\""}],"a.b":true,"n":0.5,"z":null}`, "", "", "call_r_8"},
		{"thinking", "", "ZW5k", "gemini-part", ""},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if r.Choices[0].Stop.Reason != llm.StopTool || r.Usage.Output != 6 || r.Usage.Reasoning != 2 || r.Model != "gemini-3" || r.ID != "r" {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(string(r.Choices[0].Extra.Members), "webSearchQueries") {
		t.Errorf("%+v", r.Choices[0].Extra)
	}
	var tap Tap
	geminiTapStream(t, geminiStream(geminiFull), &tap)
	if tap.Usage != r.Usage || tap.Stop != llm.StopTool || tap.Model != r.Model {
		t.Errorf("%+v", tap)
	}
}

func geminiTapStream(t testing.TB, text string, tap *Tap) (sights Sight) {
	t.Helper()
	var r wire.EventReader
	r.Reset(strings.NewReader(text), 0)
	for {
		err := r.Fill()
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			sights |= GeminiCodec{}.TapEvent(tap, ev)
		}
		if err != nil {
			return sights
		}
	}
}

// geminiWrite sends events through the writer.
func geminiWrite(t testing.TB, events func(func(llm.Event, error) bool)) string {
	t.Helper()
	var out bytes.Buffer
	w := GeminiCodec{}.Writer(&out, nil)
	for ev, err := range events {
		if err != nil {
			break
		}
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestGeminiWritesWhatGooglesClientsRead(t *testing.T) {
	out := geminiWrite(t, GeminiCodec{}.Events(strings.NewReader(geminiStream(geminiFull))))
	for _, want := range []string{
		`{"candidates":[{"content":{"parts":[{"text":"hm ","thought":true}],"role":"model"},"index":0}],"modelVersion":"gemini-3","responseId":"r"}`,
		`{"text":"c","thoughtSignature":"dGV4dA=="}`,
		`{"functionCall":{"name":"f","args":{"x":1}},"thoughtSignature":"Y2FsbA=="}`,
		`{"content":{"parts":[{"text":"","thoughtSignature":"ZW5k"}],"role":"model"},"finishReason":"STOP","index":0,"groundingMetadata":{"webSearchQueries":["q"]}}`,
		`"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"thoughtsTokenCount":2,"totalTokenCount":15}`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

func TestGeminiStreamsThatWereCut(t *testing.T) {
	head := `{"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"},"index":0}],"responseId":"r"}`
	stop := `{"candidates":[{"finishReason":"STOP","index":0}]}`
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":                {"", io.ErrUnexpectedEOF},
		"no reason":              {geminiStream(head), io.ErrUnexpectedEOF},
		"inside the last event":  {geminiStream(head) + "data: " + stop, io.ErrUnexpectedEOF},
		"one of two candidates":  {geminiStream(head + "\n" + `{"candidates":[{"index":1,"finishReason":"STOP"}]}`), io.ErrUnexpectedEOF},
		"whole":                  {geminiStream(head + "\n" + stop), nil},
		"whole, with [DONE]":     {geminiStream(head+"\n"+stop) + "data: [DONE]\n\n", nil},
		"an array, open":         {"[" + head + "\n," + stop, io.ErrUnexpectedEOF},
		"an array":               {" \n[" + head + "\n,\r\n" + stop + "\n] ", nil},
		"an array, half element": {"[" + head + "\n," + stop[:20], io.ErrUnexpectedEOF},
		"more behind the array":  {"[" + head + "," + stop + "]x", errArrayTail},
		"an empty array":         {"[]", io.ErrUnexpectedEOF},
		"blocked":                {geminiStream(`{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := geminiCollect(c.text); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	blocked := `{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3,"totalTokenCount":3},"responseId":"r"}`
	if out := geminiWrite(t, GeminiCodec{}.Events(strings.NewReader(geminiStream(blocked)))); out != geminiStream(blocked) {
		t.Errorf("a blocked prompt became %s", out)
	}
}

func TestGeminiFaultsInsideAStream(t *testing.T) {
	text := geminiStream(`{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}
		{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"}]}}`)
	_, err := geminiCollect(text)
	f, ok := errors.AsType[*llm.Fault](err)
	if !ok || f.Type != "RESOURCE_EXHAUSTED" || f.Message != "slow" || f.After.Seconds() != 2 {
		t.Errorf("%+v", err)
	}
	var tap Tap
	if !geminiTapStream(t, text, &tap).Has(SightFault) {
		t.Error("the tap sees no fault")
	}
	var out bytes.Buffer
	w := GeminiCodec{}.Writer(&out, nil)
	if err := w.Write(llm.Event{Kind: llm.EventFault, Fault: &llm.ErrorBody{Type: "overloaded_error", Message: "busy"}}); err != nil {
		t.Fatal(err)
	}
	want := "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"overloaded_error\",\"domain\":\"tailplane\"}]}}\n\n"
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
	if err := w.Fail(&llm.Fault{Kind: llm.FaultCut}, "r"); err != nil || out.String() != want {
		t.Errorf("it failed twice: %s", out.String())
	}
}

// TestGeminiTextBesideAPieceOfACallIsText: no provider sends both in one part, and a
// part that has both is read as a complete answer has it.
func TestGeminiTextBesideAPieceOfACallIsText(t *testing.T) {
	chunk := `{"candidates":[{"content":{"parts":[{"text":"a","functionCall":{"name":"f","willContinue":true}}]},"finishReason":"STOP"}]}`
	r, err := geminiCollect(geminiStream(chunk))
	if err != nil {
		t.Fatal(err)
	}
	if p := r.Choices[0].Parts; len(p) != 1 || p[0].Kind != llm.PartText || unquoted(p[0].Text) != "a" {
		t.Errorf("%+v", p)
	}
}

// TestGeminiWriterEndsOnlyWithTheAnswer: a writer that is left before the end
// has told no finishReason.
func TestGeminiWriterEndsOnlyWithTheAnswer(t *testing.T) {
	var out bytes.Buffer
	w := GeminiCodec{}.Writer(&out, &llm.Call{Model: "m"})
	for _, ev := range []llm.Event{
		{Kind: llm.EventStart, Start: &llm.Reply{ID: "x"}},
		{Kind: llm.EventPing},
		{Kind: llm.EventPart, New: &llm.Part{Kind: llm.PartText}},
		{Kind: llm.EventDelta, Text: "a"},
		{Kind: llm.EventPartEnd},
		{Kind: llm.EventStop, Stop: llm.Stop{Reason: llm.StopLength}},
	} {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	if want := geminiStream(`{"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"},"index":0}],"modelVersion":"m","responseId":"x"}`); out.String() != want {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	if err := w.Fail(&llm.Fault{Kind: llm.FaultCut, Message: "cut"}, "req"); err != nil || !strings.HasPrefix(out.String(), `data: {"error":{"code":502`) {
		t.Errorf("%s %v", out.String(), err)
	}
}

// Google's SDK keeps a turn in its chats only if every chunk has a content.
func TestGeminiWriterEndsAnAnswerWithAContent(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		last string
	}{
		"said":    {"a", `{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"modelVersion":"m","responseId":"x"}`},
		"nothing": {"", `{"candidates":[{"finishReason":"STOP","index":0}],"modelVersion":"m","responseId":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			w := GeminiCodec{}.Writer(&out, &llm.Call{Model: "m"})
			for _, ev := range []llm.Event{
				{Kind: llm.EventStart, Start: &llm.Reply{ID: "x"}},
				{Kind: llm.EventPart, New: &llm.Part{Kind: llm.PartText, Text: quoted(c.text)}},
				{Kind: llm.EventPartEnd},
				{Kind: llm.EventStop, Stop: llm.Stop{Reason: llm.StopEnd}},
				{Kind: llm.EventEnd},
			} {
				if err := w.Write(ev); err != nil {
					t.Fatal(err)
				}
			}
			if !strings.HasSuffix(out.String(), geminiStream(c.last)) {
				t.Errorf("%s", out.String())
			}
		})
	}
}

func TestGeminiArrayIsAnotherFrameOfTheSameChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{geminiStream(geminiFull), geminiStream(`{"a":"]}[{\\\""}` + "\n" + `{"b":[{"c":[]}]}`), ""}).Draw(t, "stream")
		var array bytes.Buffer
		w := NewGeminiArrayWriter(&array)
		for event := range strings.SplitAfterSeq(text, "\n\n") {
			if n, err := w.Write([]byte(event)); n != len(event) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var list []json.RawMessage
		if err := json.Unmarshal(array.Bytes(), &list); err != nil || len(list) != strings.Count(text, "data:") {
			t.Fatalf("%v: %s", err, array.Bytes())
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, array.Bytes(), "", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent")); err != nil {
			t.Fatal(err)
		}
		var read io.Reader = bytes.NewReader(pretty.Bytes())
		if rapid.Bool().Draw(t, "one byte at a time") {
			read = iotest.OneByteReader(read)
		}
		back, err := io.ReadAll(NewGeminiArrayReader(read))
		if err != nil {
			t.Fatal(err)
		}
		for i, event := range strings.SplitAfter(string(back), "\n\n") {
			if data, ok := strings.CutPrefix(event, "data: "); ok {
				if !geminiSameValue([]byte(data), list[i]) {
					t.Fatalf("%s, want %s", data, list[i])
				}
			}
		}
	})
}

// geminiSameValue reports whether two JSON texts say the same.
func geminiSameValue(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func TestGeminiArrayOfAFailureStaysOpen(t *testing.T) {
	var out bytes.Buffer
	w := NewGeminiArrayWriter(&out)
	for _, event := range []string{
		"data: {\"candidates\":[]}\n\n", ": still here\n\n",
		string(GeminiCodec{}.AppendFault(nil, &llm.Fault{Kind: llm.FaultCut, Message: "cut"}, "")),
		"data: {\"late\":1}\n\n",
	} {
		if _, err := w.Write([]byte(event)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if json.Valid(out.Bytes()) || !strings.HasPrefix(text, "[{\"candidates\":[]}\n,{\"error\":{") || strings.Contains(text, "late") {
		t.Errorf("%s", text)
	}
	if _, err := geminiCollect(text); err == nil {
		t.Error("it is taken for an answer")
	}
	if _, err := w.Write([]byte("data: {}")); err == nil {
		t.Error("half an event is taken")
	}
	if _, err := NewGeminiArrayWriter(iotest.TruncateWriter(io.Discard, 0)).Write(nil); err != nil {
		t.Error(err)
	}
}

func TestGeminiTapAllocatesNothingForContent(t *testing.T) {
	ev := wire.Event{Data: []byte(`{"candidates":[{"content":{"parts":[{"text":"lift"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9,"promptTokensDetails":[{"modality":"TEXT","tokenCount":9}]},"modelVersion":"m","responseId":"r"}`)}
	tap := Tap{Model: "m"}
	if n := testing.AllocsPerRun(100, func() {
		if !(GeminiCodec{}).TapEvent(&tap, ev).Has(SightContent) {
			t.Fatal("no content was seen")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
