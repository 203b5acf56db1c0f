package busy

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestBusyIsMostOfTheProcessorsTime: of the time that there was, whatever has been
// before.
func TestBusyIsMostOfTheProcessorsTime(t *testing.T) {
	var g Gauge
	for _, c := range []struct {
		used, of time.Duration
		busy     bool
	}{{0, 100, false}, {84, 100, false}, {85, 100, true}, {100, 100, true}, {10, 100, false}, {120, 100, true}, {0, 100, false}} {
		if g.note(c.used, c.of); g.busy.Load() != c.busy {
			t.Errorf("%d of %d: busy is %v", c.used, c.of, g.busy.Load())
		}
	}
}

// TestOnlyABusyProcessYields: with one processor a goroutine that is ready runs when
// another one yields, and not before. Now and then the scheduler decides otherwise: it
// takes the processor from one that has had it for long, and prefers the one that
// yielded at every 61st turn. So what is mostly so counts.
func TestOnlyABusyProcessYields(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const times = 100
	for _, busy := range []bool{false, true} {
		var g Gauge
		g.busy.Store(busy)
		first := 0
		for range times {
			var ran atomic.Bool
			done := make(chan struct{})
			go func() { ran.Store(true); close(done) }()
			g.Yield()
			if ran.Load() {
				first++
			}
			<-done
		}
		if most := first > times/2; most != busy {
			t.Errorf("busy is %v, and what was ready ran first %d times of %d", busy, first, times)
		}
	}
}

// TestTheCPUTimeGrows: with work, and by no more than that took.
func TestTheCPUTimeGrows(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it is not known there")
	}
	before, n := cpuTime(), 0
	for cpuTime()-before < time.Millisecond {
		if n++; n > 1e9 {
			t.Fatal("a billion readings took no time")
		}
	}
}
