package route

import (
	"math"
	"time"

	"github.com/cespare/xxhash/v2"

	"tailplane/internal/engine"
	"tailplane/internal/queue"
)

// member is one replica of a group. Its group's lock guards it.
type member struct {
	name string
	key  uint64
	slot int // in the index

	inFlight int
	context  int     // tokens of the prompts in flight
	queued   int     // uncached tokens of those without a first token
	usual    float64 // of context, lately
	pending  float64 // seconds of prefill of those, at the group's speed
	backlog  float64 // of these what is thought to be left, in its own seconds
	at       time.Time
	peers    map[string]*remote // what other gateways told, by who did
	remote   remote             // the sum of that

	speed    float64 // how much longer it takes than its group; 1 is as long
	reading  pace    // of its first tokens
	drag     float64 // how much longer it takes for a token than its group; 1 is as long
	writing  pace    // of its further ones
	kept     float64 // share of the predicted hits that were hits, lately
	trust    float64 // how much of a predicted hit is a hit
	capacity float64 // tokens that its cache holds
	told     bool    // by its engine
	tells    bool    // with its answers, how much came from its cache

	firstToken, perToken float64 // seconds, lately; 0 is not known

	adapters adapters
	says     engine.Sample // its engine, when it was looked at last
	events   events        // of its engine's cache

	part float64 // of the traffic, which it gets at most; 0 is what it is chosen for
	due  float64 // requests that it may have of that now

	limit queue.Limit // what it takes at once before it refuses
}

// usualTime is over how many seconds what is usual is a mean.
const usualTime = 60

// defaultCapacity is how many tokens a replica's cache is thought to hold until
// its engine says, or its answers show.
const defaultCapacity = 380_000

func newMember(name string, slot int, now time.Time) *member {
	return &member{name: name, key: Hash(name), slot: slot, at: now, peers: map[string]*remote{}, speed: 1, drag: 1, kept: 1, trust: 1, capacity: defaultCapacity, events: events{at: now}, due: 1}
}

// Hash is what names are known by in a query and between gateways.
func Hash(s string) uint64 { return xxhash.Sum64String(s) }

// wait is how long a prompt that is sent now waits for those before it. The
// backlog drains by itself, since an engine works on while nobody tells.
func (m *member) wait(now time.Time) float64 {
	m.drain(now)
	return m.backlog
}

func (m *member) drain(now time.Time) {
	if d := now.Sub(m.at).Seconds(); d > 0 {
		m.backlog = max(0, m.backlog-d)
		m.usual += (float64(m.context) + m.remote.context - m.usual) * (1 - math.Exp(-d/usualTime))
		m.at = now
	}
	m.remote.fade(now)
	m.backlog = min(m.backlog, m.speed*(m.pending+m.remote.pending))
}

// begin counts a request that is sent.
func (m *member) begin(now time.Time, t *Ticket) {
	m.drain(now)
	m.inFlight++
	m.context += t.tokens
	m.queued += t.uncached
	m.pending += t.work
	m.backlog += m.speed * t.work
	m.events.begin(t.fresh)
}

// answer takes off what waits no more.
func (m *member) answer(now time.Time, t *Ticket) {
	m.queued -= t.uncached
	m.pending = max(0, m.pending-t.work)
	m.drain(now)
}

// end takes off what is over.
func (m *member) end(t *Ticket) {
	m.inFlight--
	m.context -= t.tokens
	m.events.fresh -= t.fresh
}
