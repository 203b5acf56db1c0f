package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

// SQLite is the embedded Store and Reader: one database file. Safe for
// concurrent use. Appending waits for the queries that run, and they for it: a
// batch takes some milliseconds. Why it is built so:
// docs/adr/0005-records-as-they-stand-sums-by-the-hour.md.
type SQLite struct {
	mu    sync.RWMutex // held to write by who changes the database
	write *sql.DB      // one connection
	read  *sql.DB

	move     *sql.Stmt // the position
	many     *sql.Stmt // inserts manyRows exchanges
	one      *sql.Stmt // inserts one
	addBlock *sql.Stmt
	nextPart *sql.Stmt
	addPart  *sql.Stmt
	end      *sql.Stmt // of the seals; see seal.go
	addSeal  *sql.Stmt
	moveEnd  *sql.Stmt

	known recentIDs // guarded by mu, for writing; so is what follows
	buf   []byte
	args  []any
	fit   []entryMilli
	rest  []entry

	appending sync.Mutex
	batch     recordBatch // of Append; guarded by appending
}

// manyRows is how many exchanges one statement inserts: enough that what a
// statement costs by itself does not count.
const manyRows = 64

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
	// FULL makes a batch durable before the journal may forget it. With a
	// rollback journal what is new in the file is written once; with a
	// write-ahead log it would be written twice and read once.
	base := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=page_size(16384)&_pragma=journal_mode(TRUNCATE)&_pragma=synchronous(FULL)"
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
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.openRecent(ctx); err != nil {
		return err
	}
	return s.sealOld(ctx)
}

func (s *SQLite) prepare(ctx context.Context) error {
	const row = "(?, ?)"
	insert := func(n int) string {
		return "INSERT INTO exchanges (id, record) VALUES " + strings.Repeat(row+", ", n-1) + row + " ON CONFLICT (id) DO NOTHING"
	}
	for _, st := range []struct {
		into **sql.Stmt
		text string
	}{
		{&s.move, `UPDATE state SET segment = ?1, offset = ?2 WHERE segment < ?1 OR segment = ?1 AND offset < ?2`},
		{&s.many, insert(manyRows)},
		{&s.one, insert(1)},
		{&s.addBlock, `INSERT INTO blocks (first, last, count, records) VALUES (?, ?, ?, ?)`},
		{&s.nextPart, `SELECT COALESCE(MAX(part) + 1, ?1) FROM rollup WHERE part >= ?1 AND part < ?2`},
		{&s.addPart, `INSERT INTO rollup (part, sums) VALUES (?, ?)`},
		{&s.end, `SELECT seals, sealed, head FROM state`},
		{&s.addSeal, `INSERT INTO seals (seq, count, batch, link) VALUES (?, ?, ?, ?)`},
		{&s.moveEnd, `UPDATE state SET seals = ?, sealed = ?, head = ?`},
	} {
		var err error
		if *st.into, err = s.write.PrepareContext(ctx, st.text); err != nil {
			return err
		}
	}
	return nil
}

// Append implements Store.
func (s *SQLite) Append(ctx context.Context, pos Position, batch []*Exchange) error {
	s.appending.Lock()
	defer s.appending.Unlock()
	defer s.batch.reset()
	for _, ex := range batch {
		s.batch.add(ex, appendExchange(nil, ex))
	}
	return s.appendRecords(ctx, pos, &s.batch)
}

// errConflict says that an id of the batch is already stored.
var errConflict = errors.New("an exchange with this id is stored")

// appendRecords implements recordStore. A batch without a conflict of ids, that
// is every batch of a gateway, goes in by blocks and by many rows at a time; else it
// is taken back and goes in row by row, so that the sums count what was inserted.
func (s *SQLite) appendRecords(ctx context.Context, pos Position, b *recordBatch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.known.add(b.entries) // also when nobody knows whether they are stored
	err := s.transact(ctx, pos, func(tx *sql.Tx) error {
		if err := s.insert(ctx, tx, b.entries); err != nil {
			return err
		}
		if err := s.seal(ctx, tx, b.entries); err != nil {
			return err
		}
		return s.addSums(ctx, tx, b.total())
	})
	if !errors.Is(err, errConflict) {
		return err
	}
	return s.transact(ctx, pos, func(tx *sql.Tx) error {
		var stored recordBatch
		for i, e := range b.entries {
			switch err := s.insert(ctx, tx, b.entries[i:i+1]); {
			case errors.Is(err, errConflict):
				continue
			case err != nil:
				return err
			}
			if err := stored.addRecord(e.record); err != nil {
				return err
			}
		}
		if err := s.seal(ctx, tx, stored.entries); err != nil {
			return err
		}
		return s.addSums(ctx, tx, stored.total())
	})
}

// transact moves the position and does what goes with it, both or neither, and
// nothing when the position is already there.
func (s *SQLite) transact(ctx context.Context, pos Position, do func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("ledger database: begin: %w", err)
	}
	defer tx.Rollback()
	res, err := tx.StmtContext(ctx, s.move).ExecContext(ctx, int64(pos.Segment), pos.Offset)
	if err != nil {
		return fmt.Errorf("ledger database: move the position: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("ledger database: commit: %w", err)
	}
	return nil
}

