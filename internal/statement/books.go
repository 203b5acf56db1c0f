package statement

import (
	"context"
	"time"

	"tailplane/internal/ledger"
)

// Ledger is the Books of a ledger. Its fields are set once.
type Ledger struct {
	Reader ledger.Reader
	// Flush brings the reader up to date.
	Flush func(ctx context.Context) error
	// Open is how many requests are running.
	Open func() int
	// Head is where the chain of seals stands; nil where the ledger keeps none.
	Head func(ctx context.Context) (Chain, error)
	// Clock tells where the ledger's clock went backwards between two times; nil
	// where nobody looks.
	Clock func(ctx context.Context, from, to time.Time) ([]string, error)
}

// Month implements Books. Sums are those of the ledger, which last longer than
// its records; the versions of prices are those of the records that are there.
func (l *Ledger) Month(ctx context.Context, customer string, m Month) (Input, error) {
	in := Input{Open: int64(l.Open())}
	if err := l.Flush(ctx); err != nil {
		return in, err
	}
	f := ledger.Filter{From: m.Start(), To: m.End(), Customer: customer}
	var err error
	if l.Head != nil {
		if in.Ledger, err = l.Head(ctx); err != nil {
			return in, err
		}
	}
	if l.Clock != nil {
		if in.Clock, err = l.Clock(ctx, f.From, f.To); err != nil {
			return in, err
		}
	}
	if in.Lines, err = l.lines(ctx, f); err != nil {
		return in, err
	}
	whole, err := l.Reader.Usage(ctx, ledger.UsageQuery{Filter: f})
	if err != nil {
		return in, err
	}
	for _, r := range whole {
		in.Exchanges += r.Requests
	}
	in.Prices, err = l.prices(ctx, f)
	return in, err
}

// lines are the sums, and beside them the calls whose end nobody knows.
func (l *Ledger) lines(ctx context.Context, f ledger.Filter) ([]Line, error) {
	q := ledger.UsageQuery{By: []string{ledger.ByDay, ledger.ByModel, ledger.ByProvider}, Filter: f}
	if f.Customer == "" {
		q.By = append(q.By, ledger.ByCustomer)
	}
	rows, err := l.Reader.Usage(ctx, q)
	if err != nil {
		return nil, err
	}
	var out []Line
	for _, r := range rows {
		out = append(out, Line{Day: r.Day, Customer: r.Customer, Model: r.Model, Provider: r.Provider, Sums: Sums{
			Requests: r.Requests, Input: r.Input, CacheRead: r.CacheRead, CacheWrite: r.CacheWrite, Output: r.Output, Reasoning: r.Reasoning,
			Images: r.Images, AudioMillis: r.AudioMillis, Characters: r.Characters, SearchUnits: r.SearchUnits,
			Unpriced: r.Unpriced, Cost: NanoOf(r.Cost),
		}})
	}
	q.Filter.Outcome = ledger.OutcomeUnknown
	rows, err = l.Reader.Usage(ctx, q)
	for _, r := range rows {
		out = append(out, Line{Day: r.Day, Customer: r.Customer, Model: r.Model, Provider: r.Provider, Sums: Sums{Unknown: r.Requests}})
	}
	return out, err
}

// prices goes over the records day by day, so that no query takes long.
func (l *Ledger) prices(ctx context.Context, f ledger.Filter) ([]string, error) {
	seen := map[string]bool{}
	for day := f.From; day.Before(f.To); day = day.AddDate(0, 0, 1) {
		part := f
		part.From, part.To = day, day.AddDate(0, 0, 1)
		err := l.Reader.Each(ctx, part, func(ex *ledger.Exchange) error {
			if ex.PriceVersion != "" {
				seen[ex.PriceVersion] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var out []string
	for version := range seen {
		out = append(out, version)
	}
	return out, nil
}

// Config is the `site:` section of the file.
type Config struct {
	// Name is what statements call this place; the host's name where it is empty.
	Name string `yaml:"name"`
}

// Validate reports every problem of the section.
func (c Config) Validate(report func(path, wrong, right string)) {
	if len(c.Name) > 64 {
		report("site.name", "the name is longer than 64 characters", "use a short one, such as acme-hospital")
	}
}
