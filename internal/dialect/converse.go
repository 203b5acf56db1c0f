package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// ConverseCodec is Amazon Bedrock's /model/{id}/converse and .../converse-stream.
// Model and stream flag stand in the path: neither Glance nor DecodeCall knows
// them, and nothing is spliced. The source of every member name is botocore's
// model of bedrock-runtime (2023-09-30).
//
// This file holds what the splice lane needs. Requests are read in
// converse_call.go and written in converse_encode.go, after those of other
// dialects were made sayable in converse_settle.go and converse_shape.go; the
// blocks of content are in converse_parts.go, converse_media.go and
// converse_write.go, answers in converse_reply.go and converse_usage.go, streams
// in converse_events.go and converse_writer.go, errors in converse_errors.go.
type ConverseCodec struct{}

// Name is llm.Converse.
func (ConverseCodec) Name() llm.Dialect { return llm.Converse }

// Framing implements [Surface].
func (ConverseCodec) Framing() wire.Framing { return wire.EventStream }

var (
	convGlanceNames = [...]string{"inferenceConfig"}
	convCapNames    = [...]string{"maxTokens"}
)

// Glance implements [Surface]. Model is empty and Stream false: the path has both.
func (ConverseCodec) Glance(body []byte, at *At) (llm.Glance, error) {
	at.reset()
	o, err := wire.Scan(body, convGlanceNames[:], at.Members[:])
	if err != nil {
		return llm.Glance{}, err
	}
	at.Object = o
	g := llm.Glance{Op: llm.OpGenerate, Dialect: llm.Converse, WantUsage: true, Bytes: len(body)}
	config := at.Members[0].Value
	if config.IsZero() || wire.IsNull(config.Of(body)) {
		return g, nil
	}
	var cap [1]wire.Member
	if _, err := wire.ScanAt(body, config, convCapNames[:], cap[:]); err != nil {
		return llm.Glance{}, where{name: "inferenceConfig"}.wrong("%v", err)
	}
	if raw := cap[0].Value.Of(body); len(raw) > 0 && !wire.IsNull(raw) {
		n, ok := wire.Int(raw)
		if !ok || n > maxWhole || n < -maxWhole {
			return llm.Glance{}, where{name: "inferenceConfig.maxTokens"}.wrong("must be an integer")
		}
		g.MaxTokens = int(max(n, 0))
	}
	return g, nil
}

// Splice implements [Surface]. Nothing that it could change stands in the body.
func (ConverseCodec) Splice(dst, body []byte, _ *At, _ Rewrite) []byte { return append(dst, body...) }

// convKind is the type of a stream's event.
type convKind uint8

const (
	convUnknown convKind = iota
	convMessageStart
	convBlockStart
	convBlockDelta
	convBlockStop
	convMessageStop
	convMetadata
)

var convKinds = [...]string{
	convUnknown: "", convMessageStart: "messageStart", convBlockStart: "contentBlockStart",
	convBlockDelta: "contentBlockDelta", convBlockStop: "contentBlockStop", convMessageStop: "messageStop",
	convMetadata: "metadata",
}

func convKindOf(ev wire.Event) convKind {
	for i := 1; i < len(convKinds); i++ {
		if string(ev.Name) == convKinds[i] {
			return convKind(i)
		}
	}
	return convUnknown
}

// An answer ends with messageStop and metadata, which come in either order. A
// stream that has said why it stopped and ends without metadata is complete
// too, but only its end can tell.
const (
	convStopped  = 1 << iota // messageStop has come
	convMeasured             // metadata has come
	convOver     = convStopped | convMeasured
)

// TapEvent implements [Surface]. A delta is content unless it is empty.
func (ConverseCodec) TapEvent(t *Tap, ev wire.Event) Sight {
	if t.Ended {
		return 0
	}
	if ev.Exception {
		return SightFault
	}
	sight := Sight(0)
	switch convKindOf(ev) {
	case convBlockDelta:
		if bytes.Contains(ev.Data, []byte(`"text":""`)) || bytes.Contains(ev.Data, []byte(`"input":""`)) {
			return 0
		}
		t.Tokens++
		return SightContent
	case convMessageStop:
		convTap(t, ev.Data)
		t.halves |= convStopped
		sight = SightContent
	case convMetadata:
		convTap(t, ev.Data)
		t.halves |= convMeasured
	default:
		return 0
	}
	if t.halves == convOver {
		t.Ended = true
		sight |= SightEnd
	}
	return sight
}

var (
	convTapNames  = [...]string{"usage", "stopReason", "serviceTier"}
	convTierNames = [...]string{"type"}
)

// convTap notes usage and stop of an answer, or of the event that has them.
func convTap(t *Tap, body []byte) {
	var found [len(convTapNames)]wire.Member
	if _, err := wire.Scan(body, convTapNames[:], found[:]); err != nil {
		return
	}
	if m := found[0]; !m.IsZero() {
		if u, ok := convCount(body, m.Value); ok {
			u.Tier = convTier(body, found[2])
			t.Usage, t.HasUsage = u, true
		}
	}
	if raw := found[1].Value.Of(body); len(raw) > 2 && raw[0] == '"' {
		t.Stop = convStops.reason(raw[1 : len(raw)-1])
	}
}

// convTier reads serviceTier, an object with the tier's name in it.
func convTier(body []byte, m wire.Member) string {
	var found [1]wire.Member
	if !nested(body, m, convTierNames[:], found[:]) {
		return ""
	}
	return tierWord(found[0].Value.Of(body))
}

// TapReply implements [Surface].
func (ConverseCodec) TapReply(t *Tap, body []byte) (Sight, error) {
	if fault, err := replyFault(body); fault || err != nil {
		return SightFault, err
	}
	convTap(t, body)
	return SightContent, nil
}
