package upstream

import (
	"strings"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// azure is Azure OpenAI and Foundry: one resource, in which models are called by
// the names of their deployments. Its API of today is OpenAI's own below
// /openai/v1; with `api_version:` the classic one is used, which names the
// deployment in the path. A URL with a path of its own (Foundry's /models) is
// taken as it is.
//
// Sources: the recorded paths, Microsoft's documentation of both APIs.
var azure = Kind{
	Name: "azure", Title: "Azure OpenAI", Prefix: "/openai/v1",
	Takes:  MemberAPIVersion | MemberDeployments,
	KeyEnv: []string{"AZURE_OPENAI_API_KEY"}, URLEnv: []string{"AZURE_OPENAI_ENDPOINT"},
	Auth: AuthAPIKey, Identity: IdentityEntra, Audience: "https://cognitiveservices.azure.com/.default",
	Dialects: []llm.Dialect{llm.Chat, llm.Responses, llm.Completions, llm.Embeddings},
	Path:     azurePath,
	Asks:     azureAsks,
	NewCap:   true,
	Rules:    append(azureRules, openAIRules...),
	Quirks:   append(openAIQuirks, azureQuirks...),
}

// azureRules: a 429 of Azure's may be a standard deployment's limit or a
// provisioned one that is full; both are over in the time that the head tells.
var azureRules = []Rule{
	{404, "deploymentnotfound", isUnknownModel, "name the deployment under `deployments:`, or route to it by its own name"},
	{404, "resource not found", isUnknownModel, "the resource has no such path: see whether `url:` and `api_version:` fit"},
	{400, "unknown_model", isUnknownModel, ""},
	{400, "unavailable_model", isUnknownModel, ""},
	{400, "operationnotsupported", isUnsupported, ""},
	{400, "responsibleaipolicyviolation", isFiltered, ""},
	{0, "content management policy", isFiltered, ""},
	{429, "nocapacity", isOverloaded, ""},
	{429, "no_capacity", isOverloaded, ""},
	{429, "ratelimitreached", isLimited, ""},
	{400, "api version not supported", isUnsupported, "`api_version:` names one that the resource does not know"},
	{403, "public access is disabled", isBarred, "call it through its private endpoint"},
	{403, "virtual network", isBarred, "call it through its private endpoint"},
	{424, "", isModelFailure, ""},
}

func azurePath(t *Target, c Call) string {
	version, query := t.Config.APIVersion, ""
	if version != "" {
		query = "?api-version=" + version
	}
	operation := tablePath(c)
	switch {
	case t.ownPath && t.prefix != "/openai":
		return t.prefix + operation + query
	case version == "" || version == "preview" || version == "latest" || version == "v1":
		return "/openai/v1" + operation + query // t.prefix, unless the URL says /openai alone
	case c.Dialect == llm.Responses: // classic, too, but the body names the deployment
		return "/openai" + operation + query
	}
	return "/openai/deployments/" + segment(t.ModelName(c.Model)) + operation + query
}

// azureML is a managed online endpoint of Azure Machine Learning with an
// OpenAI-compatible server behind it. Its URL is the scoring URL that the portal
// shows; /score at its end is the portal's, not the server's. `deployments:`
// chooses one of several behind the endpoint; the body's model stays.
var azureML = Kind{
	Name: "azureml", Title: "Azure ML endpoint", Prefix: "/v1",
	Takes:    MemberDeployments,
	Identity: IdentityEntra, Audience: "https://ml.azure.com/.default",
	Dialects: openAIFamily, Others: []llm.Dialect{llm.Responses, llm.Anthropic},
	Path: func(t *Target, c Call) string {
		return azureMLPrefix(t) + tablePath(c)
	},
	Asks: azureMLAsks,
	Mark: func(t *Target, c Call) []h1.Field {
		if name, ok := t.Config.Deployments[c.Model]; ok {
			return []h1.Field{{Name: "azureml-model-deployment", Value: name}}
		}
		return nil
	},
	Engine: true,
	Rules: []Rule{
		{408, "", isModelFailure, ""},
		{424, "", isModelFailure, ""}, // the container failed; the endpoint's words for it
		{429, "", isHostOverload, ""}, // more requests than the deployment's instances take
	},
}

// azureMLPrefix is the server's, whatever the portal shows.
func azureMLPrefix(t *Target) string {
	if prefix := strings.TrimSuffix(t.prefix, "/score"); prefix != "" {
		return prefix
	}
	return "/v1"
}
