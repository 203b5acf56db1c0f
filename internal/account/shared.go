package account

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Shared is where several gateways meet. It runs each report on its row, all in one
// transaction with its own clock, and answers in their order. An error means that
// nothing is known about whether it did.
type Shared interface {
	Renew(ctx context.Context, gateway string, reports []RowReport) (Renewal, error)
}

// RowReport is a report for one row; the row is made when it is not there.
type RowReport struct {
	Key    string // level, name, period and window
	Amount int64
	Report
}

// Renewal is the answer to some reports.
type Renewal struct {
	Grants []Grant
	// Gateways is how many have been heard of within the term, this one included.
	Gateways int
}

// leaseWait is how long a request waits for the database when there is nothing to
// draw on.
const leaseWait = time.Second

// rounds lets requests wait for the next renewal, without one for each of them.
type rounds struct {
	kick chan struct{} // size 1: a renewal is wanted now

	mu     sync.Mutex
	done   chan struct{} // closed when the round that begins next has ended
	failed time.Time     // when the last round failed; zero when it did not
}

func newRounds() *rounds {
	return &rounds{kick: make(chan struct{}, 1), done: make(chan struct{})}
}

// begin returns what to close when the round has ended: whoever waits from now on
// waits for the one after.
func (r *rounds) begin() chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.done
	r.done = make(chan struct{})
	return was
}

func (r *rounds) end(was chan struct{}, err error) {
	r.mu.Lock()
	r.failed = time.Time{}
	if err != nil {
		r.failed = time.Now()
	}
	r.mu.Unlock()
	close(was)
}

// await waits for a renewal that begins after now, and not at all when the last one
// has just failed.
func (r *rounds) await(ctx context.Context) {
	r.mu.Lock()
	done := r.done
	if !r.failed.IsZero() && time.Since(r.failed) < leaseWait {
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	select {
	case r.kick <- struct{}{}:
	default:
	}
	wait := time.NewTimer(leaseWait)
	defer wait.Stop()
	select {
	case <-done:
	case <-wait.C:
	case <-ctx.Done():
	}
}

// Reserve takes what a request wants from every account of a chain, or from none.
// nil accounts are passed over. What it returns says who refused, why, and when
// it would pass if nothing else came; nil is a success, which must be settled. It
// allocates nothing then. Among several gateways it waits, a second at most, when
// this one's lease is used up.
func (a *Accounts) Reserve(ctx context.Context, h *Hold, chain []*Account, w Want) *Refusal {
	no := reserve(h, chain, w)
	if no == nil || no.Reason != ReasonLease || a.opt.Shared == nil {
		return no
	}
	a.rounds.await(ctx)
	return reserve(h, chain, w)
}

// due is a budget that is reported in a round.
type due struct {
	of     *Account
	budget *budget
	start  time.Time // of its window
}

// renew reports every budget for which it is time and takes over what is granted.
func (a *Accounts) renew(ctx context.Context, now time.Time, term time.Duration) error {
	was := a.rounds.begin()
	var list []due
	var reports []RowReport
	a.mu.Lock()
	for _, accounts := range a.byName {
		for _, acc := range accounts {
			acc.eachBudget(now, func(b *budget) {
				if rep, ok := b.report(acc, now, term); ok {
					list, reports = append(list, due{acc, b, b.start}), append(reports, rep)
				}
			})
		}
	}
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, term/2)
	defer cancel()
	got, err := a.opt.Shared.Renew(ctx, a.opt.Gateway, reports)
	if err == nil && len(got.Grants) != len(reports) {
		err = errors.New("the database answered for other budgets than it was asked")
	}
	if err == nil {
		a.gateways.Store(int64(max(1, got.Gateways)))
		for i, d := range list {
			d.take(got.Grants[i], now)
		}
	}
	a.rounds.end(was, err)
	return err
}

// take takes a grant over, unless the budget has gone on to another window.
func (d due) take(g Grant, now time.Time) {
	d.of.mu.Lock()
	var passed []Warning
	if b := d.budget; b.start.Equal(d.start) {
		need := b.wanted
		b.lease.granted(g)
		b.renewed = now
		b.exhausted = need > b.lease.mark
		passed = b.passed(d.of)
	}
	d.of.mu.Unlock()
	if d.of.notify != nil {
		for _, w := range passed {
			d.of.notify(w)
		}
	}
}

// report is what is due to be told of a budget, if it is loaded and anything is. One
// that nothing was asked of for a term gives back what it does not need.
func (b *budget) report(a *Account, now time.Time, term time.Duration) (RowReport, bool) {
	l := b.lease
	if l == nil || !b.loaded {
		return RowReport{}, false
	}
	spent := b.spent()
	waited := now.Sub(b.renewed)
	if l.used {
		b.lastUsed = now
	}
	idle := b.held == 0 && now.Sub(b.lastUsed) > term
	switch {
	case l.known && l.low(spent, b.held):
	case !l.known && l.used:
	case waited > term/3 && (l.used || b.held > 0 || !idle && l.known || l.mark > spent):
	default:
		return RowReport{}, false
	}
	if idle && l.mark <= spent && l.known {
		return RowReport{}, false
	}
	b.wanted = l.need
	return RowReport{Key: b.key(a), Amount: int64(b.Amount), Report: l.report(spent, b.held, idle)}, true
}

// key is the row of the budget's window.
func (b *budget) key(a *Account) string {
	window := "total"
	if !b.start.IsZero() {
		window = b.start.Format(time.DateOnly)
	}
	return fmt.Sprintf("%s/%s/%s/%s", a.Level, a.Name, b.Per, window)
}

// leased is what a hard budget of several gateways has to say to a request.
func (b *budget) leased(a *Account, nano int64, now time.Time) *Refusal {
	l := b.lease
	switch {
	case l.fits(b.spent(), b.held, nano):
		return nil
	case l.known && b.exhausted && l.need >= b.wanted:
		return a.refusal(ReasonBudget, fmt.Sprintf("its budget of %s %s does not have room for this request: %s are spent over all gateways, and what is left is held for requests that run",
			b.Amount, b.Per.words(), Money(max(l.spent, b.spent()))), b.untilEnd(now))
	}
	return a.refusal(ReasonLease, fmt.Sprintf("the database that the gateways share does not answer, and this gateway's lease of its budget of %s %s is used up; it goes on when the database does",
		b.Amount, b.Per.words()), time.Second)
}
