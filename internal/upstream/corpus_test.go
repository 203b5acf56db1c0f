package upstream_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/llmtest/corpus"
	"tailplane/internal/upstream"
)

// recorded is what every recorded error must be understood as: the first row
// whose file fits counts, and each row must fit one at least.
var recorded = []struct{ file, kind, want string }{
	{"chat-bad-request", "openai", "unsupported elsewhere request"}, // another target may know max_tokens
	{"chat-no-messages", "openai", "bad_request never request"},
	{"chat-unknown-model", "openai", "model_not_found elsewhere model"},
	{"completion-bad-request", "openai", "bad_request never request"},
	{"completion-unknown-model", "openai", "model_not_found elsewhere model"},
	{"embeddings-bad-request", "openai", "bad_request never request"},
	{"embeddings-unknown-model", "openai", "model_not_found elsewhere model"},

	{"bedrock/testdata/TestAmazonNova", "bedrock", "model_not_found elsewhere model"}, // no access to one model is no bad key
	{"bedrock/testdata/TestAmazonOutput", "bedrock", "model_not_found elsewhere model"},
	{"bedrock/testdata/TestAnthropicNovaImage", "bedrock", "model_not_found elsewhere model"},
	{"bedrock/testdata/TestBedrockAnthropicToolCalling", "bedrock", "model_not_found elsewhere model"},
	{"googleai/testdata/TestGoogleAIErrorHandling", "gemini", "upstream_credential elsewhere key"},
	{"huggingfaceclient/testdata/TestClient_RunInference.", "openai-compatible", "model_not_found elsewhere model"},
	{"huggingfaceclient/testdata/TestClient_RunInferenceText2Text", "openai-compatible", "model_not_found elsewhere model"},
	{"huggingface/testdata/TestHuggingFaceLLMStandardInference", "openai-compatible", "model_not_found elsewhere model"},
	{"TestOpenRouterStreaming", "openrouter", "rate_limit same model"},

	{"test_image_gen_metrics", "openai", "bad_request never request"},
	{"test_azure/test_chat_reasoning", "azure", "model_not_found elsewhere model"},
	{"test_embeddings/test_azure_openai_embeddings.", "azure", "upstream_credential elsewhere key"},
	{"test_azure_openai_embeddings_with_events_with_content", "azure", "upstream_credential elsewhere key"},
	{"test_azure_openai_embeddings_with_events_with_no_content", "azure", "upstream_credential elsewhere key"},
	{"test_vision/test_vision.", "openai", "bad_request never request"},
	{"test_vision_with_events_with_content", "openai", "bad_request never request"},
	{"test_vision_with_events_with_no_content", "openai", "bad_request never request"},

	{"TestCohere.test_embed_error", "cohere", "model_not_found elsewhere model"},
	{"TestOpenAI.test_embed_error", "openai", "model_not_found elsewhere model"},
	{"TestVoyageAI.test_embed_error", "voyage", "model_not_found elsewhere model"},
	{"test_model_name_suggestion[anthropic]", "anthropic", "model_not_found elsewhere model"},
	{"test_model_name_suggestion[bedrock]", "bedrock", "model_not_found elsewhere model"},
	{"test_model_name_suggestion[google]", "gemini", "model_not_found elsewhere model"},
	{"test_model_name_suggestion[openai-chat]", "openai", "model_not_found elsewhere model"},
	{"test_model_name_suggestion[openai-responses]", "openai", "model_not_found elsewhere model"}, // a 400
	{"test_anthropic_explicit_effort_xhigh", "anthropic", "unsupported elsewhere request"},
	{"test_anthropic_bedrock_count_tokens_error", "bedrock", "unsupported elsewhere request"},
	{"test_bedrock/test_bedrock_error", "bedrock", "model_not_found elsewhere model"},
	{"test_bedrock/test_bedrock_streaming_error", "bedrock", "model_not_found elsewhere model"},
	{"test_deepseek_responses_rejects_interleaved", "deepseek", "bad_request never request"},
	{"test_groq/test_tool_regular_error", "groq", "model_not_found elsewhere model"},
	{"test_groq/test_tool_use_failed", "groq", "upstream_error same request"},
	{"[direct-binary-audio-openai_chat]", "openai", "bad_request never request"},
	{"[direct-uploaded_file-document-bedrock_nova]", "bedrock", "unsupported elsewhere request"},
	{"[direct-uploaded_file-video-bedrock_nova]", "bedrock", "unsupported elsewhere request"},
	{"[direct-url-image-google_vertex]", "vertex", "unsupported elsewhere request"},
	{"[tool_return_content-url-image-google_vertex]", "vertex", "unsupported elsewhere request"},
	{"[tool_return_content-uploaded_file-image-bedrock_claude]", "bedrock", "unsupported elsewhere request"},
	{"test_openai_o1_mini_system_role[developer]", "openai", "unsupported elsewhere request"},
	{"test_openai_o1_mini_system_role[system]", "openai", "unsupported elsewhere request"},
	{"test_openai_web_search_tool_model_not_supported", "openai", "unsupported elsewhere request"},
	{"test_openai_responses_model_http_error", "openai", "bad_request never request"},
	{"test_openai_responses_thinking_with_modified_history", "openai", "bad_request never request"},
	{"test_openrouter_stream_error", "openrouter", "context_too_long elsewhere request"}, // inside a stream of status 200
	{"test_openrouter_errors_raised", "openrouter", "rate_limit same model"},

	{"anthropic_claude-haiku-4-5_raises_appropriate_auth_error", "anthropic", "upstream_credential elsewhere key"},
	{"azure_grok-4-1-fast-non-reasoning_raises_appropriate_auth_error", "azure", "upstream_credential elsewhere key"},
	{"bedrock_amazon_nova-2-lite-v1_0_raises_appropriate_auth_error", "bedrock", "upstream_credential elsewhere key"}, // a 403
	{"cohere_command-a-03-2025_raises_appropriate_auth_error", "cohere", "upstream_credential elsewhere key"},
	{"deepseek_deepseek-chat_raises_appropriate_auth_error", "deepseek", "upstream_credential elsewhere key"},
	{"gemini_gemini-2_5-flash_raises_appropriate_auth_error", "gemini", "upstream_credential elsewhere key"}, // a 400
	{"mistral_mistral-small-latest_raises_appropriate_auth_error", "mistral", "upstream_credential elsewhere key"},
	{"ollama_cloud_gpt-oss_120b_raises_appropriate_auth_error", "ollama", "upstream_credential elsewhere key"},
	{"openai_gpt-5-nano_raises_appropriate_auth_error", "openai", "upstream_credential elsewhere key"},
	{"openrouter_claude-haiku-4-5_raises_appropriate_auth_error", "openrouter", "upstream_credential elsewhere key"},
	{"perplexity_sonar_raises_appropriate_auth_error", "perplexity", "upstream_credential elsewhere key"},
	{"xai_grok-4-1-fast-non-reasoning_raises_appropriate_auth_error", "xai", "upstream_credential elsewhere key"}, // a 400
	{"anthropic_claude-haiku-4-5_handles_context_length", "anthropic", "context_too_long elsewhere request"},
	{"azure_grok-4-1-fast-non-reasoning_handles_context_length", "azure", "rate_limit same model"}, // tells no limit to compare with
	{"bedrock_amazon_nova-2-lite-v1_0_handles_context_length", "bedrock", "context_too_long elsewhere request"},
	{"cohere_command-a-03-2025_handles_context_length", "cohere", "context_too_long elsewhere request"},
	{"deepseek_deepseek-chat_handles_context_length", "deepseek", "context_too_long elsewhere request"},
	{"gemini_gemini-2_5-flash_handles_context_length", "gemini", "context_too_long elsewhere request"}, // a 429 that no wait mends
	{"ollama_cloud_gpt-oss_120b_handles_context_length", "ollama", "context_too_long elsewhere request"},
	{"openai_gpt-5-nano_handles_context_length", "openai", "context_too_long elsewhere request"},
	{"openrouter_claude-haiku-4-5_handles_context_length", "openrouter", "context_too_long elsewhere request"},
	{"perplexity_sonar_handles_context_length", "perplexity", "context_too_long elsewhere request"},
	{"vertexai_gemini-2_5-flash_handles_context_length", "vertex", "context_too_long elsewhere request"},
	{"context_context_chat_operations_uses_context-specific_api_keys", "openai", "upstream_credential elsewhere key"},
	{"error_handles_invalid_api_keys_gracefully", "openai", "upstream_credential elsewhere key"},
	{"rejects_edits_with_a_url_having_invalid_content_type", "openai", "bad_request never request"},
	{"rejects_edits_with_a_url_that_returns_404", "openai", "bad_request never request"},

	{"google-429-retry-info", "gemini", "rate_limit same model"},
	{"reasoning-model-legacy-parameter-error", "openai", "unsupported elsewhere request"},
	{"gpt-image-response-format-error", "openai", "bad_request never request"},
	{"openai-error.1", "openai", "quota_exhausted elsewhere key"}, // whole, and inside a stream
	{"reasoning-model-temperature-error", "openai", "unsupported elsewhere request"},
}

