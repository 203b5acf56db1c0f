package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// Rerate rates the exchanges of a period again; price gives a rate for each attempt.
// A run that is through returns what it did and does nothing. It works in small
// transactions: one that fails in between goes on when it is given again. Errors:
// ErrRun.
func (s *SQLite) Rerate(ctx context.Context, run Run, price func(*Exchange) []Rate) (RunOutcome, error) {
	if err := run.check(); err != nil {
		return RunOutcome{}, err
	}
	out, through, err := s.beginRun(ctx, &run)
	if err != nil || through {
		return out, err
	}
	r := &rater{run: run, price: price}
	if err := s.rerate(ctx, r); err != nil {
		return r.out, fmt.Errorf("ledger database: rate again: %w", err)
	}
	return r.out, s.endRun(ctx, r)
}

func (s *SQLite) beginRun(ctx context.Context, run *Run) (out RunOutcome, through bool, err error) {
	if run.Dry {
		return out, false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := run.period()
	if _, err := s.write.ExecContext(ctx, `INSERT INTO ratings_runs (id, at, actor, since, until, version, note, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, '') ON CONFLICT DO NOTHING`,
		run.ID, micro(run.At), run.Actor, p.from, p.to, run.Version, run.Note); err != nil {
		return out, false, fmt.Errorf("ledger database: begin to rate again: %w", err)
	}
	var have storedRun
	if err := s.write.QueryRowContext(ctx, `SELECT since, until, version, outcome FROM ratings_runs WHERE id = ?`, run.ID).
		Scan(&have.since, &have.until, &have.version, &have.outcome); err != nil {
		return out, false, fmt.Errorf("ledger database: begin to rate again: %w", err)
	}
	return run.again(have)
}

func (s *SQLite) endRun(ctx context.Context, r *rater) error {
	if r.run.Dry {
		return nil
	}
	text, err := json.Marshal(r.out)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.write.ExecContext(ctx, `UPDATE ratings_runs SET outcome = ? WHERE id = ?`, string(text), r.run.ID); err != nil {
		return fmt.Errorf("ledger database: end rating again: %w", err)
	}
	return nil
}

func (s *SQLite) rerate(ctx context.Context, r *rater) error {
	p := r.run.period()
	after, to := p.ids()
	for {
		n, last, err := s.rerateChunk(ctx, r, func(tx *sql.Tx, take takeExchange) error {
			return walk{from: after, to: to}.eachOf(ctx, tx, func(ex *Exchange) bool {
				return isStray(ex.ID, ex.Start) || take(ex)
			})
		})
		if err != nil {
			return err
		}
		if n < rateChunk {
			break
		}
		after = last.ID + "\x00"
	}
	start, id := p.from, ""
	const strays = `SELECT e.record FROM strays s JOIN exchanges e ON e.id = s.id WHERE (s.start, s.id) > (?, ?) AND s.start < ? ORDER BY s.start, s.id LIMIT ?`
	for {
		n, last, err := s.rerateChunk(ctx, r, func(tx *sql.Tx, take takeExchange) error {
			return eachRecord(ctx, tx, strays, []any{start, id, p.to, rateChunk}, take)
		})
		if err != nil || n < rateChunk {
			return err
		}
		start, id = micro(last.Start), last.ID
	}
}

// takeExchange takes an exchange, which is valid during the call, and says whether it
// wants more.
type takeExchange = func(*Exchange) bool

// rerateChunk rates up to rateChunk of the exchanges that read gives; it returns how
// many those were, and the last one.
func (s *SQLite) rerateChunk(ctx context.Context, r *rater, read func(*sql.Tx, takeExchange) error) (n int, last *Exchange, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, nil, err
	}
	defer tx.Rollback()
	f := Filter{From: r.run.From, To: r.run.To}
	var list []*Exchange
	err = read(tx, func(ex *Exchange) bool {
		n++
		last = copyOf(ex)
		if f.passes(ex) {
			list = append(list, copyOf(ex))
		}
		return n < rateChunk
	})
	if err != nil {
		return n, last, err
	}
	have, err := ratingsOf(ctx, tx, list)
	if err != nil {
		return n, last, err
	}
	add, delta, err := r.chunk(list, have)
	if err != nil || r.run.Dry {
		return n, last, err
	}
	for i := range add {
		if err := addRating(ctx, tx, &add[i]); err != nil {
			return n, last, err
		}
	}
	for _, hour := range delta.hours() {
		if err := addRerated(ctx, tx, delta, hour); err != nil {
			return n, last, err
		}
	}
	return n, last, tx.Commit()
}

