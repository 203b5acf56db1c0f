package account

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tailplane/internal/pg"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Postgres is the shared database in PostgreSQL. Its clock is the database's. It
// is safe for concurrent use.
type Postgres struct {
	pool   *pgxpool.Pool
	pruned atomic.Int64 // when old rows were last removed, nanoseconds since 1970
}

// keepRows is how long a row stays after its window has ended.
const keepRows = 40 * 24 * time.Hour

// OpenPostgres brings the tables up to date. The pool stays the caller's.
func OpenPostgres(ctx context.Context, pool *pgxpool.Pool) (*Postgres, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	if err := pg.Migrate(ctx, pool, "account", files); err != nil {
		return nil, err
	}
	return &Postgres{pool: pool}, nil
}

// Renew implements [Shared]. It locks the rows in the order of their names, so
// that gateways wait for each other and never in a circle, and reads the clock
// when it has them all.
func (p *Postgres) Renew(ctx context.Context, gateway string, reports []Report) ([]Grant, error) {
	grants := make([]Grant, len(reports))
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		rows, now, err := lockRows(ctx, tx, reports)
		if err != nil {
			return err
		}
		for _, i := range rowsInOrder(reports) {
			r := reports[i]
			rows[r.Row], grants[i] = decide(rows[r.Row], gateway, r, now, term)
		}
		return writeRows(ctx, tx, rows)
	})
	if err != nil {
		return nil, fmt.Errorf("renew leases: %w", err)
	}
	p.prune(ctx)
	return grants, nil
}

// lockRows makes the rows that are not there, and locks and reads all.
func lockRows(ctx context.Context, tx pgx.Tx, reports []Report) (map[string]Row, time.Time, error) {
	var names []string
	var kinds []int16
	var ends []*time.Time
	for _, i := range rowsInOrder(reports) {
		r := reports[i]
		if len(names) > 0 && names[len(names)-1] == r.Row {
			continue
		}
		names, kinds = append(names, r.Row), append(kinds, int16(r.Kind))
		if r.Ends.IsZero() {
			ends = append(ends, nil)
		} else {
			ends = append(ends, &r.Ends)
		}
	}
	var now time.Time
	_, err := tx.Exec(ctx, `INSERT INTO leases (name, kind, ends, row)
		SELECT n, k, e, '{}' FROM unnest($1::text[], $2::smallint[], $3::timestamptz[]) AS r (n, k, e)
		WHERE NOT EXISTS (SELECT 1 FROM leases WHERE name = n)
		ORDER BY n COLLATE "C" ON CONFLICT DO NOTHING`, names, kinds, ends)
	if err != nil {
		return nil, now, err
	}
	list, err := tx.Query(ctx, `SELECT name, row FROM leases WHERE name = ANY($1) ORDER BY name COLLATE "C" FOR UPDATE`, names)
	if err != nil {
		return nil, now, err
	}
	rows := map[string]Row{}
	var name string
	var text []byte
	_, err = pgx.ForEachRow(list, []any{&name, &text}, func() error {
		var row Row
		if err := json.Unmarshal(text, &row); err != nil {
			return fmt.Errorf("row %q cannot be read: %w", name, err)
		}
		rows[name] = row
		return nil
	})
	if err != nil {
		return nil, now, err
	}
	if len(rows) < len(names) {
		return nil, now, fmt.Errorf("%d of %d rows were removed meanwhile", len(names)-len(rows), len(names))
	}
	return rows, now, tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
}

func writeRows(ctx context.Context, tx pgx.Tx, rows map[string]Row) error {
	names, texts := make([]string, 0, len(rows)), make([]string, 0, len(rows))
	for name, row := range rows {
		text, err := json.Marshal(row)
		if err != nil {
			return err
		}
		names, texts = append(names, name), append(texts, string(text))
	}
	_, err := tx.Exec(ctx, `UPDATE leases SET row = r.t::jsonb, changed = now()
		FROM unnest($1::text[], $2::text[]) AS r (n, t) WHERE leases.name = r.n`, names, texts)
	return err
}

// prune removes rows whose windows are long over, now and then. What fails is
// tried again the next time.
func (p *Postgres) prune(ctx context.Context) {
	now, last := time.Now().UnixNano(), p.pruned.Load()
	if now-last < int64(time.Hour) || !p.pruned.CompareAndSwap(last, now) {
		return
	}
	_, _ = p.pool.Exec(ctx, `DELETE FROM leases WHERE name IN
		(SELECT name FROM leases WHERE ends < now() - $1::interval ORDER BY name COLLATE "C" LIMIT 10000 FOR UPDATE SKIP LOCKED)`, keepRows)
}

// WriteOff takes what is in doubt at a silent gateway as not spent, in every
// window, so that others can spend it, and returns how much that is in all. If
// the gateway has spent it all the same, the budgets are exceeded by as much when
// it reports.
func (p *Postgres) WriteOff(ctx context.Context, gateway string) (Money, error) {
	var freed int64
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		freed = 0
		list, err := tx.Query(ctx, `SELECT name FROM leases WHERE kind = $1 AND row->'shares' ? $2`, int16(KindMoney), gateway)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(list, pgx.RowTo[string])
		if err != nil || len(names) == 0 {
			return err
		}
		slices.Sort(names)
		reports := make([]Report, len(names))
		for i, name := range names {
			reports[i].Row = name
		}
		rows, now, err := lockRows(ctx, tx, reports)
		if err != nil {
			return err
		}
		for name, row := range rows {
			row, n := writeOff(row, gateway, now)
			rows[name] = row
			freed += n
		}
		return writeRows(ctx, tx, rows)
	})
	if err != nil {
		return 0, fmt.Errorf("write off what gateway %q holds: %w", gateway, err)
	}
	return Money(freed), nil
}
