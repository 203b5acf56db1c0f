package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Requests of /v1/messages and /v1/messages/count_tokens, read. Each member
// goes to the canonical form when that can say it again exactly, else to the
// Extra of the node it belongs to.

// Forms of a call (llm.Call.Extra.Form).
const (
	antSystemBare   = 1 << iota // system is a string
	antSystemEmpty              // system is []
	antToolsEmpty               // tools is []
	antStopEmpty                // stop_sequences is []
	antStreamFalse              // stream is stated as false
	antLegacyFormat             // the schema stands in output_format (beta of 2025), not output_config.format
)

// Forms of a turn (llm.Turn.Extra.Form).
const antContentBare = 1 // content is a string

// Forms of a tool (llm.Tool.Extra.Form).
const (
	antToolCustom   = 1 << iota // type "custom" is stated
	antToolNoSchema             // there is no input_schema
	antToolBlank                // description is stated as ""
)

// DecodeCall implements Codec.
func (AnthropicCodec) DecodeCall(body []byte) (*llm.Call, error) {
	o, err := antBody(body)
	if err != nil {
		return nil, err
	}
	c := &llm.Call{WantUsage: true}
	if c.Model, err = o.need("model"); err != nil {
		return nil, err
	}
	var form uint32
	steps := []func(*llm.Call, *antObject, *uint32) error{
		antDecodeSystem, antDecodeMessages, antDecodeTools, antDecodeChoice,
		antDecodeSampling, antDecodeOutput, antDecodeThinking, antDecodeRest,
	}
	for _, step := range steps {
		if err := step(c, &o, &form); err != nil {
			return nil, err
		}
	}
	c.Extra = o.extra(form)
	antUnwrapCall(c)
	return c, nil
}

func antDecodeSystem(c *llm.Call, o *antObject, form *uint32) error {
	raw := o.get("system")
	if raw == nil {
		return nil
	}
	parts, bare, err := antContent(raw, true)
	if err != nil {
		return antIn("system", err)
	}
	o.take("system")
	c.System = parts
	switch {
	case bare:
		*form |= antSystemBare
	case len(parts) == 0:
		*form |= antSystemEmpty
	}
	return nil
}

// antContent reads content that is a string or a list of blocks.
func antContent(raw []byte, top bool) (parts []llm.Part, bare bool, err error) {
	if s, ok := wire.String(raw); ok {
		return []llm.Part{{Kind: llm.PartText, Text: s, Extra: llm.Extra{Dialect: llm.Anthropic}}}, true, nil
	}
	list, ok := antElements(raw)
	if !ok {
		return nil, false, antBad("", "must be a string or a list of blocks")
	}
	for i, el := range list {
		p, err := antDecodeBlock(el, top)
		if err != nil {
			return nil, false, antIn(antIndex(i), err)
		}
		parts = append(parts, p)
	}
	return parts, false, nil
}

func antDecodeMessages(c *llm.Call, o *antObject, _ *uint32) error {
	list, ok := antElements(o.get("messages"))
	if !ok {
		return antBad("messages", "is required and must be a list")
	}
	o.take("messages")
	c.Turns = make([]llm.Turn, 0, len(list))
	for i, raw := range list {
		t, err := antDecodeTurn(raw)
		if err != nil {
			return antIn("messages"+antIndex(i), err)
		}
		c.Turns = append(c.Turns, t)
	}
	return nil
}

func antDecodeTurn(raw []byte) (llm.Turn, error) {
	o, err := antParse(raw)
	if err != nil {
		return llm.Turn{}, err
	}
	role, err := o.need("role")
	if err != nil {
		return llm.Turn{}, err
	}
	switch llm.Role(role) {
	case llm.RoleUser, llm.RoleAssistant, llm.RoleSystem:
	default:
		return llm.Turn{}, antBad("role", `must be "user", "assistant" or "system"`)
	}
	t := llm.Turn{Role: llm.Role(role)}
	content := o.get("content")
	if content == nil {
		return t, antBad("content", "is required and must be a string or a list of blocks")
	}
	parts, bare, err := antContent(content, true)
	if err != nil {
		return t, antIn("content", err)
	}
	o.take("content")
	t.Parts = parts
	var form uint32
	if bare {
		form = antContentBare
	}
	t.Extra = o.extra(form)
	return t, nil
}

