package dialect

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// responsesStream is a stream with every kind of item.
const responsesStream = `event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":7,"status":"in_progress","model":"m","output":[],"usage":null}}

event: response.in_progress
data: {"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","object":"response","created_at":7,"status":"in_progress","model":"m","output":[],"usage":null}}

: keep-alive

data: {"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}

data: {"type":"response.reasoning_summary_part.added","item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}

data: {"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":0,"delta":"think"}

data: {"type":"response.reasoning_summary_text.done","item_id":"rs_1","output_index":0,"summary_index":0,"text":"thinking"}

data: {"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":1,"delta":"more"}

data: {"type":"response.output_item.done","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"thinking"},{"type":"summary_text","text":"more"}],"encrypted_content":"sig"}}

data: {"type":"response.output_item.added","output_index":1,"item":{"id":"ws_1","type":"web_search_call","status":"in_progress"}}

data: {"type":"response.web_search_call.searching","item_id":"ws_1","output_index":1,"sequence_number":9}

data: {"type":"response.output_item.done","output_index":1,"item":{"id":"ws_1","type":"web_search_call","status":"completed"}}

data: {"type":"response.output_item.added","output_index":2,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","phase":"final","content":[]}}

data: {"type":"response.content_part.added","item_id":"msg_1","output_index":2,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}

data: {"type":"response.output_text.delta","item_id":"msg_1","output_index":2,"content_index":0,"delta":"Hel","logprobs":[{"token":"Hel","logprob":-0.5,"top_logprobs":[]}]}

data: {"type":"response.output_text.delta","item_id":"other","output_index":2,"content_index":0,"delta":"lo"}

data: {"type":"response.output_text.done","item_id":"msg_1","output_index":2,"content_index":0,"text":"Hello!"}

data: {"type":"response.content_part.done","item_id":"msg_1","output_index":2,"content_index":0,"part":{"type":"output_text","text":"Hello!","annotations":[],"logprobs":[]}}

data: {"type":"response.refusal.delta","item_id":"msg_1","output_index":2,"content_index":1,"delta":"no"}

data: {"type":"response.output_item.done","output_index":2,"item":{"id":"msg_1","type":"message","status":"completed","role":"assistant","phase":"final","content":[{"type":"output_text","text":"Hello!","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]}}

data: {"type":"response.output_item.added","output_index":3,"item":{"id":"fc_1","type":"function_call","status":"in_progress","call_id":"c1","name":"f","arguments":""}}

data: {"type":"response.output_item.added","output_index":4,"item":{"id":"fc_2","type":"function_call","status":"in_progress","call_id":"c2","name":"g","arguments":""}}

data: {"type":"response.function_call_arguments.delta","item_id":"fc_2","output_index":4,"delta":"{\"b\""}

data: {"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":3,"delta":"{}"}

data: {"type":"response.function_call_arguments.delta","item_id":"fc_2","output_index":4,"delta":":1}"}

data: {"type":"response.function_call_arguments.done","item_id":"fc_1","output_index":3,"arguments":"{}"}

data: {"type":"response.output_item.done","output_index":3,"item":{"id":"fc_1","type":"function_call","status":"completed","call_id":"c1","name":"f","arguments":"{}"}}

data: {"type":"response.output_item.done","output_index":4,"item":{"id":"fc_2","type":"function_call","status":"completed","call_id":"c2","name":"g","arguments":"{\"b\":1}"}}

data: {"type":"response.completed","response":{"id":"resp_1","object":"response","created_at":7,"status":"completed","model":"m","output":[],"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":7}}}

data: [DONE]

`

// responsesBroken is a stream whose provider gives up.
const responsesBroken = `data: {"type":"response.created","response":{"id":"resp_1","status":"in_progress","model":"m","output":[]}}

data: {"type":"error","sequence_number":2,"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You are out of money.","param":null}}

data: {"type":"response.failed","response":{"id":"resp_1","status":"failed","error":{"code":"insufficient_quota","message":"You are out of money."},"output":[]}}

`

// responsesCuts reads size bytes at a time.
type responsesCuts struct {
	data []byte
	size int
}

func (c *responsesCuts) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.data[:min(c.size, len(c.data))])
	c.data = c.data[n:]
	return n, nil
}

