package queue

import "time"

// Limit learns how many requests an upstream takes at once that shows no load: a
// managed API, or an engine without metrics. It begins without a limit, halves
// what is in flight when the upstream refuses, takes a tenth off when answers
// begin much later than they should, and grows by one for each round of answers
// while it is used up. It is not safe for concurrent use, and has no clock.
type Limit struct {
	most    float64 // 0: none has been needed
	cut     time.Time
	late    float64 // by how much first tokens are late, smoothed; 1 is not at all
	measure int     // how many of those there were since the last cut
}

const (
	// leastLimit lets one request find out whether the upstream is well again.
	leastLimit = 1
	// cutEvery is how long one cut stands for all refusals: those of requests that
	// were in flight already say nothing new.
	cutEvery = time.Second
	// tolerance is how many times its predicted time a first token may take.
	tolerance = 2
	// enough are the first tokens that a judgement needs.
	enough = 8
	// unused is how many times what is in flight the limit grows to before it is
	// dropped: it limits nothing.
	unused = 4
)

// Most is how many requests may be in flight, 0 for any number.
func (l *Limit) Most() int { return int(l.most) }

// Room reports whether one more may be sent.
func (l *Limit) Room(inFlight int) bool { return l.most == 0 || inFlight < int(l.most) }

// Refused says that the upstream refused a request for load (429, 503, 529),
// with inFlight others under way.
func (l *Limit) Refused(now time.Time, inFlight int) { l.shrink(now, inFlight, 0.5) }

// First says that a first token took real seconds where predicted were expected
// of an upstream without a queue.
func (l *Limit) First(now time.Time, inFlight int, real, predicted float64) {
	if !(predicted > 0) || !(real >= 0) {
		return
	}
	ratio := min(real/predicted, 10*tolerance)
	if l.measure == 0 {
		l.late = ratio
	}
	l.measure++
	l.late += (ratio - l.late) / enough
	if l.measure >= enough && l.late > tolerance {
		l.shrink(now, inFlight, 0.9)
	}
}

// Done says that a request was answered, with inFlight others under way.
func (l *Limit) Done(inFlight int) {
	if l.most == 0 {
		return
	}
	switch flying := float64(inFlight + 1); {
	case flying >= l.most/2:
		l.most += 1 / l.most
	case flying < l.most/unused:
		l.most = 0
	}
}

// shrink cuts the limit, or makes one of what is in flight. A limit that was cut
// just now stays.
func (l *Limit) shrink(now time.Time, inFlight int, by float64) {
	if l.most > 0 && now.Sub(l.cut) < cutEvery {
		return
	}
	at := float64(inFlight + 1)
	if l.most > 0 {
		at = min(at, l.most)
	}
	l.most = max(leastLimit, at*by)
	l.cut, l.measure = now, 0
}
