package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/models"
	"tailplane/internal/route"
	"tailplane/internal/upstream"
)

// The rules of computing prompts elsewhere:
//
//   - Candidates of a pool with a prefill side only decode. Who decodes is chosen
//     first; then, when enough of the prompt is missing there, who computes it, by a
//     group of its own.
//   - A prompt waits for its turn at the side, in a queue of the side's own, and not in
//     the engines': as long as it is predicted to be computed there in time. Else it
//     is computed where it is answered.
//   - No request fails because of the prefill side: without it the replica that
//     decodes computes the prompt itself, and the side is not asked again for that
//     request. Where it cannot (models.Convention.Needs), all of the side are asked
//     before the request goes on to other candidates.
//   - Who may see the prompt is bound by the same labels, rules and wishes on both
//     sides.
//   - What leads an engine to another one is never taken from a client.

// side is who computes the prompts of candidates that only decode.
type side struct {
	convention models.Convention
	threshold  int           // tokens
	timeout    time.Duration // 0 is half of the time to the first token
	members    []candidate
	group      *route.Group
	line       *line // where prompts wait for it
}

// side builds the prefill side that some candidates of a destination share.
func (p *Plane) side(d *destination, of *models.PrefillSide) *side {
	s := &side{convention: of.Convention, threshold: of.Threshold, timeout: of.Timeout}
	for _, c := range of.Candidates {
		if t, ok := p.candidate(d, c); ok {
			t.replica.name = t.Name + "/" + t.model
			s.members = append(s.members, t)
		}
	}
	if len(s.members) > 0 {
		s.group = p.group(d, "prefill "+s.members[0].model)
		if !d.dry { // else nobody waits
			s.line = p.lineOf(s.group, "prefill "+s.members[0].model, s.members)
			if s.convention.Asks() {
				s.line.told()
			}
		}
		for i := range s.members {
			s.members[i].replica.group, s.members[i].replica.line = s.group, s.line
		}
	}
	return s
}

// The outcomes of a leg, as the metrics name them.
const (
	legDone    = "ok"      // the prompt was computed
	legNamed   = "named"   // the decode replica was told who computes it
	legFailed  = "failed"  // it was not, and the decode replica did so
	legEmpty   = "empty"   // its first token was the last one, and nothing is handed over
	legCached  = "cached"  // too little was missing
	legBusy    = "busy"    // it would have been computed too late
	legUnready = "unready" // nobody could be asked
	legUnfit   = "unfit"   // the request cannot be divided
)

// disaggregate has the prompt of an attempt computed elsewhere where its model says so,
// and tells the target's group that the attempt is sent. It returns when it is, or the
// fault of a prompt that nobody has computed and the target cannot; then the group knows
// that nothing was sent.
func (c *call) disaggregate(target *candidate, at time.Time) (time.Time, *llm.Fault) {
	c.leg.clear()
	if target.prefill == nil || !c.divides() {
		c.follow(target, at)
		return at, nil
	}
	needs := target.prefill.convention.Needs()
	for {
		outcome := c.legOf(target, at)
		at = now()
		switch {
		case outcome == legDone || outcome == legNamed || !needs:
			return at, nil
		case outcome != legFailed || c.ctx.Err() != nil:
			c.leg.failed = true
			c.ticket.Done(at, route.Result{Cached: -1})
			return at, c.undivided(outcome)
		}
	}
}

// undivided is the fault of a request whose prompt nobody could compute.
func (c *call) undivided(outcome string) *llm.Fault {
	if err := c.ctx.Err(); err != nil {
		return upstream.Broken(err, llm.FaultTotal)
	}
	if outcome == legUnfit {
		return unsupported(fmt.Sprintf("model %q computes prompts and answers on different engines: %s", c.dest.name, c.leg.found.Why))
	}
	return &llm.Fault{
		Kind: llm.FaultUnavailable, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest, Phase: llm.PhaseAdmit, After: fullAfter,
		Message: fmt.Sprintf("nobody could compute the prompt for model %q: %s", c.dest.name, c.leg.found.Why),
	}
}

