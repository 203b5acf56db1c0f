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
	respBareInput uint32 = 1 << iota // input is a bare string
	respNoInput                      // there is no input
)

// The members of include that the canonical form speaks of.
const (
	respIncludeLogprobs  = "message.output_text.logprobs"
	respIncludeEncrypted = "reasoning.encrypted_content"
)

// DecodeCall implements [Codec].
func (ResponsesCodec) DecodeCall(body []byte) (*llm.Call, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	call := &llm.Call{WantUsage: true}
	if call.Model, err = o.need("model"); err != nil {
		return nil, err
	}
	if call.Model == "" {
		return nil, o.under("model").wrong("must name a model")
	}
	var form uint32
	steps := []func(*llm.Call, *object) error{
		respInstructions, respTools, respToolChoice, respSampling, respOutput, respReasoning, respOwner,
	}
	for _, step := range steps {
		if err := step(call, o); err != nil {
			return nil, err
		}
	}
	if form, err = respInput(call, o); err != nil {
		return nil, err
	}
	respQuiet(o)
	call.Extra = o.extra(llm.Responses, form)
	return call, nil
}

func respInstructions(call *llm.Call, o *object) error {
	text, err := o.str("instructions")
	if text != "" {
		call.System = []llm.Part{{Kind: llm.PartText, Text: text, Extra: llm.Extra{Dialect: llm.Responses}}}
	}
	return err
}

func respInput(call *llm.Call, o *object) (form uint32, err error) {
	raw := o.raw("input")
	if raw == nil {
		return respNoInput, nil
	}
	extra := llm.Extra{Dialect: llm.Responses}
	if s, ok := wire.String(raw); ok {
		call.Turns = []llm.Turn{{
			Role:  llm.RoleUser,
			Parts: []llm.Part{{Kind: llm.PartText, Text: s, Extra: extra}},
			Extra: llm.Extra{Dialect: llm.Responses, Form: respMessage | respBare},
		}}
		return respBareInput, nil
	}
	at := o.under("input")
	if raw[0] != '[' {
		return 0, at.wrong("must be a string or a list of items")
	}
	begins := true
	for i, el := range elements(raw) {
		turn, err := respItem(el, at.item(i))
		if err != nil {
			return 0, err
		}
		for k := range turn.Parts {
			unwrapThinking(&turn.Parts[k])
		}
		if begins = begins && respHoist(call, turn); !begins {
			call.Turns = append(call.Turns, turn)
		}
	}
	return 0, nil
}

// respHoist makes a plain system message part of Call.System.
func respHoist(call *llm.Call, t llm.Turn) bool {
	if t.Role != llm.RoleSystem || len(t.Parts) == 0 || t.Extra.Members != nil || t.Extra.Spelled != nil {
		return false
	}
	for i := range t.Parts {
		if t.Parts[i].Kind != llm.PartText {
			return false
		}
	}
	for i := range t.Parts {
		t.Parts[i].Extra.Form |= respSystemItem | t.Extra.Form
	}
	t.Parts[len(t.Parts)-1].Extra.Form |= respItemEnd
	call.System = append(call.System, t.Parts...)
	return true
}

func respTools(call *llm.Call, o *object) error {
	items, err := o.list("tools")
	if err != nil {
		return err
	}
	for i, raw := range items {
		tool, err := respTool(raw, o.under("tools").item(i))
		if err != nil {
			return err
		}
		call.Tools = append(call.Tools, tool)
	}
	return nil
}

func respTool(raw []byte, at where) (llm.Tool, error) {
	var tool llm.Tool
	o, err := openObject(raw, at)
	if err != nil {
		return tool, err
	}
	kind, err := o.need("type")
	if err != nil {
		return tool, err
	}
	if kind != "function" {
		return llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Responses}}, nil
	}
	if tool.Name, err = o.need("name"); err != nil {
		return tool, err
	}
	if tool.Description, err = o.str("description"); err != nil {
		return tool, err
	}
	if tool.Schema, err = takeSchema(o, "parameters"); err != nil {
		return tool, err
	}
	tool.Strict, err = o.boolean("strict")
	tool.Extra = o.extra(llm.Responses, 0)
	return tool, err
}

