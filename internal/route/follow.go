package route

import (
	"slices"
	"time"

	"tailplane/internal/llm"
)

// Step is what is known of a candidate when another one has failed.
type Step struct {
	// On are the faults that lead to it; empty means every one that another
	// target could mend.
	On []llm.FaultKind
	// Chain numbers the condition that it shares with others: from one to the
	// next it is met already. Zero is none.
	Chain int
	Wait  time.Duration // what it demands not to be asked
}

// Follow picks the candidate to ask after a fault of this kind at from: one
// whose condition names the fault before one without a condition, then the
// shortest wait, then the order. It returns its place in rest and whether its
// condition named the fault; false when none may follow.
func Follow(kind llm.FaultKind, from Step, rest []Step) (place int, named, ok bool) {
	for i := range rest {
		s := &rest[i]
		open := len(s.On) == 0 || from.within(s)
		if !open && !slices.Contains(s.On, kind) {
			continue
		}
		if !ok || !open && !named || open != named && s.Wait < rest[place].Wait {
			place, named, ok = i, !open, true
		}
	}
	return place, named, ok
}

// within reports whether s and t lie behind the same condition.
func (s *Step) within(t *Step) bool { return s.Chain != 0 && s.Chain == t.Chain }

// spills are the faults of a target without capacity, which routing can see
// coming: a candidate for them is asked at once when those before it are not
// ready.
var spills = []llm.FaultKind{
	llm.FaultRateLimit, llm.FaultQuota, llm.FaultOverloaded, llm.FaultServer, llm.FaultConnect, llm.FaultConnectTime, llm.FaultShed,
}

// Reserve reports whether a condition keeps a candidate for faults that cannot
// be seen coming.
func Reserve(on []llm.FaultKind) bool {
	return len(on) > 0 && !slices.ContainsFunc(on, func(k llm.FaultKind) bool { return slices.Contains(spills, k) })
}
