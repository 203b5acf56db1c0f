package h1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// upstream listens on loopback and runs serve for each connection, with its
// number from 0.
func upstream(t testing.TB, serve func(n int, c *net.TCPConn, br *bufio.Reader)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(n, c.(*net.TCPConn), bufio.NewReader(c))
			}()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln.Addr().String()
}

// readRequest reads one request with its body; false at the end of the connection.
func readRequest(br *bufio.Reader) (*http.Request, []byte, bool) {
	req, err := http.ReadRequest(br)
	if err != nil {
		return nil, nil, false
	}
	body, err := io.ReadAll(req.Body)
	return req, body, err == nil
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"

// echo answers every request on a connection with okReply.
func echo(_ int, c *net.TCPConn, br *bufio.Reader) {
	for {
		if _, _, ok := readRequest(br); !ok {
			return
		}
		_, _ = io.WriteString(c, okReply)
	}
}

// newClient is New whose idle connections are closed after the test.
func newClient(t testing.TB, o Options) *Client {
	c := New(o)
	t.Cleanup(c.CloseIdle)
	return c
}

func post(addr, body string) *Request {
	return &Request{Method: "POST", Address: addr, Host: "up.example", Target: "/v1?x=1", Body: []byte(body)}
}

// fetch does req, reads all and closes.
func fetch(t *testing.T, c *Client, req *Request) (*Response, string) {
	t.Helper()
	r, err := c.Do(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

func TestRequestArrivesAsGivenWithTheClientsOwnHeaders(t *testing.T) {
	type seen struct {
		head string
		body string
	}
	got := make(chan seen, 1)
	addr := upstream(t, func(_ int, c *net.TCPConn, br *bufio.Reader) {
		var head strings.Builder
		length := 0
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
			if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				for _, d := range strings.TrimSpace(v) {
					length = length*10 + int(d-'0')
				}
			}
			if line == "\r\n" {
				break
			}
		}
		body := make([]byte, length)
		_, _ = io.ReadFull(br, body)
		got <- seen{head.String(), string(body)}
		_, _ = io.WriteString(c, okReply)
	})
	big := strings.Repeat("0123456789", 30_000)
	for _, tc := range []struct{ name, method, body, lengthLine string }{
		{"no body", "GET", "", ""},
		{"empty post", "POST", "", "Content-Length: 0\r\n"},
		{"small body in one buffer", "POST", "hello", "Content-Length: 5\r\n"},
		{"larger body by writev", "POST", big[:20_000], "Content-Length: 20000\r\n"},
		{"huge body by a goroutine", "POST", big, "Content-Length: 300000\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newClient(t, Options{})
			req := &Request{
				Method: tc.method, Address: addr, Host: "up.example", Target: "/v1?x=1",
				Header: []Field{{"X-B", "2"}, {"x-a", "1"}},
			}
			if tc.body != "" {
				req.Body = []byte(tc.body)
			}
			_, body := fetch(t, c, req)
			s := <-got
			want := tc.method + " /v1?x=1 HTTP/1.1\r\nHost: up.example\r\nX-B: 2\r\nx-a: 1\r\n" + tc.lengthLine + "\r\n"
			if s.head != want {
				t.Errorf("head %q, want %q", s.head, want)
			}
			if s.body != tc.body || body != "hi" {
				t.Errorf("upstream got %d bytes, want %d; client got %q", len(s.body), len(tc.body), body)
			}
		})
	}
}

