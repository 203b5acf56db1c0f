package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// anthropicLines makes a stream of one event for each line.
func anthropicLines(lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		var v struct{ Type string }
		_ = json.Unmarshal([]byte(line), &v)
		if line != "" {
			fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", v.Type, line)
		}
	}
	return b.String()
}

const anthropicHead = `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":3},"output_tokens":1,"service_tier":"standard"}}}
`

const anthropicTail = `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":12}}
{"type":"message_stop"}
`

// anthropicFull is a stream with blocks of all kinds.
const anthropicFull = anthropicHead + `{"type":"ping"}
{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm "}}
{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"so"}}
{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}
{"type":"content_block_stop","index":0}
{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"opaque"}}
{"type":"content_block_stop","index":1}
{"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}
{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"q\": "}}
{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"x\"}"}}
{"type":"content_block_stop","index":2}
{"type":"content_block_start","index":3,"content_block":{"type":"text","text":"","citations":[]}}
{"type":"content_block_delta","index":3,"delta":{"type":"citations_delta","citation":{"type":"web","url":"u"}}}
{"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"hé"}}
{"type":"content_block_stop","index":3}
{"type":"content_block_start","index":4,"content_block":{"type":"compaction","content":null}}
{"type":"content_block_delta","index":4,"delta":{"type":"compaction_delta","content":"all"}}
{"type":"content_block_stop","index":4}
{"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{},"caller":{"type":"direct"}}}
{"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":""}}
{"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}
{"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"1}"}}
{"type":"content_block_stop","index":5}
{"type":"content_block_start","index":6,"content_block":{"type":"tool_use","id":"t2","name":"g","input":{}}}
{"type":"content_block_delta","index":6,"delta":{"type":"input_json_delta","partial_json":""}}
{"type":"content_block_stop","index":6}
{"type":"novelty","x":1}
{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,"container":{"id":"c"}},"context_management":{"applied_edits":[1]},"usage":{"input_tokens":11,"output_tokens":40,"output_tokens_details":{"thinking_tokens":7}}}
{"type":"message_stop"}
`

func TestAnthropicStreamIsUnderstood(t *testing.T) {
	g := anthropicCheckStream(t, anthropicLines(anthropicFull))
	if len(g.Parts) != 7 || !g.Ended || g.Stop.Reason != llm.StopTool || len(g.Others) != 1 || g.Start.ID != "msg_1" {
		t.Fatalf("%+v", g)
	}
	want := llm.Usage{Input: 18, CacheRead: 3, CacheWrite: 4, CacheWrite1h: 3, Output: 40, Reasoning: 7, Tier: "standard", Source: llm.UsageReported}
	if g.Usage != want {
		t.Errorf("usage %+v", g.Usage)
	}
	p := g.Parts
	ok := unquoted(p[0].Text) == "hm so" && p[0].Signature == "sig" && p[0].SignedBy == llm.Anthropic && p[1].Redacted && p[1].Signature == "opaque" &&
		string(p[2].Raw) == `{"type":"server_tool_use","id":"s","name":"web_search","input":{"q": "x"}}` && unquoted(p[3].Text) == "hé" &&
		string(p[3].Extra.Members) == `{"citations":[{"type":"web","url":"u"}]}` && string(p[4].Raw) == `{"type":"compaction","content":"all"}` &&
		p[5].Tool.Arguments == `{"a":1}` && string(p[5].Extra.Spelled) == `{"caller":{"type":"direct"}}` && p[6].Tool.Arguments == "" &&
		string(g.Extra.Members) == `{"container":{"id":"c"},"context_management":{"applied_edits":[1]}}`
	if !ok {
		t.Errorf("%+v\n%s", p, g.Extra.Members)
	}
}

func TestAnthropicStreamAnyCutGivesTheSameEvents(t *testing.T) {
	whole := anthropicLines(anthropicFull)
	want, err := anthropicEvents(strings.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var readers []io.Reader
		for rest := whole; rest != ""; {
			n := rapid.IntRange(1, min(len(rest), 200)).Draw(t, "n")
			readers = append(readers, strings.NewReader(rest[:n]))
			rest = rest[n:]
		}
		got, err := anthropicEvents(io.MultiReader(readers...))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v", err)
		}
	})
}

