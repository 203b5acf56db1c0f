package gateway

import (
	"fmt"
	"math/rand/v2"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/dialect"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/route"
	"tailplane/internal/upstream"
)

// Why an attempt is made, as the ledger says it.
const (
	whyFirst      = "first"
	whyRetry      = "retry"
	whyHedge      = "hedge" // the first is late; it runs beside it
	whyFallback   = "fallback"
	whyEscalation = "escalation" // the weak model's answer was not usable
)

// mostAttempts bounds one request, whatever its route and rules say.
const mostAttempts = 32

// attempts asks the candidates in their order until one has answered, nothing
// can help any more, or the answer has begun. It returns the fault to tell.
func (c *call) attempts() *llm.Fault {
	why, tries, at := whyFirst, 0, 0
	waited, f := c.waitForFirst()
	if f != nil {
		return f
	}
	for {
		target := &c.dest.candidates[c.order[at]]
		if c.countHere(target) {
			return nil
		}
		tries++
		if f := c.again(); f != nil {
			return f
		}
		f := c.try(target, why, waited)
		if f == nil || c.committed || f.Kind == llm.FaultClientGone {
			return f
		}
		if len(c.ex.Attempts) >= mostAttempts {
			return f
		}
		if f.Kind == llm.FaultFlawed {
			c.escalate(at, f)
		}
		verdict := c.verdict(f, target, tries, at)
		switch verdict.Do {
		case route.GiveUp:
			return f
		case route.Again:
			why = whyRetry
		case route.Next:
			at, tries = at+1, 0
			why = whyFallback
			if f.Kind == llm.FaultFlawed {
				why = whyEscalation
			}
			target.Metrics.Fallback(c.dest.candidates[c.order[at]].Name, string(f.Kind))
		}
		waited = verdict.Wait
		if gone := c.sleep(waited); gone != nil {
			return gone
		}
	}
}

// waitForFirst holds the first attempt back while its target demands it: when
// every candidate is cooling down, a short wait is better than an error.
func (c *call) waitForFirst() (time.Duration, *llm.Fault) {
	wait := c.live[c.order[0]].Wait // what was demanded; limits that we infer hold nobody back
	if wait > c.dest.retry.MaxWait || wait > 0 && wait >= time.Until(c.deadline) {
		return 0, &llm.Fault{
			Kind: llm.FaultRateLimit, Retry: llm.RetrySame, Scope: llm.ScopeModel, Phase: llm.PhaseAdmit, After: wait,
			Message: fmt.Sprintf("every target of model %q has asked not to be called for now; the soonest in %v", c.dest.name, wait.Round(time.Millisecond)),
		}
	}
	return wait, c.sleep(wait)
}

// bringNext puts the candidate that follows a fault behind the one at place at,
// and says what it demands. What a candidate demands may have changed since the
// order was made.
func (c *call) bringNext(kind llm.FaultKind, at int) (wait time.Duration, named, found bool) {
	rest := make([]route.Step, 0, 8)
	for _, i := range c.order[at+1:] {
		other := &c.dest.candidates[i]
		step := other.step
		step.Wait = other.State.View(now(), other.model).Wait
		rest = append(rest, step)
	}
	place, named, found := route.Follow(kind, c.dest.candidates[c.order[at]].step, rest)
	if !found {
		return 0, false, false
	}
	soonest := at + 1 + place
	chosen := c.order[soonest]
	copy(c.order[at+2:soonest+1], c.order[at+1:soonest])
	c.order[at+1] = chosen
	return rest[place].Wait, named, true
}

// verdict says what follows a fault; the retry budget has the last word.
func (c *call) verdict(f *llm.Fault, target *candidate, tries, at int) route.Verdict {
	wait, named, more := c.bringNext(f.Kind, at)
	s := route.Situation{
		Rules: c.dest.retry, Tries: tries, More: more, Named: named, NextWait: wait,
		TimeLeft: time.Until(c.deadline), Roll: rand.Float64(),
	}
	v := route.After(f, s)
	if v.Do == route.Again && !target.State.Withdraw() {
		v = route.Exhausted(s)
	}
	return v
}

// sleep waits, unless the client leaves first.
func (c *call) sleep(d time.Duration) *llm.Fault {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.ctx.Done():
		return c.left()
	}
}

// left is the fault of a caller that has left; nil of one that waits.
func (c *call) left() *llm.Fault {
	err := c.ctx.Err()
	if err == nil {
		return nil
	}
	return &llm.Fault{Kind: llm.FaultClientGone, Retry: llm.RetryNever, Scope: llm.ScopeRequest, Message: "the caller left", Err: err}
}

