package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// openRecent makes the store know what it may have already.
func (s *SQLite) openRecent(ctx context.Context) error {
	// An id of another form may be greater than all of the gateway's.
	const newest = `SELECT MAX(COALESCE((SELECT id FROM exchanges WHERE id >= ?1 AND id < ?2 AND length(id) = ?3 AND id NOT IN (SELECT id FROM strays) ORDER BY id DESC LIMIT 1), ''),
		COALESCE((SELECT MAX(last) FROM blocks), ''))`
	var id string
	if err := s.write.QueryRowContext(ctx, newest, idPrefix, idAfter, idLen).Scan(&id); err != nil {
		return err
	}
	milli := int64(-1)
	if id != "" {
		milli = idBound(id, idAlphabet[len(idAlphabet)-1])
	}
	s.known = newRecentIDs(milli)
	return nil
}

// insert stores the entries, or returns errConflict, after which some of them are
// stored and the transaction is of no use. What may be stored already goes in as
// rows, and so does what is too far from others to share a block.
func (s *SQLite) insert(ctx context.Context, tx *sql.Tx, entries []entry) error {
	s.fit, s.rest = s.fit[:0], s.rest[:0]
	defer func() {
		clear(s.fit)
		clear(s.rest)
	}()
	for i := range entries {
		e := &entries[i]
		if milli, ok := idMilli(e.id); ok && !e.stray && s.known.vouches(e.id, milli) {
			s.fit = append(s.fit, entryMilli{e, milli})
		} else {
			s.rest = append(s.rest, *e)
		}
	}
	unsure := len(s.rest)
	put := func(block []entryMilli) error { return s.insertBlock(ctx, tx, block) }
	if err := cutBlocks(s.fit, put, func(e entry) { s.rest = append(s.rest, e) }); err != nil {
		return err
	}
	blocks := openBlocks(tx)
	for i := range s.rest[:unsure] {
		switch _, found, err := blocks.find(ctx, s.rest[i].id); {
		case err != nil:
			return fmt.Errorf("ledger database: look for exchange %s: %w", s.rest[i].id, err)
		case found:
			return errConflict
		}
	}
	return s.insertRows(ctx, tx, s.rest)
}

func (s *SQLite) insertBlock(ctx context.Context, tx *sql.Tx, block []entryMilli) error {
	s.buf = s.buf[:0]
	for i := range block {
		s.buf = appendRecord(s.buf, block[i].record)
	}
	first, last := block[0].id, block[len(block)-1].id
	if _, err := tx.StmtContext(ctx, s.addBlock).ExecContext(ctx, first, last, len(block), s.buf); err != nil {
		return fmt.Errorf("ledger database: store exchange %s and %d more: %w", first, len(block)-1, err)
	}
	return nil
}

// blockReader finds records in blocks, and keeps what it read: ids that are looked for
// together were mostly stored together, so lie in the same blocks and in those beside.
type blockReader struct {
	db      querier
	read    map[int64]bool
	last    int64             // that had what was looked for
	records map[string]string // by id
}

func openBlocks(db querier) *blockReader {
	return &blockReader{db: db, read: map[int64]bool{}, records: map[string]string{}}
}

// find returns the record that blocks have under an id. What cannot be read of a
// block is not there.
func (b *blockReader) find(ctx context.Context, id string) (record string, found bool, err error) {
	if record, found = b.records[id]; found {
		return record, true, nil
	}
	if _, ok := idMilli(id); !ok {
		return "", false, nil
	}
	var near []int64
	err = eachRow(ctx, b.db, `SELECT n FROM blocks WHERE first >= ? AND first <= ? AND last >= ?`, []any{blocksFrom(id), id, id}, func(rows *sql.Rows) error {
		near = append(near, 0)
		return rows.Scan(&near[len(near)-1])
	})
	away := func(n int64) int64 { return max(n-b.last, b.last-n) }
	slices.SortFunc(near, func(n, m int64) int { return cmp.Compare(away(n), away(m)) })
	for _, n := range near {
		if b.read[n] {
			continue
		}
		if err := b.load(ctx, n); err != nil {
			return "", false, err
		}
		if record, found = b.records[id]; found {
			b.last = n
			return record, true, nil
		}
	}
	return "", false, err
}

