package llm

import (
	"fmt"
	"time"
)

// FaultKind says what went wrong, in words that hold for every provider.
type FaultKind string

// The kinds. Their text is part of the product: it is the label on metrics,
// the field in the ledger and the stable code that a client sees.
const (
	FaultBadRequest    FaultKind = "bad_request"            // the request itself is wrong; nobody will accept it
	FaultTooLong       FaultKind = "context_too_long"       // it does not fit the model's context
	FaultTooLarge      FaultKind = "request_too_large"      // the body exceeds a size limit
	FaultUnsupported   FaultKind = "unsupported"            // this target cannot do it, another may
	FaultUnauthorized  FaultKind = "unauthorized"           // the caller's key is missing or wrong (ours)
	FaultForbidden     FaultKind = "forbidden"              // the caller may not do this (ours)
	FaultUnknownModel  FaultKind = "model_not_found"        // nobody serves the name
	FaultNotFound      FaultKind = "not_found"              // no such path or object
	FaultMethod        FaultKind = "method_not_allowed"     // wrong HTTP method
	FaultCredential    FaultKind = "upstream_credential"    // our credential was refused by the provider
	FaultRateLimit     FaultKind = "rate_limit"             // asked too often; a wait helps
	FaultQuota         FaultKind = "quota_exhausted"        // the account is out of money or quota; a wait does not help
	FaultOverloaded    FaultKind = "overloaded"             // the provider or engine has no capacity now
	FaultServer        FaultKind = "upstream_error"         // the provider failed
	FaultConnect       FaultKind = "connect_failed"         // no connection could be made
	FaultConnectTime   FaultKind = "connect_timeout"        // no connection in time
	FaultFirstToken    FaultKind = "first_token_timeout"    // nothing came in time
	FaultIdle          FaultKind = "idle_timeout"           // the stream stood still
	FaultTotal         FaultKind = "total_timeout"          // the whole took too long
	FaultCut           FaultKind = "stream_cut"             // the answer ended before its end
	FaultGarbage       FaultKind = "invalid_response"       // the answer is not what its dialect allows
	FaultContentFilter FaultKind = "content_filter"         // refused for its content
	FaultClientGone    FaultKind = "client_gone"            // the caller left
	FaultShed          FaultKind = "shed"                   // refused by us to protect the rest
	FaultUnavailable   FaultKind = "no_target_available"    // every candidate is cooling down, drained or spent
	FaultStopped       FaultKind = "gateway_stopped"        // we were told to stop, and did not wait any longer
	FaultInternal      FaultKind = "internal"               // a bug in us
	FaultHedgeLost     FaultKind = "hedge_lost"             // another attempt of the same request answered first
	FaultFlawed        FaultKind = "flawed_answer"          // a weak model's whole answer is not usable, and was not sent
	FaultLossy         FaultKind = "translation_would_lose" // the key demands lossless and the target cannot say it all
)

// Retry says what a retry may achieve.
type Retry string

// The verdicts.
const (
	RetryNever     Retry = "never"     // the same answer would come from anybody
	RetrySame      Retry = "same"      // the same target may do better in a moment, and so may another
	RetryElsewhere Retry = "elsewhere" // only another target can do better
)

// Scope says what the fault speaks about, so that what is learnt from it is
// applied there and nowhere else.
type Scope string

// The scopes, narrow to wide.
const (
	ScopeRequest Scope = "request"
	ScopeModel   Scope = "model"  // this model at this target
	ScopeTarget  Scope = "target" // the address
	ScopeKey     Scope = "key"    // the credential
)

// Phase says how far the attempt had come.
type Phase string

// The phases of an attempt.
const (
	PhaseAdmit      Phase = "admit"
	PhasePrepare    Phase = "prepare"
	PhaseConnect    Phase = "connect"
	PhaseWrite      Phase = "write"
	PhaseHead       Phase = "head"
	PhaseFirstToken Phase = "first_token"
	PhaseStream     Phase = "stream"
)

// Fault is a failure with all that the next step needs: what to do about it,
// what it is about, and what the caller may be told. Message is public: it
// never holds a secret or an upstream address. Detail is for operators. Err is
// the cause, for the log alone.
type Fault struct {
	Kind    FaultKind
	Retry   Retry
	Scope   Scope
	Phase   Phase
	Status  int           // of the upstream's answer; 0 when there was none
	After   time.Duration // the upstream's demand not to be asked again before; 0 = none
	Type    string        // the provider's own type, where it gives one
	Code    string        // the provider's own code
	Param   string        // the member of the request that is wrong
	Message string
	// Detail is what an operator may read beside Message, in the record of the
	// attempt: where, and what to do. It holds no secret.
	Detail string
	Err    error
}

// Error renders the fault for a log line.
func (f *Fault) Error() string {
	s := string(f.Kind)
	if f.Status != 0 {
		s = fmt.Sprintf("%s (HTTP %d)", s, f.Status)
	}
	if f.Message != "" {
		s += ": " + f.Message
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// ClientStatus is the HTTP status under which the fault is told to a caller.
func (f *Fault) ClientStatus() int {
	switch f.Kind {
	case FaultBadRequest, FaultTooLong, FaultContentFilter, FaultUnsupported, FaultLossy:
		return 400
	case FaultUnauthorized:
		return 401
	case FaultForbidden:
		return 403
	case FaultUnknownModel, FaultNotFound:
		return 404
	case FaultMethod:
		return 405
	case FaultTooLarge:
		return 413
	case FaultRateLimit, FaultQuota, FaultShed:
		return 429
	case FaultClientGone:
		return 499
	case FaultInternal:
		return 500
	case FaultOverloaded, FaultUnavailable, FaultStopped:
		return 503
	case FaultConnectTime, FaultFirstToken, FaultIdle, FaultTotal:
		return 504
	}
	return 502
}
