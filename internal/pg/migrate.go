package pg

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// migrationLock serialises gateways that start at the same time.
const migrationLock = 0x7461696c // "tail"

const migrationTable = `CREATE TABLE IF NOT EXISTS migrations (
	owner  text NOT NULL,
	number integer NOT NULL,
	name   text NOT NULL,
	sum    text NOT NULL,
	PRIMARY KEY (owner, number)
)`

// Migrate brings the tables of an owner up to date: the files *.sql of its
// directory, in the order of their names, each once, all in one transaction. An
// applied file is never changed: its checksum is kept and compared. A database
// that a newer version made is refused. Several gateways may call it at once.
func Migrate(ctx context.Context, pool *pgxpool.Pool, owner string, files fs.FS) error {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return err
	}
	slices.Sort(names)
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, migrationLock); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, migrationTable); err != nil {
			return err
		}
		var newest int
		if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(number), 0) FROM migrations WHERE owner = $1`, owner).Scan(&newest); err != nil {
			return err
		}
		if newest > len(names) {
			return fmt.Errorf("the tables were made by a newer version (schema %d, this program knows %d): use that version or restore a backup", newest, len(names))
		}
		for i, name := range names {
			text, err := fs.ReadFile(files, name)
			if err != nil {
				return err
			}
			if err := apply(ctx, tx, owner, i+1, name, text); err != nil {
				return fmt.Errorf("migration %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("PostgreSQL tables of %s: %w", owner, err)
	}
	return nil
}

func apply(ctx context.Context, tx pgx.Tx, owner string, number int, name string, text []byte) error {
	want := fmt.Sprintf("%x", sha256.Sum256(text))
	var sum string
	switch err := tx.QueryRow(ctx, `SELECT sum FROM migrations WHERE owner = $1 AND number = $2`, owner, number).Scan(&sum); {
	case err == nil && sum == want:
		return nil
	case err == nil:
		return errors.New("the tables were made with other text under this number: use the version that made them")
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	if _, err := tx.Exec(ctx, string(text)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO migrations (owner, number, name, sum) VALUES ($1, $2, $3, $4)`, owner, number, name, want)
	return err
}
