package admin

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/reconcile"
)

// What leaves the ledger for others: statements, records one by one, and the
// calls that a provider will invoice.

// Statements makes usage statements. A month is 2006-01; an empty customer is all
// of them. What is returned is a signed file as it is kept.
type Statements interface {
	// Look returns the statement that was made, or a draft.
	Look(ctx context.Context, customer, month string) ([]byte, error)
	// State makes the statement, or returns the one that was made; again makes
	// another one that replaces it. Errors wrap ErrBadOrder or ErrConflict where
	// the order is what is wrong.
	State(ctx context.Context, customer, month string, again bool) ([]byte, error)
}

// ErrConflict is wrapped by refusals of an order that does not fit what there is.
var ErrConflict = errors.New("that does not fit what was done before")

// kindStatement is what a statement is in the audit.
const kindStatement = "statement"

// NewStatement is an order for a statement.
type NewStatement struct {
	Customer string `json:"customer,omitempty"`
	Month    string `json:"month"`
	Again    bool   `json:"again,omitempty"`
}

var errNoStatements = fmt.Errorf("%w: this tailplane makes no statements, because it keeps no state", ErrNotFound)

// Statement is the statement for a customer and a month, or a draft of it.
func (v *View) Statement(ctx context.Context, customer, month string) (json.RawMessage, error) {
	if err := v.ready(ctx, ToLook); err != nil {
		return nil, err
	}
	if v.service.Statements == nil {
		return nil, errNoStatements
	}
	return v.service.Statements.Look(ctx, customer, month)
}

// State makes a statement.
func (v *View) State(ctx context.Context, order NewStatement, now time.Time) (json.RawMessage, error) {
	if err := v.ready(ctx, ToSettle); err != nil {
		return nil, err
	}
	if v.service.Statements == nil {
		return nil, errNoStatements
	}
	file, err := v.service.Statements.State(ctx, order.Customer, order.Month, order.Again)
	if err != nil {
		return nil, err
	}
	return file, v.note(ctx, kindStatement, order.Month+" "+cmp.Or(order.Customer, "all customers"), order, now)
}

func statementOf(v *View, r *http.Request) (any, error) {
	return v.Statement(r.Context(), r.FormValue("customer"), r.FormValue("month"))
}

func state(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToSettle); err != nil {
		return nil, err // before the order is looked at
	}
	var order NewStatement
	if err := decode(r, &order, "an order for a statement"); err != nil {
		return nil, err
	}
	return v.State(r.Context(), order, time.Now())
}

// Each calls do for every exchange that passes the filter, day by day, so that no
// query of the store takes long. The exchange is valid during the call.
func (v *View) Each(ctx context.Context, f ledger.Filter, do func(*ledger.Exchange) error) error {
	if err := v.ready(ctx, ToLook); err != nil {
		return err
	}
	if f.From.IsZero() || f.To.IsZero() {
		return fmt.Errorf("%w: name from and to: what goes over single requests takes its time", ErrBadOrder)
	}
	for day := f.From; day.Before(f.To); {
		part := f
		part.From = day
		day = day.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
		if day.Before(f.To) {
			part.To = day
		}
		if err := v.service.Reader.Each(ctx, part, do); err != nil {
			return err
		}
	}
	return nil
}

// count adds a call to its row.
func count(row *reconcile.Row, a *ledger.Attempt) {
	row.Requests++
	row.Input += a.Usage.Input
	row.CacheRead += a.Usage.CacheRead
	row.CacheWrite += a.Usage.CacheWrite
	row.Output += a.Usage.Output
	row.Images += a.Usage.Images
	row.AudioMillis += a.Usage.AudioMillis
	row.Characters += a.Usage.Characters
	row.SearchUnits += a.Usage.SearchUnits
	row.Cost += a.Cost
	if a.Priced == ledger.Unpriced {
		row.Unpriced++
	}
}

// Calls sums up what was asked of a provider, or of all for an empty one, by the
// names under which the provider counts it. A day is that of the call, in UTC. It
// goes over the records, because the sums know models as clients call them.
func (v *View) Calls(ctx context.Context, from, to time.Time, provider string) ([]reconcile.Row, error) {
	type place struct{ day, model, provider string }
	sums := map[place]*reconcile.Row{}
	at := func(when time.Time, model, provider string) *reconcile.Row {
		p := place{when.UTC().Format(time.DateOnly), model, provider}
		if sums[p] == nil {
			sums[p] = &reconcile.Row{Day: p.day, Model: p.model, Provider: p.provider}
		}
		return sums[p]
	}
	err := v.Each(ctx, ledger.Filter{From: from, To: to}, func(ex *ledger.Exchange) error {
		for i := range ex.Attempts {
			if a := &ex.Attempts[i]; provider == "" || a.Kind == provider {
				count(at(ex.Start.Add(a.Begin), a.Model, a.Kind), a)
			}
		}
		if ex.Outcome == ledger.OutcomeUnknown {
			at(ex.Start, ex.Model, "").Unknown++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]reconcile.Row, 0, len(sums))
	for _, row := range sums {
		out = append(out, *row)
	}
	slices.SortFunc(out, func(a, b reconcile.Row) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Model, b.Model))
	})
	return out, nil
}

func calls(v *View, r *http.Request) (any, error) {
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	return v.Calls(r.Context(), f.From, f.To, r.FormValue("provider"))
}

// The last line of an export says that it is whole, or why it is not.
type exportEnd struct {
	End   bool   `json:"end"`
	Lines int64  `json:"lines"`
	Error string `json:"error,omitempty"`
}

// export streams records as lines of JSON. An answer that has begun cannot fail
// by its status, so its last line tells the end.
func export(w http.ResponseWriter, r *http.Request) {
	v, _ := r.Context().Value(viewKey{}).(*View) // guard puts it there
	f, err := filter(r)
	if err != nil {
		failWith(w, err)
		return
	}
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	begun := func() {
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.Header().Set("Cache-Control", "no-store")
	}
	end := exportEnd{End: true}
	err = v.Each(r.Context(), f, func(ex *ledger.Exchange) error {
		if end.Lines == 0 {
			begun()
		}
		end.Lines++
		return enc.Encode(ex)
	})
	if err != nil && end.Lines == 0 {
		failWith(w, err)
		return
	}
	if err != nil {
		end.Error = err.Error()
	}
	begun()
	_ = enc.Encode(end) // a client that left does not read it
	_ = out.Flush()
}
