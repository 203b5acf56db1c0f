package httpd

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// certificate is one for localhost, signed by itself, and who trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}, pool
}

// encrypted serves over TLS, with net/http's server for HTTP/2 where two is set.
func encrypted(t *testing.T, two bool) (address string, cert tls.Certificate, pool *x509.CertPool, gone chan struct{}) {
	t.Helper()
	gone = make(chan struct{}, 1)
	cert, pool = certificate(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" { // until the client leaves
			<-r.Context().Done()
			gone <- struct{}{}
			return
		}
		if r.URL.Path == "/slow" { // until the watch has begun to read
			w.(http.Flusher).Flush()
			time.AfterFunc(2*watchAfter, func() { gone <- struct{}{} })
			<-gone
		}
		peer := "nobody"
		if r.TLS == nil {
			http.Error(w, "no TLS", http.StatusInternalServerError)
			return
		}
		if len(r.TLS.VerifiedChains) > 0 {
			peer = r.TLS.VerifiedChains[0][0].Subject.CommonName
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Proto+" "+peer+" "+string(body))
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if two {
		handover := NewHandover(ln.Addr())
		s.HTTP2 = handover.Give
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		protocols.SetHTTP2(true)
		h2 := &http.Server{Handler: handler, Protocols: &protocols}
		go func() { _ = h2.Serve(handover) }()
		t.Cleanup(func() { _ = h2.Close() })
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	done := make(chan error, 1)
	go func() { done <- s.Serve(tls.NewListener(ln, conf)) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return ln.Addr().String(), cert, pool, gone
}

func TestTLSIsServed(t *testing.T) {
	address, cert, pool, _ := encrypted(t, true)
	cases := []struct {
		name string
		h2   bool
		cert []tls.Certificate
		want string
	}{
		{"HTTP/1.1", false, nil, "HTTP/1.1 nobody "},
		{"HTTP/2", true, nil, "HTTP/2.0 nobody "},
		{"HTTP/1.1 with a certificate", false, []tls.Certificate{cert}, "HTTP/1.1 test "},
		{"HTTP/2 with a certificate", true, []tls.Certificate{cert}, "HTTP/2.0 test "},
	}
	for _, c := range cases {
		tr := &http.Transport{ForceAttemptHTTP2: c.h2, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: c.cert}}
		for range 3 { // on one connection
			long := strings.Repeat("x", 100_000)
			resp, err := (&http.Client{Transport: tr}).Post("https://"+address+"/", "text/plain", strings.NewReader(long))
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || string(body) != c.want+long {
				t.Errorf("%s: %d bytes, %v, beginning with %.40q", c.name, len(body), err, body)
			}
		}
		tr.CloseIdleConnections()
	}
}

// TestWhatIsNotAgreedOnIsNotServed: HTTP/2 without ALPN, HTTP/2 where nobody
// takes it, and no TLS at all.
func TestWhatIsNotAgreedOnIsNotServed(t *testing.T) {
	address, _, pool, _ := encrypted(t, true)
	dial := func(address string, protos ...string) (*tls.Conn, error) {
		return tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: protos})
	}
	conn, err := dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, preface); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("HTTP/2 without ALPN: %v, %v", resp, err)
	}
	plain, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	_, _ = io.WriteString(plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	raw, _ := io.ReadAll(plain)
	if strings.Contains(string(raw), "nobody") {
		t.Errorf("without TLS: %q", raw)
	}
	address, _, pool, _ = encrypted(t, false)
	conn, err = dial(address, "h2")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("HTTP/2 is answered where nobody takes it")
	}
}

// TestAClientThatLeavesIsNoticedOverTLS, and the watch for it costs the connection
// nothing.
func TestAClientThatLeavesIsNoticedOverTLS(t *testing.T) {
	address, _, pool, gone := encrypted(t, false)
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for range 3 {
		if _, err := io.WriteString(conn, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "HTTP/1.1 nobody " {
			t.Fatalf("%q, %v", body, err)
		}
	}
	if _, err := io.WriteString(conn, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Error("the handler does not hear that its client left")
	}
}

// TestAHandshakeThatHangsEnds: it is bounded like a head, and a stop does not
// wait for it.
func TestAHandshakeThatHangsEnds(t *testing.T) {
	cert, _ := certificate(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: 50 * time.Millisecond}
	done := make(chan error, 1)
	go func() { done <- s.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("the server's end: %v", err)
	}
	other, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