// legOf chooses who computes the prompt for an attempt at target, and has it computed.
// The attempt's group is told in any case.
func (c *call) legOf(target *candidate, at time.Time) (outcome string) {
	outcome = c.choosePrefill(target, at)
	elsewhere := outcome == ""
	if c.leg.took == 0 { // else it was told of the leg before
		c.asked.Prefilled = elsewhere
		c.follow(target, at)
		c.asked.Prefilled = false
	}
	if elsewhere {
		if outcome = c.takeTurn(at); outcome == "" {
			at = now()
			outcome = c.engage(target, at)
		}
	}
	c.notePrefill()
	took := time.Duration(0)
	if outcome == "" {
		outcome, took = c.askLeg(at)
		c.leg.took += took
	}
	c.dest.metrics.Leg(outcome, took)
	if elsewhere && outcome != legDone && outcome != legNamed {
		c.leg.turn.Leave(now(), 0)
		if !c.leg.side.convention.Needs() {
			c.ticket.Alone(now())
		}
	}
	return outcome
}

// takeTurn waits until the side has room for the prompt, as long as it would be
// computed there in time, and chooses among its replicas anew then. The outcome is empty
// where it has.
func (c *call) takeTurn(at time.Time) (outcome string) {
	l := &c.leg
	s := l.side
	first := &l.decision.Replicas[l.decision.Order[0]]
	it := c.tenant(at)
	it.Cost, _ = s.group.Seconds(&c.asked)
	it.Deadline = c.legDeadline(at)
	if l.alone > 0 && !s.convention.Needs() {
		if due := at.Add(time.Duration((patience*l.alone - first.Adapter - first.Prefill) * float64(time.Second))); due.Before(it.Deadline) {
			it.Deadline = due
		}
	}
	turn, no := s.line.queue.Enter(c.ctx, at, it)
	if no != nil {
		l.waited(no.Waited, &c.ex)
		s.line.metrics.Refused(no.Band.String(), no.Reason.String())
		return l.without(legBusy, fmt.Sprintf("the prefill side is full (%s), and computing it where it is answered takes %.1f s", no.Reason, l.alone))
	}
	l.turn = turn
	if turn.Waited == 0 {
		return ""
	}
	l.waited(turn.Waited, &c.ex)
	s.line.metrics.Wait.Observe(turn.Waited.Seconds())
	return c.rankPrefill(now(), s)
}

// divides reports whether the request is one whose prompt can be computed elsewhere.
func (c *call) divides() bool { return c.seen.Op == llm.OpGenerate && c.surface.forward == nil }

// choosePrefill decides who computes the prompt for an attempt at target: c.leg.by and,
// for people, c.leg.found. The outcome is empty where somebody is to.
func (c *call) choosePrefill(target *candidate, at time.Time) (outcome string) {
	s := target.prefill
	c.describe(target.replica.adapter)
	c.leg.side = s
	uncached, alone := c.alone(target)
	c.leg.alone = alone
	c.leg.found = ledger.Prefill{Convention: string(s.convention), Uncached: uncached, Choice: c.leg.found.Choice[:0]}
	switch {
	case c.leg.failed:
		return c.leg.without(legUnready, "the prefill side has failed this request")
	case c.leg.found.Uncached < s.threshold && !s.convention.Needs():
		return c.leg.without(legCached, fmt.Sprintf("fewer than %d tokens are missing from the cache of %s", s.threshold, target.Name))
	case !takes(s.convention, c.spoken(target)):
		return c.leg.without(legUnfit, fmt.Sprintf("%s is spoken to in %s, which the convention has no words for", target.Name, c.spoken(target)))
	}
	if outcome = c.rankPrefill(at, s); outcome != "" {
		return outcome
	}
	if first := sawOf(&c.leg.decision.Replicas[c.leg.decision.Order[0]]).first; alone > 0 && first > patience*alone && !s.convention.Needs() {
		return c.leg.without(legBusy, fmt.Sprintf("%s is %.1f s from having computed it, and %s %.1f s", c.leg.by.Name, first, target.Name, alone))
	}
	return ""
}

