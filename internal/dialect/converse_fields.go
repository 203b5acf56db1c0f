package dialect

import (
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// additionalModelRequestFields: what a model takes beyond Bedrock's own members,
// in the words of its maker.

const converseFields = "additionalModelRequestFields"

// converseFamily says in whose words a model is asked for what Bedrock has no member
// for.
type converseFamily uint8

const (
	converseOthers converseFamily = iota
	converseClaude                // Anthropic: thinking, output_config, top_k
	converseNova                  // Amazon Nova: reasoningConfig, inferenceConfig.topK
	converseGPT                   // OpenAI's open models: reasoning_effort
	converseWords                 // DeepSeek, Qwen: reasoning_config is an effort
)

// converseFamilies finds a family by a part of the model id, which may have a
// region before it (us.anthropic.claude-...) or be an ARN.
var converseFamilies = []struct {
	mark   string
	family converseFamily
}{
	{"claude", converseClaude},
	{"anthropic.", converseClaude},
	{"nova", converseNova},
	{"gpt-oss", converseGPT},
	{"deepseek", converseWords},
	{"qwen", converseWords},
}

func converseFamilyOf(model string) converseFamily {
	model = strings.ToLower(model)
	for _, f := range converseFamilies {
		if strings.Contains(model, f.mark) {
			return f.family
		}
	}
	return converseOthers
}

// converseDecodeFields takes what asks for thinking, and top-k. Where a request says
// the same twice the first is taken and the other stays.
func converseDecodeFields(c *llm.Call, o *object, form *uint32) {
	if raw := o.get(converseFields); len(raw) > 0 && raw[0] != '{' {
		*form |= converseFieldsOther
		return
	}
	in := o.sub(converseFields)
	if in == nil {
		return
	}
	converseDecodeThinking(c, in, form)
	converseDecodeEfforts(c, in, form)
	if k, ok := wire.Int(in.get("top_k")); ok && k > 0 && k < maxWhole {
		in.raw("top_k")
		c.Sampling.TopK = new(int(k))
		*form |= converseTopK
	} else if k, ok := converseInner(in, "inferenceConfig", "topK"); ok {
		if n, isInt := wire.Int(k.get("topK")); isInt && n > 0 && n < maxWhole {
			k.raw("topK")
			c.Sampling.TopK = new(int(n))
			*form |= converseNovaTopK
		}
	}
}

// converseInner opens the object name of in when it is one and has the member.
func converseInner(in *object, name, member string) (*object, bool) {
	raw := in.get(name)
	if len(raw) == 0 || raw[0] != '{' {
		return nil, false
	}
	o := in.sub(name)
	return o, o.get(member) != nil
}

// converseDecodeThinking takes a mode with a budget or an effort.
func converseDecodeThinking(c *llm.Call, in *object, form *uint32) {
	r := &c.Reasoning
	for _, way := range [...]struct {
		name string
		form uint32
	}{{"thinking", converseThinking}, {"reasoning_config", converseReasoningConfig}, {"reasoningConfig", converseNovaReasoning}} {
		o, ok := converseInner(in, way.name, "type")
		if !ok || r.Mode != "" {
			continue
		}
		if r.Mode = o.need("type"); r.Mode == "" {
			o.wrong("type", "must not be empty")
		}
		*form |= way.form
		if way.form == converseNovaReasoning {
			r.Effort = o.str("maxReasoningEffort")
		} else {
			r.Budget = o.bounded("budget_tokens")
		}
	}
}

// converseDecodeEfforts takes an effort that stands alone.
func converseDecodeEfforts(c *llm.Call, in *object, form *uint32) {
	take := func(o *object, name string, f uint32) {
		s, ok := wire.Unquote(o.get(name))
		if !ok || s == "" || c.Reasoning.Effort != "" {
			return
		}
		o.raw(name)
		c.Reasoning.Effort = s
		*form |= f
	}
	take(in, "reasoning_config", converseReasoningWord)
	take(in, "reasoning_effort", converseFieldEffort)
	if o, ok := converseInner(in, "output_config", "effort"); ok {
		take(o, "effort", converseClaudeEffort)
	}
}

// conversePutFields writes what converseDecodeFields takes, as form says.
func conversePutFields(w *objectWriter, c *llm.Call, form uint32) {
	if form&converseFieldsOther != 0 {
		return
	}
	in, r := w.sub(converseFields), &c.Reasoning
	if form&converseThinking != 0 {
		conversePutThinking(&in, "thinking", r)
	}
	if form&converseReasoningConfig != 0 {
		conversePutThinking(&in, "reasoning_config", r)
	}
	if form&converseNovaReasoning != 0 {
		nova := in.sub("reasoningConfig")
		nova.text("type", r.Mode)
		nova.str("maxReasoningEffort", r.Effort)
		nova.endSub()
	}
	if form&converseReasoningWord != 0 {
		in.text("reasoning_config", r.Effort)
	}
	if form&converseFieldEffort != 0 {
		in.text("reasoning_effort", r.Effort)
	}
	if form&converseClaudeEffort != 0 {
		config := in.sub("output_config")
		config.text("effort", r.Effort)
		config.endSub()
	}
	if k := c.Sampling.TopK; form&converseTopK != 0 {
		in.intPointer("top_k", k)
	} else if form&converseNovaTopK != 0 {
		config := in.sub("inferenceConfig")
		config.intPointer("topK", k)
		config.endSub()
	}
	in.endSub()
}

func conversePutThinking(in *objectWriter, name string, r *llm.Reasoning) {
	w := in.sub(name)
	w.text("type", r.Mode)
	w.count("budget_tokens", r.Budget)
	if extra := kept(r.Extra.In(llm.Anthropic).Members); extra != nil { // Claude's own words pass
		w.rest(extra)
	}
	w.endSub()
}
