package statement

import (
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Month is a month in UTC. Its text is 2006-01.
type Month struct{ first time.Time }

const monthForm = "2006-01"

// ParseMonth reads 2006-01.
func ParseMonth(text string) (Month, error) {
	at, err := time.Parse(monthForm, text)
	if err != nil || at.Year() < 1 {
		return Month{}, fmt.Errorf("%q is no month; write it as 2026-11", text)
	}
	return Month{at}, nil
}

// MonthOf is the month that a time is in.
func MonthOf(at time.Time) Month {
	y, m, _ := at.UTC().Date()
	return Month{time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)}
}

// Start is the first moment of the month; End is the first one after it.
func (m Month) Start() time.Time { return m.first }

// End is exclusive.
func (m Month) End() time.Time { return m.first.AddDate(0, 1, 0) }

// Next is the month after.
func (m Month) Next() Month { return Month{m.End()} }

// Compare is negative when m is before o.
func (m Month) Compare(o Month) int { return m.first.Compare(o.first) }

// Has reports whether a day, as 2006-01-02, is in the month.
func (m Month) Has(day string) bool {
	at, err := time.Parse(time.DateOnly, day)
	return err == nil && MonthOf(at) == m
}

func (m Month) String() string { return m.first.Format(monthForm) }

// MarshalText writes 2006-01.
func (m Month) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads it.
func (m *Month) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMonth(string(text))
	return err
}

// Nano is an amount in nano-dollars, exact and unbounded. It is immutable. Its
// text is a whole number, which JSON carries as a string: programs that read a
// number into a float would round it.
type Nano struct{ n *big.Int }

// NanoOf is an amount.
func NanoOf(n int64) Nano {
	if n == 0 {
		return Nano{}
	}
	return Nano{big.NewInt(n)}
}

// mostDigits bounds an amount that is read: more than all the money there is.
const mostDigits = 40

// Plus is the sum.
func (a Nano) Plus(b Nano) Nano {
	if a.n == nil {
		return b
	}
	if b.n == nil {
		return a
	}
	return normal(new(big.Int).Add(a.n, b.n))
}

// normal gives zero one form, so that equal sums are equal to ==-like checks of
// their text and to reflect.
func normal(n *big.Int) Nano {
	if n.Sign() == 0 {
		return Nano{}
	}
	return Nano{n}
}

// Cmp compares as big.Int does.
func (a Nano) Cmp(b Nano) int { return a.big().Cmp(b.big()) }

func (a Nano) big() *big.Int {
	if a.n == nil {
		return new(big.Int)
	}
	return a.n
}

func (a Nano) String() string { return a.big().String() }

// Dollars is the amount with all of its nine decimals, as -12.345678901.
func (a Nano) Dollars() string {
	digits := new(big.Int).Abs(a.big()).String()
	if len(digits) < 10 {
		digits = strings.Repeat("0", 10-len(digits)) + digits
	}
	sign := ""
	if a.big().Sign() < 0 {
		sign = "-"
	}
	cut := len(digits) - 9
	return sign + digits[:cut] + "." + digits[cut:]
}

// MarshalText writes the whole number.
func (a Nano) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads it.
func (a *Nano) UnmarshalText(text []byte) error {
	n, ok := new(big.Int), false
	if len(text) <= mostDigits {
		n, ok = n.SetString(string(text), 10)
	}
	if !ok {
		return fmt.Errorf("%.60q is no whole number of nano-dollars", text)
	}
	*a = normal(n)
	return nil
}
