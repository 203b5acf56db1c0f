package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Complete answers of Converse. They name neither the answer nor the model.

// Forms of a reply (llm.Reply.Extra.Form): members that are not there.
const (
	converseNoRole = 1 << iota
	converseNoStop
	converseNoUsage
)

// converseStops are the stop words.
var converseStops = stopTable{llm.Converse, []stopWord{
	{"end_turn", llm.StopEnd},
	{"max_tokens", llm.StopLength},
	{"stop_sequence", llm.StopSequence},
	{"tool_use", llm.StopTool},
	{"content_filtered", llm.StopFilter},
	{"guardrail_intervened", llm.StopFilter},
	{"content_filtered", llm.StopRefusal},
	{"model_context_window_exceeded", llm.StopLength},
	{"malformed_model_output", llm.StopError},
	{"malformed_tool_use", llm.StopError},
}}

// converseNoEquivalent is the detail of what Converse cannot say at all.
const converseNoEquivalent = "converse has no equivalent"

// converseStopWord writes a stop.
func converseStopWord(stop llm.Stop, l *lossList) string {
	word := converseStops.say(stop, l)
	if stop.Sequence != "" {
		l.add("stop_sequence", "converse does not tell which sequence it was")
	}
	return word
}

// converseTakeStop takes stopReason; ok is false when there is none.
func converseTakeStop(o *object) (stop llm.Stop, ok bool) {
	word, ok := o.text("stopReason")
	if word == "" {
		o.release("stopReason")
		return stop, false
	}
	return converseStops.stop(word), ok
}

// DecodeReply implements [Codec].
func (ConverseCodec) DecodeReply(body []byte, at *At) (*llm.Reply, error) {
	o, err := parseReply(body, at)
	if err != nil {
		return nil, err
	}
	output := o.sub("output")
	if output == nil {
		if o.has("message") || o.has("__type") {
			return nil, where{}.wrong("%s", ConverseCodec{}.DecodeError(body).Message)
		}
		return nil, o.under("output").wrong("is required")
	}
	message := output.sub("message")
	if message == nil {
		output.wrong("message", "is required")
		return nil, o.err()
	}
	var form uint32
	if !wire.StringEquals(message.peek("role"), "assistant") {
		form |= converseNoRole
	} else {
		message.take("role")
	}
	list := message.list("content")
	if list == nil {
		message.wrong("content", "is required and must be a list")
	}
	message.take("content")
	parts := converseBlocks(message, "content", list)
	return result(o, converseFinishReply(o, parts, form))
}

// converseFinishReply takes what stands beside the message.
func converseFinishReply(o *object, parts []llm.Part, form uint32) *llm.Reply {
	stop, has := converseTakeStop(o)
	if !has {
		form |= converseNoStop
	}
	r := o.newReply()
	r.Choices = append(o.choices(1), llm.Choice{Parts: parts, Stop: stop})
	if raw := o.raw("usage"); raw == nil {
		form |= converseNoUsage
	} else {
		r.Usage, r.UsageExtra = converseDecodeUsage(o, raw)
		r.HasUsage = true
	}
	r.Extra = converseExtra(o, form)
	return r
}

// EncodeReply implements [Codec]. Of several choices the first is told. An
// answer of another dialect gets the members that Bedrock always gives.
func (ConverseCodec) EncodeReply(dst []byte, reply *llm.Reply) ([]byte, []llm.Loss, error) {
	l := &lossList{}
	choice := l.firstChoice(reply, llm.Converse)
	parts := answerParts(reply, &choice, llm.Converse, l)
	e := converseEncoder{writerOf(dst, replySize(reply))}
	own := reply.Extra.In(llm.Converse)
	w := e.object(own)
	output := w.sub("output")
	message := output.sub("message")
	if own.Form&converseNoRole == 0 {
		message.text("role", "assistant")
	}
	e.blocks(&message, "content", parts)
	message.endSub()
	output.endSub()
	if own.Form&converseNoStop == 0 {
		w.text("stopReason", converseStopWord(choice.Stop, l))
	}
	if own.Form&converseNoUsage == 0 {
		conversePutUsage(&w, reply.Usage, reply.UsageExtra, l)
	}
	if reply.Extra.Dialect != llm.Converse {
		w.put("metrics", []byte(converseNoLatency))
	}
	w.end()
	return e.buf, l.all, nil
}

// converseNoLatency is the metrics of an answer that Bedrock did not give: its
// clients take the member for granted.
const converseNoLatency = `{"latencyMs":0}`
