package admin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/meter"
)

// RerateOrder asks to rate the exchanges of a period again.
type RerateOrder struct {
	// Run names the order, which is done once; empty makes a name. What broke off
	// goes on under the same one.
	Run string `json:"run,omitempty"`
	// From and To are days, or times in RFC 3339; To is now when it is empty.
	From string `json:"from"`
	To   string `json:"to,omitempty"`
	// Prices go before those in force, as [meter.Book.With] takes them.
	Prices map[string]meter.Override `json:"prices,omitempty"`
	Note   string                    `json:"note,omitempty"`
	DryRun bool                      `json:"dry_run,omitempty"`
}

// Rerated is what rating again did, or would do.
type Rerated struct {
	Run     string    `json:"run"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Version string    `json:"prices"`
	DryRun  bool      `json:"dry_run,omitempty"`
	ledger.RunOutcome
	// Left are the attempts whose price is not known even now, by target and model;
	// it is empty for a run that was through before.
	Left []Unpriced `json:"left"`
}

// Unpriced is attempts without a known price.
type Unpriced struct {
	Target   string `json:"target"`
	Model    string `json:"model"`
	Attempts int64  `json:"attempts"`
}

// mostLeft bounds Rerated.Left: names of models come from callers. What is beyond is
// counted under otherModels.
const (
	mostLeft    = 1000
	otherModels = "_other"
)

// Rerate rates again. The records stay as they are.
func (v *View) Rerate(ctx context.Context, order RerateOrder, now time.Time) (Rerated, error) {
	if err := v.ready(ctx, ToSettle); err != nil {
		return Rerated{}, err
	}
	run, book, err := v.run(order, now)
	if err != nil {
		return Rerated{}, err
	}
	p := pricer{book: book, left: map[Unpriced]int64{}}
	done := Rerated{Run: run.ID, From: run.From, To: run.To, Version: run.Version, DryRun: run.Dry}
	if done.RunOutcome, err = v.service.Rerate(ctx, run, p.price); err != nil {
		return done, err
	}
	done.Left = p.list()
	if run.Dry {
		return done, nil
	}
	return done, v.note(ctx, kindRerate, run.ID, struct {
		Order RerateOrder `json:"order"`
		Done  Rerated     `json:"done"`
	}{order, done}, now)
}

// run is an order as the ledger takes it, and the prices.
func (v *View) run(order RerateOrder, now time.Time) (ledger.Run, *meter.Book, error) {
	run := ledger.Run{ID: order.Run, At: now, Actor: v.Viewer.Actor, To: now, Note: order.Note, Dry: order.DryRun}
	if len(order.Run) > 64 || len(order.Note) > 1000 {
		return run, nil, fmt.Errorf("%w: a run has a name of up to 64 bytes and a note of up to 1000", ErrBadOrder)
	}
	var err error
	if run.From, err = moment("from", order.From); err != nil {
		return run, nil, err
	}
	if order.To != "" {
		if run.To, err = moment("to", order.To); err != nil {
			return run, nil, err
		}
	}
	if !run.From.Before(run.To) {
		return run, nil, fmt.Errorf("%w: from must lie before to", ErrBadOrder)
	}
	book := v.service.Book()
	run.Version = book.Version()
	text, err := json.Marshal(order.Prices) // its keys come sorted
	if err != nil {
		return run, nil, err
	}
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:4])
	if len(order.Prices) > 0 {
		run.Version += "+prices-" + digest
		if book, err = book.With(order.Prices); err != nil {
			return run, nil, fmt.Errorf("%w: %w", ErrBadOrder, err)
		}
	}
	run.ID = cmp.Or(run.ID, now.UTC().Format("20060102T150405.000Z")+"-"+digest)
	return run, book, nil
}

// pricer gives rates and notes what has none.
type pricer struct {
	book *meter.Book
	left map[Unpriced]int64
}

func (p *pricer) price(ex *ledger.Exchange) []ledger.Rate {
	out := make([]ledger.Rate, len(ex.Attempts))
	for i := range ex.Attempts {
		a := &ex.Attempts[i]
		cost := p.book.RateAt(a.Target, a.Kind, a.Model).Attempt(ex.Start, a)
		out[i] = ledger.Rate{Cost: cost.Nano, Status: cost.Status}
		if cost.Status != ledger.Unpriced || a.Priced != ledger.Unpriced {
			continue
		}
		key := Unpriced{Target: a.Target, Model: a.Model}
		if _, known := p.left[key]; !known && len(p.left) >= mostLeft {
			key = Unpriced{Target: otherModels, Model: otherModels}
		}
		p.left[key]++
	}
	return out
}

func (p *pricer) list() []Unpriced {
	out := []Unpriced{}
	for u, n := range p.left {
		u.Attempts = n
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b Unpriced) int {
		return cmp.Or(cmp.Compare(b.Attempts, a.Attempts), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Model, b.Model))
	})
	return out
}

func rerate(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToSettle); err != nil {
		return nil, err // before the order is looked at
	}
	var order RerateOrder
	if err := decode(r, &order, "an order to rate again"); err != nil {
		return nil, err
	}
	return v.Rerate(r.Context(), order, time.Now())
}
