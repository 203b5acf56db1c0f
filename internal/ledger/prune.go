package ledger

import (
	"context"
	"fmt"
	"time"
)

// pruneBatch bounds how long Prune keeps the writer from Append.
const pruneBatch = 1000

// Prune removes the exchanges that began before a moment, oldest first, and
// returns how many. It works in small transactions: when it fails in between,
// what it counted is gone. The file does not shrink; its pages are used again.
func (s *SQLite) Prune(ctx context.Context, before time.Time) (int64, error) {
	total := int64(0)
	for {
		n, err := s.pruneOnce(ctx, micro(before))
		total += n
		if err != nil {
			return total, fmt.Errorf("ledger database: prune: %w", err)
		}
		if n < pruneBatch {
			return total, nil
		}
	}
}

func (s *SQLite) pruneOnce(ctx context.Context, before int64) (int64, error) {
	const oldest = `(SELECT seq FROM exchanges WHERE start < ? ORDER BY start, id LIMIT ?)`
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `DELETE FROM attempts WHERE exchange IN `+oldest, before, pruneBatch); err != nil {
		return 0, err
	}
	res, err := tx.ExecContext(ctx, `DELETE FROM exchanges WHERE seq IN `+oldest, before, pruneBatch)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	return n, nil
}
