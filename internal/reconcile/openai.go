package reconcile

import (
	"cmp"
	"encoding/json"
	"strings"
)

var openAICost = form{
	provider: OpenAI, name: "costs export",
	needs: [][]string{{"start_time_iso", "start_time", "date", "day"}, {"amount_value", "amount", "cost", "cost_usd"}, {"line_item", "name", "model"}},
	read: func(r *row, c *collector) error {
		if err := dollarsOnly(r.text("amount_currency", "currency")); err != nil {
			return err
		}
		day, err := r.day("start_time_iso", "start_time", "date", "day")
		if err != nil {
			return err
		}
		cost, err := r.number("amount_value", "amount", "cost", "cost_usd")
		if err != nil {
			return err
		}
		return c.add(openAIItem(day, r.text("line_item", "name", "model"), cost))
	},
}

var openAIUsage = form{
	provider: OpenAI, name: "usage export",
	needs: [][]string{{"start_time_iso", "start_time", "date", "day", "timestamp"}, {"model", "snapshot_id"}, {"input_tokens", "n_context_tokens_total", "num_model_requests", "images", "seconds", "characters"}},
	read: func(r *row, c *collector) error {
		day, err := r.day("start_time_iso", "start_time", "date", "day", "timestamp")
		if err != nil {
			return err
		}
		raw := r.text("model", "snapshot_id")
		base := Line{Day: day, Model: Normalise(raw), Raw: raw}
		if err := r.quantities(base, []column{
			{Output, []string{"output_tokens", "n_generated_tokens_total"}},
			{Request, []string{"num_model_requests", "n_requests"}},
			{Image, []string{"images", "num_images"}},
			{AudioSecond, []string{"seconds", "num_seconds"}},
			{Character, []string{"characters", "num_characters"}},
		}, c); err != nil {
			return err
		}
		input, err := r.number("input_tokens", "n_context_tokens_total")
		if err != nil {
			return err
		}
		cached, err := r.number("input_cached_tokens", "n_cached_context_tokens_total")
		if err != nil {
			return err
		}
		return addInput(base, input, cached, c)
	},
}

// addInput tells the input that came from a cache from the rest.
func addInput(base Line, input, cached Decimal, c *collector) error {
	if !input.Stated() {
		return nil
	}
	base.Unit, base.Quantity = InputAll, input
	if cached.Stated() {
		base.Unit, base.Quantity = CacheRead, cached
		if err := c.add(base); err != nil {
			return err
		}
		base.Unit, base.Quantity = Input, input.Minus(cached)
	}
	return c.add(base)
}

// openAIItem reads a line item: "gpt-4o-2024-08-06, cached input".
func openAIItem(day, item string, cost Decimal) Line {
	name, what := item, ""
	if i := strings.LastIndex(item, ","); i >= 0 {
		name, what = item[:i], strings.ToLower(strings.TrimSpace(item[i+1:]))
	}
	unit, ok := map[string]Unit{"input": Input, "cached input": CacheRead, "output": Output, "cached": CacheRead}[what]
	if !ok {
		unit, name = CostOnly, item
	}
	return Line{Day: day, Model: Normalise(name), Unit: unit, Cost: cost, Raw: item}
}

// openAIResult is a result of the costs API and of the usage APIs.
type openAIResult struct {
	Object string `json:"object"`
	Amount *struct {
		Value    json.Number `json:"value"`
		Currency string      `json:"currency"`
	} `json:"amount"`
	LineItem *string      `json:"line_item"`
	Model    *string      `json:"model"`
	Input    *json.Number `json:"input_tokens"`
	Cached   *json.Number `json:"input_cached_tokens"`
	Output   *json.Number `json:"output_tokens"`
	Requests *json.Number `json:"num_model_requests"`
	Images   *json.Number `json:"images"`
	Seconds  *json.Number `json:"seconds"`
	Chars    *json.Number `json:"characters"`
}

func (o *openAIResult) known() bool {
	return o.Amount != nil || o.Requests != nil || strings.HasPrefix(o.Object, "organization.")
}

func (o *openAIResult) add(day string, c *collector) error {
	if o.Amount != nil {
		if err := dollarsOnly(o.Amount.Currency); err != nil {
			return err
		}
		cost, err := ParseDecimal(string(o.Amount.Value))
		if err != nil {
			return err
		}
		return c.add(openAIItem(day, deref(o.LineItem), cost))
	}
	raw := deref(o.Model)
	base := Line{Day: day, Model: Normalise(raw), Raw: cmp.Or(raw, o.Object)}
	if err := addNumbers(base, []stated{
		{Output, o.Output}, {Request, o.Requests}, {Image, o.Images}, {AudioSecond, o.Seconds}, {Character, o.Chars},
	}, c); err != nil {
		return err
	}
	input, err := decimalOf(o.Input)
	if err != nil {
		return err
	}
	cached, err := decimalOf(o.Cached)
	if err != nil {
		return err
	}
	return addInput(base, input, cached, c)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
