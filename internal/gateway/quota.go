package gateway

import (
	"time"

	"tailplane/internal/fleet"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/upstream"
)

// learn takes over what the head of an answer tells beside the answer.
func (c *call) learn(target *candidate, a *ledger.Attempt, h *h1.Header, at time.Time) {
	c.aside.Read(h, at)
	a.Spilled = c.aside.Spilled
	if c.aside.Limited {
		target.State.Learn(at, c.use, target.model, &c.aside.Quota)
	}
}

// limited classifies a refusal in the light of what is known of the target's
// limits: a rate limit demands a wait until something is left again, and is no
// matter of time for a request that is larger than the limit itself.
func (c *call) limited(target *candidate, a upstream.Answer) *llm.Fault {
	quota := target.State.Quota(c.use, target.model)
	told, known := upstream.BodyQuota(c.reply, a.At)
	quota.Learn(&told)
	a.Quota, a.Input, a.Output = &quota, meter.EstimatePrompt(c.body), int64(c.seen.MaxTokens)
	f := target.Classify(a, a.At)
	if known && f.Kind == llm.FaultRateLimit {
		target.State.Learn(a.At, c.use, target.model, &told)
	}
	return f
}

// guessedOutput is how many tokens a request is expected to be answered with
// when it states no cap.
const guessedOutput = 500

// reservation is what an attempt has reserved of its target's capacity; the zero
// reservation is one at a target without.
type reservation struct {
	capacity *fleet.Capacity
	weight   float64
}

// reserve takes what the request is expected to need from the target's capacity.
func (c *call) reserve(target *candidate, at time.Time) reservation {
	capacity := target.State.Capacity()
	if capacity == nil || c.seen.Op == llm.OpCount {
		return reservation{}
	}
	expected := fleet.Load{Input: meter.EstimatePrompt(c.body)}
	if c.seen.Op == llm.OpGenerate {
		if expected.Output = int64(c.seen.MaxTokens); expected.Output == 0 {
			expected.Output = guessedOutput
		}
	}
	return reservation{capacity, capacity.Admit(at, expected)}
}

// settle corrects the reservation to what the attempt took: nothing when it was
// refused, or when the provider served it elsewhere.
func (r reservation) settle(a *ledger.Attempt) {
	if r.capacity == nil {
		return
	}
	took := fleet.Load{Input: a.Usage.Input, Cached: a.Usage.CacheRead, Output: a.Usage.Output}
	if a.Spilled {
		took = fleet.Load{}
	}
	r.capacity.Settle(now(), r.weight, took)
}

// countSpill counts the request for each candidate whose capacity it was kept
// off.
func (c *call) countSpill() {
	for i := range c.views {
		if c.views[i].Spills && c.views[i].Cannot == "" {
			c.dest.candidates[i].Metrics.Spills.Inc()
		}
	}
}

// part is the share that an attempt takes of the time of a target that costs by
// the hour; the zero part is of one that does not.
type part struct {
	of   *fleet.Share
	mark int64
}

// join begins an attempt's part.
func (c *call) join(target *candidate, at time.Time) part {
	if !target.rate.Hourly() {
		return part{}
	}
	share := target.State.Share()
	return part{share, share.Join(at)}
}

// leave ends it, and says how much of the target's time it was.
func (p part) leave() time.Duration {
	if p.of == nil {
		return 0
	}
	return p.of.Leave(now(), p.mark)
}
