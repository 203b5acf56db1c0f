package models

import "fmt"

// validateComplexity reports what is wrong with a model that chooses between a
// weak and a strong one.
func (c Config) validateComplexity(path string, m Model, targets []string, report func(path, wrong, right string)) {
	at := path + ".complexity"
	if len(m.Route) > 0 || len(m.Pool) > 0 || m.ServedAs != "" || !m.Policy.IsZero() {
		report(at, "complexity stands beside a route, a pool or a policy", "keep one of them; weak and strong may be models that have them")
	}
	m.Complexity.Validate(func(path, wrong, right string) { report(at+"."+path, wrong, right) })
	for _, to := range []struct{ key, name string }{{"weak", m.Complexity.Weak}, {"strong", m.Complexity.Strong}} {
		if to.name != "" {
			c.validateReference(at+"."+to.key, to.name, targets, report)
		}
	}
}

// validateNested reports models that lead to one with complexity: what it chooses
// between would be asked in order there, and nobody would have chosen.
func (c Config) validateNested(report func(path, wrong, right string)) {
	for name, m := range c.Models {
		for _, to := range m.references() {
			if other, ok := c.Models[to]; ok && other.Complexity != nil && to != name {
				report("models."+name, fmt.Sprintf("it leads to %q, which has complexity", to), "let callers or a rule name that model, or lead to its weak or strong one")
			}
		}
	}
}

// pair lists the candidates of a model with complexity: those of the weak model,
// which are marked, and behind them those of the strong one.
func (w *walk) pair(m Model, group int) []Candidate {
	weak := w.step(Step{To: m.Complexity.Weak}, group)
	next := group
	for i := range weak {
		weak[i].Weak = true
		next = max(next, weak[i].Group+1)
	}
	return append(weak, w.step(Step{To: m.Complexity.Strong}, next)...)
}
