package replay

import (
	"slices"
	"strings"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/models"
	"tailplane/internal/route"
)

// choose decides which candidate would be asked first, and says why. Nobody may be
// asked when it is nil; why says so of the last one, then.
func (a *Again) choose(ex *ledger.Exchange, d *destination) (*option, string) {
	var able, ready []*option
	no := "the model has no candidate"
	for i := range d.options {
		o := &d.options[i]
		switch weak := o.Weak && judged(ex) == "strong"; {
		case o.not != "":
			no = "no candidate may be asked: " + o.name + ": " + o.not
			continue
		case weak:
			no = "no candidate may be asked: the request is for the strong model"
			continue
		}
		able = append(able, o)
		if !wasNot(ex, o) {
			ready = append(ready, o)
		}
	}
	here := slices.IndexFunc(able, func(o *option) bool { return o.name == first(ex) })
	switch {
	case len(able) == 0:
		return nil, no
	case here >= 0 && passedOver(ex):
		return able[here], "others before it were not ready then"
	case len(ready) == 0 && here >= 0:
		return able[here], string(route.WhyLastHope)
	case len(ready) == 0:
		return able[0], string(route.WhyLastHope)
	}
	group := ready[:1]
	for len(group) < len(ready) && ready[len(group)].Group == group[0].Group {
		group = ready[:len(group)+1]
	}
	if here >= 0 && d.prefers && able[here].Group == group[0].Group {
		return able[here], string(route.WhyHeadroom)
	}
	return a.rank(ex, group)
}

// passedOver reports whether a request went past candidates that were not ready,
// in a route where the record does not say which.
func passedOver(ex *ledger.Exchange) bool {
	for _, why := range []route.Why{route.WhyFallback, route.WhySpill, route.WhyLastHope} {
		if len(ex.Choice) == 0 && strings.HasSuffix(ex.Reason, string(why)) {
			return true
		}
	}
	return false
}

// judged is which of a weak and a strong model a request was judged to need; empty
// when it was not judged.
func judged(ex *ledger.Exchange) string {
	for _, choice := range []string{"weak", "strong"} {
		if strings.HasPrefix(ex.Reason, choice+": ") {
			return choice
		}
	}
	return ""
}

// wasNot reports whether the record says that a candidate was not ready, or that
// the caller did not want it. What the file of then said against it does not count.
func wasNot(ex *ledger.Exchange, o *option) bool {
	c := recorded(ex, o)
	return c != nil && c.Not != "" && !strings.HasPrefix(c.Not, "it is not labelled ") && c.Not != "a rule leaves it out" && c.Not != "it is asked after other faults only"
}

// recorded is what the record says of a candidate; nil when it says nothing.
func recorded(ex *ledger.Exchange, o *option) *ledger.Choice {
	for i := range ex.Choice {
		c := &ex.Choice[i]
		if c.Target == o.Target && (c.Model == o.Model || c.Model == "" && ex.Tries()[0].Model == o.Model) {
			return c
		}
	}
	return nil
}

// rank chooses among candidates that share traffic.
func (a *Again) rank(ex *ledger.Exchange, group []*option) (*option, string) {
	p := group[0].Policy
	policy := a.policy(p)
	switch {
	case len(group) == 1:
		return group[0], string(route.WhyFirst)
	case p.Name == models.PolicyPriority:
		return group[0], string(route.WhyFirst)
	case ex.Policy == p.Name && p == (models.Policy{Name: p.Name}):
		if o := cheapest(ex, group); o != nil {
			return o, p.Name + ", by what was recorded"
		}
	}
	if policy == nil {
		return a.draw(ex, group, func(o *option) int { return max(1, o.Weight) }), string(route.WhyWeighted)
	}
	if p.Name == "random" || p.Name == "round_robin" {
		return a.draw(ex, group, func(*option) int { return 1 }), p.Name
	}
	q, rs := a.query(ex), make([]route.Replica, 0, len(group))
	for _, o := range group {
		rs = append(rs, a.replica(ex, o))
	}
	why := policy.Rank(&q, rs)
	best := 0
	for i := range rs {
		if rs[i].Cost < rs[best].Cost || rs[i].Cost == rs[best].Cost && mix(rs[i].Key^q.Roll) < mix(rs[best].Key^q.Roll) {
			best = i
		}
	}
	return group[best], string(why)
}

