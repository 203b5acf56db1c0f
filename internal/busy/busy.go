// Package busy tells whether the process has about as much to do as its processors
// can do, and then lets what is ready go first.
//
// A write to a socket wakes whoever waits for it, which costs more than the write
// where that one's processor has gone to sleep. When requests are many, those that
// are ready to be read, decided or encoded can go first, so that their writes follow
// each other: the first wakes the reader for all of them, and one kind of code runs in
// a row. When there is little to do, a yield gains nothing and may wake a processor
// for the goroutine that yields. So [Gauge.Yield] yields only when the processors are
// busy.
//
// The package owns the measure. It never holds anybody up: a yield ends when those
// that were ready have had their turn.
package busy

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	every = 50 * time.Millisecond
	// share is from which share of the processors' time on they are busy: a yield pays
	// where hardly any is idle and costs where most is (ADR 14 has figures for both);
	// where in between it begins to pay has not been measured.
	share = 0.85
)

// Gauge measures the process. The zero value is ready and not busy. All methods are
// safe for concurrent use.
type Gauge struct{ busy atomic.Bool }

// Yield lets the goroutines that are ready go first while the process is busy.
func (g *Gauge) Yield() {
	if g.busy.Load() {
		runtime.Gosched()
	}
}

// Run measures until ctx ends.
func (g *Gauge) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	at, used := time.Now(), cpuTime()
	for {
		select {
		case <-ctx.Done():
			g.busy.Store(false)
			return
		case now := <-tick.C:
			spent := cpuTime()
			g.note(spent-used, now.Sub(at)*time.Duration(runtime.GOMAXPROCS(0)))
			at, used = now, spent
		}
	}
}

// note takes in how much of the processors' time was used.
func (g *Gauge) note(used, of time.Duration) {
	if busy := float64(used) >= share*float64(of); busy != g.busy.Load() {
		g.busy.Store(busy)
	}
}
