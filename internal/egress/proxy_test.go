package egress

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tailplane/internal/secret"
)

// echo answers with what it is sent.
func echo(c net.Conn) { _, _ = io.Copy(c, c) }

// connectProxy is an HTTP proxy that wants USER:PASSWORD, unless that is empty.
// What stands in hosts is where it connects to for a name.
type connectProxy struct {
	auth   string
	hosts  map[string]string
	asked  atomic.Int64
	answer string // instead of connecting
}

func (p *connectProxy) serve(c net.Conn) {
	in := bufio.NewReader(c)
	req, err := http.ReadRequest(in)
	if err != nil || req.Method != http.MethodConnect {
		_, _ = io.WriteString(c, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
		return
	}
	p.asked.Add(1)
	if p.answer != "" {
		_, _ = io.WriteString(c, p.answer)
		return
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.auth))
	if got := req.Header.Get("Proxy-Authorization"); p.auth != "" && got != want {
		body := "<html><head><title>ERR</title><style>b{}</style></head><body><h1>Access denied</h1> You sent " + got + ".\nAsk  the proxy team.</body></html>"
		_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"corp\"\r\n\r\n"+body)
		return
	}
	splice(c, p.hosts[req.Host], "HTTP/1.1 200 Connection established\r\n\r\n")
}

// splice joins a connection to one that it opens, after saying so.
func splice(c net.Conn, to, ready string) {
	out, err := net.Dial("tcp", to)
	if err != nil {
		_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 12\r\n\r\nno such host")
		return
	}
	defer out.Close()
	_, _ = io.WriteString(c, ready)
	go func() {
		_, _ = io.Copy(out, c)
		_ = out.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, out)
}

// socksProxy is a SOCKS5 proxy that wants USER:PASSWORD, unless that is empty.
type socksProxy struct {
	auth  string
	hosts map[string]string
	reply byte
	asked atomic.Int64
}

