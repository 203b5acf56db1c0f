package queuesim

import (
	"context"
	"fmt"
	"time"

	"tailplane/internal/queue"
)

// Rules of this file: the replicas are four of an 8B model. Figures are of what came
// once a load had become even. Each load is drawn and played once for each seed; the
// defaults of queue.Config were chosen with other seeds than these.

const (
	firstSeed = 31
	lasts     = 600 * time.Second
	settled   = 100 * time.Second // when a load has become even
)

// Moved is what a load does to the first tokens of the callers that are watched,
// beside a world without it. Quantiles are in seconds, of all seeds together.
type Moved struct {
	Demand               float64 // of the capacity, in the world without it
	P50Before, P99Before float64
	P50After, P99After   float64
	Factors              []float64 // by seed: the p99 after as a multiple of that before
	Answered             []float64 // by seed: what was answered after, of the capacity
	Refused              int       // requests of the watched callers, after
}

// Kept is what is left of the service at twice the capacity.
type Kept struct {
	Answered []float64 // by seed, of the capacity
	Jain     float64   // index of fairness of what the tenants were served by their weights, of all seeds; 1 is even
	Expired  int       // requests that waited to be refused
	Requests int
}

// Capacity is what the replicas answer in requests a second: engines that are given
// everything at once, without a queue before them.
func Capacity(of Lengths) (float64, error) {
	const end = 250 * time.Second
	all := calls(1, 1000*time.Second, load{tenant: "capacity", rate: 40, of: of})
	for _, c := range all {
		c.at /= 1000
	}
	w, err := newWorld(queue.Config{MaxWait: time.Hour, Requests: 1_000_000, Bytes: 1 << 40, Target: time.Minute}, all, of.Output)
	if err != nil {
		return 0, err
	}
	for _, r := range w.replicas {
		r.unlimited = true
	}
	if err := w.run(end); err != nil {
		return 0, err
	}
	return answered(all, end), nil
}

// Flood is a tenant that asks for ten times its part, so that all ask for 1.2 times
// the capacity, beside a world in which it asks for its part and there is room for
// everybody. The other tenants are watched. It ends early only when ctx does.
func Flood(ctx context.Context, of Lengths, tenants int, capacity float64, seeds int) (Moved, error) {
	part := 1.2 * capacity / float64(tenants+9)
	loads := make([]load, tenants)
	for i := range loads {
		loads[i] = load{tenant: fmt.Sprint("tenant-", i), rate: part, of: of}
	}
	before, err := play(ctx, seeds, loads...)
	if err != nil {
		return Moved{}, err
	}
	flood := &loads[tenants-1]
	flood.rate *= 10
	after, err := play(ctx, seeds, loads...)
	if err != nil {
		return Moved{}, err
	}
	m := moved(before, after, capacity, func(c *call) bool { return c.tenant != flood.tenant })
	m.Demand = part * float64(tenants) / capacity
	return m, nil
}

// Priority is a tenth of the capacity in the high band, beside 1.2 times the capacity
// of normal and 0.3 of low priority. The high band is watched; in the world before it
// has the replicas to itself. It ends early only when ctx does.
func Priority(ctx context.Context, of Lengths, capacity float64, seeds int) (Moved, error) {
	high := load{tenant: "high", band: queue.High, rate: 0.1 * capacity, of: of}
	alone, err := play(ctx, seeds, high)
	if err != nil {
		return Moved{}, err
	}
	both, err := play(ctx, seeds, high, load{tenant: "normal", rate: 1.2 * capacity, of: of}, load{tenant: "low", band: queue.Low, rate: 0.3 * capacity, of: of})
	if err != nil {
		return Moved{}, err
	}
	m := moved(alone, both, capacity, func(c *call) bool { return c.band == queue.High })
	m.Demand = 0.1
	return m, nil
}

// Twice is eight tenants of different weights that together ask for twice the
// capacity, each for more than its part. It ends early only when ctx does.
func Twice(ctx context.Context, of Lengths, capacity float64, seeds int) (Kept, error) {
	weights := []float64{1, 1, 1, 1, 1, 2, 2, 3} // 12 parts
	demand := []float64{1, 2, 1, 4, 1, 2, 4, 4}  // of which each asks for more than its own
	var loads []load
	for i, w := range weights {
		rate := capacity / 12 * (w + demand[i]*12/19)
		loads = append(loads, load{tenant: fmt.Sprint("tenant-", i), rate: rate, of: of, weight: w})
	}
	played, err := play(ctx, seeds, loads...)
	if err != nil {
		return Kept{}, err
	}
	k := Kept{Answered: shares(played, capacity)}
	served := make([]float64, len(loads))
	for _, c := range played.all() {
		k.Requests++
		if c.sent >= settled && c.sent < lasts {
			i := c.tenant[len(c.tenant)-1] - '0'
			served[i] += (prefill(c.prompt) + perToken*float64(c.output)) / weights[i]
		}
		if c.refused == queue.ReasonExpired {
			k.Expired++
		}
	}
	sum, squares := 0.0, 0.0
	for _, s := range served {
		sum += s
		squares += s * s
	}
	k.Jain = sum * sum / (float64(len(served)) * squares)
	return k, nil
}

// play runs loads against the queue with its defaults, but for the longest wait,
// once for each seed.
func play(ctx context.Context, seeds int, loads ...load) (out runs, err error) {
	for seed := range uint64(seeds) {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		all := calls(firstSeed+seed, lasts, loads...)
		w, err := newWorld(queue.Config{MaxWait: 10 * time.Second}, all, loads[0].of.Output)
		if err != nil {
			return out, err
		}
		for _, l := range loads {
			w.weights[l.tenant] = l.weight
		}
		if err := w.run(lasts + settled); err != nil {
			return out, err
		}
		out = append(out, all)
	}
	return out, nil
}

// moved compares the watched calls of two worlds, seed by seed.
func moved(before, after runs, capacity float64, watched func(*call) bool) Moved {
	a, b := before.all(), after.all()
	m := Moved{
		P50Before: quantile(a, 0.5, watched), P99Before: quantile(a, 0.99, watched),
		P50After: quantile(b, 0.5, watched), P99After: quantile(b, 0.99, watched),
		Answered: shares(after, capacity),
	}
	for i := range after {
		m.Factors = append(m.Factors, quantile(after[i], 0.99, watched)/quantile(before[i], 0.99, watched))
	}
	for _, c := range b {
		if watched(c) && c.refused != 0 {
			m.Refused++
		}
	}
	return m
}

// shares are what was answered once the load was even, of the capacity, by seed.
func shares(r runs, capacity float64) (out []float64) {
	for _, all := range r {
		out = append(out, answered(all, lasts)/capacity)
	}
	return out
}

// answered is how many were answered a second until the end, once the load was even.
func answered(all []*call, end time.Duration) float64 {
	n := 0
	for _, c := range all {
		if c.done >= settled && c.done < end {
			n++
		}
	}
	return float64(n) / (end - settled).Seconds()
}
