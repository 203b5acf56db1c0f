package dialect

import (
	"errors"
	"maps"
	"slices"

	"tailplane/internal/llm"
)

// Requests of the Responses dialect, as they are written. A call of another,
// stateless dialect says store:false, so that nothing is kept at the provider,
// and asks for encrypted reasoning, which then stands in for what was not
// kept.

// EncodeCall implements [Codec].
func (ResponsesCodec) EncodeCall(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error) {
	if call.Model == "" {
		return nil, nil, errors.New("model: must name a model")
	}
	e := &responsesEncoder{}
	extra := call.Extra.In(llm.Responses)
	native := call.Extra.Dialect == llm.Responses
	shared, rest := responsesShared(call.Extra)
	e.extra("", rest, llm.Responses)
	json := writerOf(dst, callSize(call))
	w := json.object(extra)
	w.text("model", call.Model)
	instructions := e.instructions(call.System)
	items := e.inputItems(call)
	if !native && len(items) == 0 && !instructions.Empty() {
		items, instructions = [][]byte{e.onlyInstructions(instructions)}, nil
	}
	w.quoteOrNone("instructions", instructions)
	e.input(&w, call, items, extra.Form)
	e.settings(&w, call)
	if !native {
		w.bool("store", false)
		w.strings("include", responsesInclude(call.Logprobs.Want))
	}
	for i := range shared {
		w.put(shared[i].name(), shared[i].value)
	}
	e.unsaid(call)
	w.end()
	return json.buf, e.all, nil
}

// responsesSharedNames are members that OpenAI has in chat and in responses alike
// (CreateModelResponseProperties in its description), and that say nothing of how the
// answer is kept. They are not carried the other way: chat is spoken by many that
// refuse what they do not know, and clients of responses send some of them unasked.
var responsesSharedNames = []string{"prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier"}

// responsesShared divides what a chat request keeps into what this dialect knows by
// the same name and the rest.
func responsesShared(x llm.Extra) (shared []member, rest llm.Extra) {
	o := kept(x.Members)
	if x.Dialect != llm.Chat || o == nil {
		return nil, x
	}
	for i := range o.members {
		if m := &o.members[i]; slices.Contains(responsesSharedNames, m.name()) {
			shared, m.use = append(shared, *m), useTaken
		}
	}
	x.Members = o.left()
	return shared, x
}

func responsesInclude(logprobs bool) []string {
	list := []string{responsesIncludeEncrypted}
	if logprobs {
		list = append(list, responsesIncludeLogprobs)
	}
	return list
}

// instructions joins the system parts that do not stand in the input.
func (e *responsesEncoder) instructions(parts []llm.Part) llm.Text {
	var texts []llm.Text
	for i := range parts {
		p := &parts[i]
		if p.Extra.In(llm.Responses).Form&responsesSystemItem != 0 {
			continue
		}
		if p.Kind != llm.PartText {
			e.add("system", "instructions are text in responses; the rest was left out")
			continue
		}
		e.foreign(p)
		texts = append(texts, p.Text)
	}
	return joinQuotes(texts, responsesSeparator)
}

// onlyInstructions is the input of a call that has nothing but instructions, which
// OpenAI does not take without an input.
func (e *responsesEncoder) onlyInstructions(text llm.Text) []byte {
	return e.messageItem(newObject(llm.Extra{}), llm.RoleSystem, responsesBare, []llm.Part{{Kind: llm.PartText, Text: text}})
}

// inputItems are the items of the conversation.
func (e *responsesEncoder) inputItems(call *llm.Call) [][]byte {
	items := e.systemItems(call.System)
	for i := range call.Turns {
		items = append(items, e.turn(&call.Turns[i])...)
	}
	return items
}

func (e *responsesEncoder) input(w *objectWriter, call *llm.Call, items [][]byte, form uint32) {
	if form&responsesBareInput != 0 && len(items) == 1 && len(call.Turns) == 1 && len(call.Turns[0].Parts) == 1 {
		w.quote("input", call.Turns[0].Parts[0].Text)
		return
	}
	if len(items) == 0 && form&responsesNoInput != 0 {
		w.set("input", nil)
		return
	}
	w.items("input", items)
}

// systemItems writes the parts of Call.System that stand in the input.
func (e *responsesEncoder) systemItems(parts []llm.Part) [][]byte {
	var items [][]byte
	var group []llm.Part
	for _, p := range parts {
		form := p.Extra.In(llm.Responses).Form
		if form&responsesSystemItem == 0 {
			continue
		}
		p.Extra.Form &^= responsesItemEnd
		group = append(group, p)
		if form&responsesItemEnd != 0 {
			items = append(items, e.messageItem(newObject(llm.Extra{}), llm.RoleSystem, form, group))
			group = nil
		}
	}
	return items
}

func (e *responsesEncoder) turn(t *llm.Turn) [][]byte {
	extra := t.Extra.In(llm.Responses)
	if extra.Form&responsesMessage != 0 {
		return [][]byte{e.messageItem(newObject(extra), t.Role, extra.Form, t.Parts)}
	}
	e.extra("messages", t.Extra, llm.Responses)
	if t.Name != "" {
		e.add("messages.name", responsesHasNoPlace)
	}
	role := t.Role
	if role == llm.RoleTool {
		role = llm.RoleUser // what stands beside a tool's result
	}
	return e.items(t.Parts, role)
}

