package ledger

import (
	"fmt"
	"sync"
)

// commits are the syncs that a strict journal's callers wait for. Who holds the
// mutex syncs everything that is written by then; who waited for it finds that
// done, mostly.
type commits struct {
	mu     sync.Mutex
	synced Position // everything before it is durable
	named  uint64   // segments up to here have a durable name
}

// commit returns when everything before pos is durable.
func (j *Journal) commit(pos Position) error {
	j.commits.mu.Lock()
	defer j.commits.mu.Unlock()
	if !j.commits.synced.Before(pos) {
		return nil
	}
	err := j.commitAll()
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: %w", ErrNotSynced, err)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stats.Unsynced++
	j.stats.Err = err
	return err
}

// commitAll makes what is written now durable. The caller holds commits.mu.
func (j *Journal) commitAll() error {
	j.mu.Lock()
	end := Position{Segment: j.cur.seq, Offset: int64(j.cur.used)}
	var files []*segmentFile
	for _, s := range j.old {
		// One without memory is sealed, so it is durable.
		if s.mem != nil && s.seq >= j.commits.synced.Segment {
			files = append(files, s.mem)
		}
	}
	if j.cur.mem != nil {
		files = append(files, j.cur.mem)
	}
	j.mu.Unlock()
	if j.opt.Dir != "" && j.commits.named < end.Segment {
		if err := syncDir(j.opt.Dir); err != nil {
			return err
		}
		j.commits.named = end.Segment
	}
	for _, f := range files {
		if err := f.sync(); err != nil {
			return err
		}
	}
	j.commits.synced = end
	return nil
}
