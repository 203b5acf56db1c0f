package upstream

import "tailplane/internal/llm"

var (
	openAIFamily = []llm.Dialect{llm.Chat, llm.Completions, llm.Embeddings}
	chatOnly     = []llm.Dialect{llm.Chat}
)

// Providers that speak OpenAI's chat dialect and differ in address, key, quirks
// and a few faults. Any other one needs no code: `kind: openai-compatible` with
// a url. Sources of the rules: recorded errors, and the providers' own lists of
// error codes.
var (
	compatible = Kind{Name: "openai-compatible", Title: "OpenAI-compatible server", Prefix: "/v1", Dialects: openAIFamily, Engine: true}

	// cohere is Cohere's compatibility API; its own chat is no dialect here.
	cohere = Kind{
		Name: "cohere", Title: "Cohere", URL: "https://api.cohere.ai/compatibility/v1", KeyEnv: []string{"COHERE_API_KEY", "CO_API_KEY"},
		Dialects: []llm.Dialect{llm.Chat, llm.Embeddings}, Owns: []string{"command-*", "c4ai-*", "embed-v4*", "embed-english-*", "embed-multilingual-*"},
		Rules: []Rule{
			{429, "trial key", isBroke, ""},
			{429, "calls / month", isBroke, ""},
			{0, "too many tokens", isTooLong, ""},
			{498, "", isFiltered, ""}, // a blocked token of input or output
		},
		Asks:   cohereAsks,
		Quirks: cohereQuirks,
	}
	deepSeek = Kind{
		Name: "deepseek", Title: "DeepSeek", URL: "https://api.deepseek.com", Prefix: "/v1", KeyEnv: []string{"DEEPSEEK_API_KEY"},
		Dialects: chatOnly, Owns: []string{"deepseek-*"},
		Rules:  []Rule{{0, "insufficient balance", isBroke, ""}},
		Quirks: deepSeekQuirks,
	}
	fireworks = Kind{
		Name: "fireworks", Title: "Fireworks", URL: "https://api.fireworks.ai/inference/v1", KeyEnv: []string{"FIREWORKS_API_KEY"},
		Dialects: openAIFamily, Owns: []string{"accounts/fireworks/*/*"},
		Rules: []Rule{{412, "suspended", isBroke, ""}},
	}
	groq = Kind{
		Name: "groq", Title: "Groq", URL: "https://api.groq.com/openai/v1", KeyEnv: []string{"GROQ_API_KEY"}, Dialects: chatOnly,
		Rules: []Rule{
			{0, "tool_use_failed", isChance, ""},
			{0, "json_validate_failed", isChance, ""},
			{413, "", isTooLong, ""}, // larger than the limit of tokens per minute
			{0, "model_decommissioned", isUnknownModel, "the model is retired: name its successor"},
			{0, "model_terms_required", isUnknownModel, ""},
			{0, "organization_restricted", isBadKey, ""},
			{498, "", isOverloaded, ""}, // the flex tier has no capacity
		},
		Quirks: groqQuirks,
	}
	mistral = Kind{
		Name: "mistral", Title: "Mistral", URL: "https://api.mistral.ai", Prefix: "/v1", KeyEnv: []string{"MISTRAL_API_KEY"},
		Dialects: []llm.Dialect{llm.Chat, llm.Embeddings}, NoStreamUsage: true,
		Owns: []string{"mistral-*", "ministral-*", "magistral-*", "codestral-*", "devstral-*", "pixtral-*", "open-mistral-*"},
		Rules: []Rule{
			{0, "invalid_model", isUnknownModel, ""},
			{400, "invalid model:", isUnknownModel, ""},
			{0, "service_tier_capacity_exceeded", isOverloaded, ""},
			{400, "too large for model", isTooLong, ""},
		},
		Quirks: mistralQuirks,
	}
	// openRouter passes on what the provider behind it says; its own codes are
	// numbers.
	openRouter = Kind{
		Name: "openrouter", Title: "OpenRouter", URL: "https://openrouter.ai/api/v1", KeyEnv: []string{"OPENROUTER_API_KEY"}, Dialects: chatOnly,
		Others: []llm.Dialect{llm.Embeddings, llm.Responses}, Asks: openRouterAsks,
		Rules: []Rule{
			{429, "free-models-per-day", isBroke, ""},
			{400, "token limit reached", isTooLong, ""},
			{403, "moderation", isFiltered, ""},
			{403, "flagged", isFiltered, ""},
			{400, "is not a valid model id", isUnknownModel, ""},
			{502, "", isModelFailure, ""}, // the provider behind it
			{503, "", isOverloaded, ""},   // none behind it is free
		},
	}
	perplexity = Kind{
		Name: "perplexity", Title: "Perplexity", URL: "https://api.perplexity.ai", KeyEnv: []string{"PERPLEXITY_API_KEY"}, Dialects: chatOnly,
		Owns: []string{"sonar", "sonar-*"},
		Rules: []Rule{
			{0, "too_many_prompt_tokens", isTooLong, ""},
			{400, "invalid_model", isUnknownModel, ""},
		},
		Quirks: perplexityQuirks,
	}
	together = Kind{
		Name: "together", Title: "Together", URL: "https://api.together.xyz", Prefix: "/v1", KeyEnv: []string{"TOGETHER_API_KEY"}, Dialects: openAIFamily,
		Rules: []Rule{
			{0, "must be <=", isTooLong, ""}, // `inputs` tokens + `max_new_tokens`
			{400, "model_not_available", isUnknownModel, ""},
		},
	}
	// voyage has nothing but embeddings (and reranks).
	voyage = Kind{
		Name: "voyage", Title: "Voyage AI", URL: "https://api.voyageai.com", Prefix: "/v1", KeyEnv: []string{"VOYAGE_API_KEY"},
		Dialects: []llm.Dialect{llm.Embeddings}, Owns: []string{"voyage-*"},
		Rules: []Rule{
			{400, "is not supported. supported models are", isUnknownModel, ""},
			{400, "max allowed tokens", isTooLong, ""},
		},
	}
	xAI = Kind{
		Name: "xai", Title: "xAI", URL: "https://api.x.ai", Prefix: "/v1", KeyEnv: []string{"XAI_API_KEY"},
		Dialects: []llm.Dialect{llm.Chat, llm.Responses}, Owns: []string{"grok-*"},
		Rules: []Rule{
			{400, "incorrect api key", isBadKey, ""},
			{0, "used all available credits", isBroke, ""},
			{0, "monthly spending limit", isBroke, ""},
			{400, "model not found", isUnknownModel, ""},
		},
		Quirks: xAIQuirks,
	}
)
