package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Requests of Converse and ConverseStream, read. Each member goes to the
// canonical form when that can say it again exactly, else to the Extra of the
// node it belongs to.
//
// What a model takes beyond Bedrock's own members stands in
// additionalModelRequestFields, in the words of the model's maker. The ways of
// asking for thinking and top-k that recordings show are taken from it.

// Forms of a call (llm.Call.Extra.Form).
const (
	convNoMessages      = 1 << iota // there is no messages
	convThinking                    // additionalModelRequestFields.thinking (Claude)
	convReasoningConfig             // .reasoning_config, the same in older models (Claude)
	convReasoningWord               // .reasoning_config is an effort (DeepSeek, Qwen)
	convNovaReasoning               // .reasoningConfig: type and maxReasoningEffort (Nova)
	convFieldEffort                 // .reasoning_effort (OpenAI's open models)
	convClaudeEffort                // .output_config.effort (Claude)
	convOutputEffort                // outputConfig.effort
	convTopK                        // .top_k (Claude)
	convNovaTopK                    // .inferenceConfig.topK (Nova)
	convFieldsOther                 // additionalModelRequestFields is no object
)

// Forms of a tool (llm.Tool.Extra.Form).
const convNoSchema = 1 // there is no inputSchema.json

// DecodeCall implements [Codec]. Model and Stream are left empty.
func (ConverseCodec) DecodeCall(body []byte) (*llm.Call, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	c := &llm.Call{WantUsage: true}
	var form uint32
	steps := [...]func(*llm.Call, *object, *uint32) error{
		convDecodeSystem, convDecodeMessages, convDecodeTools, convDecodeInference,
		convDecodeFields, convDecodeOutput, convDecodeMetadata,
	}
	for _, step := range steps {
		if err := step(c, o, &form); err != nil {
			return nil, err
		}
	}
	c.Extra = convExtra(o, form)
	for i := range c.Turns {
		for k := range c.Turns[i].Parts {
			unwrapThinking(&c.Turns[i].Parts[k])
		}
	}
	return c, nil
}

// convDefaults are members that say no more than their absence.
var convDefaults = []defaultValue{{"type", `"text"`}, {"type", `"tool_use"`}}

// convExtra is object.extra, for which defaults say nothing.
func convExtra(o *object, form uint32) llm.Extra {
	o.keepDefaults(convDefaults)
	return o.extra(llm.Converse, form)
}

func convDecodeSystem(c *llm.Call, o *object, _ *uint32) error {
	list, err := o.list("system")
	if err != nil {
		return err
	}
	c.System, err = convBlocks(list, o.under("system"))
	return err
}

func convDecodeMessages(c *llm.Call, o *object, form *uint32) error {
	list, err := o.list("messages")
	if list == nil {
		*form |= convNoMessages
		return err
	}
	o.take("messages")
	c.Turns = make([]llm.Turn, 0, len(list))
	for i, raw := range list {
		at := o.under("messages")
		t, err := convDecodeTurn(raw, at.item(i))
		if err != nil {
			return err
		}
		c.Turns = append(c.Turns, t)
	}
	return nil
}

func convDecodeTurn(raw []byte, at where) (llm.Turn, error) {
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
	list, err := o.list("content")
	if err != nil {
		return t, err
	}
	if list == nil {
		return t, o.under("content").wrong("is required and must be a list of blocks")
	}
	o.take("content")
	if t.Parts, err = convBlocks(list, o.under("content")); err != nil {
		return t, err
	}
	t.Extra = convExtra(o, 0)
	return t, nil
}

func convDecodeTools(c *llm.Call, o *object, _ *uint32) error {
	in, err := o.sub("toolConfig")
	if in == nil {
		return err
	}
	list, err := in.list("tools")
	if err != nil {
		return err
	}
	for i, raw := range list {
		at := in.under("tools")
		t, mark, err := convDecodeTool(raw, at.item(i))
		if err != nil {
			return err
		}
		if n := len(c.Tools); mark != nil && n > 0 && c.Tools[n-1].Raw == nil && c.Tools[n-1].Cache == nil {
			c.Tools[n-1].Cache = mark
			continue
		}
		c.Tools = append(c.Tools, t)
	}
	return convDecodeChoice(c, in)
}

// convDecodeTool reads a tool. A cache point gives a mark, too; any other but a
// toolSpec stays raw.
func convDecodeTool(raw []byte, at where) (llm.Tool, *llm.CacheMark, error) {
	o, err := openObject(raw, at)
	if err != nil {
		return llm.Tool{}, nil, err
	}
	t := llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Converse}}
	mark, err := convDecodeCache(o)
	if mark != nil || err != nil {
		return t, mark, err
	}
	in, err := o.sub("toolSpec")
	if in == nil {
		return t, nil, err
	}
	t = llm.Tool{}
	if t.Name, err = in.need("name"); err != nil {
		return t, nil, err
	}
	if t.Description, err = in.str("description"); err != nil {
		return t, nil, err
	}
	schema, err := in.sub("inputSchema")
	if err != nil {
		return t, nil, err
	}
	form := uint32(convNoSchema)
	if schema != nil {
		if t.Schema, err = takeSchema(schema, "json"); err != nil {
			return t, nil, err
		}
		if t.Schema != nil {
			form = 0
		}
	}
	if t.Strict, err = in.boolean("strict"); err != nil {
		return t, nil, err
	}
	t.Extra = convExtra(o, form)
	return t, nil, nil
}

