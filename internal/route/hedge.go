package route

import (
	"sync/atomic"
	"time"
)

// A first token that is this many times later than predicted is worth a second
// attempt elsewhere, and a second attempt is worth it where it is predicted to
// be this many times sooner than what has been waited.
const hedgeFactor = 3

// hedgeFloor is the shortest wait before a second attempt: below it a caller
// notices nothing.
const hedgeFloor = 500 * time.Millisecond

// HedgeAfter is how long a first attempt may take until its first byte before a
// second one is thought of, from what was predicted for it.
func HedgeAfter(expected time.Duration) time.Duration {
	return max(hedgeFloor, hedgeFactor*expected)
}

// HedgeWorth reports whether a second attempt that is expected to take so long
// is worth it when the first has taken that long already.
func HedgeWorth(taken, expected time.Duration) bool {
	return hedgeFactor*expected <= taken
}

// HedgeBudget bounds the second attempts of a model to a percentage of its
// requests: each request earns its share, and what was earned and not used is
// kept for a few. It begins empty, so that no stretch from its beginning has more
// than the percentage. Safe for concurrent use.
type HedgeBudget struct {
	percent int64
	cents   atomic.Int64
}

// NewHedgeBudget makes one of so many percent.
func NewHedgeBudget(percent int) *HedgeBudget { return &HedgeBudget{percent: int64(percent)} }

// In hundredths of a second attempt.
const (
	oneHedge   = 100
	mostHedges = 4 * oneHedge
)

// Earn credits one request.
func (b *HedgeBudget) Earn() {
	for {
		have := b.cents.Load()
		if b.cents.CompareAndSwap(have, min(mostHedges, have+b.percent)) {
			return
		}
	}
}

// Take takes one second attempt, and reports whether there was one.
func (b *HedgeBudget) Take() bool {
	for {
		have := b.cents.Load()
		if have < oneHedge {
			return false
		}
		if b.cents.CompareAndSwap(have, have-oneHedge) {
			return true
		}
	}
}

// Expect predicts the time to the first token at the replica of that name, were
// the request sent there now. It is unknown where the group has not met it.
func (g *Group) Expect(now time.Time, q *Query, name string) (d time.Duration, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, ok := g.members[name]
	if !ok {
		return 0, false
	}
	tokens := g.model.tokens(q.Chain.Bytes)
	hit := g.hit(m, &q.Chain, tokens)
	s := m.wait(now) + m.speed*(g.model.fixed+g.model.seconds(q.Work, tokens-hit, tokens))
	s += g.adapter * float64(m.adapters.loads(q.Adapter, &m.says))
	return time.Duration(s * float64(time.Second)), true
}
