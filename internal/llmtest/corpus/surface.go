package corpus

import (
	"bytes"
	"encoding/json"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// This file says what an exchange is: by the path that was called, and by the
// shape of the payload, which decides where the two disagree.

// endpoints are the last elements of the paths of the dialects.
var endpoints = []struct {
	suffix  string
	surface llm.Dialect
}{
	{"/chat/completions", llm.Chat},
	{"/completions", llm.Completions},
	{"/embeddings", llm.Embeddings},
	{"/responses", llm.Responses},
	{"/messages", llm.Anthropic},
	{"/converse", llm.Converse},
	{"/converse-stream", llm.Converse},
	{":generateContent", llm.Gemini},
	{geminiStream, llm.Gemini},
}

// geminiStream ends the path of an answer that streams in whatever frame.
const geminiStream = ":streamGenerateContent"

// providers are parts of an address, most telling first, and who answers there.
var providers = []struct{ part, name string }{
	{"<OLLAMA_API_BASE>", "ollama"},
	{"<GPUSTACK_API_BASE>", "gpustack"},
	{":11434", "ollama"},
	{"ollama.com", "ollama"},
	{"localhost:8000", "vllm"},
	{"azure.com", "azure"},
	{"/azure", "azure"},
	{"openrouter", "openrouter"},
	{"groq", "groq"},
	{"mistral", "mistral"},
	{"deepseek", "deepseek"},
	{"perplexity", "perplexity"},
	{"together", "together"},
	{"api.x.ai", "xai"},
	{"/xai/", "xai"},
	{"cerebras", "cerebras"},
	{"huggingface", "huggingface"},
	{"bedrock", "bedrock"},
	{"googleapis", "google"},
	{"/google", "google"},
	{"cohere", "cohere"},
	{"voyage", "voyage"},
	{"alibaba", "alibaba"},
	{"moonshot", "moonshot"},
	{"api.z.ai", "zai"},
	{"heroku", "heroku"},
	{"snowflake", "snowflake"},
	{"crusoe", "crusoe"},
	{"open-responses", "lmstudio"},
	{"openai-compatible", "compatible"},
	{"fireworks", "fireworks"},
	{"anthropic", "anthropic"},
	{"openai", "openai"},
}

func classify(r *Recording) {
	r.Path = pathOf(r.URL)
	r.Streamed = isStream(r)
	for _, p := range providers {
		if r.Provider == "" && strings.Contains(strings.ToLower(r.URL), strings.ToLower(p.part)) {
			r.Provider = p.name
		}
	}
	if r.Other != "" {
		return
	}
	if strings.HasPrefix(r.URL, "file://fixture/") {
		r.Surface = surfaceOfAnswer(r)
	} else {
		r.Surface = surfaceOfPath(r)
	}
	if r.Surface == "" && r.Other == "" {
		r.Other = otherKind(r)
	}
}

// pathOf cuts the path out of an address that may hold placeholders.
func pathOf(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	address, _, _ = strings.Cut(address, "?")
	_, path, ok := strings.Cut(address, "/")
	if !ok {
		return "/"
	}
	return "/" + path
}

func isStream(r *Recording) bool {
	kind := r.Header.Get("Content-Type")
	if strings.Contains(kind, wire.SSE.ContentType()) || isFrames(kind) || strings.HasSuffix(r.Path, geminiStream) && r.Status < 400 {
		return true
	}
	start := bytes.TrimLeft(r.Body, "\r\n\ufeff")
	for _, prefix := range []string{"data:", "event:", ": "} {
		if bytes.HasPrefix(start, []byte(prefix)) {
			return true
		}
	}
	return false
}

func isFrames(contentType string) bool {
	return strings.Contains(contentType, wire.EventStream.ContentType())
}

func surfaceOfPath(r *Recording) llm.Dialect {
	if r.Method != "POST" || strings.Contains(r.Path, "/threads/") {
		return ""
	}
	for _, e := range endpoints {
		if !strings.HasSuffix(r.Path, e.suffix) {
			continue
		}
		if want := wanted[e.surface]; r.Request != nil && !hasAny(r.Request, want...) && r.Status < 400 {
			r.Other = "a native API under a shared path"
			return ""
		}
		return e.surface
	}
	return ""
}

// wanted are the members of which a request of a dialect has one.
var wanted = map[llm.Dialect][]string{
	llm.Chat:        {"messages"},
	llm.Completions: {"prompt"},
	llm.Embeddings:  {"input"},
	llm.Responses:   {"input", "previous_response_id", "conversation", "prompt"},
	llm.Anthropic:   {"messages"},
	llm.Converse:    {"messages"},
	llm.Gemini:      {"contents"},
}

func hasAny(body []byte, names ...string) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return false
	}
	for _, n := range names {
		if _, ok := members[n]; ok {
			return true
		}
	}
	return false
}

