package h1

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// tlsUpstream is a TLS server with a certificate for example.com.
func tlsUpstream(t *testing.T, h http.Handler) (addr string, conf *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.Listener.Addr().String(), &tls.Config{RootCAs: roots, NextProtos: []string{"h2"}}
}

func secure(addr, host, body string) *Request {
	req := post(addr, body)
	req.TLS, req.Host = true, host
	return req
}

func TestTLSUpstreamIsSpokenToInHTTP11AndReused(t *testing.T) {
	addr, conf := tlsUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Proto", r.Proto)
		w.Header().Set("X-Name", r.TLS.ServerName)
		_, _ = w.Write(b)
	}))
	c := newClient(t, Options{TLS: conf})
	for i, size := range []int{1, 5000, 50_000, 300_000} {
		sent := strings.Repeat("x", size)
		r, body := fetch(t, c, secure(addr, "example.com:443", sent))
		if body != sent || r.Header.Get("x-proto") != "HTTP/1.1" || r.Header.Get("x-name") != "example.com" {
			t.Errorf("%d bytes: got %d, %v %v", size, len(body), r.Header.Get("x-proto"), r.Header.Get("x-name"))
		}
		if r.Timing.Reused != (i > 0) || (r.Timing.TLS > 0) != (i == 0) {
			t.Errorf("request %d: %+v", i, r.Timing)
		}
	}
	if conf.NextProtos[0] != "h2" {
		t.Error("the caller's TLS config was changed")
	}
}

func TestConnectionIsSharedOnlyWithinAServerName(t *testing.T) {
	addr, conf := tlsUpstream(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	c := newClient(t, Options{TLS: conf})
	fetch(t, c, secure(addr, "example.com", "x"))
	_, err := c.Do(t.Context(), secure(addr, "other.test", "x"))
	e, ok := errors.AsType[*Error](err)
	if _, isName := errors.AsType[x509.HostnameError](err); !ok || e.Phase != PhaseTLS || !isName {
		t.Errorf("a connection for another name was used: %v", err)
	}
}

func TestServerNameIsTheHostWithoutPortAndBrackets(t *testing.T) {
	for host, want := range map[string]string{
		"a.example": "a.example", "a.example:443": "a.example",
		"[::1]": "::1", "[::1]:443": "::1", "127.0.0.1:1": "127.0.0.1",
	} {
		if got := serverName(host); got != want {
			t.Errorf("serverName(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestBytesInTheTLSLayerCostTheConnection(t *testing.T) {
	dials := 0
	next := make(chan struct{})
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: cert.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				close(next)
				return
			}
			dials++
			// One record holds the response and a second one behind it.
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, okReply[:len(okReply)-1])
			_, _ = io.WriteString(c, "iHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			_ = c.(*tls.Conn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	c := New(Options{TLS: &tls.Config{InsecureSkipVerify: true}})
	for range 2 {
		r, body := fetch(t, c, secure(ln.Addr().String(), "example.com", "x"))
		if r.Timing.Reused || body != "hi" {
			t.Errorf("reused %v, body %q", r.Timing.Reused, body)
		}
	}
	_ = ln.Close()
	<-next
	if dials != 2 {
		t.Errorf("%d dials, want 2", dials)
	}
}

func TestEarlyRefusalOverTLSIsSurfaced(t *testing.T) {
	addr, conf := tlsUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "big")
	}))
	c := newClient(t, Options{TLS: conf})
	req := secure(addr, "example.com", strings.Repeat("x", 8<<20))
	req.HeadDeadline = time.Now().Add(20 * time.Second)
	r, err := c.Do(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); r.Status != 413 || string(b) != "big" || err != nil {
		t.Errorf("status %d, %q, %v", r.Status, b, err)
	}
	_ = r.Close()
}

func TestTLSConnectionClosedWhileIdleIsReplaced(t *testing.T) {
	conns := make(chan net.Conn, 4)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(c net.Conn, st http.ConnState) {
		if st == http.StateIdle {
			conns <- c
		}
	}
	s.StartTLS()
	defer s.Close()
	c := newClient(t, Options{TLS: &tls.Config{InsecureSkipVerify: true}})
	fetch(t, c, secure(s.Listener.Addr().String(), "example.com", "x"))
	_ = (<-conns).Close()
	if r, _ := fetch(t, c, secure(s.Listener.Addr().String(), "example.com", "y")); r.Timing.Reused {
		t.Error("reused a closed connection")
	}
}
