package dialect

import (
	"bytes"

	"tailplane/internal/llm"
)

// Requests of /v1/messages and /v1/messages/count_tokens, read. Each member
// goes to the canonical form when that can say it again exactly, else to the
// Extra of the node it belongs to.

// Forms of a call (llm.Call.Extra.Form).
const (
	anthropicSystemBare   = 1 << iota // system is a string
	anthropicSystemEmpty              // system is []
	anthropicToolsEmpty               // tools is []
	anthropicStopEmpty                // stop_sequences is []
	anthropicStreamFalse              // stream is stated as false
	anthropicLegacyFormat             // the schema stands in output_format (beta of 2025), not output_config.format
)

// Forms of a turn (llm.Turn.Extra.Form).
const anthropicContentBare = 1 // content is a string

// Forms of a tool (llm.Tool.Extra.Form).
const (
	anthropicToolCustom   = 1 << iota // type "custom" is stated
	anthropicToolNoSchema             // there is no input_schema
	anthropicToolBlank                // description is stated as ""
)

// DecodeCall implements [Codec].
func (AnthropicCodec) DecodeCall(body []byte, at *At) (*llm.Call, error) {
	o, err := openCall(body, at)
	if err != nil {
		return nil, err
	}
	c := o.newCall()
	c.WantUsage = true
	c.Model = o.need("model")
	var form uint32
	steps := [...]func(*llm.Call, *object, *uint32){
		anthropicDecodeSystem, anthropicDecodeMessages, anthropicDecodeTools, anthropicDecodeChoice,
		anthropicDecodeSampling, anthropicDecodeOutput, anthropicDecodeThinking, anthropicDecodeRest,
	}
	for _, step := range steps {
		step(c, o, &form)
	}
	c.Extra = anthropicExtra(o, form)
	unwrapTurns(c.Turns)
	return result(o, c)
}

// anthropicDefaults are members that Anthropic's newer models and clients always
// send, with the values that say no more than their absence. The caller of a
// tool is direct when the model itself, and not a program that it wrote, calls.
var anthropicDefaults = []defaultValue{
	{"service_tier", `"standard"`},
	{"inference_geo", `"not_available"`},
	{"inference_geo", `"global"`},
	{"defer_loading", "false"},
	{"caller", `{"type":"direct"}`},
}

// anthropicExtra is object.extra, for which defaults say nothing.
func anthropicExtra(o *object, form uint32) llm.Extra {
	o.keepDefaults(anthropicDefaults)
	return o.extra(llm.Anthropic, form)
}

func anthropicDecodeSystem(c *llm.Call, o *object, form *uint32) {
	if o.raw("system") == nil {
		return
	}
	parts, bare := anthropicContent(o, "system", true)
	c.System = parts
	switch {
	case bare:
		*form |= anthropicSystemBare
	case len(parts) == 0:
		*form |= anthropicSystemEmpty
	}
}

// anthropicContent reads the member name, which is a string or a list of blocks.
func anthropicContent(o *object, name string, top bool) (parts []llm.Part, bare bool) {
	raw := o.peek(name)
	if t, ok := quoteOf(raw); ok {
		return append(o.parts(1), llm.Part{Kind: llm.PartText, Text: t, Extra: llm.Extra{Dialect: llm.Anthropic}}), true
	}
	if raw[0] != '[' {
		o.wrong(name, "must be a string or a list of blocks")
		return nil, false
	}
	return anthropicBlocks(o, name, o.elements(raw), top), false
}

// anthropicBlocks reads the elements of the list name.
func anthropicBlocks(o *object, name string, list [][]byte, top bool) []llm.Part {
	parts := o.parts(len(list))
	for i, raw := range list {
		parts = append(parts, anthropicDecodeBlock(o.openItem(name, i, raw), raw, top))
	}
	return parts
}

func anthropicDecodeMessages(c *llm.Call, o *object, _ *uint32) {
	list := o.list("messages")
	if list == nil {
		o.wrong("messages", "is required and must be a list")
	}
	o.take("messages")
	c.Turns = o.turns(len(list))
	o.each("messages", list, func(turn *object, _ []byte) {
		c.Turns = append(c.Turns, anthropicDecodeTurn(turn))
	})
}

