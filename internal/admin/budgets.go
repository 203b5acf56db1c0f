package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Balance is how a budget stands. Money is in nano-dollars.
type Balance struct {
	Level  string    `json:"level"`
	Name   string    `json:"name"`
	Per    string    `json:"per"` // day, week, month, total
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"`
	Amount int64     `json:"amount_nano"`
	Spent  int64     `json:"spent_nano"`
	Held   int64     `json:"held_nano"` // for requests that run
	Hard   bool      `json:"hard,omitempty"`
}

// WriteOff is an order to let go of what nobody will settle: it gives an account
// back what is held, or what was spent, up to an amount.
type WriteOff struct {
	Level  string `json:"level"`
	Name   string `json:"name"`
	Nano   int64  `json:"amount_nano"`
	Reason string `json:"reason"`
}

// errNoBudgets says that the program was built without them.
var errNoBudgets = fmt.Errorf("%w: no budgets are kept here", ErrNotFound)

// Budgets lists how budgets stand.
func (v *View) Budgets(ctx context.Context) ([]Balance, error) {
	if err := v.Viewer.may(ToSeeKeys); err != nil {
		return nil, err
	}
	if v.service.Balances == nil {
		return nil, errNoBudgets
	}
	list, err := v.service.Balances(ctx)
	if list == nil {
		list = []Balance{}
	}
	return list, err
}

// longestReason bounds what stands in the audit.
const longestReason = 500

// WriteOff lets go of an amount.
func (v *View) WriteOff(ctx context.Context, order WriteOff, now time.Time) (WriteOff, error) {
	if err := v.Viewer.may(ToSettle); err != nil {
		return WriteOff{}, err
	}
	switch {
	case v.service.Forgive == nil:
		return WriteOff{}, errNoBudgets
	case order.Level == "" || order.Name == "" || order.Nano <= 0 || order.Reason == "" || len(order.Reason) > longestReason:
		return WriteOff{}, fmt.Errorf("%w: a write-off says level, name, a positive amount_nano and its reason", ErrBadOrder)
	}
	if err := v.service.Forgive(ctx, order, now); err != nil {
		return WriteOff{}, err
	}
	return order, v.note(ctx, kindBudget, order.Level+" "+order.Name, order, now)
}

func writeOff(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToSettle); err != nil {
		return nil, err
	}
	var order WriteOff
	if err := decode(r, &order, "a write-off"); err != nil {
		return nil, err
	}
	return v.WriteOff(r.Context(), order, time.Now())
}
