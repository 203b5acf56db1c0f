package account

import (
	"fmt"
	"strings"
)

// Money is an amount in nano-dollars. Its text is a decimal number of dollars,
// such as "500" or "12.50".
type Money int64

// Dollar is one dollar.
const Dollar Money = 1_000_000_000

// mostMoney bounds budgets, and what one request may hold: beyond it an amount
// is a mistake, and sums of some of them would not fit.
const mostMoney = 1_000_000_000 * Dollar

const moneyDigits = 9

// UnmarshalText reads a decimal number of dollars exactly, with an optional
// minus sign and dollar sign. More than nine digits behind the point, or more
// than nine billion dollars, are errors.
func (m *Money) UnmarshalText(text []byte) error {
	s, negative := strings.CutPrefix(string(text), "-")
	whole, frac, point := strings.Cut(strings.TrimPrefix(s, "$"), ".")
	if whole == "" || point && frac == "" || !digits(whole) || !digits(frac) {
		return fmt.Errorf("%q is no amount of dollars: write 500 or 12.50", text)
	}
	if frac = strings.TrimRight(frac, "0"); len(frac) > moneyDigits {
		return fmt.Errorf("%q has more than %d digits behind the point", text, moneyDigits)
	}
	if whole = strings.TrimLeft(whole, "0"); len(whole) > 10 || len(whole) == 10 && whole[0] == '9' {
		return fmt.Errorf("%q is more than 8999999999 dollars", text)
	}
	n := int64(0)
	for _, c := range whole + frac + strings.Repeat("0", moneyDigits-len(frac)) {
		n = 10*n + int64(c-'0')
	}
	if negative {
		n = -n
	}
	*m = Money(n)
	return nil
}

// UnmarshalJSON reads what UnmarshalText reads, as a string or as a number.
func (m *Money) UnmarshalJSON(text []byte) error {
	if s := strings.Trim(string(text), `"`); len(s)+2 == len(text) || len(s) == len(text) {
		return m.UnmarshalText([]byte(s))
	}
	return fmt.Errorf("%s is no amount of dollars: write \"500\" or \"12.50\"", text)
}

// MarshalText is the shortest decimal number of dollars that means m; cents are
// two digits.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.decimal()), nil }

// String is the amount for people, with a dollar sign.
func (m Money) String() string {
	if m < 0 {
		return "-$" + (-m).decimal()
	}
	return "$" + m.decimal()
}

func (m Money) decimal() string {
	sign := ""
	n := uint64(m)
	if m < 0 {
		sign, n = "-", -n
	}
	whole, rest := n/uint64(Dollar), n%uint64(Dollar)
	if rest == 0 {
		return fmt.Sprintf("%s%d", sign, whole)
	}
	frac := strings.TrimRight(fmt.Sprintf("%09d", rest), "0")
	if len(frac) == 1 {
		frac += "0"
	}
	return fmt.Sprintf("%s%d.%s", sign, whole, frac)
}

// digits reports whether s has nothing but decimal digits.
func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }
