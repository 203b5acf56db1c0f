package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	drainBatch   = 500              // exchanges in one call of Store.Append
	finalDrain   = 10 * time.Second // that Run gives the store at the end
	longestPause = 30 * time.Second // between attempts when the store fails
)

// Run makes records durable, drains them into the store, prepares segments
// ahead of need and removes old ones, until ctx ends; then it drains a last
// time and returns that drain's error. It sleeps while nothing is appended.
// A failure in between is in [Stats.Err] and is tried again.
func (j *Journal) Run(ctx context.Context) error {
	j.prepare()
	timer := time.NewTimer(j.opt.Sync)
	defer timer.Stop()
	armed, pause := true, j.opt.Sync
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalDrain)
			defer cancel()
			return j.pass(last)
		case <-j.rotated:
			j.prepare()
		case <-j.wake:
			if !armed {
				timer.Reset(pause)
				armed = true
			}
		case <-timer.C:
			armed = false
			if err := j.pass(ctx); err == nil {
				pause = j.opt.Sync
				continue
			}
			pause = min(2*pause, longestPause)
			timer.Reset(pause)
			armed = true
		}
	}
}

// pass does what is due: sync, drain, prepare, clean up.
func (j *Journal) pass(ctx context.Context) error {
	j.dirty.Store(false)
	err := errors.Join(j.sync(), j.Flush(ctx))
	j.prepare()
	j.expire(time.Now())
	j.mu.Lock()
	defer j.mu.Unlock()
	err = errors.Join(err, j.broken)
	j.stats.Err = err
	return err
}

// Flush drains what is settled now into the store. A query after it sees
// every exchange that was settled before it.
func (j *Journal) Flush(ctx context.Context) error {
	select {
	case j.drain <- struct{}{}:
		defer func() { <-j.drain }()
	case <-ctx.Done():
		return fmt.Errorf("flush journal: %w", ctx.Err())
	}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	end := Position{Segment: j.cur.seq, Offset: int64(j.cur.used)}
	j.mu.Unlock()
	for j.pos.Before(end) {
		if err := j.drainSegment(ctx, end); err != nil {
			return err
		}
	}
	return nil
}

// drainSegment drains the rest of the segment at pos, or moves pos to the next.
// The caller holds the token.
func (j *Journal) drainSegment(ctx context.Context, end Position) error {
	seg, ok := j.segmentAt(j.pos.Segment)
	if !ok {
		j.moveTo(Position{Segment: j.pos.Segment + 1, Offset: headerSize}, 0, 0)
		return nil
	}
	data, err := j.load(seg)
	if err != nil {
		return err
	}
	if seg.seq == end.Segment {
		data = data[:min(len(data), int(end.Offset))]
	}
	sc := scanner{data: data, off: int(max(j.pos.Offset, headerSize))}
	for {
		batch, unread, err := nextBatch(&sc)
		if err != nil {
			return fmt.Errorf("drain journal segment %d: %w", seg.seq, err)
		}
		pos := Position{Segment: seg.seq, Offset: int64(sc.off)}
		if len(batch) > 0 {
			if err := j.opt.Store.Append(ctx, pos, batch); err != nil {
				return fmt.Errorf("drain journal into the store: %w", err)
			}
		}
		j.moveTo(pos, len(batch), unread)
		if len(batch) < drainBatch {
			break
		}
	}
	if seg.seq < end.Segment {
		j.moveTo(Position{Segment: seg.seq + 1, Offset: headerSize}, 0, 0)
		return j.retire(seg.seq)
	}
	return nil
}

// nextBatch decodes settled records up to the limit, and counts those whose
// checksum holds and whose JSON does not decode: only a bug in the writer makes
// such a record, and it must not hold up the rest.
func nextBatch(sc *scanner) (batch []*Exchange, unread int, err error) {
	for len(batch) < drainBatch {
		rec, err := sc.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		if rec.kind != kindSettled {
			continue
		}
		ex, err := decodeExchange(rec.payload)
		if err != nil {
			unread++
			continue
		}
		batch = append(batch, ex)
	}
	return batch, unread, nil
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

// load returns the bytes of a segment: those in memory, else the file's.
func (j *Journal) load(s segment) ([]byte, error) {
	if s.mem != nil {
		return s.mem.data[:s.used], nil
	}
	data, err := os.ReadFile(s.path)
	if err != nil {
		return nil, fmt.Errorf("read journal segment: %w", err)
	}
	return data[:min(len(data), s.used)], nil
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
	s.mem = nil
	j.mu.Unlock()
	return errors.Join(mem.seal(s.used), mem.release())
}

// sync makes the records durable. Segments that were left since the last time
// are sealed.
func (j *Journal) sync() error {
	j.drain <- struct{}{}
	defer func() { <-j.drain }()
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	var left []*segment
	for _, s := range j.old {
		if s.mem != nil && !s.sealed {
			left = append(left, s)
		}
	}
	cur, named := j.cur.mem, j.named
	j.named = false
	j.mu.Unlock()
	if named {
		if err := syncDir(j.opt.Dir); err != nil {
			return fmt.Errorf("sync journal directory: %w", err)
		}
	}
	for _, s := range left {
		if err := s.mem.seal(s.used); err != nil {
			return fmt.Errorf("seal journal segment %d: %w", s.seq, err)
		}
		j.mu.Lock()
		s.sealed = true
		j.mu.Unlock()
	}
	if err := cur.sync(); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	return nil
}

// prepare allocates the next segment if there is none, without holding up those
// who append, and clears the failure of an earlier attempt.
func (j *Journal) prepare() {
	j.mu.Lock()
	if j.closed || j.spare != nil {
		j.mu.Unlock()
		return
	}
	path, err := j.planSpare()
	j.mu.Unlock()
	var made *spare
	if err == nil {
		made, err = j.makeSpare(path)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = err
	if made == nil {
		return
	}
	if j.closed || j.spare != nil {
		if err := made.remove(); err != nil {
			j.stats.Err = err
		}
		return
	}
	j.spare = made
}

// expire removes segments that are drained and older than the retention.
func (j *Journal) expire(now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.old) > 0 && now.Sub(j.old[0].created) > j.opt.Retention {
		if !j.removeOldest() {
			return
		}
	}
}
