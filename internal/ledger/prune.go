package ledger

import (
	"context"
	"fmt"
	"time"
)

// pruneBatch bounds how long Prune keeps the writer from Append.
const pruneBatch = 1000

// Prune removes the records of exchanges that began before a moment, oldest
// first, and returns how many; some of its last 10 ms may stay. The sums that
// Usage gives stay for as long as the database does; where From or To cuts an
// hour whose records may be gone, Usage counts the hour whole if it begins in
// the range. Prune works in small transactions: when it fails in between, what
// it counted is gone. The file does not shrink; its pages are used again.
func (s *SQLite) Prune(ctx context.Context, before time.Time) (int64, error) {
	if err := s.notePruned(ctx, -hourOf(-micro(before))); err != nil {
		return 0, fmt.Errorf("ledger database: prune: %w", err)
	}
	total := int64(0)
	regular := pruning{
		exchanges: `DELETE FROM exchanges WHERE id IN (SELECT id FROM exchanges WHERE id >= '` + idPrefix + `' AND id < ? AND id NOT IN (SELECT id FROM strays) ORDER BY id LIMIT ?)`,
		before:    idFrom(floorDiv(micro(before), 1000) - idSlack),
	}
	const oldest = `(SELECT id FROM strays WHERE start < ? ORDER BY start, id LIMIT ?)`
	strays := pruning{
		exchanges: `DELETE FROM exchanges WHERE id IN ` + oldest,
		strays:    `DELETE FROM strays WHERE id IN ` + oldest,
		before:    micro(before),
	}
	for _, p := range []pruning{regular, strays} {
		n, err := s.prune(ctx, p)
		total += n
		if err != nil {
			return total, fmt.Errorf("ledger database: prune: %w", err)
		}
	}
	return total, nil
}

// notePruned says, before they go, that records before an hour may be missing.
func (s *SQLite) notePruned(ctx context.Context, hour int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.write.ExecContext(ctx, `UPDATE state SET pruned = MAX(pruned, ?)`, hour)
	return err
}

// pruning is two statements that take a bound and a limit; the second may be
// empty.
type pruning struct {
	exchanges, strays string
	before            any
}

func (s *SQLite) prune(ctx context.Context, p pruning) (total int64, err error) {
	for {
		n, err := s.pruneOnce(ctx, p)
		total += n
		if err != nil || n < pruneBatch {
			return total, err
		}
	}
}

func (s *SQLite) pruneOnce(ctx context.Context, p pruning) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	res, err := tx.ExecContext(ctx, p.exchanges, p.before, pruneBatch)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, err
	}
	if p.strays != "" {
		if _, err := tx.ExecContext(ctx, p.strays, p.before, pruneBatch); err != nil {
			return 0, err
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	return n, nil
}
