package account

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Rate is how much of something there is in a while: Amount at once, which comes
// back evenly within Per.
type Rate struct {
	Amount int64
	Per    time.Duration // one of a second, a minute, an hour, a day
}

// Rates all hold at once. Their text is "10/s, 600/m, 40M/d".
type Rates []Rate

// mostAmount bounds a rate's amount.
const mostAmount = 1_000_000_000_000_000

type rateUnit struct {
	letter, word string
	per          time.Duration
}

var rateUnits = []rateUnit{{"s", "second", time.Second}, {"m", "minute", time.Minute}, {"h", "hour", time.Hour}, {"d", "day", 24 * time.Hour}}

var magnitudes = []struct {
	suffix string
	times  int64
}{{"G", 1_000_000_000}, {"M", 1_000_000}, {"k", 1_000}}

// UnmarshalText reads rates, each "amount/unit" with the units s, m, h and d and
// the suffixes k, M and G.
func (r *Rates) UnmarshalText(text []byte) error {
	var out Rates
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.TrimSpace(part)
		if part == "" && len(text) == 0 {
			break
		}
		rate, err := parseRate(part)
		if err != nil {
			return err
		}
		out = append(out, rate)
	}
	*r = out
	return nil
}

func parseRate(s string) (Rate, error) {
	left, unit, ok := strings.Cut(s, "/")
	if !ok {
		return Rate{}, fmt.Errorf("%q is no rate: write an amount for a unit of time, such as 600/m", s)
	}
	i := slices.IndexFunc(rateUnits, func(u rateUnit) bool { return u.letter == strings.TrimSpace(unit) })
	if i < 0 {
		return Rate{}, fmt.Errorf("%q is no rate: its unit must be s, m, h or d", s)
	}
	n, err := parseAmount(strings.TrimSpace(left))
	if err != nil {
		return Rate{}, fmt.Errorf("%q is no rate: %w", s, err)
	}
	return Rate{n, rateUnits[i].per}, nil
}

// parseAmount reads "600", "40M" or "1.5k".
func parseAmount(s string) (int64, error) {
	times := int64(1)
	for _, m := range magnitudes {
		if rest, ok := strings.CutSuffix(s, m.suffix); ok {
			s, times = rest, m.times
			break
		}
	}
	whole, frac, point := strings.Cut(s, ".")
	if whole == "" || point && frac == "" || !digits(whole) || !digits(frac) {
		return 0, fmt.Errorf("its amount must be a number such as 600, 40M or 1.5k")
	}
	n := int64(0)
	for _, c := range whole + frac {
		if n > math.MaxInt64/10-1 {
			return 0, fmt.Errorf("its amount is more than %d", int64(mostAmount))
		}
		n = 10*n + int64(c-'0')
	}
	for range frac {
		if times%10 == 0 {
			times /= 10
		} else if n%10 == 0 {
			n /= 10
		} else {
			return 0, fmt.Errorf("its amount is no whole number")
		}
	}
	if n > mostAmount/times {
		return 0, fmt.Errorf("its amount is more than %d", int64(mostAmount))
	}
	return n * times, nil
}

// String is the rate as in the file.
func (r Rate) String() string {
	unit := r.Per.String()
	for _, u := range rateUnits {
		if u.per == r.Per {
			unit = u.letter
		}
	}
	n, suffix := r.Amount, ""
	for _, m := range magnitudes {
		if n != 0 && n%m.times == 0 {
			n, suffix = n/m.times, m.suffix
			break
		}
	}
	return fmt.Sprintf("%d%s/%s", n, suffix, unit)
}

// word is the unit for sentences.
func (r Rate) word() string {
	for _, u := range rateUnits {
		if u.per == r.Per {
			return u.word
		}
	}
	return r.Per.String()
}

// String is the rates' text.
func (r Rates) String() string {
	parts := make([]string, len(r))
	for i, rate := range r {
		parts[i] = rate.String()
	}
	return strings.Join(parts, ", ")
}

// MarshalText is String.
func (r Rates) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
