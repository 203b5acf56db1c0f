package account

import (
	"fmt"
	"math"
	"time"

	"tailplane/internal/llm"
)

// Several gateways share a limit equally: where there are n, each counts what is
// used n times.

// rate is a limit with its one number: the moment at which all of it is there
// again (GCRA's theoretical arrival time), in nanoseconds since the account's
// base.
type rate struct {
	Rate
	resource llm.Resource
	full     float64
}

func ratesOf(l Limits) (out []rate) {
	for _, f := range []struct {
		resource llm.Resource
		rates    Rates
	}{
		{llm.QuotaRequests, l.Requests},
		{llm.QuotaTokens, l.Tokens},
		{llm.QuotaInputTokens, l.InputTokens},
		{llm.QuotaOutputTokens, l.OutputTokens},
	} {
		for _, r := range f.rates {
			out = append(out, rate{Rate: r, resource: f.resource})
		}
	}
	return out
}

// amount is how much of the rate's resource a request takes.
func (r *rate) amount(input, output int64) int64 {
	switch r.resource {
	case llm.QuotaTokens:
		return input + output
	case llm.QuotaInputTokens:
		return input
	case llm.QuotaOutputTokens:
		return output
	}
	return 1
}

// span is the time in which an amount comes back.
func (r *rate) span(n int64) float64 { return float64(n) * float64(r.Per) / float64(r.N) }

// fits reports whether an amount is there at a moment, and if not, how long until
// it is; 0 when it never is, because it is more than the whole.
func (r *rate) fits(at float64, n int64) (wait time.Duration, ok bool) {
	over := max(r.full, at) + r.span(n) - at - float64(r.Per)
	switch {
	case over <= 0.5: // below a nanosecond: rounding
		return 0, true
	case n > r.N:
		return 0, false
	}
	return time.Duration(math.Ceil(over)), false
}

func (r *rate) add(at float64, n int64) { r.full = max(r.full, at) + r.span(n) }

// correct replaces what was expected by what was used, each counted share times. A
// request that came counts as one, unless it is undone.
func (r *rate) correct(w *Want, u Used, share int64, undo bool) {
	if r.resource == llm.QuotaRequests {
		if undo {
			r.full -= r.span(share)
		}
		return
	}
	r.full += r.span(share * (r.amount(u.Input, u.Output) - r.amount(w.Input, w.Output)))
}

// left is what is there at a moment; it can be below zero, when more was used than
// was expected.
func (r *rate) left(at float64) int64 {
	return int64(math.Floor((float64(r.Per) - max(0, r.full-at)) * float64(r.N) / float64(r.Per)))
}

func (r *rate) overText(w *Want) string {
	n := r.amount(w.Input, w.Output)
	what := [...]string{"requests", "tokens", "input tokens", "output tokens"}[r.resource]
	if n > r.N {
		return fmt.Sprintf("the request is expected to take %d %s, and %s are all there is; ask for less, or ask for a higher limit", n, what, r.words(what))
	}
	return fmt.Sprintf("%s are allowed, and they are used up", r.words(what))
}

// quota notes what is left of the account's limits where it is less than what is
// noted already.
func (a *Account) quota(now time.Time, q *llm.Quota) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.since(now)
	for i := range a.rates {
		r := &a.rates[i]
		left := max(0, r.left(at))
		if e := &q[r.resource]; !e.Known || left < e.Remaining {
			*e = llm.Allowance{
				Limit: r.N, Remaining: left, Known: true, Learned: now, Steady: true,
				Reset: now.Add(time.Duration(max(0, r.full-at))),
			}
		}
	}
}