// sizes are the tokens of requests whose text the recorder cut out.
var sizes = map[string]int64{"gemini_gemini-2_5-flash_handles_context_length": 1_250_074}

// TestEveryRecordedErrorIsUnderstood reads every recorded error, whole and inside
// of streams. Of the recordings beside the repository each must be in the table;
// those of another folder must at least be classified, with the provider's words
// kept. Run with -v for the counts:
//
//	TAILPLANE_CORPUS=DIR go test ./... -run Recorded -v
func TestEveryRecordedErrorIsUnderstood(t *testing.T) {
	dir, ok := corpus.Dir()
	if !ok {
		t.Skip("no recordings: set TAILPLANE_CORPUS, or put them at ../shared/corpus beside the repository")
	}
	recordings, _, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	used, files, ran, unlisted := map[int]bool{}, map[string]bool{}, 0, 0
	for i := range recordings {
		r := &recordings[i]
		for _, answer := range errorsIn(r) {
			row := rowOf(r)
			kind := kindOf(t, r, row)
			fault := kind.Classify(answer)
			ran, files[r.File] = ran+1, true
			if fault.Kind == "" || fault.Retry == "" || fault.Scope == "" || fault.Message == "" {
				t.Errorf("%s: an incomplete fault: %+v", r.Name(), fault)
			}
			if words := strings.TrimSuffix(answer.Body.Message, "."); !strings.Contains(words, "API key provided") && !strings.HasPrefix(fault.Message, words) {
				t.Errorf("%s: %q does not keep the provider's words %q", r.Name(), fault.Message, words)
			}
			if row < 0 {
				unlisted++
				if os.Getenv("TAILPLANE_CORPUS") == "" {
					t.Errorf("%s is in no row of the table: %s %d %+v is %s %s %s", r.Name(), kind.Name, answer.Status, answer.Body, fault.Kind, fault.Retry, fault.Scope)
				}
				continue
			}
			used[row] = true
			if got := fmt.Sprint(fault.Kind, " ", fault.Retry, " ", fault.Scope); got != recorded[row].want {
				t.Errorf("%s: %s %d %+v is %s, want %s", r.Name(), kind.Name, answer.Status, answer.Body, got, recorded[row].want)
			}
		}
	}
	for i, row := range recorded {
		if !used[i] && os.Getenv("TAILPLANE_CORPUS") == "" {
			t.Errorf("no recording fits the row %+v", row)
		}
	}
	t.Logf("corpus: %d errors of %d files ran, %d in no row", ran, len(files), unlisted)
}

