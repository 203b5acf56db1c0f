package dialect

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// converseFrames makes a stream of lines "name payload"; a name that ends with
// Exception is one.
func converseFrames(lines ...string) (out []byte) {
	for _, line := range lines {
		name, payload, _ := strings.Cut(line, " ")
		if strings.HasSuffix(name, "Exception") {
			out = wire.AppendException(out, name, []byte(payload))
			continue
		}
		out = wire.AppendFrame(out, name, []byte(payload))
	}
	return out
}

// converseLines undoes converseFrames.
func converseLines(t testing.TB, stream []byte) (lines []string) {
	t.Helper()
	var r wire.EventReader
	r.ResetFrames(bytes.NewReader(stream), wire.EventStream, 0)
	for {
		err := r.Fill()
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			lines = append(lines, string(ev.Name)+" "+string(ev.Data))
		}
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func converseEvents(r io.Reader) (events []llm.Event, err error) {
	for ev, e := range (ConverseCodec{}).Events(r) {
		if err = e; err == nil {
			events = append(events, ev)
		}
	}
	return events, err
}

func converseWrite(t testing.TB, events []llm.Event) ([]byte, []llm.Loss) {
	t.Helper()
	var out bytes.Buffer
	w := ConverseCodec{}.Writer(&out, nil)
	for _, ev := range events {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes(), w.Losses()
}

var converseHead = []string{
	`messageStart {"p":"abcd","role":"assistant"}`,
	`contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}}}`,
	`contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"sig"}}}`,
	`contentBlockStop {"contentBlockIndex":0}`,
	`contentBlockDelta {"contentBlockIndex":1,"delta":{"text":"Hel"}}`,
	`contentBlockDelta {"contentBlockIndex":1,"delta":{"text":"lo"}}`,
	`contentBlockDelta {"contentBlockIndex":1,"delta":{"citation":{"title":"t","location":{"web":{"url":"u"}}}}}`,
	`contentBlockStop {"contentBlockIndex":1}`,
	`contentBlockStart {"contentBlockIndex":2,"start":{"toolUse":{"name":"f","toolUseId":"t1"}}}`,
	`contentBlockDelta {"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"a\":"}}}`,
	`contentBlockDelta {"contentBlockIndex":2,"delta":{"toolUse":{"input":"1}"}}}`,
	`contentBlockStop {"contentBlockIndex":2}`,
	`contentBlockStart {"contentBlockIndex":3,"start":{"toolUse":{"name":"none","toolUseId":"t2"}}}`,
	`contentBlockDelta {"contentBlockIndex":3,"delta":{"toolUse":{"input":""}}}`,
	`contentBlockStop {"contentBlockIndex":3}`,
	`contentBlockDelta {"contentBlockIndex":4,"delta":{"reasoningContent":{"redactedContent":"cmVk"}}}`,
	`contentBlockStop {"contentBlockIndex":4}`,
	`contentBlockStart {"contentBlockIndex":5,"start":{"toolUse":{"name":"ci","toolUseId":"s1","type":"server_tool_use"}}}`,
	`contentBlockDelta {"contentBlockIndex":5,"delta":{"toolUse":{"input":"{}"}}}`,
	`contentBlockStop {"contentBlockIndex":5}`,
	`contentBlockStart {"contentBlockIndex":6,"start":{"toolResult":{"toolUseId":"s1","type":"ci_result","status":"success"}}}`,
	`contentBlockDelta {"contentBlockIndex":6,"delta":{"toolResult":[{"json":{"out":1}}]}}`,
	`contentBlockDelta {"contentBlockIndex":6,"delta":{"toolResult":[{"text":"x"}]}}`,
	`contentBlockStop {"contentBlockIndex":6}`,
	`contentBlockStart {"contentBlockIndex":7,"start":{"image":{"format":"png"}}}`,
	`contentBlockDelta {"contentBlockIndex":7,"delta":{"image":{"source":{"bytes":"aGk="}}}}`,
	`contentBlockStop {"contentBlockIndex":7}`,
}

const (
	converseStopLine = `messageStop {"stopReason":"tool_use","additionalModelResponseFields":{"x":1}}`
	converseMetaLine = `metadata {"usage":{"inputTokens":3,"outputTokens":5,"totalTokens":15,"cacheReadInputTokens":1,"cacheWriteInputTokens":6,"cacheDetails":[{"ttl":"1h","inputTokens":4},{"ttl":"5m","inputTokens":2}]},"metrics":{"latencyMs":9}}`
)

// converseAnswer is the complete answer that converseHead streams.
const converseAnswer = `{"output":{"message":{"role":"assistant","content":[
	{"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig"}}},
	{"citationsContent":{"content":[{"text":"Hello"}],"citations":[{"title":"t","location":{"web":{"url":"u"}}}]}},
	{"toolUse":{"toolUseId":"t1","name":"f","input":{"a":1}}},
	{"toolUse":{"toolUseId":"t2","name":"none","input":{}}},
	{"reasoningContent":{"redactedContent":"cmVk"}},
	{"toolUse":{"name":"ci","toolUseId":"s1","type":"server_tool_use","input":{}}},
	{"toolResult":{"toolUseId":"s1","type":"ci_result","status":"success","content":[{"json":{"out":1}},{"text":"x"}]}},
	{"image":{"format":"png","source":{"bytes":"aGk="}}}]}},
	"stopReason":"tool_use","usage":{"inputTokens":3,"outputTokens":5,"totalTokens":15,"cacheReadInputTokens":1,"cacheWriteInputTokens":6,"cacheDetails":[{"ttl":"1h","inputTokens":4},{"ttl":"5m","inputTokens":2}]},
	"additionalModelResponseFields":{"x":1},"metrics":{"latencyMs":9}}`

var converseUsage = llm.Usage{Input: 10, CacheRead: 1, CacheWrite: 6, CacheWrite1h: 4, Output: 5, Source: llm.UsageReported}

func converseSame(t testing.TB, got, want []byte) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatalf("%v: %s", err, want)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
}

func TestConverseStreamIsItsAnswer(t *testing.T) {
	for name, tail := range map[string][]string{
		"metadata behind the stop": {converseStopLine, converseMetaLine},
		"metadata before the stop": {converseMetaLine, converseStopLine},
	} {
		stream := converseFrames(append(append([]string{}, converseHead...), tail...)...)
		reply, err := Collect(ConverseCodec{}.Events(iotest.OneByteReader(bytes.NewReader(stream))))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, losses, err := ConverseCodec{}.EncodeReply(nil, reply)
		if err != nil || losses != nil {
			t.Errorf("%s: %v, %v", name, losses, err)
		}
		converseSame(t, body, []byte(converseAnswer))
		if reply.Usage != converseUsage {
			t.Errorf("%s: usage %+v", name, reply.Usage)
		}
		events, _ := converseEvents(bytes.NewReader(stream))
		again, losses := converseWrite(t, events)
		second, err := Collect(ConverseCodec{}.Events(bytes.NewReader(again)))
		if err != nil || losses != nil {
			t.Errorf("%s: written again: %v, %v", name, err, losses)
		}
		body, _, _ = ConverseCodec{}.EncodeReply(nil, second)
		converseSame(t, body, []byte(converseAnswer))
	}
}

func TestConverseReplaysAnAnswerAsAStream(t *testing.T) {
	reply, err := ConverseCodec{}.DecodeReply([]byte(converseAnswer), new(At))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := ConverseCodec{}.Writer(&out, nil)
	for ev := range Replay(reply) {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Collect(ConverseCodec{}.Events(&out))
	if err != nil || w.Losses() != nil {
		t.Fatal(err, w.Losses())
	}
	body, _, _ := ConverseCodec{}.EncodeReply(nil, again)
	converseSame(t, body, []byte(converseAnswer))
}

// TestConverseStreamEnds has the ways in which a stream ends, for the decoder and
// for the tap.
func TestConverseStreamEnds(t *testing.T) {
	text := []string{`messageStart {"role":"assistant"}`, `contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"x"}}`}
	whole := func(more ...string) []byte { return converseFrames(append(append([]string{}, text...), more...)...) }
	broken := whole(converseStopLine)
	broken[len(broken)-1] ^= 1
	for name, c := range map[string]struct {
		stream []byte
		err    string // empty: it ends cleanly
		end    bool   // the tap knows the end
		stop   llm.StopReason
	}{
		"stop and metadata":         {whole(converseStopLine, converseMetaLine), "", true, llm.StopTool},
		"metadata and stop":         {whole(converseMetaLine, converseStopLine), "", true, llm.StopTool},
		"more behind the end":       {append(whole(converseStopLine, converseMetaLine), "garbage, and much more of it"...), "", true, llm.StopTool},
		"no metadata":               {whole(converseStopLine), "", false, llm.StopTool},
		"no stop":                   {whole(converseMetaLine), "unexpected EOF", false, ""},
		"neither":                   {whole(), "unexpected EOF", false, ""},
		"nothing":                   {nil, "unexpected EOF", false, ""},
		"cut inside the metadata":   {whole(converseStopLine, converseMetaLine)[:len(whole(converseStopLine))+30], "unexpected EOF", false, llm.StopTool},
		"a broken frame":            {broken, "broken", false, ""},
		"an event that is no JSON":  {whole("contentBlockDelta {"), "contentBlockDelta", false, ""},
		"a delta without its block": {whole(`contentBlockDelta {"contentBlockIndex":7,"delta":{"toolUse":{"input":"x"}}}`), "toolUse", false, ""},
	} {
		events, err := converseEvents(bytes.NewReader(c.stream))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
		if ended := len(events) > 0 && events[len(events)-1].Kind == llm.EventEnd; ended != (c.err == "") {
			t.Errorf("%s: has an end: %v", name, ended)
		}
		var tap Tap
		var r wire.EventReader
		r.ResetFrames(bytes.NewReader(c.stream), ConverseCodec{}.Framing(), 0)
		end := false
		for r.Fill() == nil {
			for ev, ok := r.Next(); ok; ev, ok = r.Next() {
				end = ConverseCodec{}.TapEvent(&tap, ev).Has(SightEnd) || end
			}
		}
		if end != c.end || tap.Stop != c.stop || tap.Ended != c.end {
			t.Errorf("%s: the tap saw end %v, stop %q", name, end, tap.Stop)
		}
	}
}

// TestConverseRefusesAMemberThatStandsTwice, also in the fields that only a model
// knows: one of them would be lost.
func TestConverseRefusesAMemberThatStandsTwice(t *testing.T) {
	for _, fields := range []string{
		`{"thinking":{"type":"enabled","budget_tokens":1,"budget_tokens":2}}`,
		`{"output_config":{"effort":"low","effort":"high"}}`,
		`{"inferenceConfig":{"topK":1,"topK":2}}`,
	} {
		_, err := ReadCall(ConverseCodec{}, []byte(`{"messages":[],"additionalModelRequestFields":`+fields+`}`))
		if err == nil || !strings.Contains(err.Error(), "appears twice") {
			t.Errorf("%s: %v", fields, err)
		}
	}
}

func TestConverseExceptionsInAStream(t *testing.T) {
	for frame, want := range map[string]string{
		"internalServerException": "InternalServerException", "modelStreamErrorException": "ModelStreamErrorException",
		"validationException": "ValidationException", "throttlingException": "ThrottlingException",
		"serviceUnavailableException": "ServiceUnavailableException", "modelTimeoutException": "ModelTimeoutException",
	} {
		stream := converseFrames(converseHead[0], frame+` {"message":"so it is"}`)
		events, err := converseEvents(bytes.NewReader(stream))
		if err != io.ErrUnexpectedEOF || len(events) != 2 || events[1].Kind != llm.EventFault {
			t.Fatalf("%s: %+v, %v", frame, events, err)
		}
		if got := *events[1].Fault; got != (llm.ErrorBody{Type: want, Message: "so it is"}) {
			t.Errorf("%s: %+v", frame, got)
		}
		again, _ := converseWrite(t, events)
		if lines := converseLines(t, again); frame != "modelTimeoutException" && lines[1] != frame+` {"message":"so it is"}` {
			t.Errorf("%s is written as %s", frame, lines)
		}
	}
}

func TestConverseTellsFaults(t *testing.T) {
	for _, c := range []struct {
		fault         llm.Fault
		header, frame string
	}{
		{llm.Fault{Kind: llm.FaultRateLimit, Message: "m"}, "ThrottlingException", "throttlingException"},
		{llm.Fault{Kind: llm.FaultRateLimit, Type: "ModelNotReadyException", Message: "m"}, "ModelNotReadyException", "throttlingException"},
		{llm.Fault{Kind: llm.FaultBadRequest, Message: "m"}, "ValidationException", "validationException"},
		{llm.Fault{Kind: llm.FaultUnauthorized, Message: "m"}, "AccessDeniedException", "validationException"},
		{llm.Fault{Kind: llm.FaultUnknownModel, Message: "m"}, "ResourceNotFoundException", "validationException"},
		{llm.Fault{Kind: llm.FaultQuota, Message: "m"}, "ServiceQuotaExceededException", "throttlingException"},
		{llm.Fault{Kind: llm.FaultIdle, Message: "m"}, "ModelTimeoutException", "modelStreamErrorException"},
		{llm.Fault{Kind: llm.FaultCut, Message: "m"}, "ModelErrorException", "modelStreamErrorException"},
		{llm.Fault{Kind: llm.FaultOverloaded, Message: "m"}, "ServiceUnavailableException", "serviceUnavailableException"},
		{llm.Fault{Kind: llm.FaultStopped, Message: "m"}, "ServiceUnavailableException", "serviceUnavailableException"},
		{llm.Fault{Kind: llm.FaultServer, Message: "m"}, "InternalServerException", "internalServerException"},
		{llm.Fault{Kind: llm.FaultInternal, Message: "m"}, "InternalServerException", "internalServerException"},
	} {
		if got := (ConverseCodec{}).ErrorType(&c.fault); got != c.header {
			t.Errorf("%s: header %s", c.fault.Kind, got)
		}
		if got := converseLines(t, ConverseCodec{}.AppendFault(nil, &c.fault, "r")); len(got) != 1 || got[0] != c.frame+` {"message":"m"}` {
			t.Errorf("%s: frame %s", c.fault.Kind, got)
		}
	}
}

func TestConverseErrorTypes(t *testing.T) {
	for _, c := range []struct{ header, body, kind, message string }{
		{"ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/", `{"message":"no"}`, "ValidationException", "no"},
		{"", `{"message":"no"}`, "", "no"},
		{"", `{"__type":"com.amazon.coral.service#UnknownOperationException","Message":"no"}`, "UnknownOperationException", "no"},
		{"ThrottlingException", `{"Message":"no"}`, "ThrottlingException", "no"},
		{"", `<html>bad gateway</html>`, "", ""},
	} {
		get := func(name string) string {
			if name == "x-amzn-errortype" {
				return c.header
			}
			return ""
		}
		e := ReadError(ConverseCodec{}, get, []byte(c.body))
		if e.Type != c.kind || c.message != "" && e.Message != c.message || e.Message == "" {
			t.Errorf("%q %s: %+v", c.header, c.body, e)
		}
	}
	if e := ReadError(ChatCodec{}, func(string) string { return "X" }, []byte(`{"error":{"message":"m","type":"t"}}`)); e.Type != "t" {
		t.Errorf("a dialect without such a header: %+v", e)
	}
}

func TestConverseTapAllocatesNothingForContent(t *testing.T) {
	ev := wire.Event{Name: []byte("contentBlockDelta"), Data: []byte(`{"contentBlockIndex":0,"delta":{"text":"Hello"},"p":"ab"}`)}
	meta := wire.Event{Name: []byte("metadata"), Data: []byte(strings.TrimPrefix(converseMetaLine, "metadata "))}
	var tap Tap
	if n := testing.AllocsPerRun(100, func() {
		tap.Reset()
		ConverseCodec{}.TapEvent(&tap, ev)
		ConverseCodec{}.TapEvent(&tap, meta)
	}); n != 0 || tap.Usage != converseUsage || tap.Tokens != 1 {
		t.Errorf("%v allocations, usage %+v, %d tokens", n, tap.Usage, tap.Tokens)
	}
}

func TestConverseGlance(t *testing.T) {
	var at At
	for body, want := range map[string]int{
		`{"messages":[]}`: 0, `{"inferenceConfig":{"maxTokens":7}}`: 7, `{"inferenceConfig":null}`: 0, `{"inferenceConfig":{"maxTokens":null}}`: 0,
	} {
		g, err := ConverseCodec{}.Glance([]byte(body), &at)
		if err != nil || g.MaxTokens != want || g.Model != "" || g.Stream || !g.WantUsage || g.Dialect != llm.Converse {
			t.Errorf("%s: %+v, %v", body, g, err)
		}
	}
	for _, body := range []string{`[]`, `{`, `{"inferenceConfig":[]}`, `{"inferenceConfig":{"maxTokens":"7"}}`} {
		if _, err := (ConverseCodec{}).Glance([]byte(body), &at); err == nil {
			t.Errorf("%s passes", body)
		}
	}
}

func FuzzConverseCall(f *testing.F) {
	f.Add([]byte(ownedCalls["converse"].body))
	f.Add([]byte(`{"system":[{"text":"a"},{"cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[{"document":{"name":"n","format":"pdf","source":{"bytes":"aGk="}}}]}],"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{}"}}}},"requestMetadata":{"a":"b"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ReadCall(ConverseCodec{}, body)
		if err != nil || bytes.Contains(body, []byte("tp1")) || bytes.Contains(body, []byte(`\u`)) {
			return
		}
		got, losses, err := ConverseCodec{}.EncodeCall(nil, c)
		if err != nil || len(losses) > 0 {
			t.Fatalf("%v %v", err, losses)
		}
		anthropicSameJSON(t, got, body)
		c.Extra = llm.Extra{Dialect: llm.Chat}
		if got, _, err = (ConverseCodec{}).EncodeCall(nil, c); err == nil {
			anthropicJSON(t, got)
		}
	})
}

func FuzzConverseReply(f *testing.F) {
	f.Add([]byte(converseAnswer))
	f.Add([]byte(ownedReplies["converse"].body))
	f.Add([]byte(`{"message":"no"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ConverseCodec{}.DecodeError(body)
		reply, err := ConverseCodec{}.DecodeReply(body, new(At))
		if err != nil {
			return
		}
		var tap Tap
		if (ConverseCodec{}).TapReply(&tap, body); tap.Usage != reply.Usage || tap.HasUsage != reply.HasUsage {
			t.Errorf("the tap found %+v, decoding %+v", tap.Usage, reply.Usage)
		}
		if bytes.Contains(body, []byte(`\u`)) {
			return
		}
		got, losses, err := ConverseCodec{}.EncodeReply(nil, reply)
		if err != nil || len(losses) > 0 {
			t.Fatalf("%v %v", err, losses)
		}
		anthropicSameJSON(t, got, body)
	})
}

// FuzzConverseEvents takes one event a line, as converseFrames does.
func FuzzConverseEvents(f *testing.F) {
	f.Add(strings.Join(append(append([]string{}, converseHead...), converseStopLine, converseMetaLine), "\n"))
	f.Add(converseMetaLine + "\n" + converseStopLine)
	f.Add(`throttlingException {"message":"m"}`)
	f.Add("messageStop {}\nnewEvent {\"a\":1}")
	f.Fuzz(func(t *testing.T, lines string) {
		stream := converseFrames(strings.Split(lines, "\n")...)
		events, err := converseEvents(bytes.NewReader(stream))
		again, errAgain := converseEvents(iotest.OneByteReader(bytes.NewReader(stream)))
		if !reflect.DeepEqual(events, again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("cut differently:\n%+v %v\n%+v %v", events, err, again, errAgain)
		}
		out, _ := converseWrite(t, events)
		if err != nil {
			return
		}
		want, wantErr := Collect(ConverseCodec{}.Events(bytes.NewReader(stream)))
		got, gotErr := Collect(ConverseCodec{}.Events(bytes.NewReader(out)))
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("%v became %v", wantErr, gotErr)
		}
		if wantErr == nil && (len(got.Choices) != len(want.Choices) || got.Usage != want.Usage) {
			t.Fatalf("%+v became %+v", want, got)
		}
	})
}
