package dialect

import (
	"strings"

	"tailplane/internal/llm"
)

// A call that came from another dialect is settled before it is written: what
// Anthropic cannot say or would refuse is changed or left out, and each such
// change is a loss. A call of this dialect is written as it came.

// antSettle makes c, a shallow copy of the caller's, sayable.
func antSettle(c *llm.Call, l *lossList) {
	l.extra("", c.Extra, llm.Anthropic)
	c.Extra = llm.Extra{}
	settleTurns(c, llm.Anthropic, func(p llm.Part, role llm.Role) (llm.Part, bool) { return antSettlePart(p, role, l) }, l)
	c.Turns = userBegins(c.Turns, l)
	trimPrefill(c.Turns, l)
	antSettleTools(c, l)
	antSettleSampling(c, l)
	if settleOutput(&c.Output, llm.Anthropic, l); c.Output.Kind == llm.OutputSchema {
		titleSchema(&c.Output)
	}
	antReason(c, l)
	if c.Sampling.MaxTokens == 0 {
		c.Sampling.MaxTokens = antFamilyOf(c.Model).output
	}
	if c.Logprobs.Want || c.Logprobs.Top != nil {
		l.add("logprobs", antNoEquivalent)
	}
	if id := c.Metadata["user_id"]; c.User == "" && len(c.Metadata) == 1 && id != "" {
		c.User = id
	} else if len(c.Metadata) > 0 {
		l.add("metadata", "anthropic keeps only a user id")
	}
}

func antSettleTools(c *llm.Call, l *lossList) {
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
		t.Cache = antSettleCache(t.Cache, l)
		tools = append(tools, t)
	}
	c.Tools = tools
	antSettleChoice(c, l)
}

func antSettleChoice(c *llm.Call, l *lossList) {
	if c.Choice.Raw != nil && c.Choice.Extra.Dialect != llm.Anthropic {
		l.add("tool_choice", antNoEquivalent)
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

func antSettleSampling(c *llm.Call, l *lossList) {
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

func antSettleCache(m *llm.CacheMark, l *lossList) *llm.CacheMark {
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
