package httpd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/http1"
)

// scriptConn is a client that sends fixed bytes, cut into reads at random, and
// then ends its side.
type scriptConn struct {
	mu     sync.Mutex
	script []byte
	cuts   *rand.Rand
	answer []byte
	closed chan struct{}
	once   sync.Once
}

func newScriptConn(script []byte, seed uint64) *scriptConn {
	return &scriptConn{script: script, cuts: rand.New(rand.NewPCG(seed, 1)), closed: make(chan struct{})}
}

func (s *scriptConn) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	default:
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

func (s *scriptConn) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = append(s.answer, p...)
	return len(p), nil
}

func (s *scriptConn) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (*scriptConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*scriptConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (*scriptConn) SetDeadline(time.Time) error      { return nil }
func (*scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (*scriptConn) SetWriteDeadline(time.Time) error { return nil }

// request is what a handler saw.
type request struct {
	line   string // all but header and body
	header []string
	body   string
	cut    bool // the body ended with an error
	why    error
}

// answer is what the client got.
type answer struct {
	status int
	header []string
	body   string
	cut    bool
	close  bool
}

// outcome is what came of one connection.
type outcome struct {
	requests []request
	answers  []answer
	garbage  bool // the answers ended in something that is none
}

// framingFree leaves out fields in which the servers may differ while the
// message is the same; its framing is compared by body, cut and close.
func framingFree(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Date", "Cache-Control", "Pragma":
		return false
	}
	return true
}

func flat(h http.Header) (out []string) {
	for k, vs := range h {
		if framingFree(k) {
			out = append(out, k+": "+strings.Join(vs, "|"))
		}
	}
	slices.Sort(out)
	return out
}

// handler is one of several that use the server differently; it records what
// it sees.
func handler(kind uint8, o *outcome) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := request{header: flat(r.Header)}
		seen.line = fmt.Sprintf("%s %q path=%q raw=%q query=%q force=%v host=%q %s length=%d te=%q from=%s",
			r.Method, r.RequestURI, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.ForceQuery, r.Host,
			r.Proto, r.ContentLength, r.TransferEncoding, r.RemoteAddr)
		read := func() {
			b, err := io.ReadAll(r.Body)
			seen.body, seen.cut, seen.why = string(b), err != nil, err
		}
		defer func() { o.requests = append(o.requests, seen) }()
		switch kind % 6 {
		case 0: // the whole body, then a small answer
			read()
			sum := fnv.New64a()
			_, _ = io.WriteString(sum, seen.body)
			fmt.Fprintf(w, "%s %x", r.Method, sum.Sum64())
		case 1: // a stream
			read()
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
			}
		case 2: // an answer to a body that is not read
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(401)
			_, _ = io.WriteString(w, `{"error":{}}`)
		case 3: // a body that is read in part, an answer with a length
			p := make([]byte, 3)
			n, _ := io.ReadFull(r.Body, p)
			seen.body = string(p[:n])
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write(bytes.Repeat([]byte("y"), 5000))
		case 4: // no body, and a wish to close
			read()
			w.Header().Set("Connection", "close")
			w.WriteHeader(204)
		case 5: // an abort in the middle
			read()
			_, _ = io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			if len(seen.body) > 3 {
				panic(http.ErrAbortHandler)
			}
		}
	})
}

// maxHead is small, so that the limit is reached.
const maxHead = 8 << 10

// bubble runs one server on one script until it closes the connection.
func bubble(t *testing.T, script []byte, kind uint8, seed uint64, serve func(http.Handler, net.Listener) func()) (o outcome) {
	synctest.Test(t, func(t *testing.T) {
		conn := newScriptConn(script, seed)
		stop := serve(handler(kind, &o), listenOne(conn))
		select {
		case <-conn.closed:
		case <-time.After(time.Hour):
			t.Errorf("hung on %q", script)
		}
		stop()
		o.readAnswers(conn.answer)
	})
	return o
}

func (o *outcome) readAnswers(raw []byte) {
	br := bufio.NewReader(bytes.NewReader(raw))
	for i := 0; ; i++ {
		if _, err := br.Peek(1); err != nil {
			return
		}
		method := "GET"
		if at := o.finals(); at < len(o.requests) {
			method, _, _ = strings.Cut(o.requests[at].line, " ")
		}
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			o.garbage = true
			return
		}
		body, err := io.ReadAll(resp.Body)
		o.answers = append(o.answers, answer{resp.StatusCode, flat(resp.Header), string(body), err != nil, resp.Close})
	}
}

// finals counts the answers that are not informational.
func (o *outcome) finals() (n int) {
	for _, a := range o.answers {
		if a.status >= 200 {
			n++
		}
	}
	return n
}

func runOurs(t *testing.T, script []byte, kind uint8, seed uint64) outcome {
	return bubble(t, script, kind, seed, func(h http.Handler, ln net.Listener) func() {
		s := &Server{Handler: h, MaxHeaderBytes: maxHead, ErrorLog: quiet()}
		done := make(chan error, 1)
		go func() { done <- s.Serve(ln) }()
		return func() {
			_ = s.Shutdown(context.Background())
			<-done
		}
	})
}

func runTheirs(t *testing.T, script []byte, kind uint8, seed uint64) outcome {
	return bubble(t, script, kind, seed, func(h http.Handler, ln net.Listener) func() {
		s := &http.Server{Handler: h, DisableGeneralOptionsHandler: true, MaxHeaderBytes: maxHead - 4096, ErrorLog: log.New(io.Discard, "", 0)}
		done := make(chan error, 1)
		go func() { done <- s.Serve(ln) }()
		return func() {
			_ = s.Shutdown(context.Background())
			<-done
		}
	})
}

// allowed lists where this server differs from net/http's on purpose. From the
// first request at which a line matches, the connections are not compared any
// further; a difference that no line explains fails the test.
var allowed = []struct {
	name, why string
	refusal   string // what ours says
}{
	{"bare LF", "RFC 9112 2.2 lets a server take it; two readers may then disagree where a line ends", "a line does not end in CRLF"},
	{"folded lines", "RFC 9112 5.2 wants them refused or repaired; net/http joins them", "a header line has no valid name, or is folded"},
	{"length beside coding", "RFC 9112 6.3: ought to be an error; net/http drops the length. The same for a coding in HTTP/1.0, which net/http ignores", "there is a Transfer-Encoding beside"},
	{"versions from 1.2 on", "they do not exist; net/http treats 1.2 to 1.9 like 1.1", "HTTP/1.1 and HTTP/1.0 are served here"},
	{"CONNECT", "nothing tunnels here", "CONNECT is not served here"},
	{"opaque targets", "scheme:rest is no form of a request target; net/http takes it", "the request target is malformed"},
	{"head size", "the limit is exact here; net/http counts what it has read beyond the head, and adds 4 KiB", "the request head is too large"},
	{"number of fields", "net/http limits only their size", "there are too many header fields"},
	{"early refusal", "what cannot begin a request is refused at its first byte", "this is not an HTTP request"},
	{"unknown expectation", "net/http looks at the first Expect field only, when that is not met", "100-continue is the only expectation"},
}

// closer is where ours closes the connection after a request and net/http does
// not, or both do and only ours says so. To close is always correct.
var closer = []struct {
	name, why string
	match     func(script string, last request, end bool) bool
}{
	{"cut body", "the client has ended its side inside a body, so nothing can follow; net/http does not say so", func(_ string, last request, end bool) bool {
		return end && !strings.Contains(last.line, " length=0 ")
	}},
	{"HTTP/1.0 with close and keep-alive", "close wins; in net/http keep-alive does", func(script string, last request, _ bool) bool {
		return strings.Contains(last.line, " HTTP/1.0 ") && strings.Contains(strings.ToLower(script), "close")
	}},
	{"trailer after a body that nobody reads", "it is judged here by its form alone, which is stricter", func(_ string, last request, _ bool) bool {
		return strings.Contains(last.line, ` te=["chunked"]`)
	}},
	{"lists in Connection", "close is found here between any separators and in every field", func(script string, _ request, _ bool) bool {
		return strings.Contains(strings.ToLower(script), "close")
	}},
}

