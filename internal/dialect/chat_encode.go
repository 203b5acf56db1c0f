package dialect

import (
	"fmt"
	"maps"
	"slices"

	"tailplane/internal/llm"
)

// Rules for writing a chat request:
//
//   - System parts that come from another dialect are one message, its content
//     a string when there is one part and a list otherwise.
//   - Adjacent assistant turns of another dialect become one message.
//   - Tool results of a turn become tool messages before the rest of the turn.
//     Images and files in them follow, with a line that names the call, in the
//     next user message, because a tool message holds text alone.
//   - The cap is max_completion_tokens unless the client wrote max_tokens or
//     the target wants it so.
//   - A stream for a client of another dialect asks for the usage event, which
//     those dialects always have.

// EncodeCall implements [Codec].
func (ChatCodec) EncodeCall(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error) {
	e := &chatEncoder{own: call.Extra.Dialect == llm.Chat}
	json := writerOf(dst, callSize(call))
	w := json.object(call.Extra.In(llm.Chat))
	e.losses.extra("", call.Extra, llm.Chat)
	w.str("model", call.Model)
	e.system(call.System)
	e.turns(call.Turns)
	w.items("messages", e.messages)
	e.tools(&w, call)
	e.sampling(&w, call)
	e.stream(&w, call)
	e.output(&w, &call.Output)
	e.reasoning(&w, call)
	w.flag("logprobs", call.Logprobs.Want)
	w.intPointer("top_logprobs", call.Logprobs.Top)
	w.str("user", call.User)
	w.set("metadata", mapJSON(call.Metadata))
	w.end()
	return json.buf, e.losses.all, nil
}

// chatEncoder gathers messages and what could not be said in them.
type chatEncoder struct {
	own      bool // the call was written in this dialect
	messages [][]byte
	// follow are content items out of tool results that wait for the next
	// message which is not a tool's.
	follow [][]byte
	losses lossList
	// reply says that an answer to a client is written: foreign signatures
	// are wrapped, where a request to a target leaves them out.
	reply bool
}

func mapJSON(m map[string]string) []byte {
	if len(m) == 0 {
		return nil
	}
	w := newObject(llm.Extra{})
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.text(k, m[k])
	}
	return w.end()
}

func (e *chatEncoder) system(parts []llm.Part) {
	for i := 0; i < len(parts); {
		p := &parts[i]
		own := p.Extra.Dialect == llm.Chat
		if own && p.Extra.Form&systemList == 0 {
			e.message(newObject(p.Extra), systemRole(p), quoteJSON(p.Text), e.mark(p, "system"))
			i++
			continue
		}
		end := i + 1
		for end < len(parts) && (parts[end].Extra.Dialect == llm.Chat) == own && (!own || parts[end].Extra.Form&systemMore != 0) {
			end++
		}
		items := e.items(parts[i:end], "system")
		content := arrayJSON(items)
		if !own {
			if len(items) == 0 {
				i = end
				continue
			}
			if end == i+1 && p.Kind == llm.PartText {
				content = quoteJSON(p.Text)
			}
		}
		e.message(newObject(llm.Extra{}), systemRole(p), content, nil)
		i = end
	}
}

func systemRole(p *llm.Part) string {
	if p.Extra.In(llm.Chat).Form&systemDeveloper != 0 {
		return "developer"
	}
	return "system"
}

// message adds one finished message.
func (e *chatEncoder) message(w *objectWriter, role string, content, mark []byte) {
	w.text("role", role)
	w.put("content", content)
	w.put("cache_control", mark)
	e.messages = append(e.messages, w.end())
}

// mark is the cache_control of a part whose message has it; an item's own is
// written by item.
func (e *chatEncoder) mark(p *llm.Part, path string) []byte {
	c := p.Cache
	if c == nil {
		return nil
	}
	if c.Extra.Dialect != llm.Chat {
		e.losses.add(join(path, "cache_control"), "the provider caches by itself; the mark was left out")
		return nil
	}
	w := newObject(c.Extra)
	w.text("type", c.Type)
	w.str("ttl", c.TTL)
	return w.end()
}

