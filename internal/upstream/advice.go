package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// What an operator can do about a fault, beside what the rule that found it or
// package egress says: the same words stand in the record of an attempt and in
// the answer of a live check.

// advise completes a fault of an answer.
func advise(f *llm.Fault, a *Answer) {
	if f.Detail != "" {
		return
	}
	switch f.Kind {
	case llm.FaultCredential:
		if _, skew := Skew(a.header("date"), a.At); skew != "" {
			f.Detail = skew
			return
		}
		f.Detail = credentialAdvice(f)
	case llm.FaultGarbage:
		if to := redirect(a); to != "" {
			f.Message = fmt.Sprintf("the target answered with a redirect (HTTP %d), which is not followed", a.Status)
			f.Detail = "it leads to " + to + "; correct the target's url"
		}
	case llm.FaultQuota:
		if f.Scope == llm.ScopeKey {
			f.Detail = "look at the account's balance, budget and limits at the provider"
		}
	}
}

// redirect is where an answer leads instead of answering, without what a query
// may hold; "" for one that does not.
func redirect(a *Answer) string {
	if a.Status/100 != 3 {
		return ""
	}
	to, err := url.Parse(a.header("location"))
	if err != nil {
		return ""
	}
	to.User, to.RawQuery, to.Fragment = nil, "", ""
	return to.String()
}

// credentialAdvice is what to do about a credential that was refused.
func credentialAdvice(f *llm.Fault) string {
	text := strings.ToLower(f.Type + " " + f.Code + " " + f.Message)
	switch {
	case strings.Contains(text, "expired"):
		return "fetch or make a new one: this one's time is over"
	case f.Scope == llm.ScopeTarget:
		return "no other key of the account helps: it is barred"
	case f.Status == http.StatusForbidden:
		return "see whether the credential may do this, in the account, project and region of the target"
	}
	return "see whether it is whole, belongs to this provider and address, and has not been revoked"
}

// mostSkew is how far clocks may be apart before signatures and tokens suffer:
// AWS's limit.
const mostSkew = 5 * time.Minute

// Skew compares the Date header of an answer with the clock here. The words are
// empty where they are near enough, or one of them is not known.
func Skew(date string, now time.Time) (apart time.Duration, words string) {
	there, err := http.ParseTime(date)
	if err != nil || now.IsZero() {
		return 0, ""
	}
	apart = now.Sub(there)
	if apart.Abs() <= mostSkew {
		return apart, ""
	}
	way := "ahead of"
	if apart < 0 {
		way = "behind"
	}
	return apart, fmt.Sprintf("this machine's clock is %v %s the target's: set it (NTP); signatures and tokens are refused beyond %v",
		apart.Abs().Round(time.Second), way, mostSkew)
}

// unreached is what an operator reads of a connection that could not be made and
// that package egress has no words for.
func unreached(err error) string {
	he, ok := errors.AsType[*h1.Error](err)
	switch {
	case !ok:
		return ""
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at " + he.Address + "; is it running, and is the port right?"
	case he.Timeout() && he.Phase == h1.PhaseTLS:
		return he.Address + " takes connections and does not answer in TLS; is it http:// there, and is the port right?"
	case he.Timeout():
		return he.Address + " does not answer; is there a firewall, a route or a proxy that it needs?"
	}
	return he.Address + ": " + he.Err.Error()
}
