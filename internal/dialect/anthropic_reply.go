package dialect

import (
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Complete answers of /v1/messages and /v1/messages/count_tokens.

// Forms of a reply (llm.Reply.Extra.Form): members that are not there, or are
// there with a value that stays in Extra.
const (
	antNoType = 1 << iota
	antNoRole
	antNoID
	antNoModel
	antNoStop
	antNoSequence
	antNoUsage
)

// antStops maps the stop words; the first line of a reason is how that reason
// is written when the answer came from another dialect.
var antStops = []struct {
	word   string
	reason llm.StopReason
}{
	{"end_turn", llm.StopEnd},
	{"max_tokens", llm.StopLength},
	{"stop_sequence", llm.StopSequence},
	{"tool_use", llm.StopTool},
	{"refusal", llm.StopRefusal},
	{"pause_turn", llm.StopPause},
	{"model_context_window_exceeded", llm.StopLength},
	{"refusal", llm.StopFilter},
	{"end_turn", llm.StopOther},
	{"end_turn", llm.StopError},
}

// antStopOf reads a stop word. Wire is kept where the word is not the one that
// its reason is written as.
func antStopOf(word string) llm.Stop {
	for _, s := range antStops {
		if s.word != word {
			continue
		}
		stop := llm.Stop{Reason: s.reason}
		if antStopWord(stop, nil) != word {
			stop.Wire, stop.By = word, llm.Anthropic
		}
		return stop
	}
	return llm.Stop{Reason: llm.StopOther, Wire: word, By: llm.Anthropic}
}

// antStopWord writes a stop; l may be nil.
func antStopWord(stop llm.Stop, l *antLosses) string {
	if stop.By == llm.Anthropic && stop.Wire != "" {
		return stop.Wire
	}
	if l != nil && (stop.Reason == llm.StopOther || stop.Reason == llm.StopError) {
		l.add("stop_reason", "anthropic has no word for "+string(stop.Reason)+" "+stop.Wire)
	}
	for _, s := range antStops {
		if s.reason == stop.Reason {
			return s.word
		}
	}
	return "end_turn"
}

// DecodeReply implements Codec.
func (AnthropicCodec) DecodeReply(body []byte) (*llm.Reply, error) {
	o, err := antBody(body)
	if err != nil {
		return nil, err
	}
	if kind, ok := wire.String(o.get("type")); ok && kind == "error" {
		e := AnthropicCodec{}.DecodeError(body)
		return nil, antBad("error", e.Message)
	}
	r, stop, err := antDecodeMessage(&o)
	if err != nil {
		return nil, err
	}
	raw := o.get("content")
	list, ok := antElements(raw)
	if !ok {
		return nil, antBad("content", "is required and must be a list")
	}
	o.take("content")
	parts := make([]llm.Part, 0, len(list))
	for i, el := range list {
		p, err := antDecodeBlock(el, true)
		if err != nil {
			return nil, antIn("content"+antIndex(i), err)
		}
		parts = append(parts, p)
	}
	r.Choices = []llm.Choice{{Parts: parts, Stop: stop}}
	r.Extra = o.extra(r.Extra.Form)
	return r, nil
}

// antDecodeMessage takes what a message says beside its content, which a
// message_start says too. Extra has only the form yet.
func antDecodeMessage(o *antObject) (*llm.Reply, llm.Stop, error) {
	r, stop, form := &llm.Reply{}, llm.Stop{}, uint32(0)
	texts := []struct {
		name   string
		want   string // the only value that is taken; empty takes any
		absent uint32
		into   *string
	}{
		{"type", "message", antNoType, nil},
		{"role", "assistant", antNoRole, nil},
		{"id", "", antNoID, &r.ID},
		{"model", "", antNoModel, &r.Model},
	}
	for _, t := range texts {
		s, ok, err := o.text(t.name)
		if err != nil {
			return nil, stop, err
		}
		if !ok || t.want != "" && s != t.want {
			form |= t.absent
			if ok {
				o.find(t.name).taken = false
			}
			continue
		}
		if t.into != nil {
			*t.into = s
		}
	}
	if err := antDecodeStop(o, &stop, &form); err != nil {
		return nil, stop, err
	}
	raw := o.get("usage")
	if raw == nil {
		form |= antNoUsage
	} else {
		u, extra, err := antDecodeUsage(raw)
		if err != nil {
			return nil, stop, antIn("usage", err)
		}
		r.Usage, r.UsageExtra, r.HasUsage = u, extra, true
		o.take("usage")
	}
	r.Extra = llm.Extra{Dialect: llm.Anthropic, Form: form}
	return r, stop, nil
}

// antDecodeStop takes stop_reason and stop_sequence, nulls included: null is
// what the encoder writes for an answer that has not ended.
func antDecodeStop(o *antObject, stop *llm.Stop, form *uint32) error {
	word, stated, err := o.text("stop_reason")
	switch {
	case err != nil:
		return err
	case stated && word != "":
		*stop = antStopOf(word)
	case stated || !o.has("stop_reason"):
		*form |= antNoStop
		antUntake(o, "stop_reason")
	default:
		o.take("stop_reason")
	}
	sequence, stated, err := o.text("stop_sequence")
	switch {
	case err != nil:
		return err
	case stated && sequence != "":
		stop.Sequence = sequence
	case stated || !o.has("stop_sequence"):
		*form |= antNoSequence
		antUntake(o, "stop_sequence")
	default:
		o.take("stop_sequence")
	}
	return nil
}

// antUntake leaves a member for Extra after all.
func antUntake(o *antObject, name string) {
	if m := o.find(name); m != nil {
		m.taken, m.echo = false, false
	}
}

// EncodeReply implements Codec. Of several choices the first is told.
func (AnthropicCodec) EncodeReply(reply *llm.Reply) ([]byte, []llm.Loss, error) {
	l := &antLosses{}
	l.extra("", reply.Extra)
	var choice llm.Choice
	if len(reply.Choices) > 0 {
		choice = reply.Choices[0]
	}
	if len(reply.Choices) > 1 {
		l.add("choices", "anthropic gives one answer; the first is told")
	}
	l.extra("choices.", choice.Extra)
	if len(choice.Logprobs) > 0 {
		l.add("logprobs", antNoEquivalent)
	}
	parts := make([]llm.Part, 0, len(choice.Parts))
	for i, p := range choice.Parts {
		if q, ok := antShapeReply(withCallID(p, reply.ID, i), choice.Stop.Reason, l); ok {
			parts = append(parts, q)
		}
	}
	e := &antEnc{b: make([]byte, 0, 1024)}
	e.open()
	e.messageHead(reply)
	e.key("content")
	e.blocks(parts)
	e.stop(choice.Stop, reply.Extra.In(llm.Anthropic).Form, l)
	e.replyUsage(reply, l)
	e.shut(antFields(reply.Extra))
	return e.b, l.list, nil
}

func (e *antEnc) messageHead(r *llm.Reply) {
	form := r.Extra.In(llm.Anthropic).Form
	for _, t := range []struct {
		name, value string
		absent      uint32
	}{
		{"id", r.ID, antNoID},
		{"type", "message", antNoType},
		{"role", "assistant", antNoRole},
		{"model", r.Model, antNoModel},
	} {
		if form&t.absent == 0 {
			e.text(t.name, t.value)
		}
	}
}

func (e *antEnc) stop(stop llm.Stop, form uint32, l *antLosses) {
	switch {
	case stop.Reason != "":
		e.text("stop_reason", antStopWord(stop, l))
	case form&antNoStop == 0:
		e.raw("stop_reason", []byte("null"))
	}
	switch {
	case stop.Sequence != "":
		e.text("stop_sequence", stop.Sequence)
	case form&antNoSequence == 0:
		e.raw("stop_sequence", []byte("null"))
	}
}

// replyUsage writes the usage, which Anthropic's clients need even when
// nobody reported one.
func (e *antEnc) replyUsage(r *llm.Reply, l *antLosses) {
	if !r.HasUsage && r.Extra.In(llm.Anthropic).Form&antNoUsage != 0 {
		return
	}
	antUsageLosses(r.Usage, l)
	antUsageExtraLosses(r.UsageExtra, l)
	e.key("usage")
	e.usage(r.Usage, r.UsageExtra)
}

// antUsageExtraLosses declares the figures that another dialect's usage has
// beyond llm.Usage; those of zero are none.
func antUsageExtraLosses(x llm.Extra, l *antLosses) {
	if x.Dialect == llm.Anthropic || x.Dialect == "" || len(x.Members) == 0 {
		return
	}
	if _, err := wire.Scan(x.Members, nil, nil); err != nil {
		return
	}
	o, err := antParse(x.Members)
	if err != nil {
		return
	}
	for _, m := range o.members {
		if !antAllZero(m.raw) {
			l.add("usage."+m.name, antNoEquivalent)
		}
	}
}

// antAllZero reports whether raw is null, 0 or an object of such.
func antAllZero(raw []byte) bool {
	if len(raw) > 0 && raw[0] == '{' {
		o, err := antParse(raw)
		if err != nil {
			return false
		}
		for _, m := range o.members {
			if !antAllZero(m.raw) {
				return false
			}
		}
		return true
	}
	n, ok := wire.Int(raw)
	return ok && n == 0 || wire.IsNull(raw)
}

// antShapeReply makes a part of another dialect's answer sayable; ok is false
// when it is left out.
func antShapeReply(p llm.Part, stop llm.StopReason, l *antLosses) (llm.Part, bool) {
	if p.Extra.Dialect == llm.Anthropic {
		return p, true
	}
	l.extra("content.", p.Extra)
	switch p.Kind {
	case llm.PartText, llm.PartThinking:
		return p, true
	case llm.PartRefusal:
		if stop != llm.StopRefusal && stop != llm.StopFilter {
			l.add("refusal", "it became text")
		}
		return p, true
	case llm.PartToolCall:
		if p.Tool == nil {
			return p, false
		}
		before := len(l.list)
		q := antShapeCall(p, l)
		q.Tool.ID = p.Tool.ID
		for i := before; i < len(l.list); i++ {
			l.list[i].Feature = "tool_calls.arguments"
		}
		return q, true
	case llm.PartOther:
		l.add("content", "a block that only "+string(p.Extra.Dialect)+" knows was left out")
	default:
		l.add("content", "an answer of anthropic has no place for part kind "+strconv.Itoa(int(p.Kind)))
	}
	return p, false
}

// EncodeCountReply is the answer of /v1/messages/count_tokens. An estimate
// says so in the member estimated, which Anthropic does not have.
func (AnthropicCodec) EncodeCountReply(tokens int64, estimated bool) []byte {
	b := strconv.AppendInt([]byte(`{"input_tokens":`), tokens, 10)
	if estimated {
		b = append(b, `,"estimated":true`...)
	}
	return append(b, '}')
}

// DecodeCountReply reads the answer of /v1/messages/count_tokens.
func (AnthropicCodec) DecodeCountReply(body []byte) (tokens int64, estimated bool, err error) {
	o, err := antBody(body)
	if err != nil {
		return 0, false, err
	}
	tokens, ok, err := o.integer("input_tokens")
	if err == nil && !ok {
		err = antBad("input_tokens", "is required")
	}
	if err != nil {
		return 0, false, err
	}
	estimated, _, err = o.boolean("estimated")
	return tokens, estimated, err
}
