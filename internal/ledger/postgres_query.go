package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// snapshot runs a query that needs several statements on one state of the
// database.
func (s *Postgres) snapshot(ctx context.Context, do func(tx pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, do)
}

// Get implements Reader.
func (s *Postgres) Get(ctx context.Context, id string) (*Exchange, error) {
	if id == "" || strings.ContainsRune(id, 0) {
		return nil, ErrNotFound
	}
	rows, err := s.pool.Query(ctx, `SELECT record, id = $1 FROM ledger_exchanges WHERE id >= $1 AND starts_with(id, $1) AND id <= $2 ORDER BY id LIMIT 2`,
		strings.ToValidUTF8(id, "\uFFFD"), strings.ToValidUTF8(id, "\uFFFD")+"\U0010FFFF")
	if err != nil {
		return nil, fmt.Errorf("ledger in PostgreSQL: look up %s: %w", id, err)
	}
	defer rows.Close()
	var found []byte
	for n := 0; rows.Next(); n++ {
		var record []byte
		var exact bool
		if err := rows.Scan(&record, &exact); err != nil {
			return nil, fmt.Errorf("ledger in PostgreSQL: look up %s: %w", id, err)
		}
		if n > 0 {
			return nil, ErrAmbiguous
		}
		found = record
		if exact {
			break
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ledger in PostgreSQL: look up %s: %w", id, err)
	}
	if found == nil {
		return nil, ErrNotFound
	}
	return decodeExchange(found)
}

const (
	pgRegular = `SELECT record FROM ledger_exchanges WHERE id >= $1 AND id < $2 AND ($3 = '' OR gateway = $3) ORDER BY id DESC`
	pgStrays  = `SELECT e.record FROM ledger_strays s JOIN ledger_exchanges e ON e.id = s.id WHERE s.start >= $1 AND s.start < $2
		AND ($3 = '' OR e.gateway = $3) ORDER BY s.start DESC, s.id DESC`
)

// pgFetch is how many records are fetched at once, so that a scan that ends early
// does not read the whole table.
const pgFetch = 2000

var errEnough = errors.New("the caller has enough")

// eachPgRecord calls each for the records of a query until it says false.
func eachPgRecord(ctx context.Context, tx pgx.Tx, query string, args []any, each func(ex *Exchange, record []byte) bool) error {
	if _, err := tx.Exec(ctx, `DECLARE records NO SCROLL CURSOR FOR `+query, args...); err != nil {
		return err
	}
	var scratch Exchange
	for {
		rows, err := tx.Query(ctx, fmt.Sprintf(`FETCH %d FROM records`, pgFetch))
		if err != nil {
			return err
		}
		n, err := 0, error(nil)
		for rows.Next() {
			n++
			var record []byte
			if err = rows.Scan(&record); err != nil {
				break
			}
			if err = decodeInto(&scratch, string(record)); err != nil {
				break
			}
			if !each(&scratch, record) {
				err = errEnough
				break
			}
		}
		rows.Close()
		if err == nil {
			err = rows.Err()
		}
		if err == nil && n == pgFetch {
			continue
		}
		if err == nil || errors.Is(err, errEnough) {
			_, err = tx.Exec(ctx, `CLOSE records`)
		}
		return err
	}
}

func eachPgRegular(ctx context.Context, tx pgx.Tx, p period, gateway string, each func(ex *Exchange, record []byte) bool) error {
	from, to := p.ids()
	return eachPgRecord(ctx, tx, pgRegular, []any{from, to, gateway}, func(ex *Exchange, record []byte) bool {
		at := micro(ex.Start)
		return isStray(ex.ID, ex.Start) || at < p.from || at >= p.to || each(ex, record)
	})
}

func eachPgStray(ctx context.Context, tx pgx.Tx, p period, gateway string, each func(ex *Exchange, record []byte) bool) error {
	return eachPgRecord(ctx, tx, pgStrays, []any{p.from, p.to, gateway}, each)
}

// Recent implements Reader.
func (s *Postgres) Recent(ctx context.Context, limit int, f Filter) ([]*Exchange, error) {
	out := []*Exchange{}
	if limit <= 0 {
		return out, nil
	}
	err := s.snapshot(ctx, func(tx pgx.Tx) error {
		c := collector{limit: limit, filter: f, last: math.MaxInt64, out: out}
		if err := eachPgRegular(ctx, tx, f.period(), "", c.take); err != nil {
			return err
		}
		strays := collector{limit: limit, filter: f, exact: true}
		if err := eachPgStray(ctx, tx, f.period(), "", strays.take); err != nil {
			return err
		}
		out = append(c.out, strays.out...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ledger in PostgreSQL: recent exchanges: %w", err)
	}
	slices.SortFunc(out, func(a, b *Exchange) int {
		return cmp.Or(cmp.Compare(micro(b.Start), micro(a.Start)), cmp.Compare(b.ID, a.ID))
	})
	return out[:min(len(out), limit)], nil
}

// Usage implements Reader.
func (s *Postgres) Usage(ctx context.Context, q UsageQuery) ([]UsageRow, error) {
	return s.usageOf(ctx, q, "")
}

// usageOf is Usage over the exchanges of a gateway, or of all where it is empty.
func (s *Postgres) usageOf(ctx context.Context, q UsageQuery, gateway string) ([]UsageRow, error) {
	if err := checkBy(q.By); err != nil {
		return nil, err
	}
	t := newTable(q)
	err := s.snapshot(ctx, func(tx pgx.Tx) error { return pgUsage(ctx, tx, q.Filter.period(), gateway, t) })
	if err != nil {
		return nil, fmt.Errorf("ledger in PostgreSQL: usage: %w", err)
	}
	return t.rows(), nil
}

func pgUsage(ctx context.Context, tx pgx.Tx, p period, gateway string, t *table) error {
	var pruned int64
	if err := tx.QueryRow(ctx, `SELECT pruned FROM ledger_state`).Scan(&pruned); err != nil {
		return err
	}
	from, to, cuts := p.hours(pruned)
	if err := eachPgSum(ctx, tx, from, to, gateway, t.query.Original, t.add); err != nil {
		return err
	}
	var r rollup
	for _, cut := range cuts {
		if err := countPgCut(ctx, tx, cut, gateway, &r, t.query.Original); err != nil {
			return err
		}
	}
	for i := range r.cells {
		t.add(&r.cells[i], &r.sums[i])
	}
	return nil
}

// countPgCut is SQLite.countCut.
func countPgCut(ctx context.Context, tx pgx.Tx, cut period, gateway string, r *rollup, original bool) error {
	again := ratings{}
	if !original {
		if err := eachPgRating(ctx, tx, `start >= $1 AND start < $2`, []any{cut.from, cut.to}, again.newest); err != nil {
			return err
		}
	}
	var failed error
	count := func(ex *Exchange, _ []byte) bool {
		failed = again.count(r, ex)
		return failed == nil
	}
	if err := eachPgRegular(ctx, tx, cut, gateway, count); err != nil || failed != nil {
		return cmp.Or(err, failed)
	}
	return cmp.Or(eachPgStray(ctx, tx, cut, gateway, count), failed)
}

// OwnUsage is Usage over the exchanges of this gateway alone, at the prices of the
// time.
func (s *Postgres) OwnUsage(ctx context.Context, q UsageQuery) ([]UsageRow, error) {
	q.Original = true
	return s.usageOf(ctx, q, s.gateway)
}

// OwnSpent is SpentBy over the exchanges of this gateway alone.
func (s *Postgres) OwnSpent(ctx context.Context, by string, from, to time.Time) (map[string]int64, error) {
	return SpentBy(ctx, ownUsage{s}, by, from, to)
}

// ownUsage reads what one gateway stored.
type ownUsage struct{ *Postgres }

// Usage implements Reader.
func (o ownUsage) Usage(ctx context.Context, q UsageQuery) ([]UsageRow, error) {
	return o.OwnUsage(ctx, q)
}
