package ledger

import (
	"time"

	"tailplane/internal/llm"
)

// Exchange is the record of one request from admission to settlement. The
// gateway fills it in on the request's way, so the record and what `why` tells
// are the same thing. It never holds a prompt, an answer or a secret.
//
// Durations are counted from Start. An Exchange is owned by the request's
// goroutine until it is given to [Journal.Settle].
type Exchange struct {
	ID      string    `json:"id"`
	Start   time.Time `json:"start"`
	Config  string    `json:"config,omitempty"`   // hash of the config that decided it
	TraceID string    `json:"trace_id,omitempty"` // the caller's own request id or trace, as a claim

	Key      string `json:"key,omitempty"`  // public id of the client key
	Name     string `json:"name,omitempty"` // its name in the config
	Customer string `json:"customer,omitempty"`
	// Team and Organisation are those of the key or of the customer, then.
	Team         string `json:"team,omitempty"`
	Organisation string `json:"organisation,omitempty"`
	// Attributed says how the customer is known: key, claim, jwt, mtls,
	// quarantine; or that a claim was ignored (unclaimed).
	Attributed string   `json:"attributed,omitempty"`
	Tags       []string `json:"tags,omitempty"`    // of the caller: sorted, each once, bounded
	Session    string   `json:"session,omitempty"` // of the caller, as a claim, cut to 128 bytes
	Client     string   `json:"client,omitempty"`  // SDK and version as the User-Agent states it, cut to 64 bytes

	Op        llm.Op      `json:"op"`
	Dialect   llm.Dialect `json:"dialect"`
	Model     string      `json:"model"` // as requested
	Stream    bool        `json:"stream,omitempty"`
	Bytes     int         `json:"bytes"` // of the request body
	MaxTokens int         `json:"max_tokens,omitempty"`

	Reason   string     `json:"reason,omitempty"` // why the route began where it did
	Choice   []Choice   `json:"choice,omitempty"` // what a policy chose among, in the order of asking; see Choice
	Attempts []Attempt  `json:"attempts"`
	Losses   []llm.Loss `json:"losses,omitempty"`

	// Expected are the sizes that the choice was made with, in tokens, and Among is
	// how many candidates there were, of which Choice lists some. Zero without one.
	ExpectedInput  int `json:"expected_input,omitempty"`
	ExpectedOutput int `json:"expected_output,omitempty"`
	Among          int `json:"among,omitempty"`
	// Policy is the name of the one that chose.
	Policy string `json:"policy,omitempty"`
	// Prefill is who computed the prompt, where the model has replicas for that.
	Prefill Prefill `json:"prefill,omitzero"`

	Outcome Outcome       `json:"outcome"`
	Status  int           `json:"status"`          // as told to the client
	Fault   llm.FaultKind `json:"fault,omitempty"` // of the outcome, when not ok
	Message string        `json:"message,omitempty"`

	Admitted   time.Duration `json:"admitted_ns"`              // until the key and the body were accepted
	Queued     time.Duration `json:"queued_ns,omitempty"`      // waited for a replica with room, or to hear of other gateways
	FirstToken time.Duration `json:"first_token_ns,omitempty"` // until the first token went to the client
	Total      time.Duration `json:"total_ns"`
	Events     int           `json:"events,omitempty"` // streamed events passed on
	ITLMax     time.Duration `json:"itl_max_ns,omitempty"`
	SentBytes  int64         `json:"sent_bytes"`

	Usage        llm.Usage `json:"usage"`     // sum over attempts, but for the tokens of those that only compute the prompt
	Cost         int64     `json:"cost_nano"` // nano-dollars, sum over attempts
	PriceStatus  Pricing   `json:"pricing"`
	PriceVersion string    `json:"price_version,omitempty"`

	// Held is what budgets held for the exchange when it was admitted, in
	// nano-dollars. An exchange whose end nobody knows counts with it.
	Held int64 `json:"held_nano,omitempty"`

	// Admission is the journal's own note, set by [Journal.Admit] and read by
	// [Journal.Settle]: the segment that holds the admission. Zero means not
	// admitted. It is no part of the record.
	Admission uint64 `json:"-"`
}

// Outcome is how an exchange ended.
type Outcome string

// The outcomes.
const (
	OutcomeOK      Outcome = "ok"      // complete answer delivered
	OutcomeRefused Outcome = "refused" // by us, before any upstream was asked
	OutcomeFailed  Outcome = "failed"  // the client got an error
	OutcomeBroken  Outcome = "broken"  // failed after the first byte; the client got an error event
	OutcomeGone    Outcome = "gone"    // the client left
	OutcomeUnknown Outcome = "unknown" // admitted, but the process died before it was settled
)

// Pricing says whether the cost is known.
type Pricing string

// The pricings. Unpriced is visible everywhere and never counts as zero cost.
const (
	Priced   Pricing = "priced"
	Unpriced Pricing = "unpriced" // no price is known for a model that was used
	NoCharge Pricing = "free"     // the target's price is stated to be zero, or nothing was used
)

// WhyEmbedding is that of the attempt, before all others, which asked for the
// embedding of the request's text: the choice between a weak and a strong model
// rests on it, and it answers nothing.
const WhyEmbedding = "embedding"

// Tries are the attempts that asked for an answer.
func (ex *Exchange) Tries() []Attempt {
	if len(ex.Attempts) > 0 && ex.Attempts[0].Why == WhyEmbedding {
		return ex.Attempts[1:]
	}
	return ex.Attempts
}

// Attempt is one call of one target.
type Attempt struct {
	Target  string        `json:"target"`
	Kind    string        `json:"kind"`  // of the provider
	Model   string        `json:"model"` // as the target names it
	Dialect llm.Dialect   `json:"dialect"`
	Lane    string        `json:"lane"`                // splice, translate
	Why     string        `json:"why"`                 // first, retry, hedge, fallback, escalation, or WhyPrefill, WhyEmbedding
	Waited  time.Duration `json:"waited_ns,omitempty"` // backoff before it

	Begin      time.Duration `json:"begin_ns"`
	Reused     bool          `json:"reused,omitempty"` // the connection was
	Connect    time.Duration `json:"connect_ns,omitempty"`
	Head       time.Duration `json:"head_ns,omitempty"`        // from Begin until the response head
	FirstToken time.Duration `json:"first_token_ns,omitempty"` // from Begin
	Took       time.Duration `json:"took_ns"`

	Status   int            `json:"status,omitempty"`
	Upstream string         `json:"upstream_id,omitempty"` // the provider's request id
	Spilled  bool           `json:"spilled,omitempty"`     // the provider served it outside of the provisioned capacity
	Stop     llm.StopReason `json:"stop,omitempty"`
	Fault    llm.FaultKind  `json:"fault,omitempty"`
	Phase    llm.Phase      `json:"phase,omitempty"`
	Retry    llm.Retry      `json:"retry,omitempty"`
	After    time.Duration  `json:"after_ns,omitempty"` // the upstream's Retry-After
	Code     string         `json:"code,omitempty"`
	Message  string         `json:"message,omitempty"`

	Usage  llm.Usage `json:"usage"`
	Cost   int64     `json:"cost_nano"`
	Priced Pricing   `json:"pricing,omitempty"`
}
