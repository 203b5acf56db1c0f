package queue

// Rules of this file: fairness is start-time fair queueing. Each tenant has a tag,
// the virtual time at which its next request starts; the smallest goes first and
// moves on by its cost over its tenant's weight; the band's virtual time is the
// largest tag that was served. A tenant that comes, or comes back, starts at the
// virtual time at the earliest: what it did not ask for is gone. Within a tenant
// the earliest deadline goes first.
//
// Source: Goyal, Vin, Cheng, "Start-time Fair Queuing" (SIGCOMM 1996).

// entry is an item that waits.
type entry struct {
	Item
	due    int64  // Unix nanoseconds: when it expires, and its rank within its tenant
	seq    uint64 // order of arrival
	flow   *flow
	place  int // in flow.items
	expiry int // in Scheduler.expiries
	// Neighbours in order of arrival within the flow.
	older, newer *entry
}

func sooner(a, b *entry) bool {
	if a.due != b.due {
		return a.due < b.due
	}
	return a.seq < b.seq
}

// flow is a tenant in a band.
type flow struct {
	tenant string
	serial uint64 // told apart from an earlier flow of the tenant
	weight float64
	tag    float64
	items  heap[*entry]
	newest *entry
	waits  float64 // seconds of all items
	place  int     // in band.ready or band.idle
	heft   int     // in band.heavy
	lane   uint64  // of what was let through last
	run    int     // how many of that lane went ahead of others in a row
}

// share is how long the flow waits alone on its part.
func (f *flow) share() float64 { return f.waits / f.weight }

// band is what waits in one priority.
type band struct {
	rank    int
	flows   map[string]*flow
	ready   heap[*flow] // those with items, by tag
	idle    heap[*flow] // those without, whose tag lies ahead of the virtual time
	heavy   heap[*flow] // those with items, the largest share first
	virtual float64
	weights float64 // of those with items
	waits   float64 // seconds of all items
	count   int
	serials uint64
	spare   []*flow
}

func newBand(rank int) *band {
	place := func(f *flow) *int { return &f.place }
	return &band{
		rank:  rank,
		flows: map[string]*flow{},
		// Of those with one tag the one that has waited longest goes first.
		ready: heap[*flow]{place: place, less: func(a, b *flow) bool {
			if a.tag != b.tag {
				return a.tag < b.tag
			}
			return a.items.items[0].seq < b.items.items[0].seq
		}},
		idle:  heap[*flow]{place: place, less: func(a, b *flow) bool { return a.tag < b.tag }},
		heavy: heap[*flow]{place: func(f *flow) *int { return &f.heft }, less: func(a, b *flow) bool { return a.share() > b.share() }},
	}
}

// add lets e wait.
func (b *band) add(e *entry) {
	f := b.flows[e.Tenant]
	switch {
	case f == nil:
		f = b.fresh(e.Tenant)
	case f.items.len() == 0:
		b.idle.remove(f)
		f.tag = max(f.tag, b.virtual)
	default:
		b.weights -= f.weight
	}
	f.weight = e.Weight
	e.flow, e.older, e.newer = f, f.newest, nil
	if f.newest != nil {
		f.newest.newer = e
	}
	f.newest = e
	f.items.push(e)
	f.waits += e.Cost
	b.waits += e.Cost
	b.count++
	b.weights += f.weight
	if f.items.len() == 1 {
		b.ready.push(f)
		b.heavy.push(f)
		return
	}
	b.ready.fix(f)
	b.heavy.fix(f)
}

// fresh makes a flow, which stands in none of the heaps yet.
func (b *band) fresh(tenant string) *flow {
	var f *flow
	if n := len(b.spare); n > 0 {
		f, b.spare = b.spare[n-1], b.spare[:n-1]
	} else {
		f = &flow{items: heap[*entry]{less: sooner, place: func(e *entry) *int { return &e.place }}}
	}
	b.serials++
	f.tenant, f.serial, f.tag = tenant, b.serials, b.virtual
	b.flows[tenant] = f
	return f
}

// charge moves a flow on by what e costs; e is let through next.
func (b *band) charge(e *entry) {
	f := e.flow
	b.virtual = max(b.virtual, f.tag)
	f.tag += e.Cost / f.weight
	switch {
	case e.Lane != f.lane:
		f.lane, f.run = e.Lane, 0
	case e != f.items.items[0]:
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
		b.idle.push(f)
		f.tag += more / f.weight
	case more > 0:
		f.tag += more / f.weight
	case f == nil || f.serial != it.serial:
		return
	default:
		f.tag = min(f.tag, max(f.tag+more/f.weight, b.virtual-it.Cost/f.weight))
	}
	if f.items.len() > 0 {
		b.ready.fix(f)
		return
	}
	b.idle.fix(f)
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
		b.ready.fix(f)
		b.heavy.fix(f)
		return
	}
	f.waits = 0 // and no rounding error
	b.ready.remove(f)
	b.heavy.remove(f)
	b.weights -= f.weight
	b.idle.push(f)
	b.forget()
}

// mostIdle bounds the tenants that are remembered though nothing of them waits.
const mostIdle = 4096

// forget drops the idle flows that the virtual time has reached: a new one would
// be the same. When nothing waits any more everybody is served at once, and
// nobody is owed anything.
func (b *band) forget() {
	empty := b.count == 0
	for b.idle.len() > 0 {
		f := b.idle.items[0]
		if !empty && f.tag > b.virtual && b.idle.len() <= mostIdle {
			return
		}
		b.idle.remove(f)
		delete(b.flows, f.tenant)
		if len(b.spare) < mostIdle/16 {
			*f = flow{items: f.items}
			b.spare = append(b.spare, f)
		}
	}
	if empty {
		b.virtual, b.weights, b.waits = 0, 0, 0
	}
}

// mostAsked bounds how many tenants' next requests are tried where the first
// finds no room.
const mostAsked = 4

// next is what should be let through now: the next request of the tenant whose
// turn it is, or of one of those after it, if there is no room for that.
func (b *band) next(admits func(Item) bool) *entry {
	for _, f := range b.ready.items[:min(mostAsked, b.ready.len())] {
		if e := f.next(); admits(e.Item) {
			return e
		}
	}
	return nil
}

const (
	laneLook = 15 // how many of a tenant's earliest requests are looked at
	laneRun  = 3  // how many in a row may go ahead because of their lane
)

// next is the earliest, or one near it that continues the lane of the last: its
// prefix is in a cache now and may not be later. It goes ahead of none that has
// a deadline of its own.
func (f *flow) next() *entry {
	first := f.items.items[0]
	if f.lane == 0 || f.run >= laneRun || first.Lane == f.lane || !first.Deadline.IsZero() {
		return first
	}
	var best *entry
	for _, e := range f.items.items[1:min(laneLook, f.items.len())] {
		if e.Lane == f.lane && (best == nil || sooner(e, best)) {
			best = e
		}
	}
	if best == nil {
		return first
	}
	return best
}
