package h1

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// reply700 is a small completion: 700 bytes of body.
var reply700 = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: 7f1c\r\n" +
	"Date: Mon, 23 Nov 2026 10:00:00 GMT\r\nServer: engine\r\nContent-Length: 700\r\n\r\n" + strings.Repeat("x", 700))

// replies is a server without allocations per request: it answers every
// request that ends in end with reply.
func replies(t testing.TB, end string, reply []byte) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 256<<10)
				for used := 0; ; {
					n, err := c.Read(buf[used:])
					if err != nil {
						return
					}
					if used += n; bytes.HasSuffix(buf[:used], []byte(end)) {
						used = 0
						if _, err := c.Write(reply); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// roundTrip is Do, read and Close.
func roundTrip(t testing.TB, ctx context.Context, c *Client, req *Request, p []byte) {
	r, err := c.Do(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := r.Read(p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	_ = r.Close()
}

func chatRequest(addr string, size int) *Request {
	return &Request{
		Method: "POST", Address: addr, Host: addr, Target: "/v1/chat/completions",
		Header: []Field{
			{"Content-Type", "application/json"},
			{"Accept", "application/json"},
			{"Authorization", "Bearer not-a-key"},
			{"User-Agent", "bench"},
		},
		Body: []byte(strings.Repeat("y", size-1) + "\n"),
	}
}

// hooks is a context that takes functions, and never ends.
type hooks struct{ context.Context }

func (hooks) Hook(func()) int   { return 1 }
func (hooks) Unhook(n int) bool { return n == 1 }

func TestAllocationsPerRequestOnAReusedConnection(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations differ under the race detector")
	}
	chunked := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
		strings.Repeat("20\r\n"+strings.Repeat("z", 32)+"\r\n", 20) + "0\r\n\r\n")
	cancellable, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := make([]byte, 4096)
	for _, tc := range []struct {
		name  string
		ctx   context.Context
		reply []byte
		size  int
		most  float64
	}{
		{"plain", context.Background(), reply700, 1000, 2},
		{"100 KB body", context.Background(), reply700, 100 << 10, 2},
		{"chunked reply", context.Background(), chunked, 1000, 2},
		{"context that can end", cancellable, reply700, 1000, 4},
		{"context with hooks", hooks{context.Background()}, reply700, 1000, 2},
	} {
		addr := replies(t, "\n", tc.reply)
		c := newClient(t, Options{})
		req := chatRequest(addr, tc.size)
		got := testing.AllocsPerRun(200, func() { roundTrip(t, tc.ctx, c, req, p) })
		t.Logf("%s: %v allocations", tc.name, got)
		if got > tc.most {
			t.Errorf("%s: %v allocations, at most %v", tc.name, got, tc.most)
		}
	}
}

func TestReadingAStreamDoesNotAllocatePerRead(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations differ under the race detector")
	}
	var script bytes.Buffer
	script.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 5000 {
		script.WriteString("6\r\ndata\n\n\r\n")
	}
	conn := newScriptConn(script.Bytes(), 1, 1)
	c := newClient(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }})
	r, err := c.Do(context.Background(), post("u:1", "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := make([]byte, 24)
	got := testing.AllocsPerRun(500, func() {
		if n, err := r.Read(p); n == 0 || err != nil {
			t.Fatal(n, err)
		}
	})
	if got > 0 {
		t.Errorf("%v allocations per Read", got)
	}
}

// BenchmarkRoundTrip compares this client with http.Transport against the same
// server. Read the ratio, not the figures.
func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"1KB", 1000}, {"100KB", 100 << 10}} {
		addr := replies(b, "\n", reply700)
		req := chatRequest(addr, size.n)
		ctx := b.Context()
		p := make([]byte, 4096)

		b.Run(size.name+"/h1", func(b *testing.B) {
			c := newClient(b, Options{})
			b.ReportAllocs()
			for b.Loop() {
				roundTrip(b, ctx, c, req, p)
			}
		})
		b.Run(size.name+"/transport", func(b *testing.B) {
			tr := &http.Transport{DisableCompression: true}
			defer tr.CloseIdleConnections()
			b.ReportAllocs()
			for b.Loop() {
				hr, err := http.NewRequestWithContext(ctx, req.Method, "http://"+addr+req.Target, bytes.NewReader(req.Body))
				if err != nil {
					b.Fatal(err)
				}
				for _, f := range req.Header {
					hr.Header[f.Name] = []string{f.Value}
				}
				resp, err := tr.RoundTrip(hr)
				if err != nil {
					b.Fatal(err)
				}
				for {
					if _, err := resp.Body.Read(p); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				_ = resp.Body.Close()
			}
		})
	}
}
