package gateway

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/prefix"
	"tailplane/internal/route"
)

// The rules of balancing:
//
//   - Candidates that share traffic under a policy are ranked by their
//     route.Group, which knows what it was told of every attempt: when it was
//     sent, when its first token came, how it ended.
//   - Nothing is worked out for requests that no policy chooses for.
//   - What a group learned is kept by what is served, not by the name that
//     clients call nor by the policy that chooses, and outlives reloads.
//   - A prompt's hashes begin with what tells caches apart: the customer, so that
//     nobody is routed (nor answered sooner) by what another one has sent, and the
//     adapter, whose cache is not its base model's. The model is not among them:
//     each group has an index of its own, and two names of a model share it. They
//     are the same on every gateway.

// replica is a candidate's place among those that share traffic with it.
type replica struct {
	group *route.Group // nil: no policy chooses among them
	line  *line        // where requests wait for it
	name  string       // in the group

	adapter string // LoRA adapter that it is asked for
}

// replicas finds the groups of a destination's candidates.
func (p *Plane) replicas(d *destination) {
	for begin := 0; begin < len(d.candidates); {
		end := begin + 1
		for end < len(d.candidates) && d.candidates[end].group == d.candidates[begin].group {
			end++
		}
		p.shareTraffic(d, d.candidates[begin:end])
		begin = end
	}
}

func (p *Plane) shareTraffic(d *destination, shared []candidate) {
	policy := shared[0].policy
	if d.crowded || !route.Ranks(policy) {
		return
	}
	name, label := grouped(shared)
	if label == "" {
		label = d.name
		if d.steered {
			name = "steered " + d.name // callers make up as many sets of candidates as they like
		}
	}
	d.priced = d.priced || slices.ContainsFunc(shared[1:], func(t candidate) bool { return t.rate != shared[0].rate })
	g := p.group(d, name)
	for i := range shared {
		t := &shared[i]
		t.replica = replica{group: g, name: t.Name + "/" + t.served()}
		if t.base != "" {
			t.replica.adapter = t.model
		}
	}
	d.balanced = true
	if d.dry {
		return // nobody waits
	}
	l := p.lineOf(g, label, shared)
	for i := range shared {
		shared[i].replica.line = l
	}
}

// group is the group of that name that a destination's candidates are members of.
func (p *Plane) group(d *destination, name string) *route.Group {
	if d.dry {
		return p.groups.Peek(name)
	}
	return p.groups.Group(name)
}

// grouped is the name of the group of candidates that share traffic: the model where
// all serve the same one, and served is that, too; else who they are.
func grouped(shared []candidate) (name, served string) {
	served = shared[0].served()
	if !slices.ContainsFunc(shared, func(t candidate) bool { return t.served() != served }) {
		return served, served
	}
	var members []string
	for i := range shared {
		members = append(members, shared[i].Name+"/"+shared[i].served())
	}
	slices.Sort(members)
	return strings.Join(slices.Compact(members), " "), ""
}

// served is the model that takes the load: the base of an adapter.
func (c *candidate) served() string { return cmp.Or(c.base, c.model) }

// balance ranks the candidates that share traffic, where a policy does.
func (c *call) balance(at time.Time) {
	hold, ranked := time.Duration(0), false // by the group that is asked first
	c.saw = append(c.saw[:0], make([]seen, len(c.views))...)
	for begin := 0; begin < len(c.views); {
		end := begin + 1
		for end < len(c.views) && c.views[end].Group == c.views[begin].Group {
			end++
		}
		if g := c.dest.candidates[begin].replica.group; g != nil && c.rank(at, g, begin, end) && !ranked {
			hold, ranked = c.decision.Hold, true
		}
		begin = end
	}
	c.decision.Hold = hold
}

