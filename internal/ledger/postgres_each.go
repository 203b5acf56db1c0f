package ledger

import (
	"context"
	"fmt"
	"time"
)

// Each implements Reader. A page of records is read at a time, so no connection
// is held while do works.
func (s *Postgres) Each(ctx context.Context, f Filter, do func(*Exchange) error) error {
	for page := (pgPage{}); !page.ended; {
		var err error
		if page, err = s.readPage(ctx, f, page.last); err != nil {
			return fmt.Errorf("ledger in PostgreSQL: read exchanges: %w", err)
		}
		for _, ex := range page.list {
			if err := do(ex); err != nil {
				return err
			}
		}
	}
	return nil
}

// pgPage is a page of a walk over exchanges in the order of their ids.
type pgPage struct {
	list  []*Exchange // those that pass
	last  string      // the id up to which the walk has come
	ended bool
}

// nextPgPage gives a stray twice where its id looks like the others'. The filter
// takes out those that are found only by an id which tells another start.
const nextPgPage = `(SELECT id, record FROM ledger_exchanges WHERE id >= $1 AND id < $2 AND id > $5 ORDER BY id LIMIT $6)
	UNION ALL (SELECT e.id, e.record FROM ledger_strays s JOIN ledger_exchanges e ON e.id = s.id
		WHERE s.start >= $3 AND s.start < $4 AND s.id > $5 ORDER BY s.id LIMIT $6)
	ORDER BY id LIMIT $6`

// readPage looks at the next exchanges behind an id, and keeps those that pass a
// filter.
func (s *Postgres) readPage(ctx context.Context, f Filter, after string) (pgPage, error) {
	page, n := pgPage{last: after}, 0
	p := f.period()
	from, to := p.ids()
	rows, err := s.pool.Query(ctx, nextPgPage, from, to, p.from, p.to, after, eachPage)
	if err != nil {
		return page, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var id string
		var record []byte
		if err := rows.Scan(&id, &record); err != nil {
			return page, err
		}
		if id == page.last {
			continue
		}
		page.last = id
		ex, err := decodeExchange(record)
		if err != nil {
			return page, err
		}
		if f.passes(ex) {
			page.list = append(page.list, ex)
		}
	}
	page.ended = n < eachPage
	return page, rows.Err()
}

// Prune removes the records of exchanges that began before a moment; see
// SQLite.Prune. The gateways that share the database may all call it.
func (s *Postgres) Prune(ctx context.Context, before time.Time) (total int64, err error) {
	hour := -hourOf(-micro(before))
	if _, err := s.pool.Exec(ctx, `UPDATE ledger_state SET pruned = GREATEST(pruned, $1)`, hour); err != nil {
		return 0, fmt.Errorf("ledger in PostgreSQL: prune: %w", err)
	}
	for _, p := range []struct {
		statement string
		bound     any
	}{
		{`DELETE FROM ledger_exchanges WHERE id IN (SELECT id FROM ledger_exchanges e WHERE id >= '` + idPrefix + `' AND id < $1
			AND NOT EXISTS (SELECT 1 FROM ledger_strays s WHERE s.id = e.id) ORDER BY id LIMIT $2)`, idFrom(floorDiv(micro(before), 1000) - idSlack)},
		{`WITH old AS (DELETE FROM ledger_strays WHERE (start, id) IN (SELECT start, id FROM ledger_strays WHERE start < $1 ORDER BY start, id LIMIT $2) RETURNING id)
			DELETE FROM ledger_exchanges WHERE id IN (SELECT id FROM old)`, micro(before)},
	} {
		for {
			done, err := s.pool.Exec(ctx, p.statement, p.bound, pruneBatch)
			if err != nil {
				return total, fmt.Errorf("ledger in PostgreSQL: prune: %w", err)
			}
			total += done.RowsAffected()
			if done.RowsAffected() < pruneBatch {
				break
			}
		}
	}
	return total, nil
}