// explain compares what came of both connections, request by request, and
// says what is not explained.
func explain(script string, ours, theirs outcome) string {
	said, last := "", len(ours.answers)-1
	refused := ours.finals() > len(ours.requests) && ours.answers[last].status >= 400
	if refused {
		said = ours.answers[last].body
	}
	for i := range max(len(ours.requests), len(theirs.requests)) {
		switch {
		case i >= len(ours.requests):
			return unexplained(script, said, ours, "net/http serves request "+fmt.Sprint(i), false)
		case i < len(theirs.requests) && judgedTrailer(script, ours.requests[i], theirs.requests[i]):
			return ""
		case i >= len(theirs.requests) && strings.Contains(strings.ToLower(script), "\ntrailer"):
			return "" // net/http refuses some names in Trailer, which is dropped here
		case i >= len(theirs.requests):
			return "served beyond net/http: " + fmt.Sprint(ours.requests[i])
		}
		if d := differ(ours.requests[i], theirs.requests[i]); d != "" {
			return d
		}
	}
	for i := range max(len(ours.answers), len(theirs.answers)) {
		if refused && i == last && i == len(theirs.answers) {
			continue // both end the connection; net/http says nothing if there were less than four bytes
		}
		if i >= len(ours.answers) || i >= len(theirs.answers) {
			return unexplained(script, said, ours, "different number of answers", false)
		}
		a, b := ours.answers[i], theirs.answers[i]
		if refused && i == last {
			// Which of several faults a status tells is not compared: head_test.go
			// has the status of each.
			if b.status < 400 || i < len(theirs.answers)-1 {
				return unexplained(script, said, ours, "different refusals", false)
			}
			continue
		}
		if a.status != b.status || !slices.Equal(a.header, b.header) || a.body != b.body || a.cut != b.cut {
			return fmt.Sprint("answer ", i)
		}
		if a.close != b.close {
			return unexplained(script, said, ours, fmt.Sprint("close of answer ", i), i == len(theirs.answers)-1)
		}
	}
	if ours.garbage != theirs.garbage {
		return "garbage"
	}
	return ""
}

// judgedTrailer reports that one server does not like a trailer and the other
// does. They are dropped here, so a strict form costs nobody anything; net/http
// takes folding, bare LF and spaces, and looks at the names.
func judgedTrailer(script string, ours, theirs request) bool {
	if ours.cut == theirs.cut {
		return false
	}
	return errors.Is(ours.why, http1.ErrTrailer) || theirs.cut && strings.Contains(script, "0\r\n") &&
		(strings.Contains(theirs.why.Error(), "railer") || strings.Contains(theirs.why.Error(), "MIME header"))
}

func differ(a, b request) string {
	switch {
	case a.line != b.line:
		return "request line"
	case !slices.Equal(a.header, b.header):
		return "header"
	case a.cut != b.cut:
		return "end of the body"
	case a.cut && (strings.HasPrefix(a.body, b.body) || strings.HasPrefix(b.body, a.body)):
		return ""
	case a.body != b.body:
		return "body"
	}
	return ""
}

func unexplained(script, said string, ours outcome, what string, end bool) string {
	for _, a := range allowed {
		if said != "" && strings.Contains(said, a.refusal) {
			return ""
		}
	}
	n := len(ours.requests)
	if n == 0 || len(ours.answers) == 0 || !ours.answers[len(ours.answers)-1].close {
		return what
	}
	for _, c := range closer {
		if c.match(script, ours.requests[n-1], end) {
			return ""
		}
	}
	return what
}

// compare runs both servers on one script.
func compare(t *testing.T, script []byte, kind uint8, seed uint64) {
	t.Helper()
	hung := time.AfterFunc(10*time.Second, func() { panic(fmt.Sprintf("hung: kind %d, seed %d, script %q", kind%6, seed, script)) })
	defer hung.Stop()
	ours := runOurs(t, script, kind, seed)
	theirs := runTheirs(t, script, kind, seed)
	if d := explain(string(script), ours, theirs); d != "" {
		t.Errorf("%s: kind %d, seed %d, script %q\n  ours:   %+v\n  theirs: %+v", d, kind%6, seed, script, ours, theirs)
	}
}

func TestRequestsAreServedAsByNetHTTPWhereverTheyAreCut(t *testing.T) {
	for i, s := range scripts {
		step := 1 + len(s)/100
		for n := 0; n <= len(s); n += step {
			compare(t, []byte(s[:n]), uint8(n), uint64(n))
		}
		for kind := range uint8(6) {
			compare(t, []byte(s), kind, uint64(i))
		}
	}
}

func FuzzDifferential(f *testing.F) {
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
