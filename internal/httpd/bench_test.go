package httpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	payload = []byte(strings.Repeat("y", 1000))
	reply   = []byte(strings.Repeat("x", 700))
	event   = []byte("data: " + strings.Repeat("z", 264) + "\n\n")
)

// chat is the request of an SDK with a body of 1 KB.
var chat = []byte("POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\n" +
	"accept: application/json\r\nuser-agent: OpenAI/Python 2.8.1\r\nauthorization: Bearer not-a-key\r\n" +
	"x-stainless-lang: python\r\nx-stainless-package-version: 2.8.1\r\nx-stainless-os: Linux\r\nx-stainless-arch: x64\r\n" +
	"x-stainless-runtime: CPython\r\nx-stainless-retry-count: 0\r\naccept-encoding: gzip, deflate\r\n" +
	"Connection: keep-alive\r\nContent-Length: 1000\r\n\r\n" + string(payload))

var (
	contentJSON = []string{"application/json"}
	contentSSE  = []string{"text/event-stream"}
	length700   = []string{"700"}
)

var bodies = sync.Pool{New: func() any { return new([1024]byte) }}

// small reads a body as the gateway does and answers with 700 bytes.
func small(w http.ResponseWriter, r *http.Request) {
	body := bodies.Get().(*[1024]byte)
	defer bodies.Put(body)
	for n := 0; n < int(r.ContentLength); {
		m, err := r.Body.Read(body[n:])
		n += m
		if err != nil && err != io.EOF {
			panic(err)
		}
	}
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = contentJSON, length700
	_, _ = w.Write(reply)
}

// sse writes 200 events, each flushed.
func sse(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header()["Content-Type"] = contentSSE
	for range 200 {
		_, _ = w.Write(event)
		w.(http.Flusher).Flush()
	}
}

// servers are the two that are compared, the reference first.
var servers = []struct {
	name  string
	start func(testing.TB, http.HandlerFunc) (addr string)
}{
	{"nethttp", func(t testing.TB, h http.HandlerFunc) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{
			Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
			MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0),
		}
		done := make(chan error, 1)
		go func() { done <- s.Serve(ln) }()
		t.Cleanup(func() {
			_ = s.Shutdown(context.Background())
			<-done
		})
		return ln.Addr().String()
	}},
	{"httpd", func(t testing.TB, h http.HandlerFunc) string {
		return start(t, &Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute})
	}},
}

// raw is a client that allocates nothing per request.
type raw struct {
	net.Conn
	buf []byte
}

func dialRaw(t testing.TB, addr string) *raw {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &raw{c, make([]byte, 64<<10)}
}

// ask sends the request and reads until what came ends in end.
func (c *raw) ask(t testing.TB, request []byte, end string) {
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	for kept := 0; ; {
		n, err := c.Read(c.buf[kept:])
		if err != nil {
			t.Fatal(err)
		}
		kept += n
		if bytes.HasSuffix(c.buf[:kept], []byte(end)) {
			return
		}
		if kept > len(c.buf)/2 {
			kept = copy(c.buf, c.buf[kept-len(end):kept])
		}
	}
}

func TestAllocationsPerRequest(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations differ under the race detector")
	}
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		request []byte
		end     string
		most    float64
	}{
		{"1 KB in, 700 B out", small, chat, "xx", 2},
		{"GET", func(http.ResponseWriter, *http.Request) {}, []byte(get), "\r\n\r\n", 2},
		{"200 events", sse, []byte(get), "0\r\n\r\n", 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dialRaw(t, start(t, &Server{Handler: tc.handler, IdleTimeout: time.Minute, ReadHeaderTimeout: time.Minute}))
			got := testing.AllocsPerRun(300, func() { c.ask(t, tc.request, tc.end) })
			t.Logf("%v allocations", got)
			if got > tc.most {
				t.Errorf("%v allocations, at most %v", got, tc.most)
			}
		})
	}
}

// BenchmarkServer compares both servers over loopback, with the same client in
// the same process. Read the ratio, not the figures.
func BenchmarkServer(b *testing.B) {
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		request []byte
		end     string
	}{
		{"1KB", small, chat, "xx"},
		{"200events", sse, []byte(get), "0\r\n\r\n"},
	} {
		reference := 0.0
		for _, s := range servers {
			b.Run(tc.name+"/"+s.name, func(b *testing.B) {
				c := dialRaw(b, s.start(b, tc.handler))
				b.ReportAllocs()
				for b.Loop() {
					c.ask(b, tc.request, tc.end)
				}
				each := float64(b.Elapsed()) / float64(b.N)
				if reference == 0 {
					reference = each
				}
				b.ReportMetric(each/reference, "of-nethttp")
			})
		}
	}
}

// memory is what n connections cost, each, in bytes of heap and stacks. The
// descriptors of the clients are in it, since they live in this process.
func memory(t testing.TB, addr string, n int, request []byte, settled func()) int {
	before := used()
	var wg sync.WaitGroup
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.EMFILE) {
			t.Skip("the limit of open files is too low to measure")
		}
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c
	}
	for _, c := range conns {
		wg.Go(func() {
			p := make([]byte, 1024)
			_, _ = c.Write(request)
			_, _ = c.Read(p)
		})
	}
	wg.Wait()
	settled()
	after := used()
	for _, c := range conns {
		_ = c.Close()
	}
	return (after - before) / n
}

// used is the memory in use after what is free has been freed: stacks shrink
// by half in each collection.
func used() int {
	for range 6 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// TestMemoryPerConnection prints ratios, and gates generously: other tests
// leave their spans behind.
func TestMemoryPerConnection(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("memory differs under the race detector")
	}
	const n = 1000
	got := map[string]int{}
	for _, s := range servers {
		got["idle "+s.name] = measureIdle(t, s.start, n)
		got["stream "+s.name] = measureStream(t, s.start, n)
	}
	for _, what := range []string{"idle", "stream"} {
		ours, theirs := got[what+" httpd"], got[what+" nethttp"]
		t.Logf("%s: %d bytes here, %d in net/http, ratio %s", what, ours, theirs, strconv.FormatFloat(float64(ours)/float64(theirs), 'f', 2, 64))
		if ours > theirs*3/4 {
			t.Errorf("%s connections cost %d bytes, %d in net/http", what, ours, theirs)
		}
	}
}

func measureIdle(t *testing.T, begin func(testing.TB, http.HandlerFunc) string, n int) (each int) {
	t.Run("idle", func(t *testing.T) {
		each = memory(t, begin(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hi") }), n, []byte(get), func() {})
	})
	return each
}

func measureStream(t *testing.T, begin func(testing.TB, http.HandlerFunc) string, n int) (each int) {
	t.Run("stream", func(t *testing.T) {
		var live sync.WaitGroup
		live.Add(n)
		addr := begin(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(event)
			w.(http.Flusher).Flush()
			live.Done()
			<-r.Context().Done()
		})
		each = memory(t, addr, n, []byte(get), live.Wait)
	})
	return each
}
