package gateway

import (
	"sync"

	"tailplane/internal/complexity"
)

// Learning is what is kept of requests so that their answers can be judged, and
// which conversations the strong model has. It is bounded and safe for
// concurrent use.
type Learning struct {
	outcomes   *complexity.Outcomes
	pending    *complexity.Pending
	extractors complexity.Extractors

	mu   sync.Mutex
	held map[uint64]struct{}
	ring []uint64 // of held, in the order in which they came
	next int
}

// The latest requests that can be judged, and the latest conversations of strong
// models.
const (
	mostPending = 20_000
	mostHeldBy  = 65_536
)

// NewLearning keeps outcomes in a log. Without one (nil) answers cannot be judged.
func NewLearning(outcomes *complexity.Outcomes) *Learning {
	return &Learning{
		outcomes: outcomes, pending: complexity.NewPending(mostPending), held: map[uint64]struct{}{}, ring: make([]uint64, mostHeldBy),
	}
}

// Counts tells how many requests made room for others before they were judged, and
// how many were found.
func (l *Learning) Counts() (lost, found int64) { return l.pending.Counts() }

// keeps reports whether answers can be judged.
func (l *Learning) keeps() bool { return l != nil && l.outcomes != nil }

// see is the vector of a text and its embedding, to keep.
func (l *Learning) see(text string, of complexity.Embedding) (v complexity.Vector) {
	if text != "" {
		l.extractors.See(l.outcomes.Seed(), text, of, func(seen complexity.Vector) { v = seen.Clone() })
	}
	return v
}

// heldBy says who has a conversation. One without a session that has only begun
// is nobody's, whatever others began like it.
func (l *Learning) heldBy(lane uint64, turns int, session string) complexity.Choice {
	if l == nil || lane == 0 || turns < 2 && session == "" {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.held[lane]; ok {
		return complexity.Strong
	}
	return ""
}

// hold notes that the strong model has a conversation; the oldest makes room.
func (l *Learning) hold(lane uint64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.held[lane]; ok {
		return
	}
	delete(l.held, l.ring[l.next])
	l.ring[l.next], l.held[lane] = lane, struct{}{}
	l.next = (l.next + 1) % len(l.ring)
}

// learn keeps an outcome. One that cannot be kept is counted by the log and told:
// the request goes on.
func (g *Gateway) learn(l *Learning, o complexity.Outcome) bool {
	if err := l.outcomes.Add(o); err != nil {
		g.log.Error("an outcome was not kept", "error", err.Error(), "request", o.Request)
		return false
	}
	g.metrics.Outcomes.WithLabelValues(string(o.Source)).Inc()
	return true
}