// ask makes one attempt: it prepares the request, sends it and relays the
// answer. What became of it stands in the last of c.ex.Attempts.
func (c *call) ask(target *candidate, why string, waited time.Duration) *llm.Fault {
	begin := c.now()
	if f := c.drawAt(target, begin); f != nil {
		return f
	}
	if !target.State.Begin(begin, target.Limits.InFlight) {
		c.heldAt.Settle(begin, account.Used{})
		return c.full(target)
	}
	queued := c.ex.Queued
	begin, f := c.disaggregate(target, begin)
	if f != nil {
		return c.unsent(target, f)
	}
	c.ex.Attempts = append(c.ex.Attempts, ledger.Attempt{
		Target: target.Name, Kind: target.Kind.Name, Model: target.model, Why: why, Waited: waited, Begin: begin.Sub(c.ex.Start),
	})
	a := &c.ex.Attempts[len(c.ex.Attempts)-1]
	if why == whyFirst {
		target.State.Deposit(c.dest.retry.Budget)
		c.dest.metrics.Overhead.Observe((a.Begin - c.judged.waited - queued - waited - c.leg.took).Seconds())
	}
	c.pend(target)
	reserved, part := c.reserve(target, begin), c.join(target, begin)
	target.Metrics.InFlight.Inc()
	f = c.interrupted(c.exchangeOnce(target, a, begin))
	target.Metrics.InFlight.Dec()
	target.State.End()
	took, ended := part.leave(), c.now()
	target.State.Report(ended, target.model, f)
	c.note(target, a, f, ended, took)
	c.followed(target, a, f)
	c.holds(target, f)
	reserved.settle(a)
	c.heldAt.Settle(ended, account.Used{Input: a.Usage.Input, Output: a.Usage.Output})
	return f
}

// full is the fault of a target that has as many requests as its limit allows.
// It was not asked, so there is no attempt to record.
func (c *call) full(target *candidate) *llm.Fault {
	return &llm.Fault{
		Kind: llm.FaultShed, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest, Phase: llm.PhaseAdmit, After: fullAfter,
		Message: fmt.Sprintf("target %s has %d requests in flight, as many as limits.in_flight allows", target.Name, target.Limits.InFlight),
	}
}

// fullAfter is the wait that a client is told when every target is full: there
// is no queue whose length would say more.
const fullAfter = time.Second

// exchangeOnce is exchange with a bug in it confined to the attempt, so that
// whatever is counted around it stays right.
func (c *call) exchangeOnce(target *candidate, a *ledger.Attempt, begin time.Time) (f *llm.Fault) {
	defer func() {
		if bug := recover(); bug != nil {
			f = c.bug(bug)
		}
	}()
	return c.exchange(target, a, begin)
}

// note completes the record of an attempt that has ended, and took so much of the
// time of a target that costs by the hour.
func (c *call) note(target *candidate, a *ledger.Attempt, f *llm.Fault, ended time.Time, took time.Duration) {
	a.Took = ended.Sub(c.ex.Start) - a.Begin
	a.Stop = c.tap.Stop
	c.spend(target, a, f, took)
	if f == nil {
		target.Metrics.Attempt(a.Why, "", "")
		return
	}
	kind := f.Kind
	if kind == llm.FaultClientGone && c.gateway.cutting.Load() {
		kind = llm.FaultStopped
	}
	a.Fault, a.Phase, a.Retry, a.After = kind, f.Phase, f.Retry, f.After
	a.Code, a.Message = cut(f.Code, 100), cut(f.Message, 500)
	if f.Detail != "" {
		a.Message = cut(f.Message+": "+f.Detail, 500)
	}
	target.Metrics.Attempt(a.Why, string(kind), string(f.Phase))
	if f.Err != nil {
		c.gateway.log.Debug("attempt failed", "request", c.ex.ID, "target", target.Name, "fault", string(kind), "error", f.Err.Error())
	}
}

