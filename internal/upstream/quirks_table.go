package upstream

import "tailplane/internal/llm"

// The quirks of each provider's models, each with its source: a recording of the
// corpus (by the end of its file's name), the models.dev catalogue (a test holds
// the table to it), or the provider's documentation. A pattern's * stands for
// anything but a slash.

// openAIQuirks hold at OpenAI and at Azure.
var openAIQuirks = []Quirk{
	// Recorded: chat-bad-request, reasoning-model-legacy-parameter-error: "'max_tokens'
	// is not supported with this model. Use 'max_completion_tokens' instead."
	{Models: openAIThinkers, Cap: newCap},
	// Recorded: reasoning-model-temperature-error; gpt-5-nano takes a temperature of
	// 1. The others: OpenAI's guide to reasoning models.
	{
		Models:  openAIThinkers,
		Refuses: []string{"temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs"},
	},
	// OpenAI's guide to GPT-5.2: temperature, top_p and logprobs are taken while the
	// effort is none. It is the default up to 5.4 (recorded: answers of gpt-5.2 and
	// gpt-5.4 that were asked for no effort), and medium from 5.5 on; recorded:
	// gpt-5.6-sol with effort none takes a temperature of 0.5.
	{
		Models: []string{"gpt-5.1", "gpt-5.1-20*", "gpt-5.2", "gpt-5.2-20*", "gpt-5.4", "gpt-5.4-20*", "gpt-5.4-mini*", "gpt-5.4-nano*"},
		When:   whenAsked, Refuses: []string{"temperature", "top_p", "logprobs"},
	},
	{
		Models: []string{"gpt-5.5", "gpt-5.5-20*", "gpt-5.6*"},
		When:   whenThinking, Refuses: []string{"temperature", "top_p", "logprobs"},
	},
	// models.dev: temperature = true.
	{
		Models: []string{"gpt-5-chat-latest", "gpt-5.3-chat-latest"}, Accepts: []string{"temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs"},
	},
	{Models: []string{"gpt-5-chat*"}, Refuses: []string{"reasoning_effort"}}, // it does not think
	// models.dev: reasoning_options.
	{Models: []string{"o1", "o1-20*", "o1-pro*", "o3", "o3-20*", "o3-mini*", "o3-pro*", "o4-mini", "o4-mini-20*", "codex-mini*"}, Efforts: lowToHigh},
	{Models: []string{"o3-deep-research*", "o4-mini-deep-research*", "gpt-5.1-chat*", "gpt-5.2-chat*"}, Efforts: []string{"medium"}},
	{Models: []string{"gpt-5", "gpt-5-20*", "gpt-5-mini*", "gpt-5-nano*"}, Efforts: []string{"minimal", "low", "medium", "high"}},
	{Models: []string{"gpt-5-codex*", "gpt-5.1-codex", "gpt-5.1-codex-mini*"}, Efforts: lowToHigh},
	{Models: []string{"gpt-5.1-codex-max*", "gpt-5.2-codex*"}, Efforts: []string{"low", "medium", "high", "xhigh"}},
	{Models: []string{"gpt-5-pro*"}, Efforts: []string{"high"}},
	{Models: []string{"gpt-5.2-pro*", "gpt-5.4-pro*", "gpt-5.5-pro*"}, Efforts: []string{"medium", "high", "xhigh"}},
	{Models: []string{"gpt-5.1", "gpt-5.1-20*"}, Efforts: []string{"none", "low", "medium", "high"}},
	{
		Models: []string{
			"gpt-5.2", "gpt-5.2-20*", "gpt-5.3-codex*", "gpt-5.4", "gpt-5.4-20*", "gpt-5.4-mini*", "gpt-5.4-nano*", "gpt-5.5", "gpt-5.5-20*",
		},
		Efforts: []string{"none", "low", "medium", "high", "xhigh"},
	},
	// Recorded: test_openai_o1_mini_system_role: neither role is supported.
	{Models: []string{"o1-mini*", "o1-preview*"}, Dialects: chatOnly, Instructions: "user"},
	// OpenAI's API reference of chat: up to four; the newest models take none.
	{Models: []string{"gpt-4*", "gpt-3.5*", "chatgpt-*"}, Dialects: []llm.Dialect{llm.Chat, llm.Completions}, MaxStops: 4},
	{Models: []string{"o3*", "o4-mini*"}, Dialects: chatOnly, Refuses: []string{"stop"}},
	// OpenAI's API reference of responses: "minimum 16".
	{Dialects: []llm.Dialect{llm.Responses}, MinTokens: 16},
	// OpenAI's guide to function calling: parallel calls are not supported by o-series
	// models.
	{Models: []string{"o1*", "o3*", "o4-mini*"}, Refuses: []string{"parallel_tool_calls"}},
}

