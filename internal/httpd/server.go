// Package httpd is the HTTP/1.1 server of the data listener's hot path. It
// serves an http.Handler at a fraction of the cost of net/http's server.
//
// It owns the accept loop, one goroutine per connection, the strict parsing of
// request heads, the framing of bodies in both directions, and the notice that
// a client has left. HTTP/2 it only recognises and hands over: in the clear by its
// preface, and over TLS where both sides agreed on it. TLS is crypto/tls's: the
// listener brings it (tls.NewListener), and requests say what was agreed on.
//
// It never routes, decompresses, sends a trailer, or reads a
// request body while another goroutine writes the response: Body and
// ResponseWriter belong to one goroutine at a time. Except for r itself and its Context, what a handler gets (URL, Header,
// Body, the ResponseWriter) is used again for another request, so a handler
// must not keep any of it after it has returned. A handler may take a connection
// over (hijack.go), but only for as long as it runs.
//
// Start reading at Server here, then conn.go for the life of a connection,
// head.go for parsing, recall.go for heads that come again, response.go for
// writing and watch.go for clients that leave.
package httpd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Sizes and limits whose reasons do not belong to one caller.
const (
	readBufSize    = 4 << 10   // a head with 30 fields and a small body fit; larger heads grow it
	writeBufSize   = 4 << 10   // a head and a small answer go out together
	defaultMaxHead = 1 << 20   // that of net/http
	maxFields      = 200       // header fields of one request
	maxDrain       = 256 << 10 // of an unread body, to keep the connection: that of net/http
	drainTime      = 5 * time.Second
	lingerTime     = 500 * time.Millisecond
	watchAfter     = 10 * time.Millisecond // of a handler: most refusals are over by then
)

// Server serves HTTP/1.1 on any number of listeners. Its fields are set before
// the first Serve and not changed after; all methods are safe for concurrent
// use. The zero values of the limits mean what is stated.
type Server struct {
	// Handler answers requests. The package comment says what it must not keep. As
	// net/http asks of every handler it does not change the header of a request: later
	// requests of the same connection with the same head may have that header, and no
	// others.
	Handler http.Handler
	// HTTP2 takes over a connection that begins with the preface of HTTP/2,
	// with the bytes read so far in front, or a *tls.Conn that agreed on h2; it
	// is called on the connection's goroutine, which ends after it.
	// Handover.Give is one. If nil, such a connection is refused with status
	// 505, or ends.
	HTTP2 func(net.Conn)
	// ReadHeaderTimeout bounds the reading of a head from its first byte, and the
	// wait for the first byte of a connection and the handshake of TLS before it;
	// zero is no bound.
	ReadHeaderTimeout time.Duration
	// IdleTimeout bounds the wait for the next request, to an eighth exactly
	// (it ends between 7/8 of it and all of it); zero is no bound.
	IdleTimeout time.Duration
	// Yield is called before a small answer or event is sent, and may let other
	// goroutines go first; nil for none. A large one would leave the caches meanwhile.
	Yield func()
	// MaxHeaderBytes bounds a request head: 1 MiB if zero.
	MaxHeaderBytes int
	// ErrorLog hears of panics of handlers and of trouble with accepting;
	// slog.Default if nil.
	ErrorLog *slog.Logger

	stopping  atomic.Bool
	date      atomic.Pointer[dateLine]
	readBufs  sync.Pool // of *[readBufSize]byte
	writeBufs sync.Pool // of *[writeBufSize]byte
	exchanges sync.Pool // of *exchange

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	empty     chan struct{} // made when somebody waits for conns to be empty
}

// Serve accepts connections until ln fails or the server is stopped, and closes
// ln. After Shutdown or Close it returns http.ErrServerClosed at once;
// connections may still be running then.
func (s *Server) Serve(ln net.Listener) error {
	if !s.open(ln) {
		_ = ln.Close()
		return http.ErrServerClosed
	}
	defer s.leave(ln)
	var pause time.Duration
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			c := newConn(s, nc)
			if !s.track(c) {
				_ = nc.Close()
				return http.ErrServerClosed
			}
			go c.serve()
		case s.stopping.Load():
			return http.ErrServerClosed
		case !passing(err):
			return err
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log().Warn("cannot accept a connection; raise the limit of open files if this goes on", "error", err, "pause", pause)
			time.Sleep(pause)
		}
	}
}

// passing reports whether accepting may succeed again after err.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Shutdown stops accepting, closes connections that wait for a request, and
// waits until the others have finished their current request or ctx ends, whose
// error it returns then. Connections that were handed over are not waited for.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.stop()
	s.mu.Lock()
	for c := range s.conns {
		c.closeIfIdle()
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
		if len(s.conns) == 0 {
			close(s.empty)
		}
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
		return err
	case <-ctx.Done():
	}
	select {
	case <-empty: // both are so: nothing is left, which is better news
		return err
	default:
		return ctx.Err()
	}
}

// Interrupt ends the contexts of the requests that run, and the reading of their
// bodies as a deadline would. Their connections are left to their handlers, which can
// still answer.
func (s *Server) Interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if ctx := c.running.Load(); ctx != nil {
			ctx.cancel()
			ctx.of.watch.interrupt(ctx)
		}
	}
}

// Close stops accepting and closes all connections at once, without waiting for
// their handlers, whose contexts end.
func (s *Server) Close() error {
	err := s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.raw().Close()
	}
	return err
}

// stop closes the listeners, for good.
func (s *Server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping.Store(true)
	var errs []error
	for ln := range s.listeners {
		errs = append(errs, ln.Close())
	}
	clear(s.listeners)
	return errors.Join(errs...)
}

func (s *Server) open(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return false
	}
	if s.listeners == nil {
		s.listeners = map[net.Listener]struct{}{}
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) leave(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.listeners[ln]; open {
		delete(s.listeners, ln)
		_ = ln.Close()
	}
}

func (s *Server) track(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return false
	}
	if s.conns == nil {
		s.conns = map[*conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) untrack(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, tracked := s.conns[c]; !tracked {
		return
	}
	delete(s.conns, c)
	if len(s.conns) == 0 && s.empty != nil && s.stopping.Load() {
		close(s.empty)
	}
}

func (s *Server) log() *slog.Logger {
	if s.ErrorLog != nil {
		return s.ErrorLog
	}
	return slog.Default()
}

func (s *Server) maxHead() int {
	if s.MaxHeaderBytes > 0 {
		return s.MaxHeaderBytes
	}
	return defaultMaxHead
}

func (s *Server) readBuf() *[readBufSize]byte {
	if b, ok := s.readBufs.Get().(*[readBufSize]byte); ok {
		return b
	}
	return new([readBufSize]byte)
}

func (s *Server) writeBuf() *[writeBufSize]byte {
	if b, ok := s.writeBufs.Get().(*[writeBufSize]byte); ok {
		return b
	}
	return new([writeBufSize]byte)
}

// dateLine is the Date field of one second.
type dateLine struct {
	unix int64
	text string
}

// dateField is the Date field at now, with its CRLF.
func (s *Server) dateField(now time.Time) string {
	d := s.date.Load()
	if unix := now.Unix(); d == nil || d.unix != unix {
		d = &dateLine{unix, "Date: " + now.UTC().Format(http.TimeFormat) + "\r\n"}
		s.date.Store(d)
	}
	return d.text
}
