package route

import (
	"time"

	"tailplane/internal/llm"
	"tailplane/internal/models"
)

// Action is what to do after a fault.
type Action uint8

// The actions.
const (
	GiveUp Action = iota // tell the client
	Again                // ask the same target after Verdict.Wait
	Next                 // ask the next candidate after Verdict.Wait
)

// Verdict is the decision about a fault.
type Verdict struct {
	Do   Action
	Wait time.Duration // before Again or Next
	Why  string
}

// Situation is what a verdict depends on beside the fault.
type Situation struct {
	Rules    models.Retry
	Tries    int           // how often this target was asked for this request, this time included
	More     bool          // there is another candidate to ask
	Named    bool          // the config leads to it after this fault in so many words
	NextWait time.Duration // what that candidate still demands not to be asked
	TimeLeft time.Duration // until the request's own deadline
	Roll     float64       // uniform in [0, 1)
}

// After decides what follows a fault that struck before the first byte went to
// the client. Whether the budget has a retry left is asked by the caller, for
// it is state; a verdict of Again without one becomes [Exhausted].
//
// A fault for which the fallback chain names a candidate goes there at once. One
// that nobody could mend goes to the client. One that only another target can
// mend goes to the next candidate. One that time may mend is tried again at
// the same target, after exponential backoff with full jitter and never before
// the upstream's Retry-After; but a target that demands a wait is left for
// another one that can be asked sooner. A candidate that demands a wait itself
// is asked when that is over, and not at all when it is too long.
func After(f *llm.Fault, s Situation) Verdict {
	switch {
	case s.TimeLeft <= 0:
		return Verdict{GiveUp, 0, "the request's time is over"}
	case s.Named && s.reachable():
		return Verdict{Next, s.NextWait, "the fallback chain names this fault"}
	case f.Retry == llm.RetryNever:
		return Verdict{GiveUp, 0, "the request would fail anywhere"}
	case f.Retry == llm.RetryElsewhere:
		return elsewhere(s, "only another target can mend it")
	case f.After > s.NextWait && s.reachable():
		return Verdict{Next, s.NextWait, "the target demands a wait and another one is at hand"}
	case s.Tries >= s.Rules.Attempts:
		return elsewhere(s, "the target had its attempts")
	}
	wait := max(Backoff(s.Rules, s.Tries, s.Roll), f.After)
	switch {
	case f.After > s.Rules.MaxWait:
		return elsewhere(s, "the demanded wait is longer than max_wait")
	case wait >= s.TimeLeft:
		return elsewhere(s, "the wait would outlast the request")
	}
	return Verdict{Again, wait, "time may mend it"}
}

// Exhausted is the verdict when the retry budget is spent.
func Exhausted(s Situation) Verdict {
	return elsewhere(s, "the target's retry budget is spent")
}

// reachable reports whether another candidate can be asked within the rules.
func (s Situation) reachable() bool {
	return s.More && s.NextWait <= s.Rules.MaxWait && s.NextWait < s.TimeLeft
}

func elsewhere(s Situation, why string) Verdict {
	if s.reachable() {
		return Verdict{Next, s.NextWait, why}
	}
	return Verdict{GiveUp, 0, why + "; no candidate is left"}
}

// Backoff is the wait before attempt tries+1: uniform between zero and
// Backoff * 2^(tries-1), capped at MaxBackoff ("full jitter", Brooker 2015).
func Backoff(r models.Retry, tries int, roll float64) time.Duration {
	ceiling := min(r.Backoff<<min(max(tries-1, 0), 20), r.MaxBackoff)
	return time.Duration(roll * float64(ceiling))
}
