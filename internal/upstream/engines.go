package upstream

import "tailplane/internal/llm"

// Engines: servers on somebody's own GPUs. Their dialects are those that every
// supported version serves; `dialects:` of a target adds what a newer one can.
//
// TGI and Ollama are spoken to in OpenAI's dialects, not in their own: TGI's
// /generate has no conversation in it, and what only Ollama's /api/chat can say
// (num_ctx, keep_alive) belongs to the server: OLLAMA_CONTEXT_LENGTH, or a model
// made with `PARAMETER num_ctx`. A prompt that does not fit is refused.
var (
	vllm     = Kind{Name: "vllm", Title: "vLLM", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	sglang   = Kind{Name: "sglang", Title: "SGLang", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	lmdeploy = Kind{Name: "lmdeploy", Title: "LMDeploy", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	tensorRT = Kind{Name: "tensorrt-llm", Title: "TensorRT-LLM", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	triton   = Kind{Name: "triton", Title: "Triton", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	llamaCPP = Kind{Name: "llamacpp", Title: "llama.cpp", Prefix: "/v1", Dialects: openAIFamily, Engine: true, Rules: loading}
	lmStudio = Kind{Name: "lmstudio", Title: "LM Studio", Prefix: "/v1", Dialects: openAIFamily, Engine: true}
	ollama   = Kind{
		Name: "ollama", Title: "Ollama", Prefix: "/v1", Dialects: openAIFamily, Engine: true,
		Rules: []Rule{
			{0, "requires more system memory", Meaning{llm.FaultServer, llm.RetryElsewhere, llm.ScopeModel}, ""},
			{503, "maximum pending requests exceeded", isHostOverload, ""},
			{0, "try pulling it first", isUnknownModel, ""},
			{400, "does not support", isUnsupported, ""}, // tools, vision, thinking
		},
	}
	tgi = Kind{
		Name: "tgi", Title: "TGI", Prefix: "/v1", Dialects: []llm.Dialect{llm.Chat, llm.Completions}, Engine: true,
		Rules: []Rule{
			{429, "", isHostOverload, ""},
			{422, "must be <=", isTooLong, ""},
		},
	}
	// kserve is the OpenAI-compatible face of KServe's own runtimes. A cold
	// service answers 503 from the router until a replica is there.
	kserve = Kind{Name: "kserve", Title: "KServe", Prefix: "/openai/v1", Dialects: openAIFamily, Engine: true}
	// simulator is the engine inside this process.
	simulator = Kind{Name: "sim", Title: "simulator", URL: "http://sim.internal", Prefix: "/v1", Dialects: openAIFamily, Engine: true}

	loading = []Rule{{503, "loading model", isHostOverload, ""}}
)
