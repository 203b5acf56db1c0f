package gateway

import (
	"slices"

	"tailplane/internal/ledger"
	"tailplane/internal/route"
)

// seen is a candidate as its policy saw it.
type seen struct {
	ranked                bool
	prompt, hit, inFlight int
	first                 float64 // seconds until it has computed the prompt, with what is before it
	terms                 route.Terms
}

// see keeps what a policy saw of the candidates that it has ranked.
func (c *call) see() {
	for k := range c.decision.Replicas {
		r := &c.decision.Replicas[k]
		c.saw[c.ranked[k]] = sawOf(r)
	}
}

func sawOf(r *route.Replica) seen {
	return seen{ranked: true, prompt: r.Prompt, hit: max(0, r.Hit), inFlight: r.InFlight, first: r.Queue + r.Adapter + r.Prefill, terms: r.Terms}
}

// noteChoice puts into the record what the first candidate was chosen among, where
// a policy has chosen: the others of its group, those first that are asked first.
func (c *call) noteChoice() {
	first := c.order[0]
	if !c.saw[first].ranked {
		return
	}
	group, mixed, among := c.views[first].Group, false, 0
	for i := range c.views {
		if c.views[i].Group == group {
			among++
			mixed = mixed || c.dest.candidates[i].model != c.dest.candidates[first].model
		}
	}
	if among < 2 {
		return
	}
	c.ex.Policy = c.dest.candidates[first].policy.Name
	c.ex.Among, c.ex.ExpectedInput, c.ex.ExpectedOutput = among, c.saw[first].prompt, c.asked.Output
	for _, i := range c.order {
		if c.views[i].Group == group {
			c.noteCandidate(i, mixed)
		}
	}
	for i := range c.views {
		if c.views[i].Group == group && !slices.Contains(c.order, i) {
			c.noteCandidate(i, mixed)
		}
	}
}

// noteCandidate adds one, while there is room.
func (c *call) noteCandidate(i int, mixed bool) {
	if len(c.ex.Choice) >= ledger.MostChoices {
		return
	}
	t := &c.dest.candidates[i]
	one := choiceOf(t.Name, c.views[i].Not(), c.saw[i])
	if mixed {
		one.Model = t.model
	}
	c.ex.Choice = append(c.ex.Choice, one)
}

// choiceOf is how a policy saw a target, or why it did not.
func choiceOf(target, not string, s seen) ledger.Choice {
	one := ledger.Choice{Target: target, Not: not, InFlight: s.inFlight, Hit: s.hit}
	one.Wait, one.Prefill, one.Delay, one.Memory = micros(s.terms.Wait), micros(s.terms.Prefill), micros(s.terms.Delay), micros(s.terms.Memory)
	one.Adapter = micros(s.terms.Adapter)
	one.Decode, one.Risk, one.Home, one.Cost = micros(s.terms.Decode), micros(s.terms.Risk), micros(s.terms.Home), micros(s.terms.Cost)
	return one
}

// micros are seconds in microseconds. What a policy says to put somebody last may
// be too many for any unit.
func micros(seconds float64) int64 {
	const most = 1 << 53
	return int64(max(-most, min(most, seconds*1e6)))
}
