package httpd

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"tailplane/internal/llmtest"
)

// loopConn is a client without a system below it: it sends a request, takes the
// answer, and begins anew, n times. So what is measured is this package.
type loopConn struct {
	llmtest.NoConn
	request []byte
	left    []byte // of the request
	n       int
	wrong   []byte // an answer that is not the expected one
}

func (l *loopConn) Read(p []byte) (int, error) {
	if len(l.left) == 0 {
		if l.n == 0 {
			return 0, io.EOF
		}
		l.n--
		l.left = l.request
	}
	n := copy(p, l.left)
	l.left = l.left[n:]
	return n, nil
}

func (l *loopConn) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(p, []byte("HTTP/1.1 200 OK\r\n")) || !bytes.HasSuffix(p, reply) {
		l.wrong = bytes.Clone(p)
	}
	return len(p), nil
}

// BenchmarkExchange is a small request on a kept connection, without the network.
func BenchmarkExchange(b *testing.B) {
	s := &Server{Handler: http.HandlerFunc(small), ErrorLog: quiet(), ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute}
	l := &loopConn{request: chat, n: b.N}
	b.ReportAllocs()
	newConn(s, l).serve()
	if l.wrong != nil || l.n > 0 {
		b.Errorf("%d requests are left; answered %q", l.n, l.wrong)
	}
}
