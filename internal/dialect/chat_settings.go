package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Everything of a chat request but its messages, as it is read.

func chatTools(call *llm.Call, o *object) error {
	items, err := o.list("tools")
	if err != nil {
		return err
	}
	for i, raw := range items {
		tool, err := chatTool(raw, o.under("tools").item(i))
		if err != nil {
			return err
		}
		call.Tools = append(call.Tools, tool)
	}
	call.Choice, err = chatToolChoice(o)
	return err
}

func chatTool(raw []byte, at where) (llm.Tool, error) {
	other := llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Chat}}
	o, err := openObject(raw, at)
	if err != nil {
		return other, err
	}
	kind, err := o.str("type")
	if err != nil {
		return other, err
	}
	if kind != "function" {
		return other, nil
	}
	in, err := o.sub("function")
	if err != nil {
		return other, err
	}
	if in == nil {
		return other, o.under("function").wrong("is missing")
	}
	var tool llm.Tool
	if tool.Name, err = in.need("name"); err != nil {
		return other, err
	}
	if tool.Description, err = in.str("description"); err != nil {
		return other, err
	}
	if tool.Schema, err = takeSchema(in, "parameters"); err != nil {
		return other, err
	}
	if tool.Strict, err = in.boolean("strict"); err != nil {
		return other, err
	}
	tool.Cache = cacheMark(o, 0)
	tool.Extra = o.extra(llm.Chat, 0)
	return tool, nil
}

func chatToolChoice(o *object) (llm.ToolChoice, error) {
	raw := o.raw("tool_choice")
	if raw == nil {
		return llm.ToolChoice{}, nil
	}
	extra := llm.Extra{Dialect: llm.Chat}
	if word, ok := wire.String(raw); ok {
		switch mode := llm.ToolMode(word); mode {
		case llm.ToolAuto, llm.ToolNone, llm.ToolRequired:
			return llm.ToolChoice{Mode: mode, Extra: extra}, nil
		}
		if word == "any" { // Mistral's word
			extra.Form = 1
			return llm.ToolChoice{Mode: llm.ToolRequired, Extra: extra}, nil
		}
		return llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}, nil
	}
	at := o.under("tool_choice")
	if raw[0] != '{' {
		return llm.ToolChoice{}, at.wrong("must be a string or an object")
	}
	c, err := openObject(raw, at)
	if err != nil {
		return llm.ToolChoice{}, err
	}
	if kind, _ := wire.String(c.raw("type")); kind != "function" {
		return llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}, nil
	}
	in, err := c.sub("function")
	if err != nil {
		return llm.ToolChoice{}, err
	}
	if in == nil {
		return llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}, nil
	}
	name, err := in.need("name")
	return llm.ToolChoice{Mode: llm.ToolNamed, Name: name, Extra: c.extra(llm.Chat, 0)}, err
}

// chatSettings reads the remaining members and returns the call's form.
func chatSettings(call *llm.Call, o *object) (form uint32, err error) {
	steps := []func(*llm.Call, *object, *uint32) error{
		chatMaxTokens, chatSampling, chatStop, chatStream, chatOutput, chatReasoning, chatWantLogprobs, chatOwner,
	}
	for _, step := range steps {
		if err := step(call, o, &form); err != nil {
			return 0, err
		}
	}
	return form, nil
}

// chatMaxTokens: max_completion_tokens counts; max_tokens beside it stays in
// Extra.
func chatMaxTokens(call *llm.Call, o *object, form *uint32) (err error) {
	if call.Sampling.MaxTokens, err = o.count("max_completion_tokens"); err != nil {
		return err
	}
	if call.Sampling.MaxTokens != 0 {
		return nil
	}
	if call.Sampling.MaxTokens, err = o.count("max_tokens"); call.Sampling.MaxTokens != 0 {
		*form |= chatMaxTokensOld
	}
	return err
}

