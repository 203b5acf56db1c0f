package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// ConverseCodec speaks Amazon Bedrock's /model/{id}/converse and .../converse-stream.
// Model and stream flag stand in the path: neither Glance nor DecodeCall knows
// them, and nothing is spliced. The source of every member name is botocore's
// model of bedrock-runtime (2023-09-30).
type ConverseCodec struct{}

// Name is llm.Converse.
func (ConverseCodec) Name() llm.Dialect { return llm.Converse }

// Framing implements [Surface].
func (ConverseCodec) Framing() wire.Framing { return wire.EventStream }

var (
	converseGlanceNames = [...]string{"inferenceConfig"}
	converseCapNames    = [...]string{"maxTokens"}
)

// Glance implements [Surface]. Model is empty and Stream false: the path has both.
func (ConverseCodec) Glance(body []byte, at *At) (llm.Glance, error) {
	at.reset()
	var err error
	if at.Object, err = at.Words.Scan(body, converseGlanceNames[:], at.Members[:], &at.Heard); err != nil {
		return llm.Glance{}, err
	}
	g := llm.Glance{Op: llm.OpGenerate, Dialect: llm.Converse, WantUsage: true, Bytes: len(body)}
	config := at.Members[0].Value
	if config.IsZero() || wire.IsNull(config.Of(body)) {
		return g, nil
	}
	var cap [1]wire.Member
	if _, err := wire.ScanAt(body, config, converseCapNames[:], cap[:]); err != nil {
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
func (ConverseCodec) Splice(dst, body []byte, _ *At, _ Rewrite) wire.Spliced {
	return wire.Spliced{Front: body, New: dst}
}

// converseKind is the type of a stream's event.
type converseKind uint8

const (
	converseUnknown converseKind = iota
	converseMessageStart
	converseBlockStart
	converseBlockDelta
	converseBlockStop
	converseMessageStop
	converseMetadata
)

var converseKinds = [...]string{
	converseUnknown: "", converseMessageStart: "messageStart", converseBlockStart: "contentBlockStart",
	converseBlockDelta: "contentBlockDelta", converseBlockStop: "contentBlockStop", converseMessageStop: "messageStop",
	converseMetadata: "metadata",
}

func converseKindOf(ev wire.Event) converseKind {
	for i := 1; i < len(converseKinds); i++ {
		if string(ev.Name) == converseKinds[i] {
			return converseKind(i)
		}
	}
	return converseUnknown
}

// An answer ends with messageStop and metadata, which come in either order. A
// stream that has said why it stopped and ends without metadata is complete
// too, but only its end can tell.
const (
	converseStopped  = 1 << iota // messageStop has come
	converseMeasured             // metadata has come
	converseOver     = converseStopped | converseMeasured
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
	switch converseKindOf(ev) {
	case converseBlockDelta:
		if bytes.Contains(ev.Data, []byte(`"text":""`)) || bytes.Contains(ev.Data, []byte(`"input":""`)) {
			return 0
		}
		t.Tokens++
		return SightContent
	case converseMessageStop:
		converseTap(t, ev.Data)
		t.halves |= converseStopped
		sight = SightContent
	case converseMetadata:
		converseTap(t, ev.Data)
		t.halves |= converseMeasured
	default:
		return 0
	}
	if t.halves == converseOver {
		t.Ended = true
		sight |= SightEnd
	}
	return sight
}

var (
	converseTapNames  = [...]string{"usage", "stopReason", "serviceTier"}
	converseTierNames = [...]string{"type"}
)

// converseTap notes usage and stop of an answer, or of the event that has them.
func converseTap(t *Tap, body []byte) {
	var found [len(converseTapNames)]wire.Member
	if _, err := wire.Scan(body, converseTapNames[:], found[:]); err != nil {
		return
	}
	if m := found[0]; !m.IsZero() {
		if u, ok := converseCount(body, m.Value); ok {
			u.Tier = converseTier(body, found[2])
			t.Usage, t.HasUsage = u, true
		}
	}
	if raw := found[1].Value.Of(body); len(raw) > 2 && raw[0] == '"' {
		t.Stop = converseStops.reason(raw[1 : len(raw)-1])
	}
}

// converseTier reads serviceTier, an object with the tier's name in it.
func converseTier(body []byte, m wire.Member) string {
	var found [1]wire.Member
	if !nested(body, m, converseTierNames[:], found[:]) {
		return ""
	}
	return tierWord(found[0].Value.Of(body))
}

// TapReply implements [Surface].
func (ConverseCodec) TapReply(t *Tap, body []byte) (Sight, error) {
	if fault, err := replyFault(body); fault || err != nil {
		return SightFault, err
	}
	converseTap(t, body)
	return SightContent, nil
}
