package fleet

import (
	"sync"
	"time"
)

// Provision is the size of a capacity that is paid for or owned: Azure's
// provisioned throughput units, Bedrock's and Vertex's, or the tokens per second
// that one's own GPUs were measured at. Its unit is the converted input token: a
// token that is read counts one, one that came from a cache nothing, one that is
// written Ratio.
type Provision struct {
	PerMinute float64 // converted input tokens that are worked off in a minute
	Ratio     float64 // what a token of output weighs
	// Burst is how much work the capacity takes at once: utilisation is 100% when
	// there is so much of it to be worked off.
	Burst time.Duration
	// SpillAt is the utilisation above which requests go elsewhere; 1 is 100%.
	SpillAt float64
}

// Load is what a request asks of a capacity, or has taken from it, in tokens.
type Load struct {
	Input  int64
	Cached int64 // of Input
	Output int64
}

// Weight is the load in converted input tokens.
func (p Provision) Weight(l Load) float64 {
	return float64(max(0, l.Input-l.Cached)) + p.Ratio*float64(max(0, l.Output))
}

// rate is what drains in a second.
func (p Provision) rate() float64 { return p.PerMinute / 60 }

// full is the level at which utilisation is 100%.
func (p Provision) full() float64 { return p.rate() * p.Burst.Seconds() }

// Capacity is a leaky bucket of weighted tokens, by which the utilisation of a
// provisioned deployment is predicted before the provider refuses: a request
// adds what it is expected to take when it begins, and the difference to what
// it took when it ends; the bucket drains all the time at the rate that is
// deployed.
//
// Source: Microsoft's description of the limiter of provisioned deployments
// (azure-ai-docs, provisioned-throughput.md, May 2026). The bucket's size is not
// published: a minute of work is what the figures per minute suggest, and
// Provision.Burst says otherwise.
//
// It is safe for concurrent use. A time that lies before one it was told already
// counts as that.
type Capacity struct {
	mu sync.Mutex
	p  Provision
	// level is below zero only between corrections of the same moment, so that
	// their order does not matter: idle time is not saved up.
	level float64
	at    time.Time
}

// Resize changes the size; what is in the bucket stays.
func (c *Capacity) Resize(now time.Time, p Provision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drain(now)
	c.p = p
}

// Admit adds what a request is expected to take, and returns that for Settle.
func (c *Capacity) Admit(now time.Time, expected Load) (reserved float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drain(now)
	reserved = c.p.Weight(expected)
	c.level += reserved
	return reserved
}

// Settle corrects what Admit reserved to what the request took, nothing for one
// that was refused.
func (c *Capacity) Settle(now time.Time, reserved float64, took Load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drain(now)
	c.level += c.p.Weight(took) - reserved
}

// State is how the capacity stands: how full the bucket is, never negative and 1
// at 100%, above which the provider refuses; and how long requests go elsewhere
// when none is added, 0 when they do not.
func (c *Capacity) State(now time.Time) (utilisation float64, spills time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drain(now)
	utilisation = max(0, c.level/c.p.full())
	if above := utilisation - c.p.SpillAt; above > 0 {
		spills = max(1, time.Duration(above*float64(c.p.Burst)))
	}
	return utilisation, spills
}

// drain lets out what was worked off since the last time.
func (c *Capacity) drain(now time.Time) {
	if !now.After(c.at) {
		return
	}
	c.level = max(0, c.level-c.p.rate()*now.Sub(c.at).Seconds())
	c.at = now
}
