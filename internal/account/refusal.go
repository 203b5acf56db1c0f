package account

import (
	"fmt"
	"time"

	"tailplane/internal/llm"
)

// Reason is why a request was refused.
type Reason uint8

// The reasons.
const (
	ReasonLimit      Reason = iota + 1 // a rate
	ReasonConcurrent                   // too many in flight
	ReasonBudget                       // money
	ReasonLease                        // the lease of this gateway is used up and the shared database cannot be reached
	ReasonUnbounded                    // a strict budget, and the request's cost has no upper bound
)

// String is the reason as metrics and records name it.
func (r Reason) String() string {
	return [...]string{"", "limit", "concurrent", "budget", "lease", "unbounded"}[r]
}

// Refusal says why a request takes nothing, from the account that lets it wait
// the longest.
type Refusal struct {
	Level  Level
	Name   string
	Reason Reason
	// Resource is what is limited, when the reason is a limit.
	Resource llm.Resource
	// What is a sentence for whoever called.
	What string
	// After is how long until the same request passes if nothing else comes; 0
	// when it never will. Where it hangs on requests in flight or on a database
	// it is when to ask again.
	After time.Duration
}

// Error is What.
func (r *Refusal) Error() string { return r.What }

// soon is when to ask again where nobody knows how long it takes.
const soon = time.Second

// verdict is the most serious thing that stands against a request, gathered
// without an allocation.
type verdict struct {
	reason  Reason
	account *Account
	limit   *limit
	budget  *Budget
	window  *window
	need    int64
	after   time.Duration
	never   bool
	// shared: there is nothing to draw on here, but there may be in the shared
	// database.
	shared bool
}

func (v *verdict) passes() bool { return v.reason == 0 }

// against puts down a further thing if it is more serious: one that no wait
// mends before one that takes longer; what only the database can tell comes last.
func (v *verdict) against(o verdict) {
	switch {
	case v.reason == 0, v.shared && !o.shared:
		*v = o
	case o.shared && !v.shared, v.never:
	case o.never, o.after > v.after:
		*v = o
	}
}

// refusal puts the verdict into words. The accounts of the chain are locked.
func (v *verdict) refusal(now int64) *Refusal {
	r := &Refusal{Level: v.account.level, Name: v.account.name, Reason: v.reason, After: v.after}
	if v.never {
		r.After = 0
	}
	who := fmt.Sprintf("%s %q", r.Level, r.Name)
	switch v.reason {
	case ReasonLimit:
		r.Resource = v.limit.resource
		what := resourceWord(r.Resource)
		rate := v.limit.rate()
		if v.never {
			r.What = fmt.Sprintf("%s: the request needs %d %s and the limit is %d a %s, so that it can never pass; make it smaller", who, v.need, what, rate.Amount, rate.word())
		} else {
			r.What = fmt.Sprintf("%s: the limit of %d %s a %s is used up; this request fits in %v", who, rate.Amount, what, rate.word(), roundUp(v.after))
		}
	case ReasonConcurrent:
		r.What = fmt.Sprintf("%s: %d requests are in flight and the limit is %d; wait until one has ended", who, v.account.inflight, v.account.rules.Limits.Concurrent)
	case ReasonUnbounded:
		r.What = fmt.Sprintf("%s: the budget of %v %s is strict, and the most that this request may cost is not known; give it a maximum of output tokens, and a model whose price is known", who, v.budget.Amount, v.budget.Per.phrase())
	case ReasonLease:
		r.What = fmt.Sprintf("%s: the shared database cannot be reached, and what this gateway had leased of the %s is used up; ask again soon", who, v.leased())
	case ReasonBudget:
		r.What = who + ": " + v.money(now)
	}
	return r
}

// leased is what a lease is of.
func (v *verdict) leased() string {
	switch {
	case v.budget != nil:
		return fmt.Sprintf("budget of %v %s", v.budget.Amount, v.budget.Per.phrase())
	case v.limit != nil:
		return fmt.Sprintf("limit of %d %s a %s", v.limit.amount, resourceWord(v.limit.resource), v.limit.rate().word())
	}
	return fmt.Sprintf("%d requests that may be in flight", v.account.rules.Limits.Concurrent)
}

// money says why a budget refuses.
func (v *verdict) money(now int64) string {
	b, w := v.budget, v.window
	budget := fmt.Sprintf("the budget of %v %s", b.Amount, b.Per.phrase())
	if !w.loaded {
		return fmt.Sprintf("what was spent of %s is being read from the ledger; ask again soon", budget)
	}
	held := w.reach(b) - w.own()
	if v.never && v.need > int64(b.Amount) {
		return fmt.Sprintf("the request may cost %v and %s is less, so that it can never pass; make it smaller", Money(v.need), budget)
	}
	text := fmt.Sprintf("%s does not hold this request of %v: %v are spent", budget, Money(v.need), Money(w.spent()))
	if held > 0 {
		text += fmt.Sprintf(", %v are held by requests in flight", Money(held))
	}
	if l := w.lease; l != nil && l.doubt > 0 {
		text += fmt.Sprintf(", %v are in doubt at gateways that are silent", Money(l.doubt))
	}
	switch end := w.end(now); {
	case end == 0:
		text += "; it has no end, so that it must be raised"
	default:
		text += fmt.Sprintf("; the %s ends in %v", b.Per, roundUp(end))
	}
	return text
}

// resourceWord is a resource in a sentence.
func resourceWord(r llm.Resource) string {
	switch r {
	case llm.QuotaInputTokens:
		return "input tokens"
	case llm.QuotaOutputTokens:
		return "output tokens"
	}
	return r.String()
}

// roundUp makes a duration short to read, never shorter than it is.
func roundUp(d time.Duration) time.Duration {
	unit := time.Millisecond
	switch {
	case d >= time.Hour:
		unit = time.Minute
	case d >= 10*time.Second:
		unit = time.Second
	}
	return (d + unit - 1) / unit * unit
}