func (e *chatEncoder) turns(turns []llm.Turn) {
	for i := 0; i < len(turns); i++ {
		t := turns[i]
		path := fmt.Sprintf("messages[%d]", i)
		if t.Role == llm.RoleAssistant && t.Extra.Dialect != llm.Chat {
			for i+1 < len(turns) && turns[i+1].Role == llm.RoleAssistant && turns[i+1].Extra.Dialect != llm.Chat {
				i++
				t.Parts = slices.Concat(t.Parts, turns[i].Parts)
				e.losses.extra(path, turns[i].Extra, llm.Chat)
			}
		}
		e.losses.extra(path, t.Extra, llm.Chat)
		e.turn(&t, path)
	}
	e.flush()
}

// flush sends what waits behind the tool messages as a message of its own.
func (e *chatEncoder) flush() {
	if len(e.follow) > 0 {
		items := e.follow
		e.follow = nil
		e.message(newObject(llm.Extra{}), "user", arrayJSON(items), nil)
	}
}

func (e *chatEncoder) turn(t *llm.Turn, path string) {
	if t.Role == llm.RoleAssistant {
		e.flush()
		w := newObject(t.Extra.In(llm.Chat))
		w.text("role", "assistant")
		w.str("name", t.Name)
		if !e.assistant(w, t.Parts, t.Extra.In(llm.Chat).Form, path) && t.Extra.Dialect != llm.Chat {
			return // OpenAI refuses a message of nothing
		}
		w.set("cache_control", e.messageMark(t.Parts))
		e.messages = append(e.messages, w.end())
		return
	}
	var rest []llm.Part
	for i := range t.Parts {
		p := &t.Parts[i]
		switch {
		case p.Kind == llm.PartToolResult:
			e.toolMessage(t, p, path)
		case p.Kind == llm.PartOther && p.Extra.Dialect == llm.Chat && p.Extra.Form&wholeMessage != 0:
			e.messages = append(e.messages, p.Raw)
		default:
			rest = append(rest, *p)
		}
	}
	if len(rest) == 0 && (len(t.Parts) > 0 || t.Extra.Dialect != llm.Chat) {
		return
	}
	e.userMessage(t, rest, path)
}

// userMessage writes a user or system message.
func (e *chatEncoder) userMessage(t *llm.Turn, parts []llm.Part, path string) {
	role := "user"
	if t.Role == llm.RoleSystem {
		e.flush()
		role = "system"
		if t.Extra.In(llm.Chat).Form&turnDeveloper != 0 {
			role = "developer"
		}
	}
	w := newObject(t.Extra.In(llm.Chat))
	w.text("role", role)
	w.str("name", t.Name)
	content, ok := e.content(parts, t.Extra.In(llm.Chat).Form&contentMask, path)
	if len(e.follow) > 0 {
		items := append(e.follow, e.items(parts, path)...)
		e.follow = nil
		content = arrayJSON(items)
	}
	if !ok && content == nil {
		return
	}
	if content != nil {
		w.put("content", content)
	}
	w.set("cache_control", e.messageMark(parts))
	e.messages = append(e.messages, w.end())
}

// messageMark is the mark of the last part when it stood on the message.
func (e *chatEncoder) messageMark(parts []llm.Part) []byte {
	if len(parts) == 0 {
		return nil
	}
	p := &parts[len(parts)-1]
	if p.Cache == nil || p.Cache.Extra.Dialect != llm.Chat || p.Cache.Extra.Form != markMessage {
		return nil
	}
	return e.mark(p, "")
}

