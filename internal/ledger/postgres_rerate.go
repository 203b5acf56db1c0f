package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Rerate is SQLite.Rerate over the exchanges of every gateway. Runs of several
// gateways at once take turns, chunk by chunk.
func (s *Postgres) Rerate(ctx context.Context, run Run, price func(*Exchange) []Rate) (RunOutcome, error) {
	if err := run.check(); err != nil {
		return RunOutcome{}, err
	}
	out, through, err := s.beginRun(ctx, &run)
	if err != nil || through {
		return out, err
	}
	r := &rater{run: run, price: price}
	if err := s.rerate(ctx, r); err != nil {
		return r.out, fmt.Errorf("ledger in PostgreSQL: rate again: %w", err)
	}
	return r.out, s.endRun(ctx, r)
}

func (s *Postgres) beginRun(ctx context.Context, run *Run) (out RunOutcome, through bool, err error) {
	if run.Dry {
		return out, false, nil
	}
	p := run.period()
	if _, err := s.pool.Exec(ctx, `INSERT INTO ledger_ratings_runs (id, at, actor, since, until, version, note, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7, '') ON CONFLICT DO NOTHING`,
		run.ID, micro(run.At), run.Actor, p.from, p.to, run.Version, run.Note); err != nil {
		return out, false, fmt.Errorf("ledger in PostgreSQL: begin to rate again: %w", err)
	}
	var have storedRun
	if err := s.pool.QueryRow(ctx, `SELECT since, until, version, outcome FROM ledger_ratings_runs WHERE id = $1`, run.ID).
		Scan(&have.since, &have.until, &have.version, &have.outcome); err != nil {
		return out, false, fmt.Errorf("ledger in PostgreSQL: begin to rate again: %w", err)
	}
	return run.again(have)
}

func (s *Postgres) endRun(ctx context.Context, r *rater) error {
	if r.run.Dry {
		return nil
	}
	text, err := json.Marshal(r.out)
	if err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, `UPDATE ledger_ratings_runs SET outcome = $1 WHERE id = $2`, string(text), r.run.ID); err != nil {
		return fmt.Errorf("ledger in PostgreSQL: end rating again: %w", err)
	}
	return nil
}

func (s *Postgres) rerate(ctx context.Context, r *rater) error {
	p := r.run.period()
	after, to := p.ids()
	const regular = `SELECT record FROM ledger_exchanges WHERE id >= $1 AND id < $2 AND id NOT IN (SELECT id FROM ledger_strays) ORDER BY id LIMIT $3`
	for {
		n, last, err := s.rerateChunk(ctx, r, regular, after, to, rateChunk)
		if err != nil {
			return err
		}
		if n < rateChunk {
			break
		}
		after = last.ID + "\x01" // PostgreSQL has no text with a zero byte
	}
	start, id := p.from, ""
	const strays = `SELECT e.record FROM ledger_strays s JOIN ledger_exchanges e ON e.id = s.id WHERE (s.start, s.id) > ($1, $2) AND s.start < $3 ORDER BY s.start, s.id LIMIT $4`
	for {
		n, last, err := s.rerateChunk(ctx, r, strays, start, id, p.to, rateChunk)
		if err != nil || n < rateChunk {
			return err
		}
		start, id = micro(last.Start), last.ID
	}
}

// rerateChunk rates the exchanges of a query; it returns how many records that had,
// and the last one.
func (s *Postgres) rerateChunk(ctx context.Context, r *rater, query string, args ...any) (n int, last *Exchange, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// What a rating is against must not change before it is stored.
		if _, err := tx.Exec(ctx, `LOCK TABLE ledger_ratings IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		records, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		if err != nil {
			return err
		}
		f := Filter{From: r.run.From, To: r.run.To}
		var list []*Exchange
		n = len(records)
		for _, record := range records {
			if last, err = decodeExchange(record); err != nil {
				return err
			}
			if f.passes(last) {
				list = append(list, last)
			}
		}
		return s.rateChunk(ctx, tx, r, list)
	})
	return n, last, err
}

func (s *Postgres) rateChunk(ctx context.Context, tx pgx.Tx, r *rater, list []*Exchange) error {
	ids := make([]string, len(list))
	for i, ex := range list {
		ids[i] = ex.ID
	}
	have := ratings{}
	if err := eachPgRating(ctx, tx, `exchange = ANY ($1::text[])`, []any{ids}, have.add); err != nil {
		return err
	}
	add, delta, err := r.chunk(list, have)
	if err != nil || r.run.Dry {
		return err
	}
	var batch pgx.Batch
	for i := range add {
		o := &add[i]
		batch.Queue(`INSERT INTO ledger_ratings (exchange, run, start, old_cost, old_status, old_version, new_cost, new_status, new_version, attempts)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			o.Exchange, o.Run, o.start, o.OldCost, string(o.OldStatus), o.OldVersion, o.NewCost, string(o.NewStatus), o.NewVersion, o.attempts)
	}
	for _, hour := range delta.hours() {
		if err := pgDayChanged(ctx, tx, hour, noGateway); err != nil {
			return err
		}
		all := delta.ofHour(hour)
		if err := eachPgRerated(ctx, tx, hour, hour+1, all.merge); err != nil {
			return err
		}
		batch.Queue(`INSERT INTO ledger_rerated (hour, sums) VALUES ($1, $2) ON CONFLICT (hour) DO UPDATE SET sums = $2`, hour, all.ofHour(hour).encode(nil, hour))
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// pgQuerier is the pool or a transaction.
type pgQuerier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// eachPgRating is eachRating.
func eachPgRating(ctx context.Context, db pgQuerier, where string, args []any, each func(Rating)) error {
	rows, err := db.Query(ctx, `SELECT exchange, run, start, old_cost, old_status, old_version, new_cost, new_status, new_version, attempts
		FROM ledger_ratings WHERE `+where+` ORDER BY n`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var o Rating
		if err := rows.Scan(o.columns()...); err != nil {
			return err
		}
		each(o)
	}
	return rows.Err()
}

// eachPgRerated is eachRerated.
func eachPgRerated(ctx context.Context, tx pgx.Tx, from, to int64, each func(*cell, *sums)) error {
	rows, err := tx.Query(ctx, `SELECT hour, sums FROM ledger_rerated WHERE hour >= $1 AND hour < $2 ORDER BY hour`, from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var hour int64
		var data []byte
		if err := rows.Scan(&hour, &data); err != nil {
			return err
		}
		if err := decodeRollup(data, hour, each); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Ratings is SQLite.Ratings.
func (s *Postgres) Ratings(ctx context.Context, id string) ([]Rating, error) {
	out := []Rating{}
	if err := eachPgRating(ctx, s.pool, `exchange = $1`, []any{id}, func(o Rating) { out = append(out, o) }); err != nil {
		return nil, fmt.Errorf("ledger in PostgreSQL: read the ratings of %s: %w", id, err)
	}
	return out, nil
}
