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

// antStops are the stop words.
var antStops = stopTable{llm.Anthropic, []stopWord{
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
func (AnthropicCodec) DecodeReply(body []byte) (*llm.Reply, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	if wire.StringEquals(o.peek("type"), "error") {
		return nil, o.under("error").wrong("%s", AnthropicCodec{}.DecodeError(body).Message)
	}
	r, stop := antDecodeMessage(o)
	list := o.list("content")
	if list == nil {
		o.wrong("content", "is required and must be a list")
	}
	o.take("content")
	parts := antBlocks(o, "content", list, true)
	r.Choices = []llm.Choice{{Parts: parts, Stop: stop}}
	r.Extra = antExtra(o, r.Extra.Form)
	return result(o, r)
}

// antDecodeMessage takes what a message says beside its content, which a
// message_start says too. Extra has only the form yet.
func antDecodeMessage(o *object) (*llm.Reply, llm.Stop) {
	r := &llm.Reply{}
	var kind, role string
	texts := [...]struct {
		name   string
		want   string // the only value that is taken; empty takes any
		absent uint32
		into   *string
	}{
		{"type", "message", antNoType, &kind},
		{"role", "assistant", antNoRole, &role},
		{"id", "", antNoID, &r.ID},
		{"model", "", antNoModel, &r.Model},
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
	stop, stopForm := antDecodeStop(o)
	form |= stopForm
	if raw := o.raw("usage"); raw == nil {
		form |= antNoUsage
	} else {
		r.Usage, r.UsageExtra = antDecodeUsage(o.open(raw, o.under("usage")), raw)
		r.HasUsage = true
	}
	r.Extra = llm.Extra{Dialect: llm.Anthropic, Form: form}
	return r, stop
}

// antDecodeStop takes stop_reason and stop_sequence, nulls included: null is
// what the encoder writes for an answer that has not ended.
func antDecodeStop(o *object) (stop llm.Stop, form uint32) {
	word, plain := antTextOrNull(o, "stop_reason")
	if word != "" {
		stop = antStops.stop(word)
	}
	if !plain {
		form |= antNoStop
	}
	if stop.Sequence, plain = antTextOrNull(o, "stop_sequence"); !plain {
		form |= antNoSequence
	}
	return stop, form
}

// antTextOrNull takes null or a text. plain is false when it is absent or
// empty: then the encoder does not write it.
func antTextOrNull(o *object, name string) (s string, plain bool) {
	raw := o.take(name)
	if raw == nil || wire.IsNull(raw) {
		return "", raw != nil
	}
	s, ok := wire.String(raw)
	if !ok {
		o.wrong(name, "must be a string")
	}
	if s == "" {
		o.release(name)
	}
	return s, s != ""
}

// EncodeReply implements [Codec]. Of several choices the first is told.
func (AnthropicCodec) EncodeReply(reply *llm.Reply) ([]byte, []llm.Loss, error) {
	l := &lossList{}
	choice := l.firstChoice(reply, llm.Anthropic)
	parts := answerParts(reply, &choice, llm.Anthropic, l)
	e := antEncoder{jsonWriter{buf: make([]byte, 0, 512+textSize(parts))}}
	own := reply.Extra.In(llm.Anthropic)
	w := e.object(own)
	antPutHead(&w, reply)
	e.blocks(&w, "content", parts)
	antPutStop(&w, choice.Stop, own.Form, l)
	antPutReplyUsage(&w, reply, l)
	return w.end(), l.all, nil
}

// antPutHead writes what a message begins with.
func antPutHead(w *objectWriter, r *llm.Reply) {
	form := r.Extra.In(llm.Anthropic).Form
	for _, t := range [...]struct {
		name, value string
		absent      uint32
	}{
		{"id", r.ID, antNoID},
		{"type", "message", antNoType},
		{"role", "assistant", antNoRole},
		{"model", r.Model, antNoModel},
	} {
		if form&t.absent == 0 {
			w.text(t.name, t.value)
		}
	}
}

// antPutStop writes a stop; the empty one is that of an answer that goes on.
func antPutStop(w *objectWriter, stop llm.Stop, form uint32, l *lossList) {
	switch {
	case stop.Reason != "":
		w.text("stop_reason", antStops.say(stop, l))
	case form&antNoStop == 0:
		w.null("stop_reason")
	}
	switch {
	case stop.Sequence != "":
		w.text("stop_sequence", stop.Sequence)
	case form&antNoSequence == 0:
		w.null("stop_sequence")
	}
}

// antPutReplyUsage writes the usage, which Anthropic's clients need even when
// nobody reported one.
func antPutReplyUsage(w *objectWriter, r *llm.Reply, l *lossList) {
	if r.HasUsage || r.Extra.In(llm.Anthropic).Form&antNoUsage == 0 {
		antPutUsage(w, r.Usage, r.UsageExtra, l)
	}
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
	o, err := parseObject(body)
	if err != nil {
		return 0, false, err
	}
	tokens, estimated = o.place("input_tokens"), o.flag("estimated")
	return tokens, estimated, o.err()
}
