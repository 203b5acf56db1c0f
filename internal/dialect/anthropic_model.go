package dialect

import (
	"fmt"
	"strings"

	"tailplane/internal/llm"
)

// What Claude models want of a call that was written for another dialect:
// an output cap, because Anthropic demands one, and thinking in the form that
// the model takes.

// anthropicThinks says how a model family is asked to think.
type anthropicThinks uint8

const (
	anthropicThinksNever    anthropicThinks = iota
	anthropicThinksBudget                   // thinking {"type":"enabled","budget_tokens"}
	anthropicThinksAdaptive                 // thinking {"type":"adaptive"} and output_config.effort up to high and max
	anthropicThinksExtra                    // the same, with effort xhigh
)

// anthropicFamily is a line of the table; the first whose mark stands in the
// model's name counts.
type anthropicFamily struct {
	mark   string
	output int
	thinks anthropicThinks
}

// anthropicOutputCap bounds the default of max_tokens below what newer models could
// write, because some providers reserve quota for the whole cap (Bedrock).
const anthropicOutputCap = 32000

// anthropicFamilies lists the models by their documented greatest output
// (Anthropic's model overview; models.dev agrees, November 2026), cut to
// anthropicOutputCap. The ways of thinking are those of the extended and adaptive
// thinking guides.
var anthropicFamilies = []anthropicFamily{
	{"claude-2", 4096, anthropicThinksNever},
	{"claude-instant", 4096, anthropicThinksNever},
	{"claude-3-haiku", 4096, anthropicThinksNever},
	{"claude-3-opus", 4096, anthropicThinksNever},
	{"claude-3-sonnet", 4096, anthropicThinksNever},
	{"claude-3-5", 8192, anthropicThinksNever},
	{"claude-3-7", anthropicOutputCap, anthropicThinksBudget},
	{"claude-opus-4-6", anthropicOutputCap, anthropicThinksAdaptive},
	{"claude-sonnet-4-6", anthropicOutputCap, anthropicThinksAdaptive},
	{"claude-opus-4-7", anthropicOutputCap, anthropicThinksExtra},
	{"claude-opus-4-8", anthropicOutputCap, anthropicThinksExtra},
	{"claude-opus-4", anthropicOutputCap, anthropicThinksBudget},
	{"claude-sonnet-4", anthropicOutputCap, anthropicThinksBudget},
	{"claude-haiku-4", anthropicOutputCap, anthropicThinksBudget},
	{"claude-", anthropicOutputCap, anthropicThinksExtra},
	{"", 4096, anthropicThinksBudget}, // others that speak this dialect
}

func anthropicFamilyOf(model string) anthropicFamily {
	model = strings.ReplaceAll(strings.ToLower(model), ".", "-")
	for _, f := range anthropicFamilies {
		if strings.Contains(model, f.mark) {
			return f
		}
	}
	return anthropicFamilies[len(anthropicFamilies)-1]
}

// anthropicMinBudget is the smallest thinking budget that Anthropic accepts.
const anthropicMinBudget = 1024

// anthropicReason turns the reasoning of a foreign call into Anthropic's, in place.
func anthropicReason(c *llm.Call, l *lossList) {
	r := c.Reasoning
	l.extra("reasoning", r.Extra, llm.Anthropic)
	c.Reasoning = llm.Reasoning{}
	if r.Mode == "" && r.Effort == "" && r.Budget == 0 {
		if r.Summary != "" {
			l.add("reasoning.summary", "the call does not ask for thinking")
		}
		return
	}
	f := anthropicFamilyOf(c.Model)
	switch {
	case r.Mode == "disabled" || r.Effort == "none":
		if f.thinks != anthropicThinksNever {
			c.Reasoning.Mode = "disabled"
		}
		return
	case f.thinks == anthropicThinksNever:
		l.add(reasonFeature, "the model does not think")
		return
	case c.Choice.Mode == llm.ToolRequired || c.Choice.Mode == llm.ToolNamed:
		l.add(reasonFeature, "thinking cannot go with a forced tool call and was left off")
		return
	}
	if r.Summary == "concise" || r.Summary == "detailed" {
		l.add("reasoning.summary", "anthropic does not let the length of the summary be chosen")
	}
	if f.thinks == anthropicThinksBudget {
		anthropicReasonBudget(c, r, f, l)
	} else {
		anthropicReasonAdaptive(c, r, f, l)
	}
	if c.Reasoning.Mode != "" {
		anthropicCalm(&c.Sampling, l)
	}
}

