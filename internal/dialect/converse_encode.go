package dialect

import (
	"errors"
	"maps"
	"slices"

	"tailplane/internal/llm"
)

// Requests of Converse, written. A call that came from another dialect is
// settled first (converse_settle.go); one of this dialect is written as it came,
// but for thinking that another dialect signed.

// EncodeCall implements [Codec]. Model and Stream are not written: the caller
// puts both in the path. The model decides how thinking and top-k are asked for.
func (ConverseCodec) EncodeCall(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error) {
	c, l := *call, &lossList{}
	form := c.Extra.In(llm.Converse).Form
	if c.Extra.Dialect == llm.Converse {
		dropForeign(&c, llm.Converse, converseOwnThought(c.Model), l)
	} else {
		form = converseSettle(&c, l)
		if len(c.Turns) == 0 {
			return nil, nil, errors.New("messages: must hold something that can be said to converse")
		}
	}
	e := converseEncoder{writerOf(dst, callSize(&c))}
	e.call(&c, form)
	return e.buf, l.all, nil
}

func (e *converseEncoder) call(c *llm.Call, form uint32) {
	w := e.object(c.Extra.In(llm.Converse))
	if len(c.System) > 0 {
		e.blocks(&w, "system", c.System)
	} else {
		w.set("system", nil)
	}
	if form&converseNoMessages == 0 {
		w.list("messages")
		for i := range c.Turns {
			e.turn(&c.Turns[i])
		}
		w.closeList()
	}
	s := &c.Sampling
	config := w.sub("inferenceConfig")
	config.count("maxTokens", s.MaxTokens)
	config.float("temperature", s.Temperature)
	config.float("topP", s.TopP)
	if len(s.Stop) > 0 {
		config.strings("stopSequences", s.Stop)
	}
	config.endSub()
	e.tools(&w, c)
	conversePutFields(&w, c, form)
	e.output(&w, c, form)
	if len(c.Metadata) > 0 {
		w.drop("requestMetadata")
		w.key("requestMetadata")
		in := e.object(llm.Extra{})
		for _, name := range slices.Sorted(maps.Keys(c.Metadata)) {
			in.comma()
			in.buf = append(append(in.buf, stringJSON(name)...), ':')
			in.buf = append(in.buf, stringJSON(c.Metadata[name])...)
		}
		in.end()
	}
	w.end()
}

func (e *converseEncoder) turn(t *llm.Turn) {
	w := e.object(t.Extra.In(llm.Converse))
	role := t.Role
	if role == llm.RoleTool {
		role = llm.RoleUser
	}
	w.text("role", string(role))
	e.blocks(&w, "content", t.Parts)
	w.end()
}

func (e *converseEncoder) tools(w *objectWriter, c *llm.Call) {
	in := w.sub("toolConfig")
	if len(c.Tools) > 0 {
		in.list("tools")
		for i := range c.Tools {
			e.tool(&c.Tools[i])
		}
		in.closeList()
	}
	if c.Choice.Raw != nil {
		in.put("toolChoice", c.Choice.Raw)
	}
	for _, m := range converseModes {
		if m.mode != c.Choice.Mode {
			continue
		}
		in.drop("toolChoice")
		in.key("toolChoice")
		choice := e.object(c.Choice.Extra.In(llm.Converse))
		kind := choice.sub(m.word)
		kind.blank = []byte("{}")
		if m.mode == llm.ToolNamed {
			kind.text("name", c.Choice.Name)
		}
		kind.endSub()
		choice.end()
	}
	in.endSub()
}

func (e *converseEncoder) tool(t *llm.Tool) {
	if t.Raw != nil {
		e.value(t.Raw)
		return
	}
	own := t.Extra.In(llm.Converse)
	w := e.object(own)
	in := w.sub("toolSpec")
	in.text("name", t.Name)
	in.str("description", t.Description)
	if own.Form&converseNoSchema == 0 || t.Schema != nil {
		schema := in.sub("inputSchema")
		schema.put("json", t.Schema)
		schema.endSub()
	}
	in.boolean("strict", t.Strict)
	in.endSub()
	w.end()
	e.cache(t.Cache)
}

// output writes outputConfig: the schema is a text there.
func (e *converseEncoder) output(w *objectWriter, c *llm.Call, form uint32) {
	config := w.sub("outputConfig")
	if out := &c.Output; out.Kind == llm.OutputSchema && out.Schema != nil {
		format := config.sub("textFormat")
		format.text("type", "json_schema")
		structure := format.sub("structure")
		schema := structure.sub("jsonSchema")
		schema.text("schema", string(out.Schema))
		schema.str("name", out.Name)
		schema.str("description", out.Description)
		schema.endSub()
		structure.endSub()
		format.endSub()
	}
	if form&converseOutputEffort != 0 {
		config.text("effort", c.Reasoning.Effort)
	}
	config.endSub()
}
