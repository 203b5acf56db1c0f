package httpd

import (
	"net/http"
	"net/url"
	"time"
)

// exchange is the memory of one request and its response. It is taken from a
// pool when a head is there and given back when the response is complete, so
// that a connection that waits has none.
type exchange struct {
	conn    *conn
	request *http.Request // what the handler gets
	ctx     *requestContext
	method  string // of the request, whatever the handler makes of that
	url     url.URL
	header  http.Header
	values  []string  // the values of header, each a slice of one
	codings [1]string // chunked, where there is a Transfer-Encoding
	minor   int       // of HTTP/1.minor
	is      traits
	body    body
	watch   watch

	response response
}

// traits is what a head says about the connection.
type traits struct {
	close     bool // Connection: close
	keepAlive bool // Connection: keep-alive
	expects   bool // Expect: 100-continue, and there is a body
}

// Larger things than these are not kept for the next request.
const (
	keptValues = 64
	keptFields = 64
)

func (s *Server) exchange() *exchange {
	if x, ok := s.exchanges.Get().(*exchange); ok {
		return x
	}
	x := &exchange{header: http.Header{}, values: make([]string, 0, 32)}
	x.body.x = x
	x.response.x = x
	x.response.header, x.response.noLength = http.Header{}, true
	x.watch.x = x
	return x
}

// open makes the request that the handler will get, before its head is read. It and
// its context are the handler's to keep, so they are made anew, both at once.
func (x *exchange) open(c *conn) {
	made := &struct {
		request http.Request
		ctx     requestContext
	}{}
	made.ctx.of = x
	made.request = *new(http.Request).WithContext(&made.ctx)
	x.conn, x.request, x.ctx = c, &made.request, &made.ctx
	x.request.RemoteAddr, x.request.TLS = c.remote, c.tls
}

// finish completes the response, or says that this cannot be done. It reports
// whether the connection can take another request.
func (x *exchange) finish() (keep bool) {
	w := &x.response
	w.finish()
	x.ctx.cancel()
	x.watch.end()
	return !w.closing && w.err == nil && w.complete()
}

// abandon ends an exchange whose handler panicked. What is buffered is dropped.
func (x *exchange) abandon() {
	x.ctx.cancel()
	x.watch.end()
}

// unread reports whether the client may still be sending the body.
func (x *exchange) unread() bool { return x.body.err == nil && x.response.err == nil }

// reset lets go of everything that belongs to one request and gives the
// exchange back.
func (x *exchange) reset() {
	c := x.conn
	x.response.reset()
	x.conn, x.request, x.ctx, x.method = nil, nil, nil, ""
	x.url = url.URL{}
	x.header = emptied(x.header)
	clear(x.values)
	if x.values = x.values[:0]; cap(x.values) > keptValues {
		x.values = make([]string, 0, 32)
	}
	x.codings, x.is = [1]string{}, traits{}
	x.body = body{x: x}
	c.srv.exchanges.Put(x)
}

// emptied is h without fields, or a new one if h has grown out of proportion.
func emptied(h http.Header) http.Header {
	if len(h) > keptFields {
		return http.Header{}
	}
	clear(h)
	return h
}

// setReadDeadline is the handler's own deadline for reading the body.
func (x *exchange) setReadDeadline(t time.Time) {
	w := &x.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	x.body.deadline = t
	if w.bodyRead && !w.cutShort {
		x.conn.setReadDeadline(t)
	}
}
