package upstream

import "tailplane/internal/llm"

// openAI is api.openai.com. Its error codes are OpenAI's published ones; the
// recorded traffic agrees.
var openAI = Kind{
	Name: "openai", Title: "OpenAI", URL: "https://api.openai.com", Prefix: "/v1",
	KeyEnv:   []string{"OPENAI_API_KEY"},
	Dialects: []llm.Dialect{llm.Responses, llm.Chat, llm.Completions, llm.Embeddings},
	NewCap:   true,
	Owns: []string{
		"gpt-*", "chatgpt-*", "o1", "o1-*", "o3", "o3-*", "o4-*", "codex-*", "computer-use-*",
		"text-embedding-*", "davinci-*", "babbage-*",
	},
	Rules: []Rule{
		{Status: 429, Match: "insufficient_quota", Kind: llm.FaultQuota, Retry: llm.RetryElsewhere, Scope: llm.ScopeKey},
		{Status: 429, Match: "billing_hard_limit_reached", Kind: llm.FaultQuota, Retry: llm.RetryElsewhere, Scope: llm.ScopeKey},
		{Status: 429, Match: "request too large", Kind: llm.FaultTooLong, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest},
		{Status: 403, Match: "unsupported_country_region_territory", Kind: llm.FaultCredential, Retry: llm.RetryElsewhere, Scope: llm.ScopeTarget},
		{Status: 503, Match: "slow_down", Kind: llm.FaultOverloaded, Retry: llm.RetrySame, Scope: llm.ScopeModel},
		{Status: 400, Match: "content_policy_violation", Kind: llm.FaultContentFilter, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest},
	},
}
