package importer

import (
	"path"
	"strings"

	"tailplane/internal/upstream"
)

// provider is what a LiteLLM provider is here.
type provider struct {
	kind string
	url  string // when the deployment names none
	env  string // where LiteLLM looks for the key when the deployment names none
	// needsURL: LiteLLM's address is the provider's only one by chance of the
	// deployment; without it there is no target.
	needsURL bool
}

// providers are LiteLLM's provider prefixes, from its documentation.
var providers = map[string]provider{
	"openai":                 {kind: "openai", env: "OPENAI_API_KEY"},
	"text-completion-openai": {kind: "openai", env: "OPENAI_API_KEY"},
	"anthropic":              {kind: "anthropic", env: "ANTHROPIC_API_KEY"},
	"azure":                  {kind: "azure", env: "AZURE_API_KEY", needsURL: true},
	"azure_text":             {kind: "azure", env: "AZURE_API_KEY", needsURL: true},
	"azure_ai":               {kind: "azure", env: "AZURE_AI_API_KEY", needsURL: true},
	"bedrock":                {kind: "bedrock"},
	"bedrock_converse":       {kind: "bedrock"},
	"vertex_ai":              {kind: "vertex"},
	"vertex_ai_beta":         {kind: "vertex"},
	"gemini":                 {kind: "gemini", env: "GEMINI_API_KEY"},
	"cohere":                 {kind: "cohere", env: "COHERE_API_KEY"},
	"cohere_chat":            {kind: "cohere", env: "COHERE_API_KEY"},
	"mistral":                {kind: "mistral", env: "MISTRAL_API_KEY"},
	"groq":                   {kind: "groq", env: "GROQ_API_KEY"},
	"xai":                    {kind: "xai", env: "XAI_API_KEY"},
	"deepseek":               {kind: "deepseek", env: "DEEPSEEK_API_KEY"},
	"openrouter":             {kind: "openrouter", env: "OPENROUTER_API_KEY"},
	"together_ai":            {kind: "together", env: "TOGETHERAI_API_KEY"},
	"perplexity":             {kind: "perplexity", env: "PERPLEXITYAI_API_KEY"},
	"fireworks_ai":           {kind: "fireworks", env: "FIREWORKS_API_KEY"},
	"hosted_vllm":            {kind: "vllm", needsURL: true},
	"vllm":                   {kind: "vllm", needsURL: true},
	"ollama":                 {kind: "ollama", url: "http://localhost:11434"},
	"ollama_chat":            {kind: "ollama", url: "http://localhost:11434"},
	"lm_studio":              {kind: "lmstudio", needsURL: true},
	"huggingface":            {kind: "tgi", needsURL: true},
	"triton":                 {kind: "triton", needsURL: true},
	"llamafile":              {kind: "openai-compatible", url: "http://127.0.0.1:8080/v1"},
	"openai_like":            {kind: "openai-compatible", needsURL: true},
	"custom_openai":          {kind: "openai-compatible", needsURL: true},
	"litellm_proxy":          {kind: "openai-compatible", needsURL: true},
	"nvidia_nim":             {kind: "openai-compatible", url: "https://integrate.api.nvidia.com/v1", env: "NVIDIA_NIM_API_KEY"},
	"cerebras":               {kind: "openai-compatible", url: "https://api.cerebras.ai/v1", env: "CEREBRAS_API_KEY"},
	"deepinfra":              {kind: "openai-compatible", url: "https://api.deepinfra.com/v1/openai", env: "DEEPINFRA_API_KEY"},
	"moonshot":               {kind: "openai-compatible", url: "https://api.moonshot.ai/v1", env: "MOONSHOT_API_KEY"},
	"sambanova":              {kind: "openai-compatible", url: "https://api.sambanova.ai/v1", env: "SAMBANOVA_API_KEY"},
}

// routes are words between the provider and the model that choose an API.
var routes = []string{"converse/", "invoke/", "converse_like/", "responses/", "chat/"}

