package upstream

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tailplane/internal/egress"
	"tailplane/internal/h1"
	"tailplane/internal/http1"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// TestClassify is the fault table as its users see it: provider, status and
// body in; kind, verdict and scope out. The bodies are ours, after the shapes
// that the providers' recorded errors have.
func TestClassify(t *testing.T) {
	type body = llm.ErrorBody
	cases := []struct {
		kind   string
		status int
		body   body
		want   string
	}{
		{"openai", 401, body{Code: "invalid_api_key"}, "upstream_credential elsewhere key"},
		{"openai", 429, body{Code: "rate_limit_exceeded"}, "rate_limit same model"},
		{"openai", 429, body{Type: "insufficient_quota", Code: "insufficient_quota"}, "quota_exhausted elsewhere key"},
		{"openai", 0, body{Code: "insufficient_quota"}, "quota_exhausted elsewhere key"},
		{"openai", 400, body{Code: "context_length_exceeded"}, "context_too_long elsewhere request"},
		{"openai", 404, body{Code: "model_not_found"}, "model_not_found elsewhere model"},
		{"openai", 400, body{Code: "model_not_found"}, "model_not_found elsewhere model"},
		{"openai", 400, body{Message: "Invalid value for 'temperature'"}, "bad_request never request"},
		{"openai", 500, body{Type: "server_error"}, "upstream_error same target"},
		{"openai", 503, body{Message: "overloaded"}, "overloaded same target"},
		{"anthropic", 529, body{Type: "overloaded_error"}, "overloaded same model"},
		{"anthropic", 0, body{Type: "overloaded_error"}, "overloaded same model"},
		{"anthropic", 401, body{Type: "authentication_error"}, "upstream_credential elsewhere key"},
		{"anthropic", 429, body{Type: "rate_limit_error"}, "rate_limit same key"},
		{"anthropic", 400, body{Type: "invalid_request_error", Message: "Your credit balance is too low to access the API."}, "quota_exhausted elsewhere key"},
		{"anthropic", 400, body{Type: "invalid_request_error", Message: "prompt is too long: 210000 tokens > 200000 maximum"}, "context_too_long elsewhere request"},
		{"anthropic", 404, body{Type: "not_found_error"}, "model_not_found elsewhere model"},
		{"anthropic", 500, body{Type: "api_error"}, "upstream_error same model"},
		{"xai", 400, body{Message: "Incorrect API key provided"}, "upstream_credential elsewhere key"},
		{"perplexity", 400, body{Type: "too_many_prompt_tokens"}, "context_too_long elsewhere request"},
		{"deepseek", 402, body{Message: "Insufficient Balance"}, "quota_exhausted elsewhere key"},
		{"groq", 400, body{Code: "tool_use_failed"}, "upstream_error same request"},
		{"groq", 0, body{Type: "invalid_request_error", Code: "tool_use_failed"}, "upstream_error same request"},
		{"tgi", 429, body{Type: "overloaded"}, "overloaded same target"},
		{"llamacpp", 503, body{Message: "Loading model"}, "overloaded same target"},
		{"vllm", 400, body{Message: "This model's maximum context length is 4096 tokens. However, you requested 9000"}, "context_too_long elsewhere request"},
		{"vllm", 404, body{Message: "The model `x` does not exist."}, "model_not_found elsewhere model"},
		{"vllm", 422, body{Message: "field required"}, "bad_request never request"},
		{"openai", 429, body{Code: "rate_limit_exceeded", Message: "Request too large for gpt-4.1 on tokens per min (TPM): Limit 30000, Requested 61000."}, "context_too_long elsewhere request"},
		{"openai", 429, body{Code: "rate_limit_exceeded", Message: "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000, Requested 1200."}, "rate_limit same model"},
		{"groq", 413, body{Code: "rate_limit_exceeded", Message: "Request too large on tokens per minute (TPM): Limit 6000, Requested 12000"}, "context_too_long elsewhere request"},
		{"azure", 400, body{Code: "content_filter", Message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."}, "content_filter elsewhere request"},
		{"azure", 404, body{Code: "DeploymentNotFound"}, "model_not_found elsewhere model"},
		{"azure", 429, body{Code: "429", Message: "Requests have exceeded token rate limit. Please retry after 6 seconds."}, "rate_limit same model"},
		{"azure", 429, body{Code: "insufficient_quota"}, "quota_exhausted elsewhere key"},
		{"azure", 400, body{Code: "context_length_exceeded"}, "context_too_long elsewhere request"},
		{"vertex", 429, body{Type: "RESOURCE_EXHAUSTED", Message: "Resource exhausted, please try again later."}, "overloaded same model"},
		{"vertex", 429, body{Type: "RESOURCE_EXHAUSTED", Message: "Too many requests. Exceeded the Provisioned Throughput."}, "rate_limit same model"},
		{"vertex", 529, body{Type: "overloaded_error"}, "overloaded same model"},
		{"gemini", 429, body{Type: "RESOURCE_EXHAUSTED", Message: "Quota exceeded for metric: generate_requests_per_day, limit: 50"}, "quota_exhausted elsewhere model"},
		{"gemini", 503, body{Type: "UNAVAILABLE", Message: "The model is overloaded. Please try again later."}, "overloaded same model"},
		{"gemini", 0, body{Code: "503", Type: "UNAVAILABLE"}, "overloaded same model"},
		{"gemini", 403, body{Type: "PERMISSION_DENIED"}, "upstream_credential elsewhere key"},
		{"cohere", 429, body{Message: "You are using a Trial key, which is limited to 1000 API calls / month."}, "quota_exhausted elsewhere key"},
		{"mistral", 400, body{Type: "invalid_model", Code: "1500", Message: "Invalid model: x"}, "model_not_found elsewhere model"},
		{"mistral", 429, body{Type: "service_tier_capacity_exceeded", Code: "3505"}, "overloaded same model"},
		{"openrouter", 402, body{Code: "402", Message: "Insufficient credits"}, "quota_exhausted elsewhere key"},
		{"openrouter", 403, body{Code: "403", Message: "Your chosen model requires moderation and your input was flagged"}, "content_filter elsewhere request"},
		{"openrouter", 0, body{Code: "429", Message: "Provider returned error"}, "rate_limit same model"},
		{"xai", 403, body{Message: "Your team has either used all available credits or reached its monthly spending limit."}, "quota_exhausted elsewhere key"},
		{"vllm", 302, body{}, "invalid_response elsewhere target"},
		{"vllm", 502, body{}, "upstream_error same target"},
	}
	for _, c := range cases {
		kind, ok := Find(c.kind)
		if !ok {
			t.Fatalf("no kind %q", c.kind)
		}
		f := kind.Classify(Answer{Status: c.status, Body: c.body})
		if got := fmt.Sprint(f.Kind, " ", f.Retry, " ", f.Scope); got != c.want {
			t.Errorf("%s %d %+v: %s, want %s", c.kind, c.status, c.body, got, c.want)
		}
		if f.Message == "" {
			t.Errorf("%s %d: a fault without words", c.kind, c.status)
		}
	}
}

// TestBedrockExceptions: every exception of the botocore model that a call can
// meet, as the head of an answer names it (with an address behind the name) and
// as a stream does.
func TestBedrockExceptions(t *testing.T) {
	cases := []struct {
		name    string
		status  int
		message string
		want    string
	}{
		{"ThrottlingException", 429, "Too many requests", "rate_limit same model"},
		{"ModelNotReadyException", 429, "the model is not ready", "overloaded same model"},
		{"ServiceUnavailableException", 503, "", "overloaded same target"},
		{"InternalServerException", 500, "", "upstream_error same target"},
		{"ModelTimeoutException", 408, "", "upstream_error same model"},
		{"ModelErrorException", 424, "", "upstream_error same model"},
		{"ModelStreamErrorException", 424, "", "upstream_error same model"},
		{"ServiceQuotaExceededException", 400, "", "quota_exhausted elsewhere key"},
		{"ConflictException", 400, "", "bad_request never request"},
		{"ValidationException", 400, "The value at messages is wrong.", "bad_request never request"},
		{"ValidationException", 400, "Input is too long for requested model.", "context_too_long elsewhere request"},
		{"ValidationException", 400, "This model version has reached the end of its life.", "model_not_found elsewhere model"},
		{"AccessDeniedException", 403, "User is not authorized to perform bedrock:InvokeModel", "upstream_credential elsewhere key"},
		{"AccessDeniedException", 403, "You don't have access to the model with the specified model ID.", "model_not_found elsewhere model"},
		{"ResourceNotFoundException", 404, "", "model_not_found elsewhere model"},
		{"ResourceNotFoundException", 404, "Model use case details have not been submitted for this account.", "model_not_found elsewhere model"},
		{"ExpiredTokenException", 403, "", "upstream_credential elsewhere key"},
		{"InvalidSignatureException", 403, "Signature expired: 20261124T120000Z is now earlier than 20261124T120500Z", "upstream_credential elsewhere key"},
	}
	kind, _ := Find("bedrock")
	for _, c := range cases {
		head := func(name string) string {
			return map[string]string{"x-amzn-errortype": c.name + ":http://internal.amazon.com/coral/com.amazon.bedrock/"}[name]
		}
		inStream := strings.ToLower(c.name[:1]) + c.name[1:]
		for _, a := range []Answer{
			{Status: c.status, Body: llm.ErrorBody{Message: c.message}, Header: head},
			{Body: llm.ErrorBody{Type: inStream, Message: c.message}},
		} {
			f := kind.Classify(a)
			if got := fmt.Sprint(f.Kind, " ", f.Retry, " ", f.Scope); got != c.want {
				t.Errorf("%s %d %q: %s, want %s", c.name, a.Status, c.message, got, c.want)
			}
			if strings.Contains(f.Type, "http") || f.Message == "" {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
	}
}

func TestAProviderSaysWhetherToTryAgain(t *testing.T) {
	kind, _ := Find("openai")
	says := func(word string) func(string) string {
		return func(name string) string { return map[string]string{"x-should-retry": word}[name] }
	}
	for _, c := range []struct {
		status int
		word   string
		want   llm.Retry
	}{
		{500, "", llm.RetrySame},
		{500, "false", llm.RetryElsewhere},
		{429, "false", llm.RetryElsewhere},
		{422, "", llm.RetryNever},
		{422, "true", llm.RetrySame},
		{401, "true", llm.RetryElsewhere},
	} {
		if f := kind.Classify(Answer{Status: c.status, Header: says(c.word)}); f.Retry != c.want {
			t.Errorf("%d with x-should-retry %q: %s, want %s", c.status, c.word, f.Retry, c.want)
		}
	}
}

func TestAFaultThatNeedsAnOperatorSaysWhatToDo(t *testing.T) {
	for kind, a := range map[string]Answer{
		"azure":   {Status: 404, Body: llm.ErrorBody{Code: "DeploymentNotFound", Message: "The API deployment does not exist."}},
		"bedrock": {Status: 400, Body: llm.ErrorBody{Message: "The provided model identifier is invalid."}},
		"vertex":  {Status: 403, Body: llm.ErrorBody{Message: "Vertex AI API has not been used in project 1 before"}},
	} {
		k, _ := Find(kind)
		f := k.Classify(a)
		if words, hint, ok := strings.Cut(f.Message, "; "); !ok || hint == "" || !strings.HasPrefix(a.Body.Message, words) {
			t.Errorf("%s: %q", kind, f.Message)
		}
	}
	vertex, _ := Find("vertex")
	if f := vertex.Classify(Answer{Status: 429}); f.After != time.Second {
		t.Errorf("vertex is asked again after %v", f.After)
	}
}

func TestBrokenConnectionsAreClassifiedByPhaseAndDeadline(t *testing.T) {
	cases := []struct {
		err  error
		want string
	}{
		{&h1.Error{Phase: h1.PhaseDial, Err: syscall.ECONNREFUSED}, "connect_failed same target connect"},
		{&h1.Error{Phase: h1.PhaseDial, Err: os.ErrDeadlineExceeded}, "connect_timeout same target connect"},
		{&h1.Error{Phase: h1.PhaseTLS, Err: errors.New("x509: unknown authority")}, "connect_failed same target connect"},
		{&h1.Error{Phase: h1.PhaseDial, Err: &egress.Error{Kind: egress.Refused}}, "connect_failed elsewhere target connect"},
		{&h1.Error{Phase: h1.PhaseDial, Err: &egress.Error{Kind: egress.ProxyAuth}}, "connect_failed elsewhere target connect"},
		{&h1.Error{Phase: h1.PhaseDial, Err: &egress.Error{Kind: egress.ProxyGave, Again: true}}, "connect_failed same target connect"},
		{&h1.Error{Phase: h1.PhaseDial, Err: &egress.Error{Kind: egress.Lookup}}, "connect_failed elsewhere target connect"},
		{&h1.Error{Phase: h1.PhaseTLS, Err: x509.UnknownAuthorityError{}}, "connect_failed elsewhere target connect"},
		{&h1.Error{Phase: h1.PhaseTLS, Err: context.Canceled}, "client_gone never request connect"},
		{&h1.Error{Phase: h1.PhaseHead, Err: &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}}, "connect_failed elsewhere target connect"},
		{&h1.Error{Phase: h1.PhaseHead, Err: os.ErrDeadlineExceeded}, "first_token_timeout elsewhere target head"},
		{&h1.Error{Phase: h1.PhaseHead, Err: io.ErrUnexpectedEOF}, "stream_cut same target head"},
		{&h1.Error{Phase: h1.PhaseBody, Err: io.ErrUnexpectedEOF}, "stream_cut same target stream"},
		{&h1.Error{Phase: h1.PhaseBody, Err: context.Canceled}, "client_gone never request stream"},
		{&h1.Error{Phase: h1.PhaseHead, Err: errors.New("response head is larger than 65536 bytes")}, "invalid_response same target head"},
		{&h1.Error{Phase: h1.PhaseBody, Err: http1.ErrChunk}, "invalid_response same target stream"},
		{&h1.Error{Phase: h1.PhaseHead, Err: &net.OpError{Op: "read", Err: syscall.ETIMEDOUT}}, "stream_cut same target head"},
		{&h1.Error{Phase: h1.PhaseBody, Err: net.ErrClosed}, "stream_cut same target stream"},
		{io.ErrUnexpectedEOF, "stream_cut same target stream"},
		{errors.New("invalid JSON"), "invalid_response same target stream"},
	}
	for _, c := range cases {
		f := Broken(c.err, llm.FaultFirstToken)
		if got := fmt.Sprint(f.Kind, " ", f.Retry, " ", f.Scope, " ", f.Phase); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
		if f.Message == "" || strings.Contains(f.Message, "x509") {
			t.Errorf("%v: public text %q", c.err, f.Message)
		}
	}
}

func TestRetryAfterObeysTheLargerDemand(t *testing.T) {
	cases := []struct {
		seconds, ms string
		want        time.Duration
	}{
		{"", "", 0},
		{"1", "0", time.Second},
		{"1", "1500", 1500 * time.Millisecond},
		{"0.5", "", 500 * time.Millisecond},
		{"Tue, 24 Nov 2026 12:00:07 GMT", "", 7 * time.Second},
		{"Tue, 24 Nov 2026 11:00:00 GMT", "", 0},
		{"-4", "-9", 0},
		{"soon", "x", 0},
		{"31536000", "", longestAfter},
		{"1795910400000", "", longestAfter}, // a moment in milliseconds
		{"", "1e300", longestAfter},
		{"inf", "", longestAfter},
	}
	for _, c := range cases {
		get := func(name string) string {
			return map[string]string{"retry-after": c.seconds, "retry-after-ms": c.ms}[name]
		}
		if got := RetryAfter(get, t0); got != c.want {
			t.Errorf("retry-after %q, retry-after-ms %q: %v, want %v", c.seconds, c.ms, got, c.want)
		}
	}
}

func TestRateHeadersSurviveInTheClientsDialect(t *testing.T) {
	cases := []struct{ name, value, dialect, want string }{
		{"X-RateLimit-Remaining-Tokens", "99", "chat", "X-RateLimit-Remaining-Tokens: 99"},
		{"x-ratelimit-remaining-tokens", "99", "anthropic", "anthropic-ratelimit-tokens-remaining: 99"},
		{"x-ratelimit-reset-requests", "1m30s", "anthropic", "anthropic-ratelimit-requests-reset: 2026-11-24T12:01:30Z"},
		{"x-ratelimit-reset-requests", "500", "anthropic", ""}, // no agreed unit
		{"anthropic-ratelimit-requests-limit", "50", "responses", "x-ratelimit-limit-requests: 50"},
		{"anthropic-ratelimit-tokens-reset", "2026-11-24T12:00:05Z", "chat", "x-ratelimit-reset-tokens: 5s"},
		{"anthropic-ratelimit-input-tokens-limit", "50", "chat", ""}, // OpenAI has no word for it
		{"anthropic-ratelimit-input-tokens-limit", "50", "anthropic", "anthropic-ratelimit-input-tokens-limit: 50"},
		{"content-type", "x", "chat", ""},
	}
	for _, c := range cases {
		name, value, ok := RateHeader(c.name, c.value, llm.Dialect(c.dialect), t0)
		got := ""
		if ok {
			got = name + ": " + value
		}
		if got != c.want {
			t.Errorf("%s: %s for %s: %q, want %q", c.name, c.value, c.dialect, got, c.want)
		}
	}
}

func TestFillPutsTheCallOnTheWire(t *testing.T) {
	t.Setenv("UPSTREAM_TEST_KEY", "k-1234567890abcdef")
	cases := []struct {
		config Config
		call   Call
		want   string
	}{
		{
			Config{Kind: "openai", Key: secret.Env("UPSTREAM_TEST_KEY")},
			Call{Op: llm.OpGenerate, Dialect: llm.Chat},
			"https api.openai.com:443 /v1/chat/completions authorization=Bearer k-1234567890abcdef",
		},
		{
			Config{Kind: "anthropic", Key: secret.Env("UPSTREAM_TEST_KEY")},
			Call{Op: llm.OpCount, Dialect: llm.Anthropic},
			"https api.anthropic.com:443 /v1/messages/count_tokens anthropic-version=2023-06-01 x-api-key=k-1234567890abcdef",
		},
		{
			Config{Kind: "anthropic", URL: "http://[::1]:9"},
			Call{Dialect: llm.Anthropic, Forward: []h1.Field{{Name: "anthropic-version", Value: "2027-01-01"}}},
			"http [::1]:9 /v1/messages anthropic-version=2027-01-01",
		},
		{Config{Kind: "vllm", URL: "http://10.2.0.14:8000"}, Call{Dialect: llm.Embeddings}, "http 10.2.0.14:8000 /v1/embeddings"},
		{Config{Kind: "openai-compatible", URL: "http://host/openai/v2/"}, Call{Dialect: llm.Chat}, "http host:80 /openai/v2/chat/completions"},
		{
			Config{Kind: "groq", Headers: map[string]string{"X-Team": "env:UPSTREAM_TEST_KEY"}},
			Call{Dialect: llm.Chat},
			"https api.groq.com:443 /openai/v1/chat/completions X-Team=k-1234567890abcdef",
		},
	}
	for _, c := range cases {
		target, err := New("x", c.config, h1.New(h1.Options{}), t0)
		if err != nil {
			t.Fatal(err)
		}
		var req h1.Request
		target.Fill(&req, c.call, t0)
		if _, f := target.Authorize(t.Context(), &req, "", "", t0); f != nil {
			t.Fatal(f)
		}
		var got strings.Builder
		got.WriteString(map[bool]string{true: "https ", false: "http "}[req.TLS] + req.Address + " " + req.Target)
		for _, f := range req.Header {
			if f.Name != "content-type" && f.Name != "accept" && f.Name != "user-agent" {
				got.WriteString(" " + f.Name + "=" + f.Value)
			}
		}
		if got.String() != c.want {
			t.Errorf("%+v:\n got %s\nwant %s", c.config, got.String(), c.want)
		}
	}
}

// TestAConnectorHasThePortOfItsTarget, at the target's own host.
func TestAConnectorHasThePortOfItsTarget(t *testing.T) {
	for url, want := range map[string]string{"http://10.0.0.7:8000": "10.0.0.7:21001", "https://gpu/v1": "gpu:21001", "http://[fd00::7]:8000": "[fd00::7]:21001"} {
		target, err := New("t", Config{Kind: "vllm", URL: url, KVPort: 21001}, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := target.KVAddress(); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func TestARequestIDThatRepeatsOurKeyIsNone(t *testing.T) {
	t.Setenv("UPSTREAM_TEST_KEY", "k-1234567890abcdef")
	target, err := New("x", Config{Kind: "openai", Key: secret.Env("UPSTREAM_TEST_KEY")}, nil, t0)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"req_011CV-a.b:c": "req_011CV-a.b:c", "": "", "k-1234567890abcdef": "", "x-k-1234567890abcdef-y": "",
		"two words": "", strings.Repeat("a", 101): "",
	}
	for id, want := range cases {
		got := target.RequestID(func(name string) string { return map[string]string{"request-id": id}[name] }, t0)
		if got != want {
			t.Errorf("%q is taken for the id %q, want %q", id, got, want)
		}
	}
}

func TestTheCharactersOfAnID(t *testing.T) {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:"
	for c := range 256 {
		text := "id" + string([]byte{byte(c)})
		if got := isID(text); got != (strings.IndexByte(characters, byte(c)) >= 0) {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestAMissingSecretIsNamedAndNotGuessed(t *testing.T) {
	_, err := New("up", Config{Kind: "openai", Key: secret.Env("UPSTREAM_TEST_ABSENT")}, nil, t0)
	if err == nil || !strings.Contains(err.Error(), `"up"`) || !strings.Contains(err.Error(), "UPSTREAM_TEST_ABSENT") {
		t.Errorf("error %v", err)
	}
}

func TestValidateReportsEveryProblem(t *testing.T) {
	c := Config{
		Kind: "opnai", URL: "ftp://user:hunter2@x", Dialects: []llm.Dialect{"chta"}, StreamUsage: "maybe", Limits: Limits{InFlight: -1},
		Headers: map[string]string{"Host": "x", "X-A": "a\r\nb"}, Price: Price{Input: "1"},
	}
	got := map[string]string{}
	c.Validate("targets.x", func(path, wrong, right string) {
		if strings.Contains(wrong+right, "hunter2") {
			t.Errorf("%s repeats a password", path)
		}
		got[path] = wrong + "; " + right
	})
	for _, path := range []string{".kind", ".url", ".dialects[0]", ".stream_usage", ".limits.in_flight", ".headers.Host", ".headers.X-A", ".price"} {
		if got["targets.x"+path] == "" {
			t.Errorf("no problem at %s: %v", path, got)
		}
	}
	if !strings.Contains(got["targets.x.kind"], `did you mean "openai"`) {
		t.Errorf("no suggestion: %s", got["targets.x.kind"])
	}
}

// TestIndexComplete: every Kind that a file of this package declares is in the
// table of contents.
func TestIndexComplete(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.CompositeLit); ok {
				if name, ok := lit.Type.(*ast.Ident); ok && name.Name == "Kind" && !strings.HasSuffix(file, "_test.go") {
					declared++
				}
			}
			return true
		})
	}
	names := map[string]bool{}
	for _, k := range Kinds() {
		names[k.Name] = true
	}
	if len(names) != declared || declared == 0 {
		t.Errorf("%d kinds are declared, %d are in the index", declared, len(names))
	}
}

// TestAPrivateEndpointIsDialedUnderTheURLsName, and is what the config leads to.
func TestAPrivateEndpointIsDialedUnderTheURLsName(t *testing.T) {
	cases := []struct{ kind, url, address, want string }{
		{"openai", "", "", "api.openai.com:443"},
		{"openai", "", "10.0.0.9", "10.0.0.9:443"},
		{"vllm", "http://gpu.site:8000/v1", "10.0.0.9", "10.0.0.9:8000"},
		{"vllm", "https://gpu.site", "private.site:8443", "private.site:8443"},
		{"vllm", "https://[fd00::1]:1", "", "[fd00::1]:1"},
		{"sim", "http://10.0.0.1", "", "10.0.0.1:80"},
		{"sim", "", "", ""},
	}
	for _, c := range cases {
		conf := Config{Kind: c.kind, URL: c.url, Egress: egress.Override{Address: c.address}}
		to := conf.Destinations("t")
		if c.want == "" {
			if len(to) > 0 {
				t.Errorf("%+v leads to %v", c, to)
			}
			continue
		}
		target, err := New("t", conf, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var req h1.Request
		target.Fill(&req, Call{Dialect: llm.Chat}, time.Now())
		if len(to) != 1 || to[0].Address != c.want || to[0].Why != "target t" || req.Address != c.want {
			t.Errorf("%+v leads to %v, and is dialed at %s", c, to, req.Address)
		}
		if u, _ := url.Parse(c.url); c.url != "" && req.Host != u.Host {
			t.Errorf("%+v is asked as %s", c, req.Host)
		}
	}
}
