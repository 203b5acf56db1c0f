package gateway

import (
	"strconv"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/dialect"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/models"
	"tailplane/internal/queue"
	"tailplane/internal/route"
	"tailplane/internal/upstream"
)

// prefillLeg is the part of the current attempt that another replica does: it computes the
// prompt. Its memory is the call's.
type prefillLeg struct {
	side  *side
	by    *candidate     // who computes the prompt; nil: the replica that answers does
	found ledger.Prefill // how that was decided

	id     string          // that both engines are sent
	body   dialect.Surface // what the body of the leg speaks
	as     ledger.Attempt  // lane and dialect of it
	params []byte          // what the engine that decodes is told; empty is nothing
	took   time.Duration   // of the leg; 0 until it was tried
	told   bool            // how much of the prompt was cached
	cached int64           // tokens
	tried  []*candidate    // those that have failed for this attempt
	failed bool            // the side has failed this request
	open   bool            // the replica counts as busy with it
	ticket route.Ticket    // in the side's group
	turn   queue.Ticket    // its place there
	alone  float64         // seconds that the prompt would take where it is answered; 0 is not known
	held   account.Hold    // of the replica's limits

	views    []route.View
	facts    []route.Facts
	ranked   []int // the members that facts are of
	decision route.Decision
}

// clear forgets the leg of an attempt, but not that the side has failed.
func (l *prefillLeg) clear() {
	if l.side == nil {
		return // most targets have none
	}
	l.side, l.by, l.body, l.as, l.alone = nil, nil, nil, ledger.Attempt{}, 0
	l.id, l.params, l.took, l.told, l.cached = "", l.params[:0], 0, false, 0
	clear(l.tried) // they are of a plane
	l.tried = l.tried[:0]
}

// waited notes how long the prompt has waited for its turn: it is none of the
// gateway's own time.
func (l *prefillLeg) waited(d time.Duration, ex *ledger.Exchange) {
	l.took += d
	ex.Queued += d
}

// without notes why nobody else computes the prompt.
func (l *prefillLeg) without(outcome, why string) string {
	l.by, l.found.Target, l.found.Why = nil, "", why
	return outcome
}

// engage takes the chosen replica for the leg. The outcome is empty where it is to be
// asked.
func (c *call) engage(target *candidate, at time.Time) (outcome string) {
	l := &c.leg
	by := l.by
	if l.side.convention.Asks() {
		if why := c.prepareLeg(by); why != "" {
			return l.without(legUnfit, why)
		}
	}
	if !c.drawLeg(by, at) {
		return l.without(legUnready, "the limits of "+by.Name+" are used up")
	}
	if !by.State.Begin(at, by.Limits.InFlight) {
		l.held.Settle(at, account.Used{})
		return l.without(legUnready, by.Name+" has as many requests as it may")
	}
	l.open = true
	by.Metrics.InFlight.Inc()
	l.side.group.Sent(at, &c.asked, by.replica.name, &l.ticket)
	l.turn.Sent(at)
	if l.side.convention.Asks() {
		l.id = c.legID(target)
		return ""
	}
	return legNamed
}

// drawLeg takes what computing the prompt is expected to use from the replica's limits.
func (c *call) drawLeg(by *candidate, at time.Time) bool {
	if by.Account == nil {
		return true
	}
	want := c.wanted
	want.Input, _ = c.expects()
	want.Start, want.Output, want.Nano = at, 1, 0
	chain := [1]*account.Account{by.Account}
	no := c.plane.Accounts.Reserve(c.ctx, &c.leg.held, chain[:], want)
	if no != nil {
		c.countLimited(no)
	}
	return no == nil
}

// began tells that the attempt behind the leg has shown its first token: whoever was
// named to compute the prompt is done. Later calls do nothing.
func (l *prefillLeg) began(at time.Time) {
	if l.open {
		l.ticket.First(at)
		l.release(at, route.Result{OK: true, Cached: -1}, nil, llm.Usage{})
	}
}

// ended tells how the attempt behind an open leg ended. What its fault says of the
// replica that was named is not known.
func (l *prefillLeg) ended(at time.Time, f *llm.Fault) {
	if f != nil {
		l.failed = f.Kind != llm.FaultClientGone // the next attempt does without
		f = &llm.Fault{Kind: f.Kind, Scope: llm.ScopeRequest}
	}
	l.release(at, route.Result{OK: f == nil, Cached: -1}, f, llm.Usage{})
}

// release gives the replica's place back, and says what it was used for.
func (l *prefillLeg) release(at time.Time, r route.Result, f *llm.Fault, u llm.Usage) {
	l.open = false
	l.by.Metrics.InFlight.Dec()
	l.by.State.End()
	l.by.State.Report(at, l.by.model, f)
	l.ticket.Done(at, r)
	l.turn.Leave(at, l.side.group.Spent(max(r.Input, l.found.Uncached), max(0, r.Cached), 0))
	l.by.replica.poke(at)
	l.held.Settle(at, account.Used{Input: u.Input, Output: u.Output})
}

