package httpd

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"
)

// conn is one connection. Its goroutine reads heads and runs handlers, one
// request after the other; pipelined requests wait in the buffer or the kernel.
//
// Between requests, and while a handler runs that has read its body, a
// connection holds no buffer and no exchange: only its goroutine, this, and the
// last head of a client that sends it again and again (recall.go).
//
// Reading belongs to this goroutine, except while a watch runs (watch.go).
type conn struct {
	srv    *Server
	net    net.Conn
	tcp    *net.TCPConn         // net, if it takes a writev
	tls    *tls.ConnectionState // of a connection that is encrypted, once both sides agreed
	idle   idleReader
	remote string
	state  atomic.Int32

	running atomic.Pointer[requestContext] // of the request that is handled now

	buf    []byte             // buf[r:w] was read and is not consumed yet
	r, w   int                // both 0 while buf is nil
	pooled *[readBufSize]byte // what buf is made of, nil if grown or none

	memory *lastHead // of a head (recall.go), nil for none
	misses int       // heads in a row that were not the remembered one

	deadline time.Time // the read deadline that is set
	answered time.Time // when the answer before was sent, if that was whole
	skip     int       // how many CR and LF may come before the next request
	gone     bool      // not to be used again
}

// The states, by which Shutdown and a beginning request agree on who is first.
const (
	stateIdle int32 = iota
	stateActive
	stateClosed
)

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, net: nc}
	c.tcp, _ = nc.(*net.TCPConn)
	if a := nc.RemoteAddr(); a != nil {
		c.remote = a.String()
	}
	c.idle.bind(c)
	return c
}

// closeIfIdle closes a connection that waits for a request.
func (c *conn) closeIfIdle() {
	if c.state.CompareAndSwap(stateIdle, stateClosed) {
		_ = c.raw().Close()
	}
}

// serve is the connection's goroutine.
func (c *conn) serve() {
	handedOver := false
	defer func() {
		c.release()
		if !handedOver {
			_ = c.net.Close()
		}
		c.srv.untrack(c)
	}()
	if handedOver = c.secure(); handedOver || c.gone {
		return
	}
	c.setReadDeadline(c.headDeadline())
	for first := true; ; first = false {
		n, bad := c.readHead()
		switch {
		case n == 0 && bad == nil:
			return
		case bad == nil && first && c.isPreface(n):
			handedOver = c.handOver()
			return
		case bad == nil:
			bad = c.exchange(n)
		}
		if bad != nil {
			c.refuse(bad)
			return
		}
		if c.gone || c.srv.stopping.Load() || !c.state.CompareAndSwap(stateActive, stateIdle) {
			return
		}
		c.setIdleDeadline()
	}
}

// headDeadline is when a head that begins now must be complete.
func (c *conn) headDeadline() time.Time {
	if d := c.srv.ReadHeaderTimeout; d > 0 {
		return time.Now().Add(d)
	}
	return time.Time{}
}

// setIdleDeadline bounds the wait for the next request. A deadline that is
// still good enough stays: setting one costs more than its precision is worth.
func (c *conn) setIdleDeadline() {
	now := c.answered
	if c.answered = (time.Time{}); now.IsZero() {
		now = time.Now()
	}
	d := c.srv.IdleTimeout
	if d <= 0 {
		c.setReadDeadline(time.Time{})
		return
	}
	if left := c.deadline.Sub(now); left > d || left < d-d/8 {
		c.setReadDeadline(now.Add(d))
	}
}

func (c *conn) setReadDeadline(t time.Time) {
	if !t.Equal(c.deadline) {
		c.deadline = t
		_ = c.net.SetReadDeadline(t) // fails only on a closed connection, and so does the read
	}
}

// release gives the read buffer back, dropping what is in it.
func (c *conn) release() {
	if c.pooled != nil {
		c.srv.readBufs.Put(c.pooled)
	}
	c.buf, c.pooled, c.r, c.w = nil, nil, 0, 0
}

// consume takes n bytes out of the buffer.
func (c *conn) consume(n int) {
	if c.r += n; c.r == c.w {
		c.release()
	}
}

// reserve makes room for at least one byte after w.
func (c *conn) reserve() {
	used := c.w - c.r
	switch {
	case c.buf == nil:
		c.pooled = c.srv.readBuf()
		c.buf = c.pooled[:]
	case c.w < len(c.buf):
	case c.r > 0:
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	default:
		bigger := make([]byte, 2*len(c.buf))
		copy(bigger, c.buf[:used])
		c.release()
		c.buf, c.w = bigger, used
	}
}

