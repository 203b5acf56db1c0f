package facts

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

//go:embed sqlite/*.sql
var sqliteFiles embed.FS

// SQLite is the Store of one gateway: one database file. A change is on the disk
// when Apply returns. It has one connection, so that calls wait for each other;
// none is on the way of a request.
type SQLite struct{ db *sql.DB }

// OpenSQLite opens or creates the database at path, readable for its owner
// alone, and brings its tables up to date. The directory must exist. A file that
// a newer version made is refused.
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	fail := func(err error) error { return fmt.Errorf("open the facts %s: %w", path, err) }
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // the driver would make it for everybody
	if err != nil {
		return nil, fail(err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return nil, fail(err)
	}
	address := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	db, err := sql.Open("sqlite", address)
	if err != nil {
		return nil, fail(err)
	}
	db.SetMaxOpenConns(1)
	if err := migrateSQLite(ctx, db, sqliteFiles); err != nil {
		return nil, errors.Join(fail(err), db.Close())
	}
	return &SQLite{db}, nil
}

// migrateSQLite applies the files that are not applied, in the order of their
// names, all in one transaction. An applied file is never changed: its checksum
// is kept and compared.
func migrateSQLite(ctx context.Context, db *sql.DB, files fs.FS) error {
	names, err := fs.Glob(files, "sqlite/*.sql")
	if err != nil {
		return err
	}
	slices.Sort(names)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, sum TEXT NOT NULL)`); err != nil {
		return err
	}
	var newest int
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(number), 0) FROM migrations`).Scan(&newest); err != nil {
		return err
	}
	if newest > len(names) {
		return fmt.Errorf("the database was made by a newer version (schema %d, this program knows %d): use that version or restore a backup", newest, len(names))
	}
	for i, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		want := fmt.Sprintf("%x", sha256.Sum256(text))
		var sum string
		switch err := tx.QueryRowContext(ctx, `SELECT sum FROM migrations WHERE number = ?`, i+1).Scan(&sum); {
		case err == nil && sum == want:
			continue
		case err == nil:
			return fmt.Errorf("migration %s: the database was made with other text under this number: use the version that made it", name)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO migrations (number, sum) VALUES (?, ?)`, i+1, want); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// All implements Store.
func (s *SQLite) All(ctx context.Context) ([]Fact, int64, error) {
	list, newest, err := s.Since(ctx, 0)
	return slices.DeleteFunc(list, func(f Fact) bool { return f.Removed }), newest, err
}

// Since implements Store.
func (s *SQLite) Since(ctx context.Context, revision int64) (list []Fact, newest int64, err error) {
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) FROM audit`).Scan(&newest); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT kind, name, body, revision FROM facts WHERE revision > ? ORDER BY revision`, revision)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var f Fact
			if err := rows.Scan(&f.Kind, &f.Name, (*[]byte)(&f.Body), &f.Revision); err != nil {
				return err
			}
			f.Removed = f.Body == nil
			newest = max(newest, f.Revision)
			list = append(list, f)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read the facts: %w", err)
	}
	return list, newest, nil
}

func (s *SQLite) transact(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Apply implements Store.
func (s *SQLite) Apply(ctx context.Context, actor string, at time.Time, changes []Change) (revision int64, err error) {
	err = s.transact(ctx, func(tx *sql.Tx) error {
		var end head
		err := tx.QueryRowContext(ctx, `SELECT seq, link FROM audit ORDER BY seq DESC LIMIT 1`).Scan(&end.seq, &end.link)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		held := make(map[id]Fact, len(changes))
		for _, c := range changes {
			f := Fact{Kind: c.Kind, Name: c.Name}
			switch err := tx.QueryRowContext(ctx, `SELECT body, revision FROM facts WHERE kind = ? AND name = ?`, c.Kind, c.Name).Scan((*[]byte)(&f.Body), &f.Revision); {
			case err == nil:
				f.Removed = f.Body == nil
				held[id{f.Kind, f.Name}] = f
			case !errors.Is(err, sql.ErrNoRows):
				return err
			}
		}
		list, trail, err := plan(end, held, actor, at, changes)
		if err != nil {
			return err
		}
		revision = end.seq + int64(len(trail))
		return s.keep(ctx, tx, list, trail)
	})
	if err != nil {
		return 0, fmt.Errorf("change the facts: %w", err)
	}
	return revision, nil
}

// keep writes documents and records. A nil body is no bytes, not empty ones.
func (s *SQLite) keep(ctx context.Context, tx *sql.Tx, list []Fact, trail []Audit) error {
	put, err := tx.PrepareContext(ctx, `INSERT INTO facts (kind, name, body, revision) VALUES (?, ?, ?, ?)
		ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body, revision = excluded.revision`)
	if err != nil {
		return err
	}
	defer put.Close()
	note, err := tx.PrepareContext(ctx, `INSERT INTO audit (seq, at, actor, kind, name, before, after, link) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer note.Close()
	for i, f := range list {
		if _, err := put.ExecContext(ctx, f.Kind, f.Name, []byte(f.Body), f.Revision); err != nil {
			return err
		}
		a := trail[i]
		if _, err := note.ExecContext(ctx, a.Seq, a.At.UnixMicro(), a.Actor, a.Kind, a.Name, []byte(a.Before), []byte(a.After), a.Link); err != nil {
			return err
		}
	}
	return nil
}

// Audit implements Store.
func (s *SQLite) Audit(ctx context.Context, q AuditQuery) ([]Audit, error) {
	where, args := q.where(func(int) string { return "?" })
	rows, err := s.db.QueryContext(ctx, `SELECT seq, at, actor, kind, name, before, after, link FROM audit`+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	defer rows.Close()
	var list []Audit
	for rows.Next() {
		a, err := scanAudit(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read the audit trail: %w", err)
		}
		list = append(list, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	return list, nil
}

// Close implements Store.
func (s *SQLite) Close() error { return s.db.Close() }
