package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"
)

// A month has 720 hours with up to 16 parts each. So that a question about it
// reads 30 blobs instead, the sums of a day are kept once more when the day is
// over. They are made by [SQLite.tidy], which the journal calls while it drains,
// and made again when an hour of the day changes; until then the hours are read.

const (
	hoursPerDay = 24
	// dayGrace is how long after its end a day is summed: what began before
	// midnight and ends soon after is then in it.
	dayGrace = 15 * time.Minute
	// tidyDays is how many days one call of SumDays sums at most.
	tidyDays = 4
)

// dayChanged says that the sums of an hour are not what they were.
func dayChanged(ctx context.Context, tx *sql.Tx, hour int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO days (day) VALUES (?) ON CONFLICT (day) DO UPDATE SET sums = NULL WHERE sums IS NOT NULL`, floorDiv(hour, hoursPerDay))
	return err
}

// SumDays sums up days that are over at now and are not summed, the oldest first.
// It says whether there may be more of them.
func (s *SQLite) SumDays(ctx context.Context, now time.Time) (more bool, err error) {
	today := floorDiv(hourOf(micro(now.Add(-dayGrace))), hoursPerDay)
	days, err := s.dueDays(ctx, today)
	if err != nil {
		return false, fmt.Errorf("ledger database: sum up days: %w", err)
	}
	for _, day := range days {
		if err := s.sumDay(ctx, day); err != nil {
			return false, fmt.Errorf("ledger database: sum up day %d: %w", day, err)
		}
	}
	return len(days) == tidyDays, nil
}

func (s *SQLite) dueDays(ctx context.Context, before int64) ([]int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rows, err := s.read.QueryContext(ctx, `SELECT day FROM days WHERE sums IS NULL AND day < ? ORDER BY day LIMIT ?`, before, tidyDays)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var day int64
		if err := rows.Scan(&day); err != nil {
			return nil, err
		}
		out = append(out, day)
	}
	return out, rows.Err()
}

// sumDay adds up the hours of a day.
func (s *SQLite) sumDay(ctx context.Context, day int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	sums, err := dayOf(ctx, tx, eachPart, day)
	if err != nil {
		return err
	}
	rerated, err := dayOf(ctx, tx, eachRerated, day)
	if err != nil {
		return err
	}
	first := day * hoursPerDay
	if _, err := tx.ExecContext(ctx, `UPDATE days SET sums = ?, rerated = ? WHERE day = ?`, sums.encode(nil, first), rerated.encode(nil, first), day); err != nil {
		return err
	}
	return tx.Commit()
}

// eachOfHours calls each for every cell that a table has of the hours in [from,
// to): eachPart or eachRerated.
type eachOfHours func(ctx context.Context, db querier, from, to int64, each func(*cell, *sums)) error

// dayOf is the sums of a day, as if all of it were in its first hour.
func dayOf(ctx context.Context, db querier, hours eachOfHours, day int64) (*rollup, error) {
	r := &rollup{}
	first := day * hoursPerDay
	err := hours(ctx, db, first, first+hoursPerDay, func(c *cell, s *sums) {
		c.hour = first
		r.at(*c).add(s) // each hour has bounded its sets of tags; the day loses none of them
	})
	return r, err
}

// eachSum calls each for cells that together are the hours in [from, to): those
// of days where these are made, else those of hours. A cell of a day has the
// day's first hour. Where it is not asked for the original, what ratings add is
// among them.
func (s *SQLite) eachSum(ctx context.Context, from, to int64, original bool, each func(*cell, *sums)) error {
	if err := s.eachSumOf(ctx, "sums", eachPart, from, to, each); err != nil || original {
		return err
	}
	return s.eachSumOf(ctx, "rerated", eachRerated, from, to, each)
}

// eachSumOf is eachSum for one column of days and the hours that it is made of.
func (s *SQLite) eachSumOf(ctx context.Context, column string, hours eachOfHours, from, to int64, each func(*cell, *sums)) error {
	gaps, err := s.eachDay(ctx, column, from, to, each)
	for _, g := range gaps {
		if err != nil {
			return err
		}
		err = hours(ctx, s.read, g.from, g.to, each)
	}
	return err
}

// hourRange is the hours in [from, to).
type hourRange struct{ from, to int64 }

// eachDay calls each for the cells of the days in [from, to) that are made, and
// returns the hours that are left.
func (s *SQLite) eachDay(ctx context.Context, column string, from, to int64, each func(*cell, *sums)) ([]hourRange, error) {
	made := `SELECT day, ` + column + ` FROM days WHERE day >= ? AND day < ? AND sums IS NOT NULL ORDER BY day`
	rows, err := s.read.QueryContext(ctx, made, -floorDiv(-from, hoursPerDay), floorDiv(to, hoursPerDay))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var gaps []hourRange
	for rows.Next() {
		var day int64
		var data sql.RawBytes
		if err := rows.Scan(&day, &data); err != nil {
			return nil, err
		}
		first := day * hoursPerDay
		if err := decodeRollup(data, first, each); err != nil {
			return nil, err
		}
		if from < first {
			gaps = append(gaps, hourRange{from, first})
		}
		from = first + hoursPerDay
	}
	if from < to {
		gaps = append(gaps, hourRange{from, to})
	}
	return gaps, rows.Err()
}

// verifyDays compares the sums of days with those of their hours.
func (s *SQLite) verifyDays(ctx context.Context, r *StoreReport) error {
	for after := int64(-farHour); ; {
		day, same, err := s.compareDay(ctx, after)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil && !errors.Is(err, errRollup):
			return err
		case !same:
			r.problem("the sums of the day %s are not those of its hours", time.Unix(day*86400, 0).UTC().Format(time.DateOnly))
		}
		after = day
	}
}

// compareDay says whether the first day behind another has the sums of its hours;
// sql.ErrNoRows when there is none.
func (s *SQLite) compareDay(ctx context.Context, after int64) (day int64, same bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var blobs [2][]byte
	const next = `SELECT day, sums, rerated FROM days WHERE day > ? AND sums IS NOT NULL ORDER BY day LIMIT 1`
	if err := s.read.QueryRowContext(ctx, next, after).Scan(&day, &blobs[0], &blobs[1]); err != nil {
		return 0, false, err
	}
	for i, hours := range []eachOfHours{eachPart, eachRerated} {
		stored := &rollup{}
		if err := decodeRollup(blobs[i], day*hoursPerDay, func(c *cell, s *sums) { stored.at(*c).add(s) }); err != nil {
			return day, false, err
		}
		counted, err := dayOf(ctx, s.read, hours, day)
		if err != nil {
			return day, false, err
		}
		if !maps.Equal(stored.known(knowing{}), counted.known(knowing{})) {
			return day, false, nil
		}
	}
	return day, true, nil
}
