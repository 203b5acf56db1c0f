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
	c.Model = o.need("model")
	var form uint32
	steps := [...]func(*llm.Call, *object, *uint32){
		antDecodeSystem, antDecodeMessages, antDecodeTools, antDecodeChoice,
		antDecodeSampling, antDecodeOutput, antDecodeThinking, antDecodeRest,
	}
	for _, step := range steps {
		step(c, o, &form)
	}
	c.Extra = antExtra(o, form)
	unwrapTurns(c.Turns)
	return result(o, c)
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

func antDecodeSystem(c *llm.Call, o *object, form *uint32) {
	if o.raw("system") == nil {
		return
	}
	parts, bare := antContent(o, "system", true)
	c.System = parts
	switch {
	case bare:
		*form |= antSystemBare
	case len(parts) == 0:
		*form |= antSystemEmpty
	}
}

// antContent reads the member name, which is a string or a list of blocks.
func antContent(o *object, name string, top bool) (parts []llm.Part, bare bool) {
	raw := o.peek(name)
	if s, ok := wire.String(raw); ok {
		return []llm.Part{{Kind: llm.PartText, Text: s, Extra: llm.Extra{Dialect: llm.Anthropic}}}, true
	}
	if raw[0] != '[' {
		o.wrong(name, "must be a string or a list of blocks")
		return nil, false
	}
	return antBlocks(o, name, elements(raw), top), false
}

// antBlocks reads the elements of the list name.
func antBlocks(o *object, name string, list [][]byte, top bool) []llm.Part {
	parts := make([]llm.Part, 0, len(list))
	for i, raw := range list {
		parts = append(parts, antDecodeBlock(o.open(raw, o.under(name).item(i)), raw, top))
	}
	return parts
}

func antDecodeMessages(c *llm.Call, o *object, _ *uint32) {
	list := o.list("messages")
	if list == nil {
		o.wrong("messages", "is required and must be a list")
	}
	o.take("messages")
	c.Turns = make([]llm.Turn, 0, len(list))
	for i, raw := range list {
		c.Turns = append(c.Turns, antDecodeTurn(o.open(raw, o.under("messages").item(i))))
	}
}

func antDecodeTurn(o *object) (t llm.Turn) {
	t.Role = takeRole(o)
	if o.raw("content") == nil {
		o.wrong("content", "is required and must be a string or a list of blocks")
		return t
	}
	var bare bool
	var form uint32
	if t.Parts, bare = antContent(o, "content", true); bare {
		form = antContentBare
	}
	t.Extra = antExtra(o, form)
	return t
}

func antDecodeTools(c *llm.Call, o *object, form *uint32) {
	list := o.list("tools")
	if list == nil {
		return
	}
	o.take("tools")
	if len(list) == 0 {
		*form |= antToolsEmpty
	}
	for i, raw := range list {
		c.Tools = append(c.Tools, antDecodeTool(o.open(raw, o.under("tools").item(i)), raw))
	}
}

// antDecodeTool reads a tool. One of the provider's own types stays raw.
func antDecodeTool(o *object, raw []byte) (t llm.Tool) {
	var form uint32
	switch kind, typed := o.text("type"); {
	case typed && kind != "custom":
		return llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Anthropic}}
	case typed:
		form |= antToolCustom
	}
	t.Name = o.need("name")
	var stated bool
	t.Description, stated = o.text("description")
	if stated && t.Description == "" {
		form |= antToolBlank
	}
	t.Schema = o.schema("input_schema")
	if t.Schema == nil {
		form |= antToolNoSchema
	}
	t.Strict = o.boolean("strict")
	t.Cache = antDecodeCache(o)
	t.Extra = antExtra(o, form)
	return t
}

// antDecodeCache takes cache_control.
func antDecodeCache(o *object) *llm.CacheMark {
	raw := o.raw("cache_control")
	if raw == nil {
		return nil
	}
	in := o.open(raw, o.under("cache_control"))
	m := &llm.CacheMark{Type: in.need("type"), TTL: in.str("ttl")}
	m.Extra = antExtra(in, 0)
	return m
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

func antDecodeChoice(c *llm.Call, o *object, _ *uint32) {
	raw := o.raw("tool_choice")
	if raw == nil {
		return
	}
	in := o.open(raw, o.under("tool_choice"))
	word := in.need("type")
	for _, m := range antModes {
		if m.word == word {
			c.Choice.Mode = m.mode
		}
	}
	if c.Choice.Mode == "" {
		c.Choice = llm.ToolChoice{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Anthropic}}
		return
	}
	if c.Choice.Mode == llm.ToolNamed {
		c.Choice.Name = in.need("name")
	}
	if single := in.boolean("disable_parallel_tool_use"); single != nil {
		c.Parallel = new(!*single)
	}
	c.Choice.Extra = antExtra(in, 0)
}

func antDecodeSampling(c *llm.Call, o *object, form *uint32) {
	s := &c.Sampling
	s.MaxTokens = o.bounded("max_tokens")
	s.Temperature = o.float("temperature")
	s.TopP = o.float("top_p")
	s.TopK = o.intPointer("top_k")
	list := o.list("stop_sequences")
	if list == nil {
		return
	}
	o.take("stop_sequences")
	if len(list) == 0 {
		*form |= antStopEmpty
	}
	s.Stop = o.strings("stop_sequences", list)
}

// antDecodeOutput takes output_config.effort and the JSON schema of
// output_config.format or, in its older spelling, output_format.
func antDecodeOutput(c *llm.Call, o *object, form *uint32) {
	if in := o.sub("output_config"); in != nil {
		c.Reasoning.Effort = in.str("effort")
		antDecodeFormat(c, in, "format")
	}
	if c.Output.Kind != "" {
		return
	}
	antDecodeFormat(c, o, "output_format")
	if c.Output.Kind != "" {
		*form |= antLegacyFormat
	}
}

// antDecodeFormat takes a format of type json_schema; others stay.
func antDecodeFormat(c *llm.Call, o *object, name string) {
	raw := o.get(name)
	if raw == nil {
		return
	}
	in := o.open(raw, o.under(name))
	kind := in.need("type")
	schema := in.raw("schema")
	if kind != "json_schema" || schema == nil {
		return
	}
	o.take(name)
	c.Output = llm.Output{Kind: llm.OutputSchema, Schema: bytes.Clone(schema), Extra: antExtra(in, 0)}
}

func antDecodeThinking(c *llm.Call, o *object, _ *uint32) {
	raw := o.raw("thinking")
	if raw == nil {
		return
	}
	in := o.open(raw, o.under("thinking"))
	r := &c.Reasoning
	if r.Mode = in.need("type"); r.Mode == "" {
		in.wrong("type", "must not be empty")
	}
	r.Budget = in.bounded("budget_tokens")
	r.Extra = antExtra(in, 0)
}

func antDecodeRest(c *llm.Call, o *object, form *uint32) {
	if stream := o.boolean("stream"); stream != nil {
		if c.Stream = *stream; !c.Stream {
			*form |= antStreamFalse
		}
	}
	if in := o.sub("metadata"); in != nil {
		c.User = in.str("user_id")
	}
}