// askLeg has the chosen replica compute the prompt. It is an attempt of its own in the
// record.
func (c *call) askLeg(begin time.Time) (outcome string, took time.Duration) {
	l := &c.leg
	by := l.by
	c.ex.Attempts = append(c.ex.Attempts, ledger.Attempt{
		Target: by.Name, Kind: by.Kind.Name, Model: by.model, Why: ledger.WhyPrefill, Lane: l.as.Lane, Dialect: l.as.Dialect, Begin: begin.Sub(c.ex.Start),
	})
	a := &c.ex.Attempts[len(c.ex.Attempts)-1]
	part := c.join(by, begin)
	f := c.interrupted(c.legOnce(by, a, begin))
	at := now()
	took = max(1, at.Sub(begin))
	c.note(by, a, f, at, part.leave())
	if a.Usage.Source == llm.UsageEstimated {
		a.Usage.Output = min(a.Usage.Output, 1)
	}
	r := route.Result{OK: f == nil, Cached: -1, Output: int(a.Usage.Output)}
	if f == nil {
		l.ticket.First(at)
	}
	if f == nil && a.Usage.Source == llm.UsageReported {
		r.Input = int(a.Usage.Input)
		if l.told, l.cached = true, a.Usage.CacheRead; l.cached > 0 {
			r.Cached = int(l.cached)
		}
	}
	if refusesLoad(f) {
		l.ticket.Refused(at)
	}
	l.release(at, r, f, a.Usage)
	if f == nil && (l.side.convention == models.ConventionP2P || len(l.params) > 0) {
		return legDone, took
	}
	l.by, l.id = nil, ""
	if f == nil {
		return legEmpty, took
	}
	l.tried = append(l.tried, by)
	l.failed = !l.side.convention.Needs()
	return legFailed, took
}

// legOnce confines a bug to the leg.
func (c *call) legOnce(by *candidate, a *ledger.Attempt, begin time.Time) (f *llm.Fault) {
	defer func() {
		if bug := recover(); bug != nil {
			f = c.bug(bug)
		}
	}()
	return c.sendLeg(by, a, begin)
}

// sendLeg puts the prepared leg on the wire and reads its answer.
func (c *call) sendLeg(by *candidate, a *ledger.Attempt, begin time.Time) *llm.Fault {
	c.tap.Reset()
	c.aside.Reset()
	c.reply = c.reply[:0]
	deadline := c.legDeadline(begin)
	by.Fill(&c.req, upstream.Call{
		Op: c.seen.Op, Dialect: a.Dialect, Model: by.model, Body: c.out, Forward: c.forwarded(by, a.Dialect),
		ConnectTimeout: c.to.Connect, HeadDeadline: deadline,
	}, begin)
	use, f := by.Authorize(c.ctx, &c.req, c.ex.Customer, by.model, begin)
	if f != nil {
		return f
	}
	c.use = use.Name()
	f = c.readLeg(by, a, begin, deadline)
	by.Report(use, f, now())
	return f
}

func (c *call) readLeg(by *candidate, a *ledger.Attempt, begin, deadline time.Time) *llm.Fault {
	resp, f := c.begin(by, a, c.leg.body, begin, llm.FaultFirstToken)
	if f != nil {
		return f
	}
	defer resp.Close()
	if f := c.takeWhole(by, resp, deadline, llm.FaultFirstToken); f != nil {
		return f
	}
	a.FirstToken = now().Sub(begin)
	f = c.tapWhole(by, resp, c.leg.body)
	if f == nil && c.leg.side.convention == models.ConventionVLLM {
		f = c.takeParams(by)
	}
	return f
}

// legDeadline is when a prompt must have been computed: its replica never takes more
// than half of what the request has left.
func (c *call) legDeadline(begin time.Time) time.Time {
	most := c.leg.side.timeout
	if most == 0 {
		most = c.to.FirstToken / 2
	}
	return begin.Add(min(most, c.deadline.Sub(begin)/2))
}

// headers are those by which the engines of the current attempt find each other.
func (l *prefillLeg) headers(to []h1.Field) []h1.Field {
	switch {
	case l.by == nil:
	case l.side.convention.Asks():
		to = append(to, h1.Field{Name: "x-request-id", Value: l.id})
	default:
		to = append(to, h1.Field{Name: "x-prefiller-host-port", Value: l.by.Address()})
	}
	return to
}

// legID is what both engines call the request: unique among the attempts of all
// requests. With P2pNcclConnector it names the connectors of both.
func (c *call) legID(target *candidate) string {
	id := c.ex.ID + "-" + strconv.Itoa(len(c.ex.Attempts)+1)
	if c.leg.side.convention == models.ConventionP2P {
		return "___prefill_addr_" + c.leg.by.KVAddress() + "___decode_addr_" + target.KVAddress() + "_" + id
	}
	return id
}

// correct makes the usage of an attempt say how much of its prompt was cached where it
// was computed: to the engine that decodes, what it was handed over seems cached.
func (l *prefillLeg) correct(a *ledger.Attempt) {
	if l.by != nil && l.told && !a.Leg() {
		a.Usage.CacheRead = min(a.Usage.CacheRead, l.cached)
	}
}

// answering is how many attempts were to answer.
func (c *call) answering() (n int) {
	tries := c.ex.Tries()
	for i := range tries {
		if !tries[i].Leg() {
			n++
		}
	}
	return n
}

// unsent gives back what was taken for an attempt that is not made.
func (c *call) unsent(target *candidate, f *llm.Fault) *llm.Fault {
	at := now()
	target.State.End()
	target.State.Report(at, target.model, f)
	target.replica.poke(at)
	c.heldAt.Settle(at, account.Used{})
	return f
}
