package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// AnthropicCodec is Anthropic's /v1/messages and /v1/messages/count_tokens.
// This file holds what the splice lane needs. Requests are read in
// anthropic_call.go and written in anthropic_encode.go, after those of other
// dialects were made sayable in anthropic_settle.go and anthropic_shape.go;
// the blocks of content are in anthropic_parts.go and anthropic_write.go,
// answers in anthropic_reply.go, streams in anthropic_events.go and
// anthropic_writer.go.
type AnthropicCodec struct{}

// The members that Glance looks for, in the order of At.Members.
var antGlanceNames = [...]string{"model", "stream", "max_tokens"}

// Name is llm.Anthropic.
func (AnthropicCodec) Name() llm.Dialect { return llm.Anthropic }

// Framing implements [Surface].
func (AnthropicCodec) Framing() wire.Framing { return wire.SSE }

// Glance implements [Surface]. The Op is OpGenerate; the caller, who knows the
// path, makes it OpCount for count_tokens.
func (AnthropicCodec) Glance(body []byte, at *At) (llm.Glance, error) {
	at.Members = [len(at.Members)]wire.Member{}
	o, err := wire.Scan(body, antGlanceNames[:], at.Members[:])
	if err != nil {
		return llm.Glance{}, err
	}
	at.Object = o
	g := llm.Glance{Op: llm.OpGenerate, Dialect: llm.Anthropic, WantUsage: true, Bytes: len(body)}
	model, ok := wire.String(at.Members[0].Value.Of(body))
	if !ok || model == "" {
		return llm.Glance{}, where{name: "model"}.wrong("is required and must be a string")
	}
	g.Model = model
	if raw := at.Members[1].Value.Of(body); len(raw) > 0 && !wire.IsNull(raw) {
		if g.Stream, ok = wire.Bool(raw); !ok {
			return llm.Glance{}, where{name: "stream"}.wrong("must be true or false")
		}
	}
	if raw := at.Members[2].Value.Of(body); len(raw) > 0 && !wire.IsNull(raw) {
		n, ok := wire.Int(raw)
		if !ok || n > maxWhole || n < -maxWhole {
			return llm.Glance{}, where{name: "max_tokens"}.wrong("must be an integer")
		}
		g.MaxTokens = int(max(n, 0))
	}
	return g, nil
}

// Splice implements [Surface]. Only the model changes: usage always comes.
func (AnthropicCodec) Splice(dst, body []byte, at *At, r Rewrite) []byte {
	if r.Model == "" || at.Members[0].IsZero() {
		return append(dst, body...)
	}
	where := at.Members[0].Value
	dst = append(dst, body[:where.Start]...)
	dst = wire.AppendString(dst, r.Model)
	return append(dst, body[where.End:]...)
}

// antKind is the type of a stream's event.
type antKind uint8

const (
	antUnknown antKind = iota
	antMessageStart
	antBlockStart
	antBlockDelta
	antBlockStop
	antMessageDelta
	antMessageStop
	antPing
	antErrorEvent
)

var (
	antKinds = [...]string{
		antUnknown: "", antMessageStart: "message_start", antBlockStart: "content_block_start",
		antBlockDelta: "content_block_delta", antBlockStop: "content_block_stop", antMessageDelta: "message_delta",
		antMessageStop: "message_stop", antPing: "ping", antErrorEvent: "error",
	}
	antTypeNames    = [...]string{"type"}
	antMessageNames = [...]string{"message"}
	antStartNames   = [...]string{"usage", "model", "stop_reason"}
	antDeltaNames   = [...]string{"usage", "delta"}
	antReasonNames  = [...]string{"stop_reason"}
)

