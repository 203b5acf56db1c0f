package reconcile

import (
	"cmp"
	"maps"
	"slices"
)

// Row is what the ledger counted for a day, a model as its provider names it, and
// a provider: the calls that were made there. Classes of tokens nest as in package
// llm.
type Row struct {
	Day      string `json:"day"`
	Model    string `json:"model"`
	Provider string `json:"provider,omitempty"`

	Requests    int64 `json:"requests"`
	Input       int64 `json:"input"`
	CacheRead   int64 `json:"cache_read"`
	CacheWrite  int64 `json:"cache_write"`
	Output      int64 `json:"output"`
	Images      int64 `json:"images,omitempty"`
	AudioMillis int64 `json:"audio_millis,omitempty"`
	Characters  int64 `json:"characters,omitempty"`
	SearchUnits int64 `json:"search_units,omitempty"`

	Unpriced int64 `json:"unpriced,omitempty"` // of the requests
	Unknown  int64 `json:"unknown,omitempty"`  // exchanges whose end nobody knows
	Cost     int64 `json:"cost_nano"`
}

// quantity is how much of a unit a row has.
func (r *Row) quantity(u Unit) Decimal {
	switch u {
	case Input:
		return Whole(r.Input - r.CacheRead - r.CacheWrite)
	case InputAll:
		return Whole(r.Input)
	case CacheRead:
		return Whole(r.CacheRead)
	case CacheWrite:
		return Whole(r.CacheWrite)
	case Output:
		return Whole(r.Output)
	case Request:
		return Whole(r.Requests)
	case Image:
		return Whole(r.Images)
	case AudioSecond:
		return Whole(r.AudioMillis).Over(Whole(1000))
	case Character:
		return Whole(r.Characters)
	case Search:
		return Whole(r.SearchUnits)
	}
	return Decimal{}
}

// Class says what a difference is.
type Class string

// The classes.
const (
	Match            Class = "match"
	Rounding         Class = "rounding"           // within what rounding explains
	Late             Class = "late"               // the same over some days in a row: their clocks cut days elsewhere
	UnknownEnd       Class = "unknown_end"        // the provider counts more, and we have calls whose end nobody knows
	OtherAccount     Class = "other_account"      // the model never passed here
	UnpricedHere     Class = "unpriced_here"      // we know no price
	Price            Class = "price"              // the same quantity at another price
	Quantity         Class = "quantity"           // other quantities
	MissingInInvoice Class = "missing_in_invoice" // we count, the provider does not
	MissingInLedger  Class = "missing_in_ledger"  // the provider counts, we do not
)

// Classes are all of them, the explained ones first.
func Classes() []Class {
	return []Class{Match, Rounding, Late, UnknownEnd, OtherAccount, UnpricedHere, Price, Quantity, MissingInInvoice, MissingInLedger}
}

// Explained reports whether nobody has to look further.
func (c Class) Explained() bool {
	return slices.Contains([]Class{Match, Rounding, Late, UnknownEnd, OtherAccount}, c)
}

// Count is both sides of a unit.
type Count struct {
	Unit    Unit    `json:"unit"`
	Ledger  Decimal `json:"ledger"`
	Invoice Decimal `json:"invoice"`
}

func (c Count) delta() Decimal { return c.Invoice.Minus(c.Ledger) }

// Difference is both sides of a day and a model.
type Difference struct {
	Class   Class   `json:"class"`
	Day     string  `json:"day"`
	Model   string  `json:"model"`
	Counts  []Count `json:"counts"` // of the units that the export states
	Ledger  Decimal `json:"ledger_cost"`
	Invoice Decimal `json:"invoice_cost"` // "-" where the export states quantities alone
	// Ratio is invoiced over counted cost: what a discount is, or a price that
	// changed.
	Ratio Decimal `json:"ratio,omitzero"`
	Note  string  `json:"note,omitempty"`

	lines   int64 // of the export
	unknown int64
	free    int64 // requests without a known price
}

// cost is how far apart the money is; 0 where the export states none.
func (d *Difference) cost() Decimal {
	if !d.Invoice.Stated() {
		return Whole(0)
	}
	return d.Invoice.Minus(d.Ledger)
}

// roundedCost reports whether the money differs by no more than the rounding of
// the export's lines to cents.
func (d *Difference) roundedCost() bool {
	return d.cost().Abs().Cmp(slack(d.lines, d.Invoice.Times(100)).Over(Whole(100))) <= 0
}

// sameCounts reports the same of all quantities, rounded to one.
func (d *Difference) sameCounts() bool {
	return !slices.ContainsFunc(d.Counts, func(c Count) bool { return c.delta().Abs().Cmp(slack(d.lines, c.Invoice)) > 0 })
}

