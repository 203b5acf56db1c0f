package dialect

import (
	"bytes"
	"math"
	"slices"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Requests of the Responses dialect, as they are read. System and developer
// messages with which the input begins become Call.System, as long as they
// are plain text without an identity of their own; each other item is a turn.

// Forms of a call.
const (
	responsesBareInput uint32 = 1 << iota // input is a bare string
	responsesNoInput                      // there is no input
)

// The members of include that the canonical form speaks of.
const (
	responsesIncludeLogprobs  = "message.output_text.logprobs"
	responsesIncludeEncrypted = "reasoning.encrypted_content"
)

// DecodeCall implements [Codec].
func (ResponsesCodec) DecodeCall(body []byte, at *At) (*llm.Call, error) {
	o, err := openCall(body, at)
	if err != nil {
		return nil, err
	}
	call := o.newCall()
	call.WantUsage = true
	if call.Model = o.need("model"); call.Model == "" {
		o.wrong("model", "must name a model")
	}
	steps := []func(*llm.Call, *object){
		responsesInstructions, responsesTools, responsesToolChoice, responsesSampling, responsesOutput, responsesReasoning, responsesOwner,
	}
	for _, step := range steps {
		step(call, o)
	}
	form := responsesInput(call, o)
	responsesQuiet(o)
	call.Extra = o.extra(llm.Responses, form)
	return result(o, call)
}

func responsesInstructions(call *llm.Call, o *object) {
	if text := o.quote("instructions"); !text.Empty() {
		call.System = append(o.parts(1), llm.Part{Kind: llm.PartText, Text: text, Extra: llm.Extra{Dialect: llm.Responses}})
	}
}

func responsesInput(call *llm.Call, o *object) (form uint32) {
	raw := o.raw("input")
	if raw == nil {
		return responsesNoInput
	}
	extra := llm.Extra{Dialect: llm.Responses}
	if t, ok := quoteOf(raw); ok {
		call.Turns = []llm.Turn{{
			Role:  llm.RoleUser,
			Parts: []llm.Part{{Kind: llm.PartText, Text: t, Extra: extra}},
			Extra: llm.Extra{Dialect: llm.Responses, Form: responsesMessage | responsesBare},
		}}
		return responsesBareInput
	}
	if raw[0] != '[' {
		o.wrong("input", "must be a string or a list of items")
	}
	begins := true
	items := o.elements(raw)
	call.Turns = o.turns(len(items))
	o.each("input", items, func(item *object, raw []byte) {
		turn := responsesItem(item, raw)
		for k := range turn.Parts {
			unwrapThinking(&turn.Parts[k])
		}
		if begins = begins && responsesHoist(call, turn); !begins {
			call.Turns = append(call.Turns, turn)
		}
	})
	return 0
}

// responsesHoist makes a plain system message part of Call.System.
func responsesHoist(call *llm.Call, t llm.Turn) bool {
	if t.Role != llm.RoleSystem || len(t.Parts) == 0 || t.Extra.Members != nil || t.Extra.Spelled != nil {
		return false
	}
	for i := range t.Parts {
		if t.Parts[i].Kind != llm.PartText {
			return false
		}
	}
	for i := range t.Parts {
		t.Parts[i].Extra.Form |= responsesSystemItem | t.Extra.Form
	}
	t.Parts[len(t.Parts)-1].Extra.Form |= responsesItemEnd
	call.System = append(call.System, t.Parts...)
	return true
}

func responsesTools(call *llm.Call, o *object) {
	o.each("tools", o.list("tools"), func(tool *object, raw []byte) {
		call.Tools = append(call.Tools, responsesTool(tool, raw))
	})
}

func responsesTool(o *object, raw []byte) llm.Tool {
	if o.need("type") != "function" {
		return llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Responses}}
	}
	tool := llm.Tool{Name: o.need("name"), Description: o.str("description"), Schema: o.schema("parameters"), Strict: o.boolean("strict")}
	tool.Extra = o.extra(llm.Responses, 0)
	return tool
}

func responsesToolChoice(call *llm.Call, o *object) {
	raw := o.raw("tool_choice")
	if raw == nil {
		return
	}
	extra := llm.Extra{Dialect: llm.Responses}
	call.Choice = llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}
	if word, ok := wire.Unquote(raw); ok {
		switch mode := llm.ToolMode(word); mode {
		case llm.ToolAuto, llm.ToolNone, llm.ToolRequired:
			call.Choice = llm.ToolChoice{Mode: mode, Extra: extra}
		}
		return
	}
	if raw[0] != '{' {
		o.wrong("tool_choice", "must be a string or an object")
	}
	c := o.open(raw, o.under("tool_choice"))
	if kind, _ := wire.Unquote(c.raw("type")); kind != "function" {
		return
	}
	call.Choice = llm.ToolChoice{Mode: llm.ToolNamed, Name: c.need("name"), Extra: c.extra(llm.Responses, 0)}
}

