package queue

import (
	"cmp"
	"fmt"
	"time"
)

// Config is what the file says about the queue of a model. What is zero is as
// in Default, by which nothing waits while there is room.
type Config struct {
	// MaxWait is the longest that a request waits for room; 30s by default.
	MaxWait time.Duration `yaml:"max_wait"`
	// Requests and Bytes bound what waits: 1000 and 256 MiB by default.
	Requests int   `yaml:"requests"`
	Bytes    int64 `yaml:"bytes"`
	// Target is how much prefill a replica may have before it, in time, and still
	// be sent another request; 100ms by default. More keeps engines busy over a
	// slow network; less decides later, with fresher facts, and leaves less before
	// those that come next.
	Target time.Duration `yaml:"target"`
	// Reserve is the part of a replica that is kept for requests of high priority,
	// and of tenants that have had less than their part, in percent of whatever
	// limits it; 50 by default. Of Target it is twice that: from 50 on a prompt of
	// the others is sent when those before it are thought to be computed. Half of it
	// is kept while none of those for whom it is come. There is always room for a
	// first request.
	Reserve int `yaml:"reserve_percent"`
	// What differs for a priority.
	High   BandConfig `yaml:"high"`
	Normal BandConfig `yaml:"normal"`
	Low    BandConfig `yaml:"low"`
}

// BandConfig is what differs for a priority; what is zero is as for the queue.
type BandConfig struct {
	MaxWait  time.Duration `yaml:"max_wait"`
	Requests int           `yaml:"requests"`
}

// Default is what holds where the file says nothing.
func Default() Config {
	return Config{MaxWait: 30 * time.Second, Requests: 1000, Bytes: 256 << 20, Target: 100 * time.Millisecond, Reserve: 50}
}

// Or returns c with what is zero taken from d.
func (c Config) Or(d Config) Config {
	c.MaxWait = cmp.Or(c.MaxWait, d.MaxWait)
	c.Requests = cmp.Or(c.Requests, d.Requests)
	c.Bytes = cmp.Or(c.Bytes, d.Bytes)
	c.Target = cmp.Or(c.Target, d.Target)
	c.Reserve = cmp.Or(c.Reserve, d.Reserve)
	c.High, c.Normal, c.Low = c.High.or(d.High), c.Normal.or(d.Normal), c.Low.or(d.Low)
	return c
}

func (b BandConfig) or(d BandConfig) BandConfig {
	b.MaxWait = cmp.Or(b.MaxWait, d.MaxWait)
	b.Requests = cmp.Or(b.Requests, d.Requests)
	return b
}

// band is what differs for b.
func (c *Config) band(b Band) BandConfig {
	return [bands]BandConfig{c.High, c.Normal, c.Low}[b.rank()]
}

// requestsOf is how many requests of a band may wait.
func (c *Config) requestsOf(b Band) int {
	if n := c.band(b).Requests; n > 0 {
		return min(n, c.Requests)
	}
	return c.Requests
}

// due is when an item expires.
func (c *Config) due(it *Item) time.Time {
	wait := c.MaxWait
	if w := c.band(it.Band).MaxWait; w > 0 {
		wait = w
	}
	due := it.Enqueued.Add(wait)
	if !it.Deadline.IsZero() && it.Deadline.Before(due) {
		return it.Deadline
	}
	return due
}

// Part is the part of a replica up to which it may be filled by the item, whatever
// a routing group measures that by. All of what is kept is kept while those for whom
// it is ask for it; half of it stands by for the first of them.
func (c Config) Part(it Item) float64 {
	if it.privileged() {
		return 1
	}
	return 1 - float64(c.Reserve)/100*(1+it.Claim)/2
}

// Ceiling is how much prefill a replica may have before it and still be sent the item.
// What is kept counts twice here: to hold a prompt back until the one before it is
// computed spares those who come next much and costs little work, a smaller batch
// costs more.
func (c Config) Ceiling(it Item) time.Duration {
	return time.Duration(float64(c.Target) * max(0, 2*c.Part(it)-1))
}

// Places is how many requests a replica may have, with the item, if it takes limit
// at once: where something is reserved one less than that, and never none. The
// limit is the operator's word or was found; no more of it stands idle.
func (c Config) Places(limit int, it Item) int {
	if it.privileged() || limit <= 1 {
		return limit
	}
	if c.Part(it) < 1 {
		limit--
	}
	return limit
}

const (
	mostWait     = time.Hour
	mostRequests = 1_000_000
	mostTarget   = time.Minute
)

// Validate reports each problem with its path, what is wrong and what would be
// right.
func (c Config) Validate(path string, report func(path, wrong, right string)) {
	wait := func(path string, d time.Duration) {
		if d < 0 || d > mostWait {
			report(path+".max_wait", fmt.Sprintf("%v is out of range", d), "1ms to 1h, or leave it out")
		}
	}
	requests := func(path string, n, most int) {
		if n < 0 || n > most {
			report(path+".requests", fmt.Sprintf("%d is out of range", n), fmt.Sprintf("1 to %d, or leave it out", most))
		}
	}
	wait(path, c.MaxWait)
	requests(path, c.Requests, mostRequests)
	for _, b := range Bands {
		at := path + "." + b.String()
		wait(at, c.band(b).MaxWait)
		requests(at, c.band(b).Requests, max(0, min(c.Or(Default()).Requests, mostRequests)))
	}
	if c.Bytes < 0 {
		report(path+".bytes", fmt.Sprintf("%d bytes hold nothing", c.Bytes), "a size such as 256MiB")
	}
	if c.Target < 0 || c.Target > mostTarget {
		report(path+".target", fmt.Sprintf("%v is out of range", c.Target), "1ms to 1m; 100ms is the default")
	}
	if c.Reserve < 0 || c.Reserve > 90 {
		report(path+".reserve_percent", fmt.Sprintf("%d%% is out of range", c.Reserve), "1 to 90; 50 is the default")
	}
}
