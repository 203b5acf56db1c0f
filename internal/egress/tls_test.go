package egress

import (
	"bufio"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secureServer is an HTTPS server; it answers with the name of the client
// certificate.
func secureServer(t *testing.T, conf *tls.Config) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if certs := r.TLS.PeerCertificates; len(certs) > 0 {
			_, _ = io.WriteString(w, certs[0].Subject.CommonName)
		}
	}))
	s.TLS = conf
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// ask fetches a page over a TLS connection, as the HTTP/1.1 client makes it.
func ask(t *testing.T, c Config, o Override, address string) (string, error) {
	t.Helper()
	d := dialer(t, New(Options{}), c, o, named(address)...)
	raw, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return "", err
	}
	defer raw.Close()
	conf := d.TLS()
	if conf.ServerName == "" {
		conf.ServerName = host(address)
	}
	conn := tls.Client(raw, conf)
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestAHandshakeThatFailsIsToldInWords(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	soon := time.Now().Add(time.Hour)
	good := secureServer(t, ca.server(t, "127.0.0.1", soon))
	wants := func(version uint16) *httptest.Server {
		conf := ca.server(t, "127.0.0.1", soon)
		conf.ClientAuth, conf.ClientCAs, conf.MaxVersion = tls.RequireAndVerifyClientCert, ca.pool(), version
		return secureServer(t, conf)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	mutual, older := wants(tls.VersionTLS13), wants(tls.VersionTLS12)
	cert, foreign := ca.issue(t, "gateway", soon), other.issue(t, "stranger", soon)
	cases := []struct {
		name   string
		conf   Config
		o      Override
		server *httptest.Server
		public string // empty: it goes well
		detail string
	}{
		{"an authority that nobody knows", Config{}, Override{}, good, "not signed by an authority that is trusted here", "add the authority's certificate with egress.ca"},
		{"the authority of the file", Config{CA: ca.file}, Override{}, good, "", ""},
		{"the authority of the target", Config{CA: other.file}, Override{CA: "file:" + ca.file}, good, "", ""},
		{"another one", Config{CA: ca.file}, Override{CA: other.file}, good, "not signed by an authority", "egress.ca"},
		{"another name", Config{CA: ca.file}, Override{ServerName: "models.test"}, good, "for another name", "egress.server_name"},
		{"the name that it has", Config{CA: ca.file}, Override{ServerName: "models.test"}, secureServer(t, ca.server(t, "models.test", soon)), "", ""},
		{"expired", Config{CA: ca.file}, Override{}, secureServer(t, ca.server(t, "127.0.0.1", time.Now().Add(-time.Minute))), "not valid at this time", "set this machine's clock"},
		{"no TLS", Config{}, Override{}, plain, "does not speak TLS", "write http:// in its url"},
		{"no client certificate", Config{CA: ca.file}, Override{}, mutual, "wants a client certificate", "egress.client_cert"},
		{"no client certificate, TLS 1.2", Config{CA: ca.file}, Override{}, older, "wants a client certificate", "egress.client_cert"},
		{"a client certificate", Config{CA: ca.file, ClientCert: cert}, Override{}, mutual, "", ""},
		{"a client certificate of the target", Config{CA: ca.file, ClientCert: foreign}, Override{ClientCert: cert}, older, "", ""},
		{"a stranger's", Config{CA: ca.file, ClientCert: foreign}, Override{}, mutual, "does not accept the client certificate", "have their authority trusted there"},
	}
	for _, c := range cases {
		body, err := ask(t, c.conf, c.o, c.server.Listener.Addr().String())
		if c.public == "" {
			if err != nil || c.conf.ClientCert != (ClientCert{}) && body != "gateway" {
				t.Errorf("%s: %q, %v", c.name, body, err)
			}
			continue
		}
		advice, ok := Explain(err)
		if !ok || !strings.Contains(advice.Public, c.public) || !strings.Contains(advice.Detail, c.detail) || advice.Again {
			t.Errorf("%s: %+v for %v", c.name, advice, err)
		}
		if strings.Contains(advice.Public, "127.0.0.1") {
			t.Errorf("%s: a caller reads %q", c.name, advice.Public)
		}
	}
}

// TestAClientCertificateFollowsItsFiles: a rotation takes effect at the next
// handshake, and one that is half done keeps the old pair.
func TestAClientCertificateFollowsItsFiles(t *testing.T) {
	ca := newAuthority(t)
	soon := time.Now().Add(time.Hour)
	conf := ca.server(t, "127.0.0.1", soon)
	conf.ClientAuth, conf.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool()
	conf.SessionTicketsDisabled = true
	server := secureServer(t, conf)
	files := ca.issue(t, "first", soon)
	client := dialer(t, New(Options{}), Config{CA: ca.file, ClientCert: files}, Override{}, named(server.Listener.Addr().String())...).HTTPClient("test")
	second := ca.issue(t, "second", soon)
	stamp := time.Now()
	put := func(from, to string) {
		raw, err := readFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path(to), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		stamp = stamp.Add(time.Second)
		if err := os.Chtimes(path(to), stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name   string
		change func()
		want   string
	}{
		{"as it was", func() {}, "first"},
		{"the certificate alone", func() { put(second.Cert, files.Cert) }, "first"},
		{"both", func() { put(second.Key, files.Key) }, "second"},
		{"gone", func() { _ = os.Remove(files.Cert) }, "second"},
	} {
		step.change()
		resp, err := client.Get(server.URL)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		client.CloseIdleConnections()
		if string(body) != step.want {
			t.Errorf("%s: the server saw %q, want %q", step.name, body, step.want)
		}
	}
}

func TestEqualWaysAreEqual(t *testing.T) {
	ca := newAuthority(t)
	t.Setenv("TEST_PROXY", "http://u:p@proxy.test:3128")
	t.Setenv("TEST_NO_PROXY", "a.test,10.0.0.0/8")
	base := Config{Proxy: "env:TEST_PROXY", NoProxy: []string{"env:TEST_NO_PROXY"}, CA: ca.file, SourceAddress: "10.0.0.7"}
	way := func(c Config, o Override) Way {
		t.Helper()
		w, err := NewWay(c, o)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	one := way(base, Override{})
	same := base
	same.Allow, same.Default = []string{"x:1"}, "deny" // the policy is not part of the way
	if two := way(same, Override{Address: "10.0.0.1:1", CA: "file:" + ca.file}); two != one {
		t.Errorf("%+v is not %+v", two, one)
	}
	for i, o := range []Override{{Proxy: "none"}, {Proxy: "http://proxy.test:3128"}, {ServerName: "x"}, {SourceAddress: "10.0.0.8"}, {NoProxy: []string{"b.test"}}, {CA: newAuthority(t).file}} {
		if way(base, o) == one {
			t.Errorf("override %d makes no difference", i)
		}
	}
	// Another proxy is not shown the credential of the file's own.
	base.ProxyAuth = file(t, login)
	if w := way(base, Override{Proxy: "http://other.test:1"}); !w.auth.IsZero() || !w.user.IsZero() {
		t.Error("the other proxy would be shown the credential")
	}
}

func TestWhatCannotBeReadIsToldByItsField(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_BAD_PROXY", "ftp://u:hunter2@h")
	ca := newAuthority(t)
	a, b := ca.issue(t, "a", time.Now().Add(time.Hour)), ca.issue(t, "b", time.Now().Add(time.Hour))
	cases := []struct {
		conf  Config
		field string
		says  string
	}{
		{Config{Proxy: "env:TEST_NOT_SET"}, "proxy", "TEST_NOT_SET is not set"},
		{Config{Proxy: "env:TEST_BAD_PROXY"}, "proxy", "what env:TEST_BAD_PROXY holds is not the address of a proxy"},
		{Config{Proxy: "http://p:1", NoProxy: []string{"env:TEST_NOT_SET"}}, "no_proxy", "is not set"},
		{Config{CA: filepath.Join(dir, "nosuch")}, "ca", "no such file"},
		{Config{CA: "file:" + empty}, "ca", "holds no PEM certificate"},
		{Config{ClientCert: ClientCert{a.Cert, b.Key}}, "client_cert", "private key does not match"},
		{Config{ClientCert: ClientCert{a.Cert, a.Cert}}, "client_cert", "private key"},
	}
	for _, c := range cases {
		var told []string
		c.conf.Resolve(func(field string, err error) { told = append(told, field+": "+err.Error()) })
		if len(told) != 1 || !strings.HasPrefix(told[0], c.field+": ") || !strings.Contains(told[0], c.says) {
			t.Errorf("%+v: %v", c.conf, told)
		}
		_, err := NewWay(c.conf, Override{})
		if err == nil || !strings.Contains(err.Error(), "egress."+c.field) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %v", c.conf, err)
		}
	}
}

func TestTheConfigIsValidated(t *testing.T) {
	cases := []struct {
		conf Config
		want string
	}{
		{Config{}, ""},
		{Config{Default: "deny", Allow: []string{"a:1", "10.0.0.0/8"}, Proxy: "socks5://p:1080", ProxyAuth: file(t, login), NoProxy: []string{"*"}, SourceAddress: "::1", ClientCert: ClientCert{"/a", "/b"}}, ""},
		{Config{Proxy: "env:HTTPS_PROXY", NoProxy: []string{"env:NO_PROXY"}}, ""},
		{Config{Default: "maybe"}, `egress.default: "maybe" is not a choice`},
		{Config{Allow: []string{"a:1", "b"}}, `egress.allow[1]: "b" does not say which host and port`},
		{Config{Proxy: "ftp://x"}, "egress.proxy: this is not the address of a proxy"},
		{Config{Proxy: "http://u:hunter2@p"}, "egress.proxy: the address contains a user name or password; name them with proxy_auth"},
		{Config{ProxyAuth: file(t, login)}, "egress.proxy_auth: there is no proxy that it is for"},
		{Config{NoProxy: []string{"a b"}}, "egress.no_proxy[0]"},
		{Config{ClientCert: ClientCert{Cert: "/a"}}, "egress.client_cert: a client certificate is two files"},
		{Config{SourceAddress: "eth0"}, `egress.source_address: "eth0" is not an IP address`},
	}
	for _, c := range cases {
		var told []string
		c.conf.Validate(func(path, wrong, right string) { told = append(told, path+": "+wrong+"; "+right) })
		if got := strings.Join(told, "\n"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) || strings.Contains(got, "hunter2") {
			t.Errorf("%+v: %s\n  want %s", c.conf, got, c.want)
		}
	}
	var told []string
	Override{Address: "a b", ServerName: "x:1", Proxy: "none", ProxyAuth: file(t, login)}.Validate("targets.t.egress", func(path, _, _ string) { told = append(told, path) })
	if want := "targets.t.egress.address targets.t.egress.server_name targets.t.egress.proxy_auth"; strings.Join(told, " ") != want {
		t.Errorf("%v", told)
	}
}

func TestAnAddressMayHaveItsOwnPort(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1": "10.0.0.1:443", "10.0.0.1:8443": "10.0.0.1:8443", "fd00::1": "[fd00::1]:443", "[fd00::1]": "[fd00::1]:443",
		"[fd00::1]:1": "[fd00::1]:1", "private.test": "private.test:443", "private.test:1": "private.test:1",
	} {
		if got, err := WithPort(text, "443"); got != want || err != nil {
			t.Errorf("%s is %s, want %s: %v", text, got, want, err)
		}
	}
	for _, bad := range []string{"", "a:0", "a b", "http://a", "a/b", "u@h", ":80"} {
		if got, err := WithPort(bad, "443"); err == nil {
			t.Errorf("%q is taken as %s", bad, got)
		}
	}
}

// TestReachTellsTheWay to what a config names.
func TestReachTellsTheWay(t *testing.T) {
	c := Config{Proxy: "http://proxy.test:3128", NoProxy: []string{".internal"}}
	cases := []struct {
		o    Override
		want string
	}{
		{Override{}, "api.test:443 via proxy.test:3128, models.internal:80, proxy.test:3128"},
		{Override{Proxy: "none"}, "api.test:443, models.internal:80"},
		{Override{NoProxy: []string{"*"}}, "api.test:443, models.internal:80"},
		{Override{Proxy: "env:TEST_NOT_SET"}, "api.test:443 via env:TEST_NOT_SET, models.internal:80, env:TEST_NOT_SET"},
		{Override{Proxy: "socks5://s.test"}, "api.test:443 via s.test:1080, models.internal:80, s.test:1080"},
	}
	for _, tc := range cases {
		var got []string
		for _, d := range c.Reach(tc.o, named("api.test:443", "models.internal:80")) {
			text := d.Address
			if d.Via != "" {
				text += " via " + d.Via
			}
			got = append(got, text)
		}
		if strings.Join(got, ", ") != tc.want {
			t.Errorf("%+v: %v, want %s", tc.o, got, tc.want)
		}
	}
}
