package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// seal seals what a transaction has inserted.
func (s *SQLite) seal(ctx context.Context, tx *sql.Tx, entries []entry) error {
	if len(entries) == 0 {
		return nil
	}
	c, err := scanChain(tx.StmtContext(ctx, s.end).QueryRowContext(ctx))
	if err != nil {
		return fmt.Errorf("ledger database: seal: %w", err)
	}
	row := c.seal(entries, s.buf[:0])
	s.buf = row.batch
	if _, err := tx.StmtContext(ctx, s.addSeal).ExecContext(ctx, row.seq, row.count, row.batch, row.link); err != nil {
		return fmt.Errorf("ledger database: seal: %w", err)
	}
	if _, err := tx.StmtContext(ctx, s.moveEnd).ExecContext(ctx, c.seals, c.sealed, c.head); err != nil {
		return fmt.Errorf("ledger database: seal: %w", err)
	}
	return nil
}

func scanChain(row *sql.Row) (c chain, err error) {
	err = row.Scan(&c.seals, &c.sealed, &c.head)
	return c, err
}

// sealOld seals, once, what a version without seals has stored.
func (s *SQLite) sealOld(ctx context.Context) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	res, err := tx.ExecContext(ctx, `UPDATE state SET seals = 0 WHERE seals < 0`)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	for after := ""; ; {
		var page recordBatch
		var failed error
		err := walk{from: after, to: afterAll}.each(ctx, tx, func(_, record string) bool {
			failed = page.addRecord([]byte(record))
			return failed == nil && len(page.entries) < drainBatch
		})
		if err := cmp.Or(failed, err); err != nil {
			return err
		}
		if err := s.seal(ctx, tx, page.entries); err != nil {
			return err
		}
		if len(page.entries) < drainBatch {
			return tx.Commit()
		}
		after = page.entries[len(page.entries)-1].id + "\x00"
	}
}

// SealHead is the last link of the seals, in hexadecimal, and how many records
// they have: kept elsewhere, it shows later that none of them went.
func (s *SQLite) SealHead(ctx context.Context) (link string, count int64, err error) {
	list, err := s.chains(ctx)
	if err != nil {
		return "", 0, fmt.Errorf("ledger database: read the head of the seals: %w", err)
	}
	return headOf(list)
}

// VerifyStore checks every record against its seal, the seals against each other,
// and the sums against the records. It reads everything, in steps between which the
// drain goes on: its answer is about what was there when it began. The error is
// about reading, not about the content.
func (s *SQLite) VerifyStore(ctx context.Context) (StoreReport, error) {
	r, err := verifyStore(ctx, s)
	if err == nil {
		err = s.verifyDays(ctx, &r)
	}
	if err != nil {
		return r, fmt.Errorf("ledger database: verify: %w", err)
	}
	return r, nil
}

func (s *SQLite) chains(ctx context.Context) ([]chain, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, err := scanChain(s.read.QueryRowContext(ctx, `SELECT seals, sealed, head FROM state`))
	return []chain{c}, err
}

func (s *SQLite) nextSeal(ctx context.Context, _ string, after int64) (row storedSeal, ok bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	err = s.read.QueryRowContext(ctx, `SELECT seq, count, batch, link FROM seals WHERE seq > ? ORDER BY seq LIMIT 1`, after).
		Scan(&row.seq, &row.count, &row.batch, &row.link)
	if errors.Is(err, sql.ErrNoRows) {
		return row, false, nil
	}
	return row, err == nil, err
}

func (s *SQLite) digests(ctx context.Context, ids []string) (found map[string]digest, pruned int64, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.read.QueryRowContext(ctx, `SELECT pruned FROM state`).Scan(&pruned); err != nil {
		return nil, 0, err
	}
	st, err := s.read.PrepareContext(ctx, `SELECT record FROM exchanges WHERE id = ?`)
	if err != nil {
		return nil, 0, err
	}
	defer st.Close()
	found = make(map[string]digest, len(ids))
	blocks := openBlocks(s.read)
	var record []byte
	for _, id := range ids {
		switch err := st.QueryRowContext(ctx, id).Scan(&record); {
		case errors.Is(err, sql.ErrNoRows):
			record, ok, err := blocks.find(ctx, id)
			if err != nil {
				return nil, 0, err
			}
			if ok {
				found[id] = digestOf([]byte(record))
			}
		case err != nil:
			return nil, 0, err
		default:
			found[id] = digestOf(record)
		}
	}
	return found, pruned, nil
}

func (s *SQLite) storedPage(ctx context.Context, after string) (ids []string, records [][]byte, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if after != "" {
		after += "\x00" // the next text
	}
	err = walk{from: after, to: afterAll, tolerant: true}.each(ctx, s.read, func(id, record string) bool {
		ids, records = append(ids, id), append(records, []byte(record))
		return len(ids) < eachPage
	})
	return ids, records, err
}

func (s *SQLite) summedHours(ctx context.Context) ([]int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rows, err := s.read.QueryContext(ctx, `SELECT part FROM rollup ORDER BY part`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var part int64
		if err := rows.Scan(&part); err != nil {
			return nil, err
		}
		if h := floorDiv(part, partsPerHour); len(out) == 0 || out[len(out)-1] != h {
			out = append(out, h)
		}
	}
	return out, rows.Err()
}

func (s *SQLite) recount(ctx context.Context, hour int64) (stored, counted *rollup, pruned int64, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.read.QueryRowContext(ctx, `SELECT pruned FROM state`).Scan(&pruned); err != nil {
		return nil, nil, 0, err
	}
	stored, counted = &rollup{}, &rollup{}
	if err := eachPart(ctx, s.read, hour, hour+1, stored.merge); err != nil {
		return nil, nil, pruned, err
	}
	count := func(ex *Exchange) bool {
		counted.add(ex)
		return true
	}
	p := period{hour * microsPerHour, (hour + 1) * microsPerHour}
	if err := s.eachRegular(ctx, p, count); err != nil {
		return nil, nil, pruned, err
	}
	return stored, counted, pruned, s.eachStray(ctx, p, count)
}
