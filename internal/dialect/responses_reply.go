package dialect

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Answers of the Responses dialect. Its rules:
//
//   - The items of the output are one choice; their parts follow each other.
//   - status completed is StopTool when the model called a function, else
//     StopEnd; incomplete is StopLength or StopFilter by its reason; failed is
//     StopError; cancelled and unknown words are StopOther. The other way, a
//     refusal is incomplete by content_filter, and whatever has no word is
//     completed.
//   - The echo of the request (tools, temperature, ...) is kept as spelling.
//   - An item that is not as it should be is kept as it stands (PartOther):
//     an answer is not refused for one odd item.
//   - A foreign answer becomes a complete Response object. EncodeReply does not
//     know the request, so its echoes say what is true of every request or
//     null: no instructions, no tools, tool_choice auto, text format text,
//     parallel_tool_calls true, store false. A stream's writer knows the
//     request and echoes it.

// DecodeReply implements [Codec].
func (ResponsesCodec) DecodeReply(body []byte, at *At) (*llm.Reply, error) {
	o, err := parseReply(body, at)
	if err != nil {
		return nil, err
	}
	if !o.has("output") { // an error envelope, or another dialect's answer
		return nil, o.under("output").wrong("is missing")
	}
	r := responsesReply(o)
	o.doc.clear()
	return r, nil
}

func responsesReply(o *object) *llm.Reply {
	r := &llm.Reply{ID: responsesLabel(o, "id"), Model: responsesLabel(o, "model")}
	if n, ok := wire.Int(o.peek("created_at")); ok { // else it stays
		if r.Created, _ = o.whole("created_at"); n == 0 {
			o.keep("created_at")
		}
	}
	if raw := o.peek("usage"); raw != nil {
		if r.Usage, r.HasUsage = responsesUsage(raw); r.HasUsage {
			r.Usage.Tier = tierWord(o.peek("service_tier"))
			o.raw("usage")
			r.UsageExtra = llm.Extra{Dialect: llm.Responses, Spelled: bytes.Clone(raw)}
		}
	}
	c := llm.Choice{Extra: llm.Extra{Dialect: llm.Responses}}
	var form uint32
	if raw := o.peek("output"); len(raw) > 0 && raw[0] == '[' {
		o.raw("output")
		for _, el := range elements(raw) {
			c.Parts = append(c.Parts, responsesOutputItem(el)...)
			c.Logprobs = append(c.Logprobs, responsesItemLogprobs(el)...)
		}
	} else {
		form = responsesNoOutput
	}
	c.Stop = responsesStop(o, c.Parts)
	responsesEchoes(o)
	r.Choices = append(o.choices(1), c)
	r.Extra = o.extra(llm.Responses, form)
	return r
}

// responsesNoOutput is the form of a reply without a list of output items.
const responsesNoOutput uint32 = 1

// responsesLabel takes a string that is not empty; anything else stays.
func responsesLabel(o *object, name string) string {
	s, _ := wire.Unquote(o.peek(name))
	if s != "" {
		o.take(name)
	}
	return s
}

// responsesAnswerItem is responsesItem for an item of an answer; false when it is not as it
// should be.
func responsesAnswerItem(raw []byte) (llm.Turn, bool) {
	o, err := openObject(raw, where{})
	if err != nil {
		return llm.Turn{}, false
	}
	t := responsesItem(o, raw)
	return t, o.err() == nil
}

// responsesOutputItem reads one item as the parts that it consists of.
func responsesOutputItem(raw []byte) []llm.Part {
	other := responsesOtherItem(raw, "").Parts
	t, ok := responsesAnswerItem(raw)
	if !ok {
		return other
	}
	if t.Extra.Form&responsesMessage == 0 {
		return t.Parts
	}
	if t.Role != llm.RoleAssistant || t.Extra.Form != responsesMessage {
		return other
	}
	if len(t.Parts) == 0 {
		t.Parts = []llm.Part{{Kind: llm.PartText, Extra: llm.Extra{Dialect: llm.Responses, Form: responsesEmptyItem}}}
	}
	last := &t.Parts[len(t.Parts)-1]
	if item := responsesItemExtra(last.Extra); item.Members != nil || item.Spelled != nil {
		return other
	}
	responsesEndItem(t.Parts, t.Extra)
	return t.Parts
}

