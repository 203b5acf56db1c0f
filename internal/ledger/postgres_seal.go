package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// seal seals, behind the seals of a gateway, what a transaction has inserted. The
// transaction holds the gateway's position.
func sealPg(ctx context.Context, tx pgx.Tx, gateway string, entries []entry) error {
	if len(entries) == 0 {
		return nil
	}
	var c chain
	if err := tx.QueryRow(ctx, `SELECT seals, sealed, head FROM ledger_positions WHERE gateway = $1`, gateway).Scan(&c.seals, &c.sealed, &c.head); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	row := c.seal(entries, nil)
	if _, err := tx.Exec(ctx, `INSERT INTO ledger_seals (gateway, seq, count, batch, link) VALUES ($1, $2, $3, $4, $5)`, gateway, row.seq, row.count, row.batch, row.link); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE ledger_positions SET seals = $2, sealed = $3, head = $4 WHERE gateway = $1`, gateway, c.seals, c.sealed, c.head); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

// sealOld seals, once, what versions without seals have stored: of every gateway,
// since one that is gone never opens its ledger again.
func (s *Postgres) sealOld(ctx context.Context) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT gateway FROM ledger_positions WHERE seals < 0 ORDER BY gateway FOR UPDATE`)
		if err != nil {
			return err
		}
		gateways, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range gateways {
			if err := sealOldOf(ctx, tx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

func sealOldOf(ctx context.Context, tx pgx.Tx, gateway string) error {
	if _, err := tx.Exec(ctx, `UPDATE ledger_positions SET seals = 0 WHERE gateway = $1`, gateway); err != nil {
		return err
	}
	for after := ""; ; {
		rows, err := tx.Query(ctx, `SELECT record FROM ledger_exchanges WHERE gateway = $1 AND id > $2 ORDER BY id LIMIT $3`, gateway, after, drainBatch)
		if err != nil {
			return err
		}
		records, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		if err != nil {
			return err
		}
		var b recordBatch
		for _, record := range records {
			if err := b.addRecord(record); err != nil {
				return err
			}
		}
		if err := sealPg(ctx, tx, gateway, b.entries); err != nil {
			return err
		}
		if len(records) < drainBatch {
			return nil
		}
		after = b.entries[len(b.entries)-1].id
	}
}

// SealHead is the last link of the seals, in hexadecimal, and how many records
// they have, over all gateways: kept elsewhere, it shows later that none of them
// went.
func (s *Postgres) SealHead(ctx context.Context) (link string, count int64, err error) {
	list, err := s.chains(ctx)
	if err != nil {
		return "", 0, fmt.Errorf("ledger in PostgreSQL: read the head of the seals: %w", err)
	}
	return headOf(list)
}

// VerifyStore is SQLite.VerifyStore over the seals of every gateway.
func (s *Postgres) VerifyStore(ctx context.Context) (StoreReport, error) {
	r, err := verifyStore(ctx, s)
	if err == nil {
		err = s.verifyDays(ctx, &r)
	}
	if err != nil {
		return r, fmt.Errorf("ledger in PostgreSQL: verify: %w", err)
	}
	return r, nil
}

func (s *Postgres) chains(ctx context.Context) ([]chain, error) {
	// A gateway whose position is gone has its seals still.
	rows, err := s.pool.Query(ctx, `SELECT gateway, COALESCE(p.seals, 0), COALESCE(p.sealed, 0), COALESCE(p.head, '')
		FROM (SELECT gateway FROM ledger_positions UNION SELECT gateway FROM ledger_seals) g LEFT JOIN ledger_positions p USING (gateway) ORDER BY gateway`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c chain, err error) {
		err = row.Scan(&c.name, &c.seals, &c.sealed, &c.head)
		return c, err
	})
}

func (s *Postgres) nextSeal(ctx context.Context, gateway string, after int64) (row storedSeal, ok bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT seq, count, batch, link FROM ledger_seals WHERE gateway = $1 AND seq > $2 ORDER BY seq LIMIT 1`, gateway, after).
		Scan(&row.seq, &row.count, &row.batch, &row.link)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, false, nil
	}
	return row, err == nil, err
}

func (s *Postgres) digests(ctx context.Context, ids []string) (found map[string]digest, pruned int64, err error) {
	found = make(map[string]digest, len(ids))
	err = s.snapshot(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT pruned FROM ledger_state`).Scan(&pruned); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, record FROM ledger_exchanges WHERE id = ANY ($1::text[])`, ids)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var record []byte
			if err := rows.Scan(&id, &record); err != nil {
				return err
			}
			found[id] = digestOf(record)
		}
		return rows.Err()
	})
	return found, pruned, err
}

func (s *Postgres) storedPage(ctx context.Context, after string) (ids []string, records [][]byte, err error) {
	rows, err := s.pool.Query(ctx, `SELECT id, record FROM ledger_exchanges WHERE id > $1 ORDER BY id LIMIT $2`, after, eachPage)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var record []byte
		if err := rows.Scan(&id, &record); err != nil {
			return nil, nil, err
		}
		ids, records = append(ids, id), append(records, record)
	}
	return ids, records, rows.Err()
}

func (s *Postgres) summedHours(ctx context.Context) ([]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT floor(part / $1::numeric)::bigint AS hour FROM ledger_rollup ORDER BY hour`, partsPerHour)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

func (s *Postgres) recount(ctx context.Context, hour int64) (stored, counted *rollup, pruned int64, err error) {
	stored, counted = &rollup{}, &rollup{}
	count := func(ex *Exchange, _ []byte) bool {
		counted.add(ex)
		return true
	}
	p := period{hour * microsPerHour, (hour + 1) * microsPerHour}
	err = s.snapshot(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT pruned FROM ledger_state`).Scan(&pruned); err != nil {
			return err
		}
		if err := eachPgPart(ctx, tx, hour, hour+1, "", stored.merge); err != nil {
			return err
		}
		if err := eachPgRegular(ctx, tx, p, "", count); err != nil {
			return err
		}
		return eachPgStray(ctx, tx, p, "", count)
	})
	return stored, counted, pruned, err
}
