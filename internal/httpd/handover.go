package httpd

import (
	"errors"
	"net"
	"sync"
	"time"
)

// preface is what every HTTP/2 connection begins with (RFC 9113 3.4). Its
// first part has the form of a request head.
const (
	prefaceHead = "PRI * HTTP/2.0\r\n\r\n"
	preface     = prefaceHead + "SM\r\n\r\n"
)

// isPreface reports whether the head of n bytes is that of the preface and
// somebody takes HTTP/2. An encrypted connection has agreed on its protocol
// before.
func (c *conn) isPreface(n int) bool {
	return c.srv.HTTP2 != nil && c.tls == nil && string(c.buf[c.r:c.r+n]) == prefaceHead
}

// handOver gives the connection away, with what was read of it. The preface is
// checked in whole by whoever takes it.
func (c *conn) handOver() bool {
	read := append([]byte(nil), c.buf[c.r:c.w]...)
	c.release()
	c.setReadDeadline(time.Time{})
	c.srv.untrack(c)
	c.srv.HTTP2(&replayed{Conn: c.net, first: read})
	return true
}

// replayed is a connection with bytes in front that were read already.
type replayed struct {
	net.Conn
	first []byte
}

// Read reads what was read already, then the connection.
func (r *replayed) Read(p []byte) (int, error) {
	if len(r.first) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.first)
	if r.first = r.first[n:]; len(r.first) == 0 {
		r.first = nil
	}
	return n, nil
}

// CloseWrite ends the writing side, if the connection can.
func (r *replayed) CloseWrite() error {
	if half, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Handover is a listener whose connections are given to it: it joins a Server
// to the http.Server that speaks HTTP/2. All methods are safe for concurrent use.
type Handover struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewHandover returns a listener that says it listens on addr.
func NewHandover(addr net.Addr) *Handover {
	return &Handover{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Give waits until c is accepted. If the listener is closed instead, so is c.
func (h *Handover) Give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		_ = c.Close()
	}
}

// Accept waits for a connection; after Close it returns net.ErrClosed.
func (h *Handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close ends the listener. Connections that were accepted go on.
func (h *Handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr is the address given to NewHandover.
func (h *Handover) Addr() net.Addr { return h.addr }
