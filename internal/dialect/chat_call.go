package dialect

import (
	"bytes"
	"slices"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Rules for reading a chat request:
//
//   - The leading run of system and developer messages whose content is text
//     becomes Call.System, one part for a bare string, one for each item of a
//     list. A message that carries more than that (a name, other content)
//     ends the run: it and what follows are turns.
//   - A message of role tool is a turn with one PartToolResult. The legacy
//     role function is a turn with one PartOther that holds the message, and so
//     is the result of a custom tool's call, which is a PartOther itself: other
//     dialects refuse a result whose call was left out.
//   - In an assistant message the order is thinking, content, refusal, calls;
//     the wire gives these members no order among each other.
//   - An item that says anything which cannot be given back from its canonical
//     fields and its Extra is a PartOther.

// Forms of a Call.
const (
	chatMaxTokensOld = 1 << iota // the cap is called max_tokens
	chatStopString               // stop is a bare string
	chatReasoningObj             // effort and budget stand in an object, as OpenRouter has it
)

// Forms of a Turn, and of a PartToolResult: how the content is spelled.
const (
	contentAuto   = iota // a string for one plain text, else a list
	contentAbsent        // no member
	contentNull
	contentString
	contentList
	contentMask = 7

	turnDeveloper = 1 << 3 // role developer
	turnNoCallID  = 1 << 4 // a tool message without tool_call_id
)

// Forms of a part.
const (
	systemDeveloper = 1 << iota // role developer
	systemList                  // the content is a list
	systemMore                  // the next item of the same message's list
	imageBare                   // image_url is a bare string
	fileDataURL                 // file_data is a data URL
	thinkingPlain               // the member is called reasoning
	thinkingBoth                // it stands in reasoning and reasoning_content
	thinkingItem                // an item of the content list
	thinkingBlock               // an item of thinking_blocks
	thinkingJoined              // the first of thinking_blocks whose text is in reasoning_content too
	thinkingString              // the item's thinking is a string, not a list
	refusalItem                 // an item of the content list
	callNoType                  // a tool call without type
	callObject                  // arguments is a JSON value, not text
	callItem                    // a PartOther of tool_calls
	wholeMessage                // a PartOther that is a message
	markMessage                 // on a CacheMark: it stands on the message
)

// DecodeCall implements [Codec].
func (ChatCodec) DecodeCall(body []byte, at *At) (*llm.Call, error) {
	o, err := openCall(body, at)
	if err != nil {
		return nil, err
	}
	call := o.newCall()
	call.Model = requiredModel(o)
	chatMessages(call, o)
	chatTools(call, o)
	form, search := chatSettings(call, o), chatSearch(o)
	call.Extra = o.extra(llm.Chat, form)
	call.Extra.Members = mergeMembers(call.Extra.Members, search)
	return result(o, call)
}

// chatSearch takes web_search_options when they are empty, which asks for a search
// all the same and is therefore no mere spelling; nil when they are not.
func chatSearch(o *object) (members []byte) {
	raw := o.peek(chatSearchOptions)
	if len(raw) == 0 || raw[0] != '{' || !isEmpty(raw) {
		return nil
	}
	return closeRaw(appendRaw(nil, stringJSON(chatSearchOptions), o.take(chatSearchOptions)))
}

const chatSearchOptions = "web_search_options"

func requiredModel(o *object) string {
	if !o.has("model") {
		o.wrong("model", "is missing: name the model to use")
	}
	model := o.str("model")
	if model == "" {
		o.wrong("model", "must name the model to use")
	}
	return model
}

func chatMessages(call *llm.Call, o *object) {
	if !o.has("messages") {
		o.wrong("messages", "is missing: send the conversation as a list")
	}
	leading, list := true, o.list("messages")
	call.Turns = o.turns(len(list))
	var customs []string
	o.each("messages", list, func(m *object, raw []byte) {
		if leading {
			parts := chatSystem(m)
			if leading = parts != nil; leading {
				call.System = joinParts(call.System, parts)
				return
			}
			m.releaseAll()
		}
		turn := chatTurn(m, raw)
		if chatAnswersCustom(&turn, customs) {
			turn = chatWholeTurn(raw)
		}
		customs = chatCustomCalls(customs, &turn)
		call.Turns = append(call.Turns, turn)
	})
}

// chatCustomCalls adds the ids of the calls of a turn that only chat knows.
func chatCustomCalls(ids []string, t *llm.Turn) []string {
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.Kind != llm.PartOther || p.Extra.Form != callItem {
			continue
		}
		if o, err := parseObject(p.Raw); err == nil {
			if id, ok := wire.Unquote(o.peek("id")); ok && id != "" {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// chatAnswersCustom reports whether a turn is the result of one of those calls.
func chatAnswersCustom(t *llm.Turn, ids []string) bool {
	return len(ids) > 0 && t.Role == llm.RoleTool && len(t.Parts) == 1 && t.Parts[0].Kind == llm.PartToolResult &&
		slices.Contains(ids, t.Parts[0].Result.CallID)
}

// chatWholeTurn is the turn of a message that only chat knows.
func chatWholeTurn(raw []byte) llm.Turn {
	return llm.Turn{
		Role: llm.RoleTool,
		Parts: []llm.Part{{
			Kind: llm.PartOther, Raw: bytes.Clone(raw),
			Extra: llm.Extra{Dialect: llm.Chat, Form: wholeMessage},
		}},
		Extra: llm.Extra{Dialect: llm.Chat},
	}
}

// chatSystem reads a message for Call.System; nil when it must be a turn.
func chatSystem(m *object) []llm.Part {
	form := uint32(0)
	switch role, _ := m.unquote(m.raw("role")); role {
	case "system":
	case "developer":
		form = systemDeveloper
	default:
		return nil
	}
	raw := m.raw("content")
	if text, ok := quoteOf(raw); ok && !text.Empty() {
		mark := cacheMark(m, markMessage)
		if m.has("name") {
			return nil
		}
		return append(m.parts(1), llm.Part{Kind: llm.PartText, Text: text, Cache: mark, Extra: m.extra(llm.Chat, form)})
	}
	if len(m.members) != 2 || len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	var parts []llm.Part
	for _, item := range elements(raw) {
		in, err := openObject(item, m.where)
		if err != nil {
			return nil
		}
		part := chatItem(in, item)
		if in.err() != nil || part.Kind != llm.PartText {
			return nil
		}
		part.Extra.Form = form | systemList
		if len(parts) > 0 {
			part.Extra.Form |= systemMore
		}
		parts = append(parts, part)
	}
	return parts
}

func chatTurn(m *object, raw []byte) llm.Turn {
	var turn llm.Turn
	if !m.has("role") {
		m.wrong("role", "is missing")
		return turn
	}
	role := m.str("role")
	form := uint32(0)
	switch role {
	case "system", "user", "assistant":
		turn.Role = llm.Role(role)
	case "developer":
		turn.Role, form = llm.RoleSystem, turnDeveloper
	case "tool":
		turn.Role = llm.RoleTool
		chatToolMessage(&turn, m)
		return turn
	case "function":
		return chatWholeTurn(raw)
	default:
		m.wrong("role", "%q is not a role; use system, developer, user, assistant or tool", role)
	}
	turn.Name = m.str("name")
	content := chatContent(m)
	form |= content.form
	if turn.Role == llm.RoleAssistant {
		turn.Parts = chatAssistant(m, content.parts)
	} else {
		turn.Parts = content.parts
	}
	if n := len(turn.Parts); n > 0 && turn.Parts[n-1].Cache == nil && m.has("cache_control") {
		turn.Parts[n-1].Cache = cacheMark(m, markMessage)
	}
	turn.Extra = m.extra(llm.Chat, form)
	return turn
}

func chatToolMessage(turn *llm.Turn, m *object) {
	turn.Name = m.str("name")
	form := uint32(0)
	if !m.has("tool_call_id") {
		form = turnNoCallID
	}
	result := &llm.ToolResult{CallID: m.str("tool_call_id")}
	content := chatContent(m)
	result.Parts = content.parts
	part := llm.Part{Kind: llm.PartToolResult, Result: result, Cache: cacheMark(m, markMessage)}
	part.Extra = llm.Extra{Dialect: llm.Chat, Form: form | content.form}
	turn.Parts = append(m.parts(1), part)
	turn.Extra = m.extra(llm.Chat, 0)
}

func chatTools(call *llm.Call, o *object) {
	o.each("tools", o.list("tools"), func(tool *object, raw []byte) {
		call.Tools = append(call.Tools, chatTool(tool, raw))
	})
	call.Choice = chatToolChoice(o)
}

func chatTool(o *object, raw []byte) llm.Tool {
	other := llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Chat}}
	if o.str("type") != "function" {
		return other
	}
	in := o.sub("function")
	if in == nil {
		o.wrong("function", "is missing")
		return other
	}
	tool := llm.Tool{
		Name: in.need("name"), Description: in.str("description"), Schema: in.schema("parameters"), Strict: in.boolean("strict"),
		Cache: cacheMark(o, 0),
	}
	tool.Extra = o.extra(llm.Chat, 0)
	return tool
}

func chatToolChoice(o *object) llm.ToolChoice {
	raw := o.raw("tool_choice")
	if raw == nil {
		return llm.ToolChoice{}
	}
	extra := llm.Extra{Dialect: llm.Chat}
	if word, ok := wire.Unquote(raw); ok {
		switch mode := llm.ToolMode(word); mode {
		case llm.ToolAuto, llm.ToolNone, llm.ToolRequired:
			return llm.ToolChoice{Mode: mode, Extra: extra}
		}
		if word == "any" { // Mistral's word
			extra.Form = 1
			return llm.ToolChoice{Mode: llm.ToolRequired, Extra: extra}
		}
		return llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}
	}
	if raw[0] != '{' {
		o.wrong("tool_choice", "must be a string or an object")
	}
	c := o.open(raw, o.under("tool_choice"))
	if kind, _ := wire.Unquote(c.raw("type")); kind != "function" {
		return llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}
	}
	in := c.sub("function")
	if in == nil {
		return llm.ToolChoice{Raw: bytes.Clone(raw), Extra: extra}
	}
	return llm.ToolChoice{Mode: llm.ToolNamed, Name: in.need("name"), Extra: c.extra(llm.Chat, 0)}
}

