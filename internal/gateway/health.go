package gateway

import (
	"time"

	"tailplane/internal/fleet"
	"tailplane/internal/llm"
)

// The rules of health on a request's way:
//
//   - What package fleet says of a candidate alone is put together over those that
//     share traffic: a group can do without so many of its members, and when
//     nobody is left all are asked (fleet.Admit, fleet.Panic).
//   - A drained candidate gets no conversation. What is kept there is still had
//     from there.
//   - Candidates that start slowly, or are late, get less: of the weight where it
//     is drawn, and the same part of the traffic where a policy ranks.

// standings fills in how every candidate stands.
func (c *call) standings(at time.Time) {
	c.views, c.live = c.views[:0], c.live[:0]
	off, less := false, false
	for i := range c.dest.candidates {
		t := &c.dest.candidates[i]
		c.live = append(c.live, t.State.View(at, t.model))
		live := &c.live[i]
		off, less = off || live.Broken, less || live.Penalty > 0
		c.views = append(c.views, t.view(at, live, c.surface, c.dest.headroom))
	}
	c.onlyStrong()
	if off && c.overrule() || less {
		c.lighten()
	}
}

// overrule lifts ejections that the request cannot do without. Candidates that
// could not serve it anyway are no help, and do not count. It reports whether it
// has lifted some.
func (c *call) overrule() (lifted bool) {
	able := c.able[:0]
	for begin := 0; begin < len(c.views); {
		end, from := begin, len(able)
		for ; end < len(c.views) && c.views[end].Group == c.views[begin].Group; end++ {
			if c.views[end].Able() {
				able = append(able, c.live[end])
			}
		}
		lifted = fleet.Admit(able[from:], float64(c.plane.fleet.Rules().EjectShare)) > 0 || lifted
		begin = end
	}
	fleet.Panic(able)
	c.able = able
	next := 0
	for i := range c.views {
		if c.views[i].Able() {
			c.live[i], c.views[i].Broken = able[next], able[next].Broken
			next++
		}
	}
	return lifted
}

// lighten takes from the weights what is better sent elsewhere.
func (c *call) lighten() {
	const scale = 100
	for i := range c.views {
		v := &c.views[i]
		v.Weight = max(1, int(float64(max(1, v.Weight)*scale)*(1-c.live[i].Penalty)))
	}
}

// nobody is the fault when no candidate can serve a request: the request's, unless
// one could that is drained.
func (c *call) nobody() *llm.Fault {
	f := &llm.Fault{Kind: llm.FaultUnsupported, Param: "model", Message: c.dest.cannot(c.views, c.seen.Model)}
	for i := range c.live {
		if c.live[i].Draining && c.views[i].Cannot == drained {
			f.Kind, f.Param, f.Retry, f.Scope = llm.FaultUnavailable, "", llm.RetrySame, llm.ScopeTarget
		}
	}
	return f
}

// drained is why a drained candidate cannot serve.
const drained = "it is drained"