// policy is the one that a file asks for in these words, with what it remembers.
func (a *Again) policy(p models.Policy) route.Policy {
	key := p.Name + p.Form
	if a.policies[key] == nil {
		a.policies[key] = route.NewPolicy(p)
	}
	return a.policies[key]
}

// cheapest is the candidate whose recorded cost is the least; nil when one of them
// has none.
func cheapest(ex *ledger.Exchange, group []*option) *option {
	for _, o := range group {
		if c := recorded(ex, o); c == nil || c.Not != "" {
			return nil
		}
	}
	for i := range ex.Choice { // they stand in the order of their costs
		for _, o := range group {
			if recorded(ex, o) == &ex.Choice[i] {
				return o
			}
		}
	}
	return nil
}

// query is an exchange as policies see it. Its prompt is not kept: what begins
// alike is known by its session alone.
func (a *Again) query(ex *ledger.Exchange) route.Query {
	q := route.Query{Roll: mixText(ex.ID), Output: ex.ExpectedOutput, Now: ex.Start}
	if q.Output == 0 {
		q.Output = int(last(ex).Usage.Output)
	}
	if ex.Session != "" {
		q.Session = route.Hash(ex.Session)
		q.Chain.Lane = q.Session
	}
	return q
}

// replica is a candidate as a policy sees it: the load is what was decided here,
// hits are those of the record, speeds are learned.
func (a *Again) replica(ex *ledger.Exchange, o *option) route.Replica {
	r := route.Replica{Name: o.name, Key: route.Hash(o.name), Weight: max(1, o.Weight), Prompt: prompt(ex), InFlight: a.inFlight[o.name], Drag: 1}
	r.Context = r.InFlight * r.Prompt
	if c := recorded(ex, o); c != nil {
		r.Hit = c.Hit
	}
	p := a.paces[o.name]
	wait, _ := p.firstToken(int64(r.Prompt))
	r.FirstToken, r.PerToken = wait.Seconds(), p.perToken().Seconds()
	r.Prefill = r.FirstToken * (1 - float64(r.Hit)/float64(max(1, r.Prompt)))
	u := llm.Usage{Input: int64(r.Prompt), Output: last(ex).Usage.Output}
	r.Price = float64(o.rate.Cost(ex.Start, u).Nano) / 1e9
	return r
}

// prompt is how many tokens the prompt has, as far as the record tells.
func prompt(ex *ledger.Exchange) int {
	switch {
	case last(ex).Usage.Input > 0:
		return int(last(ex).Usage.Input)
	case ex.ExpectedInput > 0:
		return ex.ExpectedInput
	}
	return int(meter.EstimateTokens(ex.Bytes))
}

// draw lets chance decide by weight, and moves no more requests than the weights
// demand: those that went to a candidate stay there, up to its new share.
func (a *Again) draw(ex *ledger.Exchange, group []*option, weight func(*option) int) *option {
	to, was, is := a.went[way{a.ruled(ex), ex.Model}], 0, 0
	for _, n := range to {
		was += n
	}
	for _, o := range group {
		is += weight(o)
	}
	old := func(o *option) float64 { return float64(to[o.name]) / float64(max(1, was)) }
	now := func(o *option) float64 { return float64(weight(o)) / float64(is) }
	roll, more := chanceOf(mixText(ex.ID)), 0.0
	for _, o := range group {
		if o.name == first(ex) && roll*old(o) < now(o) {
			return o
		}
		more += max(0, now(o)-old(o))
	}
	left := chanceOf(mix(mixText(ex.ID))) * more
	for _, o := range group {
		if left -= max(0, now(o)-old(o)); left < 0 {
			return o
		}
	}
	return group[0]
}

// chanceOf is a number from 0 to 1.
func chanceOf(roll uint64) float64 { return float64(roll>>11) / (1 << 53) }

// run ends what has ended by now, and puts a request where it was decided.
func (a *Again) run(ex *ledger.Exchange, name string, takes time.Duration) {
	if a.begun.IsZero() {
		a.begun = ex.Start
	}
	at := ex.Start.Sub(a.begun)
	for due, any := a.ends.next(); any && due <= at; due, any = a.ends.next() {
		a.ends.pop().do()
	}
	a.inFlight[name]++
	a.ends.plan(at+takes, func() {
		if a.inFlight[name]--; a.inFlight[name] == 0 {
			delete(a.inFlight, name)
		}
	})
}
