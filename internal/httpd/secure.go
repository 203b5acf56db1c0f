package httpd

import (
	"crypto/tls"
	"net"
	"time"
)

// secure agrees on TLS where the listener brings it, before anything is read. It
// reports whether the connection was handed over as HTTP/2; after a handshake
// that failed the connection is gone.
func (c *conn) secure() (handedOver bool) {
	tc, ok := c.net.(*tls.Conn)
	if !ok {
		return false
	}
	_ = tc.SetDeadline(c.headDeadline()) // fails only on a closed connection, and so does the handshake
	if err := tc.Handshake(); err != nil {
		c.gone = true
		c.srv.log().Debug("a TLS handshake failed", "remote", c.remote, "error", err)
		return false
	}
	_ = tc.SetDeadline(time.Time{})
	state := tc.ConnectionState()
	c.tls = &state
	if state.NegotiatedProtocol != "h2" {
		return false
	}
	if c.srv.HTTP2 == nil {
		c.gone = true
		return false
	}
	c.srv.untrack(c)
	c.srv.HTTP2(tc)
	return true
}

// raw is the connection below TLS. Closing it waits for nobody, where TLS would
// say goodbye first.
func (c *conn) raw() net.Conn {
	if tc, ok := c.net.(*tls.Conn); ok {
		return tc.NetConn()
	}
	return c.net
}