func (b *blockReader) load(ctx context.Context, n int64) error {
	b.read[n] = true
	return eachRow(ctx, b.db, `SELECT records FROM blocks WHERE n = ?`, []any{n}, func(rows *sql.Rows) error {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return err
		}
		list, _ := decodeBlock(data, "", afterAll)
		for _, r := range list {
			b.records[r.id] = r.record
		}
		return nil
	})
}

// eachRow calls each for every row of a query, until it returns an error.
func eachRow(ctx context.Context, db querier, query string, args []any, each func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// walk is a way over the records with ids in [from, to).
type walk struct {
	from, to string
	down     bool // the greatest id first
	tolerant bool // pass over what cannot be read of a block, instead of errBlock
}

// afterAll is greater than every text.
const afterAll = "\xff"

// Rows and blocks come in one order: up, a block where its first id is; down, where
// its last is. Each part has an index for it, so nothing is sorted.
const (
	walkUp = `SELECT id, record, 0 FROM exchanges WHERE id >= ?1 AND id < ?2
		UNION ALL SELECT first, records, 1 FROM blocks WHERE first >= ?3 AND first < ?2 AND last >= ?1 ORDER BY 1`
	walkDown = `SELECT id, record, 0 FROM exchanges WHERE id >= ?1 AND id < ?2
		UNION ALL SELECT last, records, 1 FROM blocks WHERE last < ?3 AND last >= ?1 AND first < ?2 ORDER BY 1 DESC`
)

// each calls do for every record, until it says false.
func (w walk) each(ctx context.Context, db querier, do func(id, record string) bool) error {
	query, reach := walkUp, blocksFrom(w.from)
	if w.down {
		query, reach = walkDown, blocksTo(w.to)
	}
	rows, err := db.QueryContext(ctx, query, w.from, w.to, reach)
	if err != nil {
		return err
	}
	defer rows.Close()
	var open [][]stored // the rest of blocks, in the order of the walk
	for rows.Next() {
		var key string
		var data sql.RawBytes
		var block bool
		if err := rows.Scan(&key, &data, &block); err != nil {
			return err
		}
		// Whatever is still to be read comes after key.
		var more bool
		if open, more = w.merge(open, key, do); !more {
			return nil
		}
		if !block {
			if !do(key, string(data)) {
				return nil
			}
			continue
		}
		list, err := w.records(data)
		if err != nil {
			return err
		}
		open = append(open, list)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	last := afterAll
	if w.down {
		last = ""
	}
	w.merge(open, last, do)
	return nil
}

// records are those of a block that lie on the walk, in its order.
func (w walk) records(data []byte) ([]stored, error) {
	list, err := decodeBlock(data, w.from, w.to)
	if err != nil && !w.tolerant {
		return nil, err
	}
	if w.down {
		slices.Reverse(list)
	}
	return list, nil
}

// merge takes from open blocks what comes before a key, in order. It says whether do
// wants more.
func (w walk) merge(open [][]stored, key string, do func(id, record string) bool) (left [][]stored, more bool) {
	open = slices.DeleteFunc(open, func(list []stored) bool { return len(list) == 0 })
	for {
		next := -1
		for i := range open {
			if len(open[i]) == 0 {
				continue
			}
			if id := open[i][0].id; w.order(id, key) < 0 && (next < 0 || w.order(id, open[next][0].id) < 0) {
				next = i
			}
		}
		if next < 0 {
			return open, true
		}
		r := open[next][0]
		open[next] = open[next][1:]
		if !do(r.id, r.record) {
			return open, false
		}
	}
}

func (w walk) order(a, b string) int {
	if w.down {
		a, b = b, a
	}
	return strings.Compare(a, b)
}

// eachOf is walk.each with the exchanges. An exchange is valid during the call.
func (w walk) eachOf(ctx context.Context, db querier, do takeExchange) error {
	var scratch Exchange
	var failed error
	err := w.each(ctx, db, func(_, record string) bool {
		failed = decodeInto(&scratch, record)
		return failed == nil && do(&scratch)
	})
	if failed != nil {
		return failed
	}
	return err
}
