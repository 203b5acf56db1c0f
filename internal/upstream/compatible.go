package upstream

import "tailplane/internal/llm"

var (
	openAIFamily = []llm.Dialect{llm.Chat, llm.Completions, llm.Embeddings}
	chatOnly     = []llm.Dialect{llm.Chat}
)

// Providers that speak OpenAI's chat dialect and differ in address, key and a
// few faults. Any other one needs no code: `kind: openai-compatible` with a
// url.
var (
	compatible = Kind{Name: "openai-compatible", Title: "OpenAI-compatible server", Prefix: "/v1", Dialects: openAIFamily, Engine: true}

	deepSeek = Kind{
		Name: "deepseek", Title: "DeepSeek", URL: "https://api.deepseek.com", Prefix: "/v1", KeyEnv: []string{"DEEPSEEK_API_KEY"},
		Dialects: chatOnly, Owns: []string{"deepseek-*"},
		Rules: []Rule{{Status: 402, Kind: llm.FaultQuota, Retry: llm.RetryElsewhere, Scope: llm.ScopeKey}},
	}
	fireworks = Kind{
		Name: "fireworks", Title: "Fireworks", URL: "https://api.fireworks.ai/inference/v1", KeyEnv: []string{"FIREWORKS_API_KEY"},
		Dialects: openAIFamily, Owns: []string{"accounts/fireworks/*/*"},
	}
	groq = Kind{
		Name: "groq", Title: "Groq", URL: "https://api.groq.com/openai/v1", KeyEnv: []string{"GROQ_API_KEY"}, Dialects: chatOnly,
		Rules: []Rule{
			{Match: "tool_use_failed", Kind: llm.FaultServer, Retry: llm.RetrySame, Scope: llm.ScopeRequest},
			{Status: 498, Kind: llm.FaultOverloaded, Retry: llm.RetrySame, Scope: llm.ScopeModel},
		},
	}
	mistral = Kind{
		Name: "mistral", Title: "Mistral", URL: "https://api.mistral.ai", Prefix: "/v1", KeyEnv: []string{"MISTRAL_API_KEY"},
		Dialects: []llm.Dialect{llm.Chat, llm.Embeddings}, NoStreamUsage: true,
		Owns: []string{"mistral-*", "ministral-*", "magistral-*", "codestral-*", "devstral-*", "pixtral-*", "open-mistral-*"},
	}
	openRouter = Kind{
		Name: "openrouter", Title: "OpenRouter", URL: "https://openrouter.ai/api/v1", KeyEnv: []string{"OPENROUTER_API_KEY"}, Dialects: chatOnly,
		Rules: []Rule{{Status: 402, Kind: llm.FaultQuota, Retry: llm.RetryElsewhere, Scope: llm.ScopeKey}},
	}
	perplexity = Kind{
		Name: "perplexity", Title: "Perplexity", URL: "https://api.perplexity.ai", KeyEnv: []string{"PERPLEXITY_API_KEY"}, Dialects: chatOnly,
		Owns:  []string{"sonar", "sonar-*"},
		Rules: []Rule{{Status: 400, Match: "too_many_prompt_tokens", Kind: llm.FaultTooLong, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest}},
	}
	together = Kind{
		Name: "together", Title: "Together", URL: "https://api.together.xyz", Prefix: "/v1", KeyEnv: []string{"TOGETHER_API_KEY"}, Dialects: openAIFamily,
		Rules: []Rule{{Status: 402, Kind: llm.FaultQuota, Retry: llm.RetryElsewhere, Scope: llm.ScopeKey}},
	}
	xAI = Kind{
		Name: "xai", Title: "xAI", URL: "https://api.x.ai", Prefix: "/v1", KeyEnv: []string{"XAI_API_KEY"},
		Dialects: []llm.Dialect{llm.Chat, llm.Responses}, Owns: []string{"grok-*"},
		Rules: []Rule{{Status: 400, Match: "incorrect api key", Kind: llm.FaultCredential, Retry: llm.RetryElsewhere, Scope: llm.ScopeKey}},
	}
)

// Engines: servers on somebody's own GPUs. Their dialects are those that every
// supported version serves; `dialects:` of a target adds what a newer one can.
var (
	vllm     = Kind{Name: "vllm", Title: "vLLM", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	sglang   = Kind{Name: "sglang", Title: "SGLang", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	lmdeploy = Kind{Name: "lmdeploy", Title: "LMDeploy", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	tensorRT = Kind{Name: "tensorrt-llm", Title: "TensorRT-LLM", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	triton   = Kind{Name: "triton", Title: "Triton", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	llamaCPP = Kind{Name: "llamacpp", Title: "llama.cpp", Prefix: "/v1", Dialects: openAIFamily, Engine: true, Rules: loading}
	lmStudio = Kind{Name: "lmstudio", Title: "LM Studio", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	ollama   = Kind{Name: "ollama", Title: "Ollama", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	tgi      = Kind{
		Name: "tgi", Title: "TGI", Prefix: "/v1", Dialects: []llm.Dialect{llm.Chat, llm.Completions}, Engine: true,
		Rules: []Rule{
			{Status: 429, Kind: llm.FaultOverloaded, Retry: llm.RetrySame, Scope: llm.ScopeTarget},
			{Status: 422, Match: "must be <=", Kind: llm.FaultTooLong, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest},
		},
	}
	// simulator is the engine inside this process.
	simulator = Kind{Name: "sim", Title: "simulator", URL: "http://sim.internal", Prefix: "/v1", Dialects: openAIFamily, Engine: true}

	loading = []Rule{{Status: 503, Match: "loading model", Kind: llm.FaultOverloaded, Retry: llm.RetrySame, Scope: llm.ScopeTarget}}
)
