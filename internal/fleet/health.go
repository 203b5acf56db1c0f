package fleet

import (
	"time"

	"tailplane/internal/llm"
)

// The rules of health. There is one breaker for each target, whoever trips it:
//
//   - Faults in a row, of requests that speak about the target, trip it: lost
//     connections sooner than answers that are errors, which a request may be
//     guilty of. The first time is taken for a blip: after a second the next
//     request is the trial, and its success closes the breaker.
//   - A trial that fails, a share of failures that is too high over a while, first
//     tokens that are far too late beside the group's, and package watch
//     (standstill, failed probes) eject it: for five seconds, doubled each time
//     until it has been well again, five minutes at most.
//   - What was ejected comes back on trial: one request, then two, then four, at
//     once; each rung is climbed when so many have ended well. Then it starts
//     slowly: the share that is kept off it shrinks to nothing in half a minute.
//   - A rate limit is backpressure and never ill health. What only a request is
//     guilty of says nothing of the target.
//
// Whether the rest of a group can do without an ejected target is decided over
// all of them: see [Admit].

// State is how a target stands.
type State uint8

// The states.
const (
	Unknown   State = iota // nothing was heard of it yet
	Warming                // it says that it does not serve yet, or not any more
	Healthy                //
	Degraded               // it serves, but later than its group: it is asked less
	Ejected                // it is left alone
	HalfOpen               // it is on trial
	SlowStart              // it serves again, and is asked less for a while
	Drained                // somebody wants it to be left
	states
)

// String is the word for people and metrics.
func (s State) String() string {
	return [...]string{"unknown", "warming", "healthy", "degraded", "ejected", "half_open", "slow_start", "drained"}[s]
}

// States are all of them.
func States() []State {
	var out []State
	for s := range states {
		out = append(out, s)
	}
	return out
}

// Cause is why a target is kept off. Its text is a label.
type Cause string

// The causes. Those that are certain hold for every request; the others are
// judgements, of which a group takes so many at once.
const (
	CauseLost    Cause = "lost"         // connections failed in a row
	CauseFaults  Cause = "faults"       // answers were errors in a row
	CauseRate    Cause = "failure_rate" // too many requests failed over a while
	CauseSlow    Cause = "slow"         // first tokens far later than the group's
	CauseWedged  Cause = "wedged"       // there is work in it, and nothing moves
	CauseProbe   Cause = "probe"        // it does not answer when asked for its health
	CauseUnready Cause = "not_ready"    // it says so itself
)

// Certain reports a cause that is no judgement.
func (c Cause) Certain() bool { return c != CauseFaults && c != CauseRate && c != CauseSlow }

// health is the breaker of a target. The target's mutex guards it.
type health struct {
	state State // Unknown, Healthy, Ejected, HalfOpen or SlowStart: the others follow from what stands below
	cause Cause
	since time.Time
	until time.Time // no trial before
	blip  bool      // the first success ends the ejection
	// strikes are ejections since it was last well.
	strikes int

	rung, good int       // of the trial: 1<<rung at once, and how many have ended well
	trials     int       // in flight, as far as is known
	trialAt    time.Time // when the last one began

	fails, lost int // faults in a row, and lost connections in a row
	failures    window
	late        lateness

	unready time.Time // it said that it does not serve; that holds until then
	drain   Drainer
}

// The ladder of the trial.
const (
	rungs         = 3                // 1, 2 and 4 at once
	trialPatience = 10 * time.Second // then another one may begin, whatever became of the last
)

// Penalty of a target that starts, or is late.
const (
	coldPenalty = 0.9
	latePenalty = 0.5
)

// view fills in how the target stands.
func (h *health) view(now time.Time, r *Rules, v *View) {
	switch h.state {
	case Ejected:
		v.Broken, v.Ejected, v.Cause = now.Before(h.until), true, h.cause
	case HalfOpen:
		v.Broken, v.Ejected, v.Cause = h.crowded(now), true, h.cause
		v.Penalty = coldPenalty
	case SlowStart:
		v.Penalty = h.cold(now, r)
	}
	if h.blip {
		v.Penalty = 0
	}
	if h.late.degraded(r) {
		v.Penalty = max(v.Penalty, latePenalty)
	}
	if now.Before(h.unready) {
		v.Broken, v.Cause = true, CauseUnready
	}
	if h.drain != 0 {
		v.Broken, v.Draining = true, true
	}
}

