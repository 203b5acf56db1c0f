package reconcile

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

// Decimal is an exact number that may be unknown: the zero Decimal is one that
// nobody stated, which is not the number 0. It is immutable.
type Decimal struct{ r *big.Rat }

// Whole is n.
func Whole(n int64) Decimal { return Decimal{new(big.Rat).SetInt64(n)} }

// Nano is n billionths, as the ledger keeps money.
func Nano(n int64) Decimal { return Decimal{big.NewRat(n, 1e9)} }

// Stated reports whether there is a number.
func (d Decimal) Stated() bool { return d.r != nil }

// IsZero reports whether the number is 0, or there is none.
func (d Decimal) IsZero() bool { return d.r == nil || d.r.Sign() == 0 }

func (d Decimal) rat() *big.Rat {
	if d.r == nil {
		return new(big.Rat)
	}
	return d.r
}

// Plus is the sum; what is not stated adds nothing.
func (d Decimal) Plus(o Decimal) Decimal {
	if d.r == nil {
		return o
	}
	if o.r == nil {
		return d
	}
	return Decimal{new(big.Rat).Add(d.r, o.r)}
}

// Minus is the difference.
func (d Decimal) Minus(o Decimal) Decimal { return Decimal{new(big.Rat).Sub(d.rat(), o.rat())} }

// Times is the product with n.
func (d Decimal) Times(n int64) Decimal {
	if d.r == nil {
		return d
	}
	return Decimal{new(big.Rat).Mul(d.r, new(big.Rat).SetInt64(n))}
}

// Over is the quotient; not stated when o is 0.
func (d Decimal) Over(o Decimal) Decimal {
	if o.IsZero() || d.r == nil {
		return Decimal{}
	}
	return Decimal{new(big.Rat).Quo(d.r, o.r)}
}

// Abs is the distance from 0.
func (d Decimal) Abs() Decimal { return Decimal{new(big.Rat).Abs(d.rat())} }

// Cmp compares; what is not stated counts as 0.
func (d Decimal) Cmp(o Decimal) int { return d.rat().Cmp(o.rat()) }

// String writes a finite decimal with all of its places, and a quotient with six.
// It is "-" for what is not stated.
func (d Decimal) String() string {
	if d.r == nil {
		return "-"
	}
	places, exact := d.r.FloatPrec()
	if !exact {
		places = 6
	}
	return d.r.FloatString(places)
}

// Round writes the number with so many places.
func (d Decimal) Round(places int) string {
	if d.r == nil {
		return "-"
	}
	return d.r.FloatString(places)
}

// MarshalText writes String.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDecimal does, and "-".
func (d *Decimal) UnmarshalText(text []byte) (err error) {
	*d = Decimal{}
	if string(text) != "-" {
		*d, err = ParseDecimal(string(text))
	}
	return err
}

// The spellings of a number: plain, with an exponent as spreadsheets write small
// ones, and with commas between thousands.
var (
	plain     = regexp.MustCompile(`^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?$`)
	thousands = regexp.MustCompile(`^[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?$`)
)

// mostDigits bounds a number that is read.
const mostDigits = 60

// ParseDecimal reads a number exactly. A dollar sign before it is passed over.
func ParseDecimal(text string) (Decimal, error) {
	s := strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(s, "-$"); ok {
		s = "-" + rest
	}
	s = strings.TrimPrefix(s, "$")
	if thousands.MatchString(s) {
		s = strings.ReplaceAll(s, ",", "")
	}
	if len(s) > mostDigits || !plain.MatchString(s) {
		return Decimal{}, fmt.Errorf("%.60q is no number; write 1234.56 or 1,234.56", text)
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return Decimal{}, fmt.Errorf("%.60q is no number", text)
	}
	return Decimal{r}, nil
}