// chatSettings reads the remaining members and returns the call's form.
func chatSettings(call *llm.Call, o *object) (form uint32) {
	steps := []func(*llm.Call, *object, *uint32){
		chatMaxTokens, chatSampling, chatStop, chatStream, chatOutput, chatReasoning, chatWantLogprobs, chatOwner,
	}
	for _, step := range steps {
		step(call, o, &form)
	}
	return form
}

// chatMaxTokens: max_completion_tokens counts; max_tokens beside it stays in
// Extra.
func chatMaxTokens(call *llm.Call, o *object, form *uint32) {
	s := &call.Sampling
	if s.MaxTokens = o.count("max_completion_tokens"); s.MaxTokens != 0 {
		return
	}
	if s.MaxTokens = o.count("max_tokens"); s.MaxTokens != 0 {
		*form |= chatMaxTokensOld
	}
}

func chatSampling(call *llm.Call, o *object, _ *uint32) {
	s := &call.Sampling
	s.Temperature = o.float("temperature")
	s.TopP = o.float("top_p")
	s.FrequencyPenalty = o.float("frequency_penalty")
	s.PresencePenalty = o.float("presence_penalty")
	s.TopK = o.intPointer("top_k")
	s.Seed = o.integer("seed")
	s.N = o.count("n")
}

