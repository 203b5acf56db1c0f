package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func dec(text string) Decimal {
	if text == "" {
		return Decimal{}
	}
	d, err := ParseDecimal(text)
	if err != nil {
		panic(err)
	}
	return d
}

// bill is a line of an export, short.
func bill(day int, model string, u Unit, quantity, cost string) Line {
	return Line{Day: fmt.Sprintf("2026-11-%02d", day), Model: model, Unit: u, Quantity: dec(quantity), Cost: dec(cost), Rows: 1}
}

func own(day int, model string, r Row) Row {
	r.Day, r.Model = fmt.Sprintf("2026-11-%02d", day), model
	return r
}

const dollar = 1_000_000_000

func TestEachDifferenceHasItsClass(t *testing.T) {
	cases := []struct {
		name  string
		rows  []Row
		lines []Line
		want  string // day and class of each
	}{
		{
			"the same",
			[]Row{own(1, "gpt-4o", Row{Input: 100, CacheRead: 40, Output: 7, Cost: dollar})},
			[]Line{bill(1, "gpt-4o-2024-08-06", Input, "60", "0.5"), bill(1, "gpt-4o", CacheRead, "40", "0.2"), bill(1, "gpt-4o", Output, "7", "0.3")},
			"01 match",
		},
		{"the cached part not told", []Row{own(1, "m", Row{Input: 100, CacheRead: 40})}, []Line{bill(1, "m", InputAll, "100", "")}, "01 match"},
		{"a fraction of a cent", []Row{own(1, "m", Row{Input: 100, Cost: dollar})}, []Line{bill(1, "m", Input, "100", "1.001")}, "01 rounding"},
		{"one token for each line", []Row{own(1, "m", Row{Input: 100})}, []Line{bill(1, "m", Input, "100.4", "")}, "01 rounding"},
		{"a discount", []Row{own(1, "m", Row{Input: 100, Cost: dollar})}, []Line{bill(1, "m", Input, "100", "0.8")}, "01 price x0.8"},
		{"other counts", []Row{own(1, "m", Row{Input: 100, Cost: dollar})}, []Line{bill(1, "m", Input, "150", "1.5")}, "01 quantity"},
		{"money alone", []Row{own(1, "m", Row{Input: 100, Cost: dollar})}, []Line{bill(1, "m", CostOnly, "", "1.5")}, "01 price x1.5"},
		{"no price here", []Row{own(1, "m", Row{Requests: 2, Input: 100, Unpriced: 2})}, []Line{bill(1, "m", Input, "100", "1")}, "01 unpriced_here"},
		{"nothing there", []Row{own(1, "m", Row{Input: 100, Cost: dollar})}, []Line{bill(3, "m", Input, "9", "1")}, "01 missing_in_invoice, 03 missing_in_ledger"},
		{"failed calls", []Row{own(1, "m", Row{Requests: 3})}, []Line{bill(1, "n", Input, "9", "1")}, "01 match, 01 other_account"},
		{"no model", []Row{own(1, "m", Row{Input: 9, Cost: dollar})}, []Line{bill(1, "m", Input, "9", "1"), bill(1, "", CostOnly, "", "4")}, "01 missing_in_ledger, 01 match"},
		{"no models at all", []Row{own(1, "m", Row{Cost: dollar}), own(1, "n", Row{Cost: dollar})}, []Line{bill(1, "", CostOnly, "", "2")}, "01 match"},
		{
			"days that do not cancel",
			[]Row{own(1, "m", Row{Input: 10, Cost: dollar}), own(2, "m", Row{Input: 5, Cost: dollar}), own(3, "m", Row{Input: 1, Cost: dollar})},
			[]Line{bill(1, "m", Input, "4", "0.4"), bill(2, "m", Input, "14", "1.6"), bill(3, "m", Input, "1", "1")},
			"01 quantity, 02 quantity, 03 match",
		},
		{
			"a lump a day later",
			[]Row{own(1, "m", Row{Input: 1000, Cost: dollar}), own(2, "m", Row{Input: 500, Cost: dollar})},
			[]Line{bill(1, "m", Input, "400", "0.4"), bill(2, "m", Input, "1100", "1.6")},
			"01 late, 02 late",
		},
		{
			"over an hour that nobody knows",
			[]Row{own(1, "m", Row{Requests: 5, Input: 100, Unknown: 2})},
			[]Line{bill(1, "m", Input, "130", ""), bill(1, "m", Request, "7", "")},
			"01 unknown_end",
		},
		{
			"more than the unknown ones",
			[]Row{own(1, "m", Row{Requests: 5, Input: 100, Unknown: 2})},
			[]Line{bill(1, "m", Input, "130", ""), bill(1, "m", Request, "8", "")},
			"01 quantity",
		},
		{"fewer, for all that is unknown", []Row{own(1, "m", Row{Requests: 9, Input: 100, Unknown: 2})}, []Line{bill(1, "m", Input, "70", "")}, "01 quantity"},
	}
	for _, c := range cases {
		var got []string
		for _, d := range Compare(c.rows, c.lines) {
			s := d.Day[8:] + " " + string(d.Class)
			if d.Ratio.Stated() {
				s += " x" + d.Ratio.String()
			}
			got = append(got, s)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s, want %s", c.name, strings.Join(got, ", "), c.want)
		}
	}
}

