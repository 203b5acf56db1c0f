package route

import (
	"math"
	"time"
)

// The rules of what engines say of their caches:
//
//   - It says how much, and never what: an engine throws out what was not used for
//     longest, and so does the index. What is removed there are our oldest here, and
//     what is stored there and was not sent from here are somebody else's youngest.
//   - While all of it is heard, the events decide and no capacity does. Else the
//     capacity does: as the engine held when it was last seen to remove something, as
//     it says, or as answers show. What others store is seen in either case.
//   - Where other gateways send, too, the events say how much a cache holds, and what is
//     evicted is worked out from that: what was stored for them is told from what was
//     stored for others too badly, and each mistake makes more.
//   - It is believed as far as it can be true. A prompt that an answer shows to be in
//     the cache is; what was sent is stored; and no cache is smaller than a part of
//     its estimate.

// Cached is what an engine said of its cache since it was told last, in tokens.
type Cached struct {
	Stored, Removed int
	Held            int  // now, as far as it was heard
	Exact           bool // that is everything
}

// events is what a replica's engine said of its cache, beside what was sent there.
type events struct {
	exact   bool
	doubted bool      // something else contradicts it; until it begins anew
	shared  bool      // other gateways send there, too
	held    float64   // tokens
	full    float64   // held when some were removed last; 0 is not known
	due     float64   // tokens that were sent there and are not told to be stored yet
	fresh   int       // of these at most, by the requests of this gateway that are in flight
	at      time.Time // of due
	came    float64   // of what was due, lately
	missing float64   // of what was due and did not come
}

const (
	eventDelay = 1.0      // seconds in which most of what is due comes when it was computed
	eventSlack = 1.0 / 16 // by which the index may have more than an engine says
	leastPart  = 1.0 / 8  // of the estimate that a cache has in any case
	mostSilent = 64 << 10 // tokens that may be missing before there is doubt
)

// believed reports whether all is heard, and nothing contradicts it.
func (e *events) believed() bool { return e.exact && !e.doubted }

// decide reports whether the events say what is evicted.
func (e *events) decide() bool { return e.believed() && !e.shared }

// begin counts a request of so many tokens that are not in the cache.
func (e *events) begin(fresh int) { e.due, e.fresh = e.due+float64(fresh), e.fresh+fresh }

// stored takes in what was stored, and returns how much of it nobody here has sent.
func (e *events) stored(tokens float64) (others float64) {
	ours := min(tokens, e.due)
	e.due -= ours
	e.came += ours
	return tokens - ours
}

// fade lets go of what was due, was computed, and does not come. in is what is still
// in flight elsewhere.
func (e *events) fade(now time.Time, in float64) {
	d := max(0, now.Sub(e.at).Seconds())
	e.at = now
	late := e.due - float64(e.fresh) - in
	if !(late > 0) {
		return
	}
	late *= 1 - math.Exp(-d/eventDelay)
	e.due -= late
	e.missing += late
	if e.decide() && e.missing > e.came+mostSilent {
		e.doubt()
	}
	if e.came+e.missing > 16*mostSilent {
		e.came, e.missing = e.came/2, e.missing/2
	}
}

// shown takes in how much of a prompt an answer found in the cache, and by how much
// that is more than was expected, which is not stored again.
func (e *events) shown(cached, more float64) {
	if more > 0 {
		e.due = max(0, e.due-more)
	}
	if e.believed() && cached > (1+eventSlack)*e.held {
		e.doubt()
	}
}

func (e *events) doubt() { e.doubted, e.full = true, 0 }

// began forgets what was held: the cache is empty.
func (e *events) began() { *e = events{fresh: e.fresh, at: e.at} }

// estimate is how many tokens a cache holds that is thought to hold so many.
func (e *events) estimate(capacity float64) float64 {
	if e.doubted {
		return capacity
	}
	if e.full > 0 {
		capacity = max(e.full, leastPart*capacity)
	}
	return min(mostCapacity, max(e.held, capacity))
}

// room is how many tokens the index may have of such a cache.
func (e *events) room(capacity float64) float64 {
	if e.decide() {
		return min(mostCapacity, max((1+eventSlack)*e.held+e.due, leastPart*capacity))
	}
	return e.estimate(capacity)
}

// Cached takes in what a target's engine said, for all groups. It reports whether the
// events decide what is known to be in its cache: if not, the estimate of its capacity
// does.
func (gs *Groups) Cached(now time.Time, target string, c Cached) (decide bool) {
	gs.each(func(g *Group) {
		g.of(target, func(m *member) {
			g.cached(now, m, &c)
			decide = decide || m.events.decide()
		})
	})
	return decide
}

// Cached takes in what the engine of one replica said.
func (g *Group) Cached(now time.Time, replica string, c Cached) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := g.members[replica]; m != nil {
		g.cached(now, m, &c)
	}
}

func (g *Group) cached(now time.Time, m *member, c *Cached) {
	e, bytes := &m.events, g.model.bytesPerToken
	decided := e.decide()
	m.drain(now)
	e.fade(now, m.remote.queued)
	if c.Exact && !e.exact {
		e.doubted, e.came, e.missing = false, 0, 0
	}
	e.exact, e.held = c.Exact, tokens(c.Held)
	e.shared = len(m.peers) > 0
	known := float64(g.index.Used(m.slot)) / bytes
	if e.believed() && c.Removed > 0 {
		e.full = e.held
	}
	if decided && e.decide() && c.Removed > 0 {
		gone := min(tokens(c.Removed), known-leastPart*e.estimate(m.capacity))
		g.index.Shrink(m.slot, int64(gone*bytes))
		known = float64(g.index.Used(m.slot)) / bytes
	}
	others := e.stored(tokens(c.Stored))
	if known -= e.due; e.decide() && known+others < (1-eventSlack)*e.held {
		others = e.held - known
	}
	g.resize(m)
	if !e.shared {
		g.index.Elsewhere(m.slot, int64(others*bytes))
	}
}

// tokens is a count that can be true.
func tokens(n int) float64 { return float64(min(max(n, 0), mostCapacity)) }
