package route

import (
	"math"
	"sync/atomic"
	"time"

	"tailplane/internal/engine"
	"tailplane/internal/queue"
)

// The rules of room:
//
//   - An engine has room while no more prefill than the queue's ceiling is before
//     the next request, and its cache is not nearly full of what is in flight. It
//     computes prompts one after the other, so one request is let through for each
//     that has room, until that one is on its way.
//   - Everything has room up to the requests that its config allows at once, and up
//     to what it was found to take before it refuses. For what is no text (Item.Apart)
//     that is all that is known.
//   - A replica with nothing in flight has room for a first request.
//   - Where no replica may be asked nothing is held back: the request goes on to a
//     fallback, or is told why.

// Standing is how a replica stands for what waits, beside what its group has
// learned.
type Standing struct {
	Name     string
	Ready    bool // it may be asked, if it has room
	InFlight int  // at the target, for all models together
	Most     int  // that may be in flight there; 0 is any number
	Engine   bool // it is a server on hardware of its own
	Tells    bool // its answers end when their prompt is computed: one that has not ended is not
	Says     engine.Sample
}

// room is what a group needs for those who wait for it.
type room struct {
	queue  *queue.Queue
	config atomic.Pointer[queue.Config]
	stand  atomic.Pointer[func(now time.Time, to []Standing) []Standing]
	seen   []Standing // scratch; the queue's lock guards it
}

// Queue is where requests wait for the group, with the bounds of c and over the
// replicas that stand appends. It stays the same for the life of the group; what
// was said last holds. stand is called with the queue locked and must not call it.
func (g *Group) Queue(c queue.Config, stand func(now time.Time, to []Standing) []Standing) *queue.Queue {
	c = c.Or(queue.Default())
	g.mu.Lock()
	g.room.config.Store(&c)
	g.room.stand.Store(&stand)
	fresh := g.room.queue == nil
	if fresh {
		g.room.queue = queue.NewQueue(queue.Options{Config: c, Room: g.admits, Outlook: g.outlook})
	}
	q := g.room.queue
	g.mu.Unlock()
	if !fresh {
		q.Configure(c)
	}
	return q
}

// lookAgain is when room is looked for again that nobody may tell of: a target is
// well again, or its demand not to be asked is over.
const lookAgain = 250 * time.Millisecond

// admits says whether the item can be sent beside promised others.
func (g *Group) admits(now time.Time, it queue.Item, promised int) (ok bool, again time.Duration) {
	g.room.seen = (*g.room.stand.Load())(now, g.room.seen[:0])
	c := g.room.config.Load()
	ready, places, again := 0, 0, lookAgain
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.room.seen {
		s := &g.room.seen[i]
		if !s.Ready {
			continue
		}
		ready++
		n, wait := g.places(now, s, c, it)
		if n == 0 {
			again = min(again, wait)
		}
		if places += n; places > promised {
			return true, 0
		}
	}
	if promised > 0 && places > 0 {
		return false, 0 // who was let through says when it is on its way
	}
	return ready == 0, again
}

// anyNumber is how many places a replica has that nothing limits.
const anyNumber = math.MaxInt32

// places is how many items like it a replica has room for, and when it may have
// some, if none.
func (g *Group) places(now time.Time, s *Standing, c *queue.Config, it queue.Item) (n int, again time.Duration) {
	n, again = anyNumber, lookAgain
	if s.Most > 0 {
		n = min(n, c.Places(s.Most, it)-s.InFlight)
	}
	m := g.member(now, s.Name)
	if most := m.limit.Most(); most > 0 {
		n = min(n, c.Places(most, it)-m.inFlight)
	}
	if !s.Engine || it.Apart || n <= 0 {
		return max(0, n), again
	}
	ceiling := c.Ceiling(it).Seconds()
	if s.Tells && m.speed*m.pending > ceiling {
		return 0, again
	}
	if wait := m.wait(now) - ceiling; wait > 0 {
		return 0, min(again, time.Duration(wait*float64(time.Second))+1) // 0 would be only when told
	}
	if float64(m.inFlight)+m.remote.inFlight >= 0.5 && m.fill(s.Says) >= mostFill*c.Part(it) {
		return 0, again
	}
	return 1, again
}

// mostFill is the part of a cache that requests in flight may hold.
const mostFill = 0.85

// fill is the part that they do, as far as it is known: the capacity is that which
// an engine told, or its events show.
func (m *member) fill(e engine.Sample) float64 {
	fill := 0.0
	if m.told {
		fill = (float64(m.context) + m.remote.context) / m.events.estimate(m.capacity)
	}
	if e.Known.Has(engine.SignalKVUsage) {
		fill = max(fill, e.KVUsage)
	}
	return fill
}

// outlook is what those who have to wait may expect.
func (g *Group) outlook(now time.Time) queue.Outlook {
	g.room.seen = (*g.room.stand.Load())(now, g.room.seen[:0])
	g.mu.Lock()
	defer g.mu.Unlock()
	var o queue.Outlook
	least := math.Inf(1)
	for i := range g.room.seen {
		s := &g.room.seen[i]
		if !s.Ready {
			continue
		}
		o.Replicas++
		wait := 0.0
		if s.Engine {
			m := g.member(now, s.Name)
			if wait = m.wait(now); s.Tells {
				wait = max(wait, m.speed*m.pending) // it is not done, whatever the clock says
			}
		}
		least = min(least, wait)
	}
	if o.Replicas > 0 {
		o.Wait = time.Duration(least * float64(time.Second))
	}
	return o
}

// Seconds is what a request is expected to cost a replica: the prefill of what the
// best cache does not hold, and its part of the decoding. Of what is no text it is how
// long those before it took.
func (g *Group) Seconds(q *Query) (prefill, decode float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	tokens, hit := g.model.tokens(q.Chain.Bytes), 0
	for _, m := range g.slots {
		if m != nil {
			hit = max(hit, g.hit(m, &q.Chain, tokens))
		}
	}
	switch q.Work {
	case WorkOther:
		return g.apart.expect(q.Size), 0
	case WorkText:
		return g.model.seconds(WorkText, tokens, tokens), 0
	}
	return g.model.prefill(tokens-hit, tokens), float64(q.Output) * tokenPart
}

// Spent is what a conversation has cost that was counted.
func (g *Group) Spent(input, cached, output int) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.model.prefill(input-min(cached, input), input) + float64(output)*tokenPart
}

// tokenPart is what one token of an answer takes of a replica that writes many at
// a time, in seconds: an 8B model on one H100.
const tokenPart = 0.5e-3

// Refused tells that the attempt was refused for load, at once or before it began.
func (t *Ticket) Refused(now time.Time) {
	if t.group == nil {
		return
	}
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	t.member.limit.Refused(now, max(0, t.member.inFlight-1))
}