func (e *chatEncoder) toolMessage(t *llm.Turn, p *llm.Part, path string) {
	own := p.Extra.In(llm.Chat)
	w := newObject(llm.Extra{})
	if p.Extra.Dialect == llm.Chat {
		w = newObject(t.Extra.In(llm.Chat))
	}
	e.losses.extra(join(path, "tool_result"), p.Extra, llm.Chat)
	w.text("role", "tool")
	if own.Form&turnNoCallID == 0 {
		if p.Result.CallID == "" && p.Extra.Dialect != llm.Chat {
			w.text("tool_call_id", "")
		}
		w.str("tool_call_id", p.Result.CallID)
	}
	if p.Extra.Dialect == llm.Chat {
		w.str("name", t.Name)
	}
	if p.Result.Error {
		e.losses.add(join(path, "is_error"), "chat cannot mark a tool result as failed; its text is sent")
	}
	parts := p.Result.Parts
	if p.Extra.Dialect != llm.Chat {
		parts = e.splitMedia(p.Result, path)
	}
	if content, _ := e.content(parts, own.Form&contentMask, path); content != nil {
		w.put("content", content)
	} else if own.Form&contentMask == contentAuto {
		w.text("content", "")
	}
	w.set("cache_control", e.mark(p, path))
	e.messages = append(e.messages, w.end())
}

// splitMedia returns the parts that a tool message can hold; the others wait
// for the next user message.
func (e *chatEncoder) splitMedia(r *llm.ToolResult, path string) []llm.Part {
	var parts []llm.Part
	named := false
	for i := range r.Parts {
		p := &r.Parts[i]
		switch p.Kind {
		case llm.PartImage, llm.PartAudio, llm.PartFile:
			item := e.item(p, path)
			if item == nil {
				continue
			}
			if !named {
				named = true
				note := newObject(llm.Extra{})
				note.text("type", "text")
				note.text("text", "Attached to the result of tool call "+r.CallID+":")
				e.follow = append(e.follow, note.end())
			}
			e.follow = append(e.follow, item)
		default:
			parts = append(parts, *p)
		}
	}
	return parts
}

// tools writes tools, tool_choice and parallel_tool_calls.
func (e *chatEncoder) tools(w *objectWriter, call *llm.Call) {
	var items [][]byte
	var left []llm.Tool
	for i := range call.Tools {
		if raw := e.tool(&call.Tools[i], fmt.Sprintf("tools[%d]", i)); raw != nil {
			items, left = append(items, raw), append(left, call.Tools[i])
		}
	}
	if len(items) > 0 {
		w.items("tools", items)
	} else {
		w.set("tools", nil)
	}
	if len(items) == 0 && !e.own {
		if call.Choice.Mode != "" || call.Choice.Raw != nil {
			e.losses.add("tool_choice", "chat allows no choice without tools")
		}
		return
	}
	choice := call.Choice
	if !e.own {
		choice = settleNamed(choice, call.Tools, left, &e.losses)
	}
	w.set("tool_choice", e.choice(&choice))
	w.boolean("parallel_tool_calls", call.Parallel)
}

func (e *chatEncoder) tool(t *llm.Tool, path string) []byte {
	own := t.Extra.Dialect == llm.Chat
	if t.Raw != nil {
		if own {
			return t.Raw
		}
		e.losses.add(path, "the tool is known to "+string(t.Extra.Dialect)+" only")
		return nil
	}
	e.losses.extra(path, t.Extra, llm.Chat)
	w := newObject(t.Extra.In(llm.Chat))
	w.text("type", "function")
	f := w.sub("function")
	f.text("name", t.Name)
	f.str("description", t.Description)
	f.set("parameters", t.Schema)
	f.boolean("strict", t.Strict)
	f.endSub()
	if t.Cache != nil {
		w.put("cache_control", e.mark(&llm.Part{Cache: t.Cache}, path))
	}
	return w.end()
}

func (e *chatEncoder) choice(c *llm.ToolChoice) []byte {
	own := c.Extra.In(llm.Chat)
	if c.Raw != nil {
		if c.Extra.Dialect == llm.Chat {
			return c.Raw
		}
		e.losses.add("tool_choice", "the form is known to "+string(c.Extra.Dialect)+" only")
		return nil
	}
	e.losses.extra("tool_choice", c.Extra, llm.Chat)
	switch c.Mode {
	case "":
		return nil
	case llm.ToolNamed:
		w := newObject(own)
		w.text("type", "function")
		f := w.sub("function")
		f.text("name", c.Name)
		f.endSub()
		return w.end()
	case llm.ToolRequired:
		if own.Form == 1 {
			return stringJSON("any")
		}
	}
	return stringJSON(string(c.Mode))
}

