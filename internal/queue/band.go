package queue

import "time"

// Rules of this file: fairness is start-time fair queueing. Each tenant has a tag,
// the virtual time at which its next request starts; the smallest goes first and
// moves on by its cost over its tenant's weight; the band's virtual time is the
// largest tag that was served. Within a tenant the earliest deadline goes first.
//
// A tenant that comes, or comes back, starts a grace before the virtual time: it
// may have some large requests at once, as it could while nobody waited, without
// waiting for everybody else to have as much. What it did not ask for beyond that
// is gone. So that a stream of those who come back cannot keep the others
// waiting for good, after as much work of theirs in a row one goes that was there
// before.
//
// Source: Goyal, Vin, Cheng, "Start-time Fair Queuing" (SIGCOMM 1996); the grace
// is ours.

// band is what waits in one priority.
type band struct {
	rank    int
	flows   map[string]*flow
	ready   heap[*flow] // those with items, by tag
	idle    heap[*flow] // those without, whose tag lies ahead of the virtual time
	heavy   heap[*flow] // those with items, the largest share first
	virtual float64
	grace   float64
	passing float64 // seconds in a row of flows that came after longest
	weights float64 // of those with items
	waits   float64 // seconds of all items
	count   int
	served  time.Time // when something was let through last
	serials uint64
	spare   []*flow
}

func newBand(rank int) *band {
	place := func(f *flow) *int { return &f.place }
	return &band{
		rank: rank, flows: map[string]*flow{},
		ready: heap[*flow]{place: place}, idle: heap[*flow]{place: place},
		heavy: heap[*flow]{place: func(f *flow) *int { return &f.heft }},
	}
}

// gracePerReplica is how much work, in seconds of each replica, a tenant may have
// ahead of those that have been served all the time.
const gracePerReplica = 2.5

// lags reports whether the flow has had less than its part lately.
func (b *band) lags(f *flow) bool { return f.tag <= b.virtual-b.grace/2 }

// rest lets time pass in which nothing of the band waits: idle replicas would
// have served anybody.
func (b *band) rest(work float64) {
	b.virtual += work
	b.forget()
}

// add lets e wait.
func (b *band) add(e *entry) {
	f := b.flows[e.Tenant]
	switch {
	case f == nil:
		f = b.fresh(e.Tenant)
	case f.items.len() == 0:
		b.idle.remove(f)
		f.tag = max(f.tag, b.virtual-b.grace)
	default:
		b.weights -= f.weight
	}
	f.weight = e.Weight
	e.flow, e.older, e.newer = f, f.newest, nil
	if f.newest != nil {
		f.newest.newer = e
	}
	f.newest = e
	f.items.push(e, e.rank())
	f.waits += e.Cost
	b.waits += e.Cost
	b.count++
	b.weights += f.weight
	if f.items.len() == 1 {
		f.since = e.seq
		b.ready.push(f, f.turn())
		b.heavy.push(f, f.bulk())
		return
	}
	b.ready.fix(f, f.turn())
	b.heavy.fix(f, f.bulk())
}

// fresh makes a flow, which stands in none of the heaps yet.
func (b *band) fresh(tenant string) *flow {
	var f *flow
	if n := len(b.spare); n > 0 {
		f, b.spare = b.spare[n-1], b.spare[:n-1]
	} else {
		f = &flow{items: heap[*entry]{place: func(e *entry) *int { return &e.place }}}
	}
	b.serials++
	f.tenant, f.serial, f.tag = tenant, b.serials, b.virtual-b.grace
	b.flows[tenant] = f
	return f
}

// longest is what expires first of the band, if urgent, what expires first of
// all, is of it; else the first of the tenant with the most waiting.
func (b *band) longest(urgent *entry) *entry {
	if urgent.Band.rank() == b.rank {
		return urgent
	}
	return b.heavy.top().items.top()
}

// charge moves a flow on by what e costs; e is let through next.
func (b *band) charge(e, longest *entry) {
	f := e.flow
	if b.passing += e.Cost; f.since <= longest.seq {
		b.passing = 0
	}
	b.virtual = max(b.virtual, f.tag)
	f.tag += e.Cost / f.weight
	switch {
	case e.Lane != f.lane:
		f.lane, f.run = e.Lane, 0
	case e != f.items.top():
		f.run++
	}
	e.serial = f.serial
}

// settle corrects what a request was charged to what it cost. What it cost more
// is always counted. What it cost less is given back to the flow that paid for
// it, so far that the flow lies at most that one request behind the virtual time.
func (b *band) settle(it Item, real float64) {
	more := cost(real) - it.Cost
	f := b.flows[it.Tenant]
	switch {
	case more > 0 && f == nil:
		if b.count == 0 {
			return
		}
		f = b.fresh(it.Tenant)
		f.weight = it.Weight
		b.idle.push(f, f.turn())
		f.tag += more / f.weight
	case more > 0:
		f.tag += more / f.weight
	case f == nil || f.serial != it.serial:
		return
	default:
		f.tag = min(f.tag, max(f.tag+more/f.weight, b.virtual-b.grace-it.Cost/f.weight))
	}
	if f.items.len() > 0 {
		b.ready.fix(f, f.turn())
		return
	}
	b.idle.fix(f, f.turn())
	b.forget()
}

// remove takes e out of what waits, wherever it stands.
func (b *band) remove(e *entry) {
	f := e.flow
	f.items.remove(e)
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		f.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	}
	e.older, e.newer = nil, nil
	f.waits -= e.Cost
	b.waits -= e.Cost
	b.count--
	if f.items.len() > 0 {
		b.ready.fix(f, f.turn())
		b.heavy.fix(f, f.bulk())
		return
	}
	f.waits = 0 // and no rounding error
	b.ready.remove(f)
	b.heavy.remove(f)
	b.weights -= f.weight
	if b.count == 0 {
		b.weights, b.waits = 0, 0
	}
	b.idle.push(f, f.turn())
	b.forget()
}

// mostIdle bounds the tenants that are remembered though nothing of them waits.
const mostIdle = 4096

// forget drops the idle flows that the virtual time has left behind: a new one
// would be the same. Of too many those go that are nearest to it.
func (b *band) forget() {
	for b.idle.len() > 0 {
		f := b.idle.top()
		if f.tag > b.virtual-b.grace && b.idle.len() <= mostIdle {
			return
		}
		b.idle.remove(f)
		delete(b.flows, f.tenant)
		if len(b.spare) < mostIdle/16 {
			*f = flow{items: f.items}
			b.spare = append(b.spare, f)
		}
	}
}

// mostAsked bounds how many tenants' next requests are tried where the first
// finds no room.
const mostAsked = 4

// next is what should be let through now: the next request of the tenant whose
// turn it is, or of one of those near it, if there is no room for that. longest
// is what must not be passed for good.
func (b *band) next(longest *entry, claim float64, admits func(Item) bool) *entry {
	longest.Claim = claim
	if b.passing >= b.grace && admits(longest.Item) {
		return longest
	}
	for _, turn := range b.ready.slots[:min(mostAsked, b.ready.len())] {
		f := turn.item
		e := f.next()
		e.Owed, e.Claim = b.lags(f), claim
		if admits(e.Item) {
			return e
		}
	}
	return nil
}