// responsesStop reads why the answer ended. The words themselves are kept.
func responsesStop(o *object, parts []llm.Part) llm.Stop {
	o.keep("status")
	o.keep("incomplete_details")
	return responsesStopWords(o, responsesAsks(parts))
}

// responsesStopWords reads the stop of an answer; called says that the model asked
// for a tool.
func responsesStopWords(o *object, called bool) llm.Stop {
	status, _ := wire.Unquote(o.peek("status"))
	reason := ""
	if raw := o.peek("incomplete_details"); len(raw) > 0 && raw[0] == '{' {
		if d, err := openObject(raw, where{}); err == nil {
			reason, _ = wire.Unquote(d.peek("reason"))
		}
	}
	return responsesStopOf(status, reason, called)
}

// responsesStopOf maps the words of the dialect to the canonical reason.
func responsesStopOf(status, reason string, called bool) llm.Stop {
	stop := llm.Stop{Wire: status, By: llm.Responses}
	switch status {
	case "completed":
		stop.Reason = llm.StopEnd
		if called {
			stop.Reason = llm.StopTool
		}
	case "incomplete":
		stop.Wire = reason
		switch reason {
		case "max_output_tokens":
			stop.Reason = llm.StopLength
		case "content_filter":
			stop.Reason = llm.StopFilter
		default:
			stop.Reason = llm.StopOther
		}
	case "failed":
		stop.Reason = llm.StopError
	case "", "in_progress", "queued":
		return llm.Stop{}
	default:
		stop.Reason = llm.StopOther
	}
	return stop
}

// responsesStatus maps a canonical reason to the words of the dialect.
func responsesStatus(stop llm.Stop) (status, reason string) {
	switch stop.Reason {
	case llm.StopLength:
		return "incomplete", "max_output_tokens"
	case llm.StopFilter, llm.StopRefusal:
		return "incomplete", "content_filter"
	case llm.StopError:
		return "failed", ""
	}
	return "completed", ""
}

// stop declares what the dialect's words leave out of a stop; called says
// that the answer asks for a function.
func (e *responsesEncoder) stop(stop llm.Stop, called bool) {
	if stop.Sequence != "" {
		e.add("stop_sequence", responsesHasNoPlace)
	}
	native := stop.By == llm.Responses
	switch stop.Reason {
	case llm.StopPause, llm.StopOther:
		if !native {
			e.add("stop_reason", "said as completed")
		}
	case llm.StopEnd, llm.StopTool:
		if called != (stop.Reason == llm.StopTool) {
			e.add("stop_reason", "responses says completed; whether a tool is asked for is seen in the output")
		}
	}
}

// usage declares what the dialect's usage has no place for.
func (e *responsesEncoder) usage(u llm.Usage, extra llm.Extra) {
	e.lossList.usage(extra, llm.Responses)
	if u.CacheWrite1h > 0 && extra.Dialect != llm.Responses {
		e.add("usage.cache_creation", "responses does not tell cache writes apart")
	}
}

// responsesAsks reports whether parts ask for a function.
func responsesAsks(parts []llm.Part) bool {
	return slices.ContainsFunc(parts, func(p llm.Part) bool { return p.Kind == llm.PartToolCall })
}

// responsesEchoes takes the members that repeat the request or keep the books.
func responsesEchoes(o *object) {
	for _, name := range []string{
		"object", "background", "billing", "completed_at", "frequency_penalty", "instructions",
		"max_output_tokens", "max_tool_calls", "metadata", "output_text", "parallel_tool_calls",
		"presence_penalty", "previous_response_id", "prompt_cache_key", "prompt_cache_options",
		"prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "temperature",
		"text", "tool_choice", "tool_usage", "tools", "top_logprobs", "top_p", "truncation", "user",
	} {
		o.keep(name)
	}
}