func chatStop(call *llm.Call, o *object, form *uint32) {
	raw := o.raw("stop")
	if raw == nil {
		return
	}
	if s, ok := wire.Unquote(raw); ok {
		if s == "" {
			o.keep("stop")
			return
		}
		call.Sampling.Stop = []string{s}
		*form |= chatStopString
		return
	}
	if raw[0] != '[' {
		o.wrong("stop", "must be a string or a list of strings")
	}
	call.Sampling.Stop = o.strings("stop", o.list("stop"))
}

func chatStream(call *llm.Call, o *object, _ *uint32) {
	call.Stream = o.flag("stream")
	if options := o.sub("stream_options"); options != nil {
		call.WantUsage = options.flag("include_usage")
	}
}

func chatOutput(call *llm.Call, o *object, _ *uint32) {
	out := &call.Output
	out.Verbosity = o.str("verbosity")
	raw := o.raw("response_format")
	if raw == nil {
		return
	}
	f := o.open(raw, o.under("response_format"))
	switch kind, _ := wire.Unquote(f.raw("type")); kind {
	case "text":
		out.Kind = llm.OutputText
	case "json_object":
		out.Kind = llm.OutputJSON
	case "json_schema":
		in := f.sub("json_schema")
		if in == nil {
			f.wrong("json_schema", "is missing")
			return
		}
		chatSchema(out, in)
	default: // an engine's own kind of grammar
		o.release("response_format")
		return
	}
	out.Extra = f.extra(llm.Chat, 0)
}

func chatSchema(out *llm.Output, in *object) {
	out.Kind = llm.OutputSchema
	out.Name = in.str("name")
	out.Description = in.str("description")
	out.Schema = bytes.Clone(in.raw("schema"))
	out.Strict = in.boolean("strict")
}

// chatReasoning reads reasoning_effort, or the reasoning object that OpenRouter
// has instead; where both stand, the object stays in Extra.
func chatReasoning(call *llm.Call, o *object, form *uint32) {
	r := &call.Reasoning
	if r.Effort = o.str("reasoning_effort"); r.Effort != "" {
		return
	}
	if raw := o.peek("reasoning"); len(raw) == 0 || raw[0] != '{' {
		return
	}
	in := o.open(o.raw("reasoning"), o.under("reasoning"))
	r.Effort = in.str("effort")
	r.Budget = in.count("max_tokens")
	*form |= chatReasoningObj
	r.Extra = in.extra(llm.Chat, chatReasoningObj)
}

func chatWantLogprobs(call *llm.Call, o *object, _ *uint32) {
	call.Logprobs.Want = o.flag("logprobs")
	call.Logprobs.Top = o.intPointer("top_logprobs")
}

func chatOwner(call *llm.Call, o *object, _ *uint32) {
	call.Parallel = o.boolean("parallel_tool_calls")
	call.User = o.str("user")
	call.Metadata = stringMap(o, "metadata")
}

// stringMap takes an object whose values are all strings; any other value
// stays in Extra.
func stringMap(o *object, name string) map[string]string {
	raw := o.peek(name)
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	in, err := openObject(raw, where{})
	if err != nil {
		return nil
	}
	values := make(map[string]string, len(in.members))
	for i := range in.members {
		s, ok := wire.Unquote(in.members[i].value)
		if !ok {
			return nil
		}
		values[in.members[i].name()] = s
	}
	o.raw(name)
	if len(values) == 0 {
		o.keep(name)
		return nil
	}
	return values
}
