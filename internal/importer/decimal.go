package importer

import (
	"math/big"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/meter"
)

// scaled is a decimal number of dollars, multiplied exactly and in its shortest
// form; false when it is none, or has digits beyond a pico-dollar.
func scaled(text string, factor int64) (string, bool) {
	text = strings.ReplaceAll(text, "_", "")
	if len(text) > 40 || strings.ContainsAny(text, "/xXpPiI") {
		return "", false
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if e, err := strconv.Atoi(text[i+1:]); err != nil || e < -30 || e > 30 {
			return "", false
		}
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok || r.Sign() < 0 {
		return "", false
	}
	r.Mul(r, big.NewRat(factor, 1))
	p, err := meter.ParsePrice(r.FloatString(12))
	if err != nil || new(big.Rat).SetFrac64(int64(p), 1_000_000_000_000).Cmp(r) != 0 {
		return "", false
	}
	return p.String(), true
}

// seconds is a number of seconds as a duration; false when it is none between a
// millisecond and a day.
func seconds(text string) (time.Duration, bool) {
	text = strings.ReplaceAll(text, "_", "")
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0.001 || f > 86400 {
		return 0, false
	}
	return (time.Duration(f*1000) * time.Millisecond).Round(time.Millisecond), true
}

// duration is written as short as it can be read.
func duration(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// shares turns decimal weights into whole numbers of the same proportion; nil
// when one is no positive number.
func shares(texts []string) []int {
	list := make([]*big.Rat, len(texts))
	scale := big.NewInt(1)
	for i, t := range texts {
		t = strings.ReplaceAll(t, "_", "")
		r, ok := new(big.Rat).SetString(t)
		if !ok || len(t) > 20 || strings.ContainsAny(t, "eE/xX") || r.Sign() <= 0 {
			return nil
		}
		list[i] = r
		gcd := new(big.Int).GCD(nil, nil, scale, r.Denom())
		scale.Div(scale.Mul(scale, r.Denom()), gcd)
	}
	divisor := new(big.Int)
	whole := make([]*big.Int, len(list))
	for i, r := range list {
		whole[i] = new(big.Int).Div(new(big.Int).Mul(r.Num(), scale), r.Denom())
		divisor.GCD(nil, nil, divisor, whole[i])
	}
	out := make([]int, len(list))
	for i, w := range whole {
		w.Div(w, divisor)
		if !w.IsInt64() || w.Int64() > 1_000_000 {
			return nil
		}
		out[i] = int(w.Int64())
	}
	return out
}
