package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"tailplane/internal/account"
)

// WriteOff is an order to give back what is in doubt of a gateway that will not
// return: what it may have spent and never told.
type WriteOff struct {
	Gateway string `json:"gateway"`
	Reason  string `json:"reason"`
	Nano    int64  `json:"amount_nano"` // given back, in nano-dollars; of the answer alone
}

// Budgets lists the limits and budgets of everybody who has some, as they stand.
func (v *View) Budgets() ([]account.State, error) {
	if err := v.Viewer.may(ToSeeKeys); err != nil {
		return nil, err
	}
	return v.service.Accounts.List(), nil
}

// longestReason bounds what stands in the audit.
const longestReason = 500

// WriteOff gives back what is in doubt of a gateway.
func (v *View) WriteOff(ctx context.Context, order WriteOff, now time.Time) (WriteOff, error) {
	if err := v.Viewer.may(ToSettle); err != nil {
		return WriteOff{}, err
	}
	switch {
	case v.service.Forgive == nil:
		return WriteOff{}, fmt.Errorf("%w: this gateway is alone (there is no `store:` in its file), so nothing is in doubt", ErrNotFound)
	case order.Gateway == "" || order.Reason == "" || len(order.Reason) > longestReason:
		return WriteOff{}, fmt.Errorf("%w: a write-off names a gateway and its reason", ErrBadOrder)
	}
	var err error
	if order.Nano, err = v.service.Forgive(ctx, order.Gateway); err != nil {
		return WriteOff{}, err
	}
	return order, v.note(ctx, kindBudget, "gateway "+order.Gateway, order, now)
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
