package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// pruneBatch and pruneBlocks bound how long Prune keeps the writer from Append.
const (
	pruneBatch  = 1000
	pruneBlocks = 16
)

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
	bound := idFrom(floorDiv(micro(before), 1000) - idSlack)
	regular := pruning{
		exchanges: `DELETE FROM exchanges WHERE id IN (SELECT id FROM exchanges WHERE id >= '` + idPrefix + `' AND id < ? AND id NOT IN (SELECT id FROM strays) ORDER BY id LIMIT ?)`,
		before:    bound,
	}
	const oldest = `(SELECT id FROM strays WHERE start < ? ORDER BY start, id LIMIT ?)`
	strays := pruning{
		exchanges: `DELETE FROM exchanges WHERE id IN ` + oldest,
		strays:    `DELETE FROM strays WHERE id IN ` + oldest,
		before:    micro(before),
	}
	for _, step := range []func() (n int64, more bool, err error){
		func() (int64, bool, error) { return s.pruneRows(ctx, regular) },
		func() (int64, bool, error) { return s.pruneWhole(ctx, bound) },
		func() (int64, bool, error) { return s.pruneParts(ctx, bound) },
		func() (int64, bool, error) { return s.pruneRows(ctx, strays) },
	} {
		for more := true; more; {
			var n int64
			var err error
			if n, more, err = step(); err != nil {
				return total, fmt.Errorf("ledger database: prune: %w", err)
			}
			total += n
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

// pruneRows is one transaction of a pruning.
func (s *SQLite) pruneRows(ctx context.Context, p pruning) (n int64, more bool, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, p.exchanges, p.before, pruneBatch)
		if err != nil {
			return err
		}
		if n, err = res.RowsAffected(); err != nil || p.strays == "" {
			return err
		}
		_, err = tx.ExecContext(ctx, p.strays, p.before, pruneBatch)
		return err
	})
	return n, n == pruneBatch, err
}

// pruneWhole removes blocks all of whose ids are before a bound, in one transaction.
func (s *SQLite) pruneWhole(ctx context.Context, before string) (n int64, more bool, err error) {
	const query = `DELETE FROM blocks WHERE n IN (SELECT n FROM blocks WHERE last < ? ORDER BY last LIMIT ?) RETURNING count`
	blocks := 0
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		return eachRow(ctx, tx, query, []any{before, pruneBlocks}, func(rows *sql.Rows) error {
			var count int64
			err := rows.Scan(&count)
			n += count
			blocks++
			return err
		})
	})
	return n, blocks == pruneBlocks, err
}

// pruneParts takes what is before a bound out of the blocks that reach over it, in
// one transaction.
func (s *SQLite) pruneParts(ctx context.Context, before string) (n int64, more bool, err error) {
	const query = `SELECT n, count, records FROM blocks WHERE first >= ? AND first < ? AND last >= ? LIMIT ?`
	left := map[int64][]stored{}
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		err := eachRow(ctx, tx, query, []any{blocksFrom(before), before, before, pruneBlocks}, func(rows *sql.Rows) error {
			var block, count int64
			var data sql.RawBytes
			if err := rows.Scan(&block, &count, &data); err != nil {
				return err
			}
			list, err := decodeBlock(data, before, afterAll)
			left[block] = list
			n += count - int64(len(list))
			return err
		})
		for block, list := range left {
			if err == nil && len(list) == 0 {
				err = errBlock // its last id is not there
			}
			if err != nil {
				break
			}
			var records []byte
			for _, r := range list {
				records = appendRecord(records, r.record)
			}
			_, err = tx.ExecContext(ctx, `UPDATE blocks SET first = ?, count = ?, records = ? WHERE n = ?`, list[0].id, len(list), records, block)
		}
		return err
	})
	return n, len(left) == pruneBlocks, err
}

// inTx does something in a transaction.
func (s *SQLite) inTx(ctx context.Context, do func(*sql.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}
