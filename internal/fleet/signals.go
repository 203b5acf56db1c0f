package fleet

import (
	"time"

	"tailplane/internal/engine"
)

// Signals are what a target's engine said of itself, and when.
type Signals struct {
	At time.Time
	// Every is how often the engine is looked at; 0 is a second.
	Every time.Duration
	engine.Sample
}

// How old a signal may be. What is older is not known any more: whoever decides
// goes by what was seen here, and never takes silence for saturation.
//
// Load changes with each batch, so that it is good for four looks, of at least
// two seconds together. What adds up, and what is loaded, is good for a minute.
// A cache's size changes with a restart, which is looked for otherwise.
const (
	looksOfLoad   = 4
	leastLoadAge  = 2 * time.Second
	mostTotalsAge = time.Minute
	mostSizeAge   = 10 * time.Minute
)

// The signals by how long they are good.
const (
	loads = engine.SignalRunning | engine.SignalWaiting | engine.SignalKVUsage | engine.SignalAwake
	sizes = engine.SignalKVTokens
)

// Observe takes over what the target's engine said. What it says next replaces
// all of it.
func (t *Target) Observe(s Signals) { t.signals.Store(&s) }

// Signals is what is known of the target's engine now: what is too old is not in
// Known any more. It costs one atomic load where nothing was ever observed.
func (t *Target) Signals(now time.Time) Signals {
	last := t.signals.Load()
	if last == nil {
		return Signals{}
	}
	s := *last
	every := s.Every
	if every <= 0 {
		every = time.Second
	}
	age := now.Sub(s.At)
	if age > max(leastLoadAge, looksOfLoad*every) {
		s.Known &^= loads
	}
	if age > max(mostTotalsAge, looksOfLoad*every) {
		s.Known &= sizes
	}
	if age > mostSizeAge {
		s.Known = 0
	}
	return s
}