// patience is how many times longer computing a prompt may take elsewhere than where it
// is answered. There it delays everybody who is being answered, and takes the place of
// what is cached; auto weighs it alike.
const patience = 4

// alone is how much of the prompt a candidate is not thought to hold, in tokens, and how
// long it would take to compute that after what it has to do before; 0 is not known.
func (c *call) alone(target *candidate) (uncached int, seconds float64) {
	for i := range c.saw {
		if s := &c.saw[i]; &c.dest.candidates[i] == target && s.ranked {
			return s.prompt - s.hit, s.first
		}
	}
	return c.input, 0
}

// spoken is the dialect in which a candidate will be asked.
func (c *call) spoken(target *candidate) llm.Dialect {
	own := c.surface.dialect.Name()
	if target.Serves(c.seen.Op, own, target.model) {
		return own // signatures of other dialects are translated, to what their target speaks then
	}
	spoken, _ := target.Conversation(own, target.model)
	return spoken
}

// rankPrefill lets the side's group choose among those that are ready, of the lowest
// rank that has any.
func (c *call) rankPrefill(at time.Time, s *side) (outcome string) {
	l := &c.leg
	l.views, l.facts, l.ranked = l.views[:0], l.facts[:0], l.ranked[:0]
	lowest := -1
	for i := range s.members {
		t := &s.members[i]
		live := t.State.View(at, t.model)
		v := t.view(at, &live, c.surface, false)
		v.Cannot = cmp.Or(v.Cannot, c.dest.bars(t))
		if slices.Contains(l.tried, t) {
			v.Cannot = "it has failed this request"
		}
		l.views = append(l.views, v)
		if !v.Able() || !v.Ready() || lowest >= 0 && t.group > lowest {
			continue
		}
		if t.group < lowest {
			l.facts, l.ranked = l.facts[:0], l.ranked[:0]
		}
		lowest = t.group
		f := c.fact(t, &v)
		f.Engine, f.Penalty = t.State.Signals(at).Sample, live.Penalty
		l.facts, l.ranked = append(l.facts, f), append(l.ranked, i)
	}
	l.found.Among = len(s.members)
	if len(l.facts) == 0 {
		c.choiceOfPrefill(s)
		return l.without(legUnready, "no replica of the prefill side is ready")
	}
	l.decision.Order = l.decision.Order[:0]
	c.asked.Policy = s.members[0].policy
	s.group.Pick(at, &c.asked, l.facts, &l.decision, true)
	l.by = &s.members[l.ranked[l.decision.Order[0]]]
	l.found.Target, l.found.Why, l.found.Policy = l.by.Name, string(l.decision.Why), l.by.policy.Name
	c.choiceOfPrefill(s)
	return ""
}

// choiceOfPrefill lists what was chosen among: those that were ranked, the chosen one
// first, and then the others with what is in the way.
func (c *call) choiceOfPrefill(s *side) {
	l := &c.leg
	add := func(one ledger.Choice) {
		if len(l.found.Choice) < ledger.MostChoices {
			l.found.Choice = append(l.found.Choice, one)
		}
	}
	if len(l.facts) > 0 {
		for _, k := range l.decision.Order {
			add(choiceOf(s.members[l.ranked[k]].Name, "", sawOf(&l.decision.Replicas[k])))
		}
	}
	for i := range s.members {
		if !slices.Contains(l.ranked, i) {
			add(choiceOf(s.members[i].Name, cmp.Or(l.views[i].Not(), "others of a lower rank are ready"), seen{}))
		}
	}
}

// notePrefill puts into the record what was decided; the last attempt that was given
// somebody stands.
func (c *call) notePrefill() {
	if c.leg.found.Target != "" || c.ex.Prefill.Target == "" {
		c.ex.Prefill = c.leg.found
		c.ex.Prefill.Choice = slices.Clone(c.leg.found.Choice)
	}
}

// bars says why what the request or a rule demands keeps it from a target that no
// candidate is; empty when it does not.
func (d *destination) bars(t *candidate) string {
	for _, bar := range d.barring {
		if why := bar(t); why != "" {
			return why
		}
	}
	return ""
}
