package route

import (
	"time"

	"tailplane/internal/prefix"
)

// DeltaKind says what happened to a request at another gateway.
type DeltaKind uint8

// The kinds.
const (
	DeltaSent DeltaKind = iota
	DeltaFirst
	DeltaDone
)

// Delta is what gateways tell each other of one step of one request.
type Delta struct {
	Group    uint64 // hash of the group's name
	Replica  uint64 // hash of the replica's
	Kind     DeltaKind
	Work     float64 // seconds of prefill
	Tokens   int     // of the prompt
	Uncached int
	Lane     uint64
	Head     prefix.Mark // the last checkpoint
}

// Apply takes in what another gateway told.
func (g *Group) Apply(now time.Time, d Delta) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members {
		if m.key != d.Replica {
			continue
		}
		m.drain(now)
		switch d.Kind {
		case DeltaSent:
			m.remote.inFlight++
			m.remote.context += d.Tokens
			m.remote.queued += d.Uncached
			m.remote.pending += d.Work
			m.backlog += m.speed * d.Work
			g.index.Head(m.slot, d.Head.Hash, d.Head.End)
		case DeltaFirst:
			m.remote.queued -= d.Uncached
			m.remote.pending = max(0, m.remote.pending-d.Work)
			m.drain(now)
		case DeltaDone:
			m.remote.inFlight--
			m.remote.context -= d.Tokens
		}
		return
	}
}
