package account

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Level says whose an account is.
type Level uint8

// The levels. The first four nest; a model's and a target's accounts are drawn on
// by everybody.
const (
	Organisation Level = iota
	Team
	Customer
	Key
	Model
	Target
	levels = iota
)

// String is the level as the file and the ledger name it.
func (l Level) String() string {
	return [levels]string{"organisation", "team", "customer", "key", "model", "target"}[l]
}

// Rules are how much one party, key, model or target may use. The zero Rules
// allow everything.
type Rules struct {
	Limits  Limits   `yaml:"limits" json:"limits,omitzero"`
	Budgets []Budget `yaml:"budgets" json:"budgets,omitempty"`
}

// IsZero reports whether everything is allowed.
func (r Rules) IsZero() bool { return r.Limits.IsZero() && len(r.Budgets) == 0 }

// Limits bound what is used in a while, and at once. What is empty is not
// limited.
type Limits struct {
	Requests     Rates `yaml:"requests" json:"requests,omitempty"`
	Tokens       Rates `yaml:"tokens" json:"tokens,omitempty"` // input and output
	InputTokens  Rates `yaml:"input_tokens" json:"input_tokens,omitempty"`
	OutputTokens Rates `yaml:"output_tokens" json:"output_tokens,omitempty"`
	Concurrent   int   `yaml:"concurrent" json:"concurrent,omitempty"` // requests at once
}

// IsZero reports whether nothing is limited.
func (l Limits) IsZero() bool {
	return len(l.Requests)+len(l.Tokens)+len(l.InputTokens)+len(l.OutputTokens) == 0 && l.Concurrent == 0
}

// Rate is an amount that may be used in a period. All of it may be used at once;
// then it comes back evenly (GCRA, ITU-T I.371, with the amount as the burst).
type Rate struct {
	N   int64
	Per time.Duration
}

// Rates are several at once, as text "10/s, 600/m, 40M/d". The units are s, m, h
// and d; k, M and G multiply.
type Rates []Rate

var periodUnits = []struct {
	unit, word string
	per        time.Duration
}{
	{"s", "second", time.Second},
	{"m", "minute", time.Minute},
	{"h", "hour", time.Hour},
	{"d", "day", 24 * time.Hour},
}

// String is the rate as text.
func (r Rate) String() string {
	n, scale := r.N, ""
	for _, s := range []string{"k", "M", "G"} {
		if n == 0 || n%1000 != 0 {
			break
		}
		n, scale = n/1000, s
	}
	for _, u := range periodUnits {
		if u.per == r.Per {
			return strconv.FormatInt(n, 10) + scale + "/" + u.unit
		}
	}
	return fmt.Sprintf("%d%s/%v", n, scale, r.Per)
}

// words is the rate for people: "600 requests a minute".
func (r Rate) words(what string) string {
	for _, u := range periodUnits {
		if u.per == r.Per {
			return fmt.Sprintf("%d %s a %s", r.N, what, u.word)
		}
	}
	return fmt.Sprintf("%d %s in %v", r.N, what, r.Per)
}