func chatSampling(call *llm.Call, o *object, _ *uint32) (err error) {
	s := &call.Sampling
	floats := []struct {
		name string
		to   **float64
	}{
		{"temperature", &s.Temperature},
		{"top_p", &s.TopP},
		{"frequency_penalty", &s.FrequencyPenalty},
		{"presence_penalty", &s.PresencePenalty},
	}
	for _, f := range floats {
		if *f.to, err = o.float(f.name); err != nil {
			return err
		}
	}
	if s.TopK, err = o.intPointer("top_k"); err != nil {
		return err
	}
	if s.Seed, err = o.integer("seed"); err != nil {
		return err
	}
	s.N, err = o.count("n")
	return err
}

func chatStop(call *llm.Call, o *object, form *uint32) error {
	raw := o.raw("stop")
	if raw == nil {
		return nil
	}
	if s, ok := wire.String(raw); ok {
		if s == "" {
			o.keep("stop")
			return nil
		}
		call.Sampling.Stop = []string{s}
		*form |= chatStopString
		return nil
	}
	items, err := o.list("stop")
	if err != nil {
		return o.under("stop").wrong("must be a string or a list of strings")
	}
	call.Sampling.Stop, err = takeStrings(items, o.under("stop"))
	return err
}

func chatStream(call *llm.Call, o *object, _ *uint32) (err error) {
	if call.Stream, err = o.flag("stream"); err != nil {
		return err
	}
	options, err := o.sub("stream_options")
	if options == nil {
		return err
	}
	call.WantUsage, err = options.flag("include_usage")
	return err
}

func chatOutput(call *llm.Call, o *object, _ *uint32) (err error) {
	out := &call.Output
	if out.Verbosity, err = o.str("verbosity"); err != nil {
		return err
	}
	raw := o.raw("response_format")
	if raw == nil {
		return nil
	}
	f, err := openObject(raw, o.under("response_format"))
	if err != nil {
		return err
	}
	switch kind, _ := wire.String(f.raw("type")); kind {
	case "text":
		out.Kind = llm.OutputText
	case "json_object":
		out.Kind = llm.OutputJSON
	case "json_schema":
		in, err := f.sub("json_schema")
		if err != nil {
			return err
		}
		if in == nil {
			return f.under("json_schema").wrong("is missing")
		}
		if err := chatSchema(out, in); err != nil {
			return err
		}
	default: // an engine's own kind of grammar
		o.release("response_format")
		return nil
	}
	out.Extra = f.extra(llm.Chat, 0)
	return nil
}

func chatSchema(out *llm.Output, in *object) (err error) {
	out.Kind = llm.OutputSchema
	if out.Name, err = in.str("name"); err != nil {
		return err
	}
	if out.Description, err = in.str("description"); err != nil {
		return err
	}
	out.Schema = bytes.Clone(in.raw("schema"))
	out.Strict, err = in.boolean("strict")
	return err
}

// chatReasoning reads reasoning_effort, or the reasoning object that OpenRouter
// has instead; where both stand, the object stays in Extra.
func chatReasoning(call *llm.Call, o *object, form *uint32) (err error) {
	r := &call.Reasoning
	if r.Effort, err = o.str("reasoning_effort"); err != nil || r.Effort != "" {
		return err
	}
	if raw := o.peek("reasoning"); len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	in, err := openObject(o.raw("reasoning"), o.under("reasoning"))
	if err != nil {
		return err
	}
	if r.Effort, err = in.str("effort"); err != nil {
		return err
	}
	if r.Budget, err = in.count("max_tokens"); err != nil {
		return err
	}
	*form |= chatReasoningObj
	r.Extra = in.extra(llm.Chat, chatReasoningObj)
	return nil
}

func chatWantLogprobs(call *llm.Call, o *object, _ *uint32) (err error) {
	if call.Logprobs.Want, err = o.flag("logprobs"); err != nil {
		return err
	}
	call.Logprobs.Top, err = o.intPointer("top_logprobs")
	return err
}

func chatOwner(call *llm.Call, o *object, _ *uint32) (err error) {
	if call.Parallel, err = o.boolean("parallel_tool_calls"); err != nil {
		return err
	}
	if call.User, err = o.str("user"); err != nil {
		return err
	}
	call.Metadata = stringMap(o, "metadata")
	return nil
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
