package account

import (
	"math"
	"math/bits"
	"time"

	"tailplane/internal/llm"
)

// A limit is one rate as GCRA: the time at which all of it would be there again
// if nothing more came ("theoretical arrival time"). What is taken moves it
// ahead by what it costs in time; a request passes while it stays within one
// period of now. So a full amount may come at once, and in any stretch T no more
// than the amount and what comes back in T.
//
// Times are nanoseconds of the clock of Accounts. The lock of its account guards
// a limit.
type limit struct {
	resource llm.Resource
	amount   int64
	period   int64
	full     int64 // when all is there again
	back     int64 // time that was given back in all
	pool     *pool // with a shared database: what this gateway may use of it
}

// longAgo is where limits begin: all is there.
const longAgo = math.MinInt64 / 2

func newLimit(r llm.Resource, rate Rate) limit {
	return limit{resource: r, amount: rate.Amount, period: int64(rate.Per), full: longAgo}
}

// rate is the limit as it is written in the file.
func (l *limit) rate() Rate { return Rate{l.amount, time.Duration(l.period)} }

// cost is the time that n take, rounded up.
func (l *limit) cost(n int64) int64 { return scale(n, l.period, l.amount, l.amount-1) }

// scale is n*times/by, with extra added before the division, cut to what
// sums of a few of them can hold. None may be negative.
func scale(n, times, by, extra int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(times))
	lo, carry := bits.Add64(lo, uint64(extra), 0)
	if hi += carry; hi >= uint64(by) {
		return math.MaxInt64 / 8
	}
	q, _ := bits.Div64(hi, lo, uint64(by))
	return int64(min(q, math.MaxInt64/8))
}

// need is how much of the limit a request takes.
func (l *limit) need(input, output int64) int64 {
	switch l.resource {
	case llm.QuotaRequests:
		return 1
	case llm.QuotaInputTokens:
		return input
	case llm.QuotaOutputTokens:
		return output
	}
	return input + output
}

// wait is how long until n fit; 0 when they do now.
func (l *limit) wait(now, n int64) int64 {
	return max(0, max(l.full, now)+l.cost(n)-now-l.period)
}

// take takes n and returns the mark by which correct knows how much of it is
// still there to be given back.
func (l *limit) take(now, n int64) (mark int64) {
	l.full = max(l.full, now) + l.cost(n)
	return l.full + l.back
}

// correct replaces estimated by used, both at now. What was too little is taken
// now. What was too much is given back as far as time has not brought it back
// already: to give it back once more would admit more than the rate. The mark
// counts from when all was there; what others were given back since has moved it.
func (l *limit) correct(now, mark, estimated, used int64) {
	if used > estimated {
		l.full = max(l.full, now) + l.cost(used-estimated)
		return
	}
	spare := scale(estimated-used, l.period, l.amount, 0)
	spare = min(spare, max(0, mark-l.back-now))
	l.full -= spare
	l.back += spare
}

// left is how much fits now.
func (l *limit) left(now int64) int64 {
	free := l.period - max(0, l.full-now)
	if free <= 0 {
		return 0
	}
	return scale(free, l.amount, l.period, 0)
}
