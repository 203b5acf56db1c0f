package meter

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// Price is an amount of US dollars for a million tokens or characters, for a
// thousand requests or searches, for an image or for an hour of sound, in
// pico-dollars (10^-12). It is never negative.
type Price int64

const (
	priceDigits = 12
	priceMax    = 1_000_000 // dollars; beyond it a price is a mistake
)

// ParsePrice reads a decimal number of dollars, such as "3", "0.075" or
// "7.5e-2", exactly. More than twelve digits behind the point, a sign, or more
// than a million dollars are errors.
func ParsePrice(s string) (Price, error) {
	mantissa, exponent, err := splitExponent(s)
	if err != nil {
		return 0, fmt.Errorf("price %q: %w", s, err)
	}
	whole, frac, _ := strings.Cut(mantissa, ".")
	digits := whole + frac
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("price %q is not a decimal number: write dollars such as 0.25", s)
	}
	scale := priceDigits - len(frac) + exponent
	for scale < 0 && strings.HasSuffix(digits, "0") {
		digits, scale = digits[:len(digits)-1], scale+1
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return 0, nil
	}
	if scale < 0 {
		return 0, fmt.Errorf("price %q has more than %d digits behind the point", s, priceDigits)
	}
	n := int64(0)
	for _, c := range digits + strings.Repeat("0", min(scale, 20)) {
		if n > (math.MaxInt64-9)/10 {
			return 0, fmt.Errorf("price %q is more than %d dollars", s, priceMax)
		}
		n = 10*n + int64(c-'0')
	}
	if n > priceMax*1_000_000_000_000 {
		return 0, fmt.Errorf("price %q is more than %d dollars", s, priceMax)
	}
	return Price(n), nil
}

func splitExponent(s string) (mantissa string, exponent int, err error) {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return s, 0, nil
	}
	digits, negative := strings.CutPrefix(s[i+1:], "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	if len(digits) == 0 || len(digits) > 2 || strings.Trim(digits, "0123456789") != "" {
		return "", 0, fmt.Errorf("its exponent is not a number of one or two digits")
	}
	for _, c := range digits {
		exponent = 10*exponent + int(c-'0')
	}
	if negative {
		exponent = -exponent
	}
	return s[:i], exponent, nil
}

// String is the shortest decimal number of dollars that means p.
func (p Price) String() string {
	s := fmt.Sprintf("%d.%012d", int64(p)/1_000_000_000_000, int64(p)%1_000_000_000_000)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// amount is a sum of money before it is rounded: 128 bits, in nano-dollars times
// 10^9. A price in pico-dollars for a million tokens is, for one token, exactly
// that number of these units.
type amount struct {
	hi, lo uint64
}

const amountScale = 1_000_000_000

// add adds n times p. Neither may be negative; their product is below 2^126.
func (a *amount) add(n int64, p Price) {
	hi, lo := bits.Mul64(uint64(n), uint64(p))
	var carry uint64
	a.lo, carry = bits.Add64(a.lo, lo, 0)
	a.hi, carry = bits.Add64(a.hi, hi, carry)
	if carry != 0 {
		a.hi, a.lo = math.MaxUint64, math.MaxUint64
	}
}

// plus adds b.
func (a *amount) plus(b amount) {
	var carry uint64
	a.lo, carry = bits.Add64(a.lo, b.lo, 0)
	a.hi, carry = bits.Add64(a.hi, b.hi, carry)
	if carry != 0 {
		a.hi, a.lo = math.MaxUint64, math.MaxUint64
	}
}

// times multiplies by n.
func (a amount) times(n uint64) amount {
	over, hi := bits.Mul64(a.hi, n)
	carry, lo := bits.Mul64(a.lo, n)
	hi, more := bits.Add64(hi, carry, 0)
	if over != 0 || more != 0 {
		return amount{math.MaxUint64, math.MaxUint64}
	}
	return amount{hi, lo}
}

// nano divides by n (at most 10^10) and rounds to nano-dollars, half up. What does
// not fit is the largest int64: nine billion dollars.
func (a amount) nano(n uint64) int64 {
	scale := n * amountScale
	lo, carry := bits.Add64(a.lo, scale/2, 0)
	hi := a.hi + carry
	if hi < a.hi || hi >= scale {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, scale)
	return int64(min(q, math.MaxInt64))
}
