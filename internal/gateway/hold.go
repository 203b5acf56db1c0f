package gateway

import (
	"fmt"
	"strconv"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
)

// unbounded is the bound of a request for which there is no most that it can cost.
const unbounded = -1

// draw takes what the request is expected to use from the limits and budgets of
// everybody whom it is counted for, or from nobody's.
func (c *call) draw() *llm.Fault {
	c.chain = append(c.chain, c.dest.account)
	if !c.watched() {
		return nil
	}
	want := account.Want{Start: c.ex.Start, Bound: unbounded}
	if c.seen.Op != llm.OpCount {
		want.Input, want.Output = c.plane.Estimates.Estimate(c.ex.Model, c.key.ID, len(c.body), int64(c.seen.MaxTokens))
		want.Nano, want.Bound = c.expected(want.Input, want.Output)
	} else {
		want.Bound = 0
	}
	c.wanted = want
	if no := c.plane.Accounts.Reserve(c.ctx, &c.held, c.chain, want); no != nil {
		c.gateway.metrics.Limited.WithLabelValues(no.Level.String(), no.Reason.String()).Inc()
		return overdrawn(no)
	}
	c.ex.Held = c.held.Nano()
	return nil
}

// watched reports whether anybody in the chain has a limit or a budget.
func (c *call) watched() bool {
	for _, a := range c.chain {
		if a != nil {
			return true
		}
	}
	return false
}

// expected is what the dearest candidate is expected to charge for an attempt, and
// the most that any can charge.
func (c *call) expected(input, output int64) (nano, bound int64) {
	mostIn, mostOut, bounded := c.most()
	for i := range c.dest.candidates {
		t := &c.dest.candidates[i]
		if t.rate.Hourly() {
			nano = max(nano, t.rate.Cost(c.ex.Start, llm.Usage{CapacityNanos: int64(t.State.Share().Typical())}).Nano)
			bounded = false
			continue
		}
		nano = max(nano, t.rate.Cost(c.ex.Start, llm.Usage{Input: input, Output: output}).Nano)
		if !bounded {
			continue
		}
		limit := t.size
		in, out := mostIn, mostOut
		if in < 0 {
			in = limit.context
		}
		if out <= 0 {
			out = limit.output
		}
		most, ok := t.rate.Bound(c.ex.Start, in, out)
		if !ok || in <= 0 || out <= 0 && c.seen.Op == llm.OpGenerate {
			bounded = false
			continue
		}
		bound = max(bound, most)
	}
	if c.surface.forward != nil {
		nano, bounded = max(nano, c.dest.typical.Load()), false
	}
	if !bounded {
		return nano, unbounded
	}
	return nano, bound
}

// most bounds the tokens of the request: a token is a byte at least, and a turn
// has a few of its own. Input that the body does not hold itself (a picture at a
// URL, a stored prompt, a search) is bounded by the model's context alone: -1.
func (c *call) most() (input, output int64, ok bool) {
	if meter.RefersElsewhere(c.body) {
		return -1, int64(c.seen.MaxTokens), true
	}
	return int64(len(c.body)) + 64, int64(c.seen.MaxTokens), true
}

// drawAt takes what an attempt is expected to use from the limits of its target. A
// target that has nothing left was not asked, so there is no attempt to record.
func (c *call) drawAt(target *candidate, at time.Time) *llm.Fault {
	if target.Account == nil {
		return nil
	}
	want := c.wanted
	if want.Start.IsZero() {
		want.Input, want.Output = c.plane.Estimates.Estimate(c.ex.Model, c.key.ID, len(c.body), int64(c.seen.MaxTokens))
	}
	want.Start, want.Nano = at, 0
	chain := [1]*account.Account{target.Account}
	no := c.plane.Accounts.Reserve(c.ctx, &c.heldAt, chain[:], want)
	if no == nil {
		return nil
	}
	c.gateway.metrics.Limited.WithLabelValues(no.Level.String(), no.Reason.String()).Inc()
	return &llm.Fault{
		Kind: llm.FaultShed, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest, Phase: llm.PhaseAdmit, After: no.After,
		Message: fmt.Sprintf("target %s: %s", target.Name, no.What),
	}
}