func TestTheReportAddsUp(t *testing.T) {
	r := Summarise(Compare(
		[]Row{own(1, "a", Row{Input: 100, Cost: dollar}), own(2, "a", Row{Input: 100, Cost: 2 * dollar}), own(4, "b", Row{Input: 9000, Cost: 90 * dollar})},
		[]Line{bill(1, "a", Input, "100", "1"), bill(2, "a", Input, "100", "1"), bill(4, "b", Input, "9000", "90"), bill(4, "c", Input, "5", "7")},
	))
	var got []string
	for _, s := range r.Classes {
		got = append(got, fmt.Sprintf("%s %d %s %s", s.Class, s.Count, s.Ledger, s.Invoice))
	}
	if want := "match 2 91 91, other_account 1 - 7, price 1 2 1"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if r.From != "2026-11-01" || r.To != "2026-11-04" || r.Totals.Invoice.String() != "99" || r.Unexplained.Round(6) != "0.010101" {
		t.Errorf("%+v, %s", r.Totals, r.Unexplained)
	}
	if len(r.Differences) != 2 || r.Differences[0].Class != OtherAccount {
		t.Errorf("%+v", r.Differences)
	}
	if r := Summarise(Compare([]Row{own(1, "a", Row{Input: 100})}, nil)); r.Unexplained.String() != "0" || len(r.Classes) != 1 {
		t.Errorf("an empty export: %+v", r) // nothing costs, and no unit is stated
	}
}

// TestNothingIsLostInAComparison: whatever the two sides are, their money is in
// the report once, and the same sides match.
func TestNothingIsLostInAComparison(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := rapid.Custom(func(t *rapid.T) Row {
			return own(rapid.IntRange(1, 5).Draw(t, "day"), rapid.SampledFrom([]string{"a", "b-1", "c"}).Draw(t, "model"),
				Row{Input: rapid.Int64Range(0, 1e6).Draw(t, "input"), Cost: rapid.Int64Range(0, 1e12).Draw(t, "cost"), Unknown: rapid.Int64Range(0, 1).Draw(t, "unknown")})
		})
		rows := rapid.SliceOfN(row, 0, 12).Draw(t, "rows")
		billed := rapid.SliceOfN(row, 0, 12).Draw(t, "billed")
		lines := invoice(billed)
		ledger, invoiced := Whole(0), Whole(0)
		for _, r := range rows {
			ledger = ledger.Plus(Nano(r.Cost))
		}
		for _, l := range lines {
			invoiced = invoiced.Plus(l.Cost)
		}
		r := Summarise(Compare(rows, lines))
		if r.Totals.Ledger.Cmp(ledger) != 0 || r.Totals.Invoice.Cmp(invoiced) != 0 {
			t.Fatalf("%v and %v, want %v and %v", r.Totals.Ledger, r.Totals.Invoice, ledger, invoiced)
		}
		same := Compare(rows, invoice(rows))
		if i := slices.IndexFunc(same, func(d Difference) bool { return d.Class != Match }); i >= 0 {
			t.Fatalf("%+v", same[i])
		}
	})
}

// invoice is the bill of a provider that counts as we do.
func invoice(rows []Row) []Line {
	var out []Line
	for _, r := range rows {
		out = append(out, Line{Day: r.Day, Model: r.Model, Unit: Input, Quantity: Whole(r.Input), Cost: Nano(r.Cost), Rows: 1})
	}
	return out
}