// providerOf takes a LiteLLM model apart. given is custom_llm_provider.
func providerOf(model, given string) (name string, p provider, rest string, ok bool) {
	name, rest, cut := strings.Cut(model, "/")
	p, ok = providers[name]
	switch {
	case given != "":
		name, rest = given, strings.TrimPrefix(model, given+"/")
		p, ok = providers[name]
	case !cut || !ok:
		// LiteLLM knows bare names of models; so do our kinds.
		for _, k := range upstream.Kinds() {
			for _, pattern := range k.Owns {
				if fits, err := path.Match(pattern, model); fits && err == nil {
					return k.Name, providers[k.Name], model, providers[k.Name].kind != ""
				}
			}
		}
		return name, p, model, false
	}
	for _, r := range routes {
		rest = strings.TrimPrefix(rest, r)
	}
	return name, p, rest, ok
}

// reasons say of fields without a counterpart what to do instead, by the
// beginning of their path or by their last word.
var reasons = []struct{ prefix, says string }{
	{"environment_variables", "secrets and settings of the environment do not belong into a config: set them where tailplane runs"},
	{"general_settings.database_", "there is no database of keys: make client keys here"},
	{"general_settings.pass_through_endpoints", "paths are not passed through to addresses of their own: make a target"},
	{"general_settings.user_header", "who the customer is is known from the client key: see keys.static"},
	{"general_settings.alert", "alerts are made from /metrics"},
	{"general_settings.", "this is about LiteLLM's own proxy and has no counterpart"},
	{"router_settings.redis_", "state is kept in the process: there is no Redis"},
	{"router_settings.", "routing here has no such setting: see models, timeouts and retry"},
	{"litellm_settings.cache", "answers are not cached"},
	{"litellm_settings.callbacks", "every request is in the ledger and in /metrics: there are no callbacks"},
	{"litellm_settings.success_callback", "every request is in the ledger and in /metrics: there are no callbacks"},
	{"litellm_settings.failure_callback", "every request is in the ledger and in /metrics: there are no callbacks"},
	{"litellm_settings.max_budget", "there are no budgets: see `tailplane usage`"},
	{"litellm_settings.budget_duration", "there are no budgets: see `tailplane usage`"},
	{"litellm_settings.", "the library's own setting has no counterpart"},
	{"credential_list", "nothing names it"},
	{"guardrails", "there are no guardrails"},
	{"mcp_servers", "there is no MCP gateway"},
	{"files_settings", "files go to the target that a request names"},
	{"finetune_settings", "fine-tuning is not passed on"},
}

// parameters are litellm_params without a counterpart.
var parameters = map[string]string{
	"temperature": "a request says that itself: there are no defaults for requests", "max_tokens": "a request says that itself: there are no defaults for requests",
	"top_p": "a request says that itself: there are no defaults for requests", "stop": "a request says that itself: there are no defaults for requests",
	"tags": "routes do not go by tags: make models, and keys that may call them", "max_budget": "there are no budgets: see `tailplane usage`",
	"budget_duration": "there are no budgets: see `tailplane usage`", "mock_response": "use a target of kind sim",
	"azure_ad_token": "a token runs out: use auth.azure with a client or a managed identity", "azure_password": "a password is no credential of a service: use auth.azure",
	"azure_username": "a password is no credential of a service: use auth.azure", "ssl_verify": "certificates are always verified",
	"aws_web_identity_token": "the chain finds the token of a workload by itself",
}

// reason says why a field without a counterpart is refused.
func reason(field string) string {
	last := field[strings.LastIndexByte(field, '.')+1:]
	if strings.Contains(field, "litellm_params.") {
		if says := parameters[last]; says != "" {
			return says
		}
		return "this parameter has no counterpart"
	}
	if strings.Contains(field, "model_info") {
		return "who may call a model stands at the key, and what it can do in the catalogue"
	}
	for _, r := range reasons {
		if strings.HasPrefix(field, r.prefix) {
			return r.says
		}
	}
	return "the importer does not know it"
}
