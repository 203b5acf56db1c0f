package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/egress"
	"tailplane/internal/facts"
	"tailplane/internal/ledger"
	"tailplane/internal/pg"
)

// stores are where the ledger, facts and leases are kept: in the state directory, in
// memory, or in the database that several gateways share.
type stores struct {
	records records
	prune   func(context.Context, time.Time) (int64, error) // nil when nothing outlives the process
	head    func(context.Context) (link string, count int64, err error)
	facts   facts.Store
	leases  *account.Postgres // nil: this gateway is alone
	gateway string
	// own is the usage of this gateway alone, where others share the ledger.
	own func(context.Context, ledger.UsageQuery) ([]ledger.UsageRow, error)
	// disconnect lets go of the database; nil where there is none.
	disconnect func()
}

func (s *stores) close() error {
	err := errors.Join(s.records.Close(), s.facts.Close())
	if s.disconnect != nil {
		s.disconnect()
	}
	return err
}

// openStores opens those of a state directory; empty keeps everything in memory.
func (s *Server) openStores(ctx context.Context, dir string) (*stores, error) {
	switch {
	case !s.file.Store.IsZero():
		return s.openShared(ctx)
	case dir == "":
		return &stores{records: ledger.NewMemory(0), facts: facts.NewMemory()}, nil
	}
	path := filepath.Join(dir, "ledger.db")
	if err := private(path); err != nil {
		return nil, err
	}
	sqlite, err := ledger.OpenSQLite(ctx, path)
	if err != nil {
		return nil, err
	}
	kept, err := facts.OpenSQLite(ctx, filepath.Join(dir, "facts.db"))
	if err != nil {
		return nil, errors.Join(err, sqlite.Close())
	}
	return &stores{records: sqlite, prune: sqlite.Prune, head: sqlite.SealHead, facts: kept}, nil
}

// openTime is how long the shared database may take at the start.
const openTime = 15 * time.Second

// openShared opens the database that several gateways share. It must be there at
// the start; later it may be away.
func (s *Server) openShared(ctx context.Context) (_ *stores, err error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	c := s.file.Store
	address, err := c.Postgres.Resolve()
	if err != nil {
		return nil, fmt.Errorf("store.postgres: %w", err)
	}
	name := c.Gateway
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("store.gateway: the host has no name: %w; write one", err)
		}
	}
	out, err := s.network.Dialer(egress.Way{})
	if err != nil {
		return nil, err
	}
	pool, err := pg.Open(ctx, address.Reveal(), pg.Options{Dial: out.DialContext})
	if err != nil {
		return nil, fmt.Errorf("store.postgres: %w", err)
	}
	defer func() {
		if err != nil {
			pool.Close()
			err = fmt.Errorf("the database of store.postgres cannot be used: %w", err)
		}
	}()
	kept, err := facts.OpenPostgres(ctx, pool)
	if err != nil {
		return nil, err
	}
	store, err := ledger.OpenPostgres(ctx, pool, name)
	if err != nil {
		return nil, err
	}
	leases, err := account.OpenPostgres(ctx, pool)
	if err != nil {
		return nil, err
	}
	return &stores{
		records: store, prune: store.Prune, head: store.SealHead, facts: kept,
		leases: leases, gateway: name, own: store.OwnUsage, disconnect: pool.Close,
	}, nil
}

// openAccounts makes the live limits and budgets. What budgets have spent is what
// the ledger says.
func (s *Server) openAccounts() {
	o := account.Options{
		Balances: s.balances(s.kept.records.Usage), Notify: s.warn,
		Failed: func(err error) {
			s.log.Warn("budgets cannot be told what was spent or leased; hard ones refuse what they cannot be sure of", "error", err)
		},
	}
	if s.kept.leases != nil {
		o.Shared, o.Gateway, o.OwnBalances = s.kept.leases, s.kept.gateway, s.balances(s.kept.own)
	}
	s.accounts, s.estimates = account.New(o), account.NewEstimator(0)
}

// columns are those of the ledger that hold the names of a level.
var columns = map[account.Level]struct {
	by  string
	get func(*ledger.UsageRow) string
}{
	account.Organisation: {ledger.ByOrganisation, func(r *ledger.UsageRow) string { return r.Organisation }},
	account.Team:         {ledger.ByTeam, func(r *ledger.UsageRow) string { return r.Team }},
	account.Customer:     {ledger.ByCustomer, func(r *ledger.UsageRow) string { return r.Customer }},
	account.Key:          {ledger.ByKeyID, func(r *ledger.UsageRow) string { return r.KeyID }},
}

// balances is what each name of a level has spent, as a ledger says.
func (s *Server) balances(usage func(context.Context, ledger.UsageQuery) ([]ledger.UsageRow, error)) func(context.Context, account.Level, time.Time, time.Time) (map[string]int64, error) {
	return func(ctx context.Context, level account.Level, from, to time.Time) (map[string]int64, error) {
		column, ok := columns[level]
		if !ok {
			return nil, fmt.Errorf("budgets of a %s are not in the ledger", level)
		}
		if err := s.journal.Flush(ctx); err != nil {
			return nil, err
		}
		rows, err := usage(ctx, ledger.UsageQuery{By: []string{column.by}, Filter: ledger.Filter{From: from, To: to}})
		if err != nil {
			return nil, err
		}
		spent := make(map[string]int64, len(rows))
		for i := range rows {
			spent[column.get(&rows[i])] += rows[i].Cost + rows[i].Held
		}
		return spent, nil
	}
}

// learnBalances reads what budgets that are new have spent, so that hard ones can
// admit. What fails is tried again in the background.
func (s *Server) learnBalances(ctx context.Context) {
	if err := s.accounts.Load(ctx, time.Now()); err != nil {
		s.log.Warn("what budgets have spent is not known yet; hard ones refuse until it is", "error", err)
	}
}