// anthropicReasonAdaptive states an effort; thinking is shown when a summary is wanted.
func anthropicReasonAdaptive(c *llm.Call, r llm.Reasoning, f anthropicFamily, l *lossList) {
	e, known := effortNamed(r.Effort)
	switch {
	case r.Effort == "" && r.Budget > 0:
		e = effortLevels[1]
		for _, x := range effortLevels[2:4] {
			if r.Budget >= x.budget {
				e = x
			}
		}
		c.Reasoning.Effort = e.level
		l.add(reasonFeature, "the model takes no thinking budget; it became effort "+e.level)
	case r.Effort == "":
	case !known:
		l.add(reasonFeature, fmt.Sprintf("anthropic does not know the effort %q", r.Effort))
	case e.level == "xhigh" && f.thinks != anthropicThinksExtra:
		c.Reasoning.Effort = "high"
		l.add(reasonFeature, "the model does not know xhigh; high was asked for")
	default:
		c.Reasoning.Effort = e.level
	}
	c.Reasoning.Mode = "adaptive"
	if r.Summary != "" {
		c.Reasoning.Extra = llm.Extra{Dialect: llm.Anthropic, Members: []byte(`{"display":"summarized"}`)}
	}
}

// anthropicReasonBudget states a budget that is below max_tokens, as Anthropic demands.
func anthropicReasonBudget(c *llm.Call, r llm.Reasoning, f anthropicFamily, l *lossList) {
	if anthropicMidTools(c.Turns) {
		l.add(reasonFeature, "the last assistant turn calls tools without its thinking; thinking was left off")
		return
	}
	budget := r.Budget
	if budget == 0 {
		e, known := effortNamed(r.Effort)
		if budget = e.budget; r.Effort != "" && !known {
			l.add(reasonFeature, fmt.Sprintf("anthropic does not know the effort %q", r.Effort))
		}
		if e.word == "xhigh" || e.word == "max" {
			l.add(reasonFeature, "the budget of effort high was asked for")
		}
	}
	budget = max(budget, anthropicMinBudget)
	limit := c.Sampling.MaxTokens
	if limit == 0 {
		if limit = f.output; budget >= limit {
			limit = budget + anthropicMinBudget
		}
		c.Sampling.MaxTokens = limit
	}
	if limit <= anthropicMinBudget {
		l.add(reasonFeature, "max_tokens leaves no room for thinking; it was left off")
		return
	}
	if budget >= limit {
		budget = max(limit/2, anthropicMinBudget)
		l.add(reasonFeature, fmt.Sprintf("the thinking budget was cut to %d to stay below max_tokens", budget))
	}
	c.Reasoning.Mode, c.Reasoning.Budget = "enabled", budget
}

// anthropicMidTools reports whether the conversation stands in the middle of a tool
// loop whose assistant turn does not begin with thinking, which Anthropic
// refuses when thinking with a budget is on.
func anthropicMidTools(turns []llm.Turn) bool {
	for i := len(turns) - 1; i >= 0; i-- {
		t := turns[i]
		if t.Role != llm.RoleAssistant {
			continue
		}
		calls := false
		for _, p := range t.Parts {
			calls = calls || p.Kind == llm.PartToolCall
		}
		return calls && t.Parts[0].Kind != llm.PartThinking
	}
	return false
}

// anthropicCalm takes out the sampling that Anthropic refuses together with thinking.
func anthropicCalm(s *llm.Sampling, l *lossList) {
	const detail = "anthropic refuses it together with thinking"
	if s.Temperature != nil && *s.Temperature != 1 {
		l.add("temperature", detail)
	}
	if s.TopP != nil && *s.TopP < 0.95 {
		l.add("top_p", detail)
		s.TopP = nil
	}
	if s.TopK != nil {
		l.add("top_k", detail)
	}
	s.Temperature, s.TopK = nil, nil
}