func responsesEvents(r io.Reader) ([]llm.Event, error) {
	var all []llm.Event
	for ev, err := range (ResponsesCodec{}).Events(r) {
		if err != nil {
			return all, err
		}
		all = append(all, ev)
	}
	return all, nil
}

func responsesPiece(part int, text string) llm.Event {
	return llm.Event{Kind: llm.EventDelta, Part: part, Text: text}
}

func responsesBegin(part int, p llm.Part) llm.Event {
	return llm.Event{Kind: llm.EventPart, Part: part, New: &p}
}

func responsesStopEvents(reason llm.StopReason) []llm.Event {
	return []llm.Event{
		{Kind: llm.EventStop, Stop: llm.Stop{Reason: reason}},
		{Kind: llm.EventUsage, Usage: &llm.Usage{Input: 3, Output: 4, Reasoning: 1, Source: llm.UsageReported}},
		{Kind: llm.EventEnd},
	}
}

func responsesCall(id, name string) llm.Part {
	return llm.Part{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: id, Name: name}}
}

// responsesForeign are streams of other dialects.
var responsesForeign = map[string][]llm.Event{
	"chat with interleaved calls": append([]llm.Event{
		{Kind: llm.EventStart, Start: &llm.Reply{ID: "chatcmpl-1", Model: "m", Created: 9, Extra: llm.Extra{Dialect: llm.Chat}}},
		responsesBegin(0, llm.Part{Kind: llm.PartThinking, Text: quoted("h")}), responsesPiece(0, "m"),
		{Kind: llm.EventPartEnd, Part: 0},
		responsesBegin(1, llm.Part{Kind: llm.PartText}), responsesPiece(1, "Hel"), responsesPiece(1, "lo"),
		{Kind: llm.EventLogprobs, Logprobs: []llm.TokenLogprob{{Token: "Hel", Logprob: -1}, {Token: "lo", Logprob: -2}}},
		{Kind: llm.EventPartEnd, Part: 1},
		responsesBegin(2, responsesCall("c1", "f")), responsesPiece(2, `{"a"`),
		{Kind: llm.EventPartEnd, Part: 2},
		responsesBegin(3, responsesCall("c2", "g")),
		{Kind: llm.EventPing},
		responsesPiece(2, `:1}`),
		{Kind: llm.EventPartEnd, Part: 3},
	}, responsesStopEvents(llm.StopTool)...),
	"anthropic with signed thinking": append([]llm.Event{
		{Kind: llm.EventStart, Start: &llm.Reply{ID: "msg_1", Model: "m", Extra: llm.Extra{Dialect: llm.Anthropic}}},
		responsesBegin(0, llm.Part{Kind: llm.PartThinking, SignedBy: llm.Anthropic}), responsesPiece(0, "hm"),
		{Kind: llm.EventSign, Part: 0, Text: "si"},
		{Kind: llm.EventSign, Part: 0, Text: "g"},
		{Kind: llm.EventPartEnd, Part: 0},
		responsesBegin(1, llm.Part{Kind: llm.PartThinking, Signature: "r", SignedBy: llm.Anthropic, Redacted: true}),
		{Kind: llm.EventPartEnd, Part: 1},
		responsesBegin(2, llm.Part{Kind: llm.PartText}), responsesPiece(2, "one"),
		{Kind: llm.EventPartEnd, Part: 2},
		responsesBegin(3, llm.Part{Kind: llm.PartText}), responsesPiece(3, "two"),
		{Kind: llm.EventPartEnd, Part: 3},
		responsesBegin(4, responsesCall("c1", "f")),
		{Kind: llm.EventPartEnd, Part: 4},
		responsesBegin(5, llm.Part{Kind: llm.PartText}), responsesPiece(5, "three"),
		{Kind: llm.EventPartEnd, Part: 5},
	}, responsesStopEvents(llm.StopLength)...),
	"parts that nobody ends": append([]llm.Event{
		{Kind: llm.EventStart, Start: &llm.Reply{ID: "x"}},
		responsesBegin(0, llm.Part{Kind: llm.PartText}), responsesPiece(0, "a"),
		responsesBegin(1, llm.Part{Kind: llm.PartRefusal}), responsesPiece(1, "no"), responsesBegin(2, responsesCall("c", "f")),
	}, responsesStopEvents(llm.StopTool)...),
	"nothing but an end": {{Kind: llm.EventEnd}},
}

