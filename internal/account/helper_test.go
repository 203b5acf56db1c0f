package account

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) // a Tuesday

// rulesOf reads rules written in short: requests=10/s tokens=1k/m concurrent=3
// budget=25/month,hard,strict,warn=50%.
func rulesOf(tb testing.TB, text string) Rules {
	tb.Helper()
	var r Rules
	must := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatal(err)
		}
	}
	for field := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "requests":
			must(r.Limits.Requests.UnmarshalText([]byte(value)))
		case "tokens":
			must(r.Limits.Tokens.UnmarshalText([]byte(value)))
		case "input":
			must(r.Limits.InputTokens.UnmarshalText([]byte(value)))
		case "output":
			must(r.Limits.OutputTokens.UnmarshalText([]byte(value)))
		case "concurrent":
			n, err := strconv.Atoi(value)
			must(err)
			r.Limits.Concurrent = n
		case "budget":
			r.Budgets = append(r.Budgets, budgetOf(tb, value))
		default:
			tb.Fatalf("no rule is called %q", name)
		}
	}
	r.Validate("", func(path, wrong, right string) { tb.Fatalf("%s: %s; %s", path, wrong, right) })
	return r
}

func budgetOf(tb testing.TB, text string) (b Budget) {
	tb.Helper()
	parts := strings.Split(text, ",")
	amount, per, _ := strings.Cut(parts[0], "/")
	if err := b.Amount.UnmarshalText([]byte(amount)); err != nil {
		tb.Fatal(err)
	}
	if err := b.Per.UnmarshalText([]byte(per)); err != nil {
		tb.Fatal(err)
	}
	for _, part := range parts[1:] {
		switch {
		case part == "hard":
			b.Hard = true
		case part == "strict":
			b.Hard, b.Strict = true, true
		default:
			if err := b.Warn.UnmarshalText([]byte(strings.ReplaceAll(strings.TrimPrefix(part, "warn="), "+", ","))); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return b
}

// account makes the account of one key with rules in short.
func account(tb testing.TB, a *Accounts, text string, now time.Time) *Account {
	tb.Helper()
	return a.Account(Key, "k1", rulesOf(tb, text), now)
}
