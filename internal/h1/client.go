// Package h1 is the HTTP/1.1 client of the hot path to upstreams.
//
// It owns the connection pool per scheme and address, the writing of request
// heads, the parsing of response heads and the framing of bodies
// (Content-Length, chunked, close-delimited).
//
// It never knows what a body means, follows a redirect, decompresses, adds a
// header of its own beyond Host and Content-Length, or repeats a request,
// except for the one case of a stale pooled connection that replay.go argues.
//
// Start reading at Client.Do here, then conn.go and send.go for one exchange on
// one connection, trip_unix.go for its quick way, head.go for parsing and body.go
// for reading.
package h1

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// Sizes and limits whose reasons do not belong to one caller.
const (
	defaultMaxIdle     = 512
	defaultIdleTimeout = 90 * time.Second
	mostHead           = 64 << 10 // of a response, whatever Options say
	readBufSize        = 4 << 10  // a head with 30 fields fits; larger ones grow
	writeBufSize       = 8 << 10  // head plus a small body in one buffer
	maxWriteBuf        = 32 << 10 // larger write buffers are not kept
	maxInformational   = 16       // 1xx responses before the final one
)

// Options configures a Client. Zero values mean the defaults stated.
type Options struct {
	// Dial opens connections, by default with a net.Dialer. The deadline of
	// its context includes Request.ConnectTimeout. A connection that is a
	// syscall.Conn is checked for staleness before it is reused.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is cloned; ALPN is set to http/1.1, and ServerName, where empty, to
	// the host name of the request.
	TLS *tls.Config
	// MaxIdle is the number of idle connections kept per scheme, address and
	// TLS server name: 512 if zero, none if negative.
	MaxIdle int
	// IdleTimeout closes a connection that was unused for so long: 90 s if zero.
	IdleTimeout time.Duration
	// Yield is called before a small request is written, and may let other goroutines
	// go first; nil for none. A large one would leave the caches meanwhile.
	Yield func()
	// MaxHead limits the bytes of one response head: 64 KiB if zero, and at most.
	MaxHead int
}

// Client sends requests over pooled connections. All methods are safe for
// concurrent use. It has no goroutine of its own; idle connections are closed
// by a timer.
type Client struct {
	opt       Options
	readBufs  sync.Pool // *[readBufSize]byte
	writeBufs sync.Pool // *[]byte

	mu sync.RWMutex
	// hosts only grows: an entry is some hundred bytes and there are as many
	// as there were upstream addresses.
	hosts map[hostKey]*host
}

// New returns a client with o.
func New(o Options) *Client {
	if o.Dial == nil {
		d := &net.Dialer{}
		o.Dial = d.DialContext
	}
	if o.TLS == nil {
		o.TLS = &tls.Config{}
	}
	o.TLS = o.TLS.Clone()
	o.TLS.NextProtos = []string{"http/1.1"}
	// A request is written in one go, so small first records gain nothing and
	// cost a system call each.
	o.TLS.DynamicRecordSizingDisabled = true
	if o.TLS.ClientSessionCache == nil {
		o.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	if o.MaxIdle == 0 {
		o.MaxIdle = defaultMaxIdle
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = defaultIdleTimeout
	}
	if o.Yield == nil {
		o.Yield = func() {}
	}
	if o.MaxHead <= 0 || o.MaxHead > mostHead {
		o.MaxHead = mostHead
	}
	c := &Client{opt: o, hosts: map[hostKey]*host{}}
	c.readBufs.New = func() any { return new([readBufSize]byte) }
	c.writeBufs.New = func() any { return new(make([]byte, 0, writeBufSize)) }
	return c
}

// Field is one header field of a request, written as it is.
type Field struct{ Name, Value string }

// Request is one request. Do does not change it.
type Request struct {
	Method  string
	TLS     bool
	Address string // host:port to dial
	Host    string // Host header; without its port also the TLS server name
	Target  string // origin form: path?query
	// Header is written as it is, in order. Host, Content-Length,
	// Transfer-Encoding and Connection are the client's own and refused here,
	// as are names that are no token and values with control characters.
	Header []Field
	// Body is the whole body, nil for none; it must stay unchanged until Do
	// fails or the Response is closed. POST, PUT and PATCH with a nil Body send
	// Content-Length: 0, other methods then send no Content-Length.
	//
	// Front and Back are sent before it and behind it, as parts of the body that
	// stand elsewhere. Where they are, Body is not nil.
	Body, Front, Back []byte
	// ConnectTimeout bounds dial and TLS handshake together; 0 is no bound.
	ConnectTimeout time.Duration
	// HeadDeadline bounds everything until the response head is complete: a
	// dial where one is needed, the write, the wait. The body is not bounded
	// by it: Response.SetReadDeadline is. Zero is no bound.
	HeadDeadline time.Time
}

// size is how many bytes the body has.
func (r *Request) size() int { return len(r.Front) + len(r.Body) + len(r.Back) }

// Timing says how the time before the response head was spent.
type Timing struct {
	Reused    bool          // the connection came from the pool
	Connect   time.Duration // dial; zero if reused
	TLS       time.Duration // handshake; zero if reused or plain
	Write     time.Duration // head and body handed to the kernel
	FirstByte time.Duration // from the end of the write to the first response byte; zero if the response came before that end
}

// Do sends req and returns the response once its head has arrived. The body is
// read from the Response, which must be closed.
//
// When ctx ends, at any time until the Response is closed, the connection is
// closed and whatever waits on it returns. Every error is an *Error.
func (c *Client) Do(ctx context.Context, req *Request) (*Response, error) {
	if err := checkRequest(req); err != nil {
		return nil, &Error{Phase: PhaseRequest, Address: req.Address, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return nil, &Error{Phase: PhaseDial, Address: req.Address, Err: err}
	}
	h := c.host(req)
	now := time.Now()
	for cn := h.get(now); cn != nil; cn = h.get(now) {
		resp, fail := cn.exchange(ctx, req, now)
		switch {
		case fail == nil:
			resp.Timing.Reused = true
			return resp, nil
		case fail.stale && fail.err == nil:
			continue
		case fail.replayable(req.Method):
			return c.doFresh(ctx, h, req)
		}
		return nil, &Error{Phase: fail.phase, Address: req.Address, Err: fail.err, Stale: fail.broken && !fail.answered}
	}
	return c.doFresh(ctx, h, req)
}

// doFresh is Do on a new connection.
func (c *Client) doFresh(ctx context.Context, h *host, req *Request) (*Response, error) {
	start := time.Now()
	var (
		cn     *conn
		timing Timing
		cerr   error
		dialer sync.WaitGroup
	)
	// Resolving, dialing and the handshake need a deep stack. On a goroutine of
	// their own, which is joined here, they do not leave the caller with one for
	// as long as its stream lives.
	dialer.Go(func() { cn, timing, cerr = h.connect(ctx, req, start) })
	dialer.Wait()
	if cerr != nil {
		return nil, cerr
	}
	resp, fail := cn.exchange(ctx, req, start.Add(timing.Connect+timing.TLS))
	if fail != nil {
		return nil, &Error{Phase: fail.phase, Address: req.Address, Err: fail.err}
	}
	resp.Timing.Connect, resp.Timing.TLS = timing.Connect, timing.TLS
	return resp, nil
}

// CloseIdle closes the connections that are idle now. Connections in use are
// not touched and are still kept when they become idle.
func (c *Client) CloseIdle() {
	c.mu.RLock()
	hosts := slices.Collect(maps.Values(c.hosts))
	c.mu.RUnlock()
	for _, h := range hosts {
		h.closeIdle()
	}
}
