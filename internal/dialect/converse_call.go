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
	converseNoMessages      = 1 << iota // there is no messages
	converseThinking                    // additionalModelRequestFields.thinking (Claude)
	converseReasoningConfig             // .reasoning_config, the same in older models (Claude)
	converseReasoningWord               // .reasoning_config is an effort (DeepSeek, Qwen)
	converseNovaReasoning               // .reasoningConfig: type and maxReasoningEffort (Nova)
	converseFieldEffort                 // .reasoning_effort (OpenAI's open models)
	converseClaudeEffort                // .output_config.effort (Claude)
	converseOutputEffort                // outputConfig.effort
	converseTopK                        // .top_k (Claude)
	converseNovaTopK                    // .inferenceConfig.topK (Nova)
	converseFieldsOther                 // additionalModelRequestFields is no object
)

// Forms of a tool (llm.Tool.Extra.Form).
const converseNoSchema = 1 // there is no inputSchema.json

// DecodeCall implements [Codec]. Model and Stream are left empty.
func (ConverseCodec) DecodeCall(body []byte, at *At) (*llm.Call, error) {
	o, err := openCall(body, at)
	if err != nil {
		return nil, err
	}
	c := o.newCall()
	c.WantUsage = true
	var form uint32
	steps := [...]func(*llm.Call, *object, *uint32){
		converseDecodeSystem, converseDecodeMessages, converseDecodeTools, converseDecodeInference,
		converseDecodeFields, converseDecodeOutput, converseDecodeMetadata,
	}
	for _, step := range steps {
		step(c, o, &form)
	}
	c.Extra = converseExtra(o, form)
	unwrapTurns(c.Turns)
	return result(o, c)
}

// converseDefaults are members that say no more than their absence.
var converseDefaults = []defaultValue{{"type", `"text"`}, {"type", `"tool_use"`}}

// converseExtra is object.extra, for which defaults say nothing.
func converseExtra(o *object, form uint32) llm.Extra {
	o.keepDefaults(converseDefaults)
	return o.extra(llm.Converse, form)
}

func converseDecodeSystem(c *llm.Call, o *object, _ *uint32) {
	c.System = converseBlocks(o, "system", o.list("system"))
}

func converseDecodeMessages(c *llm.Call, o *object, form *uint32) {
	list := o.list("messages")
	if list == nil {
		*form |= converseNoMessages
		return
	}
	o.take("messages")
	c.Turns = o.turns(len(list))
	o.each("messages", list, func(turn *object, _ []byte) {
		c.Turns = append(c.Turns, converseDecodeTurn(turn))
	})
}

func converseDecodeTurn(o *object) llm.Turn {
	t := llm.Turn{Role: takeRole(o)}
	list := o.list("content")
	if list == nil {
		o.wrong("content", "is required and must be a list of blocks")
	}
	o.take("content")
	t.Parts = converseBlocks(o, "content", list)
	t.Extra = converseExtra(o, 0)
	return t
}

func converseDecodeTools(c *llm.Call, o *object, _ *uint32) {
	in := o.sub("toolConfig")
	if in == nil {
		return
	}
	in.each("tools", in.list("tools"), func(tool *object, raw []byte) {
		t, mark := converseDecodeTool(tool, raw)
		if n := len(c.Tools); mark != nil && n > 0 && c.Tools[n-1].Raw == nil && c.Tools[n-1].Cache == nil {
			c.Tools[n-1].Cache = mark
			return
		}
		c.Tools = append(c.Tools, t)
	})
	converseDecodeChoice(c, in)
}

// converseDecodeTool reads a tool. A cache point gives a mark, too; any other but a
// toolSpec stays raw.
func converseDecodeTool(o *object, raw []byte) (t llm.Tool, mark *llm.CacheMark) {
	if mark = converseDecodeCache(o); mark == nil && o.get("toolSpec") != nil {
		return converseDecodeSpec(o), nil
	}
	return llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Converse}}, mark
}

