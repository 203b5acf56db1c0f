package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tailplane/internal/egress"
	"tailplane/internal/ledger"
	"tailplane/internal/policy"
)

// View is the service as one viewer sees it. Whatever is asked of it is checked
// and narrowed here, so that nothing above can forget to. It is made for each
// request and safe for concurrent use.
type View struct {
	service *Service
	Viewer  Viewer
}

// As is the service as a viewer sees it.
func (s *Service) As(v Viewer) *View { return &View{s, v} }

// Why returns the record of a request, by its id or a unique beginning of it.
// Somebody else's is not found.
func (v *View) Why(ctx context.Context, id string) (Record, error) {
	if err := v.ready(ctx, ToSeeUsage); err != nil {
		return Record{}, err
	}
	ex, err := v.service.Reader.Get(ctx, id)
	if v.Viewer.narrow() && (errors.Is(err, ledger.ErrAmbiguous) || err == nil && !v.owns(ex)) {
		err = ledger.ErrNotFound
	}
	if err != nil {
		return Record{}, err
	}
	return Record{ex, v.Viewer}, nil
}

// Recent lists the newest exchanges that pass a filter and belong to the viewer.
func (v *View) Recent(ctx context.Context, limit int, f ledger.Filter) ([]Record, error) {
	if err := v.ready(ctx, ToSeeUsage); err != nil {
		return nil, err
	}
	filters, err := v.narrowed(f)
	if err != nil {
		return nil, err
	}
	var found []*ledger.Exchange
	for _, f := range filters {
		list, err := v.service.Reader.Recent(ctx, limit, f)
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	slices.SortFunc(found, func(a, b *ledger.Exchange) int {
		return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(b.ID, a.ID))
	})
	found = slices.CompactFunc(found, func(a, b *ledger.Exchange) bool { return a.ID == b.ID })
	out := make([]Record, min(limit, len(found)))
	for i := range out {
		out[i] = Record{found[i], v.Viewer}
	}
	return out, nil
}

// Usage sums up what belongs to the viewer. The sums of a narrow role are always
// told apart by what makes them its own.
func (v *View) Usage(ctx context.Context, q ledger.UsageQuery) ([]Sum, error) {
	if err := v.ready(ctx, ToSeeUsage); err != nil {
		return nil, err
	}
	filters, err := v.narrowed(q.Filter)
	if err != nil {
		return nil, err
	}
	if q.By, err = v.columns(q.By); err != nil {
		return nil, err
	}
	out := []Sum{}
	for _, f := range filters {
		q.Filter = f
		rows, err := v.service.Reader.Usage(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadOrder, err)
		}
		for i := range rows {
			out = append(out, Sum{&rows[i], v.Viewer})
		}
	}
	return out, nil
}

// ready checks a right, and brings the ledger up to date.
func (v *View) ready(ctx context.Context, right Right) error {
	if err := v.Viewer.may(right); err != nil {
		return err
	}
	if err := v.service.Journal.Flush(ctx); err != nil {
		return fmt.Errorf("bring the ledger up to date: %w", err)
	}
	return nil
}

// owns reports whether an exchange is among those that the viewer sees.
func (v *View) owns(ex *ledger.Exchange) bool {
	switch v.Viewer.Role {
	case CustomerViewer:
		return ex.Customer != "" && slices.Contains(v.Viewer.Customers, ex.Customer)
	case GPUTeam:
		return slices.ContainsFunc(ex.Attempts, func(a ledger.Attempt) bool { return slices.Contains(v.Viewer.Targets, a.Target) })
	}
	return true
}

// narrowed are the filters whose results together are the viewer's share of a
// filter's. What the role does not see cannot be filtered by, since the number
// of results would tell it.
func (v *View) narrowed(f ledger.Filter) ([]ledger.Filter, error) {
	if !v.Viewer.narrow() {
		return []ledger.Filter{f}, nil
	}
	plain := ledger.Filter{From: f.From, To: f.To, Model: f.Model, Outcome: f.Outcome, Fault: f.Fault}
	own, asked := v.Viewer.Customers, f.Customer
	set := func(f *ledger.Filter, name string) { f.Customer = name }
	if v.Viewer.Role == GPUTeam {
		own, asked = v.Viewer.Targets, f.Target
		set = func(f *ledger.Filter, name string) { f.Target = name }
	}
	same := plain
	set(&same, asked)
	switch {
	case same != f:
		return nil, v.Viewer.refuse("filter by what it does not see")
	case asked != "" && !slices.Contains(own, asked):
		return nil, v.Viewer.refuse("see what is not its own")
	case asked != "":
		own = []string{asked}
	}
	var out []ledger.Filter
	for _, name := range own {
		if name == "" {
			continue // it would let everything pass
		}
		one := plain
		set(&one, name)
		out = append(out, one)
	}
	return out, nil
}

// columns are those of a query, with the one that makes a sum the viewer's own.
func (v *View) columns(by []string) ([]string, error) {
	if !v.Viewer.narrow() {
		return by, nil
	}
	own := ledger.ByCustomer
	if v.Viewer.Role == GPUTeam {
		own = ledger.ByTarget
	}
	allowed := []string{own, ledger.ByModel, ledger.ByDay, ledger.ByOutcome}
	for _, column := range by {
		if !slices.Contains(allowed, column) {
			return nil, v.Viewer.refuse("sum by " + column)
		}
	}
	if !slices.Contains(by, own) {
		by = append([]string{own}, by...)
	}
	return by, nil
}

// Status is the program at a glance.
func (v *View) Status() (Status, error) {
	if err := v.Viewer.may(ToLook); err != nil {
		return Status{}, err
	}
	return v.service.Status(), nil
}

// Egress tells what was contacted since the start.
func (v *View) Egress() (egress.Report, error) {
	if err := v.Viewer.may(ToLook); err != nil {
		return egress.Report{}, err
	}
	return v.service.Egress(), nil
}

// Models tells which names a key may call and where they lead now. A gpu-team
// sees what leads to its targets.
func (v *View) Models(key string) ([]Model, error) {
	if err := v.Viewer.may(ToSeeModels); err != nil {
		return nil, err
	}
	if v.Viewer.narrow() && key != "" {
		return nil, v.Viewer.refuse("ask for a key's models")
	}
	list, ok := v.service.Models(key)
	if !ok {
		return nil, policy.ErrNoKey
	}
	if !v.Viewer.narrow() {
		return list, nil
	}
	out := []Model{}
	for _, m := range list {
		own := Model{Name: m.Name}
		for _, c := range m.Candidates {
			if slices.Contains(v.Viewer.Targets, c.Target) {
				c.Pricing = ""
				own.Candidates = append(own.Candidates, c)
			}
		}
		if len(own.Candidates) > 0 {
			out = append(out, own)
		}
	}
	return out, nil
}

// Reload puts the changed config into force.
func (v *View) Reload(ctx context.Context, now time.Time) (Status, error) {
	if err := v.Viewer.may(ToRun); err != nil {
		return Status{}, err
	}
	if err := v.service.Reload(); err != nil {
		return Status{}, &refusedError{err}
	}
	after := v.service.Status()
	return after, v.note(ctx, kindReload, "config", map[string]string{"file": after.Config, "hash": after.Hash}, now)
}

// refusedError is a change that the program did not take.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }
