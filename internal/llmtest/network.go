// Package llmtest has what the tests of the gateway are made of: a network
// inside the process, upstreams that follow a script, and exchange cases, which
// are files.
//
// It owns the form of a case (case.go) and of a script (script.go). It builds
// no gateway and knows no config: whoever runs a case does. Everything in it
// can be used inside a testing/synctest bubble.
//
// Start reading at [Case].
package llmtest

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// Network is hosts that listen in memory. Dial is what a client takes in place
// of the real network. The zero Network has no hosts; all methods are safe for
// concurrent use.
type Network struct {
	mu    sync.Mutex
	hosts map[string]*Listener
}

// Listen makes a host. Every port of it is served by the one listener.
func (n *Network) Listen(host string) *Listener {
	l := &Listener{host: host, conns: make(chan net.Conn), done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts == nil {
		n.hosts = map[string]*Listener{}
	}
	n.hosts[host] = l
	return l
}

// Dial connects to a host. One that does not exist, or has closed, refuses; one
// that accepts nobody keeps the caller waiting until its context ends.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	l := n.hosts[host]
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- &counted{Conn: theirs, l: l}:
		return ours, nil
	case <-l.done:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// NoConn is the part of a connection that has no system below it: it ends, has no
// addresses and keeps no deadlines. Tests embed it beside a Read and a Write of their
// own.
type NoConn struct{}

// Close implements net.Conn.
func (NoConn) Close() error { return nil }

// LocalAddr implements net.Conn.
func (NoConn) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (NoConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline implements net.Conn.
func (NoConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (NoConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (NoConn) SetWriteDeadline(time.Time) error { return nil }

// Listener is the listener of one host.
type Listener struct {
	host  string
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once

	mu   sync.Mutex
	open map[*counted]bool
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open == nil {
			l.open = map[*counted]bool{}
		}
		l.open[c.(*counted)] = true
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: l.host, Net: "memory"} }

// Open is how many connections the host has not closed.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// counted is the host's side of a connection.
type counted struct {
	net.Conn
	l *Listener
}

func (c *counted) Close() error {
	c.l.mu.Lock()
	delete(c.l.open, c)
	c.l.mu.Unlock()
	return c.Conn.Close()
}
