package dialect

import (
	"fmt"
	"strings"

	"tailplane/internal/llm"
)

// What Claude models want of a call that was written for another dialect:
// an output cap, because Anthropic demands one, and thinking in the form that
// the model takes.

// antThinks says how a model family is asked to think.
type antThinks uint8

const (
	antThinksNever    antThinks = iota
	antThinksBudget             // thinking {"type":"enabled","budget_tokens"}
	antThinksAdaptive           // thinking {"type":"adaptive"} and output_config.effort up to high and max
	antThinksExtra              // the same, with effort xhigh
)

// antFamily is a line of the table; the first whose mark stands in the
// model's name counts.
type antFamily struct {
	mark   string
	output int
	thinks antThinks
}

// antOutputCap bounds the default of max_tokens below what newer models could
// write, because some providers reserve quota for the whole cap (Bedrock).
const antOutputCap = 32000

// antFamilies lists the models by their documented greatest output
// (Anthropic's model overview; models.dev agrees, November 2026), cut to
// antOutputCap. The ways of thinking are those of the extended and adaptive
// thinking guides.
var antFamilies = []antFamily{
	{"claude-2", 4096, antThinksNever},
	{"claude-instant", 4096, antThinksNever},
	{"claude-3-haiku", 4096, antThinksNever},
	{"claude-3-opus", 4096, antThinksNever},
	{"claude-3-sonnet", 4096, antThinksNever},
	{"claude-3-5", 8192, antThinksNever},
	{"claude-3-7", antOutputCap, antThinksBudget},
	{"claude-opus-4-6", antOutputCap, antThinksAdaptive},
	{"claude-sonnet-4-6", antOutputCap, antThinksAdaptive},
	{"claude-opus-4-7", antOutputCap, antThinksExtra},
	{"claude-opus-4-8", antOutputCap, antThinksExtra},
	{"claude-opus-4", antOutputCap, antThinksBudget},
	{"claude-sonnet-4", antOutputCap, antThinksBudget},
	{"claude-haiku-4", antOutputCap, antThinksBudget},
	{"claude-", antOutputCap, antThinksExtra},
	{"", 4096, antThinksBudget}, // others that speak this dialect
}

func antFamilyOf(model string) antFamily {
	model = strings.ReplaceAll(strings.ToLower(model), ".", "-")
	for _, f := range antFamilies {
		if strings.Contains(model, f.mark) {
			return f
		}
	}
	return antFamilies[len(antFamilies)-1]
}

// antMinBudget is the smallest thinking budget that Anthropic accepts.
const antMinBudget = 1024

// antEffort is a line of the table of reasoning efforts. Budgets are those
// that Google documents for the OpenAI surface of Gemini 2.5, the one public
// table of its kind; levels are Anthropic's own words.
type antEffort struct {
	word   string
	budget int
	level  string
}

var antEfforts = []antEffort{
	{"minimal", 1024, "low"},
	{"low", 1024, "low"},
	{"medium", 8192, "medium"},
	{"high", 24576, "high"},
	{"xhigh", 24576, "xhigh"},
	{"max", 24576, "max"},
}

func antEffortOf(word string) (antEffort, bool) {
	for _, e := range antEfforts {
		if e.word == word {
			return e, true
		}
	}
	return antEffort{"medium", 8192, "medium"}, false
}

const reasonFeature = "reasoning_effort"

// antReason turns the reasoning of a foreign call into Anthropic's, in place.
func antReason(c *llm.Call, l *lossList) {
	r, f := c.Reasoning, antFamilyOf(c.Model)
	l.extra("reasoning", r.Extra, llm.Anthropic)
	c.Reasoning = llm.Reasoning{}
	switch {
	case r.Mode == "disabled" || r.Effort == "none":
		if f.thinks != antThinksNever {
			c.Reasoning.Mode = "disabled"
		}
		return
	case r.Mode == "" && r.Effort == "" && r.Budget == 0:
		if r.Summary != "" {
			l.add("reasoning.summary", "the call does not ask for thinking")
		}
		return
	case f.thinks == antThinksNever:
		l.add(reasonFeature, "the model does not think")
		return
	case c.Choice.Mode == llm.ToolRequired || c.Choice.Mode == llm.ToolNamed:
		l.add(reasonFeature, "thinking cannot go with a forced tool call and was left off")
		return
	}
	if r.Summary == "concise" || r.Summary == "detailed" {
		l.add("reasoning.summary", "anthropic does not let the length of the summary be chosen")
	}
	if f.thinks == antThinksBudget {
		antReasonBudget(c, r, f, l)
	} else {
		antReasonAdaptive(c, r, f, l)
	}
	if c.Reasoning.Mode != "" {
		antCalm(&c.Sampling, l)
	}
}

// antReasonAdaptive states an effort; thinking is shown when a summary is wanted.
func antReasonAdaptive(c *llm.Call, r llm.Reasoning, f antFamily, l *lossList) {
	e, known := antEffortOf(r.Effort)
	switch {
	case r.Effort == "" && r.Budget > 0:
		e = antEfforts[1]
		for _, x := range antEfforts[2:4] {
			if r.Budget >= x.budget {
				e = x
			}
		}
		c.Reasoning.Effort = e.level
		l.add(reasonFeature, "the model takes no thinking budget; it became effort "+e.level)
	case r.Effort == "":
	case !known:
		l.add(reasonFeature, fmt.Sprintf("anthropic does not know the effort %q", r.Effort))
	case e.level == "xhigh" && f.thinks != antThinksExtra:
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

// antReasonBudget states a budget that is below max_tokens, as Anthropic demands.
func antReasonBudget(c *llm.Call, r llm.Reasoning, f antFamily, l *lossList) {
	if antMidTools(c.Turns) {
		l.add(reasonFeature, "the last assistant turn calls tools without its thinking; thinking was left off")
		return
	}
	budget := r.Budget
	if budget == 0 {
		e, known := antEffortOf(r.Effort)
		if budget = e.budget; r.Effort != "" && !known {
			l.add(reasonFeature, fmt.Sprintf("anthropic does not know the effort %q", r.Effort))
		}
		if e.word == "xhigh" || e.word == "max" {
			l.add(reasonFeature, "the budget of effort high was asked for")
		}
	}
	budget = max(budget, antMinBudget)
	limit := c.Sampling.MaxTokens
	if limit == 0 {
		if limit = f.output; budget >= limit {
			limit = budget + antMinBudget
		}
		c.Sampling.MaxTokens = limit
	}
	if limit <= antMinBudget {
		l.add(reasonFeature, "max_tokens leaves no room for thinking; it was left off")
		return
	}
	if budget >= limit {
		budget = max(limit/2, antMinBudget)
		l.add(reasonFeature, fmt.Sprintf("the thinking budget was cut to %d to stay below max_tokens", budget))
	}
	c.Reasoning.Mode, c.Reasoning.Budget = "enabled", budget
}

// antMidTools reports whether the conversation stands in the middle of a tool
// loop whose assistant turn does not begin with thinking, which Anthropic
// refuses when thinking with a budget is on.
func antMidTools(turns []llm.Turn) bool {
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

// antCalm takes out the sampling that Anthropic refuses together with thinking.
func antCalm(s *llm.Sampling, l *lossList) {
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