func responsesSampling(call *llm.Call, o *object) {
	s := &call.Sampling
	s.MaxTokens = o.count("max_output_tokens")
	s.Temperature = o.float("temperature")
	s.TopP = o.float("top_p")
	call.Parallel = o.boolean("parallel_tool_calls")
	call.Stream = o.flag("stream")
	responsesLogprobs(call, o)
}

func responsesLogprobs(call *llm.Call, o *object) {
	if top := o.integer("top_logprobs"); top != nil {
		if *top < 0 || *top > math.MaxInt32 {
			o.wrong("top_logprobs", "must be between 0 and %d", math.MaxInt32)
		}
		call.Logprobs.Top = new(int(*top))
		call.Logprobs.Want = *top > 0
	}
	raw := o.peek("include")
	if len(raw) == 0 || raw[0] != '[' {
		return
	}
	quiet := true
	for _, el := range elements(raw) {
		switch word, _ := wire.Unquote(el); word {
		case responsesIncludeLogprobs:
			call.Logprobs.Want = true
		case responsesIncludeEncrypted:
		default:
			quiet = false
		}
	}
	if quiet {
		o.keep("include")
	}
}

func responsesOutput(call *llm.Call, o *object) {
	text := o.sub("text")
	if text == nil {
		return
	}
	out := &call.Output
	out.Extra = llm.Extra{Dialect: llm.Responses}
	out.Verbosity = text.str("verbosity")
	raw := text.get("format")
	if raw == nil {
		return
	}
	kinds := map[string]llm.OutputKind{
		"text": llm.OutputText, "json_object": llm.OutputJSON, "json_schema": llm.OutputSchema,
	}
	out.Kind = kinds[text.open(raw, text.under("format")).need("type")]
	if out.Kind == "" {
		return // a grammar: it stays in Extra
	}
	format := text.sub("format")
	format.raw("type")
	if out.Kind != llm.OutputSchema {
		return
	}
	out.Name = format.str("name")
	out.Description = format.str("description")
	out.Schema = format.schema("schema")
	out.Strict = format.boolean("strict")
}

func responsesReasoning(call *llm.Call, o *object) {
	r := o.sub("reasoning")
	if r == nil {
		return
	}
	call.Reasoning.Extra = llm.Extra{Dialect: llm.Responses}
	call.Reasoning.Effort = r.str("effort")
	call.Reasoning.Summary = r.str("summary")
}

func responsesOwner(call *llm.Call, o *object) {
	call.User = o.str("user")
	meta := o.sub("metadata")
	if meta == nil {
		return
	}
	if len(meta.members) > 0 {
		call.Metadata = make(map[string]string, len(meta.members))
	}
	for i := range meta.members {
		m := &meta.members[i]
		value, ok := wire.Unquote(m.value)
		if !ok {
			meta.wrong(m.name(), "must be a string")
		}
		call.Metadata[m.name()], m.use = value, useTaken
	}
}

// responsesQuiet takes the members whose value is what a target does anyway.
func responsesQuiet(o *object) {
	o.keepDefaults([]defaultValue{
		{"store", "false"},
		{"background", "false"},
		{"truncation", `"disabled"`},
		{"service_tier", `"auto"`},
		{"service_tier", `"default"`},
	})
}

// ResponsesStateful names the member of a call that speaks of what the
// provider keeps (an earlier answer, a conversation, a stored prompt) or shall
// go on without the client. Such a call means nothing to a target of another
// dialect, so it must not be translated. ok is false when there is none.
func ResponsesStateful(call *llm.Call) (member string, ok bool) {
	extra := call.Extra.In(llm.Responses)
	if len(extra.Members) > 0 {
		o, err := parseObject(extra.Members)
		for _, name := range []string{"previous_response_id", "conversation", "prompt", "background"} {
			if err == nil && o.has(name) {
				return name, true
			}
		}
	}
	for i := range call.Turns {
		if slices.ContainsFunc(call.Turns[i].Parts, responsesIsReference) {
			return "input[].item_reference", true
		}
	}
	return "", false
}

// responsesIsReference reports whether a part stands for an item that the provider
// keeps. Its type may be left out.
func responsesIsReference(p llm.Part) bool {
	if p.Kind != llm.PartOther || p.Extra.Dialect != llm.Responses {
		return false
	}
	o, err := parseObject(p.Raw)
	if err != nil {
		return false
	}
	kind := o.peek("type")
	return kind == nil || wire.IsNull(kind) || wire.StringEquals(kind, "item_reference")
}
