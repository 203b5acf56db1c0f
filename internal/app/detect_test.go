package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"tailplane/internal/config"
	"tailplane/internal/egress"
	"tailplane/internal/policy"
	"tailplane/internal/upstream"
)

// listening starts a server on a free loopback port.
func listening(t *testing.T, answer http.HandlerFunc) int {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	_, text, _ := net.SplitHostPort(srv.Listener.Addr().String())
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func answers(header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/models" || r.Header.Get("Authorization") != "" {
			http.Error(w, "only a look at the models is allowed", http.StatusTeapot)
			return
		}
		if header != "" {
			w.Header().Set("Server", header)
		}
		_, _ = w.Write([]byte(body))
	}
}

// noKeys empties the environment of every key that is looked for.
func noKeys(t *testing.T) {
	t.Helper()
	for _, k := range upstream.Kinds() {
		for _, env := range slices.Concat(k.KeyEnv, k.URLEnv, k.RegionEnv, []string{k.BaseEnv}) {
			if env == "" {
				continue
			}
			t.Setenv(env, "")
		}
	}
}

func TestEnginesAreFoundByWhatTheyAnswer(t *testing.T) {
	noKeys(t)
	elsewhere := atomic.Int64{}
	other := listening(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	ports := []int{
		listening(t, answers("", `{"object":"list","data":[{"id":"meta/llama","owned_by":"vllm"}]}`)),
		listening(t, answers("", `{"object":"list","data":[{"id":"qwen","owned_by":"sglang"}]}`)),
		listening(t, answers("", `{"object":"list","data":[{"id":"b","owned_by":"vllm"}]}`)),
		listening(t, answers("llama.cpp", `{"object":"list","data":[{"id":"gemma"}]}`)),
		listening(t, answers("nginx", `<html>It works!</html>`)),
		listening(t, answers("", `{"object":"list","data":[{"id":"sim/fast","owned_by":"tailplane"}]}`)),
		listening(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, fmt.Sprintf("http://127.0.0.1:%d/v1/models", other), http.StatusFound)
		}),
		closedPort,
	}
	d := found(t, ports)
	var got []string
	for _, e := range d.engines {
		got = append(got, fmt.Sprint(e.Kind, e.Models))
	}
	slices.Sort(got)
	want := []string{"llamacpp[gemma]", "sglang[qwen]", "vllm[b]", "vllm[meta/llama]"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("a redirect was followed to a port that nobody named, %d times", n)
	}
	zero := zeroConfig(d)
	if len(zero.Targets) != 5 { // two of them vLLM, and the simulator
		t.Errorf("targets %v", zero.Targets)
	}
	written := d.yaml()
	f, problems := config.Parse("init.yaml", []byte(written))
	if len(problems) > 0 {
		t.Fatalf("what `config init` writes is refused: %v\n%s", problems, written)
	}
	for name, c := range zero.Targets {
		if f.Targets[name].Kind != c.Kind {
			t.Errorf("target %s is %q in the file, %q in zero-config", name, f.Targets[name].Kind, c.Kind)
		}
	}
}

// TestAnEngineThatNeverAnswersIsNotWaitedFor longer than there is time.
func TestAnEngineThatNeverAnswersIsNotWaitedFor(t *testing.T) {
	noKeys(t)
	asked := make(chan struct{})
	silent := listening(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if d := must(detect(ctx, egress.New(egress.Options{}), []int{silent}, "127.0.0.1:4600")); len(d.engines) != 0 {
		t.Errorf("found %+v", d.engines)
	}
}

// closedPort is a port on which nobody listens. One that was given back may be
// the next listener's; this one is given to nobody.
const closedPort = 1

// TestModelNamesCannotBreakTheConfigThatInitWrites: an engine may call its
// models what it likes.
func TestModelNamesCannotBreakTheConfigThatInitWrites(t *testing.T) {
	noKeys(t)
	for _, name := range []string{"a\nb", `a"b`, "a: {b}", "\u2028x", "[x]", "#"} {
		body := fmt.Sprintf(`{"object":"list","data":[{"id":%q,"owned_by":"vllm"}]}`, name)
		d := found(t, []int{listening(t, answers("", body))})
		if _, problems := config.Parse("init.yaml", []byte(d.yaml())); len(problems) > 0 {
			t.Errorf("%q: %v\n%s", name, problems, d.yaml())
		}
	}
}

func TestKeysOfTheEnvironmentAreFoundButNotOurOwn(t *testing.T) {
	noKeys(t)
	own, err := policy.NewToken(rand.Reader, "env")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("OPENAI_API_KEY", own.Reveal()) // as after eval "$(tailplane env)"
	t.Setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789abcdefWXYZ")
	t.Setenv("GROQ_API_KEY", "two\nlines")
	d := found(t, nil)
	if len(d.keys) != 1 || d.keys[0].env != "ANTHROPIC_API_KEY" || d.keys[0].hint != "...WXYZ" {
		t.Errorf("keys %+v", d.keys)
	}
	if text := d.yaml(); strings.Contains(text, "0123456789") || !strings.Contains(text, "key: env:ANTHROPIC_API_KEY") {
		t.Errorf("the config holds the key, or no reference to it:\n%s", text)
	}
}

// TestCloudsOfTheEnvironmentBecomeTargets: what they need beside the key stands
// in zero-config and in the file that is written of it.
func TestCloudsOfTheEnvironmentBecomeTargets(t *testing.T) {
	noKeys(t)
	t.Setenv("AZURE_OPENAI_API_KEY", "0123456789abcdef")
	t.Setenv("AZURE_OPENAI_ENDPOINT", "https://acme.openai.azure.com")
	t.Setenv("AWS_BEARER_TOKEN_BEDROCK", "0123456789abcdef")
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("GEMINI_API_KEY", "0123456789abcdef")
	d := must(detect(t.Context(), egress.New(egress.Options{}), nil, "127.0.0.1:4600"))
	zero := zeroConfig(d)
	file, problems := config.Parse("init.yaml", []byte(d.yaml()))
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, d.yaml())
	}
	for _, f := range []*config.File{zero, file} {
		if f.Targets["azure"].URL != "https://acme.openai.azure.com" || f.Targets["bedrock"].Region != "eu-central-1" || f.Targets["gemini"].Kind != "gemini" {
			t.Errorf("targets %+v", f.Targets)
		}
	}
}