// again takes for a further attempt, when the last one cost something.
func (c *call) again() *llm.Fault {
	n := len(c.ex.Attempts)
	if n == 0 || c.ex.Attempts[n-1].Cost == 0 || !c.watched() {
		return nil
	}
	if no := c.held.Extend(c.ctx, now(), c.wanted.Nano, c.wanted.Bound); no != nil {
		c.gateway.metrics.Limited.WithLabelValues(no.Level.String(), no.Reason.String()).Inc()
		return overdrawn(no)
	}
	return nil
}

// giveBack settles what was taken to what was used, and learns from it.
func (c *call) giveBack() {
	if !c.watched() {
		return
	}
	u := &c.ex.Usage
	c.held.Settle(now(), account.Used{Input: u.Input, Output: u.Output, Nano: c.ex.Cost})
	if c.dest != nil && c.ex.Cost > 0 {
		typical := c.dest.typical.Load()
		c.dest.typical.Store(typical + (c.ex.Cost-typical)/8) // lost updates do not matter
	}
	if c.ex.Outcome != ledger.OutcomeOK || u.Source != llm.UsageReported || c.dest == nil || len(c.ex.Attempts) != 1 {
		return
	}
	c.plane.Estimates.Learn(c.ex.Model, c.key.ID, len(c.body), u.Input, u.Output)
	c.dest.metrics.Estimated(c.wanted.Input, u.Input, c.wanted.Output, u.Output)
}

// overdrawn is the fault of a request that a limit or a budget does not allow.
func overdrawn(no *account.Refusal) *llm.Fault {
	f := &llm.Fault{
		Kind: llm.FaultRateLimit, Retry: llm.RetryNever, Scope: llm.ScopeRequest, Phase: llm.PhaseAdmit, After: no.After,
		Message: no.What,
	}
	switch no.Reason {
	case account.ReasonBudget:
		f.Kind = llm.FaultQuota
	case account.ReasonLease:
		f.Kind = llm.FaultUnavailable
	case account.ReasonUnbounded:
		f.Kind = llm.FaultBadRequest
	}
	return f
}

// tellLimits sets the headers that say what is left of the caller's limits, in
// the words of the client's dialect, and reports whether there was anything to
// tell: then what the upstream says of its own limits is not the caller's matter.
func (c *call) tellLimits() bool {
	if !c.watched() {
		return false
	}
	if warned := c.held.Warned(); warned != "" {
		c.set("X-Tailplane-Budget", warned)
	}
	at := now()
	quota := c.held.Quota(at)
	told := false
	for r, name := range limitNames {
		a := &quota[r]
		if !a.Known {
			continue
		}
		told = true
		anthropic := c.surface.dialect.Name() == llm.Anthropic
		reset := max(0, a.Reset.Sub(at))
		if anthropic {
			c.set(name.anthropic+"-Limit", strconv.FormatInt(a.Limit, 10))
			c.set(name.anthropic+"-Remaining", strconv.FormatInt(a.Remaining, 10))
			c.set(name.anthropic+"-Reset", a.Reset.UTC().Format(time.RFC3339))
			continue
		}
		c.set("X-Ratelimit-Limit-"+name.openAI, strconv.FormatInt(a.Limit, 10))
		c.set("X-Ratelimit-Remaining-"+name.openAI, strconv.FormatInt(a.Remaining, 10))
		c.set("X-Ratelimit-Reset-"+name.openAI, reset.Round(time.Millisecond).String())
	}
	return told
}

// limitNames are the resources that both families have words for.
var limitNames = map[llm.Resource]struct{ openAI, anthropic string }{
	llm.QuotaRequests:     {"Requests", "Anthropic-Ratelimit-Requests"},
	llm.QuotaTokens:       {"Tokens", "Anthropic-Ratelimit-Tokens"},
	llm.QuotaInputTokens:  {"Input-Tokens", "Anthropic-Ratelimit-Input-Tokens"},
	llm.QuotaOutputTokens: {"Output-Tokens", "Anthropic-Ratelimit-Output-Tokens"},
}
