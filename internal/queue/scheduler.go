package queue

import (
	"fmt"
	"time"
)

// Scheduler decides what waits, what goes next and what must go. It is not safe
// for concurrent use. Times that it is told do not go back.
type Scheduler struct {
	config   Config
	epoch    time.Time // of the first Push; what is due is reckoned from it, whatever becomes of the wall clock
	bands    [bands]*band
	all      map[uint64]*entry
	expiries heap[*entry] // by due
	drain    drain
	count    int
	bytes    int64
	seq      uint64
	shed     []Item
	expired  []Item
	spare    []*entry
}

// New returns an empty Scheduler. What the config leaves out is as in Default.
func New(c Config) *Scheduler {
	s := &Scheduler{
		config: c.Or(Default()), all: map[uint64]*entry{}, drain: newDrain(),
		expiries: heap[*entry]{place: func(e *entry) *int { return &e.expiry }},
	}
	for rank := range s.bands {
		s.bands[rank] = newBand(rank)
	}
	return s
}

// Configure changes the bounds; what waits already stays.
func (s *Scheduler) Configure(c Config) { s.config = c.Or(Default()) }

// Push lets an item wait, or refuses it: where it would wait for too long, and
// where the queue is full and nothing has to go first. Where something has, it
// is returned, and does not wait any more; that slice is valid until the next
// Push. An ID that waits already is a mistake of the caller, and a panic.
func (s *Scheduler) Push(now time.Time, it Item, o Outlook) (shed []Item, no *Refusal) {
	if s.all[it.ID] != nil {
		panic(fmt.Sprintf("queue: item %d waits already", it.ID))
	}
	s.shed = s.shed[:0]
	if it.Enqueued.IsZero() {
		it.Enqueued = now
	}
	it.Band = min(max(it.Band, Low), High)
	it.Cost, it.Weight, it.Bytes, it.serial = cost(it.Cost), weight(it.Weight), max(0, it.Bytes), 0
	if s.epoch.IsZero() {
		s.epoch = now
	}
	due := s.config.due(&it)
	if s.count == 0 {
		s.drain.resume(now)
	}
	s.look(now, o)
	wait := o.Wait + s.ahead(&it)
	if !now.Add(wait + wait/doubt).Before(due) {
		return nil, s.refusal(now, ReasonDeadline, it, wait)
	}
	if !s.fits(&it) && !s.makeRoom(&it) {
		return nil, s.refusal(now, ReasonFull, it, wait)
	}
	e := s.entry()
	if b := s.bands[it.Band.rank()]; b.count == 0 && !b.served.IsZero() {
		b.rest(max(0, now.Sub(b.served).Seconds()) * s.drain.speed())
	}
	s.seq++
	e.Item, e.due, e.seq = it, s.reckon(due), s.seq
	s.link(e)
	return s.shed, nil
}

// doubt is what part of a predicted wait is added to it before it is held against
// a deadline: most of those that only just fit would expire.
const doubt = 8

// Pop takes out what goes next: by band, then the tenant whose turn it is, then
// by deadline. admits says whether there is room for it now, and must say yes to
// what it is asked last for it to be taken: where the first in turn finds no
// room, a few others of the band are tried, and then the next band. Call Expire
// before, else what has expired may come out.
func (s *Scheduler) Pop(now time.Time, admits func(Item) bool) (Item, bool) {
	for rank, b := range s.bands {
		if b.count == 0 {
			continue
		}
		longest := b.longest(s.expiries.top())
		e := b.next(longest, s.drain.claim(), admits)
		if e == nil {
			continue
		}
		s.drain.note(now, rank, &e.Item)
		b.charge(e, longest)
		s.unlink(e)
		b.served = now
		it := e.Item
		s.recycle(e)
		return it, true
	}
	return Item{}, false
}

// Expire takes out what has waited as long as it may. The slice is valid until
// the next Expire.
func (s *Scheduler) Expire(now time.Time) []Item {
	s.expired = s.expired[:0]
	for s.expiries.len() > 0 {
		e := s.expiries.top()
		if e.due > s.reckon(now) {
			break
		}
		s.unlink(e)
		s.expired = append(s.expired, e.Item)
		s.recycle(e)
	}
	return s.expired
}

// Cancel takes an item out and reports whether it still waited.
func (s *Scheduler) Cancel(id uint64) bool {
	e := s.all[id]
	if e == nil {
		return false
	}
	s.unlink(e)
	s.recycle(e)
	return true
}

// Settle corrects what the tenant of an item from Pop was charged: the request
// has cost real seconds. A request that was never sent has cost 0.
func (s *Scheduler) Settle(it Item, real float64) {
	if it.serial != 0 {
		s.bands[it.Band.rank()].settle(it, real)
	}
}

