//go:build unix

package h1

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// trip is one round trip on a plain connection that was used before: the look at
// it, the write of a small request and the wait for the first bytes of the answer,
// as one operation of the runtime's poller. Asked one by one it reads once in vain,
// since the answer is never there when the write is over.
//
// The poller forgets what it knew of the connection when the operation begins. What
// arrives from then on ends the wait; what had arrived before is what the look is
// for. So nothing can be missed, and the look is no option here.
type trip struct {
	conn *conn
	rc   syscall.RawConn
	step func(fd uintptr) (over bool) // made once per connection

	began   time.Time
	request []byte // what is left to write
	sent    sending
	failed  error // of the read
}

// bind prepares round trips on cn, whose connection is one of the system's own.
func (t *trip) bind(cn *conn, rc syscall.RawConn) {
	t.conn, t.rc = cn, rc
	t.step = func(fd uintptr) bool {
		if t.sent.end.IsZero() {
			return t.leave(int(fd))
		}
		return t.arrive(int(fd))
	}
}

func (t *trip) able() bool { return t.rc != nil }

// run makes the trip, which begins about now. It returns the rest of the request if
// the connection has not taken all of it; then nothing was waited for.
func (t *trip) run(request []byte, now time.Time) (s sending, rest []byte, readErr error) {
	t.began, t.request, t.sent, t.failed = now, request, sending{}, nil
	err := t.rc.Read(t.step)
	for t.conn.early(err) {
		err = t.rc.Read(t.step)
	}
	s, rest, readErr = t.sent, t.request, t.failed
	t.request = nil
	switch {
	case err == nil:
	case s.end.IsZero():
		s.err, s.end = err, t.now()
	default:
		readErr = err
	}
	return s, rest, readErr
}

// now counts from the beginning: that asks the system for one clock, not for two.
func (t *trip) now() time.Time { return t.began.Add(time.Since(t.began)) }

// leave looks and writes. It reports whether the trip ends here.
func (t *trip) leave(fd int) (over bool) {
	look := &t.conn.look
	if look.peek(uintptr(fd)); !look.quiet {
		t.sent.stale = true
		return true
	}
	n, err := syscall.Write(fd, t.request)
	for err == syscall.EINTR {
		n, err = syscall.Write(fd, t.request)
	}
	if err != nil && err != syscall.EAGAIN {
		t.sent.err = t.fault("write", err)
	}
	t.request = t.request[max(n, 0):]
	t.sent.end = t.now()
	return len(t.request) > 0
}

// arrive reads. It reports whether there was something.
func (t *trip) arrive(fd int) (over bool) {
	cn := t.conn
	cn.grow(readBufSize)
	n, err := syscall.Read(fd, cn.buf[cn.w:])
	for err == syscall.EINTR {
		n, err = syscall.Read(fd, cn.buf[cn.w:])
	}
	switch {
	case err == syscall.EAGAIN:
		return false
	case n > 0:
		cn.w += n
		t.sent.first = t.now()
		cn.heard = t.sent.first
	case err == nil:
		t.failed = io.EOF
	default:
		t.failed = t.fault("read", err)
	}
	return true
}

// fault is err as package net words it.
func (t *trip) fault(op string, err error) error {
	tcp := t.conn.tcp
	return &net.OpError{Op: op, Net: "tcp", Source: tcp.LocalAddr(), Addr: tcp.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}
