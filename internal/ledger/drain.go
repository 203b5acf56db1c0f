package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// drainBatch is how many exchanges one call of the store takes at most: many,
// because a batch costs as much as some hundred exchanges by itself.
const drainBatch = 4096

// Flush drains what is settled now into the store. A query after it sees
// every exchange that was settled before it.
func (j *Journal) Flush(ctx context.Context) error {
	select {
	case j.drain <- struct{}{}:
		defer func() { <-j.drain }()
	case <-ctx.Done():
		return fmt.Errorf("flush journal: %w", ctx.Err())
	}
	end, err := j.end()
	for err == nil && j.pos.Before(end) {
		err = j.drainSome(ctx, end)
	}
	return err
}

// drainPaced drains what is settled now, at a quarter of a processor at most, and
// in between others may drain. It rests less when the journal fills up. What
// comes meanwhile waits for the next time: a drain that ran after it would never
// end under load, in batches as small as its rests are short.
func (j *Journal) drainPaced(ctx context.Context) error {
	end, err := j.end()
	if err != nil {
		return err
	}
	return j.drainWhile(ctx, func() bool { return j.pos.Before(end) })
}

// drainFull drains, as drainPaced does, as long as a whole batch is waiting.
func (j *Journal) drainFull(ctx context.Context) error {
	return j.drainWhile(ctx, func() bool { return j.Stats().Lag >= drainBatch })
}

// drainWhile drains a batch at a time while there is more, which it asks with the
// token in its hand.
func (j *Journal) drainWhile(ctx context.Context, more func() bool) error {
	for {
		begin := time.Now()
		again, err := j.drainStep(ctx, more)
		if err != nil || !again {
			return err
		}
		if rest := 3 * time.Since(begin); !j.filling() {
			j.rest(ctx, min(rest, longestRest))
		}
		if time.Since(j.synced) >= j.opt.Sync {
			if err := j.sync(); err != nil {
				return err
			}
		}
	}
}

// longestRest keeps a slow disk from stopping the drain.
const longestRest = 100 * time.Millisecond

// rest waits, and prepares segments while it does.
func (j *Journal) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-j.rotated:
			j.prepare()
		}
	}
}

// filling says whether what the store has not taken is a quarter of MaxBytes.
func (j *Journal) filling() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return int64(j.cur.seq-min(j.cur.seq, j.drains.Segment)) > j.opt.MaxBytes/4/j.opt.SegmentBytes
}

// drainStep drains a batch, if there is more, and says whether there still is.
func (j *Journal) drainStep(ctx context.Context, more func() bool) (again bool, err error) {
	select {
	case j.drain <- struct{}{}:
		defer func() { <-j.drain }()
	case <-ctx.Done():
		return false, fmt.Errorf("drain journal: %w", ctx.Err())
	}
	end, err := j.end()
	if err != nil || !j.pos.Before(end) || !more() {
		return false, err
	}
	err = j.drainSome(ctx, end)
	return more(), err
}

// end is where the journal ends now.
func (j *Journal) end() (Position, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return Position{}, ErrClosed
	}
	return Position{Segment: j.cur.seq, Offset: int64(j.cur.used)}, nil
}

// drainSome drains a batch from the segment at pos, which it moves on, to the
// next segment where the batch was the last. The caller holds the token.
func (j *Journal) drainSome(ctx context.Context, end Position) error {
	counted := j.nextStretch()
	seg, ok := j.segmentAt(j.pos.Segment)
	if !ok {
		j.moveTo(Position{Segment: j.pos.Segment + 1, Offset: headerSize}, 0, 0)
		return nil
	}
	data, err := j.load(seg)
	if err != nil {
		return err
	}
	if counted != nil && (counted.segment != seg.seq || counted.stray) {
		counted = nil
	}
	switch {
	case counted != nil:
		data = data[:min(len(data), int(counted.to))]
	case seg.seq == end.Segment:
		data = data[:min(len(data), int(end.Offset))]
	}
	sc := scanner{data: data, off: int(max(j.pos.Offset, headerSize))}
	defer j.batch.reset() // so that it does not keep the records' texts
	d, err := j.nextBatch(&sc, counted)
	if err != nil {
		return fmt.Errorf("drain journal segment %d: %w", seg.seq, err)
	}
	pos := Position{Segment: seg.seq, Offset: int64(sc.off)}
	if d.size > 0 {
		if err := j.store(ctx, pos, d); err != nil {
			return fmt.Errorf("drain journal into the store: %w", err)
		}
	}
	j.moveTo(pos, d.size, d.unread)
	if !d.ended || seg.seq == end.Segment || counted != nil && counted.to < int64(seg.used) {
		return nil
	}
	j.loaded = loaded{}
	j.moveTo(Position{Segment: seg.seq + 1, Offset: headerSize}, 0, 0)
	return j.retire(seg.seq)
}

