package ledger

import (
	"context"
	"fmt"
	"time"
)

// eachPage is how many records Each reads at once: what it does with them, and the
// drain, go on between pages.
const eachPage = 1000

const strayPage = `SELECT record FROM exchanges WHERE id IN (SELECT id FROM strays WHERE start >= ?1 AND start < ?2 AND id > ?3 ORDER BY id LIMIT ?4) ORDER BY id`

// Each implements Reader. A page of records is read at a time, so the drain goes
// on meanwhile.
func (s *SQLite) Each(ctx context.Context, f Filter, do func(*Exchange) error) error {
	p := f.period()
	from, to := p.ids()
	regular := &pages{store: s, read: func(ctx context.Context, after string, take takeExchange) error {
		if after != "" {
			after += "\x00" // the next text
		}
		return walk{from: max(from, after), to: to}.eachOf(ctx, s.read, take)
	}}
	strays := &pages{store: s, stray: true, read: func(ctx context.Context, after string, take takeExchange) error {
		return eachRecord(ctx, s.read, strayPage, []any{p.from, p.to, after, eachPage}, take)
	}}
	for {
		a, err := regular.peek(ctx)
		if err != nil {
			return err
		}
		b, err := strays.peek(ctx)
		if err != nil {
			return err
		}
		next := regular
		switch {
		case a == nil && b == nil:
			return nil
		case a == nil || b != nil && b.ID < a.ID:
			next, a = strays, b
		}
		next.page = next.page[1:]
		if !f.passes(a) {
			continue
		}
		if err := do(a); err != nil {
			return err
		}
	}
}

// pages reads exchanges page by page, each from where the last one ended.
type pages struct {
	store *SQLite
	read  func(ctx context.Context, after string, take takeExchange) error
	stray bool // whether it is strays that are wanted
	after string
	page  []*Exchange
	ended bool
}

// peek returns the next exchange without taking it; nil at the end.
func (p *pages) peek(ctx context.Context) (*Exchange, error) {
	for len(p.page) == 0 && !p.ended {
		if err := p.next(ctx); err != nil {
			return nil, fmt.Errorf("ledger database: read exchanges: %w", err)
		}
	}
	if len(p.page) == 0 {
		return nil, nil
	}
	return p.page[0], nil
}

func (p *pages) next(ctx context.Context) error {
	p.store.mu.RLock()
	defer p.store.mu.RUnlock()
	n := 0
	err := p.read(ctx, p.after, func(ex *Exchange) bool {
		n++
		p.after = ex.ID
		if isStray(ex.ID, ex.Start) == p.stray {
			p.page = append(p.page, copyOf(ex))
		}
		return n < eachPage
	})
	p.ended = n < eachPage
	return err
}

// SpentBy is what was spent between two moments, zero ones being open, by the
// values of one column: the cost, and what was held for exchanges whose end
// nobody knows, in nano-dollars. Keys are told by their ids. A value for which
// nothing was spent is left out.
func SpentBy(ctx context.Context, r Reader, by string, from, to time.Time) (map[string]int64, error) {
	if by == ByKey {
		by = ByKeyID
	}
	rows, err := r.Usage(ctx, UsageQuery{By: []string{by}, Filter: Filter{From: from, To: to}})
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for i := range rows {
		if spent := rows[i].Cost + rows[i].Held; spent != 0 {
			out[*rows[i].group(by)] = spent
		}
	}
	return out, nil
}
