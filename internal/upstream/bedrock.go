package upstream

import (
	"slices"
	"strings"

	"tailplane/internal/llm"
)

// bedrock is Amazon Bedrock's runtime. Every conversation model speaks Converse;
// Anthropic's speak their own dialect, too, through InvokeModel, whose path says
// model and stream and whose stream wraps each event in a frame. OpenAI's open
// models speak chat where the config lists it. Embeddings are OpenAI's for clients
// and the bodies of the models' makers for Bedrock.
//
// Sources: the botocore model of bedrock-runtime; the recorded paths.
var bedrock = Kind{
	Name: "bedrock", Title: "Amazon Bedrock",
	Locate: func(c *Config) string { return "https://bedrock-runtime." + c.Region + "." + awsDomain(c.Region) },
	Needs:  MemberRegion, Takes: MemberDeployments,
	KeyEnv: []string{"AWS_BEARER_TOKEN_BEDROCK"}, RegionEnv: []string{"AWS_REGION", "AWS_DEFAULT_REGION"},
	Identity: IdentityAWS, Audience: "bedrock",
	Dialects: []llm.Dialect{llm.Converse, llm.Anthropic, llm.Embeddings}, Others: []llm.Dialect{llm.Chat},
	Serves: bedrockServes,
	Path:   bedrockPath,
	Asks:   bedrockAsks,
	Envelopes: map[llm.Dialect]*Envelope{
		llm.Anthropic: {
			Drop: []string{"model", "stream"}, Set: []Member{{"anthropic_version", `"bedrock-2023-05-31"`}},
			Beta: "anthropic_beta", Chunk: "bytes",
		},
	},
	Owns: []string{
		"amazon.*", "anthropic.*", "meta.*", "mistral.*", "cohere.*", "ai21.*", "qwen.*", "deepseek.*", "openai.*", "moonshot.*",
		"us.*", "eu.*", "apac.*", "jp.*", "au.*", "global.*",
	},
	Rules:  slices.Concat(bedrockRules, anthropicRules, []Rule{{0, "validationexception", isBad, ""}}),
	Quirks: bedrockQuirks,
}

// awsDomain is the domain of a region's partition.
func awsDomain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

func bedrockServes(op llm.Op, d llm.Dialect, model string) bool {
	switch d {
	case llm.Anthropic: // the ARN of a profile does not tell: the model's own name does, see deployments
		return op == llm.OpGenerate && (strings.Contains(model, "anthropic.") || strings.Contains(model, "claude"))
	case llm.Embeddings:
		return op == llm.OpEmbed && strings.Contains(model, "embed")
	case llm.Chat:
		return op == llm.OpGenerate && strings.Contains(model, "openai.")
	}
	return true
}

func bedrockPath(t *Target, c Call) string {
	if c.Dialect == llm.Chat {
		return t.prefix + "/openai/v1/chat/completions"
	}
	verb, model := "/converse", t.ModelName(c.Model)
	switch {
	case c.Op == llm.OpCount:
		verb, model = "/count-tokens", countedModel(model)
	case c.Op == llm.OpEmbed:
		verb = "/invoke"
	case c.Dialect == llm.Anthropic && c.Stream:
		verb = "/invoke-with-response-stream"
	case c.Dialect == llm.Anthropic:
		verb = "/invoke"
	case c.Stream:
		verb = "/converse-stream"
	}
	return t.prefix + "/model/" + segment(model) + verb
}

// countedModel is the model behind an inference profile of some regions: tokens
// are counted for models alone, as in the recorded counts.
func countedModel(name string) string {
	if region, model, ok := strings.Cut(name, "."); ok && len(region) <= len("global") && strings.HasPrefix(model, "anthropic.") {
		return model
	}
	return name
}

// bedrockRules: the type is the exception's name, of x-amzn-errortype for an
// answer and of :exception-type inside a stream. Two of the exceptions are
// Anthropic's words under another status. A ValidationException may be any of the
// model's own faults, so that it is a bad request only when nothing else fits: see
// [bedrock].
var bedrockRules = []Rule{
	{0, "input tokens exceeded", isTooLong, ""},
	{0, "input is too long", isTooLong, ""},
	{0, "too many input tokens", isTooLong, ""},
	{0, "maximum context length", isTooLong, ""},
	{0, "model identifier is invalid", isUnknownModel, "see whether the region has the model, and whether it wants an inference profile's id such as us.MODEL"},
	{0, "on-demand throughput isn", isUnknownModel, "name an inference profile, such as us.MODEL, or map one under `deployments:`"},
	{0, "end of its life", isUnknownModel, "the model is retired: name its successor"},
	{0, "access to the model", isUnknownModel, "ask for access to the model in the account and region of this target"},
	{0, "use case details", isUnknownModel, "the account has to hand in the model's use case form first"},
	{0, "doesn't support", isUnsupported, ""},
	{0, "extraneous key", isUnsupported, ""},
	{0, "throttlingexception", isLimited, ""},
	{0, "modelnotreadyexception", isOverloaded, ""},
	{0, "serviceunavailableexception", isHostOverload, ""},
	{0, "internalserverexception", isTargetFailure, ""},
	{0, "modeltimeoutexception", isModelFailure, ""},
	{0, "modelstreamerrorexception", isModelFailure, ""},
	{0, "modelerrorexception", isModelFailure, ""},
	{0, "servicequotaexceededexception", isBroke, ""},
	{0, "conflictexception", isBad, ""},
	{0, "signature expired", isBadKey, "see whether the clock of this machine is right"},
	{0, "signature not yet current", isBadKey, "see whether the clock of this machine is right"},
	{0, "expiredtokenexception", isBadKey, "the session's credentials have expired: refresh them"},
	{0, "unrecognizedclientexception", isBadKey, ""},
	{0, "invalidsignatureexception", isBadKey, ""},
	{0, "missingauthenticationtoken", isBadKey, ""},
	{0, "incompletesignature", isBadKey, ""},
	{0, "accessdeniedexception", isBadKey, ""},
	{0, "resourcenotfoundexception", isUnknownModel, ""},
	{424, "", isModelFailure, ""},
}
