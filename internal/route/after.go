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
	Next                 // ask the next candidate at once
)

// Verdict is the decision about a fault.
type Verdict struct {
	Do   Action
	Wait time.Duration // before Again
	Why  string
}

// Situation is what a verdict depends on beside the fault.
type Situation struct {
	Rules    models.Retry
	Tries    int           // how often this target was asked for this request, this time included
	More     bool          // there is another candidate to ask
	TimeLeft time.Duration // until the request's own deadline
	Roll     float64       // uniform in [0, 1)
}

// After decides what follows a fault that struck before the first byte went to
// the client. Whether the budget has a retry left is asked by the caller, for
// it is state; a verdict of Again without one becomes [Exhausted].
//
// A fault that nobody could mend goes to the client. One that only another
// target can mend goes to the next candidate. One that time may mend is tried
// again at the same target, after exponential backoff with full jitter and
// never before the upstream's Retry-After; but a target that demands a wait is
// left for another one when there is one.
func After(f *llm.Fault, s Situation) Verdict {
	switch {
	case f.Retry == llm.RetryNever:
		return Verdict{GiveUp, 0, "the request would fail anywhere"}
	case f.Retry == llm.RetryElsewhere:
		return elsewhere(s.More, "only another target can mend it")
	case f.After > 0 && s.More:
		return Verdict{Next, 0, "the target demands a wait and another one is at hand"}
	case s.Tries >= s.Rules.Attempts:
		return elsewhere(s.More, "the target had its attempts")
	}
	wait := max(Backoff(s.Rules, s.Tries, s.Roll), f.After)
	switch {
	case f.After > s.Rules.MaxWait:
		return elsewhere(s.More, "the demanded wait is longer than max_wait")
	case wait >= s.TimeLeft:
		return elsewhere(s.More, "the wait would outlast the request")
	}
	return Verdict{Again, wait, "time may mend it"}
}

// Exhausted is the verdict when the retry budget is spent.
func Exhausted(s Situation) Verdict {
	return elsewhere(s.More, "the target's retry budget is spent")
}

func elsewhere(more bool, why string) Verdict {
	if more {
		return Verdict{Next, 0, why}
	}
	return Verdict{GiveUp, 0, why + "; no candidate is left"}
}

// Backoff is the wait before attempt tries+1: uniform between zero and
// Backoff * 2^(tries-1), capped at MaxBackoff ("full jitter", Brooker 2015).
func Backoff(r models.Retry, tries int, roll float64) time.Duration {
	ceiling := min(r.Backoff<<min(max(tries-1, 0), 20), r.MaxBackoff)
	return time.Duration(roll * float64(ceiling))
}
