package queue

// entry is an item that waits.
type entry struct {
	Item
	due    int64  // when it expires, as the Scheduler reckons, and its rank within its tenant
	seq    uint64 // order of arrival
	flow   *flow
	place  int // in flow.items
	expiry int // in Scheduler.expiries
	// Neighbours in order of arrival within the flow.
	older, newer *entry
}

// rank is the entry's key: the earliest first, then the oldest.
func (e *entry) rank() key { return key{uint64(e.due), e.seq} }

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
	since  uint64  // seq of the item with which it came or came back
	lane   uint64  // of what was let through last
	run    int     // how many of that lane went ahead of others in a row
}

// share is how long the flow waits alone on its part.
func (f *flow) share() float64 { return f.waits / f.weight }

// mostBefore bounds how many items before is the sum of.
const mostBefore = 512

// before is how many seconds of the flow's items are due at that time or before it, as
// far as they are looked at.
func (f *flow) before(due int64) (sum float64) {
	for _, s := range f.items.slots[:min(mostBefore, f.items.len())] {
		if s.item.due <= due {
			sum += s.item.Cost
		}
	}
	return sum
}

// turn is a flow's key in ready and idle: of those with one tag the one goes
// first whose next request is the oldest.
func (f *flow) turn() key {
	k := key{first: ordered(f.tag)}
	if f.items.len() > 0 {
		k.second = f.items.top().seq
	}
	return k
}

// bulk is a flow's key in heavy.
func (f *flow) bulk() key { return key{first: ordered(-f.share())} }

const (
	laneLook = 15 // how many of a tenant's earliest requests are looked at
	laneRun  = 3  // how many in a row may go ahead because of their lane
)

// next is the earliest, or one near it that continues the lane of the last: its
// prefix is in a cache now and may not be later. It goes ahead of none that has
// a deadline of its own.
func (f *flow) next() *entry {
	first := f.items.top()
	if f.lane == 0 || f.run >= laneRun || first.Lane == f.lane || !first.Deadline.IsZero() {
		return first
	}
	best := first
	for _, near := range f.items.slots[1:min(laneLook, f.items.len())] {
		if e := near.item; e.Lane == f.lane && (best == first || e.rank().less(best.rank())) {
			best = e
		}
	}
	return best
}
