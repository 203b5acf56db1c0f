package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Everything of a chat request but its messages, as it is read.

func chatTools(call *llm.Call, o *object) {
	for i, raw := range o.list("tools") {
		call.Tools = append(call.Tools, chatTool(o.open(raw, o.under("tools").item(i)), raw))
	}
	call.Choice = chatToolChoice(o)
}

func chatTool(o *object, raw []byte) llm.Tool {
	other := llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Chat}}
	if o.str("type") != "function" {
		return other
	}
	in := o.sub("function")
	if in == nil {
		o.wrong("function", "is missing")
		return other
	}
	tool := llm.Tool{
		Name: in.need("name"), Description: in.str("description"), Schema: in.schema("parameters"), Strict: in.boolean("strict"),
		Cache: cacheMark(o, 0),
	}
	tool.Extra = o.extra(llm.Chat, 0)
	return tool
}

func chatToolChoice(o *object) llm.ToolChoice {
	raw := o.raw("tool_choice")
	if raw == nil {
		return llm.ToolChoice{}
	}
	extra := llm.Extra{Dialect: llm.Chat}
	if word, ok := wire.String(raw); ok {
		switch mode := llm.ToolMode(word); mode {
		case llm.ToolAuto, llm.ToolNone, llm.ToolRequired:
			return llm.ToolChoice{Mode: mode, Extra: extra}
		}
		if word == "any" { // Mistral's word
			extra.Form = 1
			return llm.ToolChoice{Mode: llm.ToolRequired, Extra: extra}
		}
		return llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}
	}
	if raw[0] != '{' {
		o.wrong("tool_choice", "must be a string or an object")
	}
	c := o.open(raw, o.under("tool_choice"))
	if kind, _ := wire.String(c.raw("type")); kind != "function" {
		return llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}
	}
	in := c.sub("function")
	if in == nil {
		return llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}
	}
	return llm.ToolChoice{Mode: llm.ToolNamed, Name: in.need("name"), Extra: c.extra(llm.Chat, 0)}
}

// chatSettings reads the remaining members and returns the call's form.
func chatSettings(call *llm.Call, o *object) (form uint32) {
	steps := []func(*llm.Call, *object, *uint32){
		chatMaxTokens, chatSampling, chatStop, chatStream, chatOutput, chatReasoning, chatWantLogprobs, chatOwner,
	}
	for _, step := range steps {
		step(call, o, &form)
	}
	return form
}

// chatMaxTokens: max_completion_tokens counts; max_tokens beside it stays in
// Extra.
func chatMaxTokens(call *llm.Call, o *object, form *uint32) {
	s := &call.Sampling
	if s.MaxTokens = o.count("max_completion_tokens"); s.MaxTokens != 0 {
		return
	}
	if s.MaxTokens = o.count("max_tokens"); s.MaxTokens != 0 {
		*form |= chatMaxTokensOld
	}
}

func chatSampling(call *llm.Call, o *object, _ *uint32) {
	s := &call.Sampling
	s.Temperature = o.float("temperature")
	s.TopP = o.float("top_p")
	s.FrequencyPenalty = o.float("frequency_penalty")
	s.PresencePenalty = o.float("presence_penalty")
	s.TopK = o.intPointer("top_k")
	s.Seed = o.integer("seed")
	s.N = o.count("n")
}

func chatStop(call *llm.Call, o *object, form *uint32) {
	raw := o.raw("stop")
	if raw == nil {
		return
	}
	if s, ok := wire.String(raw); ok {
		if s == "" {
			o.keep("stop")
			return
		}
		call.Sampling.Stop = []string{s}
		*form |= chatStopString
		return
	}
	if raw[0] != '[' {
		o.wrong("stop", "must be a string or a list of strings")
	}
	call.Sampling.Stop = o.strings("stop", o.list("stop"))
}

func chatStream(call *llm.Call, o *object, _ *uint32) {
	call.Stream = o.flag("stream")
	if options := o.sub("stream_options"); options != nil {
		call.WantUsage = options.flag("include_usage")
	}
}

func chatOutput(call *llm.Call, o *object, _ *uint32) {
	out := &call.Output
	out.Verbosity = o.str("verbosity")
	raw := o.raw("response_format")
	if raw == nil {
		return
	}
	f := o.open(raw, o.under("response_format"))
	switch kind, _ := wire.String(f.raw("type")); kind {
	case "text":
		out.Kind = llm.OutputText
	case "json_object":
		out.Kind = llm.OutputJSON
	case "json_schema":
		in := f.sub("json_schema")
		if in == nil {
			f.wrong("json_schema", "is missing")
			return
		}
		chatSchema(out, in)
	default: // an engine's own kind of grammar
		o.release("response_format")
		return
	}
	out.Extra = f.extra(llm.Chat, 0)
}

func chatSchema(out *llm.Output, in *object) {
	out.Kind = llm.OutputSchema
	out.Name = in.str("name")
	out.Description = in.str("description")
	out.Schema = bytes.Clone(in.raw("schema"))
	out.Strict = in.boolean("strict")
}

// chatReasoning reads reasoning_effort, or the reasoning object that OpenRouter
// has instead; where both stand, the object stays in Extra.
func chatReasoning(call *llm.Call, o *object, form *uint32) {
	r := &call.Reasoning
	if r.Effort = o.str("reasoning_effort"); r.Effort != "" {
		return
	}
	if raw := o.peek("reasoning"); len(raw) == 0 || raw[0] != '{' {
		return
	}
	in := o.open(o.raw("reasoning"), o.under("reasoning"))
	r.Effort = in.str("effort")
	r.Budget = in.count("max_tokens")
	*form |= chatReasoningObj
	r.Extra = in.extra(llm.Chat, chatReasoningObj)
}

func chatWantLogprobs(call *llm.Call, o *object, _ *uint32) {
	call.Logprobs.Want = o.flag("logprobs")
	call.Logprobs.Top = o.intPointer("top_logprobs")
}

func chatOwner(call *llm.Call, o *object, _ *uint32) {
	call.Parallel = o.boolean("parallel_tool_calls")
	call.User = o.str("user")
	call.Metadata = stringMap(o, "metadata")
}

// stringMap takes an object whose values are all strings; any other value
// stays in Extra.
func stringMap(o *object, name string) map[string]string {
	raw := o.peek(name)
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	in, err := openObject(raw, where{})
	if err != nil {
		return nil
	}
	values := make(map[string]string, len(in.members))
	for i := range in.members {
		s, ok := wire.String(in.members[i].value)
		if !ok {
			return nil
		}
		values[in.members[i].name()] = s
	}
	o.raw(name)
	if len(values) == 0 {
		o.keep(name)
		return nil
	}
	return values
}
