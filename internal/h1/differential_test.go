package h1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tailplane/internal/http1"
)

// scriptConn is an upstream that takes one request and answers with fixed
// bytes, cut into reads at random, then with the end of the stream.
type scriptConn struct {
	mu      sync.Mutex
	cond    sync.Cond
	request []byte
	want    int // bytes of request body to wait for
	script  []byte
	cuts    *rand.Rand
	closed  bool
}

func newScriptConn(script []byte, want int, seed uint64) *scriptConn {
	s := &scriptConn{script: script, want: want, cuts: rand.New(rand.NewPCG(seed, 1))}
	s.cond.L = &s.mu
	return s
}

func (s *scriptConn) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	s.request = append(s.request, p...)
	s.cond.Broadcast()
	return len(p), nil
}

func (s *scriptConn) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		_, body, ok := bytes.Cut(s.request, []byte("\r\n\r\n"))
		if s.closed {
			return 0, net.ErrClosed
		}
		if ok && len(body) >= s.want {
			break
		}
		s.cond.Wait()
	}
	if len(s.script) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(s.script))
	if s.cuts.IntN(4) > 0 {
		n = 1 + s.cuts.IntN(n)
	}
	copy(p, s.script[:n])
	s.script = s.script[n:]
	return n, nil
}

func (s *scriptConn) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.cond.Broadcast()
	return nil
}

func (s *scriptConn) state() (closed bool, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed, len(s.script)
}

func (*scriptConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*scriptConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*scriptConn) SetDeadline(time.Time) error      { return nil }
func (*scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (*scriptConn) SetWriteDeadline(time.Time) error { return nil }

// outcome is what a caller of either client sees.
type outcome struct {
	status  int
	length  int64
	header  []string // "name: value", canonical, sorted
	body    []byte
	headErr error
	bodyErr error
	reused  bool // the connection was kept
	extra   bool // the client read bytes after the response
	unread  bool // the script has bytes that the client did not read
}

func (o outcome) String() string {
	return fmt.Sprintf("status=%d length=%d header=%q body=%q headErr=%v bodyErr=%v reused=%v",
		o.status, o.length, o.header, o.body, o.headErr, o.bodyErr, o.reused)
}

// framingFree leaves out the fields that net/http takes out of or puts into the
// header; the framing they stand for is compared by body and error.
func framingFree(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Cache-Control", "Pragma":
		return false
	}
	return true
}

func runOurs(method string, body, script []byte, seed uint64) (o outcome) {
	conn := newScriptConn(script, len(body), seed)
	c := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }})
	defer c.CloseIdle()
	r, err := c.Do(context.Background(), &Request{Method: method, Address: "u:1", Host: "u", Target: "/", Body: body})
	if err != nil {
		o.headErr = err
		return o
	}
	o.status, o.length = r.Status, r.ContentLength
	for k, v := range r.Header.All() {
		if framingFree(k) {
			o.header = append(o.header, http.CanonicalHeaderKey(k)+": "+v)
		}
	}
	slices.Sort(o.header)
	o.body, o.bodyErr = readPieces(r, seed)
	o.extra = r.extra || r.conn.w > r.conn.r
	_ = r.Close()
	closed, left := conn.state()
	o.reused, o.unread = !closed, left > 0
	return o
}