func converseDecodeSpec(o *object) llm.Tool {
	in := o.sub("toolSpec")
	t := llm.Tool{Name: in.need("name"), Description: in.str("description")}
	form := uint32(converseNoSchema)
	if schema := in.sub("inputSchema"); schema != nil {
		if t.Schema = schema.schema("json"); t.Schema != nil {
			form = 0
		}
	}
	t.Strict = in.boolean("strict")
	t.Extra = converseExtra(o, form)
	return t
}

// converseDecodeCache reads a block that is a cache point and nothing else; nil for
// any other.
func converseDecodeCache(o *object) *llm.CacheMark {
	raw := o.get("cachePoint")
	if raw == nil || len(o.members) != 1 {
		return nil
	}
	in := o.open(raw, o.under("cachePoint"))
	in.need("type")
	in.constant("type", `"default"`)
	m := &llm.CacheMark{Type: "ephemeral", TTL: in.str("ttl")}
	m.Extra = converseExtra(in, 0)
	return m
}

var converseModes = [...]struct {
	mode llm.ToolMode
	word string
}{
	{llm.ToolAuto, "auto"},
	{llm.ToolRequired, "any"},
	{llm.ToolNamed, "tool"},
}

func converseDecodeChoice(c *llm.Call, o *object) {
	raw := o.raw("toolChoice")
	if raw == nil {
		return
	}
	in := o.open(raw, o.under("toolChoice"))
	for _, m := range converseModes {
		kind := in.sub(m.word)
		if kind == nil {
			continue
		}
		c.Choice.Mode = m.mode
		if m.mode == llm.ToolNamed {
			c.Choice.Name = kind.need("name")
		}
		break
	}
	if c.Choice.Mode == "" {
		c.Choice = llm.ToolChoice{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Converse}}
		return
	}
	c.Choice.Extra = converseExtra(in, 0)
}

func converseDecodeInference(c *llm.Call, o *object, _ *uint32) {
	in := o.sub("inferenceConfig")
	if in == nil {
		return
	}
	s := &c.Sampling
	s.MaxTokens = in.bounded("maxTokens")
	s.Temperature = in.float("temperature")
	s.TopP = in.float("topP")
	s.Stop = in.strings("stopSequences", in.list("stopSequences"))
}

// converseDecodeOutput takes outputConfig: a JSON schema, which is written as text,
// and an effort.
func converseDecodeOutput(c *llm.Call, o *object, form *uint32) {
	in := o.sub("outputConfig")
	if in == nil {
		return
	}
	if c.Reasoning.Effort == "" && in.get("effort") != nil {
		c.Reasoning.Effort = in.str("effort")
		*form |= converseOutputEffort
	}
	text := in.sub("textFormat")
	if text == nil || !wire.StringEquals(text.get("type"), "json_schema") {
		return
	}
	structure := text.sub("structure")
	if structure == nil {
		return
	}
	schema := structure.sub("jsonSchema")
	if schema == nil {
		return
	}
	source := schema.need("schema")
	if _, err := wire.Scan([]byte(source), nil, nil); err != nil {
		schema.wrong("schema", "must be a JSON schema as text: %v", err)
		return
	}
	out := &c.Output
	text.take("type")
	out.Kind, out.Schema = llm.OutputSchema, []byte(source)
	out.Name = schema.str("name")
	out.Description = schema.str("description")
}

// converseDecodeMetadata takes requestMetadata when all its values are texts.
func converseDecodeMetadata(c *llm.Call, o *object, _ *uint32) {
	raw := o.get("requestMetadata")
	if raw == nil {
		return
	}
	in := o.open(raw, o.under("requestMetadata"))
	all := make(map[string]string, len(in.members))
	for i := range in.members {
		s, ok := wire.Unquote(in.members[i].value)
		if !ok {
			in.wrong(in.members[i].name(), "must be a string")
		}
		all[in.members[i].name()] = s
	}
	if len(all) > 0 {
		o.take("requestMetadata")
		c.Metadata = all
	}
}
