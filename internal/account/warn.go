package account

import (
	"fmt"
	"math"
	"time"
)

// Warning says that a threshold of a budget was passed.
type Warning struct {
	Level    Level     `json:"level"`
	Name     string    `json:"name"`
	Budget   Budget    `json:"budget"`
	Share    int       `json:"share_percent"` // the threshold
	Spent    Money     `json:"spent"`
	From, To time.Time // the window; zero for a total
}

// String is the warning as a sentence.
func (w Warning) String() string {
	return fmt.Sprintf("%s %q has spent %v, which is %d%% or more of its budget of %v %s", w.Level, w.Name, w.Spent, w.Share, w.Budget.Amount, w.Budget.Per.phrase())
}

// notice is the furthest threshold that a window's budgets have passed.
type notice struct {
	budget *Budget
	share  int
}

// threshold is the share as an amount.
func (b *Budget) threshold(share int) int64 { return scale(int64(b.Amount), int64(share), 100, 99) }

// shares yields the thresholds: those of the rules, and all of the amount.
func (b *Budget) shares(yield func(int) bool) {
	whole := false
	for _, s := range b.Warn {
		if s > 100 && !whole {
			if !yield(100) {
				return
			}
		}
		whole = whole || s >= 100
		if !yield(s) {
			return
		}
	}
	if !whole {
		yield(100)
	}
}

// look finds the thresholds that a window has passed since the last look: it
// returns their warnings if they are to be told, sets the notice, and the alarm
// to the next one. The account is locked.
func (c *Account) look(w *window, tell bool) []Warning {
	var due []Warning
	spent := w.spent()
	alarm := int64(math.MaxInt64)
	for i := range c.rules.Budgets {
		b := &c.rules.Budgets[i]
		if b.Per != w.period {
			continue
		}
		for share := range b.shares {
			at := b.threshold(share)
			if spent < at {
				alarm = min(alarm, at)
				break
			}
			if tell && at >= w.alarm {
				due = append(due, w.warning(b, share))
			}
			if share > w.notice.share {
				w.notice = notice{b, share}
			}
		}
	}
	w.alarm = alarm
	return due
}

func (w *window) warning(b *Budget, share int) Warning {
	from, to := w.bounds64()
	return Warning{Level: w.account.level, Name: w.account.name, Budget: *b, Share: share, Spent: Money(w.spent()), From: from, To: to}
}

// bounds64 are the window's bounds as times; zero for a total.
func (w *window) bounds64() (from, to time.Time) {
	if w.period == Total {
		return from, to
	}
	return time.Unix(0, w.from).UTC(), time.Unix(0, w.to).UTC()
}

func (a *Accounts) notify(due []Warning) {
	if a.opt.Notify == nil {
		return
	}
	for _, w := range due {
		a.opt.Notify(w)
	}
}
