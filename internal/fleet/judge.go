package fleet

import "time"

// window counts the share of requests that fail, from the first that does until
// few of many do: a target without faults is not counted.
type window struct {
	seen, failed int
	rate         float64
}

// The window's size: the mean of the first so many, then a moving one.
const (
	rateOver  = 20  // requests at least before it is judged
	rateFloor = 5   // failures among them at least
	rateOver0 = .05 // below it nothing is wrong any more
)

func (w *window) count(failed bool) {
	if !failed && w.seen == 0 {
		return
	}
	w.seen++
	x := 0.0
	if failed {
		w.failed++
		x = 1
	}
	w.rate += (x - w.rate) / float64(min(w.seen, rateOver))
	if w.seen >= rateOver && w.rate < rateOver0 {
		*w = window{}
	}
}

// high reports that too many fail.
func (w *window) high(r *Rules) bool {
	return w.seen >= rateOver && w.failed >= rateFloor && w.rate > float64(r.FailureRate)
}

// lateness is how much later than its group's a target's first tokens are, in
// deviations of the group, lately. It is kept from the first that is an outlier
// until they are like the group's again.
type lateness struct {
	seen  int
	score float64
	far   time.Time // since when it is far too late; zero when it is not
}

// The bounds of lateness: what a single one counts at most, over how many the
// mean is taken, and below which it is over.
const (
	mostLate = 12.0
	lateOver = 10
	lateEnds = 1.0
	farLate  = 2.0              // times the outlier's bound is far
	farFor   = 30 * time.Second // that long, and it is ejected
)

// see takes one residual, and reports whether the target is to be ejected.
func (l *lateness) see(now time.Time, z float64, r *Rules) bool {
	l.seen++
	l.score += (max(-mostLate, min(mostLate, z)) - l.score) / float64(min(l.seen, lateOver))
	if l.seen < lateOver {
		return false
	}
	switch {
	case l.score < lateEnds:
		*l = lateness{}
	case l.score <= farLate*float64(r.Outlier):
		l.far = time.Time{}
	case l.far.IsZero():
		l.far = now
	}
	return !l.far.IsZero() && now.Sub(l.far) >= farFor
}

// degraded reports that the target is to be asked less.
func (l *lateness) degraded(r *Rules) bool { return l.seen >= lateOver && l.score > float64(r.Outlier) }