func anthropicDecodeTurn(o *object) (t llm.Turn) {
	t.Role = takeRole(o)
	if o.raw("content") == nil {
		o.wrong("content", "is required and must be a string or a list of blocks")
		return t
	}
	var bare bool
	var form uint32
	if t.Parts, bare = anthropicContent(o, "content", true); bare {
		form = anthropicContentBare
	}
	t.Extra = anthropicExtra(o, form)
	return t
}

func anthropicDecodeTools(c *llm.Call, o *object, form *uint32) {
	list := o.list("tools")
	if list == nil {
		return
	}
	o.take("tools")
	if len(list) == 0 {
		*form |= anthropicToolsEmpty
	}
	o.each("tools", list, func(tool *object, raw []byte) {
		c.Tools = append(c.Tools, anthropicDecodeTool(tool, raw))
	})
}

// anthropicDecodeTool reads a tool. One of the provider's own types stays raw.
func anthropicDecodeTool(o *object, raw []byte) (t llm.Tool) {
	var form uint32
	switch kind, typed := o.text("type"); {
	case typed && kind != "custom":
		return llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Anthropic}}
	case typed:
		form |= anthropicToolCustom
	}
	t.Name = o.need("name")
	var stated bool
	t.Description, stated = o.text("description")
	if stated && t.Description == "" {
		form |= anthropicToolBlank
	}
	t.Schema = o.schema("input_schema")
	if t.Schema == nil {
		form |= anthropicToolNoSchema
	}
	t.Strict = o.boolean("strict")
	t.Cache = anthropicDecodeCache(o)
	t.Extra = anthropicExtra(o, form)
	return t
}

// anthropicDecodeCache takes cache_control.
func anthropicDecodeCache(o *object) *llm.CacheMark {
	raw := o.raw("cache_control")
	if raw == nil {
		return nil
	}
	in := o.open(raw, o.under("cache_control"))
	m := &llm.CacheMark{Type: in.need("type"), TTL: in.str("ttl")}
	m.Extra = anthropicExtra(in, 0)
	return m
}

var anthropicModes = [...]struct {
	mode llm.ToolMode
	word string
}{
	{llm.ToolAuto, "auto"},
	{llm.ToolRequired, "any"},
	{llm.ToolNamed, "tool"},
	{llm.ToolNone, "none"},
}

func anthropicDecodeChoice(c *llm.Call, o *object, _ *uint32) {
	raw := o.raw("tool_choice")
	if raw == nil {
		return
	}
	in := o.open(raw, o.under("tool_choice"))
	word := in.need("type")
	for _, m := range anthropicModes {
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
	c.Choice.Extra = anthropicExtra(in, 0)
}

func anthropicDecodeSampling(c *llm.Call, o *object, form *uint32) {
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
		*form |= anthropicStopEmpty
	}
	s.Stop = o.strings("stop_sequences", list)
}

// anthropicDecodeOutput takes output_config.effort and the JSON schema of
// output_config.format or, in its older spelling, output_format.
func anthropicDecodeOutput(c *llm.Call, o *object, form *uint32) {
	if in := o.sub("output_config"); in != nil {
		c.Reasoning.Effort = in.str("effort")
		anthropicDecodeFormat(c, in, "format")
	}
	if c.Output.Kind != "" {
		return
	}
	anthropicDecodeFormat(c, o, "output_format")
	if c.Output.Kind != "" {
		*form |= anthropicLegacyFormat
	}
}

// anthropicDecodeFormat takes a format of type json_schema; others stay.
func anthropicDecodeFormat(c *llm.Call, o *object, name string) {
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
	c.Output = llm.Output{Kind: llm.OutputSchema, Schema: bytes.Clone(schema), Extra: anthropicExtra(in, 0)}
}

func anthropicDecodeThinking(c *llm.Call, o *object, _ *uint32) {
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
	r.Extra = anthropicExtra(in, 0)
}

func anthropicDecodeRest(c *llm.Call, o *object, form *uint32) {
	if stream := o.boolean("stream"); stream != nil {
		if c.Stream = *stream; !c.Stream {
			*form |= anthropicStreamFalse
		}
	}
	if in := o.sub("metadata"); in != nil {
		c.User = in.str("user_id")
	}
}