func ratingsOf(ctx context.Context, db querier, list []*Exchange) (ratings, error) {
	ids := make([]string, len(list))
	for i, ex := range list {
		ids[i] = ex.ID
	}
	text, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	out := ratings{}
	return out, eachRating(ctx, db, `exchange IN (SELECT value FROM json_each(?))`, []any{string(text)}, out.add)
}

func (r ratings) add(o Rating) { r[o.Exchange] = append(r[o.Exchange], o) }

// eachRating calls each for the ratings that a condition holds for, in the order in
// which they were made.
func eachRating(ctx context.Context, db querier, where string, args []any, each func(Rating)) error {
	rows, err := db.QueryContext(ctx, `SELECT exchange, run, start, old_cost, old_status, old_version, new_cost, new_status, new_version, attempts
		FROM ratings WHERE `+where+` ORDER BY n`, args...)
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

// columns are the places of a rating in the order of the tables.
func (o *Rating) columns() []any {
	return []any{&o.Exchange, &o.Run, &o.start, &o.OldCost, &o.OldStatus, &o.OldVersion, &o.NewCost, &o.NewStatus, &o.NewVersion, &o.attempts}
}

func addRating(ctx context.Context, tx *sql.Tx, o *Rating) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO ratings (exchange, run, start, old_cost, old_status, old_version, new_cost, new_status, new_version, attempts)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		o.Exchange, o.Run, o.start, o.OldCost, string(o.OldStatus), o.OldVersion, o.NewCost, string(o.NewStatus), o.NewVersion, o.attempts)
	return err
}

// addRerated adds the cells of an hour to what ratings add to its sums.
func addRerated(ctx context.Context, tx *sql.Tx, delta *rollup, hour int64) error {
	all := delta.ofHour(hour)
	if err := eachRerated(ctx, tx, hour, hour+1, all.merge); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO rerated (hour, sums) VALUES (?1, ?2) ON CONFLICT (hour) DO UPDATE SET sums = ?2`, hour, all.ofHour(hour).encode(nil, hour))
	if err != nil {
		return err
	}
	return dayChanged(ctx, tx, hour)
}

// eachRerated calls each for every cell that ratings add to the hours in [from, to).
func eachRerated(ctx context.Context, db querier, from, to int64, each func(*cell, *sums)) error {
	rows, err := db.QueryContext(ctx, `SELECT hour, sums FROM rerated WHERE hour >= ? AND hour < ? ORDER BY hour`, from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var hour int64
		var data sql.RawBytes
		if err := rows.Scan(&hour, &data); err != nil {
			return err
		}
		if err := decodeRollup(data, hour, each); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Ratings are what runs changed of an exchange, the first one first. The last one
// counts.
func (s *SQLite) Ratings(ctx context.Context, id string) ([]Rating, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []Rating{}
	if err := eachRating(ctx, s.read, `exchange = ?`, []any{id}, func(o Rating) { out = append(out, o) }); err != nil {
		return nil, fmt.Errorf("ledger database: read the ratings of %s: %w", id, err)
	}
	return out, nil
}

// rated is the ratings that count of the exchanges of a period.
func (s *SQLite) rated(ctx context.Context, p period) (ratings, error) {
	out := ratings{}
	return out, eachRating(ctx, s.read, `start >= ? AND start < ?`, []any{p.from, p.to}, out.newest)
}

// newest keeps the last one that is added for each exchange.
func (r ratings) newest(o Rating) { r[o.Exchange] = []Rating{o} }

// count adds an exchange to sums at its last rating.
func (r ratings) count(to *rollup, ex *Exchange) error {
	if o := r[ex.ID]; len(o) > 0 {
		if err := o[len(o)-1].apply(ex); err != nil {
			return err
		}
	}
	to.add(ex)
	return nil
}

// countCut counts the exchanges of a part of an hour.
func (s *SQLite) countCut(ctx context.Context, cut period, r *rollup, original bool) error {
	var again ratings
	if !original {
		var err error
		if again, err = s.rated(ctx, cut); err != nil {
			return err
		}
	}
	var failed error
	count := func(ex *Exchange) bool {
		failed = again.count(r, ex)
		return failed == nil
	}
	if err := s.eachRegular(ctx, cut, count); err != nil || failed != nil {
		return cmp.Or(err, failed)
	}
	return cmp.Or(s.eachStray(ctx, cut, count), failed)
}
