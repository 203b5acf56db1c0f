package httpd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

func TestShutdownWaitsForRequestsAndClosesIdleConnections(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	s := &Server{ErrorLog: quiet(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-release
		}
		fmt.Fprint(w, "done")
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	idle, slow := dial(t, ln.Addr().String()), dial(t, ln.Addr().String())
	_, _ = io.WriteString(idle, get)
	br := bufio.NewReader(idle)
	if _, err := http.ReadResponse(br, nil); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	<-begun
	expired, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(expired); err != context.Canceled {
		t.Error("a request runs, and Shutdown returned", err)
	}
	if err := <-served; err != http.ErrServerClosed {
		t.Error(err)
	}
	if b, err := io.ReadAll(br); err != nil || string(b) != "done" {
		t.Errorf("idle connection: %q %v", b, err)
	}
	close(release)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	all, _ := io.ReadAll(slow)
	if !bytes.Contains(all, []byte("Connection: close")) || !bytes.HasSuffix(all, []byte("done")) {
		t.Errorf("%q", all)
	}
	if err := s.Serve(ln); err != http.ErrServerClosed {
		t.Error("Serve after Shutdown:", err)
	}
}

func TestCloseEndsRunningRequests(t *testing.T) {
	begun, over := make(chan struct{}), make(chan struct{})
	s := &Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(over)
	})}
	addr := start(t, s)
	_, _ = io.WriteString(dial(t, addr), get)
	<-begun
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-over
}

// TestAnInterruptedRequestCanStillAnswer, and those that come later are left alone.
func TestAnInterruptedRequestCanStillAnswer(t *testing.T) {
	begun := make(chan struct{})
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			fmt.Fprint(w, r.Context().Err())
			return
		}
		close(begun)
		<-r.Context().Done()
		fmt.Fprint(w, "sorry")
	})}
	c := dial(t, start(t, s))
	in := bufio.NewReader(c)
	for i, path := range []string{"/slow", "/"} {
		_, _ = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
		if i == 0 {
			<-begun
			s.Interrupt()
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != []string{"sorry", "<nil>"}[i] {
			t.Errorf("%s: %q %v", path, body, err)
		}
		s.Interrupt() // nothing runs
	}
}