// responsesWritten is one event of a written stream.
type responsesWritten struct {
	kind string
	o    *object
}

func (w responsesWritten) text(name string) string { return scalarText(w.o.peek(name)) }

func responsesWrite(t *testing.T, call *llm.Call, events []llm.Event) ([]byte, []responsesWritten, []llm.Loss) {
	t.Helper()
	var out bytes.Buffer
	w := ResponsesCodec{}.Writer(&out, call)
	for _, ev := range events {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	stream := bytes.Clone(out.Bytes())
	var er wire.EventReader
	er.Reset(&out, 0)
	var all []responsesWritten
	for er.Fill() == nil {
		for ev, ok := er.Next(); ok; ev, ok = er.Next() {
			if ev.Data == nil {
				continue
			}
			o, err := parseObject(bytes.Clone(ev.Data))
			if err != nil {
				t.Fatal(err)
			}
			if got := scalarText(o.peek("type")); got != string(ev.Name) {
				t.Errorf("event %s has the type %s", ev.Name, got)
			}
			all = append(all, responsesWritten{string(ev.Name), o})
		}
	}
	return stream, all, w.Losses()
}

// TestResponsesStreamIsWhole follows a written stream as an SDK does.
func TestResponsesStreamIsWhole(t *testing.T) {
	for name, events := range responsesForeign {
		t.Run(name, func(t *testing.T) {
			stream, written, losses := responsesWrite(t, nil, events)
			if len(losses) > 0 {
				t.Errorf("losses: %v", losses)
			}
			responsesFollow(t, written)
			want, _ := Collect(responsesAll(events))
			got, err := Collect(ResponsesCodec{}.Events(bytes.NewReader(stream)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(responsesPlain(want), responsesPlain(got)); diff != "" {
				t.Errorf("the answer changed (-want +got): %s", diff)
			}
		})
	}
}

func responsesAll(events []llm.Event) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		for _, ev := range events {
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// responsesPlain is what every dialect can tell of an answer, as text.
func responsesPlain(r *llm.Reply) []string {
	all := []string{r.Model, fmt.Sprint(r.Usage.Input, r.Usage.Output, r.Usage.Reasoning)}
	for _, c := range r.Choices {
		for _, p := range c.Parts {
			s := fmt.Sprint(p.Kind, " ", p.Text)
			if p.Tool != nil {
				if p.Tool.Arguments == "" {
					p.Tool.Arguments = "{}"
				}
				s += fmt.Sprint(*p.Tool)
			}
			all = append(all, s)
		}
		reason := c.Stop.Reason
		if reason == llm.StopEnd {
			reason = ""
		}
		for _, p := range c.Parts {
			if p.Kind == llm.PartToolCall && reason == "" {
				reason = llm.StopTool
			}
		}
		if reason != "" {
			all = append(all, string(reason))
		}
		for _, l := range c.Logprobs {
			all = append(all, fmt.Sprint(l.Token, l.Logprob))
		}
	}
	return all
}

// responsesFollow checks the order and the sums of a stream's events.
func responsesFollow(t *testing.T, written []responsesWritten) {
	t.Helper()
	ids, added, done, pieces := map[string]string{}, []string{}, map[string][]byte{}, map[string]string{}
	for i, ev := range written {
		if got := ev.text("sequence_number"); got != strconv.Itoa(i) {
			t.Errorf("event %d has the sequence_number %s", i, got)
		}
		index := ev.text("output_index")
		key := index + " " + ev.text("content_index") + " " + ev.text("summary_index")
		if id := ev.text("item_id"); id != "" && id != ids[index] {
			t.Errorf("%s speaks of %s, but item %s is %s", ev.kind, id, index, ids[index])
		}
		if done[index] != nil && index != "" {
			t.Errorf("%s behind the end of item %s", ev.kind, index)
		}
		switch {
		case ev.kind == "response.output_item.added":
			ids[index] = scalarText(responsesMember(ev.o.peek("item"), "id"))
			if index != strconv.Itoa(len(added)) || ids[index] == "" {
				t.Errorf("item %s (%s) is number %d", index, ids[index], len(added))
			}
			added = append(added, index)
		case ev.kind == "response.output_item.done":
			done[index] = ev.o.peek("item")
			if got := scalarText(responsesMember(done[index], "id")); got != ids[index] {
				t.Errorf("item %s ends as %s", ids[index], got)
			}
		case strings.HasSuffix(ev.kind, ".delta"):
			pieces[key] += ev.text("delta")
		case ev.kind == "response.output_text.done" || ev.kind == "response.reasoning_summary_text.done":
			if ev.text("text") != pieces[key] {
				t.Errorf("%s says %q, the deltas %q", ev.kind, ev.text("text"), pieces[key])
			}
		case ev.kind == "response.function_call_arguments.done":
			if ev.text("arguments") != pieces[key] {
				t.Errorf("%s says %q, the deltas %q", ev.kind, ev.text("arguments"), pieces[key])
			}
		}
	}
	if len(written) < 3 || written[0].kind != "response.created" || written[1].kind != "response.in_progress" {
		t.Fatalf("the stream does not begin as it must: %v", written)
	}
	response := written[len(written)-1].o.peek("response")
	var items [][]byte
	for _, index := range added {
		items = append(items, done[index])
	}
	if got := responsesMember(response, "output"); !bytes.Equal(got, arrayJSON(items)) {
		t.Errorf("the finished answer has %s, the items were %s", got, arrayJSON(items))
	}
	for _, name := range responsesRequired {
		if responsesMember(response, name) == nil {
			t.Errorf("the finished answer has no %s", name)
		}
	}
}

func TestResponsesStreamEchoesTheRequest(t *testing.T) {
	call := &llm.Call{
		Model: "m", System: []llm.Part{{Kind: llm.PartText, Text: quoted("be brief")}}, Sampling: llm.Sampling{Temperature: new(0.5), MaxTokens: 9},
		Tools: []llm.Tool{{Name: "f", Schema: []byte(`{}`), Strict: new(true)}}, Choice: llm.ToolChoice{Mode: llm.ToolNone},
		Metadata: map[string]string{"a": "b"}, Parallel: new(false), Reasoning: llm.Reasoning{Effort: "low"},
	}
	_, written, _ := responsesWrite(t, call, responsesForeign["nothing but an end"])
	response := written[len(written)-1].o.peek("response")
	want := map[string]string{
		"instructions": `"be brief"`, "temperature": "0.5", "max_output_tokens": "9", "tool_choice": `"none"`,
		"tools": `[{"type":"function","name":"f","parameters":{},"strict":true}]`, "metadata": `{"a":"b"}`,
		"parallel_tool_calls": "false", "reasoning": `{"effort":"low"}`, "text": `{"format":{"type":"text"}}`, "usage": "null",
	}
	for name, value := range want {
		if got := responsesMember(response, name); string(got) != value {
			t.Errorf("%s is %s, want %s", name, got, value)
		}
	}
}

func TestResponsesStreamSurvivesReadingAndWriting(t *testing.T) {
	events, err := responsesEvents(strings.NewReader(responsesStream))
	if err != nil {
		t.Fatal(err)
	}
	stream, written, losses := responsesWrite(t, nil, events)
	if len(losses) > 0 {
		t.Errorf("losses: %v", losses)
	}
	want, err := Collect(responsesAll(events))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Collect(ResponsesCodec{}.Events(bytes.NewReader(stream)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer changed (-want +got): %s", diff)
	}
	for i, ev := range written {
		if got := ev.text("sequence_number"); got != strconv.Itoa(i) {
			t.Errorf("%s has the sequence_number %s, not %d", ev.kind, got, i)
		}
	}
	texts := []string{"thinking\n\nmore", "", "Hello!", "no", "", ""}
	for i, p := range got.Choices[0].Parts {
		if unquoted(p.Text) != texts[i] {
			t.Errorf("part %d is %q", i, p.Text)
		}
	}
	if p := got.Choices[0].Parts; p[4].Tool.Arguments != "{}" || p[5].Tool.Arguments != `{"b":1}` || p[0].Signature != "sig" {
		t.Errorf("parts: %+v", p)
	}
	if c := got.Choices[0]; c.Stop.Reason != llm.StopTool || len(c.Logprobs) != 1 {
		t.Errorf("stop %v, logprobs %v", c.Stop, c.Logprobs)
	}
}

func TestResponsesStreamFaultsAndEnds(t *testing.T) {
	events, err := responsesEvents(strings.NewReader(responsesBroken))
	if last := events[len(events)-1]; err != nil || len(events) != 2 || last.Kind != llm.EventFault ||
		*last.Fault != (llm.ErrorBody{Type: "insufficient_quota", Code: "insufficient_quota", Message: "You are out of money."}) {
		t.Errorf("the fault is read as %+v, %v", events, err)
	}
	failed := `data: {"type":"response.failed","response":{"error":{"code":"server_error","message":"sorry"},"usage":{"input_tokens":5}}}` + "\n\n"
	events, err = responsesEvents(strings.NewReader(failed))
	if n := len(events); err != nil || n != 3 || events[1].Usage.Input != 5 || events[2].Fault.Message != "sorry" {
		t.Errorf("a failed answer is read as %+v, %v", events, err)
	}
	flat := `data: {"type":"error","code":"rate_limit_exceeded","message":"slow","param":null,"sequence_number":1}` + "\n\n"
	events, _ = responsesEvents(strings.NewReader(flat))
	if *events[0].Fault != (llm.ErrorBody{Code: "rate_limit_exceeded", Message: "slow"}) {
		t.Errorf("a flat error is read as %+v", events[0].Fault)
	}
	cut := responsesStream[:strings.Index(responsesStream, `data: {"type":"response.completed"`)]
	for _, end := range []string{"", "data: [DONE]\n\n"} {
		if _, err := responsesEvents(strings.NewReader(cut + end)); err != io.ErrUnexpectedEOF {
			t.Errorf("a cut stream ends with %v", err)
		}
	}
	if _, err := responsesEvents(strings.NewReader("data: {\"type\":\n\n")); err == nil || !strings.HasPrefix(err.Error(), "event 1 of the stream: invalid JSON") {
		t.Errorf("garbage gives %v", err)
	}
	if _, err := responsesEvents(iotest.ErrReader(io.ErrClosedPipe)); err != io.ErrClosedPipe {
		t.Errorf("the reader's error becomes %v", err)
	}
}

func TestResponsesStreamFails(t *testing.T) {
	fault := &llm.Fault{Kind: llm.FaultIdle, Message: "it stood still", Err: io.ErrClosedPipe}
	var out bytes.Buffer
	w := ResponsesCodec{}.Writer(&out, nil)
	for _, ev := range responsesForeign["chat with interleaved calls"][:7] {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Fail(fault, "req_1"); err != nil {
		t.Fatal(err)
	}
	stream := out.String()
	if strings.Contains(stream, "closed pipe") || strings.Contains(stream, "response.completed") {
		t.Errorf("the stream says too much: %s", stream)
	}
	for _, want := range []string{
		"event: error\ndata: {\"type\":\"error\",\"sequence_number\":",
		`"code":"idle_timeout","message":"it stood still","param":null,"error":{"type":"server_error","code":"idle_timeout","message":"it stood still","param":null}}`,
		"event: response.failed\n", `"status":"failed"`, `"error":{"code":"idle_timeout","message":"it stood still"}`,
	} {
		if !strings.Contains(stream, want) {
			t.Errorf("%s is not in the stream", want)
		}
	}
	if _, err := Collect(ResponsesCodec{}.Events(&out)); err == nil {
		t.Error("a failed stream is read as a whole one")
	}
	if got := string(ResponsesCodec{}.AppendFault(nil, fault, "")); !strings.HasPrefix(got, "event: error\ndata: {") {
		t.Errorf("AppendFault: %s", got)
	}
}

func TestResponsesWriterAllocatesNothingForADelta(t *testing.T) {
	w := ResponsesCodec{}.Writer(io.Discard, nil)
	for _, ev := range responsesForeign["chat with interleaved calls"][:5] {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	w.(*responsesWriter).parts[1].text = make([]byte, 0, 1<<20)
	delta := responsesPiece(1, "a token")
	allocs := testing.AllocsPerRun(100, func() {
		if err := w.Write(delta); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for each delta", allocs)
	}
}
