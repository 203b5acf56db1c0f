package gateway

import (
	"net/http"
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
}

// surfaces is every path that is served. SDKs differ in what they take for the
// base URL, so each operation answers with and without /v1 and below the name
// of its SDK.
func surfaces() map[string]surface {
	chat, anthropic := dialect.For(llm.Chat), dialect.For(llm.Anthropic)
	list := []struct {
		path     string
		prefixes []string
		surface
	}{
		{"/chat/completions", openAIBases, surface{op: llm.OpGenerate, dialect: chat}},
		{"/completions", openAIBases, surface{op: llm.OpGenerate, dialect: dialect.For(llm.Completions)}},
		{"/responses", openAIBases, surface{op: llm.OpGenerate, dialect: dialect.For(llm.Responses)}},
		{"/embeddings", openAIBases, surface{op: llm.OpEmbed, dialect: dialect.For(llm.Embeddings)}},
		{"/messages", anthropicBases, surface{op: llm.OpGenerate, dialect: anthropic}},
		{"/messages/count_tokens", anthropicBases, surface{op: llm.OpCount, dialect: anthropic}},
		{"/models", openAIBases, surface{dialect: chat, method: http.MethodGet, serve: listModels}},
		{"/models", []string{"/anthropic", "/anthropic/v1"}, surface{dialect: anthropic, method: http.MethodGet, serve: listModels}},
		{"/metrics", []string{""}, surface{dialect: chat, method: http.MethodGet, serve: showMetrics}},
	}
	out := map[string]surface{}
	for _, e := range list {
		if e.method == "" {
			e.method = http.MethodPost
		}
		for _, prefix := range e.prefixes {
			out[prefix+e.path] = e.surface
		}
	}
	return out
}

var (
	openAIBases    = []string{"", "/v1", "/openai", "/openai/v1"}
	anthropicBases = []string{"", "/v1", "/anthropic", "/anthropic/v1"}
)

// unknownSurface is what a path that is not served is answered with: the
// dialect that its caller most likely speaks. /models/ID is served here, too:
// a model's name may contain slashes.
func unknownSurface(r *http.Request) surface {
	s := surface{dialect: dialect.For(llm.Chat)}
	if strings.HasPrefix(r.URL.Path, "/anthropic") || r.Header.Get("Anthropic-Version") != "" {
		s.dialect = dialect.For(llm.Anthropic)
	}
	return s
}