// convDecodeCache reads a block that is a cache point and nothing else; nil for
// any other.
func convDecodeCache(o *object) (*llm.CacheMark, error) {
	raw := o.get("cachePoint")
	if raw == nil || len(o.members) != 1 {
		return nil, nil
	}
	in, err := openObject(raw, o.under("cachePoint"))
	if err != nil {
		return nil, err
	}
	m := &llm.CacheMark{Type: "ephemeral"}
	if _, err := in.need("type"); err != nil {
		return nil, err
	}
	in.constant("type", `"default"`)
	if m.TTL, err = in.str("ttl"); err != nil {
		return nil, err
	}
	m.Extra = convExtra(in, 0)
	return m, nil
}

var convModes = [...]struct {
	mode llm.ToolMode
	word string
}{
	{llm.ToolAuto, "auto"},
	{llm.ToolRequired, "any"},
	{llm.ToolNamed, "tool"},
}

func convDecodeChoice(c *llm.Call, o *object) error {
	raw := o.raw("toolChoice")
	if raw == nil {
		return nil
	}
	in, err := openObject(raw, o.under("toolChoice"))
	if err != nil {
		return err
	}
	for _, m := range convModes {
		kind, err := in.sub(m.word)
		if err != nil {
			return err
		}
		if kind == nil {
			continue
		}
		c.Choice.Mode = m.mode
		if m.mode == llm.ToolNamed {
			if c.Choice.Name, err = kind.need("name"); err != nil {
				return err
			}
		}
		break
	}
	if c.Choice.Mode == "" {
		c.Choice = llm.ToolChoice{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Converse}}
		return nil
	}
	c.Choice.Extra = convExtra(in, 0)
	return nil
}

func convDecodeInference(c *llm.Call, o *object, _ *uint32) error {
	in, err := o.sub("inferenceConfig")
	if in == nil {
		return err
	}
	s := &c.Sampling
	if s.MaxTokens, err = antInt(in, "maxTokens"); err != nil {
		return err
	}
	if s.Temperature, err = in.float("temperature"); err != nil {
		return err
	}
	if s.TopP, err = in.float("topP"); err != nil {
		return err
	}
	list, err := in.list("stopSequences")
	if err != nil {
		return err
	}
	s.Stop, err = takeStrings(list, in.under("stopSequences"))
	return err
}

// convDecodeOutput takes outputConfig: a JSON schema, which is written as text,
// and an effort.
func convDecodeOutput(c *llm.Call, o *object, form *uint32) error {
	in, err := o.sub("outputConfig")
	if in == nil {
		return err
	}
	if c.Reasoning.Effort == "" && in.get("effort") != nil {
		if c.Reasoning.Effort, err = in.str("effort"); err != nil {
			return err
		}
		*form |= convOutputEffort
	}
	text, err := in.sub("textFormat")
	if text == nil || !wire.StringEquals(text.get("type"), "json_schema") {
		return err
	}
	structure, err := text.sub("structure")
	if structure == nil {
		return err
	}
	schema, err := structure.sub("jsonSchema")
	if schema == nil {
		return err
	}
	source, err := schema.need("schema")
	if err != nil {
		return err
	}
	if _, err := wire.Scan([]byte(source), nil, nil); err != nil {
		return schema.under("schema").wrong("must be a JSON schema as text: %v", err)
	}
	out := &c.Output
	text.take("type")
	out.Kind, out.Schema = llm.OutputSchema, []byte(source)
	if out.Name, err = schema.str("name"); err != nil {
		return err
	}
	out.Description, err = schema.str("description")
	return err
}

// convDecodeMetadata takes requestMetadata when all its values are texts.
func convDecodeMetadata(c *llm.Call, o *object, _ *uint32) error {
	raw := o.get("requestMetadata")
	if raw == nil {
		return nil
	}
	in, err := openObject(raw, o.under("requestMetadata"))
	if err != nil {
		return err
	}
	all := make(map[string]string, len(in.members))
	for i := range in.members {
		s, ok := wire.String(in.members[i].value)
		if !ok {
			return in.under(in.members[i].name()).wrong("must be a string")
		}
		all[in.members[i].name()] = s
	}
	if len(all) > 0 {
		o.take("requestMetadata")
		c.Metadata = all
	}
	return nil
}
