package upstream

import (
	"context"
	"slices"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// Passage is a request of the forward lane: an operation without a conversation
// in it, whose body nobody here understands.
type Passage struct {
	Method string
	Path   string // request target with the query, as ForwardPath made it; empty: that of the operation in its dialect
	Type   string // content type of the body; empty without a body
	Accept string
}

// forwardPaths are the operations below a target's prefix. What follows of a
// path (an object's id, the kind of image request) is the caller's.
var forwardPaths = map[llm.Op]string{
	llm.OpRerank:         "/rerank",
	llm.OpTranscribe:     "/audio/transcriptions",
	llm.OpTranslateAudio: "/audio/translations",
	llm.OpSpeech:         "/audio/speech",
	llm.OpImage:          "/images",
	llm.OpModerate:       "/moderations",
	llm.OpFile:           "/files",
	llm.OpBatch:          "/batches",
	llm.OpResponse:       "/responses",
	llm.OpRealtime:       "/realtime",
	llm.OpTokenize:       "/tokenize",
	llm.OpDetokenize:     "/detokenize",
}

var (
	openAIOps = []llm.Op{
		llm.OpTranscribe, llm.OpTranslateAudio, llm.OpSpeech, llm.OpImage, llm.OpModerate, llm.OpFile, llm.OpBatch,
		llm.OpResponse, llm.OpRealtime,
	}
	everyOp = append(slices.Clone(openAIOps), llm.OpRerank, llm.OpTokenize, llm.OpDetokenize)
)

// forwards are the operations that the kinds serve under OpenAI's names, after
// the API references of the providers and the routes of the engines. A kind that
// is not here serves none; what a compatible server serves nobody knows, so it
// is asked.
var forwards = map[string][]llm.Op{
	"openai":            openAIOps,
	"azure":             openAIOps,
	"openai-compatible": everyOp,
	"groq":              {llm.OpTranscribe, llm.OpTranslateAudio, llm.OpSpeech, llm.OpFile, llm.OpBatch},
	"mistral":           {llm.OpTranscribe, llm.OpModerate, llm.OpFile},
	"together":          {llm.OpRerank, llm.OpTranscribe, llm.OpTranslateAudio, llm.OpSpeech, llm.OpImage, llm.OpFile, llm.OpBatch},
	"fireworks":         {llm.OpRerank},
	"cohere":            {llm.OpRerank},
	"xai":               {llm.OpImage, llm.OpResponse, llm.OpRealtime},
	"vllm": {
		llm.OpRerank, llm.OpTranscribe, llm.OpTranslateAudio, llm.OpResponse, llm.OpTokenize, llm.OpDetokenize,
	},
	"sglang":   {llm.OpRerank, llm.OpResponse, llm.OpTokenize, llm.OpDetokenize},
	"llamacpp": {llm.OpRerank, llm.OpTokenize, llm.OpDetokenize},
}

// atRoot are the operations that engines serve beside their versioned API.
var atRoot = []llm.Op{llm.OpTokenize, llm.OpDetokenize}

// ForwardPath is the request target of an operation with what follows it; false
// when the target does not serve it. Bedrock's InvokeModel has all of its path in
// suffix; embeddings and counts of a dialect have the path of their kind.
func (t *Target) ForwardPath(op llm.Op, suffix string) (string, bool) {
	switch op {
	case llm.OpEmbed, llm.OpCount:
		return "", true
	case llm.OpInvoke:
		return t.prefix + suffix, true
	}
	if !slices.Contains(forwards[t.Kind.Name], op) {
		return "", false
	}
	path := forwardPaths[op] + suffix
	if t.Kind.Name == "cohere" {
		return "/v2" + path, true // its OpenAI-compatible prefix has no rerank
	}
	if slices.Contains(atRoot, op) {
		return t.root() + path, true
	}
	return t.prefix + path, true
}

// CountsChat reports whether the target's tokenizer takes conversations as the
// chat dialect writes them: vLLM's does.
func (t *Target) CountsChat() bool { return t.Kind.Name == "vllm" }

// TokenizesContent reports whether the target's tokenizer takes its text as
// content and not as prompt: llama.cpp's does.
func (t *Target) TokenizesContent() bool { return t.Kind.Name == "llamacpp" }

// root is the prefix without the version at its end.
func (t *Target) root() string {
	if n := len(t.prefix) - len("/v1"); n >= 0 && t.prefix[n:] == "/v1" {
		return t.prefix[:n]
	}
	return t.prefix
}

// Upgrade sends a filled request that asks for a WebSocket.
func (t *Target) Upgrade(ctx context.Context, req *h1.Request) (*h1.Tunnel, *h1.Response, error) {
	return t.client.Upgrade(ctx, req)
}
