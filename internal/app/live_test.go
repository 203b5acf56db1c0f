package app

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tailplane/internal/config"
	"tailplane/internal/probe"
)

// answering is a server that gives one answer to everything.
func answering(t *testing.T, status int, body string, header ...string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

const (
	listOfModels = `{"object":"list","data":[{"id":"llama-3.3-70b"},{"id":"qwen3-8b"}]}`
	wrongKey     = `{"error":{"message":"Incorrect API key provided: sk-live-canary-0123456789.","type":"invalid_request_error","code":"invalid_api_key"}}`
)

// ill is a target with something wrong, and the words for it.
type ill struct {
	name, target string
	verdict      probe.Verdict
	what, do     string // of one of the findings
	unlike       bool   // a request meets it in the provider's words
}

func illTargets(t *testing.T) []ill {
	t.Helper()
	refused := fmt.Sprintf("127.0.0.1:%d", closedPort)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(listOfModels)) }))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
	t.Cleanup(proxy.Close)
	entra := answering(t, 401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`)
	vault := answering(t, 403, `{"errors":["permission denied"]}`)
	t.Setenv("VAULT_ADDR", vault)
	t.Setenv("VAULT_TOKEN", "hvs.live-canary")
	t.Setenv("LIVE_KEY", "sk-live-canary-0123456789")
	t.Setenv("LIVE_ID", "AKIDLIVE")
	slow := time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)
	aws := "auth: {aws: {access_key: env:LIVE_ID, secret_key: env:LIVE_KEY}}"
	return []ill{
		{"well", "{kind: vllm, url: " + answering(t, 200, listOfModels) + ", key: env:LIVE_KEY, models: [llama-3.3-70b]}", probe.OK, "it answers and takes the credential", "", true},
		{"wrong-key", "{kind: openai, url: " + answering(t, 401, wrongKey) + ", key: env:LIVE_KEY}", probe.Problem, "HTTP 401: Incorrect API key provided: [key]", "has not been revoked", false},
		{"wrong-key-by-words", "{kind: gemini, dialects: [chat], url: " + answering(t, 400, `{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}`) + ", key: env:LIVE_KEY}", probe.Problem, "API key not valid", "has not been revoked", false},
		{"expired", "{kind: bedrock, region: eu-west-1, url: " + answering(t, 403, `{"message":"The security token included in the request is expired"}`, "x-amzn-errortype", "ExpiredTokenException") + ", " + aws + "}", probe.Problem, "the session's credentials have expired: refresh them", "this one's time is over", false},
		{"clock", "{kind: openai, url: " + answering(t, 401, wrongKey, "Date", slow) + ", key: env:LIVE_KEY}", probe.Problem, "behind the target's", "set it (NTP)", false},
		{"authority", "{kind: openai, url: " + secure.URL + ", key: env:LIVE_KEY}", probe.Problem, "not signed by an authority that is trusted here", "egress.ca", false},
		{"proxy", "{kind: openai, url: 'http://models.test:80', key: env:LIVE_KEY, egress: {proxy: " + proxy.URL + "}}", probe.Problem, "the proxy on the way to the target refuses the credentials", "proxy_auth", false},
		{"missing", "{kind: vllm, url: " + answering(t, 200, listOfModels) + ", key: env:LIVE_KEY, models: [llama-3.3-7b, qwen3-8b]}", probe.Problem, `it does not list model "llama-3.3-7b"`, `did you mean "llama-3.3-70b"?`, true},
		{"name", "{kind: openai, url: 'http://nosuch.invalid', key: env:LIVE_KEY}", probe.Problem, "the target's name could not be resolved", "nosuch.invalid", false},
		{"port", "{kind: vllm, url: 'http://" + refused + "', key: env:LIVE_KEY}", probe.Problem, "the target cannot be reached", "nothing listens at " + refused + "; is it running, and is the port right?", false},
		{"token", "{kind: azure, url: " + answering(t, 200, listOfModels) + ", auth: {azure: {tenant: t-1, client: c-1, client_secret: env:LIVE_KEY, authority: " + entra + "}}}", probe.Problem, "there is no credential for target token", "may be read from here", false},
		{"secret", "{kind: openai, url: " + answering(t, 200, listOfModels) + ", key: 'vault:kv/openai#key'}", probe.Problem, "HTTP 403: permission denied", "may be read from here", false},
		{"no-list", "{kind: vllm, url: " + answering(t, 404, `{}`) + ", key: env:LIVE_KEY, models: [m]}", probe.NotChecked, "GET /v1/models is answered with HTTP 404", "path of url:", true},
		{"busy", "{kind: openai, url: " + answering(t, 429, `{"error":{"message":"slow down","code":"rate_limit_exceeded"}}`) + ", key: env:LIVE_KEY}", probe.NotChecked, "slow down", "check again", true},
		{"deployments", "{kind: azure, url: " + answering(t, 200, listOfModels) + ", key: env:LIVE_KEY, models: [mine]}", probe.NotChecked, "not the deployments of the resource", "", true},
		{"restricted", "{kind: openai, url: " + answering(t, 403, `{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.model.read."}}`) + ", key: env:LIVE_KEY, models: [m]}", probe.NotChecked, "the credential may not list models", "requests need no such permission", true},
		{"inside", "{kind: sim}", probe.OK, "it is in this process", "", true},
	}
}

