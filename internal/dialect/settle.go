package dialect

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// What settling a call has in common for the dialects in which user and assistant
// take turns and every tool result stands in a turn (anthropic, converse, gemini):
// before a call of another dialect is written, what cannot be said or would be
// refused is changed or left out, and each such change is a loss.

// sayPart makes a part sayable in a turn of role; ok is false when it is left out,
// with the mark of a cache that it had. The part's pointers are replaced, never
// written through. A text of which nothing is kept but the text, and which is not
// blank, can be said as it is.
type sayPart func(p llm.Part, role llm.Role) (said llm.Part, ok bool)

// settleTurns puts the instructions and turns of a call into the shape that dialect
// d accepts: instructions first; then turns of user and assistant, each with
// content, no two of a role beside each other; the results of tools stand at the
// head of their turn.
func settleTurns(c *llm.Call, d llm.Dialect, say sayPart, l *lossList) {
	turns, system := c.Turns, c.System
	for len(turns) > 0 && turns[0].Role == llm.RoleSystem {
		l.extra("messages", turns[0].Extra, d)
		system = append(system[:len(system):len(system)], turns[0].Parts...)
		turns = turns[1:]
	}
	c.System = settleParts(system, llm.RoleSystem, say, l)
	c.Turns = make([]llm.Turn, 0, len(turns))
	for _, t := range turns {
		role := settleRole(&t, d, l)
		parts := settleParts(t.Parts, role, say, l)
		switch n := len(c.Turns); {
		case len(parts) == 0:
		case n > 0 && c.Turns[n-1].Role == role:
			c.Turns[n-1].Parts = append(c.Turns[n-1].Parts, parts...)
		default:
			c.Turns = append(c.Turns, llm.Turn{Role: role, Parts: parts})
		}
	}
	for i := range c.Turns {
		c.Turns[i].Parts = resultsFirst(c.Turns[i].Parts)
	}
	if len(c.Turns) == 0 && len(c.System) > 0 {
		c.Turns = []llm.Turn{{Role: llm.RoleUser, Parts: c.System}}
		c.System = nil
		l.add("messages", "there are only instructions; they were said by the user")
	}
}

// settleRole is who speaks in a turn, and declares what else the turn says.
func settleRole(t *llm.Turn, d llm.Dialect, l *lossList) llm.Role {
	l.extra("messages", t.Extra, d)
	if t.Name != "" {
		l.none("messages.name", d)
	}
	switch t.Role {
	case llm.RoleAssistant:
		return llm.RoleAssistant
	case llm.RoleSystem:
		l.add("messages.role", "instructions in the middle of the conversation were said by the user")
	}
	return llm.RoleUser
}

// settleParts makes parts sayable; the list is the caller's where nothing changes.
func settleParts(parts []llm.Part, role llm.Role, say sayPart, l *lossList) []llm.Part {
	if plainTexts(parts) && !slices.ContainsFunc(parts, isBlankPart) {
		return slices.Clip(parts)
	}
	said := make([]llm.Part, 0, len(parts))
	for i := range parts {
		if p, ok := say(parts[i], role); ok {
			said = append(said, p)
		} else {
			moveMark(said, p.Cache, l)
		}
	}
	return said
}

// moveMark puts the mark of a part that was left out on the part before it,
// which then ends the prefix to be cached.
func moveMark(before []llm.Part, m *llm.CacheMark, l *lossList) {
	switch n := len(before); {
	case m == nil:
	case n > 0 && before[n-1].Cache == nil && before[n-1].Kind != llm.PartThinking && before[n-1].Kind != llm.PartOther:
		before[n-1].Cache = m
	default:
		l.add("cache_control", "the block that it marks was left out")
	}
}

// plainTexts reports whether parts are texts that say nothing beside their text.
func plainTexts(parts []llm.Part) bool {
	for i := range parts {
		if p := &parts[i]; p.Kind != llm.PartText || p.Cache != nil || len(p.Extra.Members) > 0 {
			return false
		}
	}
	return true
}

func isBlankPart(p llm.Part) bool { return isBlank(p.Text) }

func isResult(p llm.Part) bool { return p.Kind == llm.PartToolResult }

// resultsFirst puts the results of tools before the other parts.
func resultsFirst(parts []llm.Part) []llm.Part {
	if !slices.ContainsFunc(parts, isResult) {
		return parts
	}
	out := make([]llm.Part, 0, len(parts))
	for _, p := range parts {
		if isResult(p) {
			out = append(out, p)
		}
	}
	for _, p := range parts {
		if !isResult(p) {
			out = append(out, p)
		}
	}
	return out
}

