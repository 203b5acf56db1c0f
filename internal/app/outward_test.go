package app

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tailplane/internal/egress"
)

const completion = `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}`

func complete(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, completion)
}

// counted is an upstream that counts its connections.
func counted(t *testing.T) (s *httptest.Server, opened, closed *atomic.Int64) {
	t.Helper()
	opened, closed = new(atomic.Int64), new(atomic.Int64)
	s = httptest.NewUnstartedServer(http.HandlerFunc(complete))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			closed.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, opened, closed
}

// TestConnectionsOutliveAReloadThatDoesNotConcernThem, and no others.
func TestConnectionsOutliveAReloadThatDoesNotConcernThem(t *testing.T) {
	up, opened, closed := counted(t)
	path := filepath.Join(t.TempDir(), "tailplane.yaml")
	file := func(more string) string {
		return fmt.Sprintf("targets: {up: {kind: vllm, url: %q, watch: {metrics: off, health: off}}}\n%s\n", up.URL, more) // looks have connections of their own
	}
	write(t, path, file(""))
	r := serving(t, Options{Config: path, NoWatch: true})
	steps := []struct {
		name, more     string
		opened, closed int64
	}{
		{"at first", "", 1, 0},
		{"something else has changed", "timeouts: {connect: 2s}", 1, 0},
		{"the policy has changed", "egress: {default: deny}", 1, 0},
		{"the way has changed", "egress: {default: deny, source_address: 127.0.0.9}", 2, 1},
		{"and back", "egress: {default: deny}", 3, 2},
	}
	for i, step := range steps {
		if i > 0 {
			write(t, path, file(step.more))
			if status, body := r.manage(t, http.MethodPost, "/admin/v1/reload"); status != http.StatusOK {
				t.Fatalf("%s: reload: %d %s", step.name, status, body)
			}
		}
		if status, body := r.ask(t, "up/m"); status != http.StatusOK {
			t.Fatalf("%s: %d %s", step.name, status, body)
		}
		if opened.Load() != step.opened {
			t.Errorf("%s: %d connections, want %d", step.name, opened.Load(), step.opened)
		}
	}
	r.stop(t)
	up.Close() // waits for its connections
	if opened.Load() != closed.Load() {
		t.Errorf("%d opened, %d closed", opened.Load(), closed.Load())
	}
}

// corporate is an HTTP proxy that wants a user, and leads every name to one
// address.
type corporate struct {
	to   string
	auth string
	mu   sync.Mutex
	seen []string // what was asked for, with the right user
}

func (p *corporate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := basic(r); user+":"+password != p.auth {
		w.Header().Set("Proxy-Authenticate", `Basic realm="corp"`)
		http.Error(w, "ask the network team", http.StatusProxyAuthRequired)
		return
	}
	p.mu.Lock()
	p.seen = append(p.seen, r.Host)
	p.mu.Unlock()
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer out.Close()
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer in.Close()
	_, _ = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(out, buffered)
		_ = out.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(in, bufio.NewReader(out))
}

// basic reads Proxy-Authorization as if it were Authorization.
func basic(r *http.Request) (user, password string, ok bool) {
	clone := http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	return clone.BasicAuth()
}

// TestATargetBehindAProxyAndAnAuthorityOfItsOwn: the whole way, and what is said
// at each place where it can be wrong.
func TestATargetBehindAProxyAndAnAuthorityOfItsOwn(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(complete))
	up.Config.ErrorLog = log.New(io.Discard, "", 0)
	up.StartTLS()
	defer up.Close()
	proxy := &corporate{to: up.Listener.Addr().String(), auth: "alice:pa:ss"}
	ps := httptest.NewServer(proxy)
	defer ps.Close()
	dir := t.TempDir()
	ca, login, wrong := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "login"), filepath.Join(dir, "wrong")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.Certificate().Raw})))
	write(t, login, "alice:pa:ss\n")
	write(t, wrong, "alice:hunter2-hunter2\n")
	targets := map[string]string{
		"good":    fmt.Sprintf("{ca: %s, proxy_auth: 'file:%s'}", ca, login),
		"locked":  fmt.Sprintf("{ca: %s}", ca),
		"wrong":   fmt.Sprintf("{ca: %s, proxy_auth: 'file:%s'}", ca, wrong),
		"strange": fmt.Sprintf("{proxy_auth: 'file:%s'}", login),
		"name":    fmt.Sprintf("{ca: %s, proxy_auth: 'file:%s', server_name: other.test}", ca, login),
	}
	var text strings.Builder
	fmt.Fprintf(&text, "egress: {default: deny, proxy: %q}\ntargets:\n", ps.URL)
	for name, override := range targets {
		fmt.Fprintf(&text, "  %s: {kind: openai-compatible, url: https://example.com, egress: %s}\n", name, override)
	}
	path := filepath.Join(dir, "tailplane.yaml")
	write(t, path, text.String())
	r := serving(t, Options{Config: path, NoWatch: true})
	for _, c := range []struct{ target, public, detail string }{
		{"good", "", ""},
		{"locked", "the proxy on the way to the target refuses the credentials", `the proxy wants credentials and says \"407 Proxy Authentication Required: ask the network team\"`},
		{"wrong", "the proxy on the way to the target refuses the credentials", "correct what egress.proxy_auth"},
		{"strange", "not signed by an authority that is trusted here", "add the authority's certificate with egress.ca"},
		{"name", "the target's certificate is for another name", "egress.server_name"},
	} {
		status, body := r.ask(t, c.target+"/m")
		if (status == http.StatusOK) != (c.public == "") || !strings.Contains(body, c.public) || strings.Contains(body, "127.0.0.1") {
			t.Errorf("%s: %d %s", c.target, status, body)
		}
		_, record := r.manage(t, http.MethodGet, "/admin/v1/exchanges?limit=1&target="+c.target)
		if strings.Contains(record, "hunter2") || !strings.Contains(record, c.detail) {
			t.Errorf("%s: the record says %s, want %s", c.target, record, c.detail)
		}
		if n := strings.Count(record, `"fault":`); c.public != "" && n > 2 { // of the attempt and of the exchange
			t.Errorf("%s: it was tried again: %s", c.target, record)
		}
	}
	if len(proxy.seen) == 0 || slices.ContainsFunc(proxy.seen, func(host string) bool { return host != "example.com:443" }) {
		t.Errorf("the proxy was asked for %v", proxy.seen)
	}
	var report egress.Report
	_, body := r.manage(t, http.MethodGet, "/admin/v1/egress")
	if err := json.Unmarshal([]byte(body), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Contacts) != 2 || report.Contacts[1].Outcome == "" || report.Contacts[1].Address != "example.com:443" || report.Contacts[0].Why != "proxy" || report.Default != "deny" {
		t.Errorf("the report says %s", body)
	}
	if strings.Contains(body, "hunter2") {
		t.Errorf("the report tells a credential: %s", body)
	}
	r.stop(t)
}
