package upstream

import "tailplane/internal/llm"

// Rule classifies one kind of answer. A zero Status fits every status; Match,
// in lower case, is looked for in the error's type, code and message, whatever
// their case. The first rule that fits wins. Hint is what to do, where the
// provider's own words do not say it.
type Rule struct {
	Status int
	Match  string
	Means  Meaning
	Hint   string
}

// Meaning is what a fault is, what a retry may achieve, and what it is about.
type Meaning struct {
	Kind  llm.FaultKind
	Retry llm.Retry
	Scope llm.Scope
}

// The meanings that the tables use.
var (
	isBad           = Meaning{llm.FaultBadRequest, llm.RetryNever, llm.ScopeRequest}
	isTooLong       = Meaning{llm.FaultTooLong, llm.RetryElsewhere, llm.ScopeRequest}
	isTooLarge      = Meaning{llm.FaultTooLarge, llm.RetryElsewhere, llm.ScopeRequest}
	isUnsupported   = Meaning{llm.FaultUnsupported, llm.RetryElsewhere, llm.ScopeRequest}
	isFiltered      = Meaning{llm.FaultContentFilter, llm.RetryElsewhere, llm.ScopeRequest}
	isUnknownModel  = Meaning{llm.FaultUnknownModel, llm.RetryElsewhere, llm.ScopeModel}
	isBadKey        = Meaning{llm.FaultCredential, llm.RetryElsewhere, llm.ScopeKey}
	isBarred        = Meaning{llm.FaultCredential, llm.RetryElsewhere, llm.ScopeTarget} // whatever the key
	isBroke         = Meaning{llm.FaultQuota, llm.RetryElsewhere, llm.ScopeKey}
	isSpent         = Meaning{llm.FaultQuota, llm.RetryElsewhere, llm.ScopeModel} // the day's or the month's share of one model
	isLimited       = Meaning{llm.FaultRateLimit, llm.RetrySame, llm.ScopeModel}
	isKeyLimited    = Meaning{llm.FaultRateLimit, llm.RetrySame, llm.ScopeKey}
	isOverloaded    = Meaning{llm.FaultOverloaded, llm.RetrySame, llm.ScopeModel}
	isHostOverload  = Meaning{llm.FaultOverloaded, llm.RetrySame, llm.ScopeTarget}
	isModelFailure  = Meaning{llm.FaultServer, llm.RetrySame, llm.ScopeModel}
	isTargetFailure = Meaning{llm.FaultServer, llm.RetrySame, llm.ScopeTarget}
	isChance        = Meaning{llm.FaultServer, llm.RetrySame, llm.ScopeRequest} // what the model happened to draw
)

// common are the faults that providers agree about, more telling ones first.
// Sources: the recorded error bodies, and the status semantics of RFC 9110.
var common = []Rule{
	{0, "context_length_exceeded", isTooLong, ""},
	{0, "maximum context length", isTooLong, ""},
	{0, "maximum prompt length", isTooLong, ""},
	{0, "context window", isTooLong, ""},
	{0, "exceeded max context", isTooLong, ""},
	{0, "exceed_context_size", isTooLong, ""},
	{0, "context size", isTooLong, ""},
	{0, "too_many_tokens", isTooLong, ""},
	{0, "prompt is too long", isTooLong, ""},
	{0, "insufficient_quota", isBroke, ""},
	{0, "invalid_api_key", isBadKey, ""},
	{0, "rate_limit_exceeded", isLimited, ""},
	{0, "content_filter", isFiltered, ""},
	{0, "model_not_found", isUnknownModel, ""},
	{400, "does not exist", isUnknownModel, ""},
	{400, "not supported with this model", isUnsupported, ""},
	{401, "", isBadKey, ""},
	{402, "", isBroke, ""},
	{403, "", isBadKey, ""},
	{404, "", isUnknownModel, ""},
	{405, "", isUnsupported, ""},
	{408, "", isTargetFailure, ""},
	{409, "", isChance, ""},
	{413, "", isTooLarge, ""},
	{425, "", isChance, ""},
	{429, "", isLimited, ""},
	{501, "", isUnsupported, ""},
	{503, "", isHostOverload, ""},
	{529, "", isHostOverload, ""},
}
