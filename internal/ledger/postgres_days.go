package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
)

// How Postgres keeps the sums of days: as SQLite does (days.go), for each gateway
// apart, and apart from them what ratings add.

// noGateway is whose sums those of ratings are.
const noGateway = ""

// pgDayChanged says that the sums of an hour are not what they were. It locks the
// row also where nothing is to be changed in it: who sums up the day at the same
// time comes before this transaction, or behind it.
func pgDayChanged(ctx context.Context, tx pgx.Tx, hour int64, gateway string) error {
	_, err := tx.Exec(ctx, `INSERT INTO ledger_days AS d (day, gateway) VALUES ($1, $2)
		ON CONFLICT (day, gateway) DO UPDATE SET sums = NULL WHERE d.sums IS NOT NULL`, floorDiv(hour, hoursPerDay), gateway)
	return err
}

// SumDays sums up days that are over at now and are not summed, the oldest first, of
// every gateway: one that is gone does not do it. It says whether there may be
// more of them.
func (s *Postgres) SumDays(ctx context.Context, now time.Time) (more bool, err error) {
	today := floorDiv(hourOf(micro(now.Add(-dayGrace))), hoursPerDay)
	for range tidyDays {
		done, err := s.sumDay(ctx, today)
		if err != nil {
			return false, fmt.Errorf("ledger in PostgreSQL: sum up a day: %w", err)
		}
		if done {
			return false, nil
		}
	}
	return true, nil
}

// sumDay sums up one day before a day, and says whether there was none that
// nobody else has in hand.
func (s *Postgres) sumDay(ctx context.Context, before int64) (done bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var d pgDay
		err := tx.QueryRow(ctx, `SELECT day, gateway FROM ledger_days WHERE sums IS NULL AND day < $1
			ORDER BY day LIMIT 1 FOR UPDATE SKIP LOCKED`, before).Scan(&d.day, &d.gateway)
		if errors.Is(err, pgx.ErrNoRows) {
			done = true
			return nil
		}
		if err != nil {
			return err
		}
		r, err := d.count(ctx, tx)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE ledger_days SET sums = $3 WHERE day = $1 AND gateway = $2`, d.day, d.gateway, r.encode(nil, d.day*hoursPerDay))
		return err
	})
	return done, err
}

// pgDay names the sums of a day.
type pgDay struct {
	day     int64
	gateway string
}

// hours calls each for the cells of its hours.
func (d pgDay) hours(ctx context.Context, tx pgx.Tx, each func(*cell, *sums)) error {
	from, to := d.day*hoursPerDay, (d.day+1)*hoursPerDay
	if d.gateway == noGateway {
		return eachPgRerated(ctx, tx, from, to, each)
	}
	return eachPgPart(ctx, tx, from, to, d.gateway, each)
}

// count is dayOf.
func (d pgDay) count(ctx context.Context, tx pgx.Tx) (*rollup, error) {
	r := &rollup{}
	err := d.hours(ctx, tx, func(c *cell, s *sums) {
		c.hour = d.day * hoursPerDay
		r.at(*c).add(s)
	})
	return r, err
}

// eachPgSum is SQLite.eachSum over the exchanges of a gateway, or of all where it
// is empty.
func eachPgSum(ctx context.Context, tx pgx.Tx, from, to int64, gateway string, original bool, each func(*cell, *sums)) error {
	hours := func(from, to int64) error {
		if err := eachPgPart(ctx, tx, from, to, gateway, each); err != nil || original {
			return err
		}
		return eachPgRerated(ctx, tx, from, to, each)
	}
	first, end := -floorDiv(-from, hoursPerDay), floorDiv(to, hoursPerDay)
	if first >= end {
		return hours(from, to)
	}
	if err := hours(from, first*hoursPerDay); err != nil {
		return err
	}
	if err := hours(end*hoursPerDay, to); err != nil {
		return err
	}
	left, err := eachPgDay(ctx, tx, first, end, gateway, original, each)
	for _, d := range left {
		if err == nil {
			err = d.hours(ctx, tx, each)
		}
	}
	return err
}

// eachPgDay calls each for the cells of the days in [first, end) that are made,
// and returns the others. One gateway's day that is not made does not keep those
// of the others from being used.
func eachPgDay(ctx context.Context, tx pgx.Tx, first, end int64, gateway string, original bool, each func(*cell, *sums)) (left []pgDay, err error) {
	rows, err := tx.Query(ctx, `SELECT day, gateway, sums FROM ledger_days WHERE day >= $1 AND day < $2
		AND CASE gateway WHEN '' THEN NOT $3 ELSE $4 = '' OR gateway = $4 END ORDER BY day`, first, end, original, gateway)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d pgDay
		var data []byte
		if err := rows.Scan(&d.day, &d.gateway, &data); err != nil {
			return nil, err
		}
		if data == nil {
			left = append(left, d)
		} else if err := decodeRollup(data, d.day*hoursPerDay, each); err != nil {
			return nil, err
		}
	}
	return left, rows.Err()
}

// verifyDays compares the sums of days with those of their hours.
func (s *Postgres) verifyDays(ctx context.Context, r *StoreReport) error {
	for last := (pgDay{day: -farHour}); ; {
		d, same, err := s.compareDay(ctx, last)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case err != nil && !errors.Is(err, errRollup):
			return err
		case !same:
			r.problem("the sums of the day %s are not those of its hours", time.Unix(d.day*86400, 0).UTC().Format(time.DateOnly))
		}
		last = d
	}
}

// compareDay says whether the first sums of a day behind others are those of its
// hours; pgx.ErrNoRows when there are none.
func (s *Postgres) compareDay(ctx context.Context, last pgDay) (d pgDay, same bool, err error) {
	err = s.snapshot(ctx, func(tx pgx.Tx) error {
		var data []byte
		if err := tx.QueryRow(ctx, `SELECT day, gateway, sums FROM ledger_days WHERE (day, gateway) > ($1, $2) AND sums IS NOT NULL
			ORDER BY day, gateway LIMIT 1`, last.day, last.gateway).Scan(&d.day, &d.gateway, &data); err != nil {
			return err
		}
		stored := &rollup{}
		if err := decodeRollup(data, d.day*hoursPerDay, func(c *cell, s *sums) { stored.at(*c).add(s) }); err != nil {
			return err
		}
		counted, err := d.count(ctx, tx)
		same = err == nil && maps.Equal(stored.known(knowing{}), counted.known(knowing{}))
		return err
	})
	return d, same, err
}