// userBegins puts a turn of the user before a conversation that the assistant
// begins.
func userBegins(turns []llm.Turn, l *lossList) []llm.Turn {
	if len(turns) == 0 || turns[0].Role != llm.RoleAssistant {
		return turns
	}
	l.add("messages", `the assistant speaks first; a user turn "." was put before it`)
	first := llm.Turn{Role: llm.RoleUser, Parts: []llm.Part{{Kind: llm.PartText, Text: quoted(".")}}}
	return append([]llm.Turn{first}, turns...)
}

// trimPrefill takes the white space off the end of a last assistant turn.
func trimPrefill(turns []llm.Turn, l *lossList) {
	if len(turns) == 0 || turns[len(turns)-1].Role != llm.RoleAssistant {
		return
	}
	turn := &turns[len(turns)-1]
	last := len(turn.Parts) - 1
	if turn.Parts[last].Kind != llm.PartText {
		return
	}
	said := unquoted(turn.Parts[last].Text)
	if text := strings.TrimRight(said, " \t\r\n"); text != said {
		turn.Parts = slices.Clone(turn.Parts)
		turn.Parts[last].Text = quoted(text)
		l.add("messages.content", "white space at the end of the last assistant turn was cut")
	}
}

// settleText makes a refusal text and leaves out one of white space, for dialects
// whose providers refuse it.
func settleText(p llm.Part, l *lossList) (llm.Part, bool) {
	if p.Kind == llm.PartRefusal {
		l.add("messages.content.refusal", "it became text")
		p.Kind = llm.PartText
	}
	if isBlank(p.Text) {
		if !p.Text.Empty() {
			l.add("messages.content", "a text of white space was left out; anthropic refuses it")
		}
		return p, false
	}
	return p, true
}

// settleCall makes a tool call sayable whose arguments must be an object; id makes
// its id acceptable.
func settleCall(p llm.Part, id func(string) string, l *lossList) llm.Part {
	t := llm.ToolCall{}
	if p.Tool != nil {
		t = *p.Tool
	}
	t.ID = id(t.ID)
	if !sayableInput(t.Arguments) {
		l.add("messages.tool_calls.arguments", "they are no JSON object and became {}")
		t.Arguments = "{}"
	}
	p.Tool = &t
	return p
}

// settleResult makes a tool's result sayable, part by part.
func settleResult(p llm.Part, id func(string) string, say sayPart, l *lossList) llm.Part {
	r := llm.ToolResult{}
	if p.Result != nil {
		r = *p.Result
	}
	r.CallID = id(r.CallID)
	parts := make([]llm.Part, 0, len(r.Parts))
	for i := range r.Parts {
		switch r.Parts[i].Kind {
		case llm.PartText, llm.PartImage, llm.PartFile, llm.PartRefusal, llm.PartOther:
			if q, ok := say(r.Parts[i], llm.RoleUser); ok {
				parts = append(parts, q)
			}
		default:
			l.add("messages.content.tool_result", "a part that no tool can answer was left out")
		}
	}
	r.Parts = parts
	p.Result = &r
	return p
}

// sayableInput reports whether arguments can be said as an object: they are one,
// or nothing.
func sayableInput(arguments string) bool {
	if strings.TrimSpace(arguments) == "" {
		return true
	}
	_, err := wire.Scan([]byte(arguments), nil, nil)
	return err == nil && utf8.ValidString(arguments)
}

// toolInput returns the arguments of a call as dialect d, which has them as a
// value, says them: what stood there, or {} when it is no JSON object (the
// caller declares that loss).
func toolInput(p *llm.Part, d llm.Dialect) []byte {
	args := []byte(p.Tool.Arguments)
	if p.Extra.Dialect == d && len(args) > 0 && isJSON(args) {
		return args
	}
	if _, err := wire.Scan(args, nil, nil); err != nil || !utf8.Valid(args) {
		return []byte("{}")
	}
	return args
}

