package dialect

import (
	"errors"
	"math"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// What the splice lane needs to know of the Responses dialect. Usage comes
// only with the finished Response object, so no other event is scanned for it,
// and nothing but the model is ever edited.

// respGlanceNames are the members that Glance finds, in the order of At.Members.
var respGlanceNames = []string{"model", "stream", "max_output_tokens"}

// Glance implements [Surface].
func (ResponsesCodec) Glance(body []byte, at *At) (llm.Glance, error) {
	g := llm.Glance{Op: llm.OpGenerate, Dialect: llm.Responses, WantUsage: true, Bytes: len(body)}
	var err error
	if at.Object, at.Said, err = at.Words.Scan(body, respGlanceNames, at.Members[:]); err != nil {
		return g, err
	}
	model, ok := wire.String(at.Members[0].Value.Of(body))
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
func (ResponsesCodec) Splice(dst, body []byte, at *At, r Rewrite) []byte {
	if r.Model == "" {
		return append(dst, body...)
	}
	return wire.Splice(dst, body, wire.Edit{At: at.Members[0].Value, With: stringJSON(r.Model)})
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
		if _, err := wire.Scan(ev.Data, respEventNames[:1], at[:]); err != nil {
			return 0
		}
		raw := at[0].Value.Of(ev.Data)
		if len(raw) < 2 || raw[0] != '"' {
			return 0
		}
		name = raw[1 : len(raw)-1]
	}
	return respTap(t, name, ev.Data)
}

func respTap(t *Tap, name, data []byte) Sight {
	const delta = ".delta"
	if len(name) > len(delta) && string(name[len(name)-len(delta):]) == delta {
		t.Tokens++
		return SightContent
	}
	switch string(name) {
	case "response.created":
		respTapResponse(t, data)
	case "response.completed", "response.incomplete", "response.cancelled":
		respTapResponse(t, data)
		t.Ended = true
		return SightEnd
	case "response.failed":
		respTapResponse(t, data)
		return SightFault
	case "error":
		return SightFault
	}
	return 0
}

// respTapResponse looks at the Response object inside an event.
func respTapResponse(t *Tap, data []byte) {
	var at [1]wire.Member
	if _, err := wire.Scan(data, respEventNames[respResponse:respResponse+1], at[:]); err == nil && !at[0].IsZero() {
		respTapObject(t, data, at[0].Value)
	}
}

// respTapNames are the members of a Response object that a tap looks at.
var respTapNames = []string{"model", "usage", "status", "incomplete_details", "output", "service_tier", "id", "store"}

func respTapObject(t *Tap, data []byte, span wire.Span) {
	var at [8]wire.Member
	if _, err := wire.ScanAt(data, span, respTapNames, at[:]); err != nil {
		return
	}
	if stored := at[7].Value.Of(data); t.ID == "" && string(stored) != "false" {
		t.ID, _ = wire.String(at[6].Value.Of(data))
	}
	if model, ok := wire.String(at[0].Value.Of(data)); ok && t.Model == "" {
		t.Model = model
	}
	if u, ok := respUsage(at[1].Value.Of(data)); ok {
		u.Tier = tierWord(at[5].Value.Of(data))
		t.Usage, t.HasUsage = u, true
	}
	status, _ := wire.String(at[2].Value.Of(data))
	reason := ""
	var details [1]wire.Member
	if nested(data, at[3], []string{"reason"}, details[:]) {
		reason, _ = wire.String(details[0].Value.Of(data))
	}
	if stop := respStopOf(status, reason, respCalled(data, at[4])); stop.Reason != "" {
		t.Stop = stop.Reason
	}
}

// respCalled reports whether the output asks for a function.
func respCalled(data []byte, output wire.Member) bool {
	if output.IsZero() {
		return false
	}
	for item := range wire.Elements(data, output.Value) {
		var at [1]wire.Member
		_, err := wire.ScanAt(data, item, respEventNames[:1], at[:])
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
	respTapObject(t, body, wire.Span{Start: 0, End: len(body)})
	return SightContent, nil
}

// AppendFault implements [Surface]. The event's number in the stream is not
// known here; it says 0. There is no response.failed, because the Response
// object that it must hold is not known either: SDKs raise the error event.
func (ResponsesCodec) AppendFault(dst []byte, f *llm.Fault, _ string) []byte {
	return appendRespError(dst, respFault(f), 0)
}
