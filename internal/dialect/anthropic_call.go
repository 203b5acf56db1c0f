package dialect

import (
	"bytes"

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

// DecodeCall implements [Codec].
func (AnthropicCodec) DecodeCall(body []byte) (*llm.Call, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	c := &llm.Call{WantUsage: true}
	if c.Model, err = o.need("model"); err != nil {
		return nil, err
	}
	var form uint32
	steps := [...]func(*llm.Call, *object, *uint32) error{
		antDecodeSystem, antDecodeMessages, antDecodeTools, antDecodeChoice,
		antDecodeSampling, antDecodeOutput, antDecodeThinking, antDecodeRest,
	}
	for _, step := range steps {
		if err := step(c, o, &form); err != nil {
			return nil, err
		}
	}
	c.Extra = antExtra(o, form)
	for i := range c.Turns {
		for k := range c.Turns[i].Parts {
			unwrapThinking(&c.Turns[i].Parts[k])
		}
	}
	return c, nil
}

// antDefaults are members that Anthropic's newer models and clients always
// send, with the values that say no more than their absence. The caller of a
// tool is direct when the model itself, and not a program that it wrote, calls.
var antDefaults = []defaultValue{
	{"service_tier", `"standard"`},
	{"inference_geo", `"not_available"`},
	{"inference_geo", `"global"`},
	{"defer_loading", "false"},
	{"caller", `{"type":"direct"}`},
}

// antExtra is object.extra, for which defaults say nothing.
func antExtra(o *object, form uint32) llm.Extra {
	o.keepDefaults(antDefaults)
	return o.extra(llm.Anthropic, form)
}

func antDecodeSystem(c *llm.Call, o *object, form *uint32) error {
	raw := o.raw("system")
	if raw == nil {
		return nil
	}
	parts, bare, err := antContent(raw, o.under("system"), true)
	if err != nil {
		return err
	}
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
func antContent(raw []byte, at where, top bool) (parts []llm.Part, bare bool, err error) {
	if s, ok := wire.String(raw); ok {
		return []llm.Part{{Kind: llm.PartText, Text: s, Extra: llm.Extra{Dialect: llm.Anthropic}}}, true, nil
	}
	if raw[0] != '[' {
		return nil, false, at.wrong("must be a string or a list of blocks")
	}
	parts, err = antBlocks(elements(raw), at, top)
	return parts, false, err
}

func antBlocks(list [][]byte, at where, top bool) ([]llm.Part, error) {
	parts := make([]llm.Part, 0, len(list))
	for i, raw := range list {
		p, err := antDecodeBlock(raw, at.item(i), top)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func antDecodeMessages(c *llm.Call, o *object, _ *uint32) error {
	at := o.under("messages")
	list, err := o.list("messages")
	if err != nil {
		return err
	}
	if list == nil {
		return at.wrong("is required and must be a list")
	}
	o.take("messages")
	c.Turns = make([]llm.Turn, 0, len(list))
	for i, raw := range list {
		t, err := antDecodeTurn(raw, at.item(i))
		if err != nil {
			return err
		}
		c.Turns = append(c.Turns, t)
	}
	return nil
}

func antDecodeTurn(raw []byte, at where) (llm.Turn, error) {
	var t llm.Turn
	o, err := openObject(raw, at)
	if err != nil {
		return t, err
	}
	role, err := o.need("role")
	if err != nil {
		return t, err
	}
	switch t.Role = llm.Role(role); t.Role {
	case llm.RoleUser, llm.RoleAssistant, llm.RoleSystem:
	default:
		return t, o.under("role").wrong(`must be "user", "assistant" or "system"`)
	}
	content := o.raw("content")
	if content == nil {
		return t, o.under("content").wrong("is required and must be a string or a list of blocks")
	}
	var bare bool
	if t.Parts, bare, err = antContent(content, o.under("content"), true); err != nil {
		return t, err
	}
	var form uint32
	if bare {
		form = antContentBare
	}
	t.Extra = antExtra(o, form)
	return t, nil
}

func antDecodeTools(c *llm.Call, o *object, form *uint32) error {
	list, err := o.list("tools")
	if list == nil {
		return err
	}
	o.take("tools")
	if len(list) == 0 {
		*form |= antToolsEmpty
	}
	for i, raw := range list {
		t, err := antDecodeTool(raw, o.under("tools").item(i))
		if err != nil {
			return err
		}
		c.Tools = append(c.Tools, t)
	}
	return nil
}

// antDecodeTool reads a tool. One of the provider's own types stays raw.
func antDecodeTool(raw []byte, at where) (llm.Tool, error) {
	var t llm.Tool
	var form uint32
	o, err := openObject(raw, at)
	if err != nil {
		return t, err
	}
	kind, typed, err := o.text("type")
	if err != nil {
		return t, err
	}
	if typed && kind != "custom" {
		return llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Anthropic}}, nil
	}
	if typed {
		form |= antToolCustom
	}
	if t.Name, err = o.need("name"); err != nil {
		return t, err
	}
	var stated bool
	if t.Description, stated, err = o.text("description"); err != nil {
		return t, err
	}
	if stated && t.Description == "" {
		form |= antToolBlank
	}
	if t.Schema, err = takeSchema(o, "input_schema"); err != nil {
		return t, err
	}
	if t.Schema == nil {
		form |= antToolNoSchema
	}
	if t.Strict, err = o.boolean("strict"); err != nil {
		return t, err
	}
	if t.Cache, err = antDecodeCache(o); err != nil {
		return t, err
	}
	t.Extra = antExtra(o, form)
	return t, nil
}

// antDecodeCache takes cache_control.
func antDecodeCache(o *object) (*llm.CacheMark, error) {
	raw := o.raw("cache_control")
	if raw == nil {
		return nil, nil
	}
	in, err := openObject(raw, o.under("cache_control"))
	if err != nil {
		return nil, err
	}
	m := &llm.CacheMark{}
	if m.Type, err = in.need("type"); err != nil {
		return nil, err
	}
	if m.TTL, err = in.str("ttl"); err != nil {
		return nil, err
	}
	m.Extra = antExtra(in, 0)
	return m, nil
}

var antModes = [...]struct {
	mode llm.ToolMode
	word string
}{
	{llm.ToolAuto, "auto"},
	{llm.ToolRequired, "any"},
	{llm.ToolNamed, "tool"},
	{llm.ToolNone, "none"},
}

func antDecodeChoice(c *llm.Call, o *object, _ *uint32) error {
	raw := o.raw("tool_choice")
	if raw == nil {
		return nil
	}
	in, err := openObject(raw, o.under("tool_choice"))
	if err != nil {
		return err
	}
	word, err := in.need("type")
	if err != nil {
		return err
	}
	for _, m := range antModes {
		if m.word == word {
			c.Choice.Mode = m.mode
		}
	}
	if c.Choice.Mode == "" {
		c.Choice = llm.ToolChoice{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Anthropic}}
		return nil
	}
	if c.Choice.Mode == llm.ToolNamed {
		if c.Choice.Name, err = in.need("name"); err != nil {
			return err
		}
	}
	single, err := in.boolean("disable_parallel_tool_use")
	if err != nil {
		return err
	}
	if single != nil {
		c.Parallel = new(!*single)
	}
	c.Choice.Extra = antExtra(in, 0)
	return nil
}

func antDecodeSampling(c *llm.Call, o *object, form *uint32) (err error) {
	s := &c.Sampling
	if s.MaxTokens, err = antInt(o, "max_tokens"); err != nil {
		return err
	}
	if s.Temperature, err = o.float("temperature"); err != nil {
		return err
	}
	if s.TopP, err = o.float("top_p"); err != nil {
		return err
	}
	if s.TopK, err = o.intPointer("top_k"); err != nil {
		return err
	}
	list, err := o.list("stop_sequences")
	if list == nil {
		return err
	}
	o.take("stop_sequences")
	if len(list) == 0 {
		*form |= antStopEmpty
	}
	s.Stop, err = takeStrings(list, o.under("stop_sequences"))
	return err
}

// antMaxInt bounds the integers that the codec takes, so that sums of several
// cannot overflow.
const antMaxInt = 1 << 53

// antInt takes a number that means nothing when it is 0.
func antInt(o *object, name string) (int, error) {
	n, ok, err := o.whole(name)
	if !ok {
		return 0, err
	}
	if n > antMaxInt || n < -antMaxInt {
		return 0, o.under(name).wrong("must be a whole number below 2^53")
	}
	if n == 0 {
		o.keep(name)
	}
	return int(n), nil
}

// antDecodeOutput takes output_config.effort and the JSON schema of
// output_config.format or, in its older spelling, output_format.
func antDecodeOutput(c *llm.Call, o *object, form *uint32) error {
	in, err := o.sub("output_config")
	if err != nil {
		return err
	}
	if in != nil {
		if c.Reasoning.Effort, err = in.str("effort"); err != nil {
			return err
		}
		if err := antDecodeFormat(c, in, "format"); err != nil {
			return err
		}
	}
	if c.Output.Kind != "" {
		return nil
	}
	err = antDecodeFormat(c, o, "output_format")
	if c.Output.Kind != "" {
		*form |= antLegacyFormat
	}
	return err
}

// antDecodeFormat takes a format of type json_schema; others stay.
func antDecodeFormat(c *llm.Call, o *object, name string) error {
	raw := o.get(name)
	if raw == nil {
		return nil
	}
	in, err := openObject(raw, o.under(name))
	if err != nil {
		return err
	}
	kind, err := in.need("type")
	if err != nil {
		return err
	}
	schema := in.raw("schema")
	if kind != "json_schema" || schema == nil {
		return nil
	}
	o.take(name)
	c.Output = llm.Output{Kind: llm.OutputSchema, Schema: bytes.Clone(schema), Extra: antExtra(in, 0)}
	return nil
}

func antDecodeThinking(c *llm.Call, o *object, _ *uint32) error {
	raw := o.raw("thinking")
	if raw == nil {
		return nil
	}
	in, err := openObject(raw, o.under("thinking"))
	if err != nil {
		return err
	}
	r := &c.Reasoning
	if r.Mode, err = in.need("type"); err != nil {
		return err
	}
	if r.Mode == "" {
		return in.under("type").wrong("must not be empty")
	}
	if r.Budget, err = antInt(in, "budget_tokens"); err != nil {
		return err
	}
	r.Extra = antExtra(in, 0)
	return nil
}

func antDecodeRest(c *llm.Call, o *object, form *uint32) error {
	stream, err := o.boolean("stream")
	if err != nil {
		return err
	}
	if stream != nil {
		if c.Stream = *stream; !c.Stream {
			*form |= antStreamFalse
		}
	}
	in, err := o.sub("metadata")
	if in == nil {
		return err
	}
	c.User, err = in.str("user_id")
	return err
}