// slack is what rounding to 1 can add up to over many lines: one for each, though
// no more than a thousandth of their sum, and at least one.
func slack(lines int64, sum Decimal) Decimal {
	most := sum.Abs().Over(Whole(1000))
	if n := Whole(lines); n.Cmp(most) < 0 {
		most = n
	}
	if most.Cmp(Whole(1)) < 0 {
		most = Whole(1)
	}
	return most
}

// cell is a day of a model, by its words.
type cell struct{ model, day string }

// Compare puts the ledger's rows beside an export's lines and gives each day of
// each model a class. Rows of other providers, and days beyond the export's or the
// ledger's, are the caller's to leave out.
func Compare(rows []Row, lines []Line) []Difference {
	whole := !slices.ContainsFunc(lines, func(l Line) bool { return l.Model != "" })
	nameless := func(model string) string {
		if whole { // an export that tells no models is compared by days
			return ""
		}
		return model
	}
	units := map[string]map[Unit]bool{}
	cells := map[cell]*Difference{}
	at := func(model, day string) *Difference {
		k := cell{key(model), day}
		if cells[k] == nil {
			cells[k] = &Difference{Day: day, Model: model}
		}
		return cells[k]
	}
	billed := map[cell][]Line{}
	for _, l := range lines {
		k := key(l.Model)
		if units[k] == nil {
			units[k] = map[Unit]bool{}
		}
		units[k][l.Unit] = units[k][l.Unit] || l.Quantity.Stated()
		d := at(l.Model, l.Day)
		d.lines += l.Rows
		d.Invoice = d.Invoice.Plus(l.Cost)
		billed[cell{k, l.Day}] = append(billed[cell{k, l.Day}], l)
	}
	counted := map[cell][]Row{}
	seen := map[string]bool{}
	for _, r := range rows {
		model := nameless(r.Model)
		d := at(model, r.Day)
		d.Model = cmp.Or(Normalise(model), d.Model)
		d.Ledger = d.Ledger.Plus(Nano(r.Cost))
		d.unknown += r.Unknown
		d.free += r.Unpriced
		seen[key(model)] = true
		counted[cell{key(model), r.Day}] = append(counted[cell{key(model), r.Day}], r)
	}
	for k, d := range cells {
		d.Counts = counts(units[k.model], counted[k], billed[k])
		d.Class, d.Note = classify(d, len(counted[k]) > 0, len(billed[k]) > 0, seen[k.model])
	}
	out := inOrder(cells)
	late(out)
	unknown(out)
	for i := range out {
		if out[i].Class == Price {
			out[i].Ratio = out[i].Invoice.Over(out[i].Ledger)
		}
	}
	return out
}

// counts puts the units of a model's export side by side.
func counts(units map[Unit]bool, rows []Row, lines []Line) []Count {
	var out []Count
	for _, u := range slices.Sorted(maps.Keys(units)) {
		if !units[u] {
			continue // money alone
		}
		c := Count{Unit: u, Ledger: Whole(0), Invoice: Whole(0)}
		for i := range rows {
			c.Ledger = c.Ledger.Plus(rows[i].quantity(u))
		}
		for _, l := range lines {
			if l.Unit == u {
				c.Invoice = c.Invoice.Plus(l.Quantity)
			}
		}
		out = append(out, c)
	}
	return out
}

// classify is the class of one day of one model by itself.
func classify(d *Difference, here, there, seen bool) (Class, string) {
	switch {
	case !here && d.Model == "":
		return MissingInLedger, "the export names no model for it"
	case !here && !seen:
		return OtherAccount, "no request for it passed here in this time"
	case !here:
		return MissingInLedger, ""
	case !there && d.idle():
		return Match, ""
	case !there:
		return MissingInInvoice, ""
	case !d.sameCounts():
		return Quantity, ""
	case !d.Invoice.Stated():
		return exactly(d), ""
	case d.cost().IsZero():
		return exactly(d), ""
	case d.free > 0 && !d.roundedCost():
		return UnpricedHere, "there are calls without a known price"
	case d.roundedCost():
		return Rounding, ""
	case len(d.Counts) == 0:
		return Price, "the export states money alone, so it may be the quantity, too"
	}
	return Price, ""
}

// idle reports whether nothing of what an export counts was used: calls that
// failed, say.
func (d *Difference) idle() bool {
	return d.Ledger.IsZero() && !slices.ContainsFunc(d.Counts, func(c Count) bool { return c.Unit != Request && !c.Ledger.IsZero() })
}

func exactly(d *Difference) Class {
	if slices.ContainsFunc(d.Counts, func(c Count) bool { return !c.delta().IsZero() }) {
		return Rounding
	}
	return Match
}

// inOrder lists differences by model, then by day.
func inOrder(cells map[cell]*Difference) []Difference {
	keys := slices.SortedFunc(maps.Keys(cells), func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.model, b.model), cmp.Compare(a.day, b.day))
	})
	out := make([]Difference, len(keys))
	for i, k := range keys {
		out[i] = *cells[k]
	}
	return out
}
