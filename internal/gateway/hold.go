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
	want := account.Want{Start: c.ex.Start}
	if c.seen.Op != llm.OpCount { // which costs nothing
		want.Input, want.Output = c.expects()
		nano, bound := account.Asks(c.chain)
		if nano {
			want.Nano = c.expected(want.Input, want.Output)
		}
		if want.Bound = unbounded; bound {
			want.Bound = c.most()
		}
	}
	c.wanted = want
	if no := c.plane.Accounts.Reserve(c.ctx, &c.held, c.chain, want); no != nil {
		return c.overdrawn(no)
	}
	c.ex.Held = c.held.Nano()
	return nil
}

// expects is what the request is expected to use, in tokens: what was worked out
// for its limits, or else now.
func (c *call) expects() (input, output int64) {
	if !c.wanted.Start.IsZero() {
		return c.wanted.Input, c.wanted.Output
	}
	return c.plane.Estimates.Estimate(c.ex.Model, c.key.ID, len(c.body), int64(c.seen.MaxTokens))
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

// expected is what the dearest candidate is expected to charge for an attempt, with
// the embedding before it.
func (c *call) expected(input, output int64) (nano int64) {
	if c.surface.forward != nil {
		nano = c.dest.typical.Load()
	}
	for i := range c.dest.candidates {
		t := &c.dest.candidates[i]
		u := llm.Usage{Input: input, Output: output}
		if t.rate.Hourly() {
			u = llm.Usage{CapacityNanos: int64(t.State.Share().Typical())}
		}
		nano = max(nano, t.rate.Cost(c.ex.Start, u).Nano)
	}
	embedding, _, _ := c.embedding()
	return nano + embedding
}

// most is the most that any candidate can charge for an attempt, with the embedding
// before it; unbounded when
// there is no such amount. A token is a byte at least, and a turn has a few of its
// own. Input that the body does not hold itself (a picture at a URL, a stored
// prompt, a search) is bounded by the model's context alone.
func (c *call) most() (bound int64) {
	if c.surface.forward != nil {
		return unbounded
	}
	held := !meter.RefersElsewhere(c.body)
	for i := range c.dest.candidates {
		t := &c.dest.candidates[i]
		input, output := t.size.context, int64(c.seen.MaxTokens)
		if held {
			input = int64(len(c.body)) + 64
		}
		if output == 0 {
			output = t.size.output
		}
		most, ok := t.rate.Bound(c.ex.Start, input, output)
		if !ok || input == 0 || output == 0 && c.seen.Op == llm.OpGenerate {
			return unbounded
		}
		bound = max(bound, most)
	}
	_, embedding, ok := c.embedding()
	if !ok {
		return unbounded
	}
	return bound + embedding
}

// drawAt takes what an attempt is expected to use from the limits of its target. A
// target that has nothing left was not asked, so there is no attempt to record.
func (c *call) drawAt(target *candidate, at time.Time) *llm.Fault {
	if target.Account == nil {
		return nil
	}
	want := c.wanted
	want.Input, want.Output = c.expects()
	want.Start, want.Nano = at, 0
	chain := [1]*account.Account{target.Account}
	no := c.plane.Accounts.Reserve(c.ctx, &c.heldAt, chain[:], want)
	if no == nil {
		return nil
	}
	c.countLimited(no)
	return &llm.Fault{
		Kind: llm.FaultShed, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest, Phase: llm.PhaseAdmit, After: no.After,
		Message: fmt.Sprintf("target %s: %s", target.Name, no.What),
	}
}

// again takes for a further attempt, when the last one cost something.
func (c *call) again() *llm.Fault {
	n := len(c.ex.Attempts)
	if n == c.drawn || c.ex.Attempts[n-1].Cost == 0 || !c.watched() {
		return nil
	}
	c.drawn = n
	if no := c.held.Extend(c.ctx, now(), c.wanted.Nano, c.wanted.Bound); no != nil {
		return c.overdrawn(no)
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
	if c.ex.Outcome != ledger.OutcomeOK || c.dest == nil || c.answering() != 1 {
		return
	}
	if u = &c.ex.Attempts[len(c.ex.Attempts)-1].Usage; u.Source != llm.UsageReported {
		return
	}
	c.plane.Estimates.Learn(c.ex.Model, c.key.ID, len(c.body), u.Input, u.Output)
	c.dest.metrics.Estimated(c.wanted.Input, u.Input, c.wanted.Output, u.Output)
}

func (c *call) countLimited(no *account.Refusal) {
	c.gateway.metrics.Limited.WithLabelValues(no.Level.String(), no.Reason.String()).Inc()
}

// overdrawn is the fault of a request that a limit or a budget does not allow.
func (c *call) overdrawn(no *account.Refusal) *llm.Fault {
	c.countLimited(no)
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
	quota := account.Quota(c.chain, at)
	told := false
	for i := range limitNames {
		l := &limitNames[i]
		a := &quota[l.resource]
		if !a.Known {
			continue
		}
		told = true
		names, reset := &l.openAI, max(0, a.Reset.Sub(at)).Round(time.Millisecond).String()
		if c.surface.dialect.Name() == llm.Anthropic {
			names, reset = &l.anthropic, a.Reset.UTC().Format(time.RFC3339)
		}
		c.set(names[0], strconv.FormatInt(a.Limit, 10))
		c.set(names[1], strconv.FormatInt(a.Remaining, 10))
		c.set(names[2], reset)
	}
	return told
}

// limitNames are the resources that both families have words for, each with the
// headers of its limit, of what remains and of the reset.
var limitNames = [...]struct {
	resource          llm.Resource
	openAI, anthropic [3]string
}{
	{
		llm.QuotaRequests,
		[3]string{"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
		[3]string{"Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
	},
	{
		llm.QuotaTokens,
		[3]string{"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
		[3]string{"Anthropic-Ratelimit-Tokens-Limit", "Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
	},
	{
		llm.QuotaInputTokens,
		[3]string{"X-Ratelimit-Limit-Input-Tokens", "X-Ratelimit-Remaining-Input-Tokens", "X-Ratelimit-Reset-Input-Tokens"},
		[3]string{"Anthropic-Ratelimit-Input-Tokens-Limit", "Anthropic-Ratelimit-Input-Tokens-Remaining", "Anthropic-Ratelimit-Input-Tokens-Reset"},
	},
	{
		llm.QuotaOutputTokens,
		[3]string{"X-Ratelimit-Limit-Output-Tokens", "X-Ratelimit-Remaining-Output-Tokens", "X-Ratelimit-Reset-Output-Tokens"},
		[3]string{"Anthropic-Ratelimit-Output-Tokens-Limit", "Anthropic-Ratelimit-Output-Tokens-Remaining", "Anthropic-Ratelimit-Output-Tokens-Reset"},
	},
}
