package dialect

import (
	"tailplane/internal/llm"
)

// A call that came from another dialect is settled before it is written: what
// Bedrock cannot say or would refuse is changed or left out, and each such
// change is a loss. The model's family decides in whose words it is asked for
// what Bedrock has no member for.

// convSettle makes c, a shallow copy of the caller's, sayable, and returns the
// form in which it is written.
func convSettle(c *llm.Call, l *lossList) (form uint32) {
	l.extra("", c.Extra, llm.Converse)
	c.Extra = llm.Extra{}
	family := convFamilyOf(c.Model)
	s := convShaper{losses: l, thinks: convOwnThought(c.Model), caches: family == convClaude || family == convNova || c.Model == ""}
	s.turns(c)
	convSettleTools(c, &s)
	form = convSettleSampling(c, family, l)
	settleOutput(&c.Output, llm.Converse, l)
	form |= convSettleReasoning(c, family, l)
	if c.Logprobs.Want || c.Logprobs.Top != nil {
		l.add("logprobs", convNoEquivalent)
	}
	if c.User != "" {
		l.add("user", convNoEquivalent)
	}
	return form
}

// convSettleTools keeps the tools that Bedrock can be given. It refuses a
// conversation with calls or results in it when no tool is offered, so tools
// that may not be called stay while there are such, and tools that the
// conversation names are offered when the call offers none.
func convSettleTools(c *llm.Call, s *convShaper) {
	l := s.losses
	var tools []llm.Tool
	for _, t := range c.Tools {
		if t.Raw != nil {
			l.add("tools", "a tool that only "+string(t.Extra.Dialect)+" knows was left out")
			continue
		}
		settleTool(&t, llm.Converse, l)
		t.Cache = s.cache(t.Cache)
		tools = append(tools, t)
	}
	c.Tools = tools
	convSettleChoice(c, l)
	if len(c.Tools) == 0 {
		c.Tools = convNamedTools(c.Turns)
		if len(c.Tools) > 0 {
			l.add("tools", "converse demands the tools that the conversation has called; they are offered without their schemas")
		}
	}
}

func convSettleChoice(c *llm.Call, l *lossList) {
	if c.Choice.Raw != nil {
		l.add("tool_choice", convNoEquivalent)
		c.Choice = llm.ToolChoice{}
	}
	l.extra("tool_choice", c.Choice.Extra, llm.Converse)
	if c.Choice.Mode == llm.ToolNone {
		detail := "converse cannot forbid calls; the tools were left out"
		if len(convNamedTools(c.Turns)) > 0 {
			detail = "converse cannot forbid calls, and demands the tools of the conversation; they are offered"
		} else {
			c.Tools = nil
		}
		l.add("tool_choice", detail)
		c.Choice = llm.ToolChoice{}
	}
	if len(c.Tools) == 0 && c.Choice.Mode != "" {
		if c.Choice.Mode != llm.ToolAuto {
			l.add("tool_choice", "there is no tool left to call")
		}
		c.Choice = llm.ToolChoice{}
	}
	if c.Parallel != nil && !*c.Parallel && len(c.Tools) > 0 {
		l.add("parallel_tool_calls", convNoEquivalent)
	}
}

// convNamedTools are the tools that the conversation calls, each once.
func convNamedTools(turns []llm.Turn) (tools []llm.Tool) {
	seen := map[string]bool{}
	for _, t := range turns {
		for _, p := range t.Parts {
			if p.Kind == llm.PartToolCall && !seen[p.Tool.Name] {
				seen[p.Tool.Name] = true
				tools = append(tools, llm.Tool{Name: p.Tool.Name, Schema: []byte(`{"type":"object"}`)})
			}
		}
	}
	return tools
}

func convSettleSampling(c *llm.Call, family convFamily, l *lossList) (form uint32) {
	s := &c.Sampling
	if family == convClaude {
		antSettleSampling(c, l)
	} else {
		convSettleCommon(s, l)
	}
	switch {
	case s.TopK == nil:
	case family == convClaude:
		form = convTopK
	case family == convNova:
		form = convNovaTopK
	default:
		l.add("top_k", "converse knows no member for it at this model")
	}
	return form
}

// convSettleCommon settles the sampling of models that are not Claude's.
func convSettleCommon(s *llm.Sampling, l *lossList) {
	settlePenalties(s, llm.Converse, l)
	if s.N > 1 {
		l.add("n", "converse gives one answer")
	}
	if s.Temperature != nil && *s.Temperature > 1 {
		s.Temperature = new(1.0)
		l.add("temperature", "the highest that converse takes is 1")
	}
	var stops []string
	for _, stop := range s.Stop {
		if stop == "" {
			l.add("stop", "converse refuses an empty stop sequence")
			continue
		}
		stops = append(stops, stop)
	}
	s.Stop = stops
}

// convSettleReasoning asks for thinking in the words of the model's family.
func convSettleReasoning(c *llm.Call, family convFamily, l *lossList) (form uint32) {
	r := &c.Reasoning
	switch {
	case family == convClaude:
		if r.Extra.Dialect != llm.Anthropic { // else it stands in Claude's own words
			antReason(c, l)
		}
		if r.Mode != "" {
			form |= convThinking
		}
		if r.Effort != "" {
			form |= convClaudeEffort
		}
		return form
	case r.Mode == "" && r.Effort == "" && r.Budget == 0:
		if r.Summary != "" {
			l.add("reasoning.summary", "the call does not ask for thinking")
		}
		return 0
	}
	l.extra("reasoning", r.Extra, llm.Converse)
	r.Extra = llm.Extra{}
	if r.Summary != "" {
		l.add("reasoning.summary", convNoEquivalent)
	}
	off := r.Mode == "disabled" || r.Effort == "none"
	effort, was := convEffortOf(*r), *r
	switch {
	case family == convNova && off:
		*r = llm.Reasoning{Mode: "disabled"}
		return convNovaReasoning
	case family == convNova:
		*r = llm.Reasoning{Mode: "enabled", Effort: effort}
		form = convNovaReasoning
	case off:
		l.add(reasonFeature, "converse knows no word for thinking switched off at this model")
		return 0
	case family == convGPT:
		*r = llm.Reasoning{Effort: effort}
		form = convFieldEffort
	case family == convWords:
		*r = llm.Reasoning{Effort: effort}
		form = convReasoningWord
	default:
		l.add(reasonFeature, "converse knows no member for it at this model")
		return 0
	}
	if was.Effort != effort && (was.Effort != "" || was.Budget > 0) {
		l.add(reasonFeature, "effort "+effort+" was asked for")
	}
	return form
}

// convEffortOf is the effort low, medium or high that comes nearest to what a
// call asks for; a budget is measured by the table of efforts.
func convEffortOf(r llm.Reasoning) string {
	switch r.Effort {
	case "minimal", "low":
		return "low"
	case "high", "xhigh", "max":
		return "high"
	}
	switch {
	case r.Effort == "" && r.Budget >= antEfforts[3].budget:
		return "high"
	case r.Effort == "" && r.Budget > 0 && r.Budget < antEfforts[2].budget:
		return "low"
	}
	return "medium"
}