func respToolChoice(call *llm.Call, o *object) error {
	raw := o.raw("tool_choice")
	if raw == nil {
		return nil
	}
	extra := llm.Extra{Dialect: llm.Responses}
	call.Choice = llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}
	at := o.under("tool_choice")
	if word, ok := wire.String(raw); ok {
		switch mode := llm.ToolMode(word); mode {
		case llm.ToolAuto, llm.ToolNone, llm.ToolRequired:
			call.Choice = llm.ToolChoice{Mode: mode, Extra: extra}
		}
		return nil
	}
	if raw[0] != '{' {
		return at.wrong("must be a string or an object")
	}
	c, err := openObject(raw, at)
	if err != nil {
		return err
	}
	if kind, _ := wire.String(c.raw("type")); kind != "function" {
		return nil
	}
	name, err := c.need("name")
	call.Choice = llm.ToolChoice{Mode: llm.ToolNamed, Name: name, Extra: c.extra(llm.Responses, 0)}
	return err
}

func respSampling(call *llm.Call, o *object) (err error) {
	s := &call.Sampling
	if s.MaxTokens, err = o.count("max_output_tokens"); err != nil {
		return err
	}
	if s.Temperature, err = o.float("temperature"); err != nil {
		return err
	}
	if s.TopP, err = o.float("top_p"); err != nil {
		return err
	}
	if call.Parallel, err = o.boolean("parallel_tool_calls"); err != nil {
		return err
	}
	if call.Stream, err = o.flag("stream"); err != nil {
		return err
	}
	return respLogprobs(call, o)
}

func respLogprobs(call *llm.Call, o *object) error {
	top, err := o.integer("top_logprobs")
	if err != nil {
		return err
	}
	if top != nil {
		if *top < 0 || *top > math.MaxInt32 {
			return o.under("top_logprobs").wrong("must be between 0 and %d", math.MaxInt32)
		}
		call.Logprobs.Top = new(int(*top))
		call.Logprobs.Want = *top > 0
	}
	raw := o.peek("include")
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	quiet := true
	for _, el := range elements(raw) {
		switch word, _ := wire.String(el); word {
		case respIncludeLogprobs:
			call.Logprobs.Want = true
		case respIncludeEncrypted:
		default:
			quiet = false
		}
	}
	if quiet {
		o.keep("include")
	}
	return nil
}

func respOutput(call *llm.Call, o *object) error {
	text, err := o.sub("text")
	if text == nil {
		return err
	}
	out := &call.Output
	out.Extra = llm.Extra{Dialect: llm.Responses}
	if out.Verbosity, err = text.str("verbosity"); err != nil {
		return err
	}
	raw := text.peek("format")
	if raw == nil || wire.IsNull(raw) {
		return nil
	}
	probe, err := openObject(raw, text.under("format"))
	if err != nil {
		return err
	}
	kind, err := probe.need("type")
	if err != nil {
		return err
	}
	kinds := map[string]llm.OutputKind{
		"text": llm.OutputText, "json_object": llm.OutputJSON, "json_schema": llm.OutputSchema,
	}
	out.Kind = kinds[kind]
	if out.Kind == "" {
		return nil // a grammar: it stays in Extra
	}
	format, err := text.sub("format")
	if err != nil {
		return err
	}
	format.raw("type")
	if out.Kind != llm.OutputSchema {
		return nil
	}
	if out.Name, err = format.str("name"); err != nil {
		return err
	}
	if out.Description, err = format.str("description"); err != nil {
		return err
	}
	if out.Schema, err = takeSchema(format, "schema"); err != nil {
		return err
	}
	out.Strict, err = format.boolean("strict")
	return err
}

func respReasoning(call *llm.Call, o *object) error {
	r, err := o.sub("reasoning")
	if r == nil {
		return err
	}
	call.Reasoning.Extra = llm.Extra{Dialect: llm.Responses}
	if call.Reasoning.Effort, err = r.str("effort"); err != nil {
		return err
	}
	call.Reasoning.Summary, err = r.str("summary")
	return err
}

func respOwner(call *llm.Call, o *object) (err error) {
	if call.User, err = o.str("user"); err != nil {
		return err
	}
	meta, err := o.sub("metadata")
	if meta == nil {
		return err
	}
	if len(meta.members) > 0 {
		call.Metadata = make(map[string]string, len(meta.members))
	}
	for i := range meta.members {
		m := &meta.members[i]
		value, ok := wire.String(m.value)
		if !ok {
			return meta.under(m.name()).wrong("must be a string")
		}
		call.Metadata[m.name()], m.use = value, useTaken
	}
	return nil
}

// respQuiet takes the members whose value is what a target does anyway.
func respQuiet(o *object) {
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
		if slices.ContainsFunc(call.Turns[i].Parts, respIsReference) {
			return "input[].item_reference", true
		}
	}
	return "", false
}

// respIsReference reports whether a part stands for an item that the provider
// keeps. Its type may be left out.
func respIsReference(p llm.Part) bool {
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
