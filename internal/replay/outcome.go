package replay

import "time"

// Outcome is what became of the requests of one run. The slices are in the
// order in which requests ended.
type Outcome struct {
	TTFT, TPOT, E2E []float64 // seconds; TPOT of answers of more than one token
	Prompt, Cached  int64     // tokens
	Output          int64
	Makespan        time.Duration // from the first arrival to the last end
	Failed          int
	Preemptions     int64
}

func (o *Outcome) add(c *call, now time.Duration) {
	o.TTFT = append(o.TTFT, (c.first - c.arrived).Seconds())
	o.E2E = append(o.E2E, (now - c.arrived).Seconds())
	if n := c.req.Output; n > 1 {
		o.TPOT = append(o.TPOT, (now-c.first).Seconds()/float64(n-1))
	}
	o.Prompt += int64(c.req.Input)
	o.Cached += int64(c.cached)
	o.Output += int64(c.req.Output)
	o.Makespan = now
}

func (o *Outcome) finish(w *world) {
	for i := range w.replicas {
		o.Preemptions += w.replicas[i].engine.Counters().Preemptions
	}
}