// reconsider balances again after the time for which a group wants the request kept
// back.
func (c *call) reconsider() *llm.Fault {
	hold := c.decision.Hold
	if hold <= 0 {
		return nil
	}
	if f := c.sleep(hold); f != nil {
		return f
	}
	c.ex.Queued += hold
	c.asked.Held = true
	at := now()
	c.standings(at)
	c.passOver()
	c.balance(at)
	return nil
}

// describe works out what policies want to know of the request, where it is asked of
// that adapter.
func (c *call) describe(adapter string) {
	q := &c.asked
	if c.described && q.Adapter == adapter {
		return
	}
	if !c.described {
		c.described = true
		q.Roll, q.Session, q.Dry, q.Held = c.plane.roll(), 0, c.dry, false
		if c.ex.Session != "" {
			q.Session = route.Hash(c.ex.Session)
		}
		input, output := c.expects()
		c.input, q.Output = int(input), int(output)
	}
	q.Adapter = adapter
	q.Chain.Reset()
	switch q.Work, q.Size = c.work(); {
	case q.Work == route.WorkText:
		q.Chain.Bytes = len(c.body)
	case q.Work == route.WorkPrompt:
		prefix.FromBody(&q.Chain, prefix.Seed(c.ex.Customer, "", adapter), c.body)
	}
}

// rank lets a group rank its candidates; those that may not be asked keep their
// places behind the others. It reports whether there was one to rank.
func (c *call) rank(at time.Time, g *route.Group, begin, end int) bool {
	c.describe(c.dest.candidates[begin].replica.adapter)
	c.facts, c.ranked = c.facts[:0], c.ranked[:0]
	for i := begin; i < end; i++ {
		if v := &c.views[i]; v.Able() && v.Ready() {
			c.ranked = append(c.ranked, i)
			f := c.fact(&c.dest.candidates[i], v)
			f.Engine, f.Penalty = c.dest.candidates[i].State.Signals(at).Sample, c.live[i].Penalty
			c.facts = append(c.facts, f)
		}
	}
	if len(c.facts) == 0 {
		return false
	}
	c.decision.Order = c.decision.Order[:0]
	c.asked.Policy = c.dest.candidates[begin].policy
	g.Pick(at, &c.asked, c.facts, &c.decision, true)
	c.see()
	for place, k := range c.decision.Order {
		v := &c.views[c.ranked[k]]
		v.Ranked, v.Rank = c.decision.Why, place
	}
	return true
}

// fact is what a group needs to know of a candidate beside what it learned.
func (c *call) fact(t *candidate, v *route.View) route.Facts {
	f := route.Facts{Name: t.replica.name, Weight: t.weight, InFlight: int(v.InFlight)}
	if c.dest.priced {
		f.Price = float64(t.rate.Cost(c.ex.Start, llm.Usage{Input: int64(c.input), Output: int64(c.asked.Output)}).Nano) / 1e9
	}
	return f
}

// follow tells a group that an attempt is about to be sent.
func (c *call) follow(target *candidate, at time.Time) {
	if g := target.replica.group; g != nil {
		c.describe(target.replica.adapter)
		g.Sent(at, &c.asked, target.replica.name, &c.ticket)
		c.turn.Sent(at)
	}
}

// followed tells it, and whoever was named for the prompt, how the attempt ended. A
// whole answer has shown no first token, and teaches no speed.
func (c *call) followed(target *candidate, a *ledger.Attempt, f *llm.Fault) {
	if c.leg.open {
		c.leg.ended(now(), f)
	}
	if target.replica.group == nil {
		return
	}
	r := route.Result{OK: f == nil || f.Kind == llm.FaultFlawed, Cached: -1, Output: int(a.Usage.Output)}
	if a.Usage.Source == llm.UsageReported {
		r.Input, r.Cached = int(a.Usage.Input), route.NothingSaid
		if a.Usage.CacheRead > 0 {
			r.Cached = int(a.Usage.CacheRead)
		}
	}
	at := now()
	if refusesLoad(f) {
		c.ticket.Refused(at)
	}
	c.ticket.Done(at, r)
	target.replica.poke(at)
}