// anthropicOddStreams are recordings' oddities: the lines, the error that the stream
// ends with, and what holds of its events.
var anthropicOddStreams = map[string]struct {
	lines string
	err   string
	check func(g anthropicGathered) bool
}{
	"a repeated message_start is ignored": {
		anthropicHead + anthropicHead + anthropicTail, "",
		func(g anthropicGathered) bool { return g.Ended && g.Usage.Input == 17 && g.Usage.Output == 12 },
	},
	"a spliced answer is refused": {
		anthropicHead + strings.Replace(anthropicHead, "msg_1", "msg_2", 1) + anthropicTail, "event message_start: message.id: a second message begins before the first has ended",
		func(g anthropicGathered) bool { return !g.Ended && g.Start.ID == "msg_1" },
	},
	"a later input replaces the first": {
		anthropicHead + `{"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"input_tokens":61,"cache_creation_input_tokens":null,"output_tokens":2}}` + "\n" + `{"type":"message_stop"}`, "",
		func(g anthropicGathered) bool { return g.Usage.Input == 68 && g.Stop.Reason == llm.StopLength },
	},
	"a later input of zero does not": {
		anthropicHead + `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":0,"output_tokens":2}}` + "\n" + `{"type":"message_stop"}`, "",
		func(g anthropicGathered) bool { return g.Usage.Input == 17 },
	},
	"a refusal without content": {
		anthropicHead + `{"type":"message_delta","delta":{"stop_reason":"refusal","stop_sequence":null,"stop_details":null},"usage":{"output_tokens":2}}` + "\n" + `{"type":"message_stop"}`, "",
		func(g anthropicGathered) bool {
			return g.Stop.Reason == llm.StopRefusal && string(g.Extra.Spelled) == `{"stop_details":null}`
		},
	},
	"an unknown stop word": {
		anthropicHead + `{"type":"message_delta","delta":{"stop_reason":"moon","stop_sequence":null},"usage":{"output_tokens":2}}` + "\n" + `{"type":"message_stop"}`, "",
		func(g anthropicGathered) bool { return g.Stop.Reason == llm.StopOther && g.Stop.Wire == "moon" },
	},
	"blocks left open end with the answer": {
		anthropicHead + `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n" + anthropicTail, "",
		func(g anthropicGathered) bool { return g.Ended && len(g.Parts) == 1 },
	},
	"text without a block start": {
		anthropicHead + `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}` + "\n" + anthropicTail, "",
		func(g anthropicGathered) bool { return unquoted(g.Parts[0].Text) == "x" },
	},
	"arguments without a block start": {
		anthropicHead + `{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"x"}}`, "event content_block_delta: index: names a block that is not open",
		func(g anthropicGathered) bool { return true },
	},
	"a delta of an unknown kind is passed on": {
		anthropicHead + `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n" + `{"type":"content_block_delta","index":0,"delta":{"type":"glow_delta"}}` + "\n" + anthropicTail, "",
		func(g anthropicGathered) bool { return len(g.Others) == 1 },
	},
	"the whole input in the block start": {
		anthropicHead + `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"i","name":"f","input":{"a":1}}}` + "\n" + anthropicTail, "",
		func(g anthropicGathered) bool { return g.Parts[0].Tool.Arguments == `{"a":1}` },
	},
	"an error event": {
		anthropicHead + `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, io.ErrUnexpectedEOF.Error(),
		func(g anthropicGathered) bool {
			return g.Faults[0] == llm.ErrorBody{Type: "overloaded_error", Message: "Overloaded"}
		},
	},
	"a stream that stops in the middle": {
		anthropicHead, io.ErrUnexpectedEOF.Error(),
		func(g anthropicGathered) bool { return g.Usage.Source == llm.UsageTapped },
	},
	"nothing at all":           {"", io.ErrUnexpectedEOF.Error(), func(anthropicGathered) bool { return true }},
	"no message_start":         {anthropicTail, "event message_delta: comes before message_start", func(anthropicGathered) bool { return true }},
	"a usage that is none":     {strings.Replace(anthropicHead, `"output_tokens":1`, `"output_tokens":"1"`, 1), "event message_start: message.usage.output_tokens: must be a whole number", func(anthropicGathered) bool { return true }},
	"a block that is no block": {anthropicHead + `{"type":"content_block_start","index":0,"content_block":[]}`, "event content_block_start: content_block: must be an object", func(anthropicGathered) bool { return true }},
}

func TestAnthropicStreamsOutOfTheOrdinary(t *testing.T) {
	for name, c := range anthropicOddStreams {
		t.Run(name, func(t *testing.T) {
			g := anthropicCheckStream(t, anthropicLines(c.lines))
			if g.Err != c.err || !c.check(g) {
				t.Errorf("%q\n%+v", g.Err, g)
			}
		})
	}
}

func TestAnthropicStreamPassesOnTheReadersError(t *testing.T) {
	bad := errors.New("line is dead")
	_, err := anthropicEvents(io.MultiReader(strings.NewReader(anthropicLines(anthropicHead)), iotest.ErrReader(bad)))
	if !errors.Is(err, bad) {
		t.Errorf("%v", err)
	}
}

func TestAnthropicStreamWithoutEventNames(t *testing.T) {
	var nameless strings.Builder
	for line := range strings.Lines(anthropicLines(anthropicFull)) {
		if !strings.HasPrefix(line, "event:") {
			nameless.WriteString(line)
		}
	}
	if got, want := anthropicCheckStream(t, nameless.String()), anthropicCheckStream(t, anthropicLines(anthropicFull)); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\n%+v", got, want)
	}
}

// anthropicScript writes foreign events and returns the types and texts of what
// came out.
func anthropicScript(t *testing.T, events ...llm.Event) (lines []string, losses []llm.Loss) {
	t.Helper()
	text, losses := anthropicWrite(events)
	for line := range strings.Lines(text) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			lines = append(lines, strings.TrimSpace(data))
		}
	}
	return lines, losses
}

func anthropicOpen(part int, p llm.Part) llm.Event {
	return llm.Event{Kind: llm.EventPart, Part: part, New: &p}
}

func anthropicMore(part int, text string) llm.Event {
	return llm.Event{Kind: llm.EventDelta, Part: part, Text: text}
}

func anthropicShut(part int) llm.Event { return llm.Event{Kind: llm.EventPartEnd, Part: part} }

func TestAnthropicWriterKeepsInterleavedToolsApart(t *testing.T) {
	tool := func(id string) llm.Part {
		return llm.Part{Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: id, Name: "f"}, Extra: llm.Extra{Dialect: llm.Chat}}
	}
	got, losses := anthropicScript(
		t,
		llm.Event{Kind: llm.EventStart, Start: &llm.Reply{ID: "c1", Model: "gpt"}},
		anthropicOpen(0, anthropicText("")), anthropicMore(0, "let me"),
		anthropicOpen(1, tool("a")), anthropicMore(1, `{"x"`), anthropicOpen(2, tool("b")), anthropicMore(2, `{"y"`), anthropicMore(1, `:1}`), anthropicMore(0, " see"), anthropicMore(2, `:2}`),
		anthropicShut(0), anthropicShut(1), anthropicShut(2),
		llm.Event{Kind: llm.EventStop, Stop: llm.Stop{Reason: llm.StopTool}},
		llm.Event{Kind: llm.EventUsage, Usage: &llm.Usage{Input: 10, CacheRead: 4, Output: 6, Reasoning: 2}},
		llm.Event{Kind: llm.EventEnd},
		anthropicMore(0, "too late"),
	)
	want := []string{
		`{"type":"message_start","message":{"id":"c1","type":"message","role":"assistant","model":"gpt","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"let me"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\""}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":":1}"}}`,
		`{"type":"content_block_stop","index":1}`,
		`{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"b","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"y\":2}"}}`,
		`{"type":"content_block_stop","index":2}`,
		`{"type":"content_block_start","index":3,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":" see"}}`,
		`{"type":"content_block_stop","index":3}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":6,"output_tokens_details":{"thinking_tokens":2}}}`,
		`{"type":"message_stop"}`,
	}
	if !slices.Equal(got, want) || len(losses) != 0 {
		t.Errorf("%v\n%s", losses, strings.Join(got, "\n"))
	}
}