// responsesUsage reads a usage object without allocating; ok is false when it is none.
func responsesUsage(raw []byte) (u llm.Usage, ok bool) {
	names := [...]string{"input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details"}
	var at [len(names)]wire.Member
	if _, err := wire.Scan(raw, names[:], at[:]); err != nil {
		return u, false
	}
	u.Source = llm.UsageReported
	u.Input, u.Output = figure(raw, at[0]), figure(raw, at[2])
	details := [...]string{"cached_tokens", "cache_write_tokens", "audio_tokens"}
	var in, out [len(details)]wire.Member
	if nested(raw, at[1], details[:], in[:]) {
		u.CacheRead, u.CacheWrite, u.InputAudio = figure(raw, in[0]), figure(raw, in[1]), figure(raw, in[2])
	}
	details[0] = "reasoning_tokens"
	if nested(raw, at[3], details[:], out[:]) {
		u.Reasoning, u.OutputAudio = figure(raw, out[0]), figure(raw, out[2])
	}
	return u, true
}

// responsesUsageJSON is the usage object, with every member that the dialect
// demands; those of sound stand only where there was any.
func responsesUsageJSON(u llm.Usage) []byte {
	in, out, w := newObject(llm.Extra{}), newObject(llm.Extra{}), newObject(llm.Extra{})
	in.integer("cached_tokens", u.CacheRead)
	in.integer("cache_write_tokens", u.CacheWrite)
	out.integer("reasoning_tokens", u.Reasoning)
	in.count("audio_tokens", int(u.InputAudio))
	out.count("audio_tokens", int(u.OutputAudio))
	w.integer("input_tokens", u.Input)
	w.put("input_tokens_details", in.end())
	w.integer("output_tokens", u.Output)
	w.put("output_tokens_details", out.end())
	w.integer("total_tokens", u.Total())
	return w.end()
}

// EncodeReply implements [Codec].
func (ResponsesCodec) EncodeReply(dst []byte, reply *llm.Reply) ([]byte, []llm.Loss, error) {
	e := &responsesEncoder{client: true, base: responsesBase(reply)}
	e.extra("", reply.Extra, llm.Responses)
	var choice llm.Choice
	if len(reply.Choices) > 0 {
		choice = reply.Choices[0]
	}
	if len(reply.Choices) > 1 {
		e.add("choices", "responses has one answer; the others were left out")
	}
	e.extra("choices", choice.Extra, llm.Responses)
	parts := choice.Parts
	if len(choice.Logprobs) > 0 {
		parts = responsesWithLogprobs(parts, choice.Logprobs)
	}
	items := e.items(parts, llm.RoleAssistant)
	e.stop(choice.Stop, responsesAsks(choice.Parts))
	e.usage(reply.Usage, reply.UsageExtra)
	env := responsesEnvelope{reply: reply, items: items, stop: choice.Stop, echo: &llm.Call{}}
	return append(dst, env.encode()...), e.all, nil
}

// responsesBase is what the ids of a foreign answer are made from: its own id
// without the kind that stands before it.
func responsesBase(reply *llm.Reply) string {
	id := reply.ID
	for _, kind := range []string{"chatcmpl-", "cmpl-", "msg_", "resp_"} {
		id = strings.TrimPrefix(id, kind)
	}
	if id == "" {
		id = strconv.FormatInt(reply.Created, 10)
	}
	return id
}

// responsesEnvelope is a Response object around items that are written already.
type responsesEnvelope struct {
	reply *llm.Reply
	items [][]byte
	stop  llm.Stop
	echo  *llm.Call // the request that a foreign answer repeats
	fault []byte    // the error member of a failed answer
	open  bool      // the answer has not ended
}

func (v *responsesEnvelope) encode() []byte {
	if v.reply.Extra.Dialect == llm.Responses {
		return v.native()
	}
	return v.foreign()
}

