package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Migrations are numbered files that are applied in order, each once, all that
// are new in one transaction. An applied file is never changed: its checksum is
// kept in the database and compared at every start.

//go:embed migrations/*.sql
var migrationFiles embed.FS

type migration struct {
	number int
	name   string
	sql    string
	sum    string
}

// migrations reads the files; their numbers count from 1 without a gap.
func migrations(files fs.FS) ([]migration, error) {
	paths, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var out []migration
	for i, p := range paths {
		text, err := fs.ReadFile(files, p)
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(p, "migrations/")
		digits, _, _ := strings.Cut(name, "_")
		if n, err := strconv.Atoi(digits); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s: its number must be %04d", name, i+1)
		}
		out = append(out, migration{number: i + 1, name: name, sql: string(text), sum: fmt.Sprintf("%x", sha256.Sum256(text))})
	}
	return out, nil
}

// migrate brings the database up to date.
func migrate(ctx context.Context, db *sql.DB, list []migration) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	const table = `CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, sum TEXT NOT NULL)`
	if _, err := tx.ExecContext(ctx, table); err != nil {
		return err
	}
	var newest int
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(number), 0) FROM migrations`).Scan(&newest); err != nil {
		return err
	}
	if newest > len(list) {
		return fmt.Errorf("the database was made by a newer version (schema %d, this program knows %d): use that version or restore a backup", newest, len(list))
	}
	for _, m := range list {
		if err := m.apply(ctx, tx); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	return tx.Commit()
}

func (m migration) apply(ctx context.Context, tx *sql.Tx) error {
	var sum string
	switch err := tx.QueryRowContext(ctx, `SELECT sum FROM migrations WHERE number = ?`, m.number).Scan(&sum); {
	case err == nil && sum == m.sum:
		return nil
	case err == nil:
		return errors.New("the database was made with other text under this number: use the version that made it")
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	if _, err := tx.ExecContext(ctx, m.sql); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO migrations (number, name, sum) VALUES (?, ?, ?)`, m.number, m.name, m.sum)
	return err
}
