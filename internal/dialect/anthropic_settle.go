package dialect

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"tailplane/internal/llm"
)

// A call that came from another dialect is settled before it is written: what
// Anthropic cannot say or would refuse is changed or left out, and each such
// change is a loss. A call of this dialect is written as it came.

// anthropicSettle makes c, a shallow copy of the caller's, sayable.
func anthropicSettle(c *llm.Call, l *lossList) {
	l.extra("", c.Extra, llm.Anthropic)
	c.Extra = llm.Extra{}
	settleTurns(c, llm.Anthropic, func(p llm.Part, role llm.Role) (llm.Part, bool) { return anthropicSettlePart(p, role, l) }, l)
	c.Turns = userBegins(c.Turns, l)
	trimPrefill(c.Turns, l)
	anthropicSettleTools(c, l)
	anthropicSettleSampling(c, l)
	if settleOutput(&c.Output, llm.Anthropic, l); c.Output.Kind == llm.OutputSchema {
		titleSchema(&c.Output)
	}
	anthropicReason(c, l)
	if c.Sampling.MaxTokens == 0 {
		c.Sampling.MaxTokens = anthropicFamilyOf(c.Model).output
	}
	if c.Logprobs.Want || c.Logprobs.Top != nil {
		l.add("logprobs", anthropicNoEquivalent)
	}
	if id := c.Metadata["user_id"]; c.User == "" && len(c.Metadata) == 1 && id != "" {
		c.User = id
	} else if len(c.Metadata) > 0 {
		l.add("metadata", "anthropic keeps only a user id")
	}
}

func anthropicSettleTools(c *llm.Call, l *lossList) {
	var tools []llm.Tool
	for _, t := range c.Tools {
		if t.Raw != nil {
			if t.Extra.Dialect == llm.Anthropic {
				tools = append(tools, t)
			} else {
				l.add("tools", "a tool that only "+string(t.Extra.Dialect)+" knows was left out")
			}
			continue
		}
		if t.Extra.Dialect == llm.Anthropic {
			tools = append(tools, t)
			continue
		}
		settleTool(&t, llm.Anthropic, l)
		t.Cache = anthropicSettleCache(t.Cache, l)
		tools = append(tools, t)
	}
	c.Choice, c.Tools = settleNamed(c.Choice, c.Tools, tools, l), tools
	anthropicSettleChoice(c, l)
}

func anthropicSettleChoice(c *llm.Call, l *lossList) {
	if c.Choice.Raw != nil && c.Choice.Extra.Dialect != llm.Anthropic {
		l.add("tool_choice", anthropicNoEquivalent)
		c.Choice = llm.ToolChoice{}
	}
	l.extra("tool_choice", c.Choice.Extra, llm.Anthropic)
	if c.Parallel != nil && *c.Parallel {
		c.Parallel = nil // what Anthropic does unasked
	}
	if len(c.Tools) == 0 {
		if c.Choice.Mode == llm.ToolRequired || c.Choice.Mode == llm.ToolNamed {
			l.add("tool_choice", "there is no tool left to call")
		}
		c.Choice, c.Parallel = llm.ToolChoice{}, nil
	}
	if c.Choice.Mode == llm.ToolNone {
		c.Parallel = nil
	}
	if c.Choice.Mode == "" && c.Choice.Raw == nil && c.Parallel != nil {
		c.Choice.Mode = llm.ToolAuto
	}
}

func anthropicSettleSampling(c *llm.Call, l *lossList) {
	s := &c.Sampling
	settlePenalties(s, llm.Anthropic, l)
	if s.N > 1 {
		l.add("n", "anthropic gives one answer")
	}
	if s.Temperature != nil && *s.Temperature > 1 {
		s.Temperature = new(1.0)
		l.add("temperature", "anthropic's highest is 1")
	}
	if s.TopP != nil && s.Temperature != nil {
		if *s.TopP != 1 {
			l.add("top_p", "newer claude models refuse it together with temperature")
		}
		s.TopP = nil
	}
	var stops []string
	for _, stop := range s.Stop {
		if strings.TrimSpace(stop) == "" {
			l.add("stop", "anthropic refuses a stop sequence of white space")
			continue
		}
		stops = append(stops, stop)
	}
	s.Stop = stops
}

func anthropicSettleCache(m *llm.CacheMark, l *lossList) *llm.CacheMark {
	if m == nil {
		return nil
	}
	l.extra("cache_control", m.Extra, llm.Anthropic)
	out := llm.CacheMark{Type: m.Type, TTL: m.TTL, Extra: m.Extra.In(llm.Anthropic)}
	if out.Type == "" {
		out.Type = "ephemeral"
	}
	return &out
}

