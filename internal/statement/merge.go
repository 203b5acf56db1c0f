package statement

import (
	"cmp"
	"fmt"
	"slices"
)

// The columns by which a merge is grouped.
const (
	BySite     = "site"
	ByCustomer = "customer"
	ByMonth    = "month"
	ByDay      = "day"
	ByModel    = "model"
	ByProvider = "provider"
)

// Columns are all of them.
func Columns() []string { return []string{BySite, ByCustomer, ByMonth, ByDay, ByModel, ByProvider} }

// Row is one group of a merge. Only the columns that were asked for are set.
type Row struct {
	Site     string `json:"site,omitempty"`
	Customer string `json:"customer,omitempty"`
	Month    string `json:"month,omitempty"`
	Day      string `json:"day,omitempty"`
	Model    string `json:"model,omitempty"`
	Provider string `json:"provider,omitempty"`
	Sums
}

// Column is where a row keeps the value of a column; nil when there is no such.
func (r *Row) Column(by string) *string {
	switch by {
	case BySite:
		return &r.Site
	case ByCustomer:
		return &r.Customer
	case ByMonth:
		return &r.Month
	case ByDay:
		return &r.Day
	case ByModel:
		return &r.Model
	case ByProvider:
		return &r.Provider
	}
	return nil
}

// Merged is the sum of many statements.
type Merged struct {
	Rows   []Row `json:"rows"` // ordered by the columns
	Totals Sums  `json:"totals"`
	// Gaps are what is missing between the statements of a site, each a sentence.
	Gaps []string `json:"gaps"`
	// Drafts are statements whose month may still change, as SITE, WHOSE, MONTH.
	Drafts []string `json:"drafts,omitempty"`
}

// Merge adds up statements of many sites. It refuses those that would count
// something twice; the error names both. It does not verify: see [Verify].
func Merge(list []*Signed, by []string) (Merged, error) {
	for i, b := range by {
		if new(Row).Column(b) == nil || slices.Contains(by[:i], b) {
			return Merged{}, fmt.Errorf("merge by %q: name each of %v at most once", b, Columns())
		}
	}
	list = slices.SortedStableFunc(slices.Values(list), func(a, b *Signed) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.Number, b.Number), a.Month.Compare(b.Month))
	})
	if err := twice(list); err != nil {
		return Merged{}, err
	}
	m := Merged{Rows: []Row{}, Gaps: gaps(list)}
	groups := map[Row]int{} // its columns, to its place
	for _, s := range list {
		if s.Draft() {
			m.Drafts = append(m.Drafts, fmt.Sprintf("%s, %s, %s", s.Site, s.whose(), s.Month))
		}
		if err := m.add(s, by, groups); err != nil {
			return Merged{}, fmt.Errorf("%s, %s, %s: %w", s.Site, s.whose(), s.Month, err)
		}
	}
	slices.SortFunc(m.Rows, func(a, b Row) int {
		for _, by := range by {
			if c := cmp.Compare(*a.Column(by), *b.Column(by)); c != 0 {
				return c
			}
		}
		return 0
	})
	return m, nil
}

func (m *Merged) add(s *Signed, by []string, groups map[Row]int) error {
	for _, l := range s.Lines {
		all := Row{Site: s.Site, Customer: cmp.Or(s.Customer, l.Customer), Month: s.Month.String(), Day: l.Day, Model: l.Model, Provider: l.Provider}
		var group Row
		for _, b := range by {
			*group.Column(b) = *all.Column(b)
		}
		i, ok := groups[group]
		if !ok {
			i = len(m.Rows)
			groups[group] = i
			m.Rows = append(m.Rows, group)
		}
		if err := m.Rows[i].Add(l.Sums); err != nil {
			return err
		}
		if err := m.Totals.Add(l.Sums); err != nil {
			return err
		}
	}
	return nil
}

// twice is an error about two statements that cover the same. The list is in
// order of site and customer, so those of all customers come first.
func twice(list []*Signed) error {
	type place struct {
		site, customer string
		month          Month
	}
	seen := map[place]*Signed{}
	for _, s := range list {
		if all := seen[place{s.Site, "", s.Month}]; all != nil && s.Customer != "" {
			return fmt.Errorf("%s, %s: what %s used stands in the statement of all customers, too; give one of the two", s.Site, s.Month, s.whose())
		}
		at := place{s.Site, s.Customer, s.Month}
		if o := seen[at]; o != nil {
			return fmt.Errorf("%s, %s, %s stands twice: number %d and number %d%s", s.Site, s.whose(), s.Month, o.Number, s.Number, leaveOut(o, s))
		}
		seen[at] = s
	}
	return nil
}

func leaveOut(o, s *Signed) string {
	switch {
	case s.Replaces > 0 && s.Replaces == o.Number:
		return fmt.Sprintf(", which replaces it; leave out number %d", o.Number)
	case o.Draft():
		return "; leave out the draft"
	}
	return "; give it once"
}

// gaps names what is missing within each series of an ordered list. A number that
// was left out because another one replaces it is no gap.
func gaps(list []*Signed) []string {
	out := []string{}
	replaced := func(s *Signed, n int64) bool {
		return slices.ContainsFunc(list, func(o *Signed) bool { return o.sameSeries(&s.Statement) && o.Replaces == n })
	}
	var last *Signed
	for _, s := range list {
		if s.Draft() {
			continue
		}
		if last == nil || !last.sameSeries(&s.Statement) {
			last = s
			continue
		}
		for n := last.Number + 1; n < s.Number && len(out) < mostGaps; n++ {
			if !replaced(s, n) {
				out = append(out, fmt.Sprintf("%s, %s: number %d is missing", s.Site, s.whose(), n))
			}
		}
		if s.Number == last.Number+1 && s.Previous != last.Digest {
			out = append(out, fmt.Sprintf("%s, %s: number %d does not follow the number %d that is here", s.Site, s.whose(), s.Number, last.Number))
		}
		last = s
	}
	return append(out, monthGaps(list)...)
}

// mostGaps bounds the sentences about one merge.
const mostGaps = 1000

// monthGaps names the months that are missing between the first and the last one
// of a series.
func monthGaps(list []*Signed) (out []string) {
	for i := 0; i < len(list); {
		months := map[Month]bool{}
		first := list[i]
		from, to := first.Month, first.Month
		for ; i < len(list) && list[i].sameSeries(&first.Statement); i++ {
			m := list[i].Month
			months[m] = true
			if m.Compare(from) < 0 {
				from = m
			}
			if m.Compare(to) > 0 {
				to = m
			}
		}
		for m := from; m.Compare(to) < 0 && len(out) < mostGaps; m = m.Next() {
			if !months[m] {
				out = append(out, fmt.Sprintf("%s, %s: the month %s is missing", first.Site, first.whose(), m))
			}
		}
	}
	return out
}