// fill reads more into the buffer, at least one byte or an error.
func (c *conn) fill() error {
	if c.buf == nil && c.idle.able() {
		return c.idle.read()
	}
	c.reserve()
	n, err := readSome(c.net, c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if c.r == c.w {
		c.release()
	}
	return err
}

// readSome reads at least one byte or an error.
func readSome(r io.Reader, p []byte) (int, error) {
	for range 100 {
		if n, err := r.Read(p); n > 0 {
			return n, nil // an error shows again at the next read
		} else if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// readHead reads until buf[r:] begins with a whole head, and returns its
// length; zero if the connection is over.
func (c *conn) readHead() (int, *refusal) {
	limit := c.srv.maxHead()
	seen, begun, judged := 0, false, false
	for {
		if c.skipEmptyLines(); c.w > c.r && !begun {
			if !c.state.CompareAndSwap(stateIdle, stateActive) {
				return 0, nil
			}
			begun = true
		}
		if c.w > c.r {
			end, next := c.headEnd(seen)
			switch {
			case end > limit || end == 0 && c.w-c.r >= limit:
				return 0, tooLarge("the request head is too large")
			case end > 0:
				return end, nil
			case seen == 0:
				c.setReadDeadline(c.headDeadline())
			}
			seen = next
			if !judged {
				var bad *refusal
				if judged, bad = judgeEarly(c.buf[c.r:c.w]); bad != nil {
					return 0, bad
				}
			}
		}
		if err := c.fill(); err != nil {
			if begun && errors.Is(err, io.EOF) {
				return 0, badRequest("the request head ends early")
			}
			return 0, nil
		}
	}
}

// skipEmptyLines drops what old clients send after the body of a POST.
func (c *conn) skipEmptyLines() {
	for ; c.skip > 0 && c.w > c.r; c.skip-- {
		if b := c.buf[c.r]; b != '\r' && b != '\n' {
			c.skip = 0
			return
		}
		c.consume(1)
	}
}

// exchange handles the request whose head is the first n bytes of the buffer.
// After a refusal, and when c.gone is set, the connection is not used again.
func (c *conn) exchange(n int) *refusal {
	x := c.srv.exchange()
	x.open(c)
	c.running.Store(x.ctx)
	bad := x.read(c.buf[c.r : c.r+n])
	c.consume(n)
	if bad != nil {
		c.running.Store(nil)
		x.reset()
		return bad
	}
	if x.method == http.MethodPost {
		c.skip = 4
	}
	x.watch.begin(x.body.err != nil)
	keep := c.run(x)
	c.running.Store(nil)
	if x.unread() && !c.gone {
		c.linger()
	}
	x.reset()
	c.gone = c.gone || !keep
	return nil
}

// run calls the handler and completes its response. It reports whether the
// connection can take another request.
func (c *conn) run(x *exchange) (keep bool) {
	defer func() {
		// The panic stays recovered: a connection is all that it costs.
		if cause := recover(); cause != nil {
			if cause != http.ErrAbortHandler {
				c.srv.log().Error("a handler panicked", "remote", c.remote, "cause", cause, "stack", string(debug.Stack()))
			}
			x.abandon()
			keep, c.gone = false, true
		}
	}()
	c.srv.Handler.ServeHTTP(&x.response, x.request)
	if x.response.hijacked {
		x.abandon()
		c.gone = true
		return false
	}
	return x.finish()
}

// refusal is why a request is not served.
type refusal struct {
	status int
	text   string
}

func badRequest(text string) *refusal { return &refusal{http.StatusBadRequest, text} }

func tooLarge(text string) *refusal {
	return &refusal{http.StatusRequestHeaderFieldsTooLarge, text}
}

// refuse answers a request that is not served; the connection ends with it.
func (c *conn) refuse(bad *refusal) {
	text := strconv.Itoa(bad.status) + " " + http.StatusText(bad.status)
	body := text + ": " + bad.text + "\n"
	b := make([]byte, 0, 256)
	b = append(append(b, "HTTP/1.1 "...), text...)
	b = append(b, "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"...)
	b = append(b, c.srv.dateField(time.Now())...)
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(append(b, "\r\n\r\n"...), body...)
	_ = c.net.SetWriteDeadline(time.Now().Add(drainTime))
	if _, err := c.net.Write(b); err == nil {
		c.linger()
	}
}

// linger ends the writing side and reads on for a moment: closing with unread
// bytes would reset the connection, and the client might lose the answer.
func (c *conn) linger() {
	half, ok := c.net.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.release()
	c.setReadDeadline(time.Now().Add(lingerTime))
	c.reserve()
	for left := maxDrain; left > 0; {
		n, err := readSome(c.net, c.buf)
		if err != nil {
			return
		}
		left -= n
	}
}

// timedOut reports whether err is a deadline that passed.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
