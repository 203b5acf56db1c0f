package dialect

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Rules for reading a Responses stream:
//
//   - Items are found by output_index, never by item_id: some proxies hand out
//     a new id with every event.
//   - Text counts once, whether it comes as deltas, in a done event or in the
//     finished item: what is longer than what was heard is a last delta.
//   - The parts of a message end one after the other; the last one ends with
//     its item, because only then the item's own members are final.
//   - Thinking is the summary, its parts separated as in a whole answer, or the
//     reasoning text, whichever comes first.
//   - An error event or response.failed is an EventFault, and the end of what
//     is read. response.completed, response.incomplete and response.cancelled
//     are EventUsage, EventStop (its Extra has the members of the finished
//     Response object) and EventEnd. [DONE] is no end.
//   - Log probabilities come as EventLogprobs behind their text.

// The members of a stream's event that are looked at, by responsesEvent's index.
var responsesEventNames = []string{
	"type", "output_index", "content_index", "summary_index", "delta", "text", "refusal", "arguments",
	"part", "item", "response", "logprobs",
}

const (
	responsesType = iota
	responsesOutputIndex
	responsesContentIndex
	responsesSummaryIndex
	responsesDelta
	responsesText
	responsesRefusal
	responsesArguments
	responsesPartMember
	responsesItemMember
	responsesResponse
	responsesLogprobsMember
	responsesEventMembers
)

// responsesEvent is one event, taken apart.
type responsesEvent struct {
	data []byte
	kind string
	at   [responsesEventMembers]wire.Member
}

func (e *responsesEvent) raw(member int) []byte { return e.at[member].Value.Of(e.data) }

func (e *responsesEvent) text(member int) string {
	s, _ := wire.Unquote(e.raw(member))
	return s
}

// index is a place in the output; 0 when it is not stated.
func (e *responsesEvent) index(member int) int {
	n, ok := wire.Int(e.raw(member))
	if !ok || n < 0 || n > 1<<30 {
		return 0
	}
	return int(n)
}

// Events implements [Codec].
func (ResponsesCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		s := &responsesReader{items: make(map[int]*responsesOpen)}
		s.yield = func(ev llm.Event) {
			s.gone = s.gone || !yield(ev, nil)
		}
		if err := s.read(r); err != nil && !s.gone {
			yield(llm.Event{}, err)
		}
	}
}

// responsesReader is the state of one stream.
type responsesReader struct {
	yield   func(llm.Event)
	gone    bool // the receiver has enough, or the stream has ended
	started bool
	called  bool // the model asked for a function
	parts   int  // opened so far
	items   map[int]*responsesOpen
}

// responsesOpen is an item of the output.
type responsesOpen struct {
	kind  string
	added llm.Extra // the item's members when it came
	parts map[int]*responsesLive
	order []*responsesLive
	ended bool
}

// responsesLive is a part of an item.
type responsesLive struct {
	part     int
	sent     int // bytes of text
	section  int // sent before the current summary
	summary  int // index of the current summary
	source   int // of thinking: responsesSummaryIndex or responsesContentIndex
	logprobs bool
	sign     string // with which it was announced
	ended    bool
	final    *llm.Part // what its done event said
}

