package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// The ends in a stream that is being written: of a part, of an item, of the
// answer, and of one that fails.

// partEnd takes what became known at the end of a part, and ends it unless
// more may come.
func (w *responsesWriter) partEnd(p *responsesPartOut, end *llm.Part) {
	if p == nil || p.ended {
		return
	}
	if end != nil {
		responsesLearn(p, end)
	}
	if p.part.Kind == llm.PartToolCall && w.reply.Extra.Dialect == llm.Chat {
		p.wait = true
		return
	}
	w.finish(p)
}

// responsesLearn adds what became known at the end.
func responsesLearn(p *responsesPartOut, end *llm.Part) {
	if end.Signature != "" {
		p.part.Signature = end.Signature
	}
	if end.SignedBy != "" {
		p.part.SignedBy = end.SignedBy
	}
	if end.Raw != nil {
		p.part.Raw = end.Raw
	}
	if e := end.Extra; e.Dialect != "" && (e.Members != nil || e.Spelled != nil || e.Form != 0) {
		p.part.Extra = e
	}
	p.part.Redacted = p.part.Redacted || end.Redacted
	if end.Cache != nil {
		p.part.Cache = end.Cache
	}
}

// finish writes the done events of a part, and of its item when that is over.
func (w *responsesWriter) finish(p *responsesPartOut) {
	if p.ended {
		return
	}
	switch p.part.Kind {
	case llm.PartText, llm.PartRefusal:
		w.finishText(p)
	case llm.PartToolCall:
		if len(p.text) == 0 && p.part.Extra.Dialect != llm.Responses {
			w.delta(p, "{}")
		}
		p.part.Tool = &llm.ToolCall{ID: p.part.Tool.ID, Name: p.part.Tool.Name, Arguments: string(p.text)}
		w.about("response.function_call_arguments.done", p.item, func(o *objectWriter) {
			o.text("name", p.part.Tool.Name)
			o.text("arguments", string(p.text))
		})
	case llm.PartThinking:
		p.part.Text = quoted(string(p.text))
		if p.begun {
			w.aboutSummary("response.reasoning_summary_text.done", p, func(o *objectWriter) {
				o.quote("text", p.part.Text)
			})
			part := responsesSummary(p.part.Text)
			w.aboutSummary("response.reasoning_summary_part.done", p, func(o *objectWriter) {
				o.put("part", part[1:len(part)-1])
			})
		}
	}
	p.ended = true
	if p.part.Extra.In(llm.Responses).Form&responsesItemEnd != 0 {
		p.item.last = true
	}
	w.itemDone(p.item)
}

func (w *responsesWriter) finishText(p *responsesPartOut) {
	p.part.Text = quoted(string(p.text))
	own := p.part.Extra.In(llm.Responses)
	if own.Form&responsesEmptyItem != 0 {
		return
	}
	heard := w.logprobs
	w.logprobs = nil
	if p.part.Kind == llm.PartText && p.part.Extra.Dialect != llm.Responses && len(heard) > 0 {
		p.part = responsesWithLogprobs([]llm.Part{p.part}, heard)[0]
		own = p.part.Extra
	}
	if p.part.Kind == llm.PartRefusal {
		w.aboutContent("response.refusal.done", p, func(o *objectWriter) { o.quote("refusal", p.part.Text) })
	} else {
		probs := responsesMember(own.Spelled, "logprobs")
		if probs == nil || saysNothing(probs) {
			probs = responsesLogprobsJSON(heard)
		}
		w.aboutContent("response.output_text.done", p, func(o *objectWriter) {
			o.quote("text", p.part.Text)
			o.put("logprobs", probs)
		})
	}
	part := w.enc.part(&p.part, llm.RoleAssistant)
	w.aboutContent("response.content_part.done", p, func(o *objectWriter) { o.put("part", part) })
}

// itemDone writes the done event of an item of which every part has ended.
func (w *responsesWriter) itemDone(item *responsesItemOut) {
	if item.raw != nil || item.kind == llm.PartText && !item.last {
		return
	}
	parts := make([]llm.Part, 0, len(item.parts))
	for _, p := range item.parts {
		if !p.ended {
			return
		}
		parts = append(parts, p.part)
	}
	if item.kind == llm.PartText {
		item.raw = w.enc.message(parts, llm.RoleAssistant, item.id)
	} else {
		item.raw = w.itemJSON(item, &parts[0])
	}
	w.about("response.output_item.done", item, func(o *objectWriter) { o.put("item", item.raw) })
}

func (w *responsesWriter) itemJSON(item *responsesItemOut, p *llm.Part) []byte {
	switch item.kind {
	case llm.PartToolCall:
		return w.enc.call(p, item.id, "completed")
	case llm.PartThinking:
		return w.enc.reasoning(p, item.id)
	}
	return p.Raw
}

// settle ends whatever is open.
func (w *responsesWriter) settle() {
	for _, item := range w.items {
		item.last = true
		for _, p := range item.parts {
			w.finish(p)
		}
		w.itemDone(item)
	}
}

// end writes the event that has the whole answer.
func (w *responsesWriter) end() {
	w.settle()
	w.ended = true
	response := w.response(nil)
	kind := "response.completed"
	switch status, _ := wire.Unquote(responsesMember(response, "status")); status {
	case "incomplete", "failed", "cancelled":
		kind = "response." + status
	}
	w.emit(kind, func(o *objectWriter) { o.put("response", response) })
}

func (w *responsesWriter) response(fault []byte) []byte {
	env := responsesEnvelope{reply: &w.reply, stop: w.stop, echo: w.call, fault: fault}
	for _, item := range w.items {
		if item.raw != nil {
			env.items = append(env.items, item.raw)
		}
	}
	if w.final.Dialect == llm.Responses {
		w.reply.Extra = w.final
	}
	return env.encode()
}

func (w *responsesWriter) fail(body llm.ErrorBody) {
	w.ended = true
	w.buf = appendRespError(w.buf, body, w.sequence)
	w.sequence++
	if !w.opened {
		return
	}
	w.stop = llm.Stop{Reason: llm.StopError}
	o := newObject(llm.Extra{})
	o.nullable("code", body.Code)
	o.text("message", body.Message)
	response := w.response(o.end())
	w.emit("response.failed", func(o *objectWriter) { o.put("response", response) })
}

// responsesFault is a fault of ours in OpenAI's words.
func responsesFault(f *llm.Fault) llm.ErrorBody {
	body := llm.ErrorBody{Type: openAIErrorType(f), Code: f.Code, Param: f.Param, Message: faultText(f)}
	if body.Code == "" {
		body.Code = string(f.Kind)
	}
	return body
}

// appendRespError appends the error event. Its members stand beside each
// other, as the schema has it, and under error, as OpenAI sends it and as its
// SDKs look for it.
func appendRespError(dst []byte, body llm.ErrorBody, sequence int) []byte {
	in, o := newObject(llm.Extra{}), newObject(llm.Extra{})
	in.nullable("type", body.Type)
	in.nullable("code", body.Code)
	in.text("message", body.Message)
	in.nullable("param", body.Param)
	o.text("type", "error")
	o.integer("sequence_number", int64(sequence))
	o.nullable("code", body.Code)
	o.text("message", body.Message)
	o.nullable("param", body.Param)
	o.put("error", in.end())
	return wire.AppendEvent(dst, "error", o.end())
}
