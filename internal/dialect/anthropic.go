package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// AnthropicCodec speaks Anthropic's /v1/messages and /v1/messages/count_tokens.
type AnthropicCodec struct{}

// The members that Glance looks for, in the order of At.Members.
var anthropicGlanceNames = [...]string{"model", "stream", "max_tokens"}

// Name is llm.Anthropic.
func (AnthropicCodec) Name() llm.Dialect { return llm.Anthropic }

// Framing implements [Surface].
func (AnthropicCodec) Framing() wire.Framing { return wire.SSE }

// Glance implements [Surface]. The Op is OpGenerate; the caller, who knows the
// path, makes it OpCount for count_tokens.
func (AnthropicCodec) Glance(body []byte, at *At) (llm.Glance, error) {
	at.Members = [len(at.Members)]wire.Member{}
	var err error
	if at.Object, err = at.Words.Scan(body, anthropicGlanceNames[:], at.Members[:], &at.Heard); err != nil {
		return llm.Glance{}, err
	}
	g := llm.Glance{Op: llm.OpGenerate, Dialect: llm.Anthropic, WantUsage: true, Bytes: len(body)}
	model, ok := wire.Unquote(at.Members[0].Value.Of(body))
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
func (AnthropicCodec) Splice(dst, body []byte, at *At, r Rewrite) wire.Spliced {
	if r.Model == "" || at.Members[0].IsZero() {
		return wire.Spliced{Front: body, New: dst}
	}
	return wire.SetValue(dst, body, at.Members[0].Value, r.Model)
}

// anthropicKind is the type of a stream's event.
type anthropicKind uint8

const (
	anthropicUnknown anthropicKind = iota
	anthropicMessageStart
	anthropicBlockStart
	anthropicBlockDelta
	anthropicBlockStop
	anthropicMessageDelta
	anthropicMessageStop
	anthropicPing
	anthropicErrorEvent
)

var (
	anthropicKinds = [...]string{
		anthropicUnknown: "", anthropicMessageStart: "message_start", anthropicBlockStart: "content_block_start",
		anthropicBlockDelta: "content_block_delta", anthropicBlockStop: "content_block_stop", anthropicMessageDelta: "message_delta",
		anthropicMessageStop: "message_stop", anthropicPing: "ping", anthropicErrorEvent: "error",
	}
	anthropicTypeNames    = [...]string{"type"}
	anthropicMessageNames = [...]string{"message"}
	anthropicStartNames   = [...]string{"usage", "model", "stop_reason"}
	anthropicDeltaNames   = [...]string{"usage", "delta"}
	anthropicReasonNames  = [...]string{"stop_reason"}
)

// anthropicKindOf names the event by its event field, which Anthropic always sends
// and which equals the type in the data; where it is missing or names no known
// event, by the data.
func anthropicKindOf(ev wire.Event) anthropicKind {
	for i := 1; i < len(anthropicKinds); i++ {
		if len(ev.Name) > 0 && string(ev.Name) == anthropicKinds[i] {
			return anthropicKind(i)
		}
	}
	var found [1]wire.Member
	if len(ev.Data) == 0 {
		return anthropicUnknown
	}
	if _, err := wire.Scan(ev.Data, anthropicTypeNames[:], found[:]); err != nil {
		return anthropicUnknown
	}
	raw := found[0].Value.Of(ev.Data)
	for i := 1; i < len(anthropicKinds); i++ {
		if wire.StringEquals(raw, anthropicKinds[i]) {
			return anthropicKind(i)
		}
	}
	if len(raw) == 0 && bytes.Contains(ev.Data, []byte(`"error"`)) {
		return anthropicErrorEvent
	}
	return anthropicUnknown
}

// TapEvent implements [Surface]. Only message_start and message_delta carry
// usage, so no other event is scanned. A content_block_delta is content unless
// it is the empty first piece of a tool's arguments.
func (AnthropicCodec) TapEvent(t *Tap, ev wire.Event) Sight {
	if t.Ended {
		return 0
	}
	switch anthropicKindOf(ev) {
	case anthropicBlockDelta:
		if bytes.Contains(ev.Data, []byte(`"partial_json":""`)) {
			return 0
		}
		t.Tokens++
		return SightContent
	case anthropicMessageStart:
		anthropicTapStart(t, ev.Data)
	case anthropicMessageDelta:
		return anthropicTapDelta(t, ev.Data)
	case anthropicMessageStop:
		t.Ended = true
		return SightEnd
	case anthropicErrorEvent:
		return SightFault
	}
	return 0
}

// anthropicTapStart notes the first message_start; a repeated one says nothing new.
func anthropicTapStart(t *Tap, data []byte) {
	var message [1]wire.Member
	if t.Model != "" || t.HasUsage {
		return
	}
	if _, err := wire.Scan(data, anthropicMessageNames[:], message[:]); err != nil || message[0].IsZero() {
		return
	}
	anthropicTapMessage(t, data, message[0].Value)
	t.Stop = ""
	t.Usage.Source = ""
	if t.HasUsage {
		t.Usage.Source = llm.UsageTapped
	}
}

// anthropicTapMessage notes model, usage and stop of the message at span at.
func anthropicTapMessage(t *Tap, body []byte, at wire.Span) {
	var found [len(anthropicStartNames)]wire.Member
	if body[at.Start] != '{' {
		return
	}
	if _, err := wire.ScanAt(body, at, anthropicStartNames[:], found[:]); err != nil {
		return
	}
	anthropicTapUsage(t, body, found[0])
	if t.Model == "" {
		t.name(found[1].Value.Of(body))
	}
	anthropicTapStop(t, found[2].Value.Of(body))
}

func anthropicTapUsage(t *Tap, body []byte, m wire.Member) {
	if m.IsZero() || body[m.Value.Start] != '{' {
		return
	}
	n := anthropicCountsOf(t.Usage)
	if n.count(body, m.Value) {
		t.Usage, t.HasUsage = n.usage(), true
	}
}

func anthropicTapStop(t *Tap, raw []byte) {
	if len(raw) < 3 || raw[0] != '"' {
		return
	}
	t.Stop = anthropicStops.reason(raw[1 : len(raw)-1])
}

func anthropicTapDelta(t *Tap, data []byte) Sight {
	var found [len(anthropicDeltaNames)]wire.Member
	var reason [1]wire.Member
	if _, err := wire.Scan(data, anthropicDeltaNames[:], found[:]); err != nil {
		return 0
	}
	anthropicTapUsage(t, data, found[0])
	if m := found[1]; !m.IsZero() && data[m.Value.Start] == '{' {
		if _, err := wire.ScanAt(data, m.Value, anthropicReasonNames[:], reason[:]); err == nil {
			anthropicTapStop(t, reason[0].Value.Of(data))
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
	anthropicTapMessage(t, body, wire.Span{End: len(body)})
	return SightContent, nil
}
