package watch

import (
	"time"

	"tailplane/internal/engine"
)

// The reasons for which what an engine says is not used.
const (
	distrustFrozen   = "frozen"   // answers come, and its counters stand still
	distrustUnsteady = "unsteady" // its counters, or its starts, go back and forth: several servers answer at one address
)

// The bounds of belief.
const (
	frozenAnswers  = 5                // answers without motion
	frozenFor      = 10 * time.Second // over at least that long
	backsSuspect   = 3                // steps back of a counter
	backsWithin    = 30 * time.Second
	steadyForgiven = time.Minute // without one, and it is believed again
)

// trust judges whether what an engine says can be believed.
type trust struct {
	begun    bool
	motion   uint64
	moved    time.Time // when it last did
	servedAt uint64    // how many had been served then
	backs    []time.Time
	unsteady bool
}

// see takes a look and what it shows of the engine's life, and returns why the engine
// is not believed; empty when it is.
func (t *trust) see(now time.Time, s *engine.Sample, saw sighting, served uint64) (why string) {
	if saw.back || saw.several {
		t.backs = append(t.backs[max(0, len(t.backs)-backsSuspect+1):], now)
	}
	n := len(t.backs)
	switch {
	case saw.several || n == backsSuspect && now.Sub(t.backs[0]) <= backsWithin:
		t.unsteady = true
	case n > 0 && now.Sub(t.backs[n-1]) > steadyForgiven:
		t.unsteady, t.backs = false, t.backs[:0]
	}
	if !t.begun || s.Motion != t.motion || !s.Moving {
		t.moved, t.servedAt = now, served
	}
	t.begun, t.motion = true, s.Motion
	switch {
	case t.unsteady:
		return distrustUnsteady
	case served-t.servedAt >= frozenAnswers && now.Sub(t.moved) >= frozenFor:
		return distrustFrozen
	}
	return ""
}
