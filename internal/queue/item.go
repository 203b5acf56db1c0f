package queue

import (
	"fmt"
	"math"
	"time"
)

// Band is a priority. The zero Band is Normal.
type Band int8

// The bands.
const (
	Low Band = iota - 1
	Normal
	High
)

// Bands are all of them, the first to be served first.
var Bands = [...]Band{High, Normal, Low}

// bands is how many there are.
const bands = len(Bands)

// rank is a band's place in Bands. What is out of range counts as the nearest.
func (b Band) rank() int { return int(High - min(max(b, Low), High)) }

// String is the name in the file, in metrics and in records.
func (b Band) String() string { return [bands]string{"high", "normal", "low"}[b.rank()] }

// UnmarshalText reads a band's name.
func (b *Band) UnmarshalText(text []byte) error {
	for _, known := range Bands {
		if string(text) == known.String() {
			*b = known
			return nil
		}
	}
	return fmt.Errorf("%q is no priority: use high, normal or low", text)
}

// MarshalText is String.
func (b Band) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// Item is a request as the queue sees it.
type Item struct {
	// ID is chosen by the caller of a Scheduler, unique among what waits there; a
	// Queue chooses it itself.
	ID   uint64
	Band Band
	// Tenant is whom the request counts for; tenants of a band get equal parts,
	// by Weight. The last Weight that a tenant came with holds; 0 counts as 1.
	Tenant string
	Weight float64
	// Cost is the work that the request is expected to be, in seconds of a
	// replica: prefill, and its part of the decoding.
	Cost  float64
	Bytes int // that it keeps in memory while it waits
	// Deadline is when the request must have been let through; zero leaves it to
	// the band's longest wait, which holds in any case.
	Deadline time.Time
	// Lane is what the request shares a cached prefix with; 0 is nothing.
	Lane uint64
	// Apart: it is no text. What computes texts before it, or holds their caches, says
	// nothing of room for it.
	Apart bool
	// Enqueued is when it came; zero is when it is pushed.
	Enqueued time.Time

	// Owed is set where the item is offered for room: its tenant has had less than
	// its part lately, and may use what is kept for High, too.
	Owed bool
	// Claim is set where the item is offered for room: how much of what is kept for
	// others these have asked for lately, 0 to 1.
	Claim float64

	serial uint64 // of the flow that was charged; 0: none was
}

// privileged reports whether what is kept of a replica is kept for the item.
func (it *Item) privileged() bool { return it.Band == High || it.Owed }

// What a caller may claim.
const (
	leastCost, mostCost     = 1e-3, 3600.0 // seconds
	leastWeight, mostWeight = 1e-2, 1e4
)

// cost is c made safe to add up.
func cost(c float64) float64 {
	if math.IsNaN(c) {
		return leastCost
	}
	return min(max(c, leastCost), mostCost)
}

// weight is w made safe to divide by.
func weight(w float64) float64 {
	if math.IsNaN(w) || w == 0 {
		return 1
	}
	return min(max(w, leastWeight), mostWeight)
}

// Reason is why a request was not let through.
type Reason uint8

// The reasons.
const (
	ReasonFull      Reason = iota + 1 // the queue holds as much as it may, and nothing that would have to go first
	ReasonDeadline                    // the wait would be longer than the request may wait
	ReasonShed                        // it waited, and made room for another
	ReasonExpired                     // it waited until its deadline
	ReasonCancelled                   // whoever asked is gone
)

// Reasons are all of them.
var Reasons = [...]Reason{ReasonFull, ReasonDeadline, ReasonShed, ReasonExpired, ReasonCancelled}

// String is the reason as metrics and records name it.
func (r Reason) String() string {
	return [...]string{"", "full", "deadline", "shed", "expired", "cancelled"}[r]
}

// Refusal says why a request was not let through, and when to come again.
type Refusal struct {
	Reason Reason
	Band   Band
	// Waited is how long the request has waited.
	Waited time.Duration
	// After is how long a request like it would wait now, at the speed at which
	// what waits is worked off: what a Retry-After should say.
	After time.Duration
}

// Error is a sentence for whoever called.
func (r *Refusal) Error() string {
	after := roundUp(r.After)
	switch r.Reason {
	case ReasonFull:
		return fmt.Sprintf("too many requests wait for this model; ask again in %v", after)
	case ReasonDeadline:
		return fmt.Sprintf("this model is busy: the request would wait for %v, longer than it may; ask again then", after)
	case ReasonShed:
		return fmt.Sprintf("this model is busy: the request made room for another after %v; ask again in %v", roundUp(r.Waited), after)
	case ReasonExpired:
		return fmt.Sprintf("this model is busy: the request has waited for %v, as long as it may; ask again in %v", roundUp(r.Waited), after)
	}
	return "the request was cancelled while it waited"
}

// roundUp makes a duration short to read, never shorter than it is.
func roundUp(d time.Duration) time.Duration {
	unit := 100 * time.Millisecond
	if d >= 10*time.Second {
		unit = time.Second
	}
	return (max(0, d) + unit - 1) / unit * unit
}
