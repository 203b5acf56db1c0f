package app

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// rig is a whole program in this process, on free loopback ports.
type rig struct {
	*Server
	key    string
	out    *said
	err    *said
	cancel context.CancelFunc
	done   chan error
}

// said keeps what was written, for tests that read while it is written.
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

// serving starts a program; it is stopped with the test at the latest.
func serving(t *testing.T, opt Options) *rig {
	t.Helper()
	r := &rig{out: new(said), err: new(said), done: make(chan error, 1)}
	opt.Data, opt.Admin, opt.Version = "127.0.0.1:0", "127.0.0.1:0", "test"
	opt.Out, opt.Err = r.out, r.err
	if opt.State == "" && !opt.Ephemeral {
		opt.State = filepath.Join(t.TempDir(), "state")
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	ready := make(chan *Server, 1)
	go func() { r.done <- Serve(ctx, opt, func(s *Server) { ready <- s }) }()
	select {
	case r.Server = <-ready:
	case err := <-r.done:
		cancel()
		t.Fatalf("serve: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		if r.done != nil {
			<-r.done
		}
	})
	if _, after, ok := strings.Cut(r.out.String(), "  Key      sk-tp-"); ok {
		r.key = "sk-tp-" + strings.Fields(after)[0]
	}
	return r
}

// stop ends the program and wants that it ends well.
func (r *rig) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	err := <-r.done
	r.done = nil
	if err != nil {
		t.Errorf("stop: %v", err)
	}
}

// do sends a request to the API and returns status and body.
func (r *rig) do(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	return call(t, "http://"+r.data.Addr().String()+path, method, r.key, body)
}

func (r *rig) get(t *testing.T, path string) (int, string) {
	t.Helper()
	return r.do(t, http.MethodGet, path, "")
}

// ask sends a small chat.
func (r *rig) ask(t *testing.T, model string) (int, string) {
	t.Helper()
	return r.do(t, http.MethodPost, "/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"hello"}]}`)
}

// askAs asks for the models under the name of some host.
func (r *rig) askAs(t *testing.T, host string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.data.Addr().String()+"/v1/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// manage asks the admin API.
func (r *rig) manage(t *testing.T, method, path string) (int, string) {
	t.Helper()
	return call(t, "http://"+r.admin.Addr().String()+path, method, r.token.Reveal(), "")
}

func call(t *testing.T, url, method, key, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}