// TestAKeyGoesWhereTheEnvironmentSaysThatItIsFor: a base address is obeyed, unless
// it is our own.
func TestAKeyGoesWhereTheEnvironmentSaysThatItIsFor(t *testing.T) {
	noKeys(t)
	t.Setenv("OPENAI_API_KEY", "0123456789abcdef")
	for base, want := range map[string]string{
		"":                               "",
		"https://llm.acme.example/v1":    "https://llm.acme.example/v1",
		"http://127.0.0.1:4000/v1":       "http://127.0.0.1:4000/v1",
		"http://127.0.0.1:4600/v1":       "",
		"http://localhost:4600/v1":       "",
		"http://acme.example:4600/v1":    "http://acme.example:4600/v1",
		"nowhere":                        "no target: OPENAI_BASE_URL",
		"https://me:pw@llm.acme.example": "no target: OPENAI_BASE_URL",
	} {
		t.Setenv("OPENAI_BASE_URL", base)
		d, got := found(t, nil), "no target"
		for _, k := range d.skipped {
			got += ": " + k.variable
		}
		if c, ok := zeroConfig(d).Targets["openai"]; ok {
			got = c.URL
		}
		if _, problems := config.Parse("init.yaml", []byte(d.yaml())); len(problems) > 0 || len(d.skipped) > 0 != strings.Contains(d.yaml(), "OPENAI_BASE_URL") {
			t.Errorf("base %q: %v\n%s", base, problems, d.yaml())
		}
		if got != want {
			t.Errorf("base %q: target at %q, want %q", base, got, want)
		}
	}
}

// TestAProviderIsNotCalledUntilItsModelIsNamed: zero-config with a paid key
// opens no connection, and the one that a request names is the only one.
func TestAProviderIsNotCalledUntilItsModelIsNamed(t *testing.T) {
	noKeys(t)
	t.Setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
	dialed := make(chan string, 16)
	r := serving(t, Options{Ports: []int{}, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		dialed <- address
		return nil, errors.New("there is no network in this test")
	}})
	for _, model := range []string{"sim/fast", "sim/slow", "nosuch", "fast"} {
		r.ask(t, model)
	}
	r.get(t, "/v1/models")
	if n := len(dialed); n > 0 {
		t.Fatalf("%d connections before a provider was named, the first to %s", n, <-dialed)
	}
	if status, _ := r.ask(t, "gpt-5-mini"); status/100 != 5 {
		t.Errorf("status %d for a provider that cannot be reached", status)
	}
	for range len(dialed) {
		if address := <-dialed; address != "api.openai.com:443" {
			t.Errorf("connection to %s", address)
		}
	}
	r.stop(t)
}

func TestATakenPortIsLeftToItsHolder(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	port := held.Addr().(*net.TCPAddr).Port
	ln, err := listenOn(held.Addr().String(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if got := ln.Addr().(*net.TCPAddr).Port; got <= port || got > port+40 || (got-port)%2 != 0 {
		t.Errorf("port %d after %d", got, port)
	}
	if _, err := listenOn(held.Addr().String(), false); err == nil {
		t.Error("another port was taken though this one was asked for")
	}
}

func found(t *testing.T, ports []int) detection {
	t.Helper()
	return must(detect(t.Context(), egress.New(egress.Options{}), ports, "127.0.0.1:4600"))
}
