package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	finalDrain   = 10 * time.Second // that Run gives the store at the end
	longestPause = 30 * time.Second // between attempts when the store fails
)

// Run makes records durable, drains them into the store, prepares segments
// ahead of need and removes old ones, until ctx ends; then it drains a last
// time and returns that drain's error. It sleeps while nothing is appended.
// A failure in between is in [Stats.Err], is told to [JournalOptions.Told] and is
// tried again.
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
			if err := j.Flush(last); err != nil {
				return errors.Join(err, j.sync())
			}
			return j.pass(last)
		case <-j.rotated:
			j.prepare()
		case <-j.full:
			if pause == j.opt.Sync && j.drainFull(ctx) != nil {
				timer.Reset(0) // pass says what went wrong
				armed = true
			}
		case <-j.wake:
			if !armed {
				timer.Reset(pause)
				armed = true
			}
		case <-timer.C:
			armed = false
			err := j.pass(ctx)
			if ctx.Err() == nil {
				j.tell(err)
			}
			if err == nil {
				pause = j.opt.Sync
				continue
			}
			pause = min(2*pause, longestPause)
			timer.Reset(pause)
			armed = true
		}
	}
}

// tell tells when passes begin to fail, and when they do not any more.
func (j *Journal) tell(err error) {
	if failing := err != nil; failing != j.failing {
		j.failing = failing
		if j.opt.Told != nil {
			j.opt.Told(err)
		}
	}
}

// pass does what is due: sync, drain, prepare, clean up.
func (j *Journal) pass(ctx context.Context) error {
	j.dirty.Store(false)
	err := errors.Join(j.sync(), j.drainPaced(ctx), j.tidyStore(ctx, time.Now()))
	j.prepare()
	j.expire(time.Now())
	j.mu.Lock()
	defer j.mu.Unlock()
	err = errors.Join(err, j.broken)
	j.stats.Err = err
	return err
}

// tidier is a store with work that can wait. More says that there is some left.
type tidier interface {
	SumDays(ctx context.Context, now time.Time) (more bool, err error)
}

// tidyEvery is how often a store may tidy up.
const tidyEvery = 10 * time.Second

// tidyStore lets the store do what can wait, a little at a time.
func (j *Journal) tidyStore(ctx context.Context, now time.Time) error {
	t, ok := j.opt.Store.(tidier)
	if !ok || now.Before(j.nextTidy) {
		return nil
	}
	more, err := t.SumDays(ctx, now)
	if !more {
		j.nextTidy = now.Add(tidyEvery)
	}
	return err
}

// sync makes the records durable. Segments that were left since the last time
// are sealed; one that cannot be is an error until the store has its records, and
// keeps nothing after it from being made durable.
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
	cur, used, named := j.cur.mem, j.cur.used, j.named
	j.named = false
	j.mu.Unlock()
	if named {
		if err := syncDir(j.opt.Dir); err != nil {
			j.mu.Lock()
			j.named = true
			j.mu.Unlock()
			return fmt.Errorf("sync journal directory: %w", err)
		}
	}
	var errs []error
	for _, s := range left {
		if err := s.mem.seal(s.used); err != nil {
			errs = append(errs, fmt.Errorf("seal journal segment %d: %w", s.seq, err))
			continue
		}
		j.mu.Lock()
		s.sealed = true
		j.mu.Unlock()
	}
	cur.leave(used)
	if err := cur.sync(); err != nil {
		errs = append(errs, fmt.Errorf("sync journal: %w", err))
	}
	if len(errs) == 0 {
		j.synced = time.Now()
	}
	return errors.Join(errs...)
}

// prepare allocates the next segment if there is none, without holding up those
// who append, and clears the failure of an earlier attempt. A spare that could not
// become a segment is replaced.
func (j *Journal) prepare() {
	j.mu.Lock()
	if j.closed || j.spare != nil && j.broken == nil {
		j.mu.Unlock()
		return
	}
	failed := j.spare
	j.spare = nil
	path, err := j.planSpare()
	j.mu.Unlock()
	if failed != nil {
		err = errors.Join(err, failed.remove())
	}
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
