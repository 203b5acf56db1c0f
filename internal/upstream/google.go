package upstream

import (
	"strings"
	"time"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// gemini is Google's API for those with a key. Beside its own dialect it has an
// OpenAI-compatible surface, which serves embeddings, and chat where the config
// lists it.
//
// Source: the recorded paths.
var gemini = Kind{
	Name: "gemini", Title: "Gemini", URL: "https://generativelanguage.googleapis.com", Prefix: "/v1beta",
	KeyEnv: []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"}, BaseEnv: "GOOGLE_GEMINI_BASE_URL", BaseBare: true, Auth: AuthGoogle,
	Dialects: []llm.Dialect{llm.Gemini, llm.Embeddings}, Others: []llm.Dialect{llm.Chat},
	Path:   geminiPath,
	Asks:   geminiAsks,
	Owns:   []string{"gemini-*", "gemma-*"},
	Rules:  append(googleRules, Rule{503, "", isOverloaded, ""}),
	Quirks: geminiQuirks,
}

func geminiPath(t *Target, c Call) string {
	if c.Dialect == llm.Chat || c.Dialect == llm.Embeddings {
		return t.prefix + "/openai" + tablePath(c)
	}
	model := t.ModelName(c.Model)
	if !strings.Contains(model, "/") {
		model = "models/" + model
	}
	return t.prefix + "/" + segments(model) + googleVerb(c)
}

// googleVerb is what is asked of a Google model. Whether one text is to be
// embedded or several, and whether in the older form of Vertex, the body tells.
func googleVerb(c Call) string {
	switch {
	case c.Op == llm.OpCount:
		return ":countTokens"
	case c.Op == llm.OpEmbed:
		var found [2]wire.Member
		_, err := wire.Scan(c.Body, []string{"requests", "instances"}, found[:])
		switch {
		case err != nil:
		case !found[0].IsZero():
			return ":batchEmbedContents"
		case !found[1].IsZero():
			return ":predict"
		}
		return ":embedContent"
	case c.Stream:
		return ":streamGenerateContent?alt=sse"
	}
	return ":generateContent"
}

// vertex is Google Cloud's Vertex AI: Gemini's models in Google's dialect,
// Anthropic's in theirs inside an envelope, others in chat where the config lists
// it. Whether a request uses provisioned throughput or pays as it goes is said by
// the header X-Vertex-AI-LLM-Request-Type, which a target sets under `headers:`.
//
// Sources: the recorded paths; Google's documentation of partner models.
var vertex = Kind{
	Name: "vertex", Title: "Vertex AI", Prefix: "/v1",
	Locate: vertexURL,
	Needs:  MemberRegion | MemberProject, Takes: MemberDeployments,
	Auth: AuthGoogle, Identity: IdentityGoogle, Audience: "https://www.googleapis.com/auth/cloud-platform",
	Dialects: []llm.Dialect{llm.Gemini, llm.Anthropic}, Others: []llm.Dialect{llm.Chat},
	Serves: func(_ llm.Op, d llm.Dialect, model string) bool {
		return d == llm.Chat || strings.Contains(model, "claude") == (d == llm.Anthropic)
	},
	Path: vertexPath,
	Asks: vertexAsks,
	Envelopes: map[llm.Dialect]*Envelope{
		llm.Anthropic: {Drop: []string{"model"}, Set: []Member{{"anthropic_version", `"vertex-2023-10-16"`}}},
	},
	Owns:      []string{"gemini-*", "claude-*@*"},
	LeastWait: time.Second, // Google's advice for a 429 of either kind
	Rules:     append(vertexRules, append(googleRules, anthropicRules...)...),
	Quirks:    append(geminiQuirks, anthropicQuirks...),
}

// vertexURL is a region's host; global and the multi-regions have their own.
func vertexURL(c *Config) string {
	switch c.Region {
	case "global":
		return "https://aiplatform.googleapis.com"
	case "us", "eu":
		return "https://aiplatform." + c.Region + ".rep.googleapis.com"
	}
	return "https://" + c.Region + "-aiplatform.googleapis.com"
}

func vertexPath(t *Target, c Call) string {
	base := t.prefix + "/projects/" + segment(t.Config.Project) + "/locations/" + segment(t.Config.Region) + "/"
	model := t.ModelName(c.Model)
	switch {
	case c.Dialect == llm.Chat:
		return base + "endpoints/openapi/chat/completions"
	case c.Dialect == llm.Anthropic && c.Op == llm.OpCount:
		return base + "publishers/anthropic/models/count-tokens:rawPredict"
	case c.Dialect == llm.Anthropic && c.Stream:
		return base + "publishers/anthropic/models/" + anthropicAtVertex(model) + ":streamRawPredict"
	case c.Dialect == llm.Anthropic:
		return base + "publishers/anthropic/models/" + anthropicAtVertex(model) + ":rawPredict"
	case strings.HasPrefix(model, "endpoints/") || strings.HasPrefix(model, "publishers/"): // a tuned model
		return base + segments(model) + googleVerb(c)
	}
	return base + "publishers/google/models/" + segment(model) + googleVerb(c)
}

// anthropicAtVertex keeps the @ between a model and its date, as Google writes
// it.
func anthropicAtVertex(model string) string {
	return strings.ReplaceAll(segment(model), "%40", "@")
}

// googleRules: a bad key is a 400, and what is exhausted stands in the message,
// behind a status that only says that something is.
var googleRules = []Rule{
	{400, "api key not valid", isBadKey, ""},
	{400, "api_key_invalid", isBadKey, ""},
	{400, "api key expired", isBadKey, ""},
	{400, "user location is not supported", isBarred, ""},
	{0, "exceeds the maximum number of tokens", isTooLong, ""},
	{400, "is not supported by this model", isUnsupported, ""},
	{400, "is not supported for this model", isUnsupported, ""},
	{0, "prohibited_content", isFiltered, ""},
	{403, "service_disabled", isBarred, "enable the API in the project"},
	{403, "has not been used in project", isBarred, "enable the API in the project"},
	{429, "perday", isSpent, ""},
	{429, "per_day", isSpent, ""},
	{429, "prepayment credits are depleted", isBroke, ""},
	{504, "", isModelFailure, ""},
}

// vertexRules tell the two kinds of 429 apart: the pool that all customers
// share has no capacity now, or the throughput that this one has bought is used
// up.
var vertexRules = []Rule{
	{429, "provisioned throughput", isLimited, ""},
	{429, "resource exhausted", isOverloaded, ""},
	{429, "resource has been exhausted", isOverloaded, ""},
	{400, "cannot fetch content from the provided url", isUnsupported, ""},
}
