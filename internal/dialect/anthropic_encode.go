package dialect

import "tailplane/internal/llm"

// EncodeCall implements Codec. A call that came from another dialect is
// settled first (anthropic_settle.go); one of this dialect is written as it
// came, but for thinking that another dialect signed. When such a foreign call
// states no output cap, max_tokens is the documented one of the model's family
// (antFamilies); that is no loss.
func (AnthropicCodec) EncodeCall(call *llm.Call) ([]byte, []llm.Loss, error) {
	if call.Model == "" {
		return nil, nil, antBad("model", "is required")
	}
	c, l := *call, &antLosses{}
	if c.Extra.Dialect == llm.Anthropic {
		antDropForeign(&c, l)
	} else {
		antSettle(&c, l)
	}
	if len(c.Turns) == 0 && c.Extra.Dialect != llm.Anthropic {
		return nil, nil, antBad("messages", "must hold something that can be said to anthropic")
	}
	e := &antEnc{b: make([]byte, 0, 1024)}
	e.call(&c)
	return e.b, l.list, nil
}

// antDropForeign leaves out the parts of a native call that only another
// dialect may be given, and the turns that have nothing else.
func antDropForeign(c *llm.Call, l *antLosses) {
	foreign := func(p *llm.Part) bool {
		if p.Kind == llm.PartThinking && p.Extra.Dialect != llm.Anthropic {
			return !antOwnThought(p, l)
		}
		if p.Kind == llm.PartOther && p.Extra.Dialect != llm.Anthropic {
			l.add("messages.content", "a block that only "+string(p.Extra.Dialect)+" knows was left out")
			return true
		}
		return false
	}
	turns := make([]llm.Turn, 0, len(c.Turns))
	for _, t := range c.Turns {
		parts := make([]llm.Part, 0, len(t.Parts))
		for i := range t.Parts {
			if !foreign(&t.Parts[i]) {
				parts = append(parts, t.Parts[i])
			}
		}
		if len(parts) == 0 && len(t.Parts) > 0 {
			continue
		}
		t.Parts = parts
		turns = append(turns, t)
	}
	c.Turns = turns
}

func (e *antEnc) call(c *llm.Call) {
	rest, form := antFields(c.Extra), c.Extra.In(llm.Anthropic).Form
	s := &c.Sampling
	e.open()
	e.text("model", c.Model)
	if s.MaxTokens != 0 {
		e.count("max_tokens", int64(s.MaxTokens), &rest)
	}
	e.system(c.System, form)
	e.key("messages")
	e.b = append(e.b, '[')
	for i := range c.Turns {
		e.turn(&c.Turns[i])
	}
	e.b = append(e.b, ']')
	e.tools(c, form)
	e.stops(s.Stop, form)
	e.number("temperature", s.Temperature, &rest)
	e.number("top_p", s.TopP, &rest)
	if s.TopK != nil {
		e.count("top_k", int64(*s.TopK), &rest)
	}
	if c.Stream || form&antStreamFalse != 0 {
		e.boolean("stream", c.Stream)
	}
	e.thinking(&c.Reasoning)
	e.output(c, &rest, form)
	e.metadata(c.User, &rest)
	e.shut(rest)
}

func (e *antEnc) system(parts []llm.Part, form uint32) {
	switch {
	case form&antSystemBare != 0 && antPlain(parts):
		e.text("system", parts[0].Text)
	case len(parts) > 0 || form&antSystemEmpty != 0:
		e.key("system")
		e.blocks(parts)
	}
}

func (e *antEnc) turn(t *llm.Turn) {
	e.comma()
	e.open()
	role := t.Role
	if role == llm.RoleTool {
		role = llm.RoleUser
	}
	e.text("role", string(role))
	if t.Extra.In(llm.Anthropic).Form&antContentBare != 0 && antPlain(t.Parts) {
		e.text("content", t.Parts[0].Text)
	} else {
		e.key("content")
		e.blocks(t.Parts)
	}
	e.shut(antFields(t.Extra))
}

func (e *antEnc) tools(c *llm.Call, form uint32) {
	if len(c.Tools) > 0 || form&antToolsEmpty != 0 {
		e.key("tools")
		e.b = append(e.b, '[')
		for i := range c.Tools {
			e.tool(&c.Tools[i])
		}
		e.b = append(e.b, ']')
	}
	if c.Choice.Raw != nil {
		e.raw("tool_choice", c.Choice.Raw)
		return
	}
	for _, m := range antModes {
		if m.mode != c.Choice.Mode {
			continue
		}
		e.key("tool_choice")
		e.open()
		e.text("type", m.word)
		if m.mode == llm.ToolNamed {
			e.text("name", c.Choice.Name)
		}
		if c.Parallel != nil {
			e.boolean("disable_parallel_tool_use", !*c.Parallel)
		}
		e.shut(antFields(c.Choice.Extra))
	}
}

func (e *antEnc) tool(t *llm.Tool) {
	e.comma()
	if t.Raw != nil {
		e.b = append(e.b, t.Raw...)
		return
	}
	form := t.Extra.In(llm.Anthropic).Form
	e.open()
	if form&antToolCustom != 0 {
		e.text("type", "custom")
	}
	e.text("name", t.Name)
	if t.Description != "" || form&antToolBlank != 0 {
		e.text("description", t.Description)
	}
	if t.Schema != nil {
		e.raw("input_schema", t.Schema)
	}
	if t.Strict != nil {
		e.boolean("strict", *t.Strict)
	}
	e.cache(t.Cache)
	e.shut(antFields(t.Extra))
}

func (e *antEnc) stops(stops []string, form uint32) {
	if len(stops) == 0 && form&antStopEmpty == 0 {
		return
	}
	e.key("stop_sequences")
	e.b = append(e.b, '[')
	for _, s := range stops {
		e.comma()
		e.str(s)
	}
	e.b = append(e.b, ']')
}

func (e *antEnc) thinking(r *llm.Reasoning) {
	if r.Mode == "" {
		return
	}
	rest := antFields(r.Extra)
	e.key("thinking")
	e.open()
	e.text("type", r.Mode)
	if r.Budget != 0 {
		e.count("budget_tokens", int64(r.Budget), &rest)
	}
	e.shut(rest)
}

// output writes output_config, and output_format where the call came with it.
func (e *antEnc) output(c *llm.Call, rest *antObject, form uint32) {
	schema := c.Output.Kind == llm.OutputSchema && c.Output.Schema != nil
	if schema && form&antLegacyFormat != 0 {
		e.format("output_format", &c.Output)
		schema = false
	}
	if !schema && c.Reasoning.Effort == "" {
		return
	}
	var inner antObject
	if raw := rest.get("output_config"); raw != nil {
		inner, _ = antParse(raw)
	}
	e.key("output_config")
	e.open()
	e.label("effort", c.Reasoning.Effort)
	if schema {
		e.format("format", &c.Output)
	}
	e.shut(inner)
}

func (e *antEnc) format(name string, out *llm.Output) {
	e.key(name)
	e.open()
	e.text("type", "json_schema")
	e.raw("schema", out.Schema)
	e.shut(antFields(out.Extra))
}

func (e *antEnc) metadata(user string, rest *antObject) {
	if user == "" {
		return
	}
	var inner antObject
	if raw := rest.get("metadata"); raw != nil {
		inner, _ = antParse(raw)
	}
	e.key("metadata")
	e.open()
	e.text("user_id", user)
	e.shut(inner)
}