func antDecodeTools(c *llm.Call, o *antObject, form *uint32) error {
	raw := o.get("tools")
	if raw == nil {
		return nil
	}
	list, ok := antElements(raw)
	if !ok {
		return antBad("tools", "must be a list")
	}
	o.take("tools")
	if len(list) == 0 {
		*form |= antToolsEmpty
	}
	for i, el := range list {
		t, err := antDecodeTool(el)
		if err != nil {
			return antIn("tools"+antIndex(i), err)
		}
		c.Tools = append(c.Tools, t)
	}
	return nil
}

// antDecodeTool reads a tool. One of the provider's own types stays raw.
func antDecodeTool(raw []byte) (llm.Tool, error) {
	o, err := antParse(raw)
	if err != nil {
		return llm.Tool{}, err
	}
	var form uint32
	kind, typed, err := o.text("type")
	if err != nil {
		return llm.Tool{}, err
	}
	if typed && kind != "custom" {
		return llm.Tool{Raw: antClone(raw), Extra: llm.Extra{Dialect: llm.Anthropic}}, nil
	}
	if typed {
		form |= antToolCustom
	}
	t := llm.Tool{}
	if t.Name, err = o.need("name"); err != nil {
		return t, err
	}
	desc, stated, err := o.text("description")
	if err != nil {
		return t, err
	}
	if t.Description = desc; stated && desc == "" {
		form |= antToolBlank
	}
	if t.Schema = antClone(o.get("input_schema")); t.Schema != nil && t.Schema[0] != '{' {
		return t, antBad("input_schema", "must be an object")
	}
	if t.Schema == nil {
		form |= antToolNoSchema
	} else {
		o.take("input_schema")
	}
	strict, stated, err := o.boolean("strict")
	if err != nil {
		return t, err
	}
	if stated {
		t.Strict = &strict
	}
	if t.Cache, err = antDecodeCache(&o); err != nil {
		return t, err
	}
	t.Extra = o.extra(form)
	return t, nil
}

// antDecodeCache takes cache_control.
func antDecodeCache(o *antObject) (*llm.CacheMark, error) {
	raw := o.get("cache_control")
	if raw == nil {
		return nil, nil
	}
	in, err := antParse(raw)
	if err != nil {
		return nil, antIn("cache_control", err)
	}
	m := &llm.CacheMark{}
	if m.Type, err = in.need("type"); err != nil {
		return nil, antIn("cache_control", err)
	}
	if m.TTL, err = in.label("ttl"); err != nil {
		return nil, antIn("cache_control", err)
	}
	m.Extra = in.extra(0)
	o.take("cache_control")
	return m, nil
}

var antModes = []struct {
	mode llm.ToolMode
	word string
}{
	{llm.ToolAuto, "auto"},
	{llm.ToolRequired, "any"},
	{llm.ToolNamed, "tool"},
	{llm.ToolNone, "none"},
}

func antDecodeChoice(c *llm.Call, o *antObject, _ *uint32) error {
	raw := o.get("tool_choice")
	if raw == nil {
		return nil
	}
	in, err := antParse(raw)
	if err != nil {
		return antIn("tool_choice", err)
	}
	o.take("tool_choice")
	word, err := in.need("type")
	if err != nil {
		return antIn("tool_choice", err)
	}
	for _, m := range antModes {
		if m.word == word {
			c.Choice.Mode = m.mode
		}
	}
	if c.Choice.Mode == "" {
		c.Choice = llm.ToolChoice{Raw: antClone(raw), Extra: llm.Extra{Dialect: llm.Anthropic}}
		return nil
	}
	if c.Choice.Mode == llm.ToolNamed {
		if c.Choice.Name, err = in.need("name"); err != nil {
			return antIn("tool_choice", err)
		}
	}
	single, stated, err := in.boolean("disable_parallel_tool_use")
	if err != nil {
		return antIn("tool_choice", err)
	}
	if stated {
		parallel := !single
		c.Parallel = &parallel
	}
	c.Choice.Extra = in.extra(0)
	return nil
}

