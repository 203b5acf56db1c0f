package upstream

import "tailplane/internal/llm"

// openAI is api.openai.com. Its error codes are OpenAI's published ones; the
// recorded traffic agrees.
var openAI = Kind{
	Name: "openai", Title: "OpenAI", URL: "https://api.openai.com", Prefix: "/v1",
	KeyEnv:   []string{"OPENAI_API_KEY"},
	BaseEnv:  "OPENAI_BASE_URL",
	Dialects: []llm.Dialect{llm.Responses, llm.Chat, llm.Completions, llm.Embeddings},
	NewCap:   true,
	Owns: []string{
		"gpt-*", "chatgpt-*", "o1", "o1-*", "o3", "o3-*", "o4-*", "codex-*", "computer-use-*",
		"text-embedding-*", "davinci-*", "babbage-*",
	},
	Rules:  openAIRules,
	Quirks: openAIQuirks,
}

// openAIRules are the faults of OpenAI's models wherever they are served.
var openAIRules = []Rule{
	{429, "billing_hard_limit_reached", isBroke, ""},
	{429, "billing_not_active", isBroke, ""},
	{429, "request too large", isTooLong, ""},
	{403, "unsupported_country_region_territory", isBarred, ""},
	{503, "slow_down", isOverloaded, ""},
	{400, "content_policy_violation", isFiltered, ""},
	{400, "moderation_blocked", isFiltered, ""},
	{400, "your prompt was flagged", isFiltered, ""},
	{400, "unsupported_parameter", isUnsupported, ""},
	{400, "unsupported_value", isUnsupported, ""},
	{400, "not supported with this model", isUnsupported, ""},
}
