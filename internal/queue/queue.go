package queue

import (
	"context"
	"sync"
	"time"
)

// Options are what a Queue is made of.
type Options struct {
	Config Config
	// Room says whether a request can be sent now, beside promised others that
	// have been let through and not been sent yet. If not, again is when to ask
	// again without being told; 0 is only when told (Poke). It is asked with the
	// queue locked and must not call it. What it says should not hang on the size
	// of the request: small ones would pass a large one for good.
	Room func(now time.Time, it Item, promised int) (ok bool, again time.Duration)
	// Outlook is asked when a request has to wait, with the queue locked, too.
	Outlook func(now time.Time) Outlook
}

// Queue lets requests through while there is room, and lets the others wait. It
// is safe for concurrent use. It has no goroutine: who brings room wakes who may
// go, and a timer runs while somebody waits.
type Queue struct {
	room    func(now time.Time, it Item, promised int) (bool, time.Duration)
	outlook func(now time.Time) Outlook
	admits  func(Item) bool // asks room, with what stands below

	mu       sync.Mutex
	s        *Scheduler
	waiters  map[uint64]*waiter
	kept     []*waiter
	promised int
	lastID   uint64
	counts   [bands]counts
	now      time.Time // of the call that runs
	again    time.Duration
	timer    *time.Timer
	wake     time.Time // when the timer runs off; zero while it stands
}

// waiter is a request that waits, and then what came of it.
type waiter struct {
	item Item
	no   *Refusal // nil: it was let through
	over chan struct{}
}

// mostKept bounds the waiters that are kept for those who come.
const mostKept = 64

// waiter returns one that is told nothing yet. The queue is locked.
func (q *Queue) waiter() *waiter {
	n := len(q.kept)
	if n == 0 {
		return &waiter{over: make(chan struct{}, 1)}
	}
	w := q.kept[n-1]
	q.kept = q.kept[:n-1]
	return w
}

// NewQueue returns an empty queue.
func NewQueue(o Options) *Queue {
	q := &Queue{room: o.Room, outlook: o.Outlook, s: New(o.Config), waiters: map[uint64]*waiter{}}
	q.admits = func(it Item) bool {
		ok, again := q.room(q.now, it, q.promised)
		if !ok && again > 0 && (q.again == 0 || again < q.again) {
			q.again = again
		}
		return ok
	}
	return q
}

// Configure changes the bounds; what waits stays.
func (q *Queue) Configure(c Config) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.s.Configure(c)
}

// Enter returns when the request may be sent, with a Ticket that must be left,
// or when it may not. A context that ends takes it out at once. The item's ID is
// chosen here.
func (q *Queue) Enter(ctx context.Context, now time.Time, it Item) (Ticket, *Refusal) {
	q.mu.Lock()
	if q.s.Len() == 0 {
		it.Claim = q.s.drain.claim()
		if ok, _ := q.room(now, it, q.promised); ok {
			q.promised++
			q.counts[it.Band.rank()].passed++
			q.mu.Unlock()
			return Ticket{q: q, item: it}, nil
		}
	}
	w, no := q.line(now, it)
	q.mu.Unlock()
	if no != nil {
		return Ticket{}, no
	}
	select {
	case <-w.over:
	case <-ctx.Done():
		q.cancel(w)
	}
	it, no = w.item, w.no
	q.keep(w)
	if no != nil {
		return Ticket{}, no
	}
	return Ticket{q: q, item: it, Waited: time.Since(it.Enqueued)}, nil
}

// keep keeps a waiter that has been told, and was heard.
func (q *Queue) keep(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.item, w.no = (Item{}), nil; len(q.kept) < mostKept {
		q.kept = append(q.kept, w)
	}
}

// line lets the request wait, unless it is refused. The queue is locked.
func (q *Queue) line(now time.Time, it Item) (*waiter, *Refusal) {
	q.lastID++
	it.ID = q.lastID
	if it.Enqueued.IsZero() {
		it.Enqueued = now
	}
	shed, no := q.s.Push(now, it, q.outlook(now))
	if no != nil {
		q.counts[it.Band.rank()].refused[no.Reason]++
		return nil, no
	}
	for _, out := range shed {
		q.refuse(now, out, ReasonShed)
	}
	w := q.waiter()
	w.item = it
	q.waiters[it.ID] = w
	q.move(now)
	return w, nil
}

// cancel takes a request out whose client is gone. One that was let through in
// the same moment gives up its place.
func (q *Queue) cancel(w *waiter) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.s.Cancel(w.item.ID) {
		q.refuse(now, w.item, ReasonCancelled)
	}
	<-w.over
	if w.no != nil {
		return
	}
	q.promised--
	q.s.Settle(w.item, 0)
	w.no = q.s.refusal(now, ReasonCancelled, w.item, 0)
	q.move(now)
}

// refuse tells a request that has been taken out why. The queue is locked.
func (q *Queue) refuse(now time.Time, it Item, why Reason) {
	var wait time.Duration
	if why != ReasonCancelled {
		wait = q.s.Wait(now, it, q.outlook(now))
	}
	no := q.s.refusal(now, why, it, wait)
	q.counts[it.Band.rank()].refused[why]++
	q.tell(it, no)
}

// tell wakes who waits. The queue is locked.
func (q *Queue) tell(it Item, no *Refusal) {
	w := q.waiters[it.ID]
	delete(q.waiters, it.ID)
	w.item, w.no = it, no
	w.over <- struct{}{} // there is a place for it: each is told once
}

// Poke says that there may be room: a first token came, a request ended, a
// replica appeared or is well again.
func (q *Queue) Poke(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.move(now)
}

// move lets through what there is room for, and sets the timer for what is next.
// The queue is locked.
func (q *Queue) move(now time.Time) {
	if q.s.Len() > 0 {
		q.now, q.again = now, 0
		for _, it := range q.s.Expire(now) {
			q.refuse(now, it, ReasonExpired)
		}
		for {
			it, ok := q.s.Pop(now, q.admits)
			if !ok {
				break
			}
			q.promised++
			q.counts[it.Band.rank()].let(now.Sub(it.Enqueued))
			q.tell(it, nil)
		}
	}
	q.arm(now)
}

// leastTick keeps the timer from running hot.
const leastTick = time.Millisecond

// arm sets the timer for when something expires or room is expected.
func (q *Queue) arm(now time.Time) {
	next, waits := q.s.Next()
	if !waits {
		if !q.wake.IsZero() {
			q.timer.Stop()
			q.wake = time.Time{}
		}
		return
	}
	if q.again > 0 {
		if at := now.Add(max(q.again, leastTick)); at.Before(next) {
			next = at
		}
	}
	if next.Equal(q.wake) {
		return
	}
	q.wake = next
	if q.timer == nil {
		q.timer = time.AfterFunc(next.Sub(now), q.tick)
		return
	}
	q.timer.Reset(next.Sub(now))
}

// tick is what the timer does.
func (q *Queue) tick() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wake = time.Time{}
	q.move(time.Now())
}
