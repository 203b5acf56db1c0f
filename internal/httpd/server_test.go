package httpd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start serves s on loopback until the test ends.
func start(t testing.TB, s *Server) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.ErrorLog == nil {
		s.ErrorLog = quiet()
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
		if err := <-done; err != http.ErrServerClosed {
			t.Error("Serve returned", err)
		}
	})
	return ln.Addr().String()
}

// talk sends raw bytes and returns everything that comes back until the end.
func talk(t testing.TB, addr, raw string) string {
	t.Helper()
	c := dial(t, addr)
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// dateless takes out the Date field, whose value is of no interest.
func dateless(s string) string {
	var out []string
	for line := range strings.SplitSeq(s, "\r\n") {
		if !strings.HasPrefix(line, "Date: ") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\r\n")
}

const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

func TestResponsesAreFramedByWhatIsKnown(t *testing.T) {
	big := strings.Repeat("x", 10_000)
	typed := func(w http.ResponseWriter) { w.Header()["Content-Type"] = nil }
	for _, tc := range []struct {
		name, request, want string
		handler             func(http.ResponseWriter, *http.Request)
	}{
		{"nothing written", get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", func(http.ResponseWriter, *http.Request) {}},
		{"small", get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			_, _ = io.WriteString(w, "hi")
		}},
		{"guessed type", get, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n\r\n<html>", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html>")
		}},
		{"flushed", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\nyou\r\n0\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			_, _ = io.WriteString(w, "hi")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "you")
		}},
		{"flushed with a length", get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhiyou", func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "hi")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "you")
		}},
		{"large", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n" + "hi" + big[2:] + "\r\n0\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			_, _ = io.WriteString(w, "hi")
			_, _ = io.WriteString(w, big[2:])
		}},
		{"large with a length", get, "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + big, func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			w.Header().Set("Content-Length", "10000")
			_, _ = w.Write([]byte(big))
		}},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nhi" + big, func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			_, _ = io.WriteString(w, "hi")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, big)
		}},
		{"HTTP/1.0 kept alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			_, _ = io.WriteString(w, "hi")
		}},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			_, _ = io.WriteString(w, "hi")
		}},
		{"204", get, "HTTP/1.1 204 No Content\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			if _, err := io.WriteString(w, "hi"); err != http.ErrBodyNotAllowed {
				panic(err)
			}
		}},
		{"early hints", get, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nLink: x\r\nContent-Length: 0\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "x")
			w.WriteHeader(103)
		}},
		{"injection", get, "HTTP/1.1 200 OK\r\nX: a  b: c d\r\nContent-Length: 0\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", "a\r\nb: c\x00d\r\n")
			w.Header()["Y: z\r\nY"] = []string{"1"}
			w.Header()["content-length"] = []string{"7"}
		}},
		{"change after the head is settled", get, "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 0\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", "1")
			w.WriteHeader(200)
			w.Header().Set("X", "2")
			w.WriteHeader(500)
		}},
		{"asked to close", get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
		}},
		{"more than declared", get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "hi")
			if _, err := io.WriteString(w, "more"); err != http.ErrContentLength {
				panic(err)
			}
		}},
		{"less than declared", get + get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			w.Header().Set("Content-Length", "3")
			_, _ = io.WriteString(w, "hi")
		}},
		{"aborted", get + get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			_, _ = io.WriteString(w, "hi")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "lost")
			panic(http.ErrAbortHandler)
		}},
		{"long head", get, "HTTP/1.1 200 OK\r\nX: " + big + "\r\nContent-Length: 2\r\n\r\nhi", func(w http.ResponseWriter, _ *http.Request) {
			typed(w)
			w.Header().Set("X", big)
			_, _ = io.WriteString(w, "hi")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := start(t, &Server{Handler: http.HandlerFunc(tc.handler)})
			if got := dateless(talk(t, addr, tc.request)); got != tc.want {
				t.Errorf("got  %q\nwant %q", cut120(got), cut120(tc.want))
			}
		})
	}
}

func cut120(s string) string {
	if len(s) > 400 {
		return s[:200] + "..." + s[len(s)-100:]
	}
	return s
}

// countedConn counts what is written, call by call.
type countedConn struct {
	net.Conn
	mu     sync.Mutex
	writes []string
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.writes = append(c.writes, string(p))
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// oneConn is a listener of one connection.
type oneConn struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func listenOne(c net.Conn) *oneConn {
	l := &oneConn{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- c
	return l
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *oneConn) Close() error { l.once.Do(func() { close(l.done) }); return nil }
func (*oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// inBubble runs client against s over a pipe in virtual time.
func inBubble(t *testing.T, s *Server, client func(*testing.T, net.Conn, *bufio.Reader)) (writes []string) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		counted := &countedConn{Conn: far}
		if s.ErrorLog == nil {
			s.ErrorLog = quiet()
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(listenOne(counted)) }()
		client(t, near, bufio.NewReader(near))
		_ = near.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-served
		writes = counted.writes
	})
	return writes
}

