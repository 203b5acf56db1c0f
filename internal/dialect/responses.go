package dialect

import (
	"errors"
	"math"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// ResponsesCodec speaks OpenAI's responses.
type ResponsesCodec struct{}

// Name is the dialect.
func (ResponsesCodec) Name() llm.Dialect { return llm.Responses }

// Framing implements [Surface].
func (ResponsesCodec) Framing() wire.Framing { return wire.SSE }

// DecodeError implements [Surface]. The event response.failed holds its error
// inside of the response.
func (ResponsesCodec) DecodeError(body []byte) llm.ErrorBody {
	var outer, inner [1]wire.Member
	if _, err := wire.Scan(body, []string{"response"}, outer[:]); err == nil &&
		nested(body, outer[0], []string{"error"}, inner[:]) && !inner[0].IsZero() {
		body = inner[0].Value.Of(body)
	}
	return openAIError(body)
}

// EncodeError implements [Surface].
func (ResponsesCodec) EncodeError(f *llm.Fault, _ string) []byte { return openAIErrorBody(f) }

// What the splice lane needs to know of the Responses dialect. Usage comes
// only with the finished Response object, so no other event is scanned for it,
// and nothing but the model is ever edited.

// responsesGlanceNames are the members that Glance finds, in the order of At.Members.
var responsesGlanceNames = []string{"model", "stream", "max_output_tokens"}

// Glance implements [Surface].
func (ResponsesCodec) Glance(body []byte, at *At) (llm.Glance, error) {
	g := llm.Glance{Op: llm.OpGenerate, Dialect: llm.Responses, WantUsage: true, Bytes: len(body)}
	var err error
	if at.Object, err = at.Words.Scan(body, responsesGlanceNames, at.Members[:], &at.Heard); err != nil {
		return g, err
	}
	model, ok := wire.Unquote(at.Members[0].Value.Of(body))
	if !ok || model == "" {
		return g, errors.New("model: is required and must be a string")
	}
	g.Model = model
	if raw := at.Members[1].Value.Of(body); len(raw) > 0 && !wire.IsNull(raw) {
		if g.Stream, ok = wire.Bool(raw); !ok {
			return g, errors.New("stream: must be true or false")
		}
	}
	if n, ok := wire.Int(at.Members[2].Value.Of(body)); ok && n > 0 && n <= math.MaxInt32 {
		g.MaxTokens = int(n)
	}
	return g, nil
}

// Splice implements [Surface].
func (ResponsesCodec) Splice(dst, body []byte, at *At, r Rewrite) wire.Spliced {
	if r.Model == "" {
		return wire.Spliced{Front: body, New: dst}
	}
	return wire.SetValue(dst, body, at.Members[0].Value, r.Model)
}

// TapEvent implements [Surface]. An event is known by its name, or by its type
// where the stream has no names; every name that ends in .delta is content.
func (ResponsesCodec) TapEvent(t *Tap, ev wire.Event) Sight {
	if ev.Data == nil || t.Ended {
		return 0
	}
	name := ev.Name
	if len(name) == 0 || string(name) == "message" {
		var at [1]wire.Member
		if _, err := wire.Scan(ev.Data, responsesEventNames[:1], at[:]); err != nil {
			return 0
		}
		raw := at[0].Value.Of(ev.Data)
		if len(raw) < 2 || raw[0] != '"' {
			return 0
		}
		name = raw[1 : len(raw)-1]
	}
	return responsesTap(t, name, ev.Data)
}

func responsesTap(t *Tap, name, data []byte) Sight {
	const delta = ".delta"
	if len(name) > len(delta) && string(name[len(name)-len(delta):]) == delta {
		t.Tokens++
		return SightContent
	}
	switch string(name) {
	case "response.created":
		responsesTapResponse(t, data)
	case "response.completed", "response.incomplete", "response.cancelled":
		responsesTapResponse(t, data)
		t.Ended = true
		return SightEnd
	case "response.failed":
		responsesTapResponse(t, data)
		return SightFault
	case "error":
		return SightFault
	}
	return 0
}

// responsesTapResponse looks at the Response object inside an event.
func responsesTapResponse(t *Tap, data []byte) {
	var at [1]wire.Member
	if _, err := wire.Scan(data, responsesEventNames[responsesResponse:responsesResponse+1], at[:]); err == nil && !at[0].IsZero() {
		responsesTapObject(t, data, at[0].Value)
	}
}

// responsesTapNames are the members of a Response object that a tap looks at.
var responsesTapNames = []string{"model", "usage", "status", "incomplete_details", "output", "service_tier", "id", "store"}

func responsesTapObject(t *Tap, data []byte, span wire.Span) {
	var at [8]wire.Member
	if _, err := wire.ScanAt(data, span, responsesTapNames, at[:]); err != nil {
		return
	}
	if stored := at[7].Value.Of(data); t.ID == "" && string(stored) != "false" {
		t.ID, _ = wire.Unquote(at[6].Value.Of(data))
	}
	if model, ok := wire.Unquote(at[0].Value.Of(data)); ok && t.Model == "" {
		t.Model = model
	}
	if u, ok := responsesUsage(at[1].Value.Of(data)); ok {
		u.Tier = tierWord(at[5].Value.Of(data))
		t.Usage, t.HasUsage = u, true
	}
	status, _ := wire.Unquote(at[2].Value.Of(data))
	reason := ""
	var details [1]wire.Member
	if nested(data, at[3], []string{"reason"}, details[:]) {
		reason, _ = wire.Unquote(details[0].Value.Of(data))
	}
	if stop := responsesStopOf(status, reason, responsesCalled(data, at[4])); stop.Reason != "" {
		t.Stop = stop.Reason
	}
}

// responsesCalled reports whether the output asks for a function.
func responsesCalled(data []byte, output wire.Member) bool {
	if output.IsZero() {
		return false
	}
	for item := range wire.Elements(data, output.Value) {
		var at [1]wire.Member
		_, err := wire.ScanAt(data, item, responsesEventNames[:1], at[:])
		if err == nil && wire.StringEquals(at[0].Value.Of(data), "function_call") {
			return true
		}
	}
	return false
}

// TapReply implements [Surface].
func (ResponsesCodec) TapReply(t *Tap, body []byte) (Sight, error) {
	if fault, err := replyFault(body); fault || err != nil {
		return SightFault, err
	}
	responsesTapObject(t, body, wire.Span{Start: 0, End: len(body)})
	return SightContent, nil
}

// AppendFault implements [Surface]. The event's number in the stream is not
// known here; it says 0. There is no response.failed, because the Response
// object that it must hold is not known either: SDKs raise the error event.
func (ResponsesCodec) AppendFault(dst []byte, f *llm.Fault, _ string) []byte {
	return appendRespError(dst, responsesFault(f), 0)
}