// insertRows stores each entry in a row of its own, or returns errConflict, after
// which some of them are stored.
func (s *SQLite) insertRows(ctx context.Context, tx *sql.Tx, entries []entry) error {
	one, many := tx.StmtContext(ctx, s.one), tx.StmtContext(ctx, s.many)
	for len(entries) > 0 {
		st, n := one, 1
		if len(entries) >= manyRows {
			st, n = many, manyRows
		}
		s.args = s.args[:0]
		for i := range n {
			s.args = append(s.args, entries[i].id, entries[i].record)
		}
		res, err := st.ExecContext(ctx, s.args...)
		clear(s.args)
		if err != nil {
			return fmt.Errorf("ledger database: store exchange %s and %d more: %w", entries[0].id, n-1, err)
		}
		if got, err := res.RowsAffected(); err != nil {
			return fmt.Errorf("ledger database: store exchange %s and %d more: %w", entries[0].id, n-1, err)
		} else if got != int64(n) {
			return errConflict
		}
		for i := range n {
			if err := noteStray(ctx, tx, &entries[i]); err != nil {
				return err
			}
		}
		entries = entries[n:]
	}
	return nil
}

func noteStray(ctx context.Context, tx *sql.Tx, e *entry) error {
	if !e.stray {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO strays (start, id) VALUES (?, ?)`, e.start, e.id); err != nil {
		return fmt.Errorf("ledger database: note when exchange %s began: %w", e.id, err)
	}
	return nil
}

// Each hour has partsPerHour numbers for parts; when mergeParts are in use they
// become one, so that neither writing nor reading an hour costs much.
const (
	partsPerHour = 64
	mergeParts   = 16
)

// addSums stores a rollup, as a part of each hour that it has.
func (s *SQLite) addSums(ctx context.Context, tx *sql.Tx, r *rollup) error {
	for _, hour := range r.hours() {
		if err := s.addHour(ctx, tx, r, hour); err != nil {
			return fmt.Errorf("ledger database: sum up: %w", err)
		}
		if err := dayChanged(ctx, tx, hour); err != nil {
			return fmt.Errorf("ledger database: sum up: %w", err)
		}
	}
	return nil
}

func (s *SQLite) addHour(ctx context.Context, tx *sql.Tx, r *rollup, hour int64) error {
	from, to := hour*partsPerHour, (hour+1)*partsPerHour
	next := from
	err := tx.StmtContext(ctx, s.nextPart).QueryRowContext(ctx, from, to).Scan(&next)
	if err != nil {
		return err
	}
	if next-from >= mergeParts {
		if r, err = mergedHour(ctx, tx, r, hour); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM rollup WHERE part >= ? AND part < ?`, from, to); err != nil {
			return err
		}
		next = from
	}
	s.buf = r.encode(s.buf[:0], hour)
	_, err = tx.StmtContext(ctx, s.addPart).ExecContext(ctx, next, s.buf)
	return err
}

// mergedHour is the stored parts of an hour and the cells that r has of it.
func mergedHour(ctx context.Context, tx *sql.Tx, r *rollup, hour int64) (*rollup, error) {
	all := &rollup{}
	if err := eachPart(ctx, tx, hour, hour+1, all.merge); err != nil {
		return nil, err
	}
	for i := range r.cells {
		if r.cells[i].hour == hour {
			all.merge(&r.cells[i], &r.sums[i])
		}
	}
	return all, nil
}

// merge adds a cell of another rollup. The bounds on sets of tags and on names hold for
// the sum, too.
func (r *rollup) merge(c *cell, s *sums) {
	to := *c
	to.tags, to.model = r.tagSet(c.tags), r.modelOf(c)
	r.at(to).add(s)
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// eachPart calls each for every stored cell of the hours in [from, to).
func eachPart(ctx context.Context, db querier, from, to int64, each func(*cell, *sums)) error {
	rows, err := db.QueryContext(ctx, `SELECT part, sums FROM rollup WHERE part >= ? AND part < ? ORDER BY part`, from*partsPerHour, to*partsPerHour)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var part int64
		var data sql.RawBytes
		if err := rows.Scan(&part, &data); err != nil {
			return err
		}
		if err := decodeRollup(data, floorDiv(part, partsPerHour), each); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Position implements Store.
func (s *SQLite) Position(ctx context.Context) (Position, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var p Position
	err := s.read.QueryRowContext(ctx, `SELECT segment, offset FROM state`).Scan(&p.Segment, &p.Offset)
	if err != nil {
		return Position{}, fmt.Errorf("ledger database: read the position: %w", err)
	}
	return p, nil
}

// Close implements Store.
func (s *SQLite) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range []*sql.Stmt{s.move, s.many, s.one, s.addBlock, s.nextPart, s.addPart, s.end, s.addSeal, s.moveEnd} {
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
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found string
	n := 0
	err := walk{from: id, to: id + afterAll}.each(ctx, s.read, func(have, record string) bool {
		if n++; n == 1 {
			found = record
		}
		return n == 1 && have != id
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("ledger database: look up %s: %w", id, err)
	case n > 1:
		return nil, ErrAmbiguous
	case n == 0:
		return nil, ErrNotFound
	}
	ex := new(Exchange)
	if err := decodeInto(ex, found); err != nil {
		return nil, err
	}
	return ex, nil
}
