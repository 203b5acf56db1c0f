package queue

import "time"

// counts are what came of a band's requests, since the queue was made.
type counts struct {
	passed, waited uint64
	seconds        float64
	refused        [len(Reasons) + 1]uint64 // by Reason
}

// let counts one that was let through after it has waited.
func (c *counts) let(waited time.Duration) {
	c.waited++
	c.seconds += max(0, waited.Seconds())
}

// Stats are a queue at one moment.
type Stats struct {
	// Saturation is how long a request of nobody in particular would wait if it
	// came last: in the queue, and then at the replica that is best for it.
	Saturation time.Duration
	// Speed is how many predicted seconds are worked off in a second.
	Speed    float64
	Bytes    int64 // of what waits
	Promised int   // let through and not sent yet
	Bands    [bands]BandStats
}

// BandStats are those of a band. What is not Waiting only grows.
type BandStats struct {
	Band    Band
	Waiting int
	Tenants int     // remembered, those with nothing waiting included
	Passed  uint64  // without waiting
	Waited  uint64  // let through after waiting
	Seconds float64 // that those have waited
	refused [len(Reasons) + 1]uint64
}

// Refused is how many were refused, shed, expired or cancelled for a reason.
func (b BandStats) Refused(why Reason) uint64 { return b.refused[why] }

// Stats returns how the queue stands.
func (q *Queue) Stats(now time.Time) Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := Stats{Saturation: q.s.Saturation(now, q.outlook(now)), Speed: q.s.drain.speed(), Bytes: q.s.bytes, Promised: q.promised}
	for rank, b := range q.s.bands {
		c := q.counts[rank]
		out.Bands[rank] = BandStats{Bands[rank], b.count, len(b.flows), c.passed, c.waited, c.seconds, c.refused}
	}
	return out
}
