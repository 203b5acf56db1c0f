package admin

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"net/http"
	"slices"
	"strings"
	"time"

	"tailplane/internal/ledger"
)

// Capacity is what a target that costs by the hour cost in a period, and what of
// it requests were charged with. Amounts are nano-dollars.
type Capacity struct {
	Target     string    `json:"target"`
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	PerHour    int64     `json:"per_hour_nano"`
	Paid       int64     `json:"paid_nano"`
	Attributed int64     `json:"attributed_nano"`
	Idle       int64     `json:"idle_nano"` // paid, and used by no request
}

// Used is the share of what was paid that requests were charged with.
func (c Capacity) Used() float64 {
	if c.Paid == 0 {
		return 0
	}
	return float64(c.Attributed) / float64(c.Paid)
}

// Capacities tells what the targets that cost by the hour were paid and used for
// between two moments, at today's price for the hour.
func (v *View) Capacities(ctx context.Context, from, to time.Time) ([]Capacity, error) {
	if err := v.Viewer.may(ToLook); err != nil {
		return nil, err
	}
	if err := v.ready(ctx, ToSeeUsage); err != nil {
		return nil, err
	}
	rows, err := v.service.Reader.Usage(ctx, ledger.UsageQuery{By: []string{ledger.ByTarget}, Filter: ledger.Filter{From: from, To: to}})
	if err != nil {
		return nil, err
	}
	list := []Capacity{}
	for target, hour := range v.service.Hourly() {
		c := Capacity{Target: target, From: from, To: to, PerHour: hour, Paid: forTime(hour, to.Sub(from))}
		if i := slices.IndexFunc(rows, func(r ledger.UsageRow) bool { return r.Target == target }); i >= 0 {
			c.Attributed = rows[i].Cost
		}
		c.Idle = max(0, c.Paid-c.Attributed)
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Capacity) int { return strings.Compare(a.Target, b.Target) })
	return list, nil
}

// forTime is what a time costs at a price for the hour, rounded down.
func forTime(perHour int64, d time.Duration) int64 {
	hi, lo := bits.Mul64(uint64(perHour), uint64(d))
	if hi >= uint64(time.Hour) {
		return math.MaxInt64
	}
	n, _ := bits.Div64(hi, lo, uint64(time.Hour))
	return int64(min(n, math.MaxInt64))
}

// capacity answers for the period of the query: by default from the start of the
// program, and never beyond now.
func capacity(v *View, r *http.Request) (any, error) {
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	if f.From.IsZero() {
		f.From = v.service.Status().Started
	}
	if f.To.IsZero() || f.To.After(now) {
		f.To = now
	}
	if !f.From.Before(f.To) {
		return nil, fmt.Errorf("%w: from must lie before to and before now (%s)", ErrBadOrder, now.Format(time.RFC3339))
	}
	return v.Capacities(r.Context(), f.From, f.To)
}
