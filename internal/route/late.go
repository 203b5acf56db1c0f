package route

import "math"

// lateness is by how much the first tokens of a group differ from what was expected:
// the median of the logarithms, and the median of how far they are from it. Medians,
// because the one that is far off must not move what it is measured by.
type lateness struct {
	middle, away float64
	seen         int
}

const (
	latenessStep = 1.0 / 32 // by which a median follows each answer
	enoughLate   = 64       // first tokens before one can be told to be late
	leastGroup   = 3        // members of which one can be told from the others
	leastSpread  = 0.5      // deviation that any group is taken to have
	deviations   = 1.4826   // of a normal spread, for each median distance
)

// take takes in a first token that took so much longer than expected, and returns by
// how many deviations it is later than the group's; 0 while too little is known.
func (l *lateness) take(took, expected float64, members int) float64 {
	if !(took > 0) || !(expected > 0) {
		return 0
	}
	l.seen++
	off, step := math.Log(took/expected)-l.middle, latenessStep+1/float64(l.seen)
	l.middle += math.Copysign(step, off)
	l.away = max(0, l.away+math.Copysign(step, math.Abs(off)-l.away))
	if l.seen < enoughLate || members < leastGroup {
		return 0
	}
	return off / max(leastSpread, deviations*l.away)
}