func TestAnthropicWriterTellsForeignThinkingWrapped(t *testing.T) {
	got, losses := anthropicScript(
		t,
		anthropicOpen(0, llm.Part{Kind: llm.PartThinking, SignedBy: llm.Responses}), anthropicMore(0, "hm"),
		llm.Event{Kind: llm.EventSign, Part: 0, Text: "si"}, llm.Event{Kind: llm.EventSign, Part: 0, Text: "g"}, anthropicShut(0),
		anthropicOpen(1, llm.Part{Kind: llm.PartThinking, Redacted: true, SignedBy: llm.Responses}),
		llm.Event{Kind: llm.EventPartEnd, Part: 1, New: &llm.Part{Signature: "deep", SignedBy: llm.Responses}},
		anthropicOpen(2, llm.Part{Kind: llm.PartThinking}), anthropicMore(2, "unsigned"),
		anthropicOpen(3, anthropicText("")), anthropicShut(3), anthropicOpen(4, llm.Part{Kind: llm.PartAudio}), anthropicMore(4, "x"), anthropicShut(4),
		llm.Event{Kind: llm.EventEnd},
	)
	text := strings.Join(got, "\n")
	for _, want := range []string{
		`"delta":{"type":"signature_delta","signature":"` + wrapSignature(llm.Responses, "sig") + `"}`,
		`"content_block":{"type":"redacted_thinking","data":"` + wrapSignature(llm.Responses, "deep") + `"}`,
		`"delta":{"type":"signature_delta","signature":"` + wrapSignature(byNobody, "") + `"}`,
		`"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":0}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, `"type":"text"`) || len(losses) != 1 {
		t.Errorf("%v\n%s", losses, text)
	}
}

// What recorded streams of other dialects taught: a chunk's own members are
// named, an annotation that comes with the end is declared, the last signature
// counts, and a tool call without an id gets one.
func TestAnthropicWriterTakesWhatOtherDialectsTellLate(t *testing.T) {
	got, losses := anthropicScript(
		t,
		llm.Event{Kind: llm.EventStart, Start: &llm.Reply{ID: "c1", Model: "m"}},
		llm.Event{Kind: llm.EventOther, Raw: []byte(`{"system_fingerprint":"f","p":"","service_tier":null}`), Extra: llm.Extra{Dialect: llm.Chat}},
		llm.Event{Kind: llm.EventOther, Raw: []byte(`{"native_finish_reason":"stop"}`), Extra: llm.Extra{Dialect: llm.Chat, Form: otherChoice}},
		anthropicOpen(0, llm.Part{Kind: llm.PartThinking, Signature: "early", SignedBy: llm.Responses}),
		llm.Event{Kind: llm.EventPartEnd, New: &llm.Part{Signature: "final", SignedBy: llm.Responses}},
		anthropicOpen(1, anthropicText("")), anthropicMore(1, "hi"),
		llm.Event{Kind: llm.EventPartEnd, Part: 1, New: &llm.Part{
			Extra: llm.Extra{Dialect: llm.Responses, Members: []byte(`{"annotations":[{"url":"u"}]}`)},
		}},
		anthropicOpen(2, llm.Part{Kind: llm.PartToolCall, Tool: &llm.ToolCall{Name: "f"}}), anthropicShut(2),
		llm.Event{Kind: llm.EventEnd},
	)
	text := strings.Join(got, "\n")
	for _, want := range []string{wrapSignature(llm.Responses, "final"), `"id":"call_c1_2"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, wrapSignature(llm.Responses, "early")) {
		t.Errorf("the first signature was told:\n%s", text)
	}
	var names []string
	for _, l := range losses {
		names = append(names, l.Feature)
	}
	if want := []string{"system_fingerprint", "choices.native_finish_reason", "content.annotations"}; !slices.Equal(names, want) {
		t.Errorf("losses %q, want %q", names, want)
	}
}

