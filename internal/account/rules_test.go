package account

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMoneyIsReadExactly(t *testing.T) {
	for text, want := range map[string]Money{
		"500": 500 * Dollar, "12.50": 12_500_000_000, "$5": 5 * Dollar, "0.000000001": 1, "00.10": 100_000_000,
		"-3": -3 * Dollar, "1000000000": 1_000_000_000 * Dollar, "1.0000000000": Dollar,
	} {
		var m Money
		if err := m.UnmarshalText([]byte(text)); err != nil || m != want {
			t.Errorf("%q is %d, %v; want %d", text, m, err, want)
		}
	}
	for _, text := range []string{"", ".", "5.", ".5", "1e3", "1,000", "0.0000000001", "9000000000", "--1", "1 ", "ten", "+1", "99999999999999999999"} {
		var m Money
		if err := m.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, m)
		}
	}
}

func TestMoneySurvivesItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Money(rapid.Int64Range(-8_999_999_999*int64(Dollar), 8_999_999_999*int64(Dollar)).Draw(t, "money"))
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Money
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Fatalf("%s is %d, %v; want %d", text, got, err, want)
		}
	})
}

func TestMoneyInJSONMayBeANumber(t *testing.T) {
	var b Budget
	if err := json.Unmarshal([]byte(`{"amount": 12.5, "per": "month"}`), &b); err != nil || b.Amount != 12_500_000_000 {
		t.Errorf("%v, %v", b.Amount, err)
	}
	for _, text := range []string{`{"amount": "5`, `{"amount": 1e3}`, `{"amount": [5]}`, `{"amount": {}}`} {
		if err := json.Unmarshal([]byte(text), &b); err == nil {
			t.Errorf("%s is read as %v", text, b.Amount)
		}
	}
}