func (e *chatEncoder) sampling(w *objectWriter, call *llm.Call) {
	s := &call.Sampling
	form := call.Extra.In(llm.Chat).Form
	if form&chatMaxTokensOld != 0 || s.OldCap {
		w.set("max_completion_tokens", nil)
		w.count("max_tokens", s.MaxTokens)
	} else {
		w.count("max_completion_tokens", s.MaxTokens)
	}
	e.draw(w, s, form)
}

// draw writes how tokens are drawn, which completions spells alike.
func (e *chatEncoder) draw(w *objectWriter, s *llm.Sampling, form uint32) {
	w.float("temperature", s.Temperature)
	w.float("top_p", s.TopP)
	if s.TopK != nil && !e.own {
		e.losses.add("top_k", "chat has no equivalent")
	} else {
		w.intPointer("top_k", s.TopK)
	}
	w.float("frequency_penalty", s.FrequencyPenalty)
	w.float("presence_penalty", s.PresencePenalty)
	if s.Seed != nil {
		w.integer("seed", *s.Seed)
	} else {
		w.set("seed", nil)
	}
	switch {
	case len(s.Stop) == 0:
		w.set("stop", nil)
	case len(s.Stop) == 1 && form&chatStopString != 0:
		w.text("stop", s.Stop[0])
	default:
		w.strings("stop", s.Stop)
	}
	w.count("n", s.N)
}

func (e *chatEncoder) stream(w *objectWriter, call *llm.Call) {
	w.flag("stream", call.Stream)
	o := w.sub("stream_options")
	o.flag("include_usage", call.WantUsage || call.Stream && !e.own)
	o.endSub()
}

func (e *chatEncoder) output(w *objectWriter, out *llm.Output) {
	w.str("verbosity", out.Verbosity)
	own := out.Extra.In(llm.Chat)
	e.losses.extra("response_format", out.Extra, llm.Chat)
	f := newObject(own)
	switch out.Kind {
	case llm.OutputText:
		f.text("type", "text")
	case llm.OutputJSON:
		f.text("type", "json_object")
	case llm.OutputSchema:
		f.text("type", "json_schema")
		s := f.sub("json_schema")
		name := out.Name
		if name == "" && out.Extra.Dialect != llm.Chat {
			name = "answer" // the member is mandatory
		}
		s.str("name", name)
		s.str("description", out.Description)
		s.set("schema", out.Schema)
		s.boolean("strict", out.Strict)
		s.endSub()
	default:
		w.set("response_format", nil)
		return
	}
	w.set("response_format", f.end())
}

// reasoning writes the effort, or OpenRouter's object where the client did.
func (e *chatEncoder) reasoning(w *objectWriter, call *llm.Call) {
	r := &call.Reasoning
	if r.Extra.Dialect == llm.Chat && r.Extra.Form&chatReasoningObj != 0 {
		o := newObject(r.Extra)
		o.str("effort", r.Effort)
		o.count("max_tokens", r.Budget)
		w.put("reasoning", o.end())
		w.set("reasoning_effort", nil)
		return
	}
	e.losses.extra("reasoning", r.Extra, llm.Chat)
	effort := r.Effort
	switch {
	case e.own:
	case effort == "" && r.Budget > 0:
		effort = chatEffort(r.Budget)
		e.losses.add("thinking.budget_tokens", "chat has no budget; said as effort "+effort)
	case r.Budget > 0:
		e.losses.add("thinking.budget_tokens", "chat has no budget; the effort stands alone")
	}
	if effort == "max" && !e.own {
		effort = "xhigh"
		e.losses.add("reasoning_effort", "few models of chat know max; xhigh was asked for")
	}
	if r.Mode == "disabled" && effort == "" {
		e.losses.add("thinking", "chat has no switch for thinking; the target decides")
	}
	if r.Summary != "" {
		e.losses.add("reasoning.summary", "chat has no equivalent")
	}
	w.str("reasoning_effort", effort)
}
