package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// GeminiCodec speaks Google's :generateContent and :streamGenerateContent, as the
// Gemini API and Vertex AI have them. The model and whether the answer streams
// stand in the URL, not in the body. A client may write member names in either of
// the two spellings of protobuf's JSON (gemini_spell.go).
type GeminiCodec struct{}

// Name is llm.Gemini.
func (GeminiCodec) Name() llm.Dialect { return llm.Gemini }

// Framing implements [Surface].
func (GeminiCodec) Framing() wire.Framing { return wire.SSE }

// Glance implements [Surface]. Model and Stream are left empty: the caller, who
// knows the path, fills them in.
func (GeminiCodec) Glance(body []byte, at *At) (llm.Glance, error) {
	g := llm.Glance{Op: llm.OpGenerate, Dialect: llm.Gemini, WantUsage: true, Bytes: len(body)}
	names := [...]string{"generationConfig", "generation_config"}
	at.reset()
	var err error
	if at.Object, err = at.Words.Scan(body, names[:], at.Members[:], &at.Heard); err != nil {
		return g, err
	}
	for _, m := range at.Members[:len(names)] {
		limit := [...]string{"maxOutputTokens", "max_output_tokens"}
		var found [len(limit)]wire.Member
		if !nested(body, m, limit[:], found[:]) {
			continue
		}
		for _, f := range found {
			if n := figure(body, f); n > 0 {
				g.MaxTokens = int(min(n, 1<<31-1))
			}
		}
	}
	return g, nil
}

// Splice implements [Surface]. Nothing of the body changes: the model stands in
// the path, and usage always comes.
func (GeminiCodec) Splice(dst, body []byte, _ *At, _ Rewrite) wire.Spliced {
	return wire.Spliced{Front: body, New: dst}
}

// The members of an answer that the tap looks for.
const (
	geminiAtCandidates = iota
	geminiAtUsage
	geminiAtModel
	geminiAtFeedback
	geminiAtError
)

var (
	geminiTapNames       = [...]string{"candidates", "usageMetadata", "modelVersion", "promptFeedback", "error"}
	geminiCandidateNames = [...]string{"finishReason", "content"}
	geminiPartsName      = [...]string{"parts"}
	geminiCallName       = [...]string{"functionCall"}
	geminiBlockName      = [...]string{"blockReason"}
)

// TapEvent implements [Surface]. The dialect has no mark of its end, so no
// event is a SightEnd: a stream is complete when it ends behind a stop.
func (GeminiCodec) TapEvent(t *Tap, ev wire.Event) Sight {
	if len(ev.Data) == 0 {
		return 0
	}
	return geminiTap(t, ev.Data)
}

// TapReply implements [Surface].
func (GeminiCodec) TapReply(t *Tap, body []byte) (Sight, error) {
	if fault, err := replyFault(body); fault || err != nil {
		return SightFault, err
	}
	geminiTap(t, bytes.TrimSpace(body))
	return SightContent, nil
}

func geminiTap(t *Tap, data []byte) Sight {
	var at [len(geminiTapNames)]wire.Member
	if _, err := wire.Scan(data, geminiTapNames[:], at[:]); err != nil {
		return 0
	}
	if m := at[geminiAtError]; !m.IsZero() && !wire.IsNull(m.Value.Of(data)) {
		return SightFault
	}
	if m := at[geminiAtModel]; t.Model == "" && !m.IsZero() {
		t.name(m.Value.Of(data))
	}
	if m := at[geminiAtUsage]; !m.IsZero() {
		if u, ok := geminiUsage(m.Value.Of(data)); ok {
			t.Usage, t.HasUsage = u, true
		}
	}
	var sight Sight
	if geminiContentIn(data) {
		sight |= SightContent
		t.Tokens++
	}
	stopped := t.Stop
	if m := at[geminiAtCandidates]; !m.IsZero() && data[m.Value.Start] == '[' {
		for item := range wire.Elements(data, m.Value) {
			geminiTapCandidate(t, data, item)
		}
	} else if !at[geminiAtFeedback].IsZero() && t.Stop == "" {
		var block [1]wire.Member
		if nested(data, at[geminiAtFeedback], geminiBlockName[:], block[:]) && geminiBlocked(block[0].Value.Of(data)) {
			t.Stop = llm.StopFilter
		}
	}
	if t.Stop != stopped {
		sight |= SightContent
	}
	return sight
}

// geminiTapCandidate notes whether a candidate asks for a tool, and its stop.
func geminiTapCandidate(t *Tap, data []byte, item wire.Span) {
	var found [len(geminiCandidateNames)]wire.Member
	if !nested(data, wire.Member{Key: item, Value: item}, geminiCandidateNames[:], found[:]) {
		return
	}
	if !t.called && bytes.Contains(item.Of(data), []byte(`"functionCall"`)) {
		t.called = geminiCallsIn(data, found[1])
	}
	if m := found[0]; !m.IsZero() {
		if reason := geminiStops.reason(geminiStopWord(m.Value.Of(data))); reason != "" {
			t.Stop = geminiStopOf(reason, t.called)
		}
	}
}

// geminiCallsIn reports whether one of the parts of a content is a call.
func geminiCallsIn(data []byte, content wire.Member) bool {
	var parts, call [1]wire.Member
	if !nested(data, content, geminiPartsName[:], parts[:]) || parts[0].IsZero() || data[parts[0].Value.Start] != '[' {
		return false
	}
	for item := range wire.Elements(data, parts[0].Value) {
		call[0] = wire.Member{}
		if nested(data, wire.Member{Key: item, Value: item}, geminiCallName[:], call[:]) && !call[0].IsZero() {
			return true
		}
	}
	return false
}

// geminiContentIn reports whether a chunk has a piece of the answer.
func geminiContentIn(data []byte) bool {
	for _, key := range [...]string{
		`"text"`, `"functionCall"`, `"inlineData"`, `"executableCode"`, `"codeExecutionResult"`, `"thoughtSignature"`, `"fileData"`, `"toolCall"`,
	} {
		for i := nextValue(data, key, 0); i >= 0; i = nextValue(data, key, i) {
			if hasContent(data[i:]) {
				return true
			}
		}
	}
	return false
}