// cold is the share that is kept off a target in its slow start.
func (h *health) cold(now time.Time, r *Rules) float64 {
	left := 1 - float64(now.Sub(h.since))/float64(r.SlowStart)
	return coldPenalty * max(0, min(1, left))
}

// crowded reports a trial that takes no further request now.
func (h *health) crowded(now time.Time) bool {
	return h.trials >= 1<<h.rung && now.Sub(h.trialAt) < trialPatience
}

// begin counts a request that is sent.
func (h *health) begin(now time.Time) {
	if h.state == Ejected && !now.Before(h.until) {
		h.enter(HalfOpen, now)
		h.rung, h.good, h.trials = 0, 0, 0
	}
	if h.state == HalfOpen {
		h.trials++
		h.trialAt = now
	}
}

// release gives the place of a trial back that said nothing about the target.
func (h *health) release() { h.trials = max(0, h.trials-1) }

// ok takes a request that ended well.
func (h *health) ok(now time.Time, r *Rules) {
	h.fails, h.lost = 0, 0
	h.failures.count(false)
	switch {
	case h.state == Unknown:
		h.enter(Healthy, now)
	case h.blip:
		h.blip = false
		h.enter(Healthy, now)
	case h.state == HalfOpen:
		h.release()
		h.climb(now)
	case h.state == SlowStart && h.cold(now, r) == 0:
		h.strikes = 0
		h.enter(Healthy, now)
	}
}

// climb counts a trial that ended well.
func (h *health) climb(now time.Time) {
	if h.good++; h.good < 1<<h.rung {
		return
	}
	h.good = 0
	if h.rung++; h.rung == rungs {
		h.enter(SlowStart, now)
	}
}

// fail takes a fault of the target, and returns why it is ejected for it; empty
// when it is not.
func (h *health) fail(kind llm.FaultKind, r *Rules) Cause {
	h.fails++
	h.lost++
	if !lost(kind) {
		h.lost = 0
	}
	h.failures.count(true)
	switch h.state {
	case Ejected:
		return "" // the echo of requests that were sent before
	case HalfOpen:
		return h.cause
	}
	switch {
	case h.lost >= r.Lost:
		return CauseLost
	case h.fails >= r.Faults:
		return CauseFaults
	case h.failures.high(r):
		return CauseRate
	}
	return ""
}

// eject leaves the target alone. first says whether a blip is possible.
func (h *health) eject(now time.Time, cause Cause, r *Rules, seed uint64) {
	h.blip = h.state != HalfOpen && h.strikes == 0 && (cause == CauseLost || cause == CauseFaults)
	h.cause = cause
	h.enter(Ejected, now)
	h.fails, h.lost, h.failures, h.late = 0, 0, window{}, lateness{}
	if h.blip {
		h.until = now.Add(r.Pause)
		return
	}
	h.strikes++
	h.until = now.Add(r.pause(h.strikes, seed))
}

// hold keeps an ejected target from its trial for a while more.
func (h *health) hold(until time.Time, cause Cause) {
	h.blip, h.cause = false, cause
	if until.After(h.until) {
		h.until = until
	}
}

func (h *health) enter(s State, now time.Time) {
	if h.state != s {
		h.state, h.since = s, now
	}
	if s == Healthy {
		h.cause = ""
	}
}

// stands is the state as it is told.
func (h *health) stands(now time.Time, r *Rules) State {
	switch {
	case h.drain != 0:
		return Drained
	case now.Before(h.unready):
		return Warming
	case h.state == SlowStart && h.cold(now, r) == 0, h.state == Healthy || h.state == SlowStart:
		if h.late.degraded(r) {
			return Degraded
		}
		if h.state == SlowStart && h.cold(now, r) > 0 {
			return SlowStart
		}
		return Healthy
	}
	return h.state
}

// quiet reports that nothing needs to be looked at, until something is told.
func (h *health) quiet(now time.Time) bool {
	return h.state == Healthy && h.strikes == 0 && h.fails == 0 && h.failures.seen == 0 && h.late.seen == 0 &&
		h.drain == 0 && !now.Before(h.unready)
}

// lost reports a fault of the way to the target, or of a target that says
// nothing: no request is guilty of it.
func lost(kind llm.FaultKind) bool {
	switch kind {
	case llm.FaultConnect, llm.FaultConnectTime, llm.FaultFirstToken:
		return true
	}
	return false
}
