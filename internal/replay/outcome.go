package replay

import "time"

// Outcome is what became of the requests of one run. TTFT, E2E and At are in the
// order in which requests ended; times of day are seconds since the first
// arrival of the trace.
type Outcome struct {
	TTFT, E2E, At  []float64 // seconds
	TPOT           []float64 // of answers of more than one token
	Prompt, Cached int64     // tokens
	Output         int64
	Makespan       time.Duration // when the last request ended
	Preemptions    int64
	TooLong        int // left out: more than the engine can hold
	Retried        int // asked elsewhere when a replica died
	Cut            int // lost: the replica died while it answered
	Failed         int // lost: nobody took the request
}

func (o *Outcome) add(c *call, now time.Duration) {
	o.TTFT = append(o.TTFT, (c.first - c.arrived).Seconds())
	o.E2E = append(o.E2E, (now - c.arrived).Seconds())
	o.At = append(o.At, c.arrived.Seconds())
	if n := c.req.Output; n > 1 {
		o.TPOT = append(o.TPOT, (now-c.first).Seconds()/float64(n-1))
	}
	o.Prompt += int64(c.req.Input)
	o.Cached += int64(c.cached)
	o.Output += int64(c.req.Output)
	o.Makespan = now
}

// Figures are those of one run. Times are seconds.
type Figures struct {
	TTFT       Spread
	TPOT       Tail
	E2E        float64
	HitRate    float64
	Throughput float64
	Makespan   float64
	Requests   int // that were answered
	TooLong    int
	Retried    int
	Cut        int
	Failed     int
	// Windows are the 99th percentiles of the first tokens of what arrived in the
	// minute before the watched moment, in the ten seconds after it, and in the
	// minute after those.
	Windows [3]float64
}

// windows are the bounds of [Figures.Windows], in seconds after the moment.
var windows = [3][2]float64{{-60, 0}, {0, 10}, {10, 70}}

func (o *Outcome) figures(s *Setup) Figures {
	ttft, tpot := sorted(o.TTFT), sorted(o.TPOT)
	f := Figures{
		TTFT: Spread{mean(o.TTFT), quantile(ttft, .5), quantile(ttft, .9), quantile(ttft, .99)},
		TPOT: Tail{mean(o.TPOT), quantile(tpot, .99)}, E2E: mean(o.E2E), Makespan: o.Makespan.Seconds(),
		Requests: len(o.TTFT), TooLong: o.TooLong, Retried: o.Retried, Cut: o.Cut, Failed: o.Failed,
	}
	if o.Prompt > 0 {
		f.HitRate = float64(o.Cached) / float64(o.Prompt)
	}
	if f.Makespan > 0 {
		f.Throughput = float64(o.Output) / f.Makespan
	}
	if at, ok := s.watched(); ok {
		for i, w := range windows {
			f.Windows[i] = o.window(at.Seconds()+w[0], at.Seconds()+w[1])
		}
	}
	return f
}

// window is the 99th percentile of the first tokens of what arrived then.
func (o *Outcome) window(from, to float64) float64 {
	var xs []float64
	for i, at := range o.At {
		if at >= from && at < to {
			xs = append(xs, o.TTFT[i])
		}
	}
	return quantile(sorted(xs), .99)
}

// watched is the moment that windows lie around.
func (s *Setup) watched() (at time.Duration, ok bool) {
	if s.Watch > 0 {
		return s.Watch, true
	}
	for _, dies := range s.Kill {
		if !ok || dies < at {
			at, ok = dies, true
		}
	}
	return at, ok
}
