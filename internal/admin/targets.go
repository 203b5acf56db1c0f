package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Target is how one target stands.
type Target struct {
	Name    string `json:"target"`
	Kind    string `json:"kind"`
	Address string `json:"address"`
	State   string `json:"state"`
	// Why it is kept off, and for how many seconds it will be at least.
	Why  string  `json:"why,omitempty"`
	Left float64 `json:"left_s,omitempty"`
	// InFlight are requests there now; Ejections how often it was left alone since
	// the start.
	InFlight  int64  `json:"in_flight"`
	Ejections uint64 `json:"ejections,omitempty"`
	// Signals are what its engine says of itself, as far as that is known.
	Signals map[string]float64 `json:"signals,omitempty"`
}

// Drain is an order to keep new requests off a target, or to end that.
type Drain struct {
	Target  string `json:"target"`
	Drained bool   `json:"drained"`
}

// Targets tells how targets stand. A gpu-team sees its own.
func (v *View) Targets() ([]Target, error) {
	if err := v.Viewer.may(ToSeeModels); err != nil {
		return nil, err
	}
	list := []Target{}
	for _, t := range v.service.Targets() {
		if !v.Viewer.narrow() || slices.Contains(v.Viewer.Targets, t.Name) {
			list = append(list, t)
		}
	}
	return list, nil
}

// Drain keeps new requests off a target until that is taken back or the program
// ends; what is in flight goes on.
func (v *View) Drain(ctx context.Context, order Drain, now time.Time) (Drain, error) {
	if err := v.Viewer.may(ToDrain); err != nil {
		return Drain{}, err
	}
	if !v.service.Drain(order.Target, order.Drained) {
		return Drain{}, fmt.Errorf("%w: there is no target %q; `tailplane targets list` shows them", ErrNotFound, order.Target)
	}
	return order, v.note(ctx, kindDrain, "target "+order.Target, order, now)
}

func drain(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToDrain); err != nil {
		return nil, err
	}
	var order Drain
	if err := decode(r, &order, "an order to drain"); err != nil {
		return nil, err
	}
	return v.Drain(r.Context(), order, time.Now())
}