var (
	openAIThinkers = []string{"o1*", "o3*", "o4-*", "gpt-5*", "codex-mini*"}
	lowToHigh      = []string{"low", "medium", "high"}
)

// azureQuirks are those of models at Azure that are not OpenAI's: they know
// chat's old cap only, and their servers no developer. models.dev: gpt-5.3-chat
// has efforts of its own there.
var azureQuirks = []Quirk{
	{
		Models: []string{"grok*", "deepseek*", "DeepSeek*", "llama*", "Llama*", "mistral*", "Mistral*", "ministral*", "Ministral*", "codestral*", "Codestral*", "phi*", "Phi*", "cohere*", "Cohere*"},
		Cap:    oldCap, Instructions: "system",
	},
	{Models: []string{"gpt-5.3-chat*"}, Refuses: []string{"temperature", "top_p"}, Efforts: []string{"medium"}},
}

// anthropicQuirks hold for Claude wherever Anthropic's dialect is spoken.
// Efforts and thinking are the codec's own matter, see dialect.
var anthropicQuirks = []Quirk{
	// models.dev: temperature = false.
	{
		Models:   []string{"claude-opus-4-7*", "claude-opus-4-8*", "claude-sonnet-5*", "claude-opus-5*", "claude-fable-5*"},
		Dialects: anthropicOnly, Refuses: []string{"temperature", "top_p", "top_k"},
	},
	// Anthropic's guide to migrating to Claude 4.5: temperature or top_p, not both.
	{
		Models:   []string{"claude-opus-4-1*", "claude-opus-4-5*", "claude-opus-4-6*", "claude-sonnet-4-5*", "claude-sonnet-4-6*", "claude-haiku-4-5*"},
		Dialects: anthropicOnly, OneOf: []string{"temperature", "top_p"},
	},
	// Recorded: test_anthropic_explicit_effort_xhigh_unsupported_model_errors.
	// models.dev: reasoning_options.
	{Models: []string{"claude-opus-4-6*", "claude-sonnet-4-6*"}, Dialects: anthropicOnly, Efforts: []string{"low", "medium", "high", "max"}},
	{Models: []string{"claude-opus-4-5*"}, Dialects: anthropicOnly, Efforts: lowToHigh},
}

var anthropicOnly = []llm.Dialect{llm.Anthropic}

// bedrockQuirks: the same models under their names at Bedrock, in Converse and
// in their own dialect.
var bedrockQuirks = []Quirk{
	// models.dev: temperature = false.
	{
		Models:  []string{"*anthropic.claude-opus-4-7*", "*anthropic.claude-opus-4-8*", "*anthropic.claude-sonnet-5*", "*anthropic.claude-fable-5*"},
		Refuses: []string{"temperature", "top_p", "top_k"},
	},
	// As at Anthropic.
	{
		Models: []string{
			"*anthropic.claude-opus-4-1*", "*anthropic.claude-opus-4-5*", "*anthropic.claude-opus-4-6*", "*anthropic.claude-sonnet-4-5*",
			"*anthropic.claude-sonnet-4-6*", "*anthropic.claude-haiku-4-5*",
		},
		OneOf: []string{"temperature", "top_p"},
	},
	// models.dev: reasoning_options.
	{Models: []string{"*anthropic.claude-opus-4-6*", "*anthropic.claude-sonnet-4-6*"}, Efforts: []string{"low", "medium", "high", "max"}},
	{Models: []string{"openai.gpt-5.4*", "openai.gpt-5.5*"}, Efforts: []string{"none", "low", "medium", "high", "xhigh"}},
	{Models: []string{"xai.grok-4.3*"}, Efforts: []string{"none", "low", "medium", "high"}},
	{Models: []string{"*amazon.nova-2-*", "*anthropic.claude-opus-4-5*", "*openai.gpt-oss-*"}, Efforts: lowToHigh},
	// Amazon's guide to Nova: a tool's schema has type, properties and required at
	// its top, and nothing else.
	{Models: []string{"*amazon.nova-*"}, Schema: []string{"$schema", "additionalProperties", "title"}},
	// The same guide: up to four.
	{Models: []string{"*amazon.nova-*"}, MaxStops: 4},
}