func TestRequestThatCouldSmuggleIsRefusedBeforeDialing(t *testing.T) {
	good := func() *Request { return post("127.0.0.1:1", "x") }
	for name, spoil := range map[string]func(*Request){
		"method with a space":    func(r *Request) { r.Method = "GET /x" },
		"empty method":           func(r *Request) { r.Method = "" },
		"connect":                func(r *Request) { r.Method = "CONNECT" },
		"target with a newline":  func(r *Request) { r.Target = "/a\r\nX: y" },
		"target with a space":    func(r *Request) { r.Target = "/a b" },
		"target without a slash": func(r *Request) { r.Target = "a" },
		"host with a newline":    func(r *Request) { r.Host = "a\nb" },
		"no host":                func(r *Request) { r.Host = "" },
		"name with a colon":      func(r *Request) { r.Header = []Field{{"A:", "b"}} },
		"empty name":             func(r *Request) { r.Header = []Field{{"", "b"}} },
		"name with a letter ä":   func(r *Request) { r.Header = []Field{{"ä", "b"}} },
		"value with CR":          func(r *Request) { r.Header = []Field{{"A", "b\r"}} },
		"value with LF":          func(r *Request) { r.Header = []Field{{"A", "b\nc"}} },
		"value with NUL":         func(r *Request) { r.Header = []Field{{"A", "b\x00"}} },
		"own content-length":     func(r *Request) { r.Header = []Field{{"content-length", "1"}} },
		"own transfer-encoding":  func(r *Request) { r.Header = []Field{{"TRANSFER-ENCODING", "chunked"}} },
		"own host":               func(r *Request) { r.Header = []Field{{"host", "x"}} },
		"own connection":         func(r *Request) { r.Header = []Field{{"Connection", "close"}} },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) {
				t.Error("dialed")
				return nil, io.EOF
			}})
			req := good()
			spoil(req)
			_, err := c.Do(t.Context(), req)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Phase != PhaseRequest {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestConnectionIsReusedAndSaysSo(t *testing.T) {
	var conns atomic.Int32
	addr := upstream(t, func(n int, c *net.TCPConn, br *bufio.Reader) {
		conns.Add(1)
		echo(n, c, br)
	})
	c := newClient(t, Options{})
	for i := range 5 {
		r, _ := fetch(t, c, post(addr, "x"))
		if r.Timing.Reused != (i > 0) || (r.Timing.Connect > 0) != (i == 0) || r.Timing.FirstByte <= 0 {
			t.Errorf("request %d: timing %+v", i, r.Timing)
		}
		if got := r.Header.Get("content-TYPE"); got != "text/plain" {
			t.Errorf("header after Close: %q", got)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if cn := c.host(post(addr, "")).idle[0]; cn.buf != nil || cn.pooled != nil {
		t.Error("an idle connection holds a buffer")
	}
}

func TestConnectionIsNotReusedAfterABodyNotReadOrBytesNobodyAskedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		reply string
		read  int
	}{
		"body not read":       {okReply, 1},
		"extra bytes":         {okReply + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", -1},
		"connection close":    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", -1},
		"http/1.0":            {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", -1},
		"extra after chunked": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", -1},
	} {
		t.Run(name, func(t *testing.T) {
			addr := upstream(t, func(n int, c *net.TCPConn, br *bufio.Reader) {
				if n > 0 {
					echo(n, c, br)
					return
				}
				_, _, _ = readRequest(br)
				_, _ = io.WriteString(c, tc.reply)
				_, _, _ = readRequest(br)
			})
			c := newClient(t, Options{})
			r, err := c.Do(t.Context(), post(addr, "x"))
			if err != nil {
				t.Fatal(err)
			}
			if tc.read < 0 {
				_, err = io.ReadAll(r)
			} else {
				_, err = io.ReadFull(r, make([]byte, tc.read))
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Close()
			_ = r.Close()
			if _, err := r.Read(make([]byte, 1)); err == nil {
				t.Error("Read after Close succeeds")
			}
			if n := len(c.host(post(addr, "")).idle); n != 0 {
				t.Errorf("%d connections idle", n)
			}
			next, body := fetch(t, c, post(addr, "y"))
			if next.Timing.Reused || body != "hi" {
				t.Errorf("reused %v, body %q", next.Timing.Reused, body)
			}
		})
	}
}

func TestExtraBytesReadWithTheLastChunkCostTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{serve: func(_ int, c net.Conn, br *bufio.Reader) {
			_, _, _ = readRequest(br)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			_, _ = io.WriteString(c, "2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
			hang(0, c, br)
		}}
		c := New(Options{Dial: p.dial})
		defer c.CloseIdle()
		if _, body := fetch(t, c, post("up:1", "x")); body != "hi" {
			t.Errorf("body %q", body)
		}
		if n := len(c.host(post("up:1", "")).idle); n != 0 {
			t.Errorf("%d connections idle", n)
		}
	})
}

func TestExtraBytesThatArriveWhileIdleCostTheConnection(t *testing.T) {
	sent := make(chan struct{})
	addr := upstream(t, func(n int, c *net.TCPConn, br *bufio.Reader) {
		_, _, _ = readRequest(br)
		_, _ = io.WriteString(c, okReply)
		if n == 0 {
			<-sent // the client has closed the response
			_, _ = io.WriteString(c, okReply)
			sent <- struct{}{}
		}
		_, _, _ = readRequest(br)
	})
	c := newClient(t, Options{})
	fetch(t, c, post(addr, "x"))
	sent <- struct{}{}
	<-sent
	if r, _ := fetch(t, c, post(addr, "y")); r.Timing.Reused {
		t.Error("reused a connection with an unasked response in it")
	}
}

func TestConnectionClosedWhileIdleIsReplacedUnseen(t *testing.T) {
	var requests atomic.Int32
	closed := make(chan struct{}, 1)
	addr := upstream(t, func(n int, c *net.TCPConn, br *bufio.Reader) {
		for {
			if _, _, ok := readRequest(br); !ok {
				return
			}
			requests.Add(1)
			_, _ = io.WriteString(c, okReply)
			if n == 0 {
				_ = c.Close()
				closed <- struct{}{}
				return
			}
		}
	})
	c := newClient(t, Options{})
	fetch(t, c, post(addr, "x"))
	<-closed
	r, _ := fetch(t, c, post(addr, "y"))
	if r.Timing.Reused || requests.Load() != 2 {
		t.Errorf("reused %v, %d requests", r.Timing.Reused, requests.Load())
	}
}

func TestEarlyRefusalIsSurfacedWhenTheUpstreamClosesWithoutReadingTheBody(t *testing.T) {
	const reply = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"
	for name, tc := range map[string]struct {
		size   int
		linger bool // stay open until the client closes
	}{
		"body below the async size": {100 << 10, false},
		"huge body":                 {8 << 20, false},
		"huge body, stays open":     {8 << 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			addr := upstream(t, func(_ int, c *net.TCPConn, _ *bufio.Reader) {
				one := make([]byte, 1)
				_, _ = c.Read(one)
				_, _ = io.WriteString(c, reply)
				if tc.linger {
					<-t.Context().Done()
				}
			})
			c := newClient(t, Options{})
			req := post(addr, strings.Repeat("x", tc.size))
			req.HeadDeadline = time.Now().Add(20 * time.Second)
			r, err := c.Do(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if r.Status != 413 || string(b) != "big" || err != nil {
				t.Errorf("status %d, body %q, %v", r.Status, b, err)
			}
			_ = r.Close()
			if n := len(c.host(req).idle); n != 0 && tc.size > asyncWrite {
				t.Errorf("%d connections idle after a request that was not sent", n)
			}
		})
	}
}

// refusing takes no request and has an answer all the same.
type refusing struct{ *scriptConn }

func (r refusing) Write(p []byte) (int, error) {
	_, _ = r.scriptConn.Write(p)
	return 0, syscall.EPIPE
}

func TestAnswerToARequestThatCouldNotBeWrittenIsSurfacedAndEndsTheConnection(t *testing.T) {
	conn := newScriptConn([]byte("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"), 1, 1)
	c := newClient(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return refusing{conn}, nil }})
	r, body := fetch(t, c, post("u:1", "x"))
	if r.Status != 413 || body != "big" {
		t.Errorf("status %d, %q", r.Status, body)
	}
	if closed, _ := conn.state(); !closed {
		t.Error("a connection with half a request on it was kept")
	}
	conn = newScriptConn(nil, 1, 1)
	_, err := c.Do(t.Context(), post("u:1", "x"))
	if e, ok := errors.AsType[*Error](err); !ok || e.Phase != PhaseWrite || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("without an answer the write error counts: %v", err)
	}
}

