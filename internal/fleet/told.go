package fleet

import (
	"maps"
	"time"
)

// This file is what others than requests tell of a target's health, and what
// they ask: package watch, which looks at targets, routing, which compares them,
// and people.

// Drainer is who wants a target to be left.
type Drainer uint8

// The drainers; each takes back only its own word.
const (
	DrainFile Drainer = 1 << iota // the config says so
	DrainLive                     // somebody said so while it runs
)

// Drain says that the target gets no new requests, or takes that back: what is
// in flight goes on.
func (t *Target) Drain(by Drainer, drained bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if drained {
		t.health.drain |= by
		t.troubled.Store(true)
	} else {
		t.health.drain &^= by
	}
}

// Residual tells by how many deviations of its group's a first token of the
// target came later than expected; negative is earlier. The group works it out,
// over siblings. One that is no outlier of a healthy target costs one atomic
// load.
func (t *Target) Residual(now time.Time, z float64) {
	if z != z || z <= 0 && !t.troubled.Load() {
		return
	}
	r := rulesOf(t.rules)
	outlier := z > float64(r.Outlier)
	if !outlier && !t.troubled.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.health.late.seen == 0 && !outlier || t.health.state == Ejected {
		return
	}
	t.troubled.Store(true)
	if t.health.late.see(now, z, r) {
		t.eject(now, CauseSlow)
	}
}

// Eject leaves the target alone for a reason that no request told. Where it is
// ejected already it stays so for at least the shortest ejection from now: said
// again and again, it holds for as long as it is said.
func (t *Target) Eject(now time.Time, cause Cause) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := &t.health; h.state == Ejected && h.strikes > 0 {
		h.hold(now.Add(rulesOf(t.rules).Eject), cause)
		return
	}
	t.eject(now, cause)
}

// Try lets an ejected target be tried now: something has shown that it answers.
func (t *Target) Try(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.health.state == Ejected {
		t.health.until = now
	}
}

// Unready says that the target itself says that it does not serve, while it
// loads or stops. That holds for a while and is to be said again.
func (t *Target) Unready(now time.Time, holds time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.troubled.Store(true)
	t.health.unready = now.Add(holds)
}

// Ready says that the target itself says that it serves. One that did not until
// now starts slowly.
func (t *Target) Ready(now time.Time) {
	if !t.troubled.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h := &t.health
	switch {
	case now.Before(h.unready):
		h.unready = time.Time{}
		if h.state == Unknown || h.state == Healthy {
			h.enter(SlowStart, now)
		}
	case h.state == Unknown:
		h.enter(Healthy, now)
	}
	t.calm(now)
}

// Standing is a target's health as it is shown.
type Standing struct {
	State State
	Cause Cause         // why it is kept off
	Since time.Duration // for how long the breaker stands as it does
	Left  time.Duration // until it may be tried
}

// Standing says how the target stands.
func (t *Target) Standing(now time.Time) Standing {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := &t.health
	s := Standing{State: h.stands(now, rulesOf(t.rules)), Left: max(0, h.until.Sub(now))}
	switch s.State {
	case Warming:
		s.Cause = CauseUnready
	case Ejected, HalfOpen:
		s.Cause = h.cause
	}
	if !h.since.IsZero() {
		s.Since = now.Sub(h.since)
	}
	if s.State != Ejected {
		s.Left = 0
	}
	return s
}

// Ejections is how often the target was ejected, by cause.
func (t *Target) Ejections() map[Cause]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.ejections)
}

// Load is how many requests the target has in flight, and how many have ended
// well since the start.
func (t *Target) Load() (inFlight int64, served uint64) { return t.inFlight.Load(), t.served.Load() }