// settleAnswer makes a part of another dialect's answer sayable in a dialect d of
// content blocks; ok is false when it is left out.
func settleAnswer(p *llm.Part, d llm.Dialect, stop llm.StopReason, l *lossList) (ok bool) {
	if p.Extra.Dialect == d {
		return true
	}
	l.extra("content", p.Extra, d)
	switch p.Kind {
	case llm.PartText, llm.PartThinking:
		return true
	case llm.PartRefusal:
		if stop != llm.StopRefusal && stop != llm.StopFilter {
			l.add("refusal", "it became text")
		}
		return true
	case llm.PartToolCall:
		if p.Tool != nil && !sayableInput(p.Tool.Arguments) {
			l.add("tool_calls.arguments", "they are no JSON object and became {}")
		}
		return p.Tool != nil
	case llm.PartOther:
		l.add("content", "a block that only "+string(p.Extra.Dialect)+" knows was left out")
	default:
		l.placeless(p.Kind, d)
	}
	return false
}

// answerParts are the parts of an answer that can be said, with an id on each call.
func answerParts(reply *llm.Reply, c *llm.Choice, d llm.Dialect, l *lossList) []llm.Part {
	if plainTexts(c.Parts) {
		return c.Parts
	}
	parts := make([]llm.Part, 0, len(c.Parts))
	for i, p := range c.Parts {
		if p = withCallID(p, reply.ID, i); settleAnswer(&p, d, c.Stop.Reason, l) {
			parts = append(parts, p)
		}
	}
	return parts
}

// settleTool makes a function of another dialect one of d: its schema is an
// object's, and what is not strict says nothing of it.
func settleTool(t *llm.Tool, d llm.Dialect, l *lossList) {
	l.extra("tools", t.Extra, d)
	t.Extra = llm.Extra{}
	if t.Schema == nil {
		t.Schema = []byte(`{"type":"object","properties":{}}`)
	} else {
		t.Schema = prependMember(t.Schema, "type", `"object"`)
	}
	if t.Strict != nil && !*t.Strict {
		t.Strict = nil
	}
}

// settleNamed leaves out the choice of a tool that was left out itself; left are the
// tools that remain.
func settleNamed(choice llm.ToolChoice, tools, left []llm.Tool, l *lossList) llm.ToolChoice {
	there := func(t llm.Tool) bool { return t.Raw != nil || t.Name == choice.Name }
	if choice.Mode != llm.ToolNamed || len(left) == len(tools) || len(left) == 0 || slices.ContainsFunc(left, there) {
		return choice
	}
	l.add("tool_choice", "the tool that it names was left out")
	return llm.ToolChoice{}
}

// settlePenalties declares the penalties and the seed of a call for a dialect
// that has neither; a penalty of zero is none.
func settlePenalties(s *llm.Sampling, d llm.Dialect, l *lossList) {
	if s.FrequencyPenalty != nil && *s.FrequencyPenalty != 0 {
		l.none("frequency_penalty", d)
	}
	if s.PresencePenalty != nil && *s.PresencePenalty != 0 {
		l.none("presence_penalty", d)
	}
	if s.Seed != nil {
		l.none("seed", d)
	}
}

// settleOutput keeps a schema, for a dialect that has no JSON output without one.
func settleOutput(out *llm.Output, d llm.Dialect, l *lossList) {
	l.extra("response_format", out.Extra, d)
	out.Extra = llm.Extra{}
	if out.Verbosity != "" {
		l.none("verbosity", d)
	}
	switch {
	case out.Kind == llm.OutputJSON:
		l.add("response_format", string(d)+" has no JSON output without a schema")
	case out.Kind == llm.OutputSchema && len(out.Schema) == 0:
		l.add("response_format", "the schema is missing")
		out.Kind = ""
	}
}

// titleSchema makes the name and the description that stand beside a schema its
// title and description, where it has none.
func titleSchema(out *llm.Output) {
	if out.Description != "" {
		out.Schema = prependMember(out.Schema, "description", string(stringJSON(out.Description)))
	}
	if out.Name != "" {
		out.Schema = prependMember(out.Schema, "title", string(stringJSON(out.Name)))
	}
}

// prependMember puts a member at the head of the object raw, unless it is there.
func prependMember(raw []byte, name, value string) []byte {
	found := make([]wire.Member, 1)
	o, err := wire.Scan(raw, []string{name}, found)
	if err != nil || !found[0].IsZero() {
		return raw
	}
	out := append(wire.AppendString([]byte{'{'}, name), ':')
	out = append(out, value...)
	if !o.Empty {
		out = append(out, ',')
	}
	return append(out, bytes.TrimSpace(raw[o.Open+1:])...)
}
