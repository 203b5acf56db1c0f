package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"

	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

// SQLite is the embedded Store and Reader: one database file, in WAL mode, with
// one writer. Readers never wait for it. Safe for concurrent use.
type SQLite struct {
	write *sql.DB // one connection
	read  *sql.DB
	add   *sql.Stmt
	try   *sql.Stmt // for an attempt
	buf   []byte    // guarded by the one write connection: Append holds it
}

// OpenSQLite opens or creates the database at path and brings its schema up to
// date. The directory must exist.
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	s := &SQLite{}
	if err := s.open(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger database %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *SQLite) open(ctx context.Context, path string) error {
	// FULL makes a batch durable before the journal may forget it.
	base := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	var err error
	if s.write, err = sql.Open("sqlite", base+"&_txlock=immediate"); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	list, err := migrations(migrationFiles)
	if err != nil {
		return err
	}
	if err := migrate(ctx, s.write, list); err != nil {
		return err
	}
	if s.read, err = sql.Open("sqlite", base+"&_pragma=query_only(1)"); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	if s.add, err = s.write.PrepareContext(ctx, addExchange); err != nil {
		return err
	}
	s.try, err = s.write.PrepareContext(ctx, addAttempt)
	return err
}

const (
	addExchange = `INSERT INTO exchanges (id, start, key, name, customer, model, outcome, fault, pricing,
input, cache_read, cache_write, output, reasoning, cost, record)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
	addAttempt = `INSERT INTO attempts (exchange, n, target, failed, pricing, input, cache_read, cache_write, output, reasoning, cost)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// Append implements Store.
func (s *SQLite) Append(ctx context.Context, pos Position, batch []*Exchange) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("ledger database: begin: %w", err)
	}
	defer tx.Rollback()
	res, err := tx.ExecContext(ctx, `UPDATE position SET segment = ?1, offset = ?2 WHERE segment < ?1 OR segment = ?1 AND offset < ?2`, int64(pos.Segment), pos.Offset)
	if err != nil {
		return fmt.Errorf("ledger database: move the position: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	add, try := tx.StmtContext(ctx, s.add), tx.StmtContext(ctx, s.try)
	for _, ex := range batch {
		if err := s.insert(ctx, add, try, ex); err != nil {
			return fmt.Errorf("ledger database: store exchange %s: %w", ex.ID, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("ledger database: commit: %w", err)
	}
	return nil
}

func (s *SQLite) insert(ctx context.Context, add, try *sql.Stmt, ex *Exchange) error {
	s.buf = appendExchange(s.buf[:0], ex)
	u := &ex.Usage
	res, err := add.ExecContext(ctx, ex.ID, micro(ex.Start), ex.Key, ex.Name, ex.Customer, ex.Model, string(ex.Outcome), string(ex.Fault),
		string(ex.PriceStatus), u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, ex.Cost, string(s.buf))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	seq, err := res.LastInsertId()
	if err != nil {
		return err
	}
	for i := range ex.Attempts {
		a := &ex.Attempts[i]
		u := &a.Usage
		_, err := try.ExecContext(ctx, seq, i, a.Target, a.Fault != "", string(a.Priced),
			u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, a.Cost)
		if err != nil {
			return err
		}
	}
	return nil
}

// Position implements Store.
func (s *SQLite) Position(ctx context.Context) (Position, error) {
	var p Position
	err := s.write.QueryRowContext(ctx, `SELECT segment, offset FROM position`).Scan(&p.Segment, &p.Offset)
	if err != nil {
		return Position{}, fmt.Errorf("ledger database: read the position: %w", err)
	}
	return p, nil
}

// Close implements Store.
func (s *SQLite) Close() error {
	var errs []error
	for _, st := range []*sql.Stmt{s.add, s.try} {
		if st != nil {
			errs = append(errs, st.Close())
		}
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Get implements Reader.
func (s *SQLite) Get(ctx context.Context, id string) (*Exchange, error) {
	if id == "" || !utf8.ValidString(id) {
		return nil, ErrNotFound
	}
	// The upper bound keeps the search inside the index; substr decides.
	const q = `SELECT record, id = ?1 FROM exchanges WHERE id >= ?1 AND id <= ?1 || char(1114111) AND substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 2`
	rows, err := s.read.QueryContext(ctx, q, id)
	if err != nil {
		return nil, fmt.Errorf("ledger database: look up %s: %w", id, err)
	}
	defer rows.Close()
	var found []byte
	for n := 0; rows.Next(); n++ {
		var rec []byte
		var exact bool
		if err := rows.Scan(&rec, &exact); err != nil {
			return nil, fmt.Errorf("ledger database: look up %s: %w", id, err)
		}
		if n > 0 {
			return nil, ErrAmbiguous
		}
		found = rec
		if exact {
			break
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ledger database: look up %s: %w", id, err)
	}
	if found == nil {
		return nil, ErrNotFound
	}
	return decodeExchange(found)
}

// Recent implements Reader.
func (s *SQLite) Recent(ctx context.Context, limit int, f Filter) ([]*Exchange, error) {
	q, args := recentSQL(max(limit, 0), f)
	rows, err := s.read.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("ledger database: recent exchanges: %w", err)
	}
	defer rows.Close()
	out := []*Exchange{}
	for rows.Next() {
		var rec sql.RawBytes
		if err := rows.Scan(&rec); err != nil {
			return nil, fmt.Errorf("ledger database: recent exchanges: %w", err)
		}
		ex, err := decodeExchange(rec)
		if err != nil {
			return nil, fmt.Errorf("ledger database: recent exchanges: %w", err)
		}
		out = append(out, ex)
	}
	return out, rows.Err()
}

// Usage implements Reader.
func (s *SQLite) Usage(ctx context.Context, q UsageQuery) ([]UsageRow, error) {
	if err := checkBy(q.By); err != nil {
		return nil, err
	}
	text, args := usageSQL(q)
	rows, err := s.read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("ledger database: usage: %w", err)
	}
	defer rows.Close()
	out := []UsageRow{}
	for rows.Next() {
		var r UsageRow
		if err := rows.Scan(r.scanTargets(q.By)...); err != nil {
			return nil, fmt.Errorf("ledger database: usage: %w", err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
