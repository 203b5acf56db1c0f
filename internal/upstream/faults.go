package upstream

import (
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/egress"
	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// Answer is an upstream's refusal: what is needed to classify it.
type Answer struct {
	Status int // 0 for an error object inside a stream
	Body   llm.ErrorBody
	After  time.Duration // as [RetryAfter] read it from the head
	// Header reads a field of the answer's head; nil where there is none. What it
	// says about the error counts: x-amzn-errortype, x-should-retry.
	Header func(name string) string
	// Quota is what is known of the target's limits, nil when nothing is; At is
	// when.
	Quota *llm.Quota
	At    time.Time
	// Input and Output are the tokens that the request asks for, as estimated; 0
	// when nobody can say.
	Input, Output int64
}

func (a *Answer) header(name string) string {
	if a.Header == nil {
		return ""
	}
	return a.Header(name)
}

// Classify says what an answer means for the next step, without whatever looks
// like a credential in its words. It never returns nil.
func (k *Kind) Classify(a Answer) *llm.Fault {
	if kind := errorType(a.header("x-amzn-errortype")); kind != "" {
		a.Body.Type = kind
	}
	a.Body = masked(a.Body, nil)
	f := &llm.Fault{
		Status: a.Status, Phase: llm.PhaseHead,
		Type: a.Body.Type, Code: a.Body.Code, Param: a.Body.Param, Message: a.Body.Message,
	}
	if f.Message == "" {
		f.Message = k.Title + " answered with an error and no explanation"
	}
	k.judge(f, &a)
	k.wait(f, &a)
	advise(f, &a)
	return f
}

// errorType is the name in x-amzn-errortype, behind which an address may stand.
func errorType(text string) string {
	name, _, _ := strings.Cut(text, ":")
	return strings.TrimSpace(name)
}

// judge finds the rule that fits.
func (k *Kind) judge(f *llm.Fault, a *Answer) {
	text := strings.ToLower(a.Body.Type + "\n" + a.Body.Code + "\n" + a.Body.Message)
	status := a.status()
	for _, rules := range [2][]Rule{k.Rules, common} {
		for i := range rules {
			r := &rules[i]
			if (r.Status == 0 || r.Status == status) && strings.Contains(text, r.Match) {
				f.Kind, f.Retry, f.Scope = r.Means.Kind, r.Means.Retry, r.Means.Scope
				if r.Hint != "" {
					f.Message = strings.TrimSuffix(f.Message, ".") + "; " + r.Hint
				}
				heed(f, a.header(shouldRetry))
				return
			}
		}
	}
	switch {
	case status >= 500 || status == 0:
		f.Kind, f.Retry, f.Scope = llm.FaultServer, llm.RetrySame, llm.ScopeTarget
	case status >= 400 && strings.EqualFold(a.header(shouldRetry), "true"):
		f.Kind, f.Retry, f.Scope = llm.FaultServer, llm.RetrySame, llm.ScopeRequest
	case status >= 400:
		f.Kind, f.Retry, f.Scope = llm.FaultBadRequest, llm.RetryNever, llm.ScopeRequest
	default: // a redirect or an unasked-for 1xx
		f.Kind, f.Retry, f.Scope = llm.FaultGarbage, llm.RetryElsewhere, llm.ScopeTarget
	}
	heed(f, a.header(shouldRetry))
}

// status is the answer's status; of an error inside a stream it is the code,
// where that is the number of one (Gemini, OpenRouter, Azure), or 0.
func (a *Answer) status() int {
	if a.Status == 0 && len(a.Body.Code) == len("400") {
		if n, err := strconv.Atoi(a.Body.Code); err == nil && n >= 400 && n < 600 {
			return n
		}
	}
	return a.Status
}

// shouldRetry is the header by which OpenAI and Anthropic tell their SDKs
// whether another attempt makes sense.
const shouldRetry = "x-should-retry"

// heed obeys a provider that says of a passing fault that it will not pass.
func heed(f *llm.Fault, retry string) {
	if f.Retry == llm.RetrySame && strings.EqualFold(retry, "false") {
		f.Retry = llm.RetryElsewhere
	}
}

// wait works out how long the target must be left alone: the longer of what the
// head and the body demand, or where a rate limit comes without a demand, until
// the quota that is exhausted has something left; never less than the kind's
// own. A success demands nothing, whatever its headers say. A rate limit that is
// smaller than the request itself is no matter of time.
func (k *Kind) wait(f *llm.Fault, a *Answer) {
	if a.Status/100 == 2 {
		return
	}
	f.After = max(a.After, a.Body.After)
	if f.Kind == llm.FaultRateLimit && a.neverFits() {
		f.Kind, f.Retry, f.Scope, f.After = llm.FaultTooLong, llm.RetryElsewhere, llm.ScopeRequest, 0
		f.Message = strings.TrimPrefix(f.Message+"; the request is larger than the limit itself, so a wait does not help", "; ")
		return
	}
	if f.Kind == llm.FaultRateLimit && a.Quota != nil && f.After <= 0 {
		f.After = a.Quota.Wait(a.At)
	}
	if f.Kind == llm.FaultRateLimit || f.Kind == llm.FaultOverloaded {
		f.After = max(f.After, k.LeastWait)
	}
	f.After = min(max(f.After, 0), longestAfter)
}

// neverFits reports that the request is larger than the limit that it met, as
// the quota or the provider's words tell it.
func (a *Answer) neverFits() bool {
	limit, asked := limitIn(a.Body.Message)
	return limit > 0 && limit < max(asked, a.Input) || a.Quota != nil && !a.Quota.Fits(a.Input, a.Output)
}

// limits are how messages tell a limit of tokens, and the request that exceeds
// it where they tell that, too:
//
//	...input_token_count, limit: 1000000, model: gemini-2.5-flash    Gemini
//	...on tokens per min (TPM): Limit 30000, Requested 61000          OpenAI, Groq
//
// Source: the recorded errors.
var limits = regexp.MustCompile(`(?i)token[^\n]{0,40}\blimit:? (\d{1,15})(?:,[^\n]{0,40}\brequested:? (\d{1,15}))?`)

// limitIn reads the limit of tokens that a message tells, and what it says was
// asked for; 0 is unknown.
func limitIn(message string) (limit, asked int64) {
	m := limits.FindStringSubmatch(message)
	if m == nil {
		return 0, 0
	}
	limit, _ = strconv.ParseInt(m[1], 10, 64)
	asked, _ = strconv.ParseInt(m[2], 10, 64) // none is 0
	return limit, asked
}

// Broken classifies a failure of the connection or of the bytes on it. after
// says which deadline was running, for a timeout.
func Broken(err error, timeout llm.FaultKind) *llm.Fault {
	f := &llm.Fault{Kind: llm.FaultCut, Retry: llm.RetrySame, Scope: llm.ScopeTarget, Phase: llm.PhaseStream, Err: err}
	he, isH1 := errors.AsType[*h1.Error](err)
	if isH1 {
		f.Phase = phaseOf(he.Phase)
	}
	switch {
	case errors.Is(err, context.Canceled):
		f.Kind, f.Retry, f.Scope = llm.FaultClientGone, llm.RetryNever, llm.ScopeRequest
		f.Message = "the caller left"
	case isH1 && he.Phase == h1.PhaseRequest:
		f.Kind, f.Retry, f.Scope = llm.FaultInternal, llm.RetryNever, llm.ScopeRequest
		f.Message = "the request cannot be put on the wire"
	case isH1 && he.Timeout() && (he.Phase == h1.PhaseDial || he.Phase == h1.PhaseTLS):
		f.Kind, f.Message, f.Detail = llm.FaultConnectTime, "no connection to the target in time", unreached(err)
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		f.Kind, f.Message = timeout, timeoutText[timeout]
		f.Retry = timeoutRetry[timeout]
	case isH1 && he.Phase != h1.PhaseBody && toldBy(err, f):
	case isH1 && (he.Phase == h1.PhaseDial || he.Phase == h1.PhaseTLS):
		f.Kind, f.Message, f.Detail = llm.FaultConnect, "the target cannot be reached", unreached(err)
	case isH1 && he.Malformed():
		f.Kind, f.Message, f.Detail = llm.FaultGarbage, "the target's answer is not valid HTTP", he.Err.Error()
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || isH1:
		f.Message = "the target closed the connection before its answer was complete"
	default:
		f.Kind, f.Message = llm.FaultGarbage, "the target's answer is not valid"
	}
	return f
}

// toldBy fills in a fault of the way to the target that package egress has
// words for: a policy, a proxy, a name, a certificate. The same target gives the
// same fault again, unless egress knows better.
func toldBy(err error, f *llm.Fault) bool {
	advice, ok := egress.Explain(err)
	if !ok {
		return false
	}
	f.Kind, f.Phase, f.Message, f.Detail = llm.FaultConnect, llm.PhaseConnect, advice.Public, advice.Detail
	if !advice.Again {
		f.Retry = llm.RetryElsewhere
	}
	return true
}

var timeoutText = map[llm.FaultKind]string{
	llm.FaultFirstToken: "the target gave no first token in time",
	llm.FaultIdle:       "the target's stream stood still for too long",
	llm.FaultTotal:      "the answer took longer than the total timeout",
}

// timeoutRetry says what may follow: a target that was silent for so long is not
// given the same time again, and a request whose time is over has none left.
var timeoutRetry = map[llm.FaultKind]llm.Retry{
	llm.FaultFirstToken: llm.RetryElsewhere,
	llm.FaultIdle:       llm.RetryElsewhere,
	llm.FaultTotal:      llm.RetryNever,
}

func phaseOf(p h1.Phase) llm.Phase {
	switch p {
	case h1.PhaseRequest:
		return llm.PhasePrepare
	case h1.PhaseDial, h1.PhaseTLS:
		return llm.PhaseConnect
	case h1.PhaseWrite:
		return llm.PhaseWrite
	case h1.PhaseHead:
		return llm.PhaseHead
	}
	return llm.PhaseStream
}

// RetryAfter reads the demand to wait out of response headers: the larger of
// the two, because Azure sends `retry-after-ms: 0` beside `retry-after: 1` and
// obeying the first alone is a hot loop. It must not be asked about a success:
// some providers send these headers with every answer.
func RetryAfter(get func(name string) string, now time.Time) time.Duration {
	var wait time.Duration
	if ms, err := strconv.ParseFloat(get("retry-after-ms"), 64); err == nil && ms > 0 {
		wait = demanded(ms, time.Millisecond)
	}
	text := get("retry-after")
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 {
		wait = max(wait, demanded(s, time.Second))
	} else if at, err := time.Parse(time.RFC1123, text); err == nil {
		wait = max(wait, at.Sub(now))
	}
	return min(max(wait, 0), longestAfter)
}

// demanded is a wait in some unit, which may be any number above 0.
func demanded(n float64, unit time.Duration) time.Duration {
	return time.Duration(min(n*float64(unit), float64(longestAfter)))
}

// longestAfter bounds what an upstream can demand: a wrong clock or a typo must
// not switch a target off for a year.
const longestAfter = time.Hour
