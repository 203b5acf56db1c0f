package gateway

import (
	"log/slog"
	"slices"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
)

// spend works out what an attempt consumed and what that costs. Figures of the
// provider are preferred; where an answer began and none came, tokens are
// estimated from bytes and marked so.
func (c *call) spend(target *candidate, a *ledger.Attempt, f *llm.Fault, took time.Duration) {
	a.Usage = c.used(a, f)
	c.leg.correct(a)
	a.Usage.CapacityNanos = int64(took)
	if a.Usage.Source == llm.UsageNone && took == 0 {
		a.Priced = ledger.NoCharge
		return
	}
	cost := target.rate.Attempt(c.ex.Start, a)
	a.Cost, a.Priced = cost.Nano, cost.Status
}

// used is the usage of an attempt.
func (c *call) used(a *ledger.Attempt, f *llm.Fault) llm.Usage {
	if f != nil && f.Kind == llm.FaultFlawed {
		f = nil // the answer is whole, and costs what it costs
	}
	// No answer takes nothing: figures of zero, or that are no numbers, tell nothing.
	told := c.tap.HasUsage && c.tap.Usage.Input+c.tap.Usage.Output > 0
	begun := a.Status/100 == 2 && (f == nil || c.tap.Tokens > 0 || told || f.Kind == llm.FaultClientGone)
	switch {
	case c.surface.forward != nil, c.seen.Op == llm.OpEmbed && c.tap.HasUsage:
		return c.passed(f)
	case !begun || c.seen.Op == llm.OpCount:
		return llm.Usage{Source: llm.UsageNone}
	case told && f == nil:
		u := c.tap.Usage
		u.Source = llm.UsageReported
		return u
	case told:
		u := c.tap.Usage
		u.Output = max(u.Output, int64(c.tap.Tokens))
		u.Source = llm.UsageTapped
		return u
	case c.aside.Counted && f == nil:
		u := c.aside.Usage
		u.Source = llm.UsageReported
		return u
	}
	u := llm.Usage{Input: meter.EstimateTokens(len(c.body)), Output: int64(c.tap.Tokens), Source: llm.UsageEstimated}
	if !c.seen.Stream && f == nil {
		u.Output = meter.EstimateTokens(len(c.reply))
	}
	return u
}

// settle closes the exchange: usage and cost are summed over its attempts, and
// the record goes to the journal, the metrics and the log. It runs once for
// every call, however it ended.
func (c *call) settle() {
	c.ex.Total = time.Since(c.ex.Start)
	c.ex.Attempts = slices.Insert(c.ex.Attempts, 0, c.judged.embedded...)
	c.sum()
	if c.committed {
		c.unarm()
	}
	if c.key == nil {
		// A caller that showed no valid key leaves no record: anybody could
		// fill the ledger that way. The count tells.
		c.gateway.metrics.Refused.WithLabelValues(string(c.ex.Fault)).Inc()
		c.logLine()
		return
	}
	if c.surface.serve != nil && c.ex.Outcome == ledger.OutcomeOK {
		return // a look at the catalog is no exchange
	}
	c.giveBack()
	c.admit()
	if err := c.gateway.journal.Settle(&c.ex); err != nil {
		c.gateway.ledgerFailed(c, err)
	}
	c.count()
	c.logLine()
}

// unarm lifts the write deadline of a stream, so that the connection can serve
// the next request.
func (c *call) unarm() {
	if c.seen.Stream {
		setWriteDeadline(c.w, time.Time{})
	}
}

// sum adds up the attempts.
func (c *call) sum() {
	c.ex.PriceStatus, c.ex.PriceVersion = ledger.NoCharge, c.plane.Book.Version()
	for i := range c.ex.Attempts {
		a := &c.ex.Attempts[i]
		u := a.Usage
		if a.Leg() { // its tokens are those of the attempt behind it
			u = llm.Usage{CapacityNanos: u.CapacityNanos}
		}
		c.ex.Usage = c.ex.Usage.Add(u)
		c.ex.Cost += a.Cost
		switch {
		case a.Priced == ledger.Unpriced:
			c.ex.PriceStatus = ledger.Unpriced
		case a.Priced == ledger.Priced && c.ex.PriceStatus != ledger.Unpriced:
			c.ex.PriceStatus = ledger.Priced
		}
	}
}

// count feeds the metrics.
func (c *call) count() {
	if c.dest == nil {
		c.gateway.metrics.Refused.WithLabelValues(string(c.ex.Fault)).Inc()
		return
	}
	m, u := c.dest.metrics, c.ex.Usage
	if c.chosen {
		m.InFlight.Dec()
	}
	m.Settled(string(c.ex.Outcome), c.ex.Status)
	m.Duration.Observe(c.ex.Total.Seconds())
	m.Spent(u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, c.ex.Cost)
	if c.ex.PriceStatus == ledger.Unpriced {
		m.Unpriced.Inc()
	}
}

// logLine writes the one access line of the request.
func (c *call) logLine() {
	level := slog.LevelInfo
	if c.ex.Outcome != ledger.OutcomeOK && c.ex.Outcome != ledger.OutcomeGone {
		level = slog.LevelWarn
	}
	target, tries := "", c.ex.Tries()
	if n := len(tries); n > 0 {
		target = tries[n-1].Target
	}
	line := c.gateway.log.Line(c.ex.Start.Add(c.ex.Total), level, "request")
	line.Text("request", c.ex.ID)
	line.Text("key", c.ex.Name)
	line.Text("dialect", string(c.ex.Dialect))
	line.Text("model", c.ex.Model)
	line.Text("target", target)
	line.Int("attempts", int64(len(tries)))
	line.Text("outcome", string(c.ex.Outcome))
	line.Int("status", int64(c.ex.Status))
	line.Text("fault", string(c.ex.Fault))
	line.Bool("stream", c.ex.Stream)
	line.Duration("ttft", c.ex.FirstToken)
	line.Duration("took", c.ex.Total)
	line.Int("input", c.ex.Usage.Input)
	line.Int("output", c.ex.Usage.Output)
	line.Int("cost_nano", c.ex.Cost)
	line.Text("pricing", string(c.ex.PriceStatus))
	line.Text("config", c.ex.Config)
	line.Send()
}

// ledgerFailed reports a record that the journal did not take. The request goes
// on: an answer is worth more to its caller than its record is to us, and the
// loss is counted and logged with all that the record would have said.
func (g *Gateway) ledgerFailed(c *call, err error) {
	g.metrics.LedgerErrors.Inc()
	g.log.Error("the ledger did not take a record", "error", err, "request", c.ex.ID, "key", c.ex.Name, "model", c.ex.Model,
		"input", c.ex.Usage.Input, "output", c.ex.Usage.Output, "cost_nano", c.ex.Cost)
}