// exchange sends one attempt and relays its answer.
func (c *call) exchange(target *candidate, a *ledger.Attempt, begin time.Time) *llm.Fault {
	switch {
	case c.seen.Op == llm.OpEmbed && !c.embedsNatively(target):
		return c.embedAt(target, a)
	case c.seen.Op == llm.OpCount && !c.countsNatively(target):
		return c.countAt(target, a)
	case c.surface.forward != nil:
		return c.pass(target, a, begin)
	}
	c.tap.Reset()
	c.aside.Reset()
	c.refusal = h1.Header{}
	codec, f := c.prepare(target, a)
	if f == nil {
		f = c.attach(target, a)
	}
	if f != nil {
		return f
	}
	target.Fill(&c.req, upstream.Call{
		Op: c.seen.Op, Dialect: a.Dialect, Model: target.model, Stream: c.seen.Stream, Front: c.front, Body: c.out, Back: c.back, Forward: c.forwarded(target, a.Dialect),
		ConnectTimeout: c.to.Connect, HeadDeadline: c.firstDeadline(begin),
	}, begin)
	use, f := target.Authorize(c.ctx, &c.req, c.ex.Customer, target.model, begin)
	if f != nil {
		return f
	}
	c.use = use.Name()
	f = c.send(target, a, codec, begin)
	target.Report(use, f, c.now())
	return f
}

// send puts the prepared request on the wire and relays its answer.
func (c *call) send(target *candidate, a *ledger.Attempt, codec dialect.Surface, begin time.Time) *llm.Fault {
	resp, f := c.begin(target, a, codec, begin, c.timeoutKind(begin))
	if f != nil {
		return f
	}
	defer resp.Close()
	return c.relay(target, a, resp, codec, begin)
}

// begin puts the prepared request on the wire and notes how its answer begins. A
// refusal is read, closed and classified; late is the timeout that runs meanwhile.
func (c *call) begin(target *candidate, a *ledger.Attempt, spoken dialect.Surface, at time.Time, late llm.FaultKind) (*h1.Response, *llm.Fault) {
	resp, err := target.Do(c.ctx, &c.req)
	if err != nil {
		return nil, upstream.Broken(err, late)
	}
	a.Head = time.Since(at)
	c.learn(target, a, &resp.Header, at.Add(a.Head))
	a.Reused, a.Connect, a.Status = resp.Timing.Reused, resp.Timing.Connect+resp.Timing.TLS, resp.Status
	a.Upstream = target.RequestID(resp.Header.Get, at)
	if resp.Status/100 != 2 {
		defer resp.Close()
		return nil, c.refused(target, resp, spoken)
	}
	return resp, nil
}

// refused reads and classifies an upstream's error answer.
func (c *call) refused(target *candidate, resp *h1.Response, spoken dialect.Surface) *llm.Fault {
	c.reply = c.reply[:0]
	coded := coding(resp)
	if coded == "" {
		_ = c.readWhole(resp, maxErrorBody, now().Add(errorBodyTime)) // what has come says enough, if only the status
	}
	c.refusal = resp.Header
	at := now()
	said := dialect.ReadError(c.words(target, spoken), resp.Header.Get, c.reply)
	if coded != "" {
		said.Message = fmt.Sprintf("the upstream answered HTTP %d with content encoding %q (none was asked for)", resp.Status, cut(coded, 60))
	}
	return c.limited(target, upstream.Answer{Status: resp.Status, Body: said, After: upstream.RetryAfter(resp.Header.Get, at), At: at, Header: resp.Header.Get})
}

// An error answer is read no further and no longer than this.
const (
	maxErrorBody  = 256 << 10
	errorBodyTime = 5 * time.Second
)

// firstDeadline is when an attempt must have shown its first token: for a whole
// answer, which comes at once, that is the request's own deadline.
func (c *call) firstDeadline(begin time.Time) time.Time {
	if !c.seen.Stream {
		return c.deadline
	}
	if d := begin.Add(c.to.FirstToken); d.Before(c.deadline) {
		return d
	}
	return c.deadline
}

// timeoutKind says which deadline ran out before the first token.
func (c *call) timeoutKind(begin time.Time) llm.FaultKind {
	if c.firstDeadline(begin).Equal(c.deadline) {
		return llm.FaultTotal
	}
	return llm.FaultFirstToken
}

// forwarded is what a target is to see of the client's head.
func (c *call) forwarded(target *candidate, spoken llm.Dialect) []h1.Field {
	from, to, own := c.says.any, c.says.aws, spoken == c.surface.dialect.Name()
	if own {
		from = 0
	}
	if target.Kind.Name == "bedrock" {
		to = len(c.says.forward)
	}
	c.forward = append(c.forward[:0], c.says.forward[from:to]...)
	if own && c.betas != "" {
		c.forward = append(c.forward, h1.Field{Name: "anthropic-beta", Value: c.betas})
	}
	c.forward = c.leg.headers(c.forward)
	return c.forward
}
