package h1

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// hostKey tells pools apart. The server name is part of it, because a
// connection verified for one name must not carry requests for another.
type hostKey struct {
	tls     bool
	address string
	name    string
}

// host is the pool of one hostKey: a stack, newest last, so that the warmest
// connection is used and the others can age out.
type host struct {
	client  *Client
	address string
	tls     *tls.Config // nil for plain connections

	mu    sync.Mutex
	idle  []*conn
	timer *time.Timer // runs while idle is not empty; nil otherwise
}

// host returns the pool for req, making it at first use.
func (c *Client) host(req *Request) *host {
	key := hostKey{tls: req.TLS, address: req.Address}
	if req.TLS {
		key.name = serverName(req.Host)
	}
	c.mu.RLock()
	h := c.hosts[key]
	c.mu.RUnlock()
	if h != nil {
		return h
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h = c.hosts[key]; h != nil {
		return h
	}
	h = &host{client: c, address: req.Address}
	if req.TLS {
		h.tls = c.opt.TLS.Clone()
		if h.tls.ServerName == "" {
			h.tls.ServerName = key.name
		}
	}
	c.hosts[key] = h
	return h
}

// serverName is a Host header without its port and brackets.
func serverName(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	if n := len(name); n > 1 && name[0] == '[' && name[n-1] == ']' {
		name = name[1 : n-1]
	}
	return name
}

// get takes the newest idle connection that was not idle for too long, or returns
// nil. Whether it can still be used is seen when it is.
func (h *host) get(now time.Time) *conn {
	for {
		h.mu.Lock()
		n := len(h.idle)
		if n == 0 {
			h.mu.Unlock()
			return nil
		}
		cn := h.idle[n-1]
		h.idle[n-1] = nil
		h.idle = h.idle[:n-1]
		h.mu.Unlock()
		if now.Sub(cn.idleSince) < h.client.opt.IdleTimeout {
			return cn
		}
		cn.closePolitely()
	}
}

// put makes cn idle, or closes it if there are enough.
func (h *host) put(cn *conn) {
	if cn.idleSince = cn.heard; cn.heard.IsZero() {
		cn.idleSince = time.Now()
	}
	cn.reused = true
	h.mu.Lock()
	if len(h.idle) >= h.client.opt.MaxIdle {
		h.mu.Unlock()
		cn.closePolitely()
		return
	}
	h.idle = append(h.idle, cn)
	if h.timer == nil {
		h.timer = time.AfterFunc(h.client.opt.IdleTimeout, h.sweep)
	}
	h.mu.Unlock()
}

// sweep closes what was idle for too long and runs again when the next one is due.
func (h *host) sweep() {
	now, keep := time.Now(), h.client.opt.IdleTimeout
	h.mu.Lock()
	n := 0
	for n < len(h.idle) && now.Sub(h.idle[n].idleSince) >= keep {
		n++
	}
	old := append([]*conn(nil), h.idle[:n]...)
	rest := copy(h.idle, h.idle[n:])
	clear(h.idle[rest:])
	h.idle = h.idle[:rest]
	h.timer = nil
	if rest > 0 {
		h.timer = time.AfterFunc(keep-now.Sub(h.idle[0].idleSince), h.sweep)
	}
	h.mu.Unlock()
	for _, cn := range old {
		cn.closePolitely()
	}
}

// closeIdle closes all idle connections.
func (h *host) closeIdle() {
	h.mu.Lock()
	old := h.idle
	h.idle = nil
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	h.mu.Unlock()
	for _, cn := range old {
		cn.closePolitely()
	}
}

// connect opens a connection for req. Its time is bounded by ctx, by
// ConnectTimeout from start and by HeadDeadline.
func (h *host) connect(ctx context.Context, req *Request, start time.Time) (*conn, Timing, error) {
	limit := req.HeadDeadline
	if req.ConnectTimeout > 0 {
		if t := start.Add(req.ConnectTimeout); limit.IsZero() || t.Before(limit) {
			limit = t
		}
	}
	bounded := ctx
	if !limit.IsZero() {
		var cancel context.CancelFunc
		bounded, cancel = context.WithDeadline(ctx, limit)
		defer cancel()
	}
	fail := func(p Phase, err error) error {
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case !limit.IsZero() && !time.Now().Before(limit):
			err = fmt.Errorf("not connected after %v: %w", time.Since(start), os.ErrDeadlineExceeded)
		}
		return &Error{Phase: p, Address: req.Address, Err: err}
	}

	var timing Timing
	raw, err := h.client.opt.Dial(bounded, "tcp", req.Address)
	if err != nil {
		return nil, timing, fail(PhaseDial, err)
	}
	dialed := time.Now()
	timing.Connect = dialed.Sub(start)
	cn := newConn(h, raw)
	if h.tls != nil {
		t := tls.Client(raw, h.tls)
		if err := t.HandshakeContext(bounded); err != nil {
			_ = raw.Close()
			return nil, timing, fail(PhaseTLS, err)
		}
		if p := t.ConnectionState().NegotiatedProtocol; p != "" && p != "http/1.1" {
			_ = raw.Close()
			return nil, timing, fail(PhaseTLS, errors.New("upstream chose a protocol other than http/1.1"))
		}
		timing.TLS = time.Since(dialed)
		cn.net, cn.tcp, cn.tls = t, nil, true
		cn.trip = trip{}
	}
	return cn, timing, nil
}

// newConn wraps a plain connection of h.
func newConn(h *host, raw net.Conn) *conn {
	cn := &conn{host: h, net: raw, raw: raw}
	cn.tcp, _ = raw.(*net.TCPConn)
	if sc, ok := raw.(syscall.Conn); ok {
		if rc, err := sc.SyscallConn(); err == nil {
			cn.look.bind(rc)
			if cn.tcp != nil {
				cn.trip.bind(cn, rc)
			}
		}
	}
	cn.abort = func() { _ = raw.Close() }
	return cn
}