// antKindOf names the event by its event field, which Anthropic always sends
// and which equals the type in the data; where it is missing or names no known
// event, by the data.
func antKindOf(ev wire.Event) antKind {
	for i := 1; i < len(antKinds); i++ {
		if len(ev.Name) > 0 && string(ev.Name) == antKinds[i] {
			return antKind(i)
		}
	}
	var found [1]wire.Member
	if len(ev.Data) == 0 {
		return antUnknown
	}
	if _, err := wire.Scan(ev.Data, antTypeNames[:], found[:]); err != nil {
		return antUnknown
	}
	raw := found[0].Value.Of(ev.Data)
	for i := 1; i < len(antKinds); i++ {
		if wire.StringEquals(raw, antKinds[i]) {
			return antKind(i)
		}
	}
	if len(raw) == 0 && bytes.Contains(ev.Data, []byte(`"error"`)) {
		return antErrorEvent
	}
	return antUnknown
}

// TapEvent implements [Surface]. Only message_start and message_delta carry
// usage, so no other event is scanned. A content_block_delta is content unless
// it is the empty first piece of a tool's arguments.
func (AnthropicCodec) TapEvent(t *Tap, ev wire.Event) Sight {
	if t.Ended {
		return 0
	}
	switch antKindOf(ev) {
	case antBlockDelta:
		if bytes.Contains(ev.Data, []byte(`"partial_json":""`)) {
			return 0
		}
		t.Tokens++
		return SightContent
	case antMessageStart:
		antTapStart(t, ev.Data)
	case antMessageDelta:
		return antTapDelta(t, ev.Data)
	case antMessageStop:
		t.Ended = true
		return SightEnd
	case antErrorEvent:
		return SightFault
	}
	return 0
}

// antTapStart notes the first message_start; a repeated one says nothing new.
func antTapStart(t *Tap, data []byte) {
	var message [1]wire.Member
	if t.Model != "" || t.HasUsage {
		return
	}
	if _, err := wire.Scan(data, antMessageNames[:], message[:]); err != nil || message[0].IsZero() {
		return
	}
	antTapMessage(t, data, message[0].Value)
	t.Stop = ""
	t.Usage.Source = ""
	if t.HasUsage {
		t.Usage.Source = llm.UsageTapped
	}
}

// antTapMessage notes model, usage and stop of the message at span at.
func antTapMessage(t *Tap, body []byte, at wire.Span) {
	var found [len(antStartNames)]wire.Member
	if body[at.Start] != '{' {
		return
	}
	if _, err := wire.ScanAt(body, at, antStartNames[:], found[:]); err != nil {
		return
	}
	antTapUsage(t, body, found[0])
	if t.Model == "" {
		t.name(found[1].Value.Of(body))
	}
	antTapStop(t, found[2].Value.Of(body))
}

func antTapUsage(t *Tap, body []byte, m wire.Member) {
	if m.IsZero() || body[m.Value.Start] != '{' {
		return
	}
	n := antCountsOf(t.Usage)
	if n.count(body, m.Value) {
		t.Usage, t.HasUsage = n.usage(), true
	}
}

func antTapStop(t *Tap, raw []byte) {
	if len(raw) < 3 || raw[0] != '"' {
		return
	}
	t.Stop = antStops.reason(raw[1 : len(raw)-1])
}

func antTapDelta(t *Tap, data []byte) Sight {
	var found [len(antDeltaNames)]wire.Member
	var reason [1]wire.Member
	if _, err := wire.Scan(data, antDeltaNames[:], found[:]); err != nil {
		return 0
	}
	antTapUsage(t, data, found[0])
	if m := found[1]; !m.IsZero() && data[m.Value.Start] == '{' {
		if _, err := wire.ScanAt(data, m.Value, antReasonNames[:], reason[:]); err == nil {
			antTapStop(t, reason[0].Value.Of(data))
		}
	}
	return SightContent
}

// TapReply implements [Surface].
func (AnthropicCodec) TapReply(t *Tap, body []byte) (Sight, error) {
	if fault, err := replyFault(body); fault || err != nil {
		return SightFault, err
	}
	body = bytes.TrimSpace(body)
	antTapMessage(t, body, wire.Span{End: len(body)})
	return SightContent, nil
}
