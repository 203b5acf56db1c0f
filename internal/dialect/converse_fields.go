package dialect

import (
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// additionalModelRequestFields: what a model takes beyond Bedrock's own members,
// in the words of its maker.

const convFields = "additionalModelRequestFields"

// convFamily says in whose words a model is asked for what Bedrock has no member
// for.
type convFamily uint8

const (
	convOthers convFamily = iota
	convClaude            // Anthropic: thinking, output_config, top_k
	convNova              // Amazon Nova: reasoningConfig, inferenceConfig.topK
	convGPT               // OpenAI's open models: reasoning_effort
	convWords             // DeepSeek, Qwen: reasoning_config is an effort
)

// convFamilies finds a family by a part of the model id, which may have a
// region before it (us.anthropic.claude-...) or be an ARN.
var convFamilies = []struct {
	mark   string
	family convFamily
}{
	{"claude", convClaude},
	{"anthropic.", convClaude},
	{"nova", convNova},
	{"gpt-oss", convGPT},
	{"deepseek", convWords},
	{"qwen", convWords},
}

func convFamilyOf(model string) convFamily {
	model = strings.ToLower(model)
	for _, f := range convFamilies {
		if strings.Contains(model, f.mark) {
			return f.family
		}
	}
	return convOthers
}

// convDecodeFields takes what asks for thinking, and top-k. Where a request says
// the same twice the first is taken and the other stays.
func convDecodeFields(c *llm.Call, o *object, form *uint32) {
	if raw := o.get(convFields); len(raw) > 0 && raw[0] != '{' {
		*form |= convFieldsOther
		return
	}
	in := o.sub(convFields)
	if in == nil {
		return
	}
	convDecodeThinking(c, in, form)
	convDecodeEfforts(c, in, form)
	if k, ok := wire.Int(in.get("top_k")); ok && k > 0 && k < maxWhole {
		in.raw("top_k")
		c.Sampling.TopK = new(int(k))
		*form |= convTopK
	} else if k, ok := convInner(in, "inferenceConfig", "topK"); ok {
		if n, isInt := wire.Int(k.get("topK")); isInt && n > 0 && n < maxWhole {
			k.raw("topK")
			c.Sampling.TopK = new(int(n))
			*form |= convNovaTopK
		}
	}
}

// convInner opens the object name of in when it is one and has the member.
func convInner(in *object, name, member string) (*object, bool) {
	raw := in.get(name)
	if len(raw) == 0 || raw[0] != '{' {
		return nil, false
	}
	o := in.sub(name)
	return o, o.get(member) != nil
}

// convDecodeThinking takes a mode with a budget or an effort.
func convDecodeThinking(c *llm.Call, in *object, form *uint32) {
	r := &c.Reasoning
	for _, way := range [...]struct {
		name string
		form uint32
	}{{"thinking", convThinking}, {"reasoning_config", convReasoningConfig}, {"reasoningConfig", convNovaReasoning}} {
		o, ok := convInner(in, way.name, "type")
		if !ok || r.Mode != "" {
			continue
		}
		if r.Mode = o.need("type"); r.Mode == "" {
			o.wrong("type", "must not be empty")
		}
		*form |= way.form
		if way.form == convNovaReasoning {
			r.Effort = o.str("maxReasoningEffort")
		} else {
			r.Budget = o.bounded("budget_tokens")
		}
	}
}

// convDecodeEfforts takes an effort that stands alone.
func convDecodeEfforts(c *llm.Call, in *object, form *uint32) {
	take := func(o *object, name string, f uint32) {
		s, ok := wire.String(o.get(name))
		if !ok || s == "" || c.Reasoning.Effort != "" {
			return
		}
		o.raw(name)
		c.Reasoning.Effort = s
		*form |= f
	}
	take(in, "reasoning_config", convReasoningWord)
	take(in, "reasoning_effort", convFieldEffort)
	if o, ok := convInner(in, "output_config", "effort"); ok {
		take(o, "effort", convClaudeEffort)
	}
}

// convPutFields writes what convDecodeFields takes, as form says.
func convPutFields(w *objectWriter, c *llm.Call, form uint32) {
	if form&convFieldsOther != 0 {
		return
	}
	in, r := w.sub(convFields), &c.Reasoning
	if form&convThinking != 0 {
		convPutThinking(&in, "thinking", r)
	}
	if form&convReasoningConfig != 0 {
		convPutThinking(&in, "reasoning_config", r)
	}
	if form&convNovaReasoning != 0 {
		nova := in.sub("reasoningConfig")
		nova.text("type", r.Mode)
		nova.str("maxReasoningEffort", r.Effort)
		in.endSub("reasoningConfig", &nova)
	}
	if form&convReasoningWord != 0 {
		in.text("reasoning_config", r.Effort)
	}
	if form&convFieldEffort != 0 {
		in.text("reasoning_effort", r.Effort)
	}
	if form&convClaudeEffort != 0 {
		config := in.sub("output_config")
		config.text("effort", r.Effort)
		in.endSub("output_config", &config)
	}
	if k := c.Sampling.TopK; form&convTopK != 0 {
		in.intPointer("top_k", k)
	} else if form&convNovaTopK != 0 {
		config := in.sub("inferenceConfig")
		config.intPointer("topK", k)
		in.endSub("inferenceConfig", &config)
	}
	w.endSub(convFields, &in)
}

func convPutThinking(in *objectWriter, name string, r *llm.Reasoning) {
	w := in.sub(name)
	w.text("type", r.Mode)
	w.count("budget_tokens", r.Budget)
	if extra := kept(r.Extra.In(llm.Anthropic).Members); extra != nil { // Claude's own words pass
		w.rest(extra)
	}
	in.endSub(name, &w)
}
