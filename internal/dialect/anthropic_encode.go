package dialect

import (
	"errors"

	"tailplane/internal/llm"
)

// Requests of /v1/messages, written. A call that came from another dialect is
// settled first (anthropic_settle.go); one of this dialect is written as it
// came, but for thinking that another dialect signed.

// EncodeCall implements [Codec]. When a foreign call states no output cap,
// max_tokens is the documented one of the model's family (anthropicFamilies); that
// is no loss.
func (AnthropicCodec) EncodeCall(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error) {
	if call.Model == "" {
		return nil, nil, errors.New("model: is required")
	}
	c, l := *call, &lossList{}
	if c.Extra.Dialect == llm.Anthropic {
		dropForeign(&c, llm.Anthropic, anthropicOwnThought, l)
	} else {
		anthropicSettle(&c, l)
	}
	if len(c.Turns) == 0 && c.Extra.Dialect != llm.Anthropic {
		return nil, nil, errors.New("messages: must hold something that can be said to anthropic")
	}
	e := anthropicEncoder{writerOf(dst, callSize(&c))}
	e.call(&c)
	return e.buf, l.all, nil
}

// callSize, textSize and replySize are about how many bytes something takes when
// written.
func callSize(c *llm.Call) int {
	n := 512 + textSize(c.System)
	for i := range c.Turns {
		n += 32 + textSize(c.Turns[i].Parts)
	}
	return n
}

func replySize(r *llm.Reply) int {
	n := 256
	for i := range r.Choices {
		n += 128 + textSize(r.Choices[i].Parts)
	}
	return n
}

func textSize(parts []llm.Part) (n int) {
	for i := range parts {
		n += 32 + len(parts[i].Text)
	}
	return n
}

// anthropicEncoder writes requests and answers.
type anthropicEncoder struct{ jsonWriter }

// dropForeign leaves out the parts of a native call of dialect d that only
// another dialect may be given, and the turns that have nothing else. thinks
// says which thinking of another dialect stays.
func dropForeign(c *llm.Call, d llm.Dialect, thinks func(*llm.Part, *lossList) bool, l *lossList) {
	foreign := func(p *llm.Part) bool {
		if p.Kind == llm.PartThinking && p.Extra.Dialect != d {
			return !thinks(p, l)
		}
		if p.Kind == llm.PartOther && p.Extra.Dialect != d {
			l.add("messages.content", "a block that only "+string(p.Extra.Dialect)+" knows was left out")
			return true
		}
		return false
	}
	turns := make([]llm.Turn, 0, len(c.Turns))
	for _, t := range c.Turns {
		parts := make([]llm.Part, 0, len(t.Parts))
		for _, p := range t.Parts {
			if !foreign(&p) {
				parts = append(parts, p)
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

func (e *anthropicEncoder) call(c *llm.Call) {
	own := c.Extra.In(llm.Anthropic)
	s := &c.Sampling
	w := e.object(own)
	w.text("model", c.Model)
	w.count("max_tokens", s.MaxTokens)
	e.system(&w, c.System, own.Form)
	w.list("messages")
	for i := range c.Turns {
		e.turn(&c.Turns[i])
	}
	w.closeList()
	e.tools(&w, c, own.Form)
	if len(s.Stop) > 0 || own.Form&anthropicStopEmpty != 0 {
		w.strings("stop_sequences", s.Stop)
	}
	w.float("temperature", s.Temperature)
	w.float("top_p", s.TopP)
	w.intPointer("top_k", s.TopK)
	if c.Stream || own.Form&anthropicStreamFalse != 0 {
		w.bool("stream", c.Stream)
	}
	e.thinking(&w, &c.Reasoning)
	e.output(&w, c, own.Form)
	metadata := w.sub("metadata")
	metadata.str("user_id", c.User)
	metadata.endSub()
	w.end()
}

func (e *anthropicEncoder) system(w *objectWriter, parts []llm.Part, form uint32) {
	switch {
	case form&anthropicSystemBare != 0 && anthropicPlain(parts):
		w.quote("system", parts[0].Text)
	case len(parts) > 0 || form&anthropicSystemEmpty != 0:
		e.blocks(w, "system", parts)
	}
}

func (e *anthropicEncoder) turn(t *llm.Turn) {
	own := t.Extra.In(llm.Anthropic)
	w := e.object(own)
	role := t.Role
	if role == llm.RoleTool {
		role = llm.RoleUser
	}
	w.text("role", string(role))
	if own.Form&anthropicContentBare != 0 && anthropicPlain(t.Parts) {
		w.quote("content", t.Parts[0].Text)
	} else {
		e.blocks(&w, "content", t.Parts)
	}
	w.end()
}

func (e *anthropicEncoder) tools(w *objectWriter, c *llm.Call, form uint32) {
	if len(c.Tools) > 0 || form&anthropicToolsEmpty != 0 {
		w.list("tools")
		for i := range c.Tools {
			e.tool(&c.Tools[i])
		}
		w.closeList()
	}
	if c.Choice.Raw != nil {
		w.put("tool_choice", c.Choice.Raw)
		return
	}
	for _, m := range anthropicModes {
		if m.mode != c.Choice.Mode {
			continue
		}
		w.key("tool_choice")
		in := e.object(c.Choice.Extra.In(llm.Anthropic))
		in.text("type", m.word)
		if m.mode == llm.ToolNamed {
			in.text("name", c.Choice.Name)
		}
		if c.Parallel != nil {
			in.bool("disable_parallel_tool_use", !*c.Parallel)
		}
		in.end()
	}
}

func (e *anthropicEncoder) tool(t *llm.Tool) {
	if t.Raw != nil {
		e.value(t.Raw)
		return
	}
	own := t.Extra.In(llm.Anthropic)
	w := e.object(own)
	if own.Form&anthropicToolCustom != 0 {
		w.text("type", "custom")
	}
	w.text("name", t.Name)
	if t.Description != "" || own.Form&anthropicToolBlank != 0 {
		w.text("description", t.Description)
	}
	w.set("input_schema", t.Schema)
	w.boolean("strict", t.Strict)
	e.cache(&w, t.Cache)
	w.end()
}

func (e *anthropicEncoder) thinking(w *objectWriter, r *llm.Reasoning) {
	if r.Mode == "" {
		return
	}
	w.key("thinking")
	in := e.object(r.Extra.In(llm.Anthropic))
	in.text("type", r.Mode)
	in.count("budget_tokens", r.Budget)
	in.end()
}

// output writes output_config, and output_format where the call came with it.
func (e *anthropicEncoder) output(w *objectWriter, c *llm.Call, form uint32) {
	schema := c.Output.Kind == llm.OutputSchema && c.Output.Schema != nil
	if schema && form&anthropicLegacyFormat != 0 {
		e.format(w, "output_format", &c.Output)
		schema = false
	}
	config := w.sub("output_config")
	config.str("effort", c.Reasoning.Effort)
	if schema {
		e.format(&config, "format", &c.Output)
	}
	config.endSub()
}

func (e *anthropicEncoder) format(w *objectWriter, name string, out *llm.Output) {
	w.drop(name)
	w.key(name)
	in := e.object(out.Extra.In(llm.Anthropic))
	in.text("type", "json_schema")
	in.put("schema", out.Schema)
	in.end()
}
