package reconcile

import (
	"encoding/json"
	"strings"
)

var anthropicUsage = form{
	provider: Anthropic, name: "usage export",
	needs: [][]string{{"usage_date_utc", "date"}, {"model_version", "model"}, {"usage_input_tokens_no_cache", "uncached_input_tokens"}},
	read: func(r *row, c *collector) error {
		day, err := r.day("usage_date_utc", "date")
		if err != nil {
			return err
		}
		raw := r.text("model_version", "model")
		return r.quantities(Line{Day: day, Model: Normalise(raw), Raw: raw}, []column{
			{Input, []string{"usage_input_tokens_no_cache", "uncached_input_tokens"}},
			{CacheWrite, []string{"usage_input_tokens_cache_write_5m"}},
			{CacheWrite, []string{"usage_input_tokens_cache_write_1h"}},
			{CacheRead, []string{"usage_input_tokens_cache_read", "cache_read_input_tokens"}},
			{Output, []string{"usage_output_tokens", "output_tokens"}},
			{Search, []string{"web_search_count"}},
		}, c)
	},
}

var anthropicCost = form{
	provider: Anthropic, name: "cost export",
	needs: [][]string{{"usage_date_utc", "date"}, {"cost_usd", "cost_in_usd"}, {"token_type", "cost_type"}},
	read: func(r *row, c *collector) error {
		day, err := r.day("usage_date_utc", "date")
		if err != nil {
			return err
		}
		cost, err := r.number("cost_usd", "cost_in_usd")
		if err != nil {
			return err
		}
		raw := r.text("model", "model_version", "description")
		what := r.text("token_type", "cost_type")
		return c.add(Line{Day: day, Model: Normalise(raw), Unit: anthropicUnit(what, r.text("cost_type")), Cost: cost, Raw: strings.TrimSpace(raw + " " + what)})
	},
}

// anthropicUnit reads a type of token, as "cache_creation.ephemeral_1h_input_tokens"
// or "input_cache_write_5m".
func anthropicUnit(token, kind string) Unit {
	switch t := strings.ToLower(token); {
	case strings.Contains(strings.ToLower(kind), "search"):
		return Search
	case strings.Contains(t, "cache_creation"), strings.Contains(t, "cache_write"):
		return CacheWrite
	case strings.Contains(t, "cache_read"):
		return CacheRead
	case strings.Contains(t, "output"):
		return Output
	case strings.Contains(t, "input"):
		return Input
	}
	return CostOnly
}

// anthropicResult is a result of the usage report and of the cost report.
type anthropicResult struct {
	Amount      *string      `json:"amount"` // in cents
	Currency    string       `json:"currency"`
	CostType    string       `json:"cost_type"`
	TokenType   string       `json:"token_type"`
	Description string       `json:"description"`
	Model       *string      `json:"model"`
	Uncached    *json.Number `json:"uncached_input_tokens"`
	Read        *json.Number `json:"cache_read_input_tokens"`
	Write       struct {
		Hour *json.Number `json:"ephemeral_1h_input_tokens"`
		Five *json.Number `json:"ephemeral_5m_input_tokens"`
	} `json:"cache_creation"`
	Output *json.Number `json:"output_tokens"`
	Tools  struct {
		Searches *json.Number `json:"web_search_requests"`
	} `json:"server_tool_use"`
}

func (a *anthropicResult) known() bool { return a.Amount != nil || a.Uncached != nil }

func (a *anthropicResult) add(day string, c *collector) error {
	raw := deref(a.Model)
	if a.Amount == nil {
		return addNumbers(Line{Day: day, Model: Normalise(raw), Raw: raw}, []stated{
			{Input, a.Uncached},
			{CacheRead, a.Read},
			{CacheWrite, a.Write.Hour},
			{CacheWrite, a.Write.Five},
			{Output, a.Output},
			{Search, a.Tools.Searches},
		}, c)
	}
	if err := dollarsOnly(a.Currency); err != nil {
		return err
	}
	cents, err := ParseDecimal(*a.Amount)
	if err != nil {
		return err
	}
	return c.add(Line{
		Day: day, Model: Normalise(raw), Unit: anthropicUnit(a.TokenType, a.CostType),
		Cost: cents.Over(Whole(100)), Raw: strings.TrimSpace(raw + " " + a.Description),
	})
}