// Len is how many items wait.
func (s *Scheduler) Len() int { return s.count }

// Bytes is how much they keep in memory.
func (s *Scheduler) Bytes() int64 { return s.bytes }

// Waiting is how many items of a band wait.
func (s *Scheduler) Waiting(b Band) int { return s.bands[b.rank()].count }

// Tenants is how many of a band are remembered, those with nothing waiting
// included.
func (s *Scheduler) Tenants(b Band) int { return len(s.bands[b.rank()].flows) }

// Next is when the first item expires; false when nothing waits.
func (s *Scheduler) Next() (time.Time, bool) {
	if s.expiries.len() == 0 {
		return time.Time{}, false
	}
	return s.epoch.Add(time.Duration(s.expiries.top().due - s.epoch.UnixNano())), true
}

// reckon is a time in nanoseconds as entries have them: those of Unix, unless the
// wall clock was set since the first Push. Only there is something due after it.
func (s *Scheduler) reckon(t time.Time) int64 { return s.epoch.UnixNano() + int64(t.Sub(s.epoch)) }

// Wait is how long an item like it would wait, were it pushed now.
func (s *Scheduler) Wait(now time.Time, it Item, o Outlook) time.Duration {
	it.Cost, it.Weight = cost(it.Cost), weight(it.Weight)
	s.look(now, o)
	return o.Wait + s.ahead(&it)
}

// Saturation is how long everything that waits takes, and then the replicas:
// what a request of nobody in particular would wait for if it came last.
func (s *Scheduler) Saturation(now time.Time, o Outlook) time.Duration {
	s.look(now, o)
	work := 0.0
	for _, b := range s.bands {
		work += b.waits
	}
	return o.Wait + seconds(work/s.drain.speed())
}

// look brings the speed up to date.
func (s *Scheduler) look(now time.Time, o Outlook) {
	s.drain.look(o)
	for _, b := range s.bands {
		b.grace = gracePerReplica * s.drain.replicas
	}
	if s.count > 0 {
		s.drain.pass(now)
	}
}

// ahead is how long it would wait here: for everything of higher bands, and for
// its part of its own. That is what its tenant has waiting, and owes, drawn out
// by the part that the others take: never more than all there is, and never less
// than what its tenant has waiting that is due before it, however much that is owed.
func (s *Scheduler) ahead(it *Item) time.Duration {
	rank := it.Band.rank()
	higher := 0.0
	for _, b := range s.bands[:rank] {
		higher += b.waits
	}
	b := s.bands[rank]
	if higher+b.waits == 0 {
		return 0
	}
	owed, weights := 0.0, b.weights
	f := b.flows[it.Tenant]
	if f != nil {
		owed = max(0, f.share()+max(f.tag-b.virtual, -b.grace))
	}
	if f == nil || f.items.len() == 0 {
		weights += it.Weight
	}
	own := min(b.waits, owed*weights)
	if f != nil {
		own = max(own, f.before(s.reckon(s.config.due(it))))
	}
	return seconds(higher/s.drain.speed() + own/s.drain.left(rank))
}

// refusal says why an item does not wait, or not any more.
func (s *Scheduler) refusal(now time.Time, why Reason, it Item, wait time.Duration) *Refusal {
	return &Refusal{Reason: why, Band: it.Band, Waited: max(0, now.Sub(it.Enqueued)), After: min(max(wait, leastAfter), mostAfter)}
}

// The least and the most that a client is asked to wait for.
const (
	leastAfter = time.Second
	mostAfter  = time.Hour
)

func (s *Scheduler) link(e *entry) {
	s.bands[e.Band.rank()].add(e)
	s.all[e.ID] = e
	s.expiries.push(e, e.rank())
	s.count++
	s.bytes += int64(e.Item.Bytes)
}

func (s *Scheduler) unlink(e *entry) {
	s.bands[e.Band.rank()].remove(e)
	delete(s.all, e.ID)
	s.expiries.remove(e)
	s.count--
	s.bytes -= int64(e.Item.Bytes)
}

func (s *Scheduler) entry() *entry {
	n := len(s.spare)
	if n == 0 {
		return new(entry)
	}
	e := s.spare[n-1]
	s.spare = s.spare[:n-1]
	return e
}

// mostSpare bounds what is kept for reuse.
const mostSpare = 1024

func (s *Scheduler) recycle(e *entry) {
	if len(s.spare) < mostSpare {
		*e = entry{}
		s.spare = append(s.spare, e)
	}
}