func TestAnthropicWriterFails(t *testing.T) {
	var out bytes.Buffer
	w := AnthropicCodec{}.Writer(&out, nil)
	_ = w.Write(llm.Event{Kind: llm.EventStart, Start: &llm.Reply{}})
	out.Reset()
	if err := w.Fail(&llm.Fault{Kind: llm.FaultIdle, Message: "stood still"}, "req"); err != nil {
		t.Fatal(err)
	}
	_ = w.Write(llm.Event{Kind: llm.EventEnd})
	if got := out.String(); got != "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"timeout_error\",\"message\":\"stood still\"},\"request_id\":\"req\"}\n\n" {
		t.Errorf("%q", got)
	}
	out.Reset()
	w = AnthropicCodec{}.Writer(&out, nil)
	_ = w.Write(llm.Event{Kind: llm.EventFault, Fault: &llm.ErrorBody{Code: "insufficient_quota", Message: "m"}})
	_ = w.Write(llm.Event{Kind: llm.EventEnd})
	if got := out.String(); !strings.Contains(got, "rate_limit_error") || strings.Contains(got, "message_stop") {
		t.Errorf("%q", got)
	}
	dead := AnthropicCodec{}.Writer(failingWriter{}, nil)
	if err := dead.Write(llm.Event{Kind: llm.EventPing}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAnthropicTapAllocatesNothing(t *testing.T) {
	var events []wire.Event
	for _, line := range []string{
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"say \"usage\":{ twice"}}`,
		`{"type":"content_block_stop","index":0}`, `{"type":"ping"}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":12}}`,
	} {
		var v struct{ Type string }
		_ = json.Unmarshal([]byte(line), &v)
		events = append(events, wire.Event{Name: []byte(v.Type), Data: []byte(line)}, wire.Event{Data: []byte(line)})
	}
	var tap Tap
	n := testing.AllocsPerRun(100, func() {
		for _, ev := range events {
			AnthropicCodec{}.TapEvent(&tap, ev)
		}
	})
	if n != 0 || tap.Usage.Output != 12 || tap.Stop != llm.StopEnd || tap.Tokens == 0 {
		t.Errorf("%v allocations, %+v", n, tap)
	}
}

