package ledger

// A stretch is a run of records of one segment whose sums and digests were made while
// they were written. What this process settles it need not read again to count: the
// drain takes such a stretch as one batch, and reads only what an earlier
// process wrote or what came while too many stretches were waiting.
type stretch struct {
	segment  uint64
	from, to int64 // offsets in the segment
	size     int   // settled records in it
	stray    bool  // one of them has an id that does not tell when it began: it must be read
	sums     rollup
	digests  []digest // of the settled records, in their order
}

// mostStretches bounds the memory of sums and digests while the store does not keep up.
const mostStretches = 64

// stretches are those of a journal, guarded by its mutex.
type stretches struct {
	open   *stretch   // the last one, still growing; nil when none
	closed []*stretch // oldest first
	free   *stretch   // used again
}

// add counts a settled record that begins at off of a segment.
func (s *stretches) add(segment uint64, off int64, d digest, ex *Exchange) {
	if s.open != nil && s.open.segment != segment {
		s.close()
	}
	if s.open == nil {
		if len(s.closed) >= mostStretches {
			return
		}
		if s.open = s.free; s.open == nil {
			s.open = &stretch{}
		}
		s.free = nil
		s.open.segment, s.open.from, s.open.size, s.open.stray = segment, off, 0, false
	}
	s.open.size++
	s.open.stray = s.open.stray || isStray(ex.ID, ex.Start)
	s.open.sums.add(ex)
	s.open.digests = append(s.open.digests, d)
}

// wrote says that a record, of either kind, ends at an offset of a segment.
func (s *stretches) wrote(segment uint64, end int64) {
	if s.open == nil || s.open.segment != segment {
		return
	}
	s.open.to = end
	if s.open.size == drainBatch {
		s.close()
	}
}

// close ends the stretch that grows.
func (s *stretches) close() {
	if s.open != nil {
		s.closed = append(s.closed, s.open)
		s.open = nil
	}
}

// next is the oldest stretch that does not begin before pos; nil when there is
// none. Stretches that do were read as records, and are forgotten.
func (s *stretches) next(pos Position) *stretch {
	for len(s.closed) > 0 {
		first := s.closed[0]
		if first.segment > pos.Segment || first.segment == pos.Segment && first.from >= pos.Offset {
			return first
		}
		s.drop()
	}
	return nil
}

// drop forgets the oldest stretch.
func (s *stretches) drop() {
	first := s.closed[0]
	s.closed[0] = nil
	s.closed = s.closed[1:]
	first.sums.reset()
	first.digests = first.digests[:0]
	s.free = first
}