// native gives back the members that the answer had. Its words for the end
// give way where they no longer say what its stop says, as after a stream that
// was collected.
func (v *responsesEnvelope) native() []byte {
	r := v.reply
	w := newObject(r.Extra)
	w.str("id", r.ID)
	if r.Created != 0 && !sameNumber(strconv.AppendInt(nil, r.Created, 10), responsesMember(r.Extra.Spelled, "created_at")) {
		w.integer("created_at", r.Created) // else the spelling that was kept
	}
	if !v.open && !v.keptStop(w) {
		status, reason := responsesStatus(v.stop)
		w.text("status", status)
		w.put("incomplete_details", responsesIncomplete(reason))
	}
	if v.fault != nil {
		w.put("error", v.fault)
	}
	w.str("model", r.Model)
	if r.Extra.Form&responsesNoOutput == 0 || len(v.items) > 0 {
		w.items("output", v.items)
	}
	if r.HasUsage {
		w.put("usage", v.usage())
	}
	return w.end()
}

// keptStop reports whether the words that w keeps mean the envelope's stop.
func (v *responsesEnvelope) keptStop(w *objectWriter) bool {
	if w.spelled == nil {
		return v.stop.Reason == ""
	}
	called := v.stop.Reason == llm.StopTool
	return responsesStopWords(w.spelled, called).Reason == v.stop.Reason
}

// usage is the usage object as it came, if it still says the same.
func (v *responsesEnvelope) usage() []byte {
	kept := v.reply.UsageExtra.In(llm.Responses).Spelled
	u, ok := responsesUsage(kept)
	u.Tier = v.reply.Usage.Tier // stands beside the object
	if ok && u == v.reply.Usage {
		return kept
	}
	return responsesUsageJSON(v.reply.Usage)
}

func responsesIncomplete(reason string) []byte {
	if reason == "" {
		return []byte("null")
	}
	w := newObject(llm.Extra{})
	w.text("reason", reason)
	return w.end()
}

// foreign writes every member that the dialect's schema demands.
func (v *responsesEnvelope) foreign() []byte {
	r := v.reply
	w := newObject(llm.Extra{})
	status, reason := responsesStatus(v.stop)
	if v.open {
		status, reason = "in_progress", ""
	}
	w.text("id", "resp_"+responsesBase(r))
	w.text("object", "response")
	w.integer("created_at", r.Created)
	w.text("status", status)
	w.bool("background", false)
	switch {
	case v.fault != nil:
		w.put("error", v.fault)
	case status == "failed":
		w.put("error", []byte(`{"code":"server_error","message":"the answer ended with an error"}`))
	default:
		w.null("error")
	}
	w.put("incomplete_details", responsesIncomplete(reason))
	responsesEcho(w, v.echo, v.items, r.Model)
	if r.HasUsage && !v.open {
		w.put("usage", v.usage())
	} else {
		w.null("usage")
	}
	return w.end()
}

// responsesEcho writes the output and the members that repeat the request.
func responsesEcho(w *objectWriter, call *llm.Call, items [][]byte, model string) {
	e := &responsesEncoder{}
	null := []byte("null")
	put := func(name string, value []byte, absent string) {
		if value == nil {
			value = []byte(absent)
		}
		w.put(name, value)
	}
	said := newObject(llm.Extra{})
	e.settings(said, call)
	text := said.end()
	o, _ := parseObject(text)
	instructions := null
	if t := e.instructions(call.System); !t.Empty() {
		instructions = t
	}
	w.put("instructions", instructions)
	put("max_output_tokens", o.peek("max_output_tokens"), "null")
	w.text("model", model)
	w.items("output", items)
	put("parallel_tool_calls", o.peek("parallel_tool_calls"), "true")
	w.null("previous_response_id")
	put("reasoning", o.peek("reasoning"), `{"effort":null,"summary":null}`)
	w.bool("store", false)
	put("temperature", o.peek("temperature"), "null")
	put("text", o.peek("text"), `{"format":{"type":"text"}}`)
	put("tool_choice", o.peek("tool_choice"), `"auto"`)
	put("tools", o.peek("tools"), "[]")
	put("top_p", o.peek("top_p"), "null")
	w.text("truncation", "disabled")
	put("user", o.peek("user"), "null")
	put("metadata", o.peek("metadata"), "{}")
}
