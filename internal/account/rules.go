package account

import (
	"fmt"
	"slices"
	"time"

	"tailplane/internal/llm"
)

// Rules are what one account may use.
type Rules struct {
	Limits  Limits   `yaml:"limits" json:"limits,omitzero"`
	Budgets []Budget `yaml:"budgets" json:"budgets,omitempty"`
}

// Limits are how fast. What is not given is not limited.
type Limits struct {
	Requests     Rates `yaml:"requests" json:"requests,omitempty"`
	Tokens       Rates `yaml:"tokens" json:"tokens,omitempty"`
	InputTokens  Rates `yaml:"input_tokens" json:"input_tokens,omitempty"`
	OutputTokens Rates `yaml:"output_tokens" json:"output_tokens,omitempty"`
	// Concurrent is how many requests may be in flight; 0 is any number.
	Concurrent int `yaml:"concurrent" json:"concurrent,omitempty"`
}

// Budget is how much money.
type Budget struct {
	Amount Money  `yaml:"amount" json:"amount"`
	Per    Period `yaml:"per" json:"per"`
	// Hard refuses what does not fit; a budget that is not hard only warns.
	Hard bool `yaml:"hard" json:"hard,omitempty"`
	// Strict counts a request in flight with the upper bound of its cost instead
	// of the estimate, and refuses one that has none.
	Strict bool `yaml:"strict" json:"strict,omitempty"`
	// Warn are the shares of the amount at which a warning goes out, beside 100%.
	Warn Shares `yaml:"warn" json:"warn,omitempty"`
}

const (
	mostRates   = 4
	mostBudgets = 8
	mostWarn    = 7
	mostPlaces  = 1_000_000
)

// IsZero reports whether the rules limit nothing.
func (r Rules) IsZero() bool { return r.Limits.IsZero() && len(r.Budgets) == 0 }

// IsZero reports whether there is no limit.
func (l Limits) IsZero() bool {
	return l.Concurrent == 0 && len(l.Requests)+len(l.Tokens)+len(l.InputTokens)+len(l.OutputTokens) == 0
}

type ratedResource struct {
	resource llm.Resource
	rates    Rates
}

// rated are the rates with what they limit, in the order in which accounts
// check them.
func (l Limits) rated() [4]ratedResource {
	return [4]ratedResource{
		{llm.QuotaRequests, l.Requests}, {llm.QuotaTokens, l.Tokens}, {llm.QuotaInputTokens, l.InputTokens}, {llm.QuotaOutputTokens, l.OutputTokens},
	}
}

// Validate reports each problem with its path, what is wrong and what would be
// right. An empty path stands for rules at the top.
func (r Rules) Validate(path string, report func(path, wrong, right string)) {
	if path != "" {
		path += "."
	}
	for _, l := range r.Limits.rated() {
		l.rates.validate(path+"limits."+l.resource.String(), report)
	}
	if n := r.Limits.Concurrent; n < 0 || n > mostPlaces {
		report(path+"limits.concurrent", fmt.Sprintf("%d is out of range", n), fmt.Sprintf("1 to %d, or leave it out for any number", mostPlaces))
	}
	if len(r.Budgets) > mostBudgets {
		report(path+"budgets", fmt.Sprintf("there are %d budgets", len(r.Budgets)), fmt.Sprintf("%d at most", mostBudgets))
	}
	for i, b := range r.Budgets {
		b.validate(fmt.Sprintf("%sbudgets[%d]", path, i), report)
	}
}

func (r Rates) validate(path string, report func(path, wrong, right string)) {
	if len(r) > mostRates {
		report(path, fmt.Sprintf("there are %d rates", len(r)), fmt.Sprintf("%d at most", mostRates))
	}
	seen := map[time.Duration]bool{}
	for _, rate := range r {
		switch {
		case rate.Amount <= 0:
			report(path, fmt.Sprintf("the rate %v admits nothing", rate), "an amount above 0, such as 600/m; to stop a caller, revoke its keys")
		case rate.Amount > mostAmount:
			report(path, fmt.Sprintf("the rate %v is out of range", rate), fmt.Sprintf("an amount of at most %d", int64(mostAmount)))
		}
		if !slices.ContainsFunc(rateUnits, func(u rateUnit) bool { return u.per == rate.Per }) {
			report(path, fmt.Sprintf("%v is no unit of time for a rate", rate.Per), "one of s, m, h, d")
		}
		if seen[rate.Per] {
			report(path, fmt.Sprintf("there are two rates for one %s", rate.word()), "keep the smaller one")
		}
		seen[rate.Per] = true
	}
}

func (b Budget) validate(path string, report func(path, wrong, right string)) {
	switch {
	case b.Amount <= 0:
		report(path+".amount", fmt.Sprintf("a budget of %v admits nothing", b.Amount), "dollars above 0, such as 500 or 12.50")
	case b.Amount > mostMoney:
		report(path+".amount", fmt.Sprintf("%v is more than %v", b.Amount, mostMoney), "an amount in dollars, not in cents or tokens")
	}
	if b.Per == 0 || int(b.Per) >= periods {
		report(path+".per", "the budget has no period", "day, week, month or total")
	}
	if b.Strict && !b.Hard {
		report(path+".strict", "a budget that only warns cannot be strict", "add `hard: true`, or leave out strict")
	}
	if len(b.Warn) > mostWarn {
		report(path+".warn", fmt.Sprintf("there are %d thresholds", len(b.Warn)), fmt.Sprintf("%d at most", mostWarn))
	}
	for i, share := range b.Warn {
		if share < 1 || share > 1000 {
			report(path+".warn", fmt.Sprintf("%d%% is no useful share", share), "1% to 1000%")
		}
		if i > 0 && share <= b.Warn[i-1] {
			report(path+".warn", "the shares do not rise", "each once, the smallest first")
		}
	}
}