func TestRatesAreRead(t *testing.T) {
	for text, want := range map[string]Rates{
		"10/s, 600/m, 40M/d": {{10, time.Second}, {600, time.Minute}, {40_000_000, 24 * time.Hour}},
		"1.5k/h":             {{1500, time.Hour}},
		" 2G/d ":             {{2_000_000_000, 24 * time.Hour}},
		"1.50/s":             nil, "": nil, "10": nil, "/s": nil, "10/w": nil, "-1/s": nil, "1/s,": nil, "1e3/s": nil, "0.5/s": nil,
		"99999999999999999999/s": nil, "9000000G/s": nil, "1k5/m": nil,
	} {
		var got Rates
		err := got.UnmarshalText([]byte(text))
		if !reflect.DeepEqual(got, want) || err == nil != (want != nil || text == "") {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestWindowsAreThoseOfTheCalendarInUTC(t *testing.T) {
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	east := time.FixedZone("", 5*3600)
	for _, c := range []struct {
		per      Period
		at       time.Time
		from, to string
	}{
		{Day, t0, "2026-11-24", "2026-11-25"},
		{Day, time.Date(2026, 11, 25, 3, 0, 0, 0, east), "2026-11-24", "2026-11-25"},
		{Week, t0, "2026-11-23", "2026-11-30"},
		{Week, day("2026-11-22"), "2026-11-16", "2026-11-23"}, // a Sunday
		{Week, day("2026-11-23"), "2026-11-23", "2026-11-30"}, // a Monday
		{Week, day("2027-01-01"), "2026-12-28", "2027-01-04"},
		{Month, day("2026-12-31"), "2026-12-01", "2027-01-01"},
		{Month, day("2028-02-29"), "2028-02-01", "2028-03-01"},
	} {
		from, to := c.per.Bounds(c.at)
		if !from.Equal(day(c.from)) || !to.Equal(day(c.to)) {
			t.Errorf("%v of %v is %v to %v", c.per, c.at, from, to)
		}
	}
	if from, to := Total.Bounds(t0); !from.IsZero() || !to.IsZero() {
		t.Errorf("a total is from %v to %v", from, to)
	}
}

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	good := Budget{Amount: 5 * Dollar, Per: Month}
	with := func(change func(*Budget)) Rules {
		b := good
		change(&b)
		return Rules{Budgets: []Budget{b}}
	}
	for name, c := range map[string]struct {
		rules Rules
		path  string
	}{
		"a budget of nothing":    {with(func(b *Budget) { b.Amount = 0 }), "x.budgets[0].amount"},
		"a negative budget":      {with(func(b *Budget) { b.Amount = -1 }), "x.budgets[0].amount"},
		"a budget of the world":  {with(func(b *Budget) { b.Amount = mostMoney + 1 }), "x.budgets[0].amount"},
		"no period":              {with(func(b *Budget) { b.Per = 0 }), "x.budgets[0].per"},
		"a period nobody knows":  {with(func(b *Budget) { b.Per = 9 }), "x.budgets[0].per"},
		"strict but not hard":    {with(func(b *Budget) { b.Strict = true }), "x.budgets[0].strict"},
		"a warning at nothing":   {with(func(b *Budget) { b.Warn = Shares{0} }), "x.budgets[0].warn"},
		"warnings fall":          {with(func(b *Budget) { b.Warn = Shares{80, 50} }), "x.budgets[0].warn"},
		"too many warnings":      {with(func(b *Budget) { b.Warn = Shares{1, 2, 3, 4, 5, 6, 7, 8} }), "x.budgets[0].warn"},
		"too many budgets":       {Rules{Budgets: []Budget{good, good, good, good, good, good, good, good, good}}, "x.budgets"},
		"a rate of nothing":      {Rules{Limits: Limits{Requests: Rates{{0, time.Minute}}}}, "x.limits.requests"},
		"a negative rate":        {Rules{Limits: Limits{Tokens: Rates{{-1, time.Minute}}}}, "x.limits.tokens"},
		"a rate of everything":   {Rules{Limits: Limits{InputTokens: Rates{{mostAmount + 1, time.Minute}}}}, "x.limits.input_tokens"},
		"a rate of a fortnight":  {Rules{Limits: Limits{OutputTokens: Rates{{1, 14 * 24 * time.Hour}}}}, "x.limits.output_tokens"},
		"two rates for a second": {Rules{Limits: Limits{Requests: Rates{{1, time.Second}, {2, time.Second}}}}, "x.limits.requests"},
		"negative places":        {Rules{Limits: Limits{Concurrent: -1}}, "x.limits.concurrent"},
	} {
		var paths []string
		c.rules.Validate("x", func(path, wrong, right string) {
			paths = append(paths, path)
			if wrong == "" || right == "" {
				t.Errorf("%s: %q, %q says nothing", name, wrong, right)
			}
		})
		if strings.Join(paths, " ") != c.path {
			t.Errorf("%s: reported at %v, want %s", name, paths, c.path)
		}
	}
	Rules{Budgets: []Budget{good}, Limits: Limits{Requests: Rates{{1, time.Second}}, Concurrent: 1}}.Validate("", func(path, wrong, right string) {
		t.Errorf("good rules: %s: %s; %s", path, wrong, right)
	})
}

func TestRulesSurviveJSON(t *testing.T) {
	want := rulesOf(t, "requests=10/s,600/m tokens=40M/d input=1k/h output=1G/d concurrent=7 budget=12.50/week,strict,warn=50%+80% budget=500/total")
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Rules
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nis %+v, %v", text, got, err)
	}
	if !(Rules{}).IsZero() || want.IsZero() {
		t.Error("IsZero is wrong")
	}
}

// fuzzText checks that what is read is written as something that reads the same.
func fuzzText[T interface{ MarshalText() ([]byte, error) }](f *testing.F, read func([]byte) (T, error), seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := read([]byte(text))
		if err != nil {
			return
		}
		out, err := v.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		again, err := read(out)
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Fatalf("%q is %v, written as %q, which is %v, %v", text, v, out, again, err)
		}
	})
}

func FuzzMoney(f *testing.F) {
	fuzzText(f, func(b []byte) (m Money, err error) { err = m.UnmarshalText(b); return m, err }, "500", "12.50", "-0.1", "$3")
}

func FuzzRates(f *testing.F) {
	fuzzText(f, func(b []byte) (r Rates, err error) { err = r.UnmarshalText(b); return r, err }, "10/s, 600/m, 40M/d", "1.5k/h")
}

func FuzzShares(f *testing.F) {
	fuzzText(f, func(b []byte) (s Shares, err error) { err = s.UnmarshalText(b); return s, err }, "50%, 80%", "100%")
}

func FuzzPeriod(f *testing.F) {
	fuzzText(f, func(b []byte) (p Period, err error) { err = p.UnmarshalText(b); return p, err }, "day", "total")
}

func FuzzLevel(f *testing.F) {
	fuzzText(f, func(b []byte) (l Level, err error) { err = l.UnmarshalText(b); return l, err }, "key", "organisation")
}
