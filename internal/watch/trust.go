package watch

import (
	"time"

	"tailplane/internal/engine"
)

// The reasons for which what an engine says is not used.
const (
	distrustFrozen   = "frozen"   // answers come, and its counters stand still
	distrustUnsteady = "unsteady" // its counters go back and forth: several servers answer at one address
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
	begun     bool
	generated float64
	motion    uint64
	moved     time.Time // when it last did
	servedAt  uint64    // how many had been served then
	backs     []time.Time
	unsteady  bool
}

// see takes a look, and returns why the engine is not believed; empty when it is.
// anew says that it seems to have been started anew since the last look.
func (t *trust) see(now time.Time, s *engine.Sample, served uint64) (why string, anew bool) {
	back := t.begun && s.Known.Has(engine.SignalGenerated) && s.Generated < t.generated
	if s.Known.Has(engine.SignalGenerated) {
		t.generated = s.Generated
	}
	if back {
		t.backs = append(t.backs[max(0, len(t.backs)-backsSuspect+1):], now)
	}
	n := len(t.backs)
	switch {
	case n == backsSuspect && now.Sub(t.backs[0]) <= backsWithin:
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
		return distrustUnsteady, false
	case served-t.servedAt >= frozenAnswers && now.Sub(t.moved) >= frozenFor:
		return distrustFrozen, false
	}
	return "", back
}
