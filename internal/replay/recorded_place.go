package replay

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tailplane/internal/ledger"
	"tailplane/internal/meter"
	"tailplane/internal/models"
	"tailplane/internal/route"
	"tailplane/internal/rules"
)

// destination is where the new file leads a way.
type destination struct {
	rule    string
	options []option // in the order of their groups
	prefers bool     // those with the most left of their limits
	paired  bool     // of a weak and a strong model
}

// placed is what a destination is found by.
type placed struct {
	rule int
	name string
}

// option is a candidate of it.
type option struct {
	models.Candidate
	name string // TARGET/MODEL
	kind string
	not  string // why it may not be asked at all
	rate *meter.Rate
}

// names is the catalog of the new file.
func (a *Again) names() *models.Catalog {
	var list []models.Target
	for _, t := range a.config.Targets {
		one := models.Target{Name: t.Name, Owns: t.Owns, Lists: t.Lists, Discovered: t.Discovered}
		for _, name := range a.replicas[t.Name] {
			one.Replicas = append(one.Replicas, models.Replica{Target: name})
			list = append(list, models.Target{Name: name})
		}
		list = append(list, one)
	}
	return models.New(a.config.Models, list)
}

// ruled is the number of the rule that an exchange falls under; -1 is none.
func (a *Again) ruled(ex *ledger.Exchange) int {
	if len(a.rules) == 0 {
		return -1
	}
	f := rules.Facts{
		Model: ex.Model, Customer: ex.Customer, Team: ex.Team, Organisation: ex.Organisation, Key: ex.Name, Tags: ex.Tags, Session: ex.Session,
		Operation: string(ex.Op), Dialect: string(ex.Dialect), Stream: ex.Stream,
		Bytes: ex.Bytes, InputTokens: int(meter.EstimateTokens(ex.Bytes)), MaxTokens: ex.MaxTokens,
	}
	f.At(ex.Start)
	for i := range a.rules {
		if holds, _ := a.rules[i].when.Holds(&f); holds { // one that cannot be decided does not hold
			return i
		}
	}
	return -1
}

// destination is where an exchange would lead; the text says why nowhere.
func (a *Again) destination(ex *ledger.Exchange) (*destination, string) {
	at := placed{a.ruled(ex), ex.Model}
	if d, ok := a.places[at]; ok {
		return d, ""
	}
	var r models.Rule
	if at.rule >= 0 {
		r = a.rules[at.rule].Rule
	}
	plan, err := a.catalog.Resolve(cmp.Or(r.To, ex.Model))
	if err != nil {
		return nil, err.Error()
	}
	d := &destination{rule: cmp.Or(r.Name, r.When), prefers: plan.Prefer == models.PreferHeadroom}
	for _, c := range plan.Candidates {
		o := a.option(c, slices.Concat(plan.Require, r.Require), r.Only)
		if !r.Policy.IsZero() {
			o.Policy = r.Policy
		}
		d.paired = d.paired || o.Weak
		d.options = append(d.options, o)
	}
	if len(a.places) < mostNames {
		a.places[at] = d
	}
	return d, ""
}

// option is a candidate with what the file says against it.
func (a *Again) option(c models.Candidate, require, only []string) option {
	o := option{Candidate: c, name: c.Target + "/" + c.Model}
	for i := range a.config.Targets {
		t := &a.config.Targets[i]
		if t.Name != c.Target && !(t.Discovered && strings.HasPrefix(c.Target, t.Name+"/")) {
			continue
		}
		o.kind = t.Kind
		for _, label := range require {
			if !slices.Contains(t.Labels, label) {
				o.not = fmt.Sprintf("it is not labelled %s", label)
			}
		}
		if len(only) > 0 && !slices.Contains(only, t.Name) && !slices.Contains(only, c.Target) {
			o.not = cmp.Or(o.not, "a rule leaves it out")
		}
		if t.Drained {
			o.not = cmp.Or(o.not, "it is drained")
		}
	}
	if route.Reserve(c.On) {
		o.not = cmp.Or(o.not, "it is asked after other faults only")
	}
	o.rate = a.config.Book.RateAt(c.Target, o.kind, c.Model)
	return o
}
