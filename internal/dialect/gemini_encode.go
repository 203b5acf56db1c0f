package dialect

import (
	"errors"
	"strings"

	"tailplane/internal/llm"
)

// Requests of :generateContent, written. A call that came from another dialect
// is settled first (gemini_settle.go); one of this dialect is written as it
// came, but for thinking that another dialect signed.

const geminiNoEquivalent = "gemini has no equivalent"

// EncodeCall implements [Codec]. The body names neither the model, unless the
// client's did, nor whether the answer streams: both stand in the path.
func (GeminiCodec) EncodeCall(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error) {
	c, l := *call, &lossList{}
	own := c.Extra.Dialect == llm.Gemini
	if !own {
		geminiSettle(&c, l)
		if len(c.Turns) == 0 {
			return nil, nil, errors.New("messages: must hold something that can be said to gemini")
		}
	}
	e := &geminiEncoder{
		jsonWriter: writerOf(dst, callSize(&c)),
		losses:     l, own: own, names: geminiNamesOf(c.Turns), follow: !own && !geminiFamilyOf(c.Model).media,
	}
	e.request(&c)
	return e.buf, l.all, nil
}

// geminiEncoder writes requests and answers.
type geminiEncoder struct {
	jsonWriter
	losses *lossList
	own    bool // the call was written in this dialect
	// reply says that an answer to a client is written: foreign signatures are
	// wrapped, where a request to a target leaves them out.
	reply bool
	// names are the functions that calls ask for, by the id of the call.
	names map[string]string
	// follow says that media in a tool's result stand behind it, because the
	// model takes none in it; behind are those that wait.
	follow bool
	behind []llm.Part
}

// geminiNamesOf finds the function of each call.
func geminiNamesOf(turns []llm.Turn) map[string]string {
	names := make(map[string]string)
	for i := range turns {
		for k := range turns[i].Parts {
			if t := turns[i].Parts[k].Tool; t != nil {
				names[t.ID] = t.Name
			}
		}
	}
	return names
}

func (e *geminiEncoder) request(c *llm.Call) {
	own := c.Extra.In(llm.Gemini)
	w := e.object(own)
	switch {
	case c.Model == "":
		w.set("model", nil)
	case own.Form&geminiModelPath != 0:
		w.text("model", geminiModels+c.Model)
	case own.Form&geminiModelBare != 0:
		w.text("model", c.Model)
	}
	e.system(&w, c.System)
	w.list("contents")
	for i := range c.Turns {
		if !e.own || !geminiOnlyForeign(&c.Turns[i]) {
			e.turn(&c.Turns[i])
		} else {
			e.losses.add("messages.content.thinking", "thinking that another model did was left out")
		}
	}
	w.closeList()
	e.tools(&w, c.Tools, own.Form)
	e.choice(&w, c)
	e.config(&w, c)
	w.set("labels", mapJSON(c.Metadata))
	geminiEnd(&w)
}

// geminiOnlyForeign reports whether a turn has nothing but thinking that another
// dialect signed, which Gemini may not be given.
func geminiOnlyForeign(t *llm.Turn) bool {
	for i := range t.Parts {
		if p := &t.Parts[i]; p.Kind != llm.PartThinking || p.Extra.Dialect == llm.Gemini {
			return false
		}
	}
	return len(t.Parts) > 0
}

func (e *geminiEncoder) system(w *objectWriter, parts []llm.Part) {
	in := w.sub("systemInstruction")
	if len(parts) > 0 {
		in.list("parts")
		e.parts(parts)
		in.closeList()
	} else {
		in.set("parts", nil)
	}
	geminiEndSub(&in)
}

func (e *geminiEncoder) turn(t *llm.Turn) {
	own := t.Extra.In(llm.Gemini)
	w := e.object(own)
	switch role := t.Role; {
	case role == llm.RoleAssistant:
		w.text("role", "model")
	case role == llm.RoleTool && e.own:
		w.text("role", "function")
	case own.Form&geminiNoRole == 0:
		w.text("role", "user")
	}
	if len(t.Parts) > 0 || own.Form&geminiNoParts == 0 {
		w.list("parts")
		e.parts(t.Parts)
		w.closeList()
	}
	geminiEnd(&w)
}

// tools writes the functions that follow each other into one object, as the
// client had them.
func (e *geminiEncoder) tools(w *objectWriter, tools []llm.Tool, form uint32) {
	var items [][]byte
	for i := 0; i < len(tools); {
		end := i + 1
		for end < len(tools) && e.together(&tools[end-1], &tools[end]) {
			end++
		}
		items = append(items, e.toolGroup(tools[i:end]))
		i = end
	}
	switch {
	case len(items) == 0:
		w.set("tools", nil)
	case len(items) == 1 && form&geminiToolsObject != 0:
		w.put("tools", items[0])
	default:
		w.items("tools", items)
	}
}

// together reports whether b stands in the object of a.
func (e *geminiEncoder) together(a, b *llm.Tool) bool {
	if b.Extra.Dialect == llm.Gemini && a.Extra.Dialect == llm.Gemini {
		return b.Extra.Form&geminiToolMore != 0
	}
	return a.Raw == nil && b.Raw == nil
}

