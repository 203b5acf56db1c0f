package facts

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tailplane/internal/pg"
)

//go:embed postgres/*.sql
var postgresFiles embed.FS

// Postgres is the Store that several gateways share. Writers wait for each
// other; readers for nobody.
type Postgres struct{ pool *pgxpool.Pool }

// OpenPostgres brings the tables of the facts up to date in a database. The pool
// stays the caller's: Close leaves it open.
func OpenPostgres(ctx context.Context, pool *pgxpool.Pool) (*Postgres, error) {
	files, err := fs.Sub(postgresFiles, "postgres")
	if err != nil {
		return nil, err
	}
	if err := pg.Migrate(ctx, pool, "facts", files); err != nil {
		return nil, err
	}
	return &Postgres{pool}, nil
}

// All implements Store.
func (p *Postgres) All(ctx context.Context) ([]Fact, int64, error) {
	list, newest, err := p.Since(ctx, 0)
	return slices.DeleteFunc(list, func(f Fact) bool { return f.Removed }), newest, err
}

// Since implements Store. The end of the trail is read first: what is written
// between the two questions is newer, and among the answers.
func (p *Postgres) Since(ctx context.Context, revision int64) ([]Fact, int64, error) {
	fail := func(err error) ([]Fact, int64, error) { return nil, 0, fmt.Errorf("read the facts: %w", err) }
	var newest int64
	if err := p.pool.QueryRow(ctx, `SELECT seq FROM facts_head`).Scan(&newest); err != nil {
		return fail(err)
	}
	rows, err := p.pool.Query(ctx, `SELECT kind, name, body, revision FROM facts WHERE revision > $1 ORDER BY revision`, revision)
	if err != nil {
		return fail(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Fact, err error) {
		err = row.Scan(&f.Kind, &f.Name, (*[]byte)(&f.Body), &f.Revision)
		f.Removed = f.Body == nil
		return f, err
	})
	if err != nil {
		return fail(err)
	}
	if n := len(list); n > 0 {
		newest = max(newest, list[n-1].Revision)
	}
	return list, newest, nil
}

// Apply implements Store.
func (p *Postgres) Apply(ctx context.Context, actor string, at time.Time, changes []Change) (revision int64, err error) {
	if err := check(actor, changes); err != nil {
		return 0, err // before the database complains in its own words
	}
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		var end head
		if err := tx.QueryRow(ctx, `SELECT seq, link FROM facts_head FOR UPDATE`).Scan(&end.seq, &end.link); err != nil {
			return err
		}
		held, err := named(ctx, tx, changes)
		if err != nil {
			return err
		}
		list, trail, err := plan(end, held, actor, at, changes)
		if err != nil || len(trail) == 0 {
			revision = end.seq
			return err
		}
		last := trail[len(trail)-1]
		revision = last.Seq
		var b pgx.Batch
		for i, f := range list {
			a := trail[i]
			b.Queue(`INSERT INTO facts (kind, name, body, revision) VALUES ($1, $2, $3, $4)
				ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body, revision = excluded.revision`, f.Kind, f.Name, []byte(f.Body), f.Revision)
			b.Queue(`INSERT INTO facts_audit (seq, at, actor, kind, name, before, after, link) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
				a.Seq, a.At.UnixMicro(), a.Actor, a.Kind, a.Name, []byte(a.Before), []byte(a.After), a.Link)
		}
		b.Queue(`UPDATE facts_head SET seq = $1, link = $2`, last.Seq, last.Link)
		return tx.SendBatch(ctx, &b).Close()
	})
	switch {
	case err == nil:
		return revision, nil
	case errors.Is(err, ErrConflict), errors.Is(err, ErrInvalid):
		return 0, err
	case pg.Down(err):
		return 0, fmt.Errorf("change the facts: the database that the gateways share cannot be reached; nothing was changed as far as is known: look at it, then repeat the change: %w", err)
	}
	return 0, fmt.Errorf("change the facts: %w", err)
}

// named are the documents that changes are about. The trail's end is locked, so
// that nobody changes them meanwhile.
func named(ctx context.Context, tx pgx.Tx, changes []Change) (map[id]Fact, error) {
	kinds, names := make([]string, len(changes)), make([]string, len(changes))
	for i, c := range changes {
		kinds[i], names[i] = c.Kind, c.Name
	}
	rows, err := tx.Query(ctx, `SELECT f.kind, f.name, f.body, f.revision FROM facts f
		JOIN unnest($1::text[], $2::text[]) AS c (kind, name) ON f.kind = c.kind AND f.name = c.name`, kinds, names)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	held := make(map[id]Fact, len(changes))
	for rows.Next() {
		var f Fact
		if err := rows.Scan(&f.Kind, &f.Name, (*[]byte)(&f.Body), &f.Revision); err != nil {
			return nil, err
		}
		f.Removed = f.Body == nil
		held[id{f.Kind, f.Name}] = f
	}
	return held, rows.Err()
}

// Audit implements Store.
func (p *Postgres) Audit(ctx context.Context, q AuditQuery) ([]Audit, error) {
	where, args := q.where(func(n int) string { return "$" + strconv.Itoa(n) })
	rows, err := p.pool.Query(ctx, `SELECT seq, at, actor, kind, name, before, after, link FROM facts_audit`+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Audit, error) { return scanAudit(row.Scan) })
	if err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	return list, nil
}

// Close implements Store.
func (p *Postgres) Close() error { return nil }
