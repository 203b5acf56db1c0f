package gateway

import (
	"cmp"
	"fmt"
	"slices"

	"tailplane/internal/meter"
	"tailplane/internal/models"
	"tailplane/internal/policy"
	"tailplane/internal/route"
	"tailplane/internal/rules"
)

// rule is a rule of the config, ready.
type rule struct {
	models.Rule
	number int
	when   *rules.Condition
}

// compile makes the rules of a valid config ready.
func compile(list []models.Rule) []rule {
	var out []rule
	for i, r := range list {
		if when, err := rules.Compile(r.When); err == nil {
			out = append(out, rule{r, i, when})
		}
	}
	return out
}

// ruled returns the rule that the request falls under; nil when there is none.
func (c *call) ruled() *rule {
	if len(c.plane.rules) == 0 {
		return nil
	}
	f := rules.Facts{
		Model: c.seen.Model, Customer: c.ex.Customer, Team: c.ex.Team, Organisation: c.ex.Organisation, Key: c.ex.Name, Tags: c.ex.Tags,
		Session: c.ex.Session, Operation: string(c.seen.Op), Dialect: string(c.surface.dialect.Name()), Stream: c.seen.Stream,
		Bytes: len(c.body), InputTokens: int(meter.EstimateTokens(len(c.body))), MaxTokens: c.seen.MaxTokens,
	}
	f.At(c.ex.Start)
	for i := range c.plane.rules {
		r := &c.plane.rules[i]
		holds, err := r.when.Holds(&f)
		if err != nil {
			c.gateway.log.Debug("a rule could not be decided and is passed over", "rule", cmp.Or(r.Name, r.When), "request", c.ex.ID, "error", err.Error())
		}
		if holds {
			return r
		}
	}
	return nil
}

// variant is a destination as a rule changes it.
type variant struct {
	rule int
	name string
}

// under returns where a name leads under a rule.
func (p *Plane) under(r *rule, name string, key *policy.Key, dry bool) (*destination, error) {
	name = cmp.Or(r.To, name)
	if r.Policy.IsZero() && len(r.Only) == 0 && len(r.Require) == 0 {
		return p.destination(name, key, dry)
	}
	at := variant{r.number, name}
	if d, ok := p.others.Load(at); ok {
		return d.(*destination), nil
	}
	base, err := p.destination(name, key, dry)
	if err != nil {
		return nil, err
	}
	d := base.changed()
	d.dry = dry
	d.bar(r.bars)
	for i := range d.candidates {
		t := &d.candidates[i]
		if !r.Policy.IsZero() {
			t.policy, t.replica = r.Policy, replica{}
		}
	}
	p.replicas(d)
	if !dry && p.known.Add(1) <= mostOthers {
		p.others.Store(at, d)
	}
	return d, nil
}

// bars says why the rule keeps from a target.
func (r *rule) bars(t *candidate) string {
	if why := lacks(t.Config.Labels, r.Require); why != "" || len(r.Only) == 0 || slices.ContainsFunc(r.Only, t.Called) {
		return why
	}
	return "a rule leaves it out"
}

// bar keeps from the candidates, and from those who would compute their prompts, what
// why names a reason for.
func (d *destination) bar(why func(t *candidate) string) {
	d.barring = append(slices.Clip(d.barring), why)
	for i := range d.candidates {
		t := &d.candidates[i]
		t.barred = cmp.Or(t.barred, why(t))
	}
}

// changed is a copy of a destination whose candidates may be changed.
func (d *destination) changed() *destination {
	out := *d
	out.candidates = slices.Clone(d.candidates)
	return &out
}

// lacks says which of the labels that are required a target has not; empty when
// it has all.
func lacks(has, require []string) string {
	for _, l := range require {
		if !slices.Contains(has, l) {
			return fmt.Sprintf("it is not labelled %s", l)
		}
	}
	return ""
}

// called is what people know the rule by.
func (r *rule) called() string { return cmp.Or(r.Name, r.When) }

// told is how the reason of a route names the rule that led there.
func (r *rule) told(why route.Why) string {
	return fmt.Sprintf("rule %s: %s", r.called(), why)
}
