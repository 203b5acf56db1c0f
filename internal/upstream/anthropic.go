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
	BaseEnv:  "ANTHROPIC_BASE_URL",
	BaseBare: true,
	Auth:     AuthXAPIKey,
	Dialects: []llm.Dialect{llm.Anthropic},
	Owns:     []string{"claude-*"},
	Header:   []h1.Field{{Name: anthropicVersion, Value: "2023-06-01"}},
	Asks:     anthropicAsks,
	Rules:    anthropicRules,
	Quirks:   anthropicQuirks,
}

// anthropicRules are the faults of Anthropic's dialect wherever it is served.
var anthropicRules = []Rule{
	{0, "credit balance is too low", isBroke, ""},
	{400, "api usage limits", isBroke, ""},
	{0, "overloaded_error", isOverloaded, ""},
	{529, "", isOverloaded, ""},
	{0, "prompt is too long", isTooLong, ""},
	{0, "exceed context limit", isTooLong, ""},
	{400, "content filtering policy", isFiltered, ""},
	{400, "this model does not support", isUnsupported, ""},
	{0, "rate_limit_error", isKeyLimited, ""},
	{0, "authentication_error", isBadKey, ""},
	{0, "permission_error", isBadKey, ""},
	{0, "request_too_large", isTooLarge, ""},
	{0, "timeout_error", isModelFailure, ""},
	{0, "api_error", isModelFailure, ""},
}