// geminiQuirks: the OpenAI-compatible surface of Gemini, and the dialect itself.
var geminiQuirks = []Quirk{
	// Google's guide to the compatible surface: system is its only word.
	{Dialects: chatOnly, Instructions: "system", Cap: oldCap},
	// Gemini's API reference of GenerationConfig: up to five.
	{Dialects: []llm.Dialect{llm.Gemini, llm.Chat}, MaxStops: 5},
}

// cohereQuirks: Cohere's guide to its compatibility API lists what is not
// supported.
var cohereQuirks = []Quirk{
	{
		Dialects: chatOnly, Cap: oldCap, MaxStops: 5,
		Refuses: []string{"n", "parallel_tool_calls", "metadata"},
	},
	// The same guide: reasoning_effort is none or high; models.dev agrees
	// (north-mini-code-1-0).
	{Dialects: chatOnly, Efforts: []string{"none", "high"}},
	// Cohere's guide to structured outputs: unsupported keywords.
	{
		Dialects: chatOnly,
		Schema:   []string{"minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength", "uniqueItems", "allOf", "oneOf", "not"},
	},
}

// deepSeekQuirks: DeepSeek's API reference: roles system, user, assistant and
// tool; one choice; 16 stop sequences.
var deepSeekQuirks = []Quirk{
	{Dialects: chatOnly, Instructions: "system", Cap: oldCap, MaxStops: 16, Refuses: []string{"n"}},
	// models.dev: reasoning_options.
	{Models: []string{"deepseek-v4-*"}, Efforts: []string{"high", "max"}},
	// DeepSeek's guide to its reasoner: logprobs are an error there.
	{Models: []string{"deepseek-reasoner"}, Refuses: []string{"logprobs"}},
}

// groqQuirks: Groq's guide to OpenAI compatibility: "logprobs, logit_bias,
// top_logprobs, messages[].name" give a 400, and so does an n other than 1.
var groqQuirks = []Quirk{
	{Refuses: []string{"logprobs", "n"}, MaxStops: 4},
	// models.dev: reasoning_options. Recorded: qwen3 with none and default.
	{Models: []string{"openai/gpt-oss-*"}, Efforts: lowToHigh},
	{Models: []string{"qwen/*"}, Efforts: []string{"none", "default"}},
}

// mistralQuirks: Mistral's API reference: roles system, user, assistant and tool;
// a stop list of any length; random_seed instead of seed; no logprobs. Unknown
// members are a 422 there.
var mistralQuirks = []Quirk{
	{
		Dialects: chatOnly, Required: "any", Instructions: "system", Cap: oldCap, // recorded: tool_choice: any
		Refuses: []string{"logprobs", "seed", "user", "stream_options", "verbosity"},
	},
	// models.dev: reasoning_options (mistral-small-2603, mistral-medium-2604).
	{Models: []string{"mistral-small-*", "mistral-medium-*"}, Efforts: []string{"none", "high"}},
}

// perplexityQuirks: Perplexity's API reference: an answer is searched for, and no
// tool is called.
var perplexityQuirks = []Quirk{
	{Dialects: chatOnly, Instructions: "system", Cap: oldCap, Refuses: []string{"tools", "n"}},
}

// xAIQuirks: xAI's guide to reasoning: presence and frequency penalty and stop are
// an error for models that reason.
var xAIQuirks = []Quirk{
	{
		Models:   []string{"grok-4*", "grok-build*", "grok-3-mini*"},
		Dialects: chatOnly, Refuses: []string{"presence_penalty", "frequency_penalty", "stop"},
	},
	{Models: []string{"*non-reasoning*"}, Accepts: []string{"presence_penalty", "frequency_penalty", "stop"}},
	// models.dev: reasoning_options; the others have none.
	{Models: []string{"grok-4.3*"}, Efforts: []string{"none", "low", "medium", "high"}},
	{Models: []string{"grok-4.20-multi-agent*"}, Efforts: []string{"low", "medium", "high", "xhigh"}},
	{Models: []string{"grok-3-mini*"}, Efforts: []string{"low", "high"}},
	{Models: []string{"grok-4", "grok-4-0*", "grok-4-1*", "grok-4-fast*", "grok-4.20-0309*"}, Refuses: []string{"reasoning_effort"}},
}