func (e *geminiEncoder) toolGroup(tools []llm.Tool) []byte {
	if tools[0].Raw != nil {
		return tools[0].Raw
	}
	name := "functionDeclarations"
	if tools[0].Extra.In(llm.Gemini).Form&geminiToolSnake != 0 {
		name = "function_declarations"
	}
	var rest []byte
	if last := tools[len(tools)-1]; last.Raw != nil {
		rest, tools = last.Raw, tools[:len(tools)-1]
	}
	w := newObject(llm.Extra{Members: rest})
	w.list(name)
	for i := range tools {
		geminiFunction(w.jsonWriter, &tools[i])
	}
	w.closeList()
	return w.end()
}

func geminiFunction(j *jsonWriter, t *llm.Tool) {
	own := t.Extra.In(llm.Gemini)
	w := j.object(own)
	w.text("name", t.Name)
	w.str("description", t.Description)
	geminiPutSchema(&w, "parameters", "parametersJsonSchema", geminiSchema{t.Schema, own.Form&geminiToolJSON != 0})
	geminiEnd(&w)
}

// geminiSchema is a schema and whether it came as JSON Schema.
type geminiSchema struct {
	schema []byte
	isJSON bool
}

// geminiPutSchema writes a schema under one of two names: as Gemini's own when
// that says it all, else as JSON Schema.
func geminiPutSchema(w *objectWriter, own, other string, s geminiSchema) {
	member, raw := w.takeKept(own)
	w.put(own, member) // stood beside the other, or is none of a kind that is read
	switch {
	case s.schema == nil:
		w.put(own, raw)
	case s.isJSON:
		w.put(own, raw)
		w.put(other, s.schema)
	case geminiSame(raw, s.schema):
		w.put(own, raw)
	default:
		if translated, ok := geminiFromSchema(s.schema); ok {
			w.put(own, translated)
		} else {
			w.put(other, s.schema)
		}
	}
}

func (e *geminiEncoder) choice(w *objectWriter, c *llm.Call) {
	config := w.sub("toolConfig")
	in := config.sub("functionCallingConfig")
	mode := c.Choice.Mode
	if mode == llm.ToolNamed {
		mode = llm.ToolRequired
	}
	written := false
	for _, m := range geminiModes {
		if m.mode != mode {
			continue
		}
		member, spelled := in.takeKept("mode")
		switch {
		case member != nil:
			in.put("mode", member)
		case spelled != nil:
			in.put("mode", spelled)
		default:
			in.text("mode", m.word)
		}
		written = true
	}
	if !written {
		in.set("mode", nil)
	}
	if c.Choice.Mode == llm.ToolNamed {
		in.strings("allowedFunctionNames", []string{c.Choice.Name})
	}
	geminiEndSub(&in)
	geminiEndSub(&config)
}

func (e *geminiEncoder) config(w *objectWriter, c *llm.Call) {
	in := w.sub("generationConfig")
	s := &c.Sampling
	in.float("temperature", s.Temperature)
	in.float("topP", s.TopP)
	in.intPointer("topK", s.TopK)
	in.count("candidateCount", s.N)
	in.count("maxOutputTokens", s.MaxTokens)
	if len(s.Stop) > 0 {
		in.strings("stopSequences", s.Stop)
	} else {
		in.set("stopSequences", nil)
	}
	e.output(&in, c)
	in.float("presencePenalty", s.PresencePenalty)
	in.float("frequencyPenalty", s.FrequencyPenalty)
	if s.Seed != nil {
		in.integer("seed", *s.Seed)
	} else {
		in.set("seed", nil)
	}
	in.flag("responseLogprobs", c.Logprobs.Want)
	in.intPointer("logprobs", c.Logprobs.Top)
	e.thinking(&in, &c.Reasoning)
	geminiEndSub(&in)
}

func (e *geminiEncoder) output(in *objectWriter, c *llm.Call) {
	form := c.Extra.In(llm.Gemini).Form
	switch out := &c.Output; {
	case out.Kind == llm.OutputText && e.own:
		in.text("responseMimeType", geminiMimeText)
	case out.Kind == llm.OutputJSON || out.Kind == llm.OutputSchema && form&geminiNoMime == 0:
		in.text("responseMimeType", geminiMimeJSON)
	default:
		in.set("responseMimeType", nil)
	}
	schema := geminiSchema{isJSON: form&geminiJSONSchema != 0}
	if c.Output.Kind == llm.OutputSchema {
		schema.schema = c.Output.Schema
	}
	geminiPutSchema(in, "responseSchema", "responseJsonSchema", schema)
}

func (e *geminiEncoder) thinking(in *objectWriter, r *llm.Reasoning) {
	t := in.sub("thinkingConfig")
	t.flag("includeThoughts", r.Summary != "")
	member, level := t.takeKept("thinkingLevel")
	switch said := scalarText(level); {
	case member != nil:
		t.put("thinkingLevel", member)
	case level != nil && (strings.EqualFold(said, r.Effort) || r.Effort == ""):
		t.put("thinkingLevel", level)
	default:
		t.str("thinkingLevel", r.Effort)
	}
	switch {
	case r.Budget > 0:
		t.count("thinkingBudget", r.Budget)
	case r.Mode == "disabled":
		t.integer("thinkingBudget", 0)
	case r.Mode == "adaptive":
		t.integer("thinkingBudget", geminiDynamic)
	default:
		t.set("thinkingBudget", nil)
	}
	geminiEndSub(&t)
}
