package route

import (
	"math"
	"slices"
	"time"

	"tailplane/internal/prefix"
)

// The rules of what other gateways tell:
//
//   - It is told by step (sent, first token, done) and never as a whole, so that
//     each costs a few bytes. Steps get lost, come late, or come twice: counters
//     stop at zero, and what nobody takes back fades.
//   - It is kept by who told it, so that one that falls silent can be forgotten.
//   - It makes decisions better and never wrong: a lie costs cache misses, and
//     answers correct it (member.confirm).

// DeltaKind says what happened to a request at another gateway.
type DeltaKind uint8

// The kinds, by the numbers under which they travel.
const (
	DeltaSent DeltaKind = iota
	DeltaFirst
	DeltaDone
)

// Delta is what gateways tell each other of one step of one request.
type Delta struct {
	Group   uint64 // hash of the group's name
	Replica uint64 // hash of the replica's
	Kind    DeltaKind
	Work    float64 // seconds of prefill
	Tokens  int     // of the prompt
	Lane    uint64
	Head    prefix.Mark // the last checkpoint
}

// remote is a load that other gateways have put on a replica. Counts are no whole
// numbers, because they fade.
type remote struct {
	inFlight, context, queued, pending float64
	at                                 time.Time
}

// fading is the time in which half of what nobody took back is forgotten.
const fading = 5 * time.Minute

func (r *remote) fade(now time.Time) {
	if d := now.Sub(r.at); d > 0 {
		f := math.Exp2(-d.Seconds() / fading.Seconds())
		r.inFlight, r.context, r.queued, r.pending, r.at = r.inFlight*f, r.context*f, r.queued*f, r.pending*f, now
	}
}

func (r *remote) take(d *Delta, uncached float64) {
	switch d.Kind {
	case DeltaSent:
		r.inFlight++
		r.context += float64(d.Tokens)
		r.queued += uncached
		r.pending += d.Work
	case DeltaFirst:
		r.queued = max(0, r.queued-uncached)
		r.pending = max(0, r.pending-d.Work)
	case DeltaDone:
		r.inFlight = max(0, r.inFlight-1)
		r.context = max(0, r.context-float64(d.Tokens))
	}
}

// mostPeers bounds the gateways whose load is kept apart.
const mostPeers = 64

// Apply takes in what another gateway told. What is about replicas that are not
// known here, or cannot be true, is ignored.
func (g *Group) Apply(now time.Time, peer string, d Delta) {
	if d.Kind > DeltaDone || d.Tokens < 0 || !(d.Work >= 0 && d.Work < mostWork) || d.Head.End < 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.byKey[d.Replica]
	if m == nil {
		return
	}
	g.hear(peer)
	r := m.peers[peer]
	if r == nil {
		if len(m.peers) >= mostPeers {
			return
		}
		r = &remote{at: now}
		m.peers[peer] = r
	}
	m.drain(now)
	uncached := g.model.uncached(d.Work, d.Tokens)
	r.fade(now)
	r.take(&d, uncached)
	m.sumPeers(now)
	if d.Kind == DeltaSent {
		m.backlog += m.speed * d.Work
		g.index.Head(m.slot, d.Head.Hash, d.Head.End)
		m.events.due += uncached
		if m.events.decide() {
			g.resize(m)
		}
		g.index.Elsewhere(m.slot, int64(uncached*g.model.bytesPerToken))
	}
	m.drain(now)
}

// hear notes who else decides, so that replicas can be divided among gateways.
func (g *Group) hear(peer string) {
	if !slices.Contains(g.others, peer) && len(g.others) < mostPeers {
		g.others = append(g.others, peer)
		slices.Sort(g.others)
	}
}

// prefer makes this gateway's own replicas worth more for the part of a prompt that
// nobody has in a cache: what comes at one instant, before any word has travelled,
// should not all run to the same replica.
func (g *Group) prefer(fresh float64) {
	if len(g.others) == 0 {
		return
	}
	me, _ := slices.BinarySearch(g.others, g.self)
	for i := range g.seen {
		place := 0
		for k := range g.seen {
			if g.seen[k].Name < g.seen[i].Name {
				place++
			}
		}
		if place%(len(g.others)+1) == me {
			g.seen[i].Home = ownWorth * fresh * g.typical
		}
	}
}

// ownWorth is what a gateway's own replica is worth to it, in prefills as they are
// lately.
const ownWorth = 2

// hold is how long a request is kept back, until it is heard what the others decided
// at the same instant. It goes at once to a replica of this gateway's own that is
// idle, where others send nothing now; where its prefill is short beside the hold;
// and where what others may decide would change nothing. Held back are those that
// would wait at their replica anyway, or might meet another gateway's there.
func (g *Group) hold(q *Query, order []int) time.Duration {
	if len(g.others) == 0 || len(order) < 2 || q.Held || q.Dry || q.Work != WorkPrompt {
		return 0
	}
	first, second := &g.seen[order[0]], &g.seen[order[1]]
	idle := first.Home > 0 && first.Wait <= hearing
	if idle || first.Prefill < 2*hearing || second.Cost-first.Cost > certain*g.typical {
		return 0
	}
	share := float64(mix(q.Roll)>>11) / (1 << 53) // so that those held at one instant do not go at one
	return time.Duration((1 + share) * hearing * float64(time.Second))
}

// hearing is how many seconds it takes to hear of what others decided; certain is by
// how much a replica must be ahead, in prefills as they are lately, for that not to
// matter. With both rules four gateways on a trace whose requests come in bursts at
// one instant take 1.1 times as long to the first token as one does, with their own
// replicas alone 1.33.
const (
	hearing = 0.05
	certain = 4
)

// mostWork is more seconds of prefill than any prompt takes.
const mostWork = 3600

// sumPeers adds up what peers told of a replica.
func (m *member) sumPeers(now time.Time) {
	m.remote = remote{at: now}
	for _, r := range m.peers {
		r.fade(now)
		m.remote.inFlight += r.inFlight
		m.remote.context += r.context
		m.remote.queued += r.queued
		m.remote.pending += r.pending
	}
}

// Silent forgets the load that a gateway told of, which is not heard any more.
func (g *Group) Silent(now time.Time, peer string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.others = slices.DeleteFunc(g.others, func(name string) bool { return name == peer })
	for _, m := range g.members {
		if m.peers[peer] != nil {
			delete(m.peers, peer)
			m.sumPeers(now)
			m.drain(now)
		}
	}
}

// As says by which name other gateways know this one.
func (g *Group) As(self string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.self = self
}