func (p *socksProxy) serve(c net.Conn) {
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(c, b)
		return b
	}
	methods := read(int(read(2)[1]))
	method := byte(socksNoAuth)
	if p.auth != "" {
		method = socksUserPass
	}
	if !bytes.Contains(methods, []byte{method}) {
		_, _ = c.Write([]byte{5, 0xff})
		return
	}
	_, _ = c.Write([]byte{5, method})
	if method == socksUserPass {
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		if user+":"+password != p.auth {
			_, _ = c.Write([]byte{1, 1})
			return
		}
		_, _ = c.Write([]byte{1, 0})
	}
	p.asked.Add(1)
	host := ""
	switch read(4)[3] {
	case socksName:
		host = string(read(int(read(1)[0])))
	case socksIPv4:
		host = netip.AddrFrom4([4]byte(read(4))).String()
	case socksIPv6:
		host = netip.AddrFrom16([16]byte(read(16))).String()
	}
	port := read(2)
	address := join(host, uint16(port[0])<<8|uint16(port[1]))
	if p.reply != 0 {
		_, _ = c.Write([]byte{5, p.reply, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	splice(c, p.hosts[address], "\x05\x00\x00\x03\x05proxy\x00\x00")
}

// through sends some bytes through a connection and wants them back.
func through(t *testing.T, c net.Conn) {
	t.Helper()
	defer c.Close()
	sent := strings.Repeat("hello ", 10_000)
	go func() { _, _ = io.WriteString(c, sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != sent {
		t.Errorf("it came back changed: %v", err)
	}
}

func file(t *testing.T, text string) secret.Ref {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ref, err := secret.Parse("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

const login = "alice:correct horse: battery"

func TestConnectionsGoThroughTheProxy(t *testing.T) {
	origin := listening(t, echo)
	hosts := map[string]string{"api.example.com:443": origin, "10.1.2.3:443": origin, "[fd00::7]:443": origin}
	ca := newAuthority(t)
	conf := ca.server(t, "127.0.0.1", time.Now().Add(time.Hour))
	open, closed := &connectProxy{hosts: hosts}, &connectProxy{hosts: hosts, auth: login}
	secure := &connectProxy{hosts: hosts, auth: login}
	socks, locked := &socksProxy{hosts: hosts}, &socksProxy{hosts: hosts, auth: login}
	overTLS := func(c net.Conn) {
		s := tls.Server(c, conf)
		secure.serve(s)
		_ = s.Close()
	}
	t.Setenv("TEST_PROXY", "http://alice:correct%20horse%3A%20battery@"+listening(t, closed.serve))
	cases := []struct {
		name string
		conf Config
		tcp  bool // the connection is the TCP connection itself
	}{
		{"http", Config{Proxy: "http://" + listening(t, open.serve)}, true},
		{"http without saying so", Config{Proxy: listening(t, open.serve)}, true},
		{"http with a user", Config{Proxy: "http://" + listening(t, closed.serve), ProxyAuth: file(t, login)}, true},
		{"http with a user in the environment", Config{Proxy: "env:TEST_PROXY"}, true},
		{"https with a user", Config{Proxy: "https://" + listening(t, overTLS), ProxyAuth: file(t, login), CA: ca.file}, false},
		{"socks", Config{Proxy: "socks5://" + listening(t, socks.serve)}, true},
		{"socks with a user that it does not ask for", Config{Proxy: "socks5h://" + listening(t, socks.serve), ProxyAuth: file(t, login)}, true},
		{"socks with a user", Config{Proxy: "socks5://" + listening(t, locked.serve), ProxyAuth: file(t, login)}, true},
	}
	for _, c := range cases {
		for address := range hosts {
			c.conf.Default = "deny"
			n := New(Options{})
			d := dialer(t, n, c.conf, Override{}, named(address)...)
			conn, err := d.DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Errorf("%s, %s: %v", c.name, address, err)
				continue
			}
			if _, is := conn.(*net.TCPConn); is != c.tcp {
				t.Errorf("%s: a %T", c.name, conn)
			}
			through(t, conn)
			book := n.Report().Contacts
			if len(book) != 2 || book[0].Outcome != "ok" || book[1].Outcome != "ok" {
				t.Errorf("%s: the book says %+v", c.name, book)
			}
			for _, line := range book {
				if (line.Address == address) != (line.Via == d.proxy.address) || (line.Why == "proxy") != (line.Via == "") {
					t.Errorf("%s: the book says %+v", c.name, line)
				}
			}
		}
	}
}

// TestAProxysRefusalIsToldInItsOwnWords, without a credential in them.
func TestAProxysRefusalIsToldInItsOwnWords(t *testing.T) {
	answers := func(text string) func(net.Conn) { return (&connectProxy{answer: text}).serve }
	closed := &connectProxy{auth: login}
	ca := newAuthority(t)
	conf := ca.server(t, "127.0.0.1", time.Now().Add(time.Hour))
	cases := []struct {
		name, scheme string
		serve        func(net.Conn)
		auth         string
		kind         Kind
		again        bool
		says         string
	}{
		{"no credentials", "http", closed.serve, "", ProxyAuth, false, `the proxy wants credentials and says "407 Proxy Authentication Required: Access denied You sent . Ask the proxy team."`},
		{"what to do", "http", closed.serve, "", ProxyAuth, false, "set egress.proxy_auth to a reference to USER:PASSWORD"},
		{"wrong credentials, which it repeats", "http", closed.serve, "alice:wrong-pass", ProxyAuth, false, `refuses our credentials and says "407 Proxy Authentication Required: Access denied You sent Basic ***. Ask`},
		{"another scheme", "http", answers("HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM x\r\nContent-Length: 0\r\n\r\n"), "a:b", ProxyAuth, false, "it takes Negotiate, NTLM, and Basic is what there is here"},
		{"forbidden", "http", answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno models"), "", ProxyGave, false, `answers "403 Forbidden: no models"`},
		{"forbidden: what to do", "http", answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), "", ProxyGave, false, "have the proxy let this host and port pass"},
		{"bad gateway", "http", (&connectProxy{}).serve, "", ProxyGave, true, `"502 Bad Gateway: no such host"`},
		{"no HTTP", "http", answers("hello\r\n\r\n"), "", ProxyGave, true, "the proxy's answer is not HTTP"},
		{"gone", "http", func(net.Conn) {}, "", ProxyGave, true, "the proxy"},
		{"talks too early", "http", answers("HTTP/1.1 200 OK\r\n\r\nsurplus"), "", ProxyGave, true, "bytes that nobody asked for"},
		{"endless head", "http", answers("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 20_000)), "", ProxyGave, true, "is not HTTP"},
		{"control characters", "http", answers("HTTP/1.1 500 a\x1b[31mb\r\nContent-Length: 0\r\n\r\n"), "", ProxyGave, true, `"500 a[31mb"`},
		{"socks, no credentials", "socks5", (&socksProxy{auth: login}).serve, "", ProxyAuth, false, "no acceptable method"},
		{"socks, wrong credentials", "socks5", (&socksProxy{auth: login}).serve, "alice:wrong-pass", ProxyAuth, false, "refuses our credentials"},
		{"socks, not allowed", "socks5", (&socksProxy{reply: 2}).serve, "", ProxyGave, false, "not allowed by its rules"},
		{"socks, unreachable", "socks5", (&socksProxy{reply: 4}).serve, "", ProxyGave, true, "host unreachable"},
		{"socks, unknown", "socks5", (&socksProxy{reply: 99}).serve, "", ProxyGave, false, "code 99"},
		{"no socks", "socks5", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "", ProxyGave, true, "does not speak SOCKS5"},
		{"no TLS", "https", closed.serve, "", ProxyGave, false, "the proxy does not speak TLS on that port"},
		{"unknown authority", "https", func(c net.Conn) { _ = tls.Server(c, conf).Handshake() }, "", ProxyGave, false, "the proxy's certificate is not signed by an authority that is trusted here"},
	}
	for _, c := range cases {
		at := listening(t, c.serve)
		conf := Config{Proxy: c.scheme + "://" + at}
		if c.auth != "" {
			conf.ProxyAuth = file(t, c.auth)
		}
		d := dialer(t, New(Options{}), conf, Override{}, named("api.example.com:443")...)
		_, err := d.DialContext(t.Context(), "tcp", "api.example.com:443")
		e, ok := errors.AsType[*Error](err)
		switch {
		case !ok:
			t.Errorf("%s: %v", c.name, err)
			continue
		case e.Kind != c.kind || e.Again != c.again || !strings.Contains(e.Error(), c.says):
			t.Errorf("%s: %s, again %v: %s\n  want %s, %v: %s", c.name, e.Kind, e.Again, e, c.kind, c.again, c.says)
		}
		advice, ok := Explain(err)
		for _, text := range []string{err.Error(), advice.Detail, advice.Public} {
			if !ok || text == "" || strings.Contains(text, "wrong-pass") || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte("alice:wrong-pass"))) {
				t.Errorf("%s: %v tells too much or nothing: %q", c.name, ok, text)
			}
		}
		if strings.Contains(advice.Public, at) || strings.Contains(advice.Public, "api.example.com") {
			t.Errorf("%s: a caller reads %q", c.name, advice.Public)
		}
	}
}

func TestAProxyThatIsNotThereIsTheProxysFault(t *testing.T) {
	d := dialer(t, New(Options{}), Config{Proxy: "http://127.0.0.1:1"}, Override{}, named("api.example.com:443")...)
	_, err := d.DialContext(t.Context(), "tcp", "api.example.com:443")
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != ProxyGave || !e.Again || !strings.Contains(e.Error(), "the proxy cannot be reached") {
		t.Errorf("%v", err)
	}
}

// TestAProxyThatSaysNothingIsWaitedForAsLongAsTheDialMayTake.
func TestAProxyThatSaysNothingIsWaitedForAsLongAsTheDialMayTake(t *testing.T) {
	for _, scheme := range []string{"http", "https", "socks5"} {
		at := listening(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		d := dialer(t, New(Options{}), Config{Proxy: scheme + "://" + at}, Override{}, named("api.example.com:443")...)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		_, err := d.DialContext(ctx, "tcp", "api.example.com:443")
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

func TestThePolicyComesBeforeTheProxy(t *testing.T) {
	p := &connectProxy{answer: "HTTP/1.1 200 OK\r\n\r\n"}
	at := listening(t, p.serve)
	cases := []struct {
		byDefault, address string
		asked              int64
	}{
		{"deny", "api.example.com:443", 1},
		{"deny", "api.example.com:80", 0},
		{"deny", "www.example.org:443", 0},
		{"allow", "www.example.org:443", 1},
		{"allow", "169.254.169.254:80", 0},
		{"allow", "[::ffff:169.254.169.254]:80", 0},
		{"allow", "metadata.google.internal:80", 0},
		{"allow", "METADATA.google.internal.:80", 0},
		{"allow", "127.0.0.1:1", 0},
	}
	for _, c := range cases {
		before := p.asked.Load()
		d := dialer(t, New(Options{}), Config{Default: c.byDefault, Proxy: "http://" + at}, Override{}, named("api.example.com:443")...)
		conn, err := d.DialContext(t.Context(), "tcp", c.address)
		if err == nil {
			_ = conn.Close()
		}
		if n := p.asked.Load() - before; n != c.asked || (err == nil) != (c.asked > 0) {
			t.Errorf("%s, %s: the proxy was asked %d times: %v", c.byDefault, c.address, n, err)
		}
	}
}

func TestSomeHostsNeedNoProxy(t *testing.T) {
	origin := listening(t, echo)
	_, port, _ := net.SplitHostPort(origin)
	p := &connectProxy{}
	conf := Config{Proxy: "http://" + listening(t, p.serve), NoProxy: []string{"10.0.0.0/8"}}
	d := dialer(t, New(Options{}), conf, Override{}, named(origin, "localhost:"+port)...)
	for _, address := range []string{origin, "localhost:" + port} {
		c, err := d.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		through(t, c)
	}
	d = dialer(t, New(Options{}), conf, Override{Proxy: "none"}, named("10.0.0.1:1")...)
	if d.proxy != nil {
		t.Error("none is not no proxy")
	}
	if p.asked.Load() != 0 {
		t.Error("the proxy was asked")
	}
}

// TestAProxysCredentialFollowsItsFile without a restart.
func TestAProxysCredentialFollowsItsFile(t *testing.T) {
	ref := file(t, "alice:old")
	src, err := ref.Open(time.Now().Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	c := credential{source: src}
	path := strings.TrimPrefix(ref.String(), "file:")
	if err := os.WriteFile(path, []byte("alice:new"), 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if got := c.value().Reveal(); got != "alice:new" {
		t.Errorf("it is still %q", got)
	}
}

func FuzzSocksReply(f *testing.F) {
	f.Add([]byte("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x05\x01\x00\x03\x05proxy\x00\x00rest"))
	f.Add([]byte("\x05\x00\x00\x04"))
	f.Add([]byte("HTTP/1.1 400"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bytes.NewReader(raw)
		code, err := readReply(r)
		if err != nil {
			return
		}
		size := map[byte]int{1: 10, 4: 22}[raw[3]]
		if raw[3] == 3 {
			size = 7 + int(raw[4])
		}
		if read := len(raw) - r.Len(); read != size || code != raw[1] {
			t.Fatalf("%d bytes read of a reply of %d, code %d", read, size, code)
		}
	})
}

func FuzzConnectAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\ns3cr:et"))
	f.Add([]byte("HTTP/1.0 403 s3cr:et\r\n\r\n<html>s3cr:et"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := &proxy{scheme: "http", address: "p:1", auth: credential{fixed: secret.Plain("user:s3cr:et")}}
		err := p.httpConnect(&canned{Reader: bytes.NewReader(raw)}, endpoint{"h", 1})
		if err == nil {
			return
		}
		if e, ok := errors.AsType[*Error](err); !ok || len(e.Why) > mostWords+400 {
			t.Fatalf("%v", err)
		}
	})
}

// canned is a connection whose other side has said everything.
type canned struct {
	net.Conn
	io.Reader
}

func (c *canned) Read(b []byte) (int, error)  { return c.Reader.Read(b) }
func (c *canned) Write(b []byte) (int, error) { return len(b), nil }
