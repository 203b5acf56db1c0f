package dialect

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// The shape of a conversation that Anthropic accepts: instructions first;
// then turns of user and assistant, each with content, no two of a role
// beside each other; the user begins; all results of a turn's tool calls
// stand at the head of the one user turn behind it.

// antShape puts the instructions and turns of a foreign call into that shape.
func antShape(c *llm.Call, l *lossList) {
	turns := c.Turns
	system := c.System
	for len(turns) > 0 && turns[0].Role == llm.RoleSystem {
		l.extra("messages", turns[0].Extra, llm.Anthropic)
		system = append(system[:len(system):len(system)], turns[0].Parts...)
		turns = turns[1:]
	}
	c.System = make([]llm.Part, 0, len(system))
	for i := range system {
		p, ok := antShapePart(system[i], llm.RoleSystem, l)
		if ok {
			c.System = append(c.System, p)
		} else {
			moveMark(c.System, p.Cache, l)
		}
	}
	out := make([]llm.Turn, 0, len(turns))
	for i := range turns {
		t := antShapeTurn(turns[i], l)
		if len(t.Parts) == 0 {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Role == t.Role {
			out[n-1].Parts = append(out[n-1].Parts, t.Parts...)
		} else {
			out = append(out, t)
		}
	}
	for i := range out {
		out[i].Parts = antResultsFirst(out[i].Parts)
	}
	c.Turns = antBegin(c, out, l)
	antTrimPrefill(c.Turns, l)
}

// antBegin makes the conversation begin with the user.
func antBegin(c *llm.Call, turns []llm.Turn, l *lossList) []llm.Turn {
	switch {
	case len(turns) == 0 && len(c.System) > 0:
		turns = []llm.Turn{{Role: llm.RoleUser, Parts: c.System}}
		c.System = nil
		l.add("messages", "there are only instructions; they were said by the user")
	case len(turns) > 0 && turns[0].Role == llm.RoleAssistant:
		first := llm.Turn{Role: llm.RoleUser, Parts: []llm.Part{{Kind: llm.PartText, Text: "."}}}
		turns = append([]llm.Turn{first}, turns...)
		l.add("messages", `the assistant speaks first; a user turn "." was put before it`)
	}
	return turns
}

// antTrimPrefill takes the white space off the end of a last assistant turn,
// which Anthropic refuses.
func antTrimPrefill(turns []llm.Turn, l *lossList) {
	if len(turns) == 0 || turns[len(turns)-1].Role != llm.RoleAssistant {
		return
	}
	parts := turns[len(turns)-1].Parts
	last := &parts[len(parts)-1]
	if last.Kind != llm.PartText {
		return
	}
	if text := strings.TrimRight(last.Text, " \t\r\n"); text != last.Text {
		last.Text = text
		l.add("messages.content", "white space at the end of the last assistant turn was cut")
	}
}

func isResult(p llm.Part) bool { return p.Kind == llm.PartToolResult }

// antResultsFirst puts the results of tools before the other parts.
func antResultsFirst(parts []llm.Part) []llm.Part {
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

func antShapeTurn(t llm.Turn, l *lossList) llm.Turn {
	l.extra("messages", t.Extra, llm.Anthropic)
	if t.Name != "" {
		l.add("messages.name", antNoEquivalent)
	}
	role := llm.RoleUser
	switch t.Role {
	case llm.RoleAssistant:
		role = llm.RoleAssistant
	case llm.RoleSystem:
		l.add("messages.role", "instructions in the middle of the conversation were said by the user")
	}
	out := llm.Turn{Role: role, Parts: make([]llm.Part, 0, len(t.Parts))}
	for i := range t.Parts {
		if p, ok := antShapePart(t.Parts[i], role, l); ok {
			out.Parts = append(out.Parts, p)
		} else {
			moveMark(out.Parts, p.Cache, l)
		}
	}
	return out
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

// antShapePart makes a part sayable in a turn of role; ok is false when it
// is left out. The part's pointers are replaced, never written through.
func antShapePart(p llm.Part, role llm.Role, l *lossList) (llm.Part, bool) {
	if p.Kind == llm.PartOther {
		if p.Extra.Dialect == llm.Anthropic {
			return p, true
		}
		l.add("messages.content", "a block that only "+string(p.Extra.Dialect)+" knows was left out")
		return p, false
	}
	l.extra("messages.content", p.Extra, llm.Anthropic)
	p.Extra = p.Extra.In(llm.Anthropic)
	p.Cache = antSettleCache(p.Cache, l)
	if role == llm.RoleSystem && p.Kind != llm.PartText {
		l.add("system", "only text can be an instruction")
		return p, false
	}
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		return antShapeText(p, l)
	case llm.PartImage, llm.PartFile:
		if role == llm.RoleAssistant {
			l.add("messages.content", "an image or file of the assistant was left out")
			return p, false
		}
		return antShapeMedia(p, l)
	case llm.PartAudio:
		l.add("messages.content.input_audio", antNoEquivalent)
	case llm.PartToolCall:
		return antShapeCall(p, l), true
	case llm.PartToolResult:
		return antShapeResult(p, l), true
	case llm.PartThinking:
		return p, antOwnThought(&p, l)
	}
	return p, false
}

// antOwnThought reports whether thinking may be sent to Anthropic: it must
// bear Anthropic's signature.
func antOwnThought(p *llm.Part, l *lossList) bool {
	if p.SignedBy == llm.Anthropic && p.Signature != "" {
		return true
	}
	l.add("messages.content.thinking", "thinking that anthropic has not signed was left out")
	return false
}

func antShapeText(p llm.Part, l *lossList) (llm.Part, bool) {
	if p.Kind == llm.PartRefusal {
		l.add("messages.content.refusal", "it became text")
		p.Kind = llm.PartText
	}
	if strings.TrimSpace(p.Text) == "" {
		if p.Text != "" {
			l.add("messages.content", "a text of white space was left out; anthropic refuses it")
		}
		return p, false
	}
	return p, true
}

func antShapeMedia(p llm.Part, l *lossList) (llm.Part, bool) {
	if p.Media == nil {
		return p, false
	}
	feature := "messages.content.image_url"
	if p.Kind == llm.PartFile {
		feature = "messages.content.file"
	}
	m, ok := antInline(*p.Media)
	if m.FileID != "" {
		l.add(feature, "the id of a file at another provider means nothing at anthropic")
		return p, false
	}
	if m.Type == "" {
		m.Type = antSniff(m.Data)
	}
	if m.Detail != "" && m.Detail != "auto" {
		l.add(feature+".detail", antNoEquivalent)
	}
	p.Media = &m
	switch {
	case !ok || m.Data == "" && m.URL == "":
		l.add(feature, "it has no readable data")
		return p, false
	case m.URL != "":
		return p, true
	case p.Kind == llm.PartImage:
		if strings.HasPrefix(m.Type, "image/") {
			return p, true
		}
	case m.Type == "application/pdf":
		return p, true
	case strings.HasPrefix(m.Type, "text/") || m.Type == "application/json":
		if text, err := base64.StdEncoding.DecodeString(m.Data); err == nil && utf8.Valid(text) && len(text) > 0 {
			m.Type = "text/plain"
			p.Extra = llm.Extra{Dialect: llm.Anthropic, Form: antSourceText}
			return p, true
		}
	}
	l.add(feature, "anthropic does not take the type "+m.Type)
	return p, false
}

func antShapeCall(p llm.Part, l *lossList) llm.Part {
	if p.Tool == nil {
		p.Tool = &llm.ToolCall{}
	}
	t := *p.Tool
	t.ID = antID(t.ID)
	if !sayableInput(t.Arguments) {
		l.add("messages.tool_calls.arguments", "they are no JSON object and became {}")
		t.Arguments = "{}"
	}
	p.Tool = &t
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

func antShapeResult(p llm.Part, l *lossList) llm.Part {
	if p.Result == nil {
		p.Result = &llm.ToolResult{}
	}
	r := *p.Result
	r.CallID = antID(r.CallID)
	parts := make([]llm.Part, 0, len(r.Parts))
	for i := range r.Parts {
		switch r.Parts[i].Kind {
		case llm.PartText, llm.PartImage, llm.PartFile, llm.PartRefusal, llm.PartOther:
			if q, ok := antShapePart(r.Parts[i], llm.RoleUser, l); ok {
				parts = append(parts, q)
			}
		default:
			l.add("messages.content.tool_result", "a part that no tool can answer was left out")
		}
	}
	r.Parts = parts
	p.Result = &r
	if antPlain(parts) {
		p.Extra = llm.Extra{Dialect: llm.Anthropic, Form: antResultBare}
	}
	return p
}
