package queue

// Rules of this file: what is full is full for the lowest band first, and within
// a band for the tenant with the most waiting by its weight. Whoever comes is
// refused where it would be that tenant itself. The youngest goes, having waited
// least.

// mostShed bounds how many small requests one large one may push out.
const mostShed = 16

// fits reports whether an item of that band and size can wait, too.
func (s *Scheduler) fits(it *Item) bool {
	most := s.config.requestsOf(it.Band)
	return s.count < s.config.Requests && s.bytes+int64(it.Bytes) <= s.config.Bytes && s.bands[it.Band.rank()].count < most
}

// makeRoom sheds until the item fits, or sheds nothing and returns false.
func (s *Scheduler) makeRoom(it *Item) bool {
	if int64(it.Bytes) > s.config.Bytes || s.config.requestsOf(it.Band) == 0 {
		return false
	}
	var out [mostShed]*entry
	n := 0
	for !s.fits(it) {
		e := s.victim(it)
		if e == nil || n == mostShed {
			// From the last to the first, so that each is its tenant's youngest again.
			for n--; n >= 0; n-- {
				s.link(out[n])
			}
			return false
		}
		s.unlink(e)
		out[n] = e
		n++
	}
	for _, e := range out[:n] {
		s.shed = append(s.shed, e.Item)
		s.recycle(e)
	}
	return true
}

// victim is what goes so that it may wait; nil is nothing.
func (s *Scheduler) victim(it *Item) *entry {
	rank := it.Band.rank()
	own := s.bands[rank]
	if own.count >= s.config.requestsOf(it.Band) {
		return own.victim(it)
	}
	for r := bands - 1; r > rank; r-- {
		if b := s.bands[r]; b.count > 0 {
			return b.heavy.top().newest
		}
	}
	return own.victim(it)
}

// victim is the youngest of the tenant with the most waiting, if that has more
// without it than the tenant of the item would have with the item.
func (b *band) victim(it *Item) *entry {
	if b.count == 0 {
		return nil
	}
	f := b.heavy.top()
	if f.tenant == it.Tenant {
		return nil
	}
	mine := it.Cost
	if own := b.flows[it.Tenant]; own != nil {
		mine += own.waits
	}
	if (f.waits-f.newest.Cost)/f.weight < mine/it.Weight {
		return nil
	}
	return f.newest
}