func antDecodeSampling(c *llm.Call, o *antObject, form *uint32) error {
	s := &c.Sampling
	n, stated, err := o.integer("max_tokens")
	if err != nil {
		return err
	}
	if s.MaxTokens = int(n); stated && n == 0 {
		antUntake(o, "max_tokens")
	}
	if s.Temperature, err = o.float("temperature"); err != nil {
		return err
	}
	if s.TopP, err = o.float("top_p"); err != nil {
		return err
	}
	if n, stated, err = o.integer("top_k"); err != nil {
		return err
	}
	if stated {
		k := int(n)
		s.TopK = &k
	}
	return antDecodeStops(c, o, form)
}

func antDecodeStops(c *llm.Call, o *antObject, form *uint32) error {
	raw := o.get("stop_sequences")
	if raw == nil {
		return nil
	}
	list, ok := antElements(raw)
	if !ok {
		return antBad("stop_sequences", "must be a list of strings")
	}
	o.take("stop_sequences")
	if len(list) == 0 {
		*form |= antStopEmpty
	}
	for i, el := range list {
		s, ok := wire.String(el)
		if !ok {
			return antBad("stop_sequences"+antIndex(i), "must be a string")
		}
		c.Sampling.Stop = append(c.Sampling.Stop, s)
	}
	return nil
}

// antDecodeOutput takes output_config.effort and the JSON schema of
// output_config.format or, in its older spelling, output_format.
func antDecodeOutput(c *llm.Call, o *antObject, form *uint32) error {
	if raw := o.get("output_config"); raw != nil {
		in, err := antParse(raw)
		if err != nil {
			return antIn("output_config", err)
		}
		if c.Reasoning.Effort, err = in.label("effort"); err != nil {
			return antIn("output_config", err)
		}
		if err := antDecodeFormat(c, &in, "format"); err != nil {
			return antIn("output_config", err)
		}
		o.replaceRest("output_config", &in)
	}
	if c.Output.Kind != "" || o.get("output_format") == nil {
		return nil
	}
	if err := antDecodeFormat(c, o, "output_format"); err != nil {
		return err
	}
	if c.Output.Kind != "" {
		*form |= antLegacyFormat
	}
	return nil
}

// antDecodeFormat takes a format of type json_schema; others stay.
func antDecodeFormat(c *llm.Call, o *antObject, name string) error {
	raw := o.get(name)
	if raw == nil {
		return nil
	}
	in, err := antParse(raw)
	if err != nil {
		return antIn(name, err)
	}
	kind, err := in.need("type")
	if err != nil {
		return antIn(name, err)
	}
	schema := in.get("schema")
	if kind != "json_schema" || schema == nil {
		return nil
	}
	in.take("schema")
	o.take(name)
	c.Output = llm.Output{Kind: llm.OutputSchema, Schema: antClone(schema), Extra: in.extra(0)}
	return nil
}

func antDecodeThinking(c *llm.Call, o *antObject, _ *uint32) error {
	raw := o.get("thinking")
	if raw == nil {
		return nil
	}
	in, err := antParse(raw)
	if err != nil {
		return antIn("thinking", err)
	}
	mode, err := in.need("type")
	if err != nil {
		return antIn("thinking", err)
	}
	if mode == "" {
		return antBad("thinking.type", "must not be empty")
	}
	budget, stated, err := in.integer("budget_tokens")
	if err != nil {
		return antIn("thinking", err)
	}
	if stated && budget == 0 {
		antUntake(&in, "budget_tokens")
	}
	o.take("thinking")
	c.Reasoning.Mode, c.Reasoning.Budget = mode, int(budget)
	c.Reasoning.Extra = in.extra(0)
	return nil
}

func antDecodeRest(c *llm.Call, o *antObject, form *uint32) error {
	stream, stated, err := o.boolean("stream")
	if err != nil {
		return err
	}
	if c.Stream = stream; stated && !stream {
		*form |= antStreamFalse
	}
	raw := o.get("metadata")
	if raw == nil {
		return nil
	}
	in, err := antParse(raw)
	if err != nil {
		return antIn("metadata", err)
	}
	if c.User, err = in.label("user_id"); err != nil {
		return antIn("metadata", err)
	}
	o.replaceRest("metadata", &in)
	return nil
}

// antClone copies bytes out of a body, so that what a codec returns does not
// hold on to it.
func antClone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}