func fileOf(cases []ill) string {
	var b strings.Builder
	b.WriteString("egress: {default: deny}\ntargets:\n") // Entra and Vault are let out, because they are named
	for _, c := range cases {
		fmt.Fprintf(&b, "  %s: %s\n", c.name, c.target)
	}
	b.WriteString("retry: {attempts: 1}\n")
	return b.String()
}

// TestLiveNamesWhatIsWrong, each with what to do, and no secret in any of it.
func TestLiveNamesWhatIsWrong(t *testing.T) {
	cases := illTargets(t)
	f, problems := config.Parse("live.yaml", []byte(fileOf(cases)))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	results, err := Live(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]probe.Result{}
	for _, r := range results {
		found[r.Target] = r
	}
	for _, c := range cases {
		r := found[c.name]
		if _, ok := finding(r, c); r.Verdict != c.verdict || !ok {
			t.Errorf("%s: %+v, want %s: %s; %s", c.name, r, c.verdict, c.what, c.do)
		}
	}
	if text := fmt.Sprint(results); strings.Contains(text, "canary") {
		t.Errorf("a secret is told: %s", text)
	}
}

func finding(r probe.Result, c ill) (probe.Finding, bool) {
	for _, f := range r.Findings {
		if strings.Contains(f.What, c.what) && strings.Contains(f.Do, c.do) {
			return f, true
		}
	}
	return probe.Finding{}, false
}

// span is how far a clock is off, which differs from second to second.
var span = regexp.MustCompile(`\d+m\d+s`)

var statusWords = regexp.MustCompile(`^HTTP \d+: `)

// TestARequestMeetsTheSameWords: what a live check says is what the record of a
// request says that meets the fault later.
func TestARequestMeetsTheSameWords(t *testing.T) {
	cases := illTargets(t)
	text := fileOf(cases)
	f, _ := config.Parse("live.yaml", []byte(text))
	results, err := Live(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "live.yaml")
	write(t, path, text)
	r := serving(t, Options{Config: path, NoWatch: true})
	compared := 0
	for _, c := range cases {
		if c.unlike {
			continue
		}
		r.ask(t, c.name+"/anthropic.m")
		_, raw := r.manage(t, http.MethodGet, "/admin/v1/exchanges?limit=1")
		var list []struct{ Attempts []struct{ Message string } }
		if err := json.Unmarshal([]byte(raw), &list); err != nil || len(list) != 1 || len(list[0].Attempts) != 1 {
			t.Fatalf("%s: %s", c.name, raw)
		}
		said := span.ReplaceAllString(list[0].Attempts[0].Message, "SPAN")
		for _, result := range results {
			if result.Target != c.name {
				continue
			}
			got, _ := finding(result, c)
			what := span.ReplaceAllString(statusWords.ReplaceAllString(got.What, ""), "SPAN")
			if !strings.Contains(said, what) || !strings.Contains(said, span.ReplaceAllString(got.Do, "SPAN")) || got.Do == "" {
				t.Errorf("%s: the record says\n  %s\nthe check\n  %s; %s", c.name, said, what, got.Do)
			}
			compared++
		}
	}
	if compared < 9 {
		t.Errorf("%d compared", compared)
	}
	r.stop(t)
}

// TestLiveLooksAtEveryKey: one key of a pool that is wrong, and a next one.
func TestLiveLooksAtEveryKey(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good-key-0123456789" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(listOfModels))
	}))
	defer s.Close()
	t.Setenv("GOOD", "good-key-0123456789")
	t.Setenv("BAD", "bad-key-0123456789")
	f, problems := config.Parse("pool.yaml", fmt.Appendf(nil, `
targets: {pool: {kind: vllm, url: %q, models: [qwen3-8b], keys: [{name: a, key: env:GOOD, next_key: env:BAD}, {key: env:BAD}, {key: env:GOOD}]}}
`, s.URL))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	results, err := Live(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, fmt.Sprint(r.Key, " ", r.Verdict, " ", len(r.Findings)))
	}
	if want := "a ok 2, a.next problem 1, keys[1] problem 1, keys[2] ok 1"; strings.Join(got, ", ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