// anthropicSettlePart makes a part sayable in a turn of role; ok is false when it
// is left out. The part's pointers are replaced, never written through.
func anthropicSettlePart(p llm.Part, role llm.Role, l *lossList) (llm.Part, bool) {
	if p.Kind == llm.PartOther {
		if p.Extra.Dialect == llm.Anthropic {
			return p, true
		}
		l.add("messages.content", "a block that only "+string(p.Extra.Dialect)+" knows was left out")
		return p, false
	}
	l.extra("messages.content", p.Extra, llm.Anthropic)
	p.Extra = p.Extra.In(llm.Anthropic)
	p.Cache = anthropicSettleCache(p.Cache, l)
	if role == llm.RoleSystem && p.Kind != llm.PartText {
		l.add("system", "only text can be an instruction")
		return p, false
	}
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		return settleText(p, l)
	case llm.PartImage, llm.PartFile:
		if role == llm.RoleAssistant {
			l.add("messages.content", "an image or file of the assistant was left out")
			return p, false
		}
		return anthropicSettleMedia(p, l)
	case llm.PartAudio:
		l.add("messages.content.input_audio", anthropicNoEquivalent)
	case llm.PartToolCall:
		return settleCall(p, toolID, l), true
	case llm.PartToolResult:
		return anthropicSettleResult(p, l), true
	case llm.PartThinking:
		return p, anthropicOwnThought(&p, l)
	}
	return p, false
}

// anthropicOwnThought reports whether thinking may be sent to Anthropic: it must
// bear Anthropic's signature.
func anthropicOwnThought(p *llm.Part, l *lossList) bool {
	if p.SignedBy == llm.Anthropic && p.Signature != "" {
		return true
	}
	l.add("messages.content.thinking", "thinking that anthropic has not signed was left out")
	return false
}

func anthropicSettleMedia(p llm.Part, l *lossList) (llm.Part, bool) {
	if p.Media == nil {
		return p, false
	}
	feature := "messages.content.image_url"
	if p.Kind == llm.PartFile {
		feature = "messages.content.file"
	}
	m, ok := inlineMedia(*p.Media)
	if m.FileID != "" {
		l.add(feature, "the id of a file at another provider means nothing at anthropic")
		return p, false
	}
	if m.Type == "" {
		m.Type = sniffMedia(m.Data)
	}
	if m.Detail != "" && m.Detail != "auto" {
		l.add(feature+".detail", anthropicNoEquivalent)
	}
	p.Media = &m
	switch {
	case !ok || m.Data == "" && m.URL == "":
		l.add(feature, "it has no readable data")
		return p, false
	case m.URL != "":
		return p, true
	case p.Kind == llm.PartImage:
		if kind := anthropicImageType(&m); kind != "" {
			m.Type = kind
			return p, true
		}
	case m.Type == "application/pdf":
		return p, true
	case strings.HasPrefix(m.Type, "text/") || m.Type == "application/json":
		if text, err := base64.StdEncoding.DecodeString(m.Data); err == nil && utf8.Valid(text) && len(text) > 0 {
			m.Type = "text/plain"
			p.Extra = llm.Extra{Dialect: llm.Anthropic, Form: anthropicSourceText}
			return p, true
		}
	}
	l.add(feature, "anthropic does not take the type "+m.Type)
	return p, false
}

// anthropicImageType is the type that Anthropic takes an image for; empty when it
// takes none such. The data decides, because Anthropic refuses an image of another
// type than it is said to be, which others do not mind.
func anthropicImageType(m *llm.Media) string {
	if kind := sniffMedia(m.Data); strings.HasPrefix(kind, "image/") {
		return kind
	}
	switch kind := strings.ToLower(m.Type); kind {
	case "image/jpeg", "image/png", "image/gif", "image/webp":
		return kind
	case "image/jpg":
		return "image/jpeg"
	}
	return ""
}

func anthropicSettleResult(p llm.Part, l *lossList) llm.Part {
	p = settleResult(p, toolID, func(p llm.Part, role llm.Role) (llm.Part, bool) { return anthropicSettlePart(p, role, l) }, l)
	if anthropicPlain(p.Result.Parts) {
		p.Extra = llm.Extra{Dialect: llm.Anthropic, Form: anthropicResultBare}
	}
	return p
}
