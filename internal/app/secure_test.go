package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tailplane/internal/gateway"
	"tailplane/internal/secret"
)

// issued is a certificate with its key as PEM, signed by itself.
type issued struct {
	cert, key string
	pair      tls.Certificate
}

func issue(t *testing.T, name string) issued {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	raw := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	i := issued{
		cert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})),
		key:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})),
	}
	i.pair = must(tls.X509KeyPair([]byte(i.cert), []byte(i.key)))
	return i
}

func place(t *testing.T, path, text string) secret.Ref {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return must(secret.Parse("file:" + path))
}

func TestACertificateIsFollowed(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	one, two := issue(t, "one"), issue(t, "two")
	told := 0
	m := &material{
		name: "data", log: slog.New(slog.DiscardHandler), changed: func() { told++ },
		refs: gateway.TLS{Cert: place(t, at("cert"), one.cert), Key: place(t, at("key"), one.key), ClientCA: place(t, at("ca"), one.cert)},
	}
	if err := m.open(); err != nil {
		t.Fatal(err)
	}
	now, first := time.Now(), m.key()
	steps := []struct {
		name   string
		change func()
		after  time.Duration
		want   string
		told   int
	}{
		{"as it was", func() {}, 2 * time.Second, "one", 0},
		{"the certificate alone", func() { place(t, at("cert"), two.cert) }, 2 * time.Second, "one", 0},
		{"both, too soon", func() { place(t, at("key"), two.key) }, time.Second / 2, "one", 0},
		{"both", func() {}, time.Second, "two", 1},
		{"gone", func() { _ = os.Remove(at("key")) }, 2 * time.Second, "two", 1},
		{"no authority", func() { place(t, at("key"), two.key); place(t, at("ca"), "x") }, 2 * time.Second, "two", 1},
	}
	for _, s := range steps {
		s.change()
		now = now.Add(s.after)
		conf := m.current(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, now)
		if got := conf.Certificates[0].Leaf.Subject.CommonName; got != s.want || told != s.told || conf.ClientAuth != tls.RequireAndVerifyClientCert {
			t.Errorf("%s: %s is served, told %d times", s.name, got, told)
		}
	}
	if m.key() == first {
		t.Error("the key that is told has not changed")
	}
	m.here = true
	for ip, want := range map[string]tls.ClientAuthType{"127.0.0.1": tls.VerifyClientCertIfGiven, "::1": tls.VerifyClientCertIfGiven, "10.0.0.1": tls.RequireAndVerifyClientCert} {
		if got := m.current(&net.TCPAddr{IP: net.ParseIP(ip)}, now).ClientAuth; got != want {
			t.Errorf("from %s: %v, want %v", ip, got, want)
		}
	}
	m.refs.Key = must(secret.Parse("file:" + at("nosuch")))
	if err := m.open(); err == nil || !strings.Contains(err.Error(), "listen.data.tls") {
		t.Errorf("%v", err)
	}
}

// TestAProgramWithTLS: both listeners, both protocols, and who comes with a
// certificate.
func TestAProgramWithTLS(t *testing.T) {
	dir := t.TempDir()
	own := issue(t, "gateway.test")
	place(t, filepath.Join(dir, "cert"), own.cert)
	place(t, filepath.Join(dir, "key"), own.key)
	tlsOf := "tls: {cert: file:" + filepath.Join(dir, "cert") + ", key: file:" + filepath.Join(dir, "key") + ", client_ca: file:" + filepath.Join(dir, "cert") + ", client: request}"
	path := filepath.Join(dir, "f.yaml")
	place(t, path, "listen:\n  data: {"+tlsOf+"}\n  admin: {"+strings.Replace(tlsOf, "request", "require", 1)+"}\n  hosts: [gateway.test]\ntargets:\n  s: {kind: sim}\n")
	r := serving(t, Options{Config: path, NoWatch: true})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(own.cert))
	ask := func(address, host, path, bearer string, h2 bool, certs ...tls.Certificate) (string, string) {
		t.Helper()
		tr := &http.Transport{ForceAttemptHTTP2: h2, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "gateway.test", Certificates: certs}}
		req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+path, nil))
		req.Host = host
		req.Header.Set("Authorization", "Bearer "+bearer)
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		defer resp.Body.Close()
		return resp.Proto + " " + resp.Status, string(must(io.ReadAll(resp.Body)))
	}
	cases := []struct {
		name, address, host, path, bearer string
		h2                                bool
		want                              string
	}{
		{"the API", r.data.Addr().String(), "gateway.test", "/v1/models", r.key, false, "HTTP/1.1 200 OK"},
		{"the API by HTTP/2", r.data.Addr().String(), "gateway.test", "/v1/models", r.key, true, "HTTP/2.0 200 OK"},
		{"admin", r.admin.Addr().String(), "gateway.test", "/admin/v1/status", r.token.Reveal(), false, "HTTP/1.1 200 OK"},
		{"admin by HTTP/2", r.admin.Addr().String(), "gateway.test", "/admin/v1/status", r.token.Reveal(), true, "HTTP/2.0 200 OK"},
		{"admin by another name", r.admin.Addr().String(), "evil.test", "/admin/v1/status", r.token.Reveal(), false, "HTTP/1.1 403 Forbidden"},
		{"admin without a token", r.admin.Addr().String(), "gateway.test", "/admin/v1/status", "x", false, "HTTP/1.1 401 Unauthorized"},
	}
	for _, c := range cases {
		if got, body := ask(c.address, c.host, c.path, c.bearer, c.h2); got != c.want {
			t.Errorf("%s: %s %s, want %s", c.name, got, body, c.want)
		}
	}
	where, _, err := FindRunning(r.opt.State)
	if err != nil || where.DataKey == "" || where.DataKey != where.AdminKey || where.AdminKey != r.adminTLS.key() {
		t.Errorf("%+v, %v", where, err)
	}
	if !strings.Contains(r.out.String(), "API      https://127.0.0.1:") {
		t.Errorf("the banner says\n%s", r.out)
	}
	if got, want := r.adminURL(), "https://gateway.test:"; !strings.HasPrefix(got, want) {
		t.Errorf("links lead to %s, want %s", got, want)
	}
	r.stop(t)
}
