package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tailplane/internal/pg"
)

// Postgres is the Store and Reader that several gateways share: each has its own
// journal and its own position here; what is read is everybody's. It has the shape
// of [SQLite]: records as they stand, sums by the hour. Safe for concurrent use;
// reading and writing do not wait for each other.
type Postgres struct {
	pool    *pgxpool.Pool
	gateway string

	mu  sync.Mutex // serialises the appends of this gateway
	buf []byte
}

//go:embed pgmigrations/*.sql
var pgMigrationFiles embed.FS

// OpenPostgres brings the tables up to date and returns the store of one gateway
// in them. The pool stays its owner's. The database must be there: a journal that
// does not know what its store has could number its segments so that the store
// takes them for old. Later it may be away, and the journal grows.
func OpenPostgres(ctx context.Context, pool *pgxpool.Pool, gateway string) (*Postgres, error) {
	files, err := fs.Sub(pgMigrationFiles, "pgmigrations")
	if err != nil {
		return nil, err
	}
	if err := pg.Migrate(ctx, pool, "ledger", files); err != nil {
		if pg.Down(err) {
			err = fmt.Errorf("the ledger's database must be reached once at the start; what the journal holds waits: %w", err)
		}
		return nil, err
	}
	s := &Postgres{pool: pool, gateway: gateway}
	if err := s.sealOld(ctx); err != nil {
		return nil, fmt.Errorf("ledger in PostgreSQL: seal what an older version stored: %w", err)
	}
	return s, nil
}

// Append implements Store.
func (s *Postgres) Append(ctx context.Context, pos Position, batch []*Exchange) error {
	var b recordBatch
	for _, ex := range batch {
		b.add(ex, appendExchange(nil, ex))
	}
	return s.appendRecords(ctx, pos, &b)
}

// appendRecords implements recordStore. The sums count what was inserted: an id
// that is stored already is left as it is.
func (s *Postgres) appendRecords(ctx context.Context, pos Position, b *recordBatch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		moved, err := tx.Exec(ctx, `INSERT INTO ledger_positions AS p (gateway, segment, position) VALUES ($1, $2, $3)
			ON CONFLICT (gateway) DO UPDATE SET segment = $2, position = $3
			WHERE p.segment < $2 OR p.segment = $2 AND p.position < $3`, s.gateway, int64(pos.Segment), pos.Offset)
		if err != nil || moved.RowsAffected() == 0 {
			return err
		}
		if len(b.entries) == 0 {
			return nil
		}
		stored, err := s.insert(ctx, tx, b)
		if err != nil {
			return err
		}
		if err := sealPg(ctx, tx, s.gateway, stored.entries); err != nil {
			return err
		}
		total := stored.total()
		for _, hour := range total.hours() {
			if err := pgDayChanged(ctx, tx, hour, s.gateway); err != nil {
				return err
			}
			if err := s.addHour(ctx, tx, total, hour); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ledger in PostgreSQL: store %d exchanges: %w", len(b.entries), err)
	}
	return nil
}

// insert stores the entries of a batch, and returns those that were not stored
// before.
func (s *Postgres) insert(ctx context.Context, tx pgx.Tx, b *recordBatch) (*recordBatch, error) {
	ids, records := make([]string, len(b.entries)), make([][]byte, len(b.entries))
	var strayIDs []string
	var strayStarts []int64
	for i, e := range b.entries {
		ids[i], records[i] = e.id, e.record
		if e.stray {
			strayIDs, strayStarts = append(strayIDs, e.id), append(strayStarts, e.start)
		}
	}
	rows, err := tx.Query(ctx, `INSERT INTO ledger_exchanges (id, gateway, record)
		SELECT id, $1, record FROM unnest($2::text[], $3::bytea[]) AS new (id, record)
		ON CONFLICT (id) DO NOTHING RETURNING id`, s.gateway, ids, records)
	if err != nil {
		return nil, err
	}
	stored, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	if len(strayIDs) > 0 {
		// One that was stored before is noted already.
		if _, err := tx.Exec(ctx, `INSERT INTO ledger_strays (start, id) SELECT * FROM unnest($1::bigint[], $2::text[])
			AS new (start, id) WHERE id = ANY ($3::text[]) ON CONFLICT DO NOTHING`, strayStarts, strayIDs, stored); err != nil {
			return nil, err
		}
	}
	if len(stored) == len(b.entries) {
		return b, nil
	}
	return firstOf(b.entries, stored)
}

// firstOf is the first entry of each id.
func firstOf(entries []entry, ids []string) (*recordBatch, error) {
	want := make(map[string]bool, len(ids))
	for _, id := range ids {
		want[id] = true
	}
	var b recordBatch
	for _, e := range entries {
		if !want[e.id] {
			continue
		}
		delete(want, e.id)
		if err := b.addRecord(e.record); err != nil {
			return nil, err
		}
	}
	return &b, nil
}

// addHour stores the cells of an hour as a part of this gateway's own; see
// SQLite.addHour.
func (s *Postgres) addHour(ctx context.Context, tx pgx.Tx, r *rollup, hour int64) error {
	from, to := hour*partsPerHour, (hour+1)*partsPerHour
	next := from
	if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(part) + 1, $1) FROM ledger_rollup WHERE part >= $1 AND part < $2 AND gateway = $3`,
		from, to, s.gateway).Scan(&next); err != nil {
		return err
	}
	if next-from >= mergeParts {
		all := &rollup{}
		if err := eachPgPart(ctx, tx, hour, hour+1, s.gateway, all.merge); err != nil {
			return err
		}
		for i := range r.cells {
			if r.cells[i].hour == hour {
				all.merge(&r.cells[i], &r.sums[i])
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM ledger_rollup WHERE part >= $1 AND part < $2 AND gateway = $3`, from, to, s.gateway); err != nil {
			return err
		}
		r, next = all, from
	}
	s.buf = r.encode(s.buf[:0], hour)
	_, err := tx.Exec(ctx, `INSERT INTO ledger_rollup (part, gateway, sums) VALUES ($1, $2, $3)`, next, s.gateway, s.buf)
	return err
}

// eachPgPart calls each for every stored cell of the hours in [from, to) of a
// gateway, or of all where it is empty.
func eachPgPart(ctx context.Context, tx pgx.Tx, from, to int64, gateway string, each func(*cell, *sums)) error {
	rows, err := tx.Query(ctx, `SELECT part, sums FROM ledger_rollup WHERE part >= $1 AND part < $2 AND ($3 = '' OR gateway = $3) ORDER BY part`,
		from*partsPerHour, to*partsPerHour, gateway)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var part int64
		var data []byte
		if err := rows.Scan(&part, &data); err != nil {
			return err
		}
		if err := decodeRollup(data, floorDiv(part, partsPerHour), each); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Position implements Store.
func (s *Postgres) Position(ctx context.Context) (Position, error) {
	var p Position
	var segment int64
	err := s.pool.QueryRow(ctx, `SELECT segment, position FROM ledger_positions WHERE gateway = $1`, s.gateway).Scan(&segment, &p.Offset)
	if errors.Is(err, pgx.ErrNoRows) {
		return Position{}, nil
	}
	if err != nil {
		return Position{}, fmt.Errorf("ledger in PostgreSQL: read the position: %w", err)
	}
	p.Segment = uint64(segment)
	return p, nil
}

// Close implements Store; the pool stays open.
func (s *Postgres) Close() error { return nil }
