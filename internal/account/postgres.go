package account

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tailplane/internal/pg"
)

// Postgres is where gateways meet: each renewal is one transaction, and the
// database's clock is the only one that counts.
type Postgres struct {
	pool *pgxpool.Pool
	term time.Duration
}

//go:embed migrations/*.sql
var migrationFiles embed.FS

// forgotten is when a row is removed that nobody has touched: its window is over,
// or its budget gone.
const forgotten = 400 * 24 * time.Hour

// OpenPostgres brings the tables up to date. A gateway that is not heard of for a
// term loses what lies above its marks. The pool stays its owner's.
func OpenPostgres(ctx context.Context, pool *pgxpool.Pool, term time.Duration) (*Postgres, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	if err := pg.Migrate(ctx, pool, "account", files); err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, `DELETE FROM account_leases WHERE touched < now() - $1::interval`, forgotten); err != nil {
		return nil, fmt.Errorf("leases in PostgreSQL: %w", err)
	}
	return &Postgres{pool, term}, nil
}

// Renew implements Shared. Rows are locked in the order of their keys, so that two
// gateways cannot wait for each other.
func (p *Postgres) Renew(ctx context.Context, gateway string, reports []RowReport) (out Renewal, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		const alive = `WITH own AS (INSERT INTO account_gateways (name, seen) VALUES ($1, clock_timestamp())
			ON CONFLICT (name) DO UPDATE SET seen = clock_timestamp())
			SELECT 1 + count(*) FROM account_gateways WHERE name <> $1 AND seen > clock_timestamp() - $2::interval`
		if err := tx.QueryRow(ctx, alive, gateway, p.term).Scan(&out.Gateways); err != nil || len(reports) == 0 {
			return err
		}
		rows, now, err := lockRows(ctx, tx, reports)
		if err != nil {
			return err
		}
		out.Grants = make([]Grant, len(reports))
		for i, rep := range reports {
			row := rows[rep.Key]
			row.Amount = rep.Amount
			out.Grants[i] = row.Renew(gateway, rep.Report, now, p.term)
		}
		return storeRows(ctx, tx, rows)
	})
	if err != nil {
		return Renewal{}, fmt.Errorf("leases in PostgreSQL: %w", err)
	}
	return out, nil
}

// lockRows makes the rows of the reports where they are missing, and locks them.
func lockRows(ctx context.Context, tx pgx.Tx, reports []RowReport) (map[string]*Row, time.Time, error) {
	keys := make([]string, len(reports))
	for i, rep := range reports {
		keys[i] = rep.Key
	}
	slices.Sort(keys)
	var now time.Time
	if _, err := tx.Exec(ctx, `INSERT INTO account_leases (key, shares) SELECT key, '{}' FROM unnest($1::text[]) AS new (key) ON CONFLICT DO NOTHING`, keys); err != nil {
		return nil, now, err
	}
	found, err := tx.Query(ctx, `SELECT key, shares FROM account_leases WHERE key = ANY ($1) ORDER BY key FOR UPDATE`, keys)
	if err != nil {
		return nil, now, err
	}
	rows := map[string]*Row{}
	var key string
	var raw []byte
	_, err = pgx.ForEachRow(found, []any{&key, &raw}, func() error {
		row := new(Row)
		rows[key] = row
		return json.Unmarshal(raw, row)
	})
	if err != nil {
		return nil, now, err
	}
	if len(rows) != len(slices.Compact(keys)) {
		return nil, now, errors.New("rows that were just made are not there")
	}
	// Read when the locks are held: it is the moment at which the rows change.
	return rows, now, tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
}

func storeRows(ctx context.Context, tx pgx.Tx, rows map[string]*Row) error {
	keys, texts := make([]string, 0, len(rows)), make([]string, 0, len(rows))
	for key, row := range rows {
		raw, err := json.Marshal(row)
		if err != nil {
			return err
		}
		keys, texts = append(keys, key), append(texts, string(raw))
	}
	_, err := tx.Exec(ctx, `UPDATE account_leases l SET shares = new.shares::jsonb, touched = now()
		FROM unnest($1::text[], $2::text[]) AS new (key, shares) WHERE l.key = new.key`, keys, texts)
	return err
}

// WriteOff gives back what is in doubt of a gateway that will not return, in every
// row, and says how much that is, in nano-dollars.
func (p *Postgres) WriteOff(ctx context.Context, gateway string) (sum int64, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		sum = 0
		found, err := tx.Query(ctx, `SELECT key FROM account_leases WHERE shares -> 'shares' ? $1 ORDER BY key`, gateway)
		if err != nil {
			return err
		}
		keys, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil || len(keys) == 0 {
			return err
		}
		reports := make([]RowReport, len(keys))
		for i, key := range keys {
			reports[i].Key = key
		}
		rows, now, err := lockRows(ctx, tx, reports)
		if err != nil {
			return err
		}
		for _, row := range rows {
			sum += row.WriteOff(gateway, now)
		}
		return storeRows(ctx, tx, rows)
	})
	if err != nil {
		return 0, fmt.Errorf("leases in PostgreSQL: %w", err)
	}
	return sum, nil
}
