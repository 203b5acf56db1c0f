package gateway

import (
	"cmp"
	"strconv"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/queue"
	"tailplane/internal/route"
)

// The rules of waiting:
//
//   - A request waits where its first ready candidates are a group that a policy
//     chooses among, and none of them has room. Others go on as they always did.
//   - It waits before a replica is chosen, so that the choice is made with the
//     facts of the moment in which it is sent.
//   - Its place is held until the call is closed, whatever happens on the way.
//   - One that is refused goes on to those behind the group, if one of them is
//     ready: that is what they are there for.
//   - What computes something waits, whatever is asked for. Questions that cost next
//     to nothing (tokens counted), what a target keeps, and sessions go on as they
//     come.

// wait returns when a replica of the request has room.
func (c *call) wait() *llm.Fault {
	if work, size := c.work(); !c.dest.balanced || work == route.WorkOther && size == 0 {
		return nil
	}
	at := now()
	t, more := c.waitsFor(at)
	if t == nil {
		return nil
	}
	c.describe(t.replica.adapter)
	l := t.replica.line
	turn, no := l.queue.Enter(c.ctx, at, c.item(at, t))
	if no == nil {
		c.turn, c.stood = turn, turn.Waited == 0
		if turn.Waited > 0 {
			c.ex.Queued = turn.Waited
			l.metrics.Wait.Observe(turn.Waited.Seconds())
		}
		return nil
	}
	c.ex.Queued = no.Waited
	l.metrics.Refused(no.Band.String(), no.Reason.String())
	switch {
	case no.Reason == queue.ReasonCancelled:
		return &llm.Fault{Kind: llm.FaultClientGone, Retry: llm.RetryNever, Scope: llm.ScopeRequest, Phase: llm.PhaseAdmit, Message: "the caller left", Err: c.ctx.Err()}
	case more:
		c.saturated = t.replica.group
		return nil
	}
	return &llm.Fault{
		Kind: llm.FaultShed, Retry: llm.RetrySame, Scope: llm.ScopeModel, Phase: llm.PhaseAdmit, Code: "queue_" + no.Reason.String(),
		After: max(no.After, leastAfter), Message: no.Error(),
	}
}

// work is what the request makes a replica do, and how large it is where that does
// not follow from a text; 0 is hardly anything.
func (c *call) work() (k route.Work, size int) {
	switch c.seen.Op {
	case llm.OpGenerate:
		if c.surface.forward == nil {
			return route.WorkPrompt, 0
		}
	case llm.OpEmbed, llm.OpRerank, llm.OpModerate:
		return route.WorkText, 0
	case llm.OpTranscribe, llm.OpTranslateAudio, llm.OpSpeech:
		return route.WorkOther, len(c.body)
	case llm.OpImage:
		return route.WorkOther, 1
	}
	return route.WorkOther, 0
}

// leastAfter is the shortest wait that a refused client is told.
const leastAfter = 100 * time.Millisecond

// waitsFor is a candidate of the group that the request would go to now; nil when
// no policy chooses there. more says that others behind it are ready, too. A group
// that is full and has none behind it counts as ready: that is worth waiting for.
func (c *call) waitsFor(at time.Time) (first *candidate, more bool) {
	c.standings(at)
	var full *candidate
	for i := range c.dest.candidates {
		t := &c.dest.candidates[i]
		if first != nil && t.group == first.group {
			continue
		}
		v := &c.views[i]
		switch {
		case !v.Able():
		case v.Ready() && first != nil:
			return first, true
		case v.Ready():
			first = t
		case v.Full && v.Wait <= 0 && !v.Broken && full == nil:
			full = t
		}
	}
	if first = cmp.Or(first, full); first == nil || first.replica.group == nil {
		return nil, false
	}
	return first, false
}

// passOver makes candidates that have no room for the request count as full.
func (c *call) passOver() {
	if c.saturated == nil {
		return
	}
	for i := range c.views {
		if c.dest.candidates[i].replica.group == c.saturated {
			c.views[i].Full = true
		}
	}
}

// tenant is the request as any queue sees it: whose it is.
func (c *call) tenant(at time.Time) queue.Item {
	it := queue.Item{Tenant: cmp.Or(c.ex.Customer, c.ex.Team, c.key.ID), Bytes: cap(c.body), Lane: c.asked.Chain.Lane, Enqueued: at}
	it.Band, it.Weight = c.key.Turn(c.party)
	return it
}

// item is the request as the queue of its replicas sees it.
func (c *call) item(at time.Time, t *candidate) queue.Item {
	prefill, decode := t.replica.group.Seconds(&c.asked)
	it := c.tenant(at)
	it.Cost, it.Apart = prefill+decode, c.asked.Work == route.WorkOther
	c.cost = it.Cost
	if c.deadline.Before(at.Add(t.replica.line.config.MaxWait)) {
		it.Deadline = c.deadline
	}
	if within := c.within(); within > 0 {
		due := c.ex.Start.Add(within - time.Duration(prefill*float64(time.Second)))
		if it.Deadline.IsZero() || due.Before(it.Deadline) {
			it.Deadline = due
		}
	}
	return it
}

// withinHeaders are those in which a caller says within how many milliseconds its
// answer must begin.
var withinHeaders = [...]string{"X-Tailplane-Deadline-Ms", "X-Slo-Ttft-Ms", "X-Slo-Ttft"}

// within is what the caller says; 0 when it says nothing that can be read.
func (c *call) within() time.Duration {
	if !c.says.hasty {
		return 0
	}
	for _, name := range withinHeaders {
		values := c.r.Header[name]
		if len(values) == 0 {
			continue
		}
		d, err := time.ParseDuration(values[0])
		if ms, bare := strconv.ParseFloat(values[0], 64); bare == nil {
			d, err = time.Duration(ms*float64(time.Millisecond)), nil
		}
		if err == nil && d > 0 && d <= longestTimeout {
			return d
		}
	}
	return 0
}

// leave gives the request's place back, with what it has cost the replicas. It is
// called whenever a call is closed.
func (c *call) leave() {
	if c.leg.turn.Open() {
		c.leg.turn.Leave(now(), 0) // of a leg that was never made
	}
	if !c.turn.Open() {
		return
	}
	real := 0.0
	for i := range c.ex.Attempts {
		switch a := &c.ex.Attempts[i]; {
		case c.asked.Work != route.WorkPrompt && a.Fault == "": // what it used is no measure of its time
			real = c.cost
		case c.asked.Work != route.WorkPrompt:
		case a.Usage.Source != llm.UsageNone:
			real += c.spent(a)
		}
	}
	c.turn.Leave(now(), real)
	c.turn = queue.Ticket{}
}

// spent is what an attempt has cost a replica.
func (c *call) spent(a *ledger.Attempt) float64 {
	for i := range c.dest.candidates {
		if t := &c.dest.candidates[i]; t.Name == a.Target && t.replica.group != nil {
			return t.replica.group.Spent(int(a.Usage.Input), int(a.Usage.CacheRead), int(a.Usage.Output))
		}
	}
	return 0
}

// poke says that a replica may have room again.
func (r *replica) poke(at time.Time) {
	if r.line != nil {
		r.line.queue.Poke(at)
	}
}

// refusesLoad reports whether a fault says that its target takes no more for now.
func refusesLoad(f *llm.Fault) bool {
	return f != nil && f.Status != 0 && (f.Kind == llm.FaultRateLimit || f.Kind == llm.FaultOverloaded)
}
