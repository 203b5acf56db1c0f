package gateway

import (
	"cmp"
	"slices"
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
//     clients call, and outlives reloads.

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
	if d.made || !route.Ranks(policy) {
		return
	}
	name := shared[0].served()
	for i := range shared {
		if shared[i].served() != name {
			name = d.name // its members differ: they are a group for this name alone
			break
		}
	}
	d.priced = d.priced || slices.ContainsFunc(shared[1:], func(t candidate) bool { return t.rate != shared[0].rate })
	g := p.groups.Group(policy.Name+" "+name, policy)
	for i := range shared {
		t := &shared[i]
		t.replica = replica{group: g, name: t.Name + "/" + t.served()}
		if t.base != "" {
			t.replica.adapter = t.model
		}
	}
	l := p.lineOf(g, name, shared)
	for i := range shared {
		shared[i].replica.line = l
	}
	d.balanced = true
}

// served is the model that takes the load: the base of an adapter.
func (c *candidate) served() string { return cmp.Or(c.base, c.model) }

// balance ranks the candidates that share traffic, where a policy does.
func (c *call) balance(at time.Time) {
	c.describe()
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

// describe works out what policies want to know of the request.
func (c *call) describe() {
	if c.described {
		return
	}
	c.described = true
	q := &c.asked
	q.Chain.Reset()
	q.Roll, q.Session, q.Adapter, q.Dry, q.Held = c.plane.roll(), 0, "", c.dry, false
	if c.ex.Session != "" {
		q.Session = route.Hash(c.ex.Session)
	}
	switch q.Work, q.Size = c.work(); {
	case q.Work == route.WorkText:
		q.Chain.Bytes = len(c.body)
	case q.Work == route.WorkPrompt:
		prefix.FromBody(&q.Chain, prefix.Seed(c.ex.Customer, c.seen.Model, ""), c.body)
	}
	input, output := c.expects()
	c.input, q.Output = int(input), int(output)
}

// rank lets a group rank its candidates; those that may not be asked keep their
// places behind the others. It reports whether there was one to rank.
func (c *call) rank(at time.Time, g *route.Group, begin, end int) bool {
	c.facts, c.ranked = c.facts[:0], c.ranked[:0]
	for i := begin; i < end; i++ {
		if v := &c.views[i]; v.Able() && v.Ready() {
			c.ranked = append(c.ranked, i)
			f := c.fact(&c.dest.candidates[i], v)
			f.Engine, f.Risk = c.dest.candidates[i].State.Signals(at).Sample, risk(c.live[i].Penalty)
			c.facts = append(c.facts, f)
		}
	}
	if len(c.facts) == 0 {
		return false
	}
	c.decision.Order = c.decision.Order[:0]
	c.asked.Adapter = c.dest.candidates[begin].replica.adapter
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
		c.asked.Adapter = target.replica.adapter
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
