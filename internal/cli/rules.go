package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// rules are the flags by which limits and budgets are given.
type rules struct {
	cmd     *cobra.Command
	limits  map[string]*string
	flights int
	budgets []string
	models  []string
}

// ruleFlags adds them to a command.
func ruleFlags(cmd *cobra.Command) *rules {
	r := &rules{cmd: cmd, limits: map[string]*string{}}
	f := cmd.Flags()
	for name, what := range map[string]string{"requests": "requests", "tokens": "tokens", "input-tokens": "input tokens", "output-tokens": "output tokens"} {
		r.limits[name] = f.String(name, "", what+" in a time, such as 10/s or \"600/m, 40M/d\"; \"\" removes the limit")
	}
	f.IntVar(&r.flights, "concurrent", 0, "requests at a time; 0 removes the limit")
	f.StringArrayVar(&r.budgets, "budget", nil, "dollars in a period, AMOUNT/day, week, month or total, with :hard or :strict; can be repeated, none removes them")
	f.StringArrayVar(&r.models, "model", nil, "model that may be called, or a pattern such as gpt-*; can be repeated")
	return r
}

// into puts what was given into an order. What was not given is not in it.
func (r *rules) into(order map[string]any) error {
	limits := map[string]any{}
	for name, value := range r.limits {
		if r.cmd.Flags().Changed(name) {
			limits[strings.ReplaceAll(name, "-", "_")] = *value
		}
	}
	if r.cmd.Flags().Changed("concurrent") {
		limits["concurrent"] = r.flights
	}
	if len(limits) > 0 {
		order["limits"] = limits
	}
	if r.cmd.Flags().Changed("model") {
		order["models"] = given(r.models)
	}
	if !r.cmd.Flags().Changed("budget") {
		return nil
	}
	budgets := []map[string]any{}
	for _, text := range given(r.budgets) {
		budget, err := readBudget(text)
		if err != nil {
			return err
		}
		budgets = append(budgets, budget)
	}
	order["budgets"] = budgets
	return nil
}

// given is a list without the empty word that says it shall be empty.
func given(list []string) []string {
	if len(list) == 1 && list[0] == "" {
		return []string{}
	}
	return list
}

// readBudget reads 500/month, 12.50/day:hard, 5/week:strict.
func readBudget(text string) (map[string]any, error) {
	sum, rest, ok := strings.Cut(text, "/")
	per, mode, _ := strings.Cut(rest, ":")
	if !ok || sum == "" || per == "" || mode != "" && mode != "hard" && mode != "strict" {
		return nil, &Error{ExitUsage, fmt.Sprintf("--budget %q is not a budget", text), "write one such as 500/month, 12.50/day:hard or 5/week:strict"}
	}
	budget := map[string]any{"amount": sum, "per": per}
	if mode != "" {
		budget["hard"] = true
	}
	if mode == "strict" {
		budget["strict"] = true
	}
	return budget, nil
}