func (s *responsesReader) read(r io.Reader) error {
	var er wire.EventReader
	er.Reset(r, 0)
	defer er.Release()
	for n := 0; !s.gone; {
		if err := er.Fill(); err == io.EOF {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
		for !s.gone {
			ev, ok := er.Next()
			if !ok {
				break
			}
			if ev.Data == nil {
				if bytes.IndexByte(ev.Raw, ':') >= 0 { // a comment, not a cut line end
					s.yield(llm.Event{Kind: llm.EventPing})
				}
				continue
			}
			if n++; isDone(ev.Data) {
				continue
			}
			if err := s.event(ev); err != nil {
				return fmt.Errorf("event %d of the stream: %w", n, err)
			}
		}
	}
	return nil
}

func (s *responsesReader) event(ev wire.Event) error {
	e := responsesEvent{data: ev.Data}
	if _, err := wire.Scan(e.data, responsesEventNames, e.at[:]); err != nil {
		return err
	}
	if e.kind = e.text(responsesType); e.kind == "" {
		e.kind = string(ev.Name)
	}
	switch e.kind {
	case "error":
		s.fault(openAIError(bytes.Clone(e.data)))
	case "response.created", "response.in_progress", "response.queued":
		return s.start(&e)
	case "response.completed", "response.incomplete", "response.cancelled", "response.failed":
		return s.finish(&e)
	case "keepalive", "ping":
		s.yield(llm.Event{Kind: llm.EventPing})
	default:
		s.begin(&llm.Reply{Extra: llm.Extra{Dialect: llm.Responses, Form: responsesNoOutput}})
		s.content(&e)
	}
	return nil
}

func (s *responsesReader) begin(start *llm.Reply) {
	if !s.started {
		s.started = true
		s.yield(llm.Event{Kind: llm.EventStart, Start: start})
	}
}

func (s *responsesReader) fault(body llm.ErrorBody) {
	if body.Type == "error" { // the event's own type
		body.Type = ""
	}
	s.yield(llm.Event{Kind: llm.EventFault, Fault: &body})
	s.gone = true
}

func (s *responsesReader) start(e *responsesEvent) error {
	if s.started {
		return nil
	}
	o, err := openObject(e.raw(responsesResponse), where{name: "response"})
	if err != nil {
		return err
	}
	start := responsesReply(o)
	start.Choices, start.Usage, start.HasUsage, start.UsageExtra = nil, llm.Usage{}, false, llm.Extra{}
	s.begin(start)
	return nil
}

// finish reads the event with which an answer ends.
func (s *responsesReader) finish(e *responsesEvent) error {
	o, err := openObject(e.raw(responsesResponse), where{name: "response"})
	if err != nil {
		return err
	}
	output := o.peek("output")
	failure := o.peek("error")
	reply := responsesReply(o)
	start := *reply
	start.Choices, start.Usage, start.HasUsage, start.UsageExtra = nil, llm.Usage{}, false, llm.Extra{}
	s.begin(&start)
	if e.kind != "response.failed" {
		s.settle(output)
	}
	if reply.HasUsage {
		s.yield(llm.Event{Kind: llm.EventUsage, Usage: &reply.Usage, Extra: reply.UsageExtra})
	}
	if e.kind == "response.failed" {
		body := llm.ErrorBody{Message: "the provider says that the answer failed, and not why"}
		if len(failure) > 0 && failure[0] == '{' {
			body = openAIError(bytes.Clone(failure))
		}
		s.fault(body)
		return nil
	}
	stop := reply.Choices[0].Stop
	if stop.Reason == llm.StopEnd && s.called {
		stop.Reason = llm.StopTool
	}
	if stop.Reason == "" {
		stop = responsesStopOf(e.kind[len("response."):], "", s.called)
	}
	s.yield(llm.Event{Kind: llm.EventStop, Stop: stop, Extra: reply.Extra})
	if !s.gone {
		s.yield(llm.Event{Kind: llm.EventEnd})
	}
	s.gone = true
	return nil
}

// settle ends what is still open, as the finished answer has it. Its items
// count in full only when none has come before: some answers leave out there
// what they streamed.
func (s *responsesReader) settle(output []byte) {
	var items [][]byte
	if len(output) > 0 && output[0] == '[' {
		items = elements(output)
	}
	none := len(s.items) == 0
	for i, raw := range items {
		if item := s.items[i]; none || item != nil && !item.ended && item.is(raw) {
			s.itemDone(i, raw)
		}
	}
	for s.endAny() {
	}
}

// is reports whether raw is of the item's type.
func (item *responsesOpen) is(raw []byte) bool {
	parts := responsesOutputItem(raw)
	return item.kind == responsesKind(&parts[0])
}

// endAny ends the part that was opened first of those that are open.
func (s *responsesReader) endAny() bool {
	var first *responsesLive
	for _, item := range s.items {
		for _, live := range item.order {
			if !live.ended && (first == nil || live.part < first.part) {
				first = live
			}
		}
	}
	if first != nil {
		s.end(first, first.final)
	}
	return first != nil
}

// content reads an event about an item.
func (s *responsesReader) content(e *responsesEvent) {
	index := e.index(responsesOutputIndex)
	switch e.kind {
	case "response.output_item.added":
		s.itemAdded(index, e.raw(responsesItemMember))
	case "response.output_item.done":
		s.itemDone(index, e.raw(responsesItemMember))
	case "response.content_part.added":
		s.partAdded(index, e)
	case "response.content_part.done":
		s.partDone(index, e)
	case "response.output_text.delta":
		s.delta(s.textPart(index, e, llm.PartText), e.text(responsesDelta), e.raw(responsesLogprobsMember))
	case "response.refusal.delta":
		s.delta(s.textPart(index, e, llm.PartRefusal), e.text(responsesDelta), nil)
	case "response.output_text.done":
		live := s.textPart(index, e, llm.PartText)
		s.rest(live, 0, e.text(responsesText))
		s.logprobs(live, e.raw(responsesLogprobsMember), true)
	case "response.refusal.done":
		s.rest(s.textPart(index, e, llm.PartRefusal), 0, e.text(responsesRefusal))
	case "response.function_call_arguments.delta":
		s.delta(s.single(index, "function_call"), e.text(responsesDelta), nil)
	case "response.function_call_arguments.done":
		s.rest(s.single(index, "function_call"), 0, e.text(responsesArguments))
	case "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
		"response.reasoning_summary_text.done", "response.reasoning_summary_part.done":
		s.thinking(index, e, responsesSummaryIndex)
	case "response.reasoning_text.delta", "response.reasoning_text.done":
		s.thinking(index, e, responsesContentIndex)
	default:
		s.yield(llm.Event{Kind: llm.EventOther, Raw: bytes.Clone(e.data), Extra: llm.Extra{Dialect: llm.Responses}})
	}
}

// thinking reads an event about a reasoning item's text.
func (s *responsesReader) thinking(index int, e *responsesEvent, source int) {
	live := s.single(index, "reasoning")
	if live == nil || live.source != 0 && live.source != source {
		return
	}
	live.source = source
	if at := e.index(source); source == responsesSummaryIndex && at > live.summary {
		live.summary = at
		s.delta(live, "\n\n", nil)
		live.section = live.sent
	}
	s.delta(live, e.text(responsesDelta), nil)
	s.rest(live, live.section, e.text(responsesText))
}

// open announces a part.
func (s *responsesReader) open(item *responsesOpen, key int, p llm.Part) *responsesLive {
	live := &responsesLive{part: s.parts, sign: p.Signature}
	s.parts++
	item.parts[key] = live
	item.order = append(item.order, live)
	text := unquoted(p.Text)
	p.Text, p.Signature = nil, ""
	if p.Tool != nil {
		s.called = true
		text = p.Tool.Arguments
		p.Tool = &llm.ToolCall{ID: p.Tool.ID, Name: p.Tool.Name}
	}
	s.yield(llm.Event{Kind: llm.EventPart, Part: live.part, New: &p})
	s.delta(live, text, nil)
	return live
}

// end ends a part once. A signature is told as late as this, because an item
// is announced with another one than it is finished with.
func (s *responsesReader) end(live *responsesLive, final *llm.Part) {
	if live == nil || live.ended {
		return
	}
	live.ended = true
	sign := live.sign
	if final != nil && final.Signature != "" {
		sign = final.Signature
	}
	if final != nil {
		last := *final
		last.Text, last.Signature = nil, ""
		final = &last
	}
	if sign != "" && !s.gone {
		s.yield(llm.Event{Kind: llm.EventSign, Part: live.part, Text: sign})
	}
	if !s.gone {
		s.yield(llm.Event{Kind: llm.EventPartEnd, Part: live.part, New: final})
	}
}

func (s *responsesReader) delta(live *responsesLive, text string, logprobs []byte) {
	if live == nil || live.ended {
		return
	}
	if text != "" && !s.gone {
		live.sent += len(text)
		s.yield(llm.Event{Kind: llm.EventDelta, Part: live.part, Text: text})
	}
	s.logprobs(live, logprobs, false)
}

// logprobs passes on log probabilities; those of a whole part only when none
// came with its pieces.
func (s *responsesReader) logprobs(live *responsesLive, raw []byte, whole bool) {
	if live == nil || live.ended || whole && live.logprobs {
		return
	}
	tokens := readTokens(raw)
	if len(tokens) == 0 || s.gone {
		return
	}
	live.logprobs = true
	s.yield(llm.Event{Kind: llm.EventLogprobs, Logprobs: tokens})
}

// rest passes on what text has beyond what was heard since base.
func (s *responsesReader) rest(live *responsesLive, base int, text string) {
	if live == nil {
		return
	}
	heard := live.sent - base
	if heard >= 0 && heard < len(text) && utf8.RuneStart(text[heard]) {
		s.delta(live, text[heard:], nil)
	}
}