// UnmarshalText reads "10/s, 600/m".
func (r *Rates) UnmarshalText(text []byte) error {
	var out Rates
	for _, part := range strings.FieldsFunc(string(text), func(c rune) bool { return c == ',' || c == ' ' }) {
		one, err := parseRate(part)
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	*r = out
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (r Rates) MarshalText() ([]byte, error) {
	words := make([]string, len(r))
	for i, one := range r {
		words[i] = one.String()
	}
	return []byte(strings.Join(words, ", ")), nil
}

func parseRate(text string) (Rate, error) {
	wrong := func() (Rate, error) {
		return Rate{}, fmt.Errorf("%q is not a rate: write an amount and a unit of time, such as 10/s, 600/m, 5k/h or 40M/d", text)
	}
	amount, unit, ok := strings.Cut(text, "/")
	if !ok || amount == "" {
		return wrong()
	}
	scale := int64(1)
	switch amount[len(amount)-1] {
	case 'k':
		scale = 1e3
	case 'M':
		scale = 1e6
	case 'G':
		scale = 1e9
	}
	if scale > 1 {
		amount = amount[:len(amount)-1]
	}
	n, err := strconv.ParseInt(amount, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/scale/1000 {
		return wrong()
	}
	for _, u := range periodUnits {
		if u.unit == unit {
			return Rate{n * scale, u.per}, nil
		}
	}
	return wrong()
}

// Money is an amount in nano-dollars; as text, decimal dollars.
type Money int64

// mostMoney bounds a budget: beyond a billion dollars it is a mistake.
const mostMoney = 1_000_000_000 * dollar

const dollar = 1_000_000_000

// String is the amount as "$12.50".
func (m Money) String() string {
	sign, n := "", int64(m)
	if n < 0 {
		sign, n = "-", -n
	}
	text := fmt.Sprintf("%s$%d.%09d", sign, n/dollar, n%dollar)
	for strings.HasSuffix(text, "0") && len(text)-strings.IndexByte(text, '.') > 3 {
		text = text[:len(text)-1]
	}
	return text
}

// UnmarshalText reads decimal dollars exactly.
func (m *Money) UnmarshalText(text []byte) error {
	wrong := func() error {
		return fmt.Errorf("%q is not an amount: write dollars such as 500 or 12.50, with up to nine digits behind the point", text)
	}
	whole, frac, _ := strings.Cut(strings.TrimPrefix(string(text), "$"), ".")
	negative := strings.HasPrefix(whole, "-")
	whole = strings.TrimPrefix(whole, "-")
	if whole == "" || len(whole) > 10 || len(frac) > 9 || strings.Trim(whole+frac, "0123456789") != "" {
		return wrong()
	}
	n, err := strconv.ParseInt(whole+frac+strings.Repeat("0", 9-len(frac)), 10, 64)
	if err != nil {
		return wrong()
	}
	if negative {
		n = -n
	}
	*m = Money(n)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (m Money) MarshalText() ([]byte, error) {
	text := strings.Replace(m.String(), "$", "", 1)
	return []byte(strings.TrimSuffix(strings.TrimRight(text, "0"), ".")), nil
}

// Period is the window of a budget; windows are those of UTC.
type Period string

// The periods. A week begins on Monday; Total has no end.
const (
	PerDay   Period = "day"
	PerWeek  Period = "week"
	PerMonth Period = "month"
	Total    Period = "total"
)

// window is the one that a moment lies in; Total's has the zero end.
func (p Period) window(at time.Time) (start, end time.Time) {
	y, m, d := at.UTC().Date()
	switch p {
	case PerDay:
		start = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		return start, start.AddDate(0, 0, 1)
	case PerWeek:
		monday := (int(at.UTC().Weekday()) + 6) % 7
		start = time.Date(y, m, d-monday, 0, 0, 0, 0, time.UTC)
		return start, start.AddDate(0, 0, 7)
	case PerMonth:
		start = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
		return start, start.AddDate(0, 1, 0)
	}
	return time.Time{}, time.Time{}
}

// words is the period for people: "a month".
func (p Period) words() string {
	if p == Total {
		return "in all"
	}
	return "a " + string(p)
}

// Budget is an amount that may be spent in each window of a period.
type Budget struct {
	Amount Money  `yaml:"amount" json:"amount"`
	Per    Period `yaml:"per" json:"per"`
	// Hard refuses what does not fit; else the budget only warns.
	Hard bool `yaml:"hard" json:"hard,omitempty"`
	// Strict holds the most that a request can cost, and not what it is expected
	// to: the budget is never exceeded, and more requests are refused near its end.
	Strict bool `yaml:"strict" json:"strict,omitempty"`
	// Warn are the shares of the amount at which somebody is told; 80% and 100%
	// where it is empty.
	Warn Shares `yaml:"warn" json:"warn,omitempty"`
}

// Shares are percentages, as text "50%, 80%".
type Shares []int

// UnmarshalText reads "50%, 80%".
func (s *Shares) UnmarshalText(text []byte) error {
	var out Shares
	for _, part := range strings.FieldsFunc(string(text), func(c rune) bool { return c == ',' || c == ' ' }) {
		n, err := strconv.Atoi(strings.TrimSuffix(part, "%"))
		if err != nil || n < 1 || n > 1000 || !strings.HasSuffix(part, "%") {
			return fmt.Errorf("%q is not a share: write percentages such as 50%%, 80%%", part)
		}
		out = append(out, n)
	}
	slices.Sort(out)
	*s = out
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Shares) MarshalText() ([]byte, error) {
	words := make([]string, len(s))
	for i, n := range s {
		words[i] = strconv.Itoa(n) + "%"
	}
	return []byte(strings.Join(words, ", ")), nil
}

// mostRules bounds the budgets, and the rates of one resource, of an account.
const mostRules = 4

// Validate reports every problem of the rules that stand at path.
func (r Rules) Validate(path string, report func(path, wrong, right string)) {
	l := r.Limits
	for _, f := range []struct {
		name  string
		rates Rates
	}{{"requests", l.Requests}, {"tokens", l.Tokens}, {"input_tokens", l.InputTokens}, {"output_tokens", l.OutputTokens}} {
		at := path + ".limits." + f.name
		if len(f.rates) > mostRules {
			report(at, fmt.Sprintf("%d rates are more than %d", len(f.rates), mostRules), "keep the ones that matter")
		}
		for _, one := range f.rates {
			if one.N == 0 {
				report(at, "a rate of 0 lets nothing through", "write at least 1, or leave it out for no limit")
			}
		}
	}
	if l.Concurrent < 0 {
		report(path+".limits.concurrent", "a limit cannot be negative", "use a whole number from 1, or leave it out")
	}
	seen := map[Period]bool{}
	for i, b := range r.Budgets {
		at := fmt.Sprintf("%s.budgets[%d]", path, i)
		b.validate(at, report)
		if seen[b.Per] {
			report(at+".per", fmt.Sprintf("two budgets are per %s", b.Per), "keep one; a soft limit below a hard one is a `warn:` of it")
		}
		seen[b.Per] = true
	}
}

func (b Budget) validate(at string, report func(path, wrong, right string)) {
	switch {
	case b.Amount <= 0:
		report(at+".amount", fmt.Sprintf("a budget of %s lets nothing through", b.Amount), "write dollars above 0, or remove the budget")
	case b.Amount > mostMoney:
		report(at+".amount", fmt.Sprintf("a budget of %s is more than a billion dollars", b.Amount), "write dollars, such as 500")
	}
	if !slices.Contains([]Period{PerDay, PerWeek, PerMonth, Total}, b.Per) {
		report(at+".per", fmt.Sprintf("%q is no period", b.Per), "use day, week, month or total")
	}
	if b.Strict && !b.Hard {
		report(at+".strict", "a budget that only warns cannot be strict", "add `hard: true`, or remove `strict`")
	}
}
