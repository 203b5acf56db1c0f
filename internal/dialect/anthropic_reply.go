package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Complete answers of /v1/messages and /v1/messages/count_tokens.

// Forms of a reply (llm.Reply.Extra.Form): members that are not there, or are
// there with a value that stays in Extra.
const (
	anthropicNoType = 1 << iota
	anthropicNoRole
	anthropicNoID
	anthropicNoModel
	anthropicNoStop
	anthropicNoSequence
	anthropicNoUsage
)

// anthropicStops are the stop words.
var anthropicStops = stopTable{llm.Anthropic, []stopWord{
	{"end_turn", llm.StopEnd},
	{"max_tokens", llm.StopLength},
	{"stop_sequence", llm.StopSequence},
	{"tool_use", llm.StopTool},
	{"refusal", llm.StopRefusal},
	{"pause_turn", llm.StopPause},
	{"model_context_window_exceeded", llm.StopLength},
	{"refusal", llm.StopFilter},
}}

// DecodeReply implements [Codec].
func (AnthropicCodec) DecodeReply(body []byte, at *At) (*llm.Reply, error) {
	o, err := parseReply(body, at)
	if err != nil {
		return nil, err
	}
	if wire.StringEquals(o.peek("type"), "error") {
		return nil, o.under("error").wrong("%s", AnthropicCodec{}.DecodeError(body).Message)
	}
	r, stop := anthropicDecodeMessage(o)
	list := o.list("content")
	if list == nil {
		o.wrong("content", "is required and must be a list")
	}
	o.take("content")
	parts := anthropicBlocks(o, "content", list, true)
	r.Choices = append(o.choices(1), llm.Choice{Parts: parts, Stop: stop})
	r.Extra = anthropicExtra(o, r.Extra.Form)
	return result(o, r)
}

// anthropicDecodeMessage takes what a message says beside its content, which a
// message_start says too. Extra has only the form yet.
func anthropicDecodeMessage(o *object) (*llm.Reply, llm.Stop) {
	r := o.newReply()
	var kind, role string
	texts := [...]struct {
		name   string
		want   string // the only value that is taken; empty takes any
		absent uint32
		into   *string
	}{
		{"type", "message", anthropicNoType, &kind},
		{"role", "assistant", anthropicNoRole, &role},
		{"id", "", anthropicNoID, &r.ID},
		{"model", "", anthropicNoModel, &r.Model},
	}
	form := uint32(0)
	for _, t := range texts {
		s, ok := o.text(t.name)
		*t.into = s
		if !ok || t.want != "" && s != t.want {
			form |= t.absent
			o.release(t.name)
		}
	}
	stop, stopForm := anthropicDecodeStop(o)
	form |= stopForm
	if raw := o.raw("usage"); raw == nil {
		form |= anthropicNoUsage
	} else {
		r.Usage, r.UsageExtra = anthropicDecodeUsage(o.open(raw, o.under("usage")))
		r.HasUsage = true
	}
	r.Extra = llm.Extra{Dialect: llm.Anthropic, Form: form}
	return r, stop
}

// anthropicDecodeStop takes stop_reason and stop_sequence, nulls included: null is
// what the encoder writes for an answer that has not ended.
func anthropicDecodeStop(o *object) (stop llm.Stop, form uint32) {
	word, plain := anthropicTextOrNull(o, "stop_reason")
	if word != "" {
		stop = anthropicStops.stop(word)
	}
	if !plain {
		form |= anthropicNoStop
	}
	if stop.Sequence, plain = anthropicTextOrNull(o, "stop_sequence"); !plain {
		form |= anthropicNoSequence
	}
	return stop, form
}

// anthropicTextOrNull takes null or a text. plain is false when it is absent or
// empty: then the encoder does not write it.
func anthropicTextOrNull(o *object, name string) (s string, plain bool) {
	raw := o.take(name)
	if raw == nil || wire.IsNull(raw) {
		return "", raw != nil
	}
	s, ok := o.unquote(raw)
	if !ok {
		o.wrong(name, "must be a string")
	}
	if s == "" {
		o.release(name)
	}
	return s, s != ""
}

// EncodeReply implements [Codec]. Of several choices the first is told.
func (AnthropicCodec) EncodeReply(dst []byte, reply *llm.Reply) ([]byte, []llm.Loss, error) {
	l := &lossList{}
	choice := l.firstChoice(reply, llm.Anthropic)
	parts := answerParts(reply, &choice, llm.Anthropic, l)
	e := anthropicEncoder{writerOf(dst, replySize(reply))}
	own := reply.Extra.In(llm.Anthropic)
	w := e.object(own)
	anthropicPutHead(&w, reply)
	e.blocks(&w, "content", parts)
	anthropicPutStop(&w, choice.Stop, own.Form, l)
	anthropicPutReplyUsage(&w, reply, l)
	w.end()
	return e.buf, l.all, nil
}

// anthropicPutHead writes what a message begins with.
func anthropicPutHead(w *objectWriter, r *llm.Reply) {
	form := r.Extra.In(llm.Anthropic).Form
	for _, t := range [...]struct {
		name, value string
		absent      uint32
	}{
		{"id", r.ID, anthropicNoID},
		{"type", "message", anthropicNoType},
		{"role", "assistant", anthropicNoRole},
		{"model", r.Model, anthropicNoModel},
	} {
		if form&t.absent == 0 {
			w.text(t.name, t.value)
		}
	}
}

// anthropicPutStop writes a stop; the empty one is that of an answer that goes on.
func anthropicPutStop(w *objectWriter, stop llm.Stop, form uint32, l *lossList) {
	switch {
	case stop.Reason != "":
		w.text("stop_reason", anthropicStops.say(stop, l))
	case form&anthropicNoStop == 0:
		w.null("stop_reason")
	}
	switch {
	case stop.Sequence != "":
		w.text("stop_sequence", stop.Sequence)
	case form&anthropicNoSequence == 0:
		w.null("stop_sequence")
	}
}

// anthropicPutReplyUsage writes the usage, which Anthropic's clients need even when
// nobody reported one.
func anthropicPutReplyUsage(w *objectWriter, r *llm.Reply, l *lossList) {
	if r.HasUsage || r.Extra.In(llm.Anthropic).Form&anthropicNoUsage == 0 {
		anthropicPutUsage(w, r.Usage, r.UsageExtra, l)
	}
}