// answerHead is what tells whose answer or event a payload is.
type answerHead struct {
	Output     json.RawMessage `json:"output"`
	Stop       string          `json:"stopReason"`
	Object     string          `json:"object"`
	Type       string          `json:"type"`
	Choices    json.RawMessage `json:"choices"`
	Candidates json.RawMessage `json:"candidates"`
	Error      json.RawMessage `json:"error"`
}

// surfaceOfAnswer guesses from an answer alone.
func surfaceOfAnswer(r *Recording) llm.Dialect {
	if r.Status >= 400 {
		return surfaceOfError(r)
	}
	payload := r.Body
	if isFrames(r.Header.Get("Content-Type")) {
		return llm.Converse
	}
	if r.Streamed {
		payload = firstPayload(r.Body)
	}
	var head answerHead
	if json.Unmarshal(payload, &head) != nil {
		return ""
	}
	switch {
	case head.Object == "text_completion":
		return llm.Completions
	case strings.HasPrefix(head.Object, "chat.completion") || hasChoices(head.Choices):
		return llm.Chat
	case head.Object == "response" || strings.HasPrefix(head.Type, "response."):
		return llm.Responses
	case head.Type == "message" || head.Type == "message_start":
		return llm.Anthropic
	case head.Stop != "" && bytes.Contains(head.Output, []byte(`"message"`)):
		return llm.Converse
	case head.Object == "list" && bytes.Contains(payload, []byte(`"embedding"`)):
		return llm.Embeddings
	case len(head.Candidates) > 0:
		return llm.Gemini
	}
	return ""
}

func hasChoices(raw json.RawMessage) bool {
	return bytes.Contains(raw, []byte(`"delta"`)) || bytes.Contains(raw, []byte(`"message"`)) || string(raw) == "[]"
}

// firstPayload is the first data line of a stream that holds an object.
func firstPayload(stream []byte) []byte {
	for line := range bytes.Lines(stream) {
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && isObject(data) {
			return data
		}
	}
	return nil
}

// surfaceOfError guesses from an error's shape, and from the folders of the
// fixture, because OpenAI's envelope is everybody's.
func surfaceOfError(r *Recording) llm.Dialect {
	var head answerHead
	if json.Unmarshal(r.Body, &head) == nil && head.Type == "error" {
		return llm.Anthropic
	}
	switch {
	case isGoogleError(head.Error):
		return llm.Gemini
	case strings.Contains(r.File, "/anthropic/"):
		return llm.Anthropic
	case strings.Contains(r.File, "/responses/"):
		return llm.Responses
	case strings.Contains(r.File, "/image/") || strings.Contains(r.File, "/embedding/") || strings.Contains(r.File, "/transcription/"):
		return ""
	case r.Provider == "google" || r.Provider == "bedrock" || r.Provider == "cohere" || r.Provider == "":
		return ""
	}
	return llm.Chat
}

// isGoogleError reports whether an error is one of google.rpc, whose status is
// a word.
func isGoogleError(raw json.RawMessage) bool {
	var body struct {
		Code   int    `json:"code"`
		Status string `json:"status"`
	}
	return json.Unmarshal(raw, &body) == nil && body.Code >= 400 && body.Status != ""
}

// natives are parts of the addresses of other APIs, and what to call them.
var natives = []struct{ part, name string }{
	{"generativelanguage", "gemini"},
	{"aiplatform", "vertex"},
	{"/google", "gemini"},
	{"/invoke-with-response-stream", "bedrock: invoke, streamed"},
	{"/invoke", "bedrock: invoke"},
	{"bedrock", "bedrock"},
	{"cohere", "cohere"},
	{"oauth", "token exchange"},
	{"/api/chat", "ollama native"},
	{"/api/generate", "ollama native"},
	{"/api/", "other API"},
	{"/batches", "batches"},
	{"/batch/", "batches"},
	{"/files", "files"},
	{"/threads", "assistants"},
	{"/assistants", "assistants"},
	{"count_tokens", "token count"},
	{"/compact", "responses: compact"},
	{"/responses/", "responses: stored"},
	{"/images", "images"},
	{"/image", "images"},
	{"/audio", "audio"},
	{"transcri", "audio"},
	{"/speech", "audio"},
	{"/realtime", "realtime"},
	{"/rerank", "rerank"},
	{"/moderations", "moderations"},
	{"/models", "model list"},
	{"ml.cloud.ibm.com", "watsonx"},
}

func otherKind(r *Recording) string {
	address := strings.ToLower(r.URL)
	for _, n := range natives {
		if strings.Contains(address, n.part) {
			return n.name
		}
	}
	return "no model API"
}
