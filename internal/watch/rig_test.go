package watch_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/fleet"
	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/llmtest"
	"tailplane/internal/upstream"
	"tailplane/internal/watch"
)

// server is an engine that says what a test wants, whatever it does.
type server struct {
	mu      sync.Mutex
	health  int
	page    string        // of metrics; empty is a 404
	turns   func() string // the next page, where each look has another
	models  string
	token   bool // whether one comes when it is asked for
	slow    time.Duration
	heard   map[string]int
	prompts []string
	keys    []string // credentials that came with requests for metrics
}

// total is how many things were asked.
func (s *server) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.heard {
		n += times
	}
	return n
}

func (s *server) set(change func(s *server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *server) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard[path]
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.heard[r.URL.Path]++
	if s.turns != nil && r.URL.Path == "/metrics" {
		s.page = s.turns()
	}
	health, page, models, token, slow := s.health, s.page, s.models, s.token, s.slow
	if r.URL.Path == "/v1/chat/completions" {
		s.prompts = append(s.prompts, string(body))
	}
	if strings.HasSuffix(r.URL.Path, "metrics") {
		s.keys = append(s.keys, r.Header.Get("Authorization"))
	}
	s.mu.Unlock()
	time.Sleep(slow)
	switch r.URL.Path {
	case "/health":
		w.WriteHeader(health)
	case "/metrics", "/elsewhere/metrics":
		if page == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, page)
	case "/v1/models":
		_, _ = io.WriteString(w, models)
	case "/v1/chat/completions":
		if !token {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ok\"}}]}\n\ndata: [DONE]\n\n")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// load is a page of vLLM's that shows so much.
func load(running, waiting, generated float64) string {
	return fmt.Sprintf("vllm:num_requests_running{engine=\"0\"} %g\nvllm:num_requests_waiting{engine=\"0\"} %g\n"+
		"vllm:generation_tokens_total{engine=\"0\"} %g\nvllm:prompt_tokens_total{engine=\"0\"} 100\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n",
		running, waiting, generated)
}

// counts keeps what was counted.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(words ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[strings.Join(words, " ")]++
}

func (c *counts) of(words ...string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[strings.Join(words, " ")]
}

func (c *counts) ScrapeFailed(_, reason string)  { c.add("scrape", reason) }
func (c *counts) SignalRefused(_, signal string) { c.add("refused", signal) }
func (c *counts) Probed(_, tier, result string)  { c.add(tier, result) }
func (c *counts) IdentityChanged(string)         { c.add("identity") }
func (c *counts) Restarted(string)               { c.add("restart") }

// said keeps what was logged.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// rig is a watcher with one target.
type rig struct {
	t       *testing.T
	net     llmtest.Network
	client  *h1.Client
	server  *server
	fleet   fleet.Fleet
	state   *fleet.Target
	counts  *counts
	log     said
	watcher *watch.Watcher
}

// bubble runs a test of a watcher that watches the target "a", of that config.
func bubble(t *testing.T, c upstream.Config, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, counts: &counts{n: map[string]int{}}}
		r.server = &server{health: 200, heard: map[string]int{}, page: load(0, 0, 0), models: `{"data":[{"id":"m","root":"r1","max_model_len":8192}]}`}
		r.client = h1.New(h1.Options{Dial: r.net.Dial})
		r.watcher = watch.New(watch.Options{
			Counts: r.counts, Log: slog.New(slog.NewTextHandler(&r.log, nil)), Changed: func(target string) { r.counts.add("changed", target) },
			Emptied: func(target string) { r.counts.add("emptied", target) },
		})
		stop := r.host("a", r.server)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.watcher.Run(ctx) }()
		r.watch(c)
		test(t, r)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.client.CloseIdle()
		stop()
		time.Sleep(time.Minute) // handlers that are slow end by themselves
	})
}

// host starts a server in the rig's network; what is returned ends it.
func (r *rig) host(name string, h http.Handler) (stop func()) {
	srv := &http.Server{Handler: h}
	ln := r.net.Listen(name)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	return func() { _ = srv.Close(); <-done }
}

// watch has the target "a" watched, as that config says.
func (r *rig) watch(c upstream.Config, models ...string) {
	r.t.Helper()
	if c.Kind == "" {
		c.Kind = "vllm"
	}
	if c.URL == "" {
		c.URL = "http://a"
	}
	target, err := upstream.New("a", c, r.client, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	r.state = r.fleet.Target("a")
	r.state.Begin(time.Now(), 0) // nobody looks at a target before its first request
	r.state.End()
	r.watcher.Watch([]watch.Target{{Target: target, State: r.state, Models: models}})
}

func (r *rig) standing() fleet.Standing { return r.state.Standing(time.Now()) }

// serve has the target answer so many requests of clients well.
func (r *rig) serve(n int) {
	for range n {
		r.state.Begin(time.Now(), 0)
		r.state.Report(time.Now(), "m", nil)
		r.state.End()
	}
}

// fail has so many connections fail.
func (r *rig) fail(n int) {
	for range n {
		r.state.Begin(time.Now(), 0)
		r.state.Report(time.Now(), "m", &llm.Fault{Kind: llm.FaultConnect, Scope: llm.ScopeTarget})
		r.state.End()
	}
}

func (r *rig) said(words string) bool { return strings.Contains(r.log.String(), words) }