func TestMaxIdleBoundsThePool(t *testing.T) {
	addr := upstream(t, echo)
	c := newClient(t, Options{MaxIdle: 2})
	var open []*Response
	for range 4 {
		r, err := c.Do(t.Context(), post(addr, "x"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(r)
		open = append(open, r)
	}
	for _, r := range open {
		_ = r.Close()
	}
	h := c.host(post(addr, ""))
	if len(h.idle) != 2 {
		t.Errorf("%d idle, want 2", len(h.idle))
	}
	c.CloseIdle()
	if len(h.idle) != 0 || h.timer != nil {
		t.Errorf("after CloseIdle: %d idle", len(h.idle))
	}
}

func TestReadDeadlineCanBeRenewed(t *testing.T) {
	more := make(chan struct{})
	addr := upstream(t, func(_ int, c *net.TCPConn, br *bufio.Reader) {
		_, _, _ = readRequest(br)
		_, _ = io.WriteString(c, okReply[:len(okReply)-1])
		<-more
		_, _ = io.WriteString(c, "i")
		_, _, _ = readRequest(br)
	})
	c := newClient(t, Options{})
	r, err := c.Do(t.Context(), post(addr, "x"))
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 9)
	if n, err := r.Read(p); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	_ = r.SetReadDeadline(time.Now().Add(-time.Second))
	_, err = r.Read(p)
	if e, ok := errors.AsType[*Error](err); !ok || e.Phase != PhaseBody || !errors.Is(err, os.ErrDeadlineExceeded) || !e.Timeout() {
		t.Fatalf("past deadline: %v", err)
	}
	close(more)
	_ = r.SetReadDeadline(time.Time{})
	if b, err := io.ReadAll(r); string(b) != "i" || err != nil {
		t.Fatalf("after the deadline: %q %v", b, err)
	}
	_ = r.Close()
	if err := r.SetReadDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
