package gateway

import (
	"net/http"
	"slices"
	"strings"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
)

// surface is one operation that clients can call: the dialect they speak there
// and what they ask for.
type surface struct {
	op      llm.Op
	dialect dialect.Surface
	method  string
	// serve answers from the plane alone, without an upstream.
	serve func(*call) *llm.Fault
	// stream says that the path asks for a stream, where the body does not say.
	stream bool
	// forward is set where the operation has no conversation in it that could
	// be read or translated.
	forward *forward
	// enveloped: the body is in Vertex' envelope.
	enveloped bool
	more      *surface // the same path with another method
}

// surfaces is every path that is served. SDKs differ in what they take for the
// base URL, so each operation answers with and without /v1 and below the name
// of its SDK. Dialects that codecs cannot be found for are left out.
func surfaces(codecs func(llm.Dialect) dialect.Surface) *table {
	t := &table{exact: map[string]surface{}}
	for _, r := range slices.Concat(conversationRows, geminiRows, bedrockRows, azureRows, forwardRows) {
		if r.speaks == "" {
			r.speaks = openAI
		}
		if r.codec = codecs(r.speaks); r.codec == nil {
			continue
		}
		t.add(r.row())
	}
	return t
}

// served is a row of the tables below: an operation, its dialect and its paths.
type served struct {
	path   string
	bases  []string
	speaks llm.Dialect
	op     llm.Op
	method string // POST when empty
	stream bool
	serve  func(*call) *llm.Fault
	to     *forward

	enveloped bool

	codec dialect.Surface
}

// row is the entry of the path table.
func (r served) row() row {
	if r.method == "" {
		r.method = http.MethodPost
	}
	return row{r.path, r.bases, surface{op: r.op, dialect: r.codec, method: r.method, serve: r.serve, stream: r.stream, forward: r.to, enveloped: r.enveloped}}
}

// openAI names in the ledger what has no conversation in it and is spoken as
// OpenAI's API does. No target speaks it and no codec reads it.
const openAI llm.Dialect = "openai"

// codecs finds the surface of a dialect; nil when there is none. What OpenAI's
// API has beside conversations fails in the words of its chat dialect.
func codecs(d llm.Dialect) dialect.Surface {
	if d == openAI {
		return envelope{dialect.For(llm.Chat)}
	}
	return dialect.For(d)
}

// envelope is OpenAI's error envelope without a conversation.
type envelope struct{ dialect.Surface }

// Name is openAI.
func (envelope) Name() llm.Dialect { return openAI }

var (
	openAIBases    = []string{"", "/v1", "/openai", "/openai/v1"}
	anthropicBases = []string{"", "/v1", "/anthropic", "/anthropic/v1"}
	rerankBases    = []string{"", "/v1", "/v2", "/openai/v1", "/cohere/v1", "/cohere/v2"}
	engineBases    = []string{"", "/v1"}
	bedrockBases   = []string{"", "/bedrock"}
	geminiBases    = below([]string{"", "/genai", "/gemini"}, "/v1beta", "/v1", "/v1beta1", "/v1alpha")
	betaBases      = below([]string{"", "/genai", "/gemini"}, "/v1beta")
	ownGemini      = below([]string{"/genai", "/gemini"}, "/v1")
)

// below is every base followed by every version.
func below(bases []string, versions ...string) []string {
	var out []string
	for _, b := range bases {
		for _, v := range versions {
			out = append(out, b+v)
		}
	}
	return out
}

// conversationRows are the dialects that say everything in the body.
var conversationRows = []served{
	{path: "/chat/completions", bases: openAIBases, speaks: llm.Chat, op: llm.OpGenerate},
	{path: "/completions", bases: openAIBases, speaks: llm.Completions, op: llm.OpGenerate},
	{path: "/responses", bases: openAIBases, speaks: llm.Responses, op: llm.OpGenerate},
	{path: "/embeddings", bases: openAIBases, speaks: llm.Embeddings, op: llm.OpEmbed},
	{path: "/messages", bases: anthropicBases, speaks: llm.Anthropic, op: llm.OpGenerate},
	{path: "/messages/count_tokens", bases: anthropicBases, speaks: llm.Anthropic, op: llm.OpCount},
	{path: "/models", bases: openAIBases, speaks: llm.Chat, method: http.MethodGet, serve: listModels},
	{path: "/models", bases: []string{"/anthropic", "/anthropic/v1"}, speaks: llm.Anthropic, method: http.MethodGet, serve: listModels},
	{path: "/models", bases: append(betaBases, ownGemini...), speaks: llm.Gemini, method: http.MethodGet, serve: listModels},
	{path: "/feedback", bases: []string{"", "/v1"}, speaks: llm.Chat, serve: feedback},
	{path: "/feedback", bases: []string{"/anthropic", "/anthropic/v1"}, speaks: llm.Anthropic, serve: feedback},
	{path: "/feedback", bases: ownGemini, speaks: llm.Gemini, serve: feedback},
	{path: "/metrics", bases: []string{""}, speaks: llm.Chat, method: http.MethodGet, serve: showMetrics},
}

