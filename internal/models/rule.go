package models

import (
	"fmt"
	"regexp"
	"slices"

	"tailplane/internal/rules"
)

// Rule says what is other for requests for which a condition holds: where they
// go, who of the candidates may be asked, and how one of them is chosen. The
// first rule that holds is followed, and no further one.
type Rule struct {
	Name string `yaml:"name"` // for the explanation
	When string `yaml:"when"` // see package rules
	// To is asked instead of the model that the client named: a model, or
	// TARGET/MODEL.
	To string `yaml:"to"`
	// Policy chooses among candidates that share traffic, instead of their own.
	Policy Policy `yaml:"policy"`
	// Only are the targets that may be asked; empty means all.
	Only []string `yaml:"only"`
	// Require are labels that a target must have to be asked.
	Require []string `yaml:"require"`
}

// validate reports what is wrong with a rule.
func (c Config) validateRule(path string, r Rule, targets []string, report func(path, wrong, right string)) {
	if _, err := rules.Compile(r.When); err != nil {
		report(path+".when", "the condition cannot be read: "+err.Error(), `write one such as customer == "acme" && input_tokens > 8000`)
	}
	if r.To == "" && r.Policy.IsZero() && len(r.Only) == 0 && len(r.Require) == 0 {
		report(path, "the rule changes nothing", "add to, policy, only or require")
	}
	if r.To != "" {
		c.validateReference(path+".to", r.To, targets, report)
	}
	r.Policy.validate(path+".policy", report)
	for i, name := range r.Only {
		if !slices.Contains(targets, name) {
			report(fmt.Sprintf("%s.only[%d]", path, i), fmt.Sprintf("there is no target %q", name), "name one of the targets"+near(name, targets))
		}
	}
	ValidateLabels(path+".require", r.Require, report)
}

var label = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// ValidateLabels reports labels that are not words.
func ValidateLabels(path string, labels []string, report func(path, wrong, right string)) {
	for i, l := range labels {
		if !label.MatchString(l) {
			report(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%q is no label", l), "use lower-case letters, digits, dots, dashes and underscores, such as eu or no-training")
		}
	}
}