// readPieces reads with buffers of random size.
func readPieces(r io.Reader, seed uint64) ([]byte, error) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	var all []byte
	for {
		p := make([]byte, 1+rnd.IntN(64))
		n, err := r.Read(p)
		all = append(all, p[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

func runTheirs(method string, body, script []byte, seed uint64) (o outcome) {
	conn := newScriptConn(script, len(body), seed)
	tr := &http.Transport{
		DisableCompression: true,
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
	defer tr.CloseIdleConnections()
	kept := make(chan bool, 1)
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		PutIdleConn: func(err error) { kept <- err == nil },
	})
	var rd io.Reader
	if body != nil {
		rd = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://u:1/", rd)
	if err != nil {
		panic(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		o.headErr = err
		return o
	}
	o.status, o.length = resp.StatusCode, resp.ContentLength
	for k, vs := range resp.Header {
		for _, v := range vs {
			if framingFree(k) {
				o.header = append(o.header, k+": "+strings.TrimRight(v, " \t"))
			}
		}
	}
	slices.Sort(o.header)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		o.body, o.bodyErr = io.ReadAll(resp.Body)
	}
	_ = resp.Body.Close()
	// The decision to keep a connection is made before the end of the body is
	// returned, so the channel holds it already.
	select {
	case o.reused = <-kept:
	default:
	}
	return o
}

// allowed lists where this client differs from http.Transport on purpose. A
// difference that no line explains fails the test.
var allowed = []struct {
	name, why string
	match     func(script string, ours, theirs outcome) bool
}{
	{"space before the colon", "RFC 9112 5.1 wants a proxy to refuse or repair it; net/http keeps a name with a space", errSays("header line without a valid name")},
	{"length beside coding", "RFC 9112 6.3: ought to be an error; net/http ignores the length. The same for a coding in HTTP/1.0", errSays("Transfer-Encoding beside Content-Length or in HTTP/1.0")},
	{"coding in HTTP/1.0 that is not chunked", "net/http does not look at it", errSays("Transfer-Encoding is not chunked alone")},
	{"version that is not HTTP/1.x", "net/http takes HTTP/0.0 to HTTP/9.9", errSays("does not begin with HTTP/1.x")},
	{"status below 100", "net/http takes 000 to 099 and signs", errSays("not a number of three digits")},
	{"switching protocols", "an upgrade was not asked for", errSays("switched protocols")},
	{"many 1xx", "net/http bounds their bytes, not their number", errSays("informational responses")},
	{"head size", "the limit here is 64 KiB, there 10 MiB", errSays("response head is larger")},
	{"malformed trailer", "dropped here, so a strict form costs nobody anything; net/http takes folding, bare LF and spaces", func(_ string, ours, _ outcome) bool {
		return errors.Is(ours.bodyErr, http1.ErrTrailer)
	}},
	{"trailer judged by net/http", "trailers are dropped here, whatever their names are and whatever the Trailer header announces", func(script string, ours, theirs outcome) bool {
		err := errors.Join(theirs.headErr, theirs.bodyErr)
		return ours.headErr == nil && ours.bodyErr == nil && err != nil &&
			(strings.Contains(err.Error(), "trailer") || strings.Contains(err.Error(), "MIME header"))
	}},
	{"HTTP/1.0 kept alive", "never reused here", func(script string, ours, theirs outcome) bool {
		return !ours.reused && theirs.reused && strings.Contains(script, "HTTP/1.0 ") && sameMessage(ours, theirs)
	}},
	{"bytes after the response", "net/http decides in a second step, on another goroutine; here what was read costs the connection at once and the rest when it is looked at before reuse", func(_ string, ours, theirs outcome) bool {
		return (ours.extra && !ours.reused || !ours.extra && ours.unread) && sameMessage(ours, theirs)
	}},
}

func errSays(text string) func(string, outcome, outcome) bool {
	return func(_ string, ours, _ outcome) bool {
		return ours.headErr != nil && strings.Contains(ours.headErr.Error(), text)
	}
}

// sameMessage compares all but the reuse of the connection.
func sameMessage(a, b outcome) bool {
	if (a.headErr != nil) != (b.headErr != nil) || (a.bodyErr != nil) != (b.bodyErr != nil) {
		return false
	}
	if a.headErr != nil {
		return true
	}
	if a.status != b.status || a.length != b.length || !slices.Equal(a.header, b.header) {
		return false
	}
	if a.bodyErr != nil {
		return bytes.HasPrefix(a.body, b.body) || bytes.HasPrefix(b.body, a.body)
	}
	return bytes.Equal(a.body, b.body)
}

// scripts are the seeds; each is also cut at every byte.
var scripts = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
	"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello",
	"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nno colon\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 \t\r\nabc\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 ;a\r\nabc\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nextra",
	"HTTP/1.1 200 OK\r\nA: b\r\n\tfolded\r\n  more \r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 200 OK\r\n A: b\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 200 OK\r\nA: b\r\n  \r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nhi",
	"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 200 OK\r\nA\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 200 OK\r\nA: b\x00\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
	strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 20) + "HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\n\r\nuntil the end",
	"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.0 200 OK\r\n\r\nhi",
	"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1  200  Fine\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.9 200 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi\r\n",
	"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig",
	"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 6000) + "\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 200 OK\r\nPragma: no-cache\r\nContent-Length: 2\r\n\r\nhi",
	"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
	"not http at all",
	"",
}

// compare runs both clients on one script.
func compare(t *testing.T, script []byte, kind uint8, seed uint64) {
	t.Helper()
	method, body := "GET", []byte(nil)
	switch kind % 3 {
	case 1:
		method = "HEAD"
	case 2:
		method, body = "POST", []byte(`{"model":"m"}`)
	}
	hung := time.AfterFunc(30*time.Second, func() { panic(fmt.Sprintf("this client hung: %s %q seed %d", method, script, seed)) })
	ours := runOurs(method, body, script, seed)
	hung.Stop()
	var theirs outcome
	for range 10 { // Transport gives up a connection when its own writer is not heard of within 50 ms
		hung = time.AfterFunc(30*time.Second, func() { panic(fmt.Sprintf("Transport hung: %s %q seed %d", method, script, seed)) })
		theirs = runTheirs(method, body, script, seed)
		hung.Stop()
		if sameMessage(ours, theirs) && (ours.headErr != nil || ours.reused == theirs.reused) {
			return
		}
		for _, a := range allowed {
			if a.match(string(script), ours, theirs) {
				return
			}
		}
		if !ours.reused || theirs.reused {
			break
		}
	}
	t.Errorf("%s, script %q, seed %d\n  ours:   %v\n  theirs: %v", method, script, seed, ours, theirs)
}

func TestResponsesAreReadAsByTransportWhereverTheStreamIsCut(t *testing.T) {
	defer log.SetOutput(log.Writer())
	log.SetOutput(io.Discard) // Transport reports unsolicited bytes there
	for i, s := range scripts {
		step := 1 + len(s)/400
		for n := 0; n <= len(s); n += step {
			compare(t, []byte(s[:n]), uint8(n), uint64(n))
		}
		for kind := range uint8(3) {
			compare(t, []byte(s), kind, uint64(i))
		}
	}
}

func FuzzDifferential(f *testing.F) {
	log.SetOutput(io.Discard)
	for i, s := range scripts {
		f.Add([]byte(s), uint8(i), uint64(i))
	}
	f.Fuzz(func(t *testing.T, script []byte, kind uint8, seed uint64) {
		if len(script) > 32<<10 {
			return
		}
		compare(t, script, kind, seed)
	})
}