func (e *responsesEncoder) settings(w *objectWriter, call *llm.Call) {
	native := call.Extra.Dialect == llm.Responses
	left := e.tools(w, call.Tools)
	choice := call.Choice
	switch {
	case native:
	case len(left) > 0:
		choice = settleNamed(choice, call.Tools, left, &e.lossList)
	case choice.Mode == llm.ToolRequired || choice.Mode == llm.ToolNamed:
		e.add("tool_choice", "there is no tool left to call")
		choice = llm.ToolChoice{}
	}
	e.choice(w, &choice)
	w.boolean("parallel_tool_calls", call.Parallel)
	e.output(w, &call.Output)
	e.thinking(w, &call.Reasoning)
	s := &call.Sampling
	w.count("max_output_tokens", s.MaxTokens)
	w.float("temperature", s.Temperature)
	w.float("top_p", s.TopP)
	if top := call.Logprobs.Top; top != nil && (native || call.Logprobs.Want) {
		w.integer("top_logprobs", int64(*top))
	}
	w.flag("stream", call.Stream)
	responsesMetadata(w, call.Metadata)
	w.str("user", call.User)
}

func responsesMetadata(w *objectWriter, meta map[string]string) {
	m := w.sub("metadata")
	for _, name := range slices.Sorted(maps.Keys(meta)) {
		m.text(name, meta[name])
	}
	m.endSub()
}

// tools writes the tools and returns those that could be said.
func (e *responsesEncoder) tools(w *objectWriter, tools []llm.Tool) (left []llm.Tool) {
	var list [][]byte
	for i := range tools {
		if tool := e.tool(&tools[i]); tool != nil {
			list, left = append(list, tool), append(left, tools[i])
		}
	}
	if list == nil {
		w.set("tools", nil)
		return nil
	}
	w.items("tools", list)
	return left
}

// tool writes a tool. Where a foreign tool does not speak of strictness it is
// switched off, because this dialect would switch it on.
func (e *responsesEncoder) tool(t *llm.Tool) []byte {
	native := t.Extra.Dialect == llm.Responses
	if t.Raw != nil {
		if !native {
			e.add("tools", "a tool that only "+string(t.Extra.Dialect)+" knows was left out")
			return nil
		}
		return t.Raw
	}
	e.extra("tools", t.Extra, llm.Responses)
	if t.Cache != nil {
		e.cache()
	}
	w := newObject(t.Extra.In(llm.Responses))
	w.text("type", "function")
	w.text("name", t.Name)
	w.str("description", t.Description)
	schema, strict := t.Schema, t.Strict
	if !native && schema == nil {
		schema = []byte(`{"type":"object","properties":{}}`)
	}
	if !native && strict == nil {
		strict = new(false)
	}
	w.set("parameters", schema)
	w.boolean("strict", strict)
	return w.end()
}

func (e *responsesEncoder) choice(w *objectWriter, c *llm.ToolChoice) {
	switch {
	case c.Raw != nil && c.Extra.Dialect != llm.Responses:
		e.add("tool_choice", "a form that only "+string(c.Extra.Dialect)+" knows was left out")
	case c.Raw != nil:
		w.put("tool_choice", c.Raw)
	case c.Mode == llm.ToolNamed:
		e.extra("tool_choice", c.Extra, llm.Responses)
		in := newObject(c.Extra.In(llm.Responses))
		in.text("type", "function")
		in.text("name", c.Name)
		w.put("tool_choice", in.end())
	case c.Mode != "":
		e.extra("tool_choice", c.Extra, llm.Responses)
		w.text("tool_choice", string(c.Mode))
	default:
		w.set("tool_choice", nil)
	}
}

func (e *responsesEncoder) output(w *objectWriter, out *llm.Output) {
	e.extra("response_format", out.Extra, llm.Responses)
	text := w.sub("text")
	text.str("verbosity", out.Verbosity)
	format := text.sub("format")
	words := map[llm.OutputKind]string{
		llm.OutputText: "text", llm.OutputJSON: "json_object", llm.OutputSchema: "json_schema",
	}
	if word := words[out.Kind]; word != "" {
		format.text("type", word)
	}
	if out.Kind == llm.OutputSchema {
		name, schema := out.Name, out.Schema
		if out.Extra.Dialect != llm.Responses {
			if name == "" {
				name = "answer" // the dialect demands one
			}
			if schema == nil {
				schema = []byte("{}")
			}
		}
		format.str("name", name)
		format.str("description", out.Description)
		format.set("schema", schema)
		format.boolean("strict", out.Strict)
	}
	format.endSub()
	text.endSub()
}

// thinking says how much to think. A budget in tokens becomes an effort.
func (e *responsesEncoder) thinking(w *objectWriter, r *llm.Reasoning) {
	e.extra("reasoning", r.Extra, llm.Responses)
	effort := r.Effort
	if r.Budget != 0 && effort == "" {
		effort = responsesEffort(r.Budget)
		e.add("thinking.budget_tokens", "responses has no budget; said as effort "+effort)
	} else if r.Budget != 0 {
		e.add("thinking.budget_tokens", "responses has no budget; the effort stands alone")
	}
	if r.Mode == "disabled" && effort == "" {
		e.add("thinking", "responses cannot switch thinking off for every model; the target decides")
	}
	in := w.sub("reasoning")
	in.str("effort", effort)
	in.str("summary", r.Summary)
	in.endSub()
}

// unsaid declares what the dialect has no member for.
func (e *responsesEncoder) unsaid(call *llm.Call) {
	s := &call.Sampling
	missing := []struct {
		feature string
		set     bool
	}{
		{"top_k", s.TopK != nil},
		{"frequency_penalty", s.FrequencyPenalty != nil && *s.FrequencyPenalty != 0},
		{"presence_penalty", s.PresencePenalty != nil && *s.PresencePenalty != 0},
		{"seed", s.Seed != nil},
		{"stop", len(s.Stop) > 0},
		{"n", s.N > 1},
	}
	for _, m := range missing {
		if m.set {
			e.add(m.feature, responsesHasNoPlace)
		}
	}
}
