package upstream

import (
	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// anthropic is api.anthropic.com. Its errors carry a type that says more than
// the status: 529 is overload, and a credit balance that is too low is a 400.
var anthropic = Kind{
	Name: "anthropic", Title: "Anthropic", URL: "https://api.anthropic.com", Prefix: "/v1",
	KeyEnv:   []string{"ANTHROPIC_API_KEY"},
	Auth:     AuthXAPIKey,
	Dialects: []llm.Dialect{llm.Anthropic},
	Owns:     []string{"claude-*"},
	Header:   []h1.Field{{Name: "anthropic-version", Value: "2023-06-01"}},
	Rules: []Rule{
		{Match: "credit balance is too low", Kind: llm.FaultQuota, Retry: llm.RetryElsewhere, Scope: llm.ScopeKey},
		{Match: "overloaded_error", Kind: llm.FaultOverloaded, Retry: llm.RetrySame, Scope: llm.ScopeModel},
		{Status: 529, Kind: llm.FaultOverloaded, Retry: llm.RetrySame, Scope: llm.ScopeModel},
		{Match: "prompt is too long", Kind: llm.FaultTooLong, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest},
		{Match: "exceed context limit", Kind: llm.FaultTooLong, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest},
		{Match: "rate_limit_error", Kind: llm.FaultRateLimit, Retry: llm.RetrySame, Scope: llm.ScopeKey},
		{Match: "authentication_error", Kind: llm.FaultCredential, Retry: llm.RetryElsewhere, Scope: llm.ScopeKey},
		{Match: "permission_error", Kind: llm.FaultCredential, Retry: llm.RetryElsewhere, Scope: llm.ScopeKey},
		{Match: "request_too_large", Kind: llm.FaultTooLarge, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest},
		{Match: "timeout_error", Kind: llm.FaultServer, Retry: llm.RetrySame, Scope: llm.ScopeModel},
		{Match: "api_error", Kind: llm.FaultServer, Retry: llm.RetrySame, Scope: llm.ScopeModel},
	},
}