func TestAnthropicTapSeesWhatEventsAre(t *testing.T) {
	for line, want := range map[string]Sight{
		anthropicHead: 0,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}`:              SightContent,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}`: 0,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":12}}`:       SightContent,
		`{"type":"message_stop"}`:                                     SightEnd,
		`{"type":"error","error":{"type":"api_error","message":"m"}}`: SightFault,
		`{"error":{"message":"m"}}`:                                   SightFault,
		`{"type":"ping"}`:                                             0,
		`[DONE]`:                                                      0,
	} {
		var tap Tap
		if got := (AnthropicCodec{}).TapEvent(&tap, wire.Event{Data: []byte(line)}); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

func TestAnthropicStreamInAnyDisorderStaysReadable(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(anthropicFull), "\n")
	rapid.Check(t, func(t *rapid.T) {
		chosen := []string{lines[0]}
		for range rapid.IntRange(0, 25).Draw(t, "n") {
			chosen = append(chosen, rapid.SampledFrom(lines[1:]).Draw(t, "line"))
		}
		stream := anthropicLines(strings.Join(chosen, "\n") + "\n" + anthropicTail)
		events, err := anthropicEvents(strings.NewReader(stream))
		text, losses := anthropicWrite(events)
		if f := anthropicFeatures(losses); len(f) > 0 && !slices.Equal(f, []string{"content.thinking.signature"}) {
			t.Fatalf("losses %v", losses)
		}
		if err != nil {
			return
		}
		again, err := anthropicEvents(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		// Texts that interleave come out as several blocks: what they say is the same.
		said := func(events []llm.Event) string {
			var b strings.Builder
			for _, ev := range events {
				if ev.Kind == llm.EventDelta {
					b.WriteString(ev.Text)
				}
			}
			chars := []byte(b.String())
			slices.Sort(chars)
			return string(chars)
		}
		if said(events) != said(again) {
			t.Fatalf("said %q, then %q", said(events), said(again))
		}
		if tap := anthropicTap(stream); tap.Usage != anthropicGather(events, nil).Usage {
			t.Fatalf("tap %+v, decoded %+v", tap.Usage, anthropicGather(events, nil).Usage)
		}
	})
}
