package dialect

import (
	"tailplane/internal/llm"
)

// How much a model shall think: as a word, or as a budget of tokens. Each dialect
// has a measure of its own.

// effortLevel is a line of the table of reasoning efforts. Budgets are those
// that Google documents for the OpenAI surface of Gemini 2.5, the one public
// table of its kind; levels are Anthropic's own words.
type effortLevel struct {
	word   string
	budget int
	level  string
}

var effortLevels = []effortLevel{
	{"minimal", 1024, "low"},
	{"low", 1024, "low"},
	{"medium", 8192, "medium"},
	{"high", 24576, "high"},
	{"xhigh", 24576, "xhigh"},
	{"max", 24576, "max"},
}

func effortNamed(word string) (effortLevel, bool) {
	for _, e := range effortLevels {
		if e.word == word {
			return e, true
		}
	}
	return effortLevel{"medium", 8192, "medium"}, false
}

const reasonFeature = "reasoning_effort"

// converseEffort is the effort low, medium or high that comes nearest to what a
// call asks for; a budget is measured by the table of efforts.
func converseEffort(r llm.Reasoning) string {
	switch r.Effort {
	case "minimal", "low":
		return "low"
	case "high", "xhigh", "max":
		return "high"
	}
	switch {
	case r.Effort == "" && r.Budget >= effortLevels[3].budget:
		return "high"
	case r.Effort == "" && r.Budget > 0 && r.Budget < effortLevels[2].budget:
		return "low"
	}
	return "medium"
}

// chatEffort turns a thinking budget in tokens into the word that comes closest:
// up to 2048 low, up to 8192 medium, above that high.
func chatEffort(budget int) string {
	switch {
	case budget <= 2048:
		return "low"
	case budget <= 8192:
		return "medium"
	}
	return "high"
}

// responsesEffort is the effort nearest to a budget of tokens. The bounds are ours;
// no provider states any.
func responsesEffort(budget int) string {
	switch {
	case budget <= 4096:
		return "low"
	case budget <= 16384:
		return "medium"
	}
	return "high"
}