func rowOf(r *corpus.Recording) int {
	for i, row := range recorded {
		if strings.Contains(r.File, row.file) {
			return i
		}
	}
	return -1
}

// errorsIn is what the provider refused with: the answer itself, or an error
// inside its stream (then the status is 0).
func errorsIn(r *corpus.Recording) []upstream.Answer {
	spoken := dialect.For(r.Surface)
	if spoken == nil {
		spoken = dialect.ChatCodec{} // its reader of errors knows everybody's envelope
	}
	if r.Status >= 400 {
		a := upstream.Answer{Status: r.Status, Body: spoken.DecodeError(r.Body), Header: r.Header.Get}
		if strings.Contains(r.File, "google-429") {
			a.Status = 429 // the fixture is a body alone
		}
		for file, tokens := range sizes {
			if strings.Contains(r.File, file) {
				a.Input = tokens
			}
		}
		return []upstream.Answer{a}
	}
	codec := dialect.CodecFor(r.Surface)
	if r.Surface == "" || codec == nil || !r.Streamed {
		return nil
	}
	var out []upstream.Answer
	for ev := range codec.Events(bytes.NewReader(r.Body)) {
		if ev.Kind == llm.EventFault {
			out = append(out, upstream.Answer{Body: *ev.Fault})
		}
	}
	return out
}

// kindOf finds who answered: by the table, else by the address.
func kindOf(t *testing.T, r *corpus.Recording, row int) *upstream.Kind {
	t.Helper()
	name := r.Provider
	switch {
	case strings.Contains(r.URL, "aiplatform"):
		name = "vertex"
	case name == "google":
		name = "gemini"
	}
	kind, ok := upstream.Find(name)
	if !ok {
		kind, _ = upstream.Find("openai-compatible")
	}
	if row >= 0 && kind.Name != recorded[row].kind {
		t.Errorf("%s: recorded of %s, but the row says %s", r.Name(), kind.Name, recorded[row].kind)
	}
	return kind
}
