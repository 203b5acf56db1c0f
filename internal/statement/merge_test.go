package statement

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// of is a statement of a site, with one line.
func of(t testing.TB, site, customer, m string, number int64, previous string, cost int64) *Signed {
	t.Helper()
	in := sample()
	in.Site, in.Customer, in.Month, in.Number, in.Previous = site, customer, month(m), number, previous
	in.Lines = []Line{{Day: m + "-09", Model: "m", Provider: "openai", Sums: Sums{Requests: 1, Cost: NanoOf(cost)}}}
	if customer == "" {
		in.Lines[0].Customer = "acme"
	}
	in.Made = in.Month.End().Add(settling)
	return opened(t, in)
}

func TestSitesAreJoined(t *testing.T) {
	a1 := of(t, "a", "acme", "2026-11", 1, "", 1)
	a2 := of(t, "a", "acme", "2026-12", 2, a1.Digest, 2)
	b1 := of(t, "b", "", "2026-11", 1, "", 1<<62)
	c1 := of(t, "c", "zeta", "2026-11", 1, "", 1<<62)
	m, err := Merge([]*Signed{c1, a2, b1, a1}, []string{ByCustomer, ByMonth})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range m.Rows {
		got = append(got, fmt.Sprintf("%s %s %s%d %s", r.Customer, r.Month, r.Site, r.Requests, r.Cost))
	}
	want := "[acme 2026-11 2 4611686018427387905 acme 2026-12 1 2 zeta 2026-11 1 4611686018427387904]"
	if fmt.Sprint(got) != want || m.Totals.Cost.String() != "9223372036854775811" || len(m.Gaps) != 0 {
		t.Errorf("%v, %v, %v", got, m.Totals.Cost, m.Gaps)
	}
}

func TestNothingIsCountedTwice(t *testing.T) {
	one := of(t, "a", "acme", "2026-11", 1, "", 1)
	draft := of(t, "a", "acme", "2026-11", 0, "", 1)
	all := of(t, "a", "", "2026-11", 1, "", 1)
	in := sample()
	in.Site, in.Number, in.Previous, in.Replaces = "a", 2, one.Digest, 1
	anew := opened(t, in)
	cases := map[string][]*Signed{
		"stands twice: number 1 and number 1; give it once": {one, one},
		"the draft":                             {one, draft},
		"statement of all customers":            {one, all},
		"which replaces it; leave out number 1": {one, anew},
	}
	for want, list := range cases {
		if _, err := Merge(list, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Merge([]*Signed{one}, []string{"colour"}); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Error(err)
	}
}

func TestGapsAreNamed(t *testing.T) {
	one := of(t, "a", "acme", "2026-09", 1, "", 1)
	two := of(t, "a", "acme", "2026-10", 2, one.Digest, 1)
	stray := of(t, "a", "acme", "2026-10", 2, "sha256:00", 1)
	four := of(t, "a", "acme", "2026-12", 4, "sha256:00", 1)
	in := sample()
	in.Site, in.Month, in.Lines, in.Number, in.Previous, in.Replaces = "a", month("2026-09"), nil, 3, two.Digest, 1
	anew := opened(t, in)
	cases := []struct {
		list []*Signed
		want string
	}{
		{[]*Signed{one, two}, "[]"},
		{[]*Signed{one, four}, "[a, customer acme: number 2 is missing a, customer acme: number 3 is missing a, customer acme: the month 2026-10 is missing a, customer acme: the month 2026-11 is missing]"},
		{[]*Signed{one, stray}, "[a, customer acme: number 2 does not follow the number 1 that is here]"},
		{[]*Signed{two, anew}, "[]"},
	}
	for _, c := range cases {
		m, err := Merge(c.list, nil)
		if err != nil || fmt.Sprint(m.Gaps) != c.want {
			t.Errorf("%v, %v, want %s", m.Gaps, err, c.want)
		}
	}
}

// TestEveryGroupingAddsUpToTheSame, exactly.
func TestEveryGroupingAddsUpToTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var list []*Signed
		want := new(big.Int)
		for _, site := range []string{"a", "b"} {
			for _, customer := range []string{"x", "y"} {
				cost := rapid.Int64().Draw(rt, "cost")
				want.Add(want, big.NewInt(cost))
				list = append(list, of(t, site, customer, "2026-11", 1, "", cost))
			}
		}
		by := rapid.SliceOfDistinct(rapid.SampledFrom(Columns()), func(s string) string { return s }).Draw(rt, "by")
		m, err := Merge(list, by)
		if err != nil {
			rt.Fatal(err)
		}
		var sum Sums
		for _, r := range m.Rows {
			if err := sum.Add(r.Sums); err != nil {
				rt.Fatal(err)
			}
		}
		if sum.Cost.String() != want.String() || sum.Requests != 4 || m.Totals.Cost.Cmp(sum.Cost) != 0 {
			rt.Fatalf("%v, want %v", sum, want)
		}
	})
}
