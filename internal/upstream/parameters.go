package upstream

import "tailplane/internal/llm"

// parameter is one setting of a request that some models refuse: where it stands
// in each dialect, and in a call.
type parameter struct {
	name string
	// at are its places by dialect; "a.b" is member b of the object a.
	at map[llm.Dialect][]string
	// neutral are values, as JSON, that say what holds anyway, so that no model
	// refuses them; null always is.
	neutral []string
	// clear takes it out of a call; false when the call says nothing of it.
	clear func(c *llm.Call) bool
}

// Where the parameters of a dialect's sampling stand.
const (
	inGemini   = "generationConfig."
	inConverse = "inferenceConfig."
)

// places are those of a parameter that has one in each dialect at most;
// completions spell it as chat does.
func places(chat, responses, anthropic, gemini, converse string) map[llm.Dialect][]string {
	m := map[llm.Dialect][]string{}
	for d, name := range map[llm.Dialect]string{
		llm.Chat: chat, llm.Completions: chat, llm.Responses: responses, llm.Anthropic: anthropic, llm.Gemini: gemini, llm.Converse: converse,
	} {
		if name != "" {
			m[d] = []string{name}
		}
	}
	return m
}

// parameters is every setting that a quirk can name.
var parameters = []parameter{
	{
		"temperature", places("temperature", "temperature", "temperature", inGemini+"temperature", inConverse+"temperature"),
		[]string{"1", "1.0"},
		func(c *llm.Call) bool { return clearFloat(&c.Sampling.Temperature, 1) },
	},
	{
		"top_p", places("top_p", "top_p", "top_p", inGemini+"topP", inConverse+"topP"),
		[]string{"1", "1.0"},
		func(c *llm.Call) bool { return clearFloat(&c.Sampling.TopP, 1) },
	},
	{
		"top_k", places("top_k", "", "top_k", inGemini+"topK", ""), nil,
		func(c *llm.Call) bool { return clearPointer(&c.Sampling.TopK) },
	},
	{
		"frequency_penalty", places("frequency_penalty", "", "", inGemini+"frequencyPenalty", ""),
		[]string{"0", "0.0"},
		func(c *llm.Call) bool { return clearFloat(&c.Sampling.FrequencyPenalty, 0) },
	},
	{
		"presence_penalty", places("presence_penalty", "", "", inGemini+"presencePenalty", ""),
		[]string{"0", "0.0"},
		func(c *llm.Call) bool { return clearFloat(&c.Sampling.PresencePenalty, 0) },
	},
	{
		"seed", places("seed", "", "", inGemini+"seed", ""), nil,
		func(c *llm.Call) bool { return clearPointer(&c.Sampling.Seed) },
	},
	{
		"stop", places("stop", "", "stop_sequences", inGemini+"stopSequences", inConverse+"stopSequences"),
		[]string{"[]"},
		func(c *llm.Call) bool {
			stated := len(c.Sampling.Stop) > 0
			c.Sampling.Stop = nil
			return stated
		},
	},
	{
		"n", places("n", "", "", inGemini+"candidateCount", ""),
		[]string{"1"},
		func(c *llm.Call) bool {
			stated := c.Sampling.N > 1
			c.Sampling.N = 0
			return stated
		},
	},
	{
		"logprobs",
		map[llm.Dialect][]string{
			llm.Chat: {"logprobs", "top_logprobs"}, llm.Completions: {"logprobs"}, llm.Responses: {"top_logprobs"},
			llm.Gemini: {inGemini + "responseLogprobs", inGemini + "logprobs"},
		},
		[]string{"false", "0"},
		func(c *llm.Call) bool {
			stated := c.Logprobs.Want || c.Logprobs.Top != nil
			c.Logprobs = llm.Logprobs{}
			return stated
		},
	},
	{
		"parallel_tool_calls", places("parallel_tool_calls", "parallel_tool_calls", "", "", ""), nil,
		func(c *llm.Call) bool { return clearPointer(&c.Parallel) },
	},
	{
		"reasoning_effort", places("reasoning_effort", "reasoning.effort", "output_config.effort", "generationConfig.thinkingConfig", ""), nil,
		func(c *llm.Call) bool {
			stated := c.Reasoning.Effort != "" || c.Reasoning.Budget != 0 || c.Reasoning.Mode != ""
			c.Reasoning = llm.Reasoning{}
			return stated
		},
	},
	{
		"verbosity", places("verbosity", "text.verbosity", "", "", ""), nil,
		func(c *llm.Call) bool {
			stated := c.Output.Verbosity != ""
			c.Output.Verbosity = ""
			return stated
		},
	},
	{
		"tools",
		map[llm.Dialect][]string{
			llm.Chat: {"tools", "tool_choice", "parallel_tool_calls"}, llm.Responses: {"tools", "tool_choice", "parallel_tool_calls"},
			llm.Anthropic: {"tools", "tool_choice"}, llm.Gemini: {"tools", "toolConfig"}, llm.Converse: {"toolConfig"},
		},
		[]string{"[]", `"none"`},
		func(c *llm.Call) bool {
			stated := len(c.Tools) > 0
			c.Tools, c.Choice = nil, llm.ToolChoice{}
			return stated
		},
	},
	{
		"stream_options", places("stream_options", "", "", "", ""), nil,
		func(c *llm.Call) bool { c.WantUsage = false; return false }, // the usage is a matter of ours
	},
	{
		"user", places("user", "user", "", "", ""), nil,
		func(c *llm.Call) bool {
			stated := c.User != ""
			c.User = ""
			return stated
		},
	},
	{
		"metadata", places("metadata", "metadata", "", "", ""), nil,
		func(c *llm.Call) bool {
			stated := len(c.Metadata) > 0
			c.Metadata = nil
			return stated
		},
	},
}

func parameterOf(name string) *parameter {
	for i := range parameters {
		if parameters[i].name == name {
			return &parameters[i]
		}
	}
	return nil
}

func parameterNames() []string {
	var out []string
	for i := range parameters {
		out = append(out, parameters[i].name)
	}
	return out
}

// in is the parameter's name in a client's dialect.
func (p *parameter) in(d llm.Dialect) string {
	if at := p.at[d]; len(at) > 0 {
		return at[0]
	}
	return p.name
}

// clearFloat takes a number out, and keeps one that says what holds anyway.
func clearFloat(v **float64, neutral float64) bool {
	if *v == nil || **v == neutral {
		return false
	}
	*v = nil
	return true
}

func clearPointer[T any](v **T) bool {
	stated := *v != nil
	*v = nil
	return stated
}