// geminiRows are Google's paths: those of the Gemini API and those of Vertex,
// which have a project, a location and a publisher in front.
var geminiRows = func() []served {
	var out []served
	for _, path := range []string{"/models/{model}", "/projects/{..}/models/{model}", "/publishers/{..}/models/{model}"} {
		out = append(
			out,
			served{path: path + ":generateContent", op: llm.OpGenerate},
			served{path: path + ":streamGenerateContent", op: llm.OpGenerate, stream: true},
			served{path: path + ":countTokens", op: llm.OpCount, to: &forward{find: findPath, speaks: llm.Gemini}},
			served{path: path + ":embedContent", op: llm.OpEmbed, to: &forward{find: findPath, speaks: llm.Gemini, meter: meterText}},
			served{path: path + ":batchEmbedContents", op: llm.OpEmbed, to: &forward{find: findPath, speaks: llm.Gemini, meter: meterText}},
		)
	}
	for i := range out {
		out[i].bases, out[i].speaks = geminiBases, llm.Gemini
	}
	const claude = "/projects/{..}/publishers/anthropic/models/{model}"
	return append(
		out,
		served{path: claude + ":rawPredict", bases: geminiBases, speaks: llm.Anthropic, op: llm.OpGenerate, enveloped: true},
		served{path: claude + ":streamRawPredict", bases: geminiBases, speaks: llm.Anthropic, op: llm.OpGenerate, stream: true, enveloped: true},
	)
}()

// bedrockRows are the paths of Amazon Bedrock's runtime. InvokeModel's body is
// whatever the model's maker has defined; what of it is understood leaves the
// forward lane, see openInvoke.
var bedrockRows = []served{
	{path: "/model/{model}/converse", bases: bedrockBases, speaks: llm.Converse, op: llm.OpGenerate},
	{path: "/model/{model}/converse-stream", bases: bedrockBases, speaks: llm.Converse, op: llm.OpGenerate, stream: true},
	{
		path: "/model/{model}/invoke", bases: bedrockBases, speaks: llm.Converse, op: llm.OpInvoke,
		to: &forward{find: findPath, suffix: "/model/{model}/invoke", speaks: llm.Converse, meter: meterInvoke},
	},
	{
		path: "/model/{model}/invoke-with-response-stream", bases: bedrockBases, speaks: llm.Converse, op: llm.OpInvoke, stream: true,
		to: &forward{find: findPath, suffix: "/model/{model}/invoke-with-response-stream", speaks: llm.Converse, copied: true, meter: meterInvoke},
	},
	{
		path: "/model/{model}/count-tokens", bases: bedrockBases, speaks: llm.Converse, op: llm.OpCount,
		to: &forward{find: findPath, speaks: llm.Converse},
	},
}

// azureRows are the classic paths of Azure OpenAI: the deployment is the model.
// Those of its newer API are OpenAI's own below /openai/v1.
var azureRows = func() []served {
	var out []served
	for _, r := range slices.Concat(conversationRows[:2], conversationRows[3:4], forwardRows) {
		if r.method == "" && !strings.Contains(r.path, "{") && (r.to == nil || r.to.find == findBody) && r.op != llm.OpBatch {
			r.path, r.bases = "/openai/deployments/{model}"+r.path, []string{""}
			out = append(out, r)
		}
	}
	return out
}()

// unknownSurface is what a path that is not served is answered with: the
// dialect that its caller most likely speaks. /models/ID is served here, too:
// a model's name may contain slashes.
func unknownSurface(r *http.Request) surface {
	d := llm.Chat
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/anthropic") || strings.HasPrefix(strings.TrimPrefix(path, "/v1"), "/messages") || r.Header.Get("Anthropic-Version") != "":
		d = llm.Anthropic
	case strings.HasPrefix(path, "/genai") || strings.HasPrefix(path, "/gemini") || strings.HasPrefix(path, "/v1beta") || r.Header.Get("X-Goog-Api-Key") != "":
		d = llm.Gemini
	case strings.HasPrefix(path, "/model/") || strings.HasPrefix(path, "/bedrock"):
		d = llm.Converse
	}
	if s := dialect.For(d); s != nil {
		return surface{dialect: s}
	}
	return surface{dialect: dialect.For(llm.Chat)}
}
