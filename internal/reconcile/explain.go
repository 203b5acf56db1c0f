package reconcile

import (
	"cmp"
	"slices"
	"time"
)

// Differences that others explain: those of neighbouring days, and calls whose
// end nobody knows.

// open reports whether a difference still looks for an explanation.
func (d *Difference) open() bool {
	return slices.Contains([]Class{Quantity, MissingInInvoice, MissingInLedger, Price}, d.Class)
}

// late finds days in a row of one model whose differences cancel each other: what
// one side counts on a day, the other counts on the next. The list is ordered by
// model and day.
func late(list []Difference) {
	for from := 0; from < len(list); {
		to := cancels(list[from:])
		for i := from; i < from+to; i++ {
			list[i].Class = Late
			list[i].Note = "the days " + list[from].Day + " to " + list[from+to-1].Day + " together are the same on both sides"
		}
		from += max(to, 1)
	}
}

// mostDays is how many days in a row are looked at together.
const mostDays = 40

// cancels is the shortest run from the first difference on that adds up to the
// same on both sides; 0 when there is none.
func cancels(list []Difference) int {
	sum := Difference{}
	for i := range min(len(list), mostDays) {
		d := &list[i]
		if !d.open() || i > 0 && (key(d.Model) != key(list[0].Model) || d.Day != dayAfter(list[i-1].Day)) {
			return 0
		}
		sum.take(d)
		if i > 0 && sum.sameCounts() && sum.roundedCost() && sum.says() {
			return i + 1
		}
	}
	return 0
}

// take adds the sides of a day.
func (d *Difference) take(o *Difference) {
	d.Ledger, d.Invoice = d.Ledger.Plus(o.Ledger), d.Invoice.Plus(o.Invoice)
	d.lines += o.lines
	if d.Counts == nil {
		d.Counts = slices.Clone(o.Counts) // those of a model have the same units
		return
	}
	for i := range d.Counts {
		d.Counts[i].Ledger = d.Counts[i].Ledger.Plus(o.Counts[i].Ledger)
		d.Counts[i].Invoice = d.Counts[i].Invoice.Plus(o.Counts[i].Invoice)
	}
}

// says reports whether both sides state something to compare.
func (d *Difference) says() bool {
	return d.Invoice.Stated() || slices.ContainsFunc(d.Counts, func(c Count) bool { return !c.Invoice.IsZero() })
}

func dayAfter(day string) string {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return ""
	}
	return at.AddDate(0, 0, 1).Format(time.DateOnly)
}

// unknown finds days on which the provider counts more, and no more requests than
// the calls whose end we do not know.
func unknown(list []Difference) {
	for i := range list {
		d := &list[i]
		if d.Class != Quantity && d.Class != MissingInLedger || d.unknown == 0 {
			continue
		}
		fits := !slices.ContainsFunc(d.Counts, func(c Count) bool {
			return c.delta().Cmp(Whole(0)) < 0 || c.Unit == Request && c.delta().Cmp(Whole(d.unknown)) > 0
		})
		if fits {
			d.Class, d.Note = UnknownEnd, Whole(d.unknown).String()+" calls of this day ended when the process died"
		}
	}
}

// Sum is the differences of a class together.
type Sum struct {
	Class   Class   `json:"class"`
	Count   int     `json:"count"`
	Ledger  Decimal `json:"ledger_cost"`
	Invoice Decimal `json:"invoice_cost"`
}

// Report is what people read of a comparison.
type Report struct {
	Provider string `json:"provider,omitempty"`
	From     string `json:"from"` // first day
	To       string `json:"to"`   // last day
	Classes  []Sum  `json:"classes"`
	Totals   Sum    `json:"totals"`
	// Unexplained is the larger share of what no class explains: of the money, or
	// of the quantity of a unit. 0.01 is one in a hundred.
	Unexplained Decimal      `json:"unexplained"`
	Differences []Difference `json:"differences"` // largest first; without those that match
}

// Summarise sums differences up by class.
func Summarise(list []Difference) Report {
	r := Report{Differences: []Difference{}, Classes: []Sum{}}
	sums := map[Class]*Sum{}
	for _, d := range list {
		if r.From == "" || d.Day < r.From {
			r.From = d.Day
		}
		r.To = max(r.To, d.Day)
		if sums[d.Class] == nil {
			sums[d.Class] = &Sum{Class: d.Class}
		}
		for _, s := range []*Sum{sums[d.Class], &r.Totals} {
			s.Count++
			s.Ledger, s.Invoice = s.Ledger.Plus(d.Ledger), s.Invoice.Plus(d.Invoice)
		}
		if d.Class != Match {
			r.Differences = append(r.Differences, d)
		}
	}
	for _, c := range Classes() {
		if sums[c] != nil {
			r.Classes = append(r.Classes, *sums[c])
		}
	}
	slices.SortStableFunc(r.Differences, func(a, b Difference) int {
		return cmp.Or(b.cost().Abs().Cmp(a.cost().Abs()), b.count().Cmp(a.count()), cmp.Compare(a.Day, b.Day))
	})
	r.Unexplained = unexplained(list, r.Totals)
	return r
}

// count is how far apart the quantities are, all units together: to order by.
func (d *Difference) count() Decimal {
	sum := Whole(0)
	for _, c := range d.Counts {
		sum = sum.Plus(c.delta().Abs())
	}
	return sum
}

func unexplained(list []Difference, totals Sum) Decimal {
	money := Whole(0)
	apart, all := map[Unit]Decimal{}, map[Unit]Count{}
	for i := range list {
		d := &list[i]
		if !d.Class.Explained() {
			money = money.Plus(d.cost().Abs())
		}
		for _, c := range d.Counts {
			a := all[c.Unit]
			all[c.Unit] = Count{Ledger: a.Ledger.Plus(c.Ledger), Invoice: a.Invoice.Plus(c.Invoice)}
			if !d.Class.Explained() && d.Class != Price && d.Class != UnpricedHere {
				apart[c.Unit] = apart[c.Unit].Plus(c.delta().Abs())
			}
		}
	}
	worst := share(money, totals.Ledger, totals.Invoice)
	for u, n := range apart {
		if s := share(n, all[u].Ledger, all[u].Invoice); s.Cmp(worst) > 0 {
			worst = s
		}
	}
	return worst
}

// share is a part of the larger side; all of it where both are nothing.
func share(part, a, b Decimal) Decimal {
	if part.IsZero() {
		return Whole(0)
	}
	if a.Abs().Cmp(b.Abs()) < 0 {
		a = b
	}
	if a.IsZero() {
		return Whole(1)
	}
	return part.Over(a.Abs())
}
