package llm

import "time"

// Resource is something of which a provider allows only so much in a while.
type Resource uint8

// The resources, in the order of [Quota].
const (
	QuotaRequests Resource = iota
	QuotaTokens
	QuotaInputTokens
	QuotaOutputTokens
	QuotaMonthTokens // Mistral's monthly tokens
	QuotaUsageTokens // OpenAI's tokens of usage-based limits
	QuotaImages
	QuotaPages
	QuotaAudioSeconds
	QuotaCharacters
	Resources int = iota // how many there are
)

// String is the resource as metrics and explanations name it.
func (r Resource) String() string {
	return [Resources]string{
		"requests", "tokens", "input_tokens", "output_tokens", "month_tokens", "usage_tokens", "images", "pages", "audio_seconds", "characters",
	}[r]
}

// Quota is what a provider has told of the limits of one credential at one
// target (and, as most providers count, for one model). The zero Quota is one of
// which nothing is known.
type Quota [Resources]Allowance

// Allowance is the limit of one resource, as it was told at one time.
type Allowance struct {
	Limit     int64 // most within a window; 0 is unknown
	Remaining int64 // what was left of it; of use only when Known
	// Known: Remaining was told. What was not told, or told as a negative number,
	// is not "nothing left".
	Known   bool
	Learned time.Time
	// Reset is when all of Limit is there again; zero is unknown.
	Reset time.Time
	// Steady: what was used comes back evenly until Reset, as in a token bucket,
	// and not all at once.
	Steady bool
}

// Stale is how long an allowance without a Reset is believed: the providers that
// send none count by the minute.
const Stale = time.Minute

// until is when the allowance says nothing any more: all of it is there again.
func (a *Allowance) until() time.Time {
	if a.Reset.IsZero() {
		return a.Learned.Add(Stale)
	}
	return a.Reset
}

// Left is how much of the resource there is now, as far as is known; false when
// nothing is, and from the reset on.
func (a *Allowance) Left(now time.Time) (float64, bool) {
	if !a.Known || a.Remaining < 0 || !now.Before(a.until()) {
		return 0, false
	}
	left := float64(a.Remaining)
	if a.Steady && !a.Reset.IsZero() && a.Limit > a.Remaining && now.After(a.Learned) {
		left += float64(a.Limit-a.Remaining) * float64(now.Sub(a.Learned)) / float64(a.Reset.Sub(a.Learned))
	}
	return left, true
}

// share is Left as a part of the limit.
func (a *Allowance) share(now time.Time) (float64, bool) {
	left, known := a.Left(now)
	switch {
	case !known || a.Limit <= 0 && left > 0:
		return 1, false
	case left <= 0:
		return 0, true
	}
	return min(1, left/float64(a.Limit)), true
}

// least is what must be there for a request not to be in vain: one, or a
// hundredth of what comes back evenly, since one token is no request.
func (a *Allowance) least() int64 {
	if a.Steady {
		return max(1, a.Limit/100)
	}
	return 1
}

// wait is how long the resource stays exhausted.
func (a *Allowance) wait(now time.Time) time.Duration {
	left, known := a.Left(now)
	need := a.least()
	if !known || left >= float64(need) {
		return 0
	}
	if !a.Steady || a.Reset.IsZero() || a.Limit <= a.Remaining {
		return a.until().Sub(now)
	}
	share := float64(need-a.Remaining) / float64(a.Limit-a.Remaining)
	back := a.Learned.Add(time.Duration(share * float64(a.Reset.Sub(a.Learned))))
	return max(0, back.Sub(now))
}

// Headroom is the least share that is left of any resource now, from 0 to 1;
// false, with 1, when nothing is known.
func (q *Quota) Headroom(now time.Time) (share float64, known bool) {
	share = 1
	for i := range q {
		if s, ok := q[i].share(now); ok {
			share, known = min(share, s), true
		}
	}
	return share, known
}

// Wait is how long some resource stays exhausted; 0 when none is.
func (q *Quota) Wait(now time.Time) time.Duration {
	wait := time.Duration(0)
	for i := range q {
		wait = max(wait, q[i].wait(now))
	}
	return wait
}

// Learn takes over what newer tells. What it does not tell stays, and so does
// what was learnt later: answers may overtake each other.
func (q *Quota) Learn(newer *Quota) {
	for i := range newer {
		if n := &newer[i]; (n.Known || n.Limit > 0) && !n.Learned.Before(q[i].Learned) {
			q[i] = *n
		}
	}
}

// Fits reports whether a request of so many tokens can ever be granted: the
// limits that are known are not smaller than the request itself. 0 is an unknown
// size, which fits.
func (q *Quota) Fits(input, output int64) bool {
	fits := func(r Resource, need int64) bool { return q[r].Limit <= 0 || need <= q[r].Limit }
	return fits(QuotaTokens, input+output) && fits(QuotaInputTokens, input) && fits(QuotaOutputTokens, output)
}
