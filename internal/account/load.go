package account

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// settled is how long after its creation a budget's balance is read again: an
// exchange that ran when it was created settles later, and only the ledger knows.
const (
	settled     = 20 * time.Minute
	reloadEvery = 30 * time.Second
	retryEvery  = time.Second
)

// Load reads from the ledger what new budgets have spent. Until that has been done
// they refuse; it is done at the start, and after every change of rules.
func (a *Accounts) Load(ctx context.Context, now time.Time) error {
	_, err := a.load(ctx, now, false)
	return err
}

// Run reads balances again as long as they may change, and those that could not be
// read, and renews leases, until ctx ends.
func (a *Accounts) Run(ctx context.Context) error {
	var leases sync.WaitGroup
	defer leases.Wait()
	if a.opt.Shared != nil {
		leases.Go(func() { a.runLeases(ctx) })
	}
	tick := time.NewTimer(retryEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			again := now.Sub(last) >= reloadEvery
			if again {
				last = now
			}
			_, _ = a.load(ctx, now, again) // what could not be read is tried again, and refuses until then
			tick.Reset(retryEvery)
		}
	}
}

// question is one that the ledger is asked: the budgets of a level whose window
// and creation are the same are read together.
type question struct {
	level          Level
	start, created int64
}

// load reads balances; with again, also those that may have changed since they
// were read.
func (a *Accounts) load(ctx context.Context, now time.Time, again bool) (read int, err error) {
	if a.opt.Balances == nil {
		return 0, nil
	}
	due := map[question][]*Account{}
	a.mu.Lock()
	for _, accounts := range a.byName {
		for _, acc := range accounts {
			acc.eachBudget(now, func(b *budget) {
				if !b.loaded || again && b.created.After(b.start) && now.Sub(b.created) < settled {
					q := question{acc.Level, b.start.UnixNano(), b.created.UnixNano()}
					if b.start.IsZero() {
						q.start = 0
					}
					due[q] = append(due[q], acc)
				}
			})
		}
	}
	a.mu.Unlock()
	var errs []error
	for q, accounts := range due {
		from := time.Unix(0, q.start).UTC()
		if q.start == 0 {
			from = time.Time{}
		}
		spent, err := a.opt.Balances(ctx, q.level, from, time.Unix(0, q.created).UTC())
		if err != nil {
			errs = append(errs, fmt.Errorf("read what budgets have spent: %w", err))
			continue
		}
		read += len(accounts)
		for _, acc := range accounts {
			acc.eachBudget(now, func(b *budget) {
				if b.created.UnixNano() == q.created && (b.start.IsZero() && q.start == 0 || b.start.UnixNano() == q.start) {
					b.base, b.loaded = spent[acc.Name], true
				}
			})
		}
	}
	return read, errors.Join(errs...)
}

func (a *Account) eachBudget(now time.Time, f func(*budget)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.budgets {
		b.roll(now)
		f(b)
	}
}

// runLeases renews leases: soon when one is low, and in any case well within the
// term.
func (a *Accounts) runLeases(ctx context.Context) {
	pause := min(a.opt.Term/10, time.Second)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.rounds.kick:
		}
		_ = a.renew(ctx, time.Now(), a.opt.Term) // requests tell when a lease is used up
	}
}