func TestEachAnswerAndEachFlushIsOneWrite(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "x/y")
		if r.URL.Path == "/small" {
			_, _ = w.Write([]byte("all"))
			return
		}
		for i := range 3 {
			fmt.Fprintf(w, "event %d", i)
			w.(http.Flusher).Flush()
		}
	}
	writes := inBubble(t, &Server{Handler: http.HandlerFunc(h)}, func(t *testing.T, c net.Conn, br *bufio.Reader) {
		for _, path := range []string{"/small", "/stream"} {
			go func() { _, _ = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n") }()
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		}
	})
	for i, w := range writes {
		writes[i] = dateless(w)
	}
	want := []string{
		"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\nContent-Length: 3\r\n\r\nall",
		"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nevent 0\r\n",
		"7\r\nevent 1\r\n", "7\r\nevent 2\r\n", "0\r\n\r\n",
	}
	if !slices.Equal(writes, want) {
		t.Errorf("writes %q\nwant   %q", writes, want)
	}
}

func TestTimeouts(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) || r.Context().Err() != nil {
				panic(fmt.Sprint(err, r.Context().Err()))
			}
			w.WriteHeader(408)
		}
	})
	for _, tc := range []struct {
		name, send string
		after      time.Duration // until the end
		status     int
	}{
		{"nothing is sent", "", 10 * time.Second, 0},
		{"head is not completed", "GET / HTTP/1.1\r\nHost:", 10 * time.Second, 0},
		{"next request does not come", get, time.Minute, 200},
		{"body does not come", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab", 8 * time.Second, 408}, // 3 of the handler, 5 of draining
		{"chunk does not come", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 8 * time.Second, 408},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
			inBubble(t, s, func(t *testing.T, c net.Conn, br *bufio.Reader) {
				begin := time.Now()
				_, _ = io.WriteString(c, tc.send)
				if tc.status != 0 {
					resp, err := http.ReadResponse(br, nil)
					if err != nil || resp.StatusCode != tc.status {
						t.Fatal(resp, err)
					}
				}
				if _, err := io.Copy(io.Discard, br); err != nil {
					t.Error(err)
				}
				if d := time.Since(begin); d != tc.after {
					t.Errorf("closed after %v, want %v", d, tc.after)
				}
			})
		})
	}
}

func TestContinueIsSentWhenTheBodyIsRead(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/read" {
			b, _ := io.ReadAll(r.Body)
			_, _ = w.Write(b)
		}
	})
	const head = " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	inBubble(t, &Server{Handler: h}, func(t *testing.T, c net.Conn, br *bufio.Reader) {
		_, _ = io.WriteString(c, "POST /read"+head)
		line, _ := br.ReadString('\n')
		if line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatal(line)
		}
		_, _ = br.ReadString('\n')
		_, _ = io.WriteString(c, "hello")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "hello" || resp.Close {
			t.Errorf("%q, close %v", b, resp.Close)
		}
		_, _ = io.WriteString(c, "POST /ignore"+head)
		if resp, err = http.ReadResponse(br, nil); err != nil || !resp.Close {
			t.Fatal(resp, err)
		}
	})
}

func TestHTTP2IsHandedOver(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })
	ln := NewHandover(&net.TCPAddr{})
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	two := &http.Server{Handler: h, Protocols: &protocols}
	served := make(chan error, 1)
	go func() { served <- two.Serve(ln) }()
	defer func() {
		_ = two.Close()
		<-served
	}()
	addr := start(t, &Server{Handler: h, HTTP2: ln.Give})
	for _, want := range []string{"HTTP/1.1", "HTTP/2.0"} {
		var p http.Protocols
		p.SetHTTP1(want == "HTTP/1.1")
		p.SetUnencryptedHTTP2(want == "HTTP/2.0")
		tr := &http.Transport{Protocols: &p}
		resp, err := (&http.Client{Transport: tr}).Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		tr.CloseIdleConnections()
		if string(b) != want {
			t.Errorf("served by %s, want %s", b, want)
		}
	}
	_ = ln.Close()
	near, far := net.Pipe()
	ln.Give(far)
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Error("a connection that nobody accepts stays open:", err)
	}
	if _, err := ln.Accept(); err != net.ErrClosed {
		t.Error(err)
	}
}