// nextStretch returns the stretch to drain next, if there is one: the one that
// grows only when there is no whole one. The caller holds the token.
func (j *Journal) nextStretch() *stretch {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s := j.fresh.next(j.pos); s != nil {
		return s
	}
	j.fresh.close()
	return j.fresh.next(j.pos)
}

// drained is a batch on its way: how many exchanges, how many records were
// passed over, and the exchanges themselves for a store that takes no records.
type drained struct {
	size, unread int
	ended        bool // the last record was among them
	decoded      []*Exchange
}

// nextBatch reads settled records up to the limit, or to the end of a stretch
// whose sums are known. It counts those whose checksum holds and that
// do not decode: only a bug in the writer makes such a record, and it must not hold
// up the rest.
func (j *Journal) nextBatch(sc *scanner, counted *stretch) (drained, error) {
	var d drained
	take := j.batch.addRecord
	if j.records == nil {
		take = func(record []byte) error {
			ex, err := decodeExchange(record)
			if err == nil {
				d.decoded = append(d.decoded, ex)
			}
			return err
		}
	}
	for d.size < drainBatch {
		if counted != nil && sc.off == int(counted.from) {
			if d.size > 0 {
				break // what comes before a stretch is a batch of its own
			}
			j.batch.known, j.batch.digests, take = &counted.sums, counted.digests, j.batch.addCounted
		}
		rec, err := sc.next()
		if err == io.EOF {
			d.ended = true
			break
		}
		if err != nil {
			return d, err
		}
		if rec.kind != kindSettled {
			continue
		}
		if take(rec.payload) == nil {
			d.size++
		} else {
			d.unread++
		}
	}
	return d, nil
}

// store gives a batch to the store.
func (j *Journal) store(ctx context.Context, pos Position, d drained) error {
	if j.records != nil {
		return j.records.appendRecords(ctx, pos, &j.batch)
	}
	return j.opt.Store.Append(ctx, pos, d.decoded)
}

// segmentAt returns a copy of a segment's state; its bytes up to used are fixed.
func (j *Journal) segmentAt(seq uint64) (segment, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.segment(seq)
	if s == nil {
		return segment{}, false
	}
	return *s, true
}

// loaded is the bytes of a segment that is not in memory.
type loaded struct {
	seq  uint64
	data []byte
}

// load returns the bytes of a segment: those in memory, else the file's. The
// caller holds the token.
func (j *Journal) load(s segment) ([]byte, error) {
	if s.mem != nil {
		return s.mem.data[:s.used], nil
	}
	if j.loaded.seq != s.seq {
		data, err := os.ReadFile(s.path)
		if err != nil {
			return nil, fmt.Errorf("read journal segment: %w", err)
		}
		j.loaded = loaded{s.seq, data[:min(len(data), s.used)]}
	}
	return j.loaded.data, nil
}

func (j *Journal) moveTo(pos Position, drained, unread int) {
	j.pos = pos
	j.mu.Lock()
	defer j.mu.Unlock()
	j.drains = pos
	j.stats.Drained += uint64(drained)
	j.stats.Unread += uint64(unread)
}

// retire seals a drained segment and gives its memory back. The caller holds
// the drain token, so nobody reads the memory.
func (j *Journal) retire(seq uint64) error {
	j.mu.Lock()
	s := j.segment(seq)
	if s == nil || s == j.cur || s.mem == nil {
		j.mu.Unlock()
		return nil
	}
	mem := s.mem
	j.mu.Unlock()
	// It keeps its memory until it is sealed: who commits takes a segment without
	// memory for durable.
	err := mem.seal(s.used)
	j.mu.Lock()
	s.mem = nil
	j.mu.Unlock()
	return errors.Join(err, mem.release())
}
