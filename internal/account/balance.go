package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// A window that began before the account knew of it asks the ledger what was
// spent from its beginning until then. The range is fixed, so the answer only
// grows by exchanges that were in flight then and are settled later: it is asked
// for again until it has been the same for a while.

const (
	firstPause  = time.Second      // after an answer that did not come
	longPause   = 30 * time.Second // at most
	againAfter  = 30 * time.Second // an answer that came; doubles while it stays the same
	stableAfter = 15 * time.Minute // it is believed for good
)

// question is what is still to be learnt of a window.
type question struct {
	due   time.Time // zero: at once
	pause time.Duration
	same  time.Time // since when the answer is the same; zero: there is none
}

// asks reports whether there is a ledger to ask.
func (a *Accounts) asks() bool { return a.ledger() != nil }

func (a *Accounts) ledger() func(context.Context, Level, time.Time, time.Time) (map[string]int64, error) {
	if a.opt.Shared != nil {
		return a.opt.OwnBalances
	}
	return a.opt.Balances
}

// ask puts a window down for the ledger.
func (a *Accounts) ask(w *window) {
	a.askMu.Lock()
	a.askAll[w] = &question{}
	a.askMu.Unlock()
	signal(a.wakeLedger)
}

// signal wakes who waits on a channel of one place.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// inquiry is a question to the ledger, and the windows that its answer is for.
type inquiry struct {
	level    Level
	from, to int64
	windows  []*window
}

// Load asks the ledger what was spent in the windows that are new, and waits for
// the answers. It is called at the start, after a reload and after a change; what
// could not be learnt is an error here and is tried again by [Accounts.Run]. Until
// then hard budgets of these windows refuse.
func (a *Accounts) Load(ctx context.Context, now time.Time) error {
	return a.inquire(ctx, now, func(q *question) bool { return q.same.IsZero() })
}

// inquire asks what is to be asked, one question for all windows of a level and
// a range.
func (a *Accounts) inquire(ctx context.Context, now time.Time, due func(*question) bool) error {
	select {
	case a.asking <- struct{}{}:
		defer func() { <-a.asking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var failed []error
	for _, q := range a.inquiries(due) {
		from := time.Time{}
		if q.from != math.MinInt64 {
			from = time.Unix(0, q.from).UTC()
		}
		to := time.Unix(0, q.to).UTC()
		spent, err := a.ledger()(ctx, q.level, from, to)
		var everybody map[string]int64
		if err == nil && a.opt.Shared != nil && a.opt.Balances != nil {
			everybody, err = a.opt.Balances(ctx, q.level, from, to)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("what each %s has spent cannot be read from the ledger: %w", q.level, err))
		}
		for _, w := range q.windows {
			name := w.account.name
			a.answer(w, spent[name], everybody[name]-spent[name], now, err == nil)
		}
	}
	return errors.Join(failed...)
}

// inquiries gathers what is due, and forgets windows that are of no use any more.
func (a *Accounts) inquiries(due func(*question) bool) []*inquiry {
	type key struct {
		level    Level
		from, to int64
	}
	a.askMu.Lock()
	var windows []*window
	for w, q := range a.askAll {
		if due(q) {
			windows = append(windows, w)
		}
	}
	a.askMu.Unlock()
	found := map[key]*inquiry{}
	for _, w := range windows {
		c := w.account
		c.mu.Lock()
		n := &c.counters[w.period]
		live := !c.gone && (n.now == w || n.past == w)
		k := key{c.level, w.from, w.since}
		c.mu.Unlock()
		if !live {
			a.askMu.Lock()
			delete(a.askAll, w)
			a.askMu.Unlock()
			continue
		}
		if found[k] == nil {
			found[k] = &inquiry{level: k.level, from: k.from, to: k.to}
		}
		found[k].windows = append(found[k].windows, w)
	}
	out := make([]*inquiry, 0, len(found))
	for _, q := range found {
		out = append(out, q)
	}
	slices.SortFunc(out, func(x, y *inquiry) int {
		return cmp.Or(cmp.Compare(x.level, y.level), cmp.Compare(x.from, y.from), cmp.Compare(x.to, y.to))
	})
	return out
}

// answer takes over what the ledger said of one window, and when to ask again.
func (a *Accounts) answer(w *window, spent, others int64, now time.Time, known bool) {
	changed := false
	if known {
		var due []Warning
		c := w.account
		c.mu.Lock()
		changed = !w.loaded || w.base != spent
		first := !w.loaded
		w.base, w.loaded = spent, true
		if changed {
			due = c.look(w, !first)
			if w.lease != nil {
				w.lease.before = max(0, others)
				w.touch()
			}
		}
		c.mu.Unlock()
		a.notify(due)
	}
	a.askMu.Lock()
	defer a.askMu.Unlock()
	q := a.askAll[w]
	switch {
	case q == nil:
	case !known:
		q.pause = min(max(firstPause, 2*q.pause), longPause)
		q.due = now.Add(q.pause)
	case changed || q.same.IsZero():
		q.same, q.pause, q.due = now, againAfter, now.Add(againAfter)
	case now.Sub(q.same) >= stableAfter:
		delete(a.askAll, w)
	default:
		q.pause *= 2
		q.due = now.Add(q.pause)
	}
}

// runLedger asks what is due until ctx ends.
func (a *Accounts) runLedger(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wakeLedger:
		case <-timer.C:
		}
		now := time.Now()
		a.failed(a.inquire(ctx, now, func(q *question) bool { return !q.due.After(now) }))
		if next := a.nextQuestion(); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// nextQuestion is when the next question is due; zero when there is none.
func (a *Accounts) nextQuestion() time.Time {
	a.askMu.Lock()
	defer a.askMu.Unlock()
	var next time.Time
	for _, q := range a.askAll {
		due := q.due
		if due.IsZero() {
			due = time.Now()
		}
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next
}
