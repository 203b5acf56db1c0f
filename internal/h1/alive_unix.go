//go:build unix

package h1

import "syscall"

// look asks the kernel whether an idle connection has anything to read. The
// closure is made once per connection, so that looking allocates nothing.
type look struct {
	rc    syscall.RawConn
	peek  func(fd uintptr)
	byte1 [1]byte
	quiet bool
}

// bind prepares looking at rc.
func (l *look) bind(rc syscall.RawConn) {
	l.rc = rc
	l.peek = func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), l.byte1[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		l.quiet = err == syscall.EAGAIN
	}
}

// ok reports that nothing waits to be read: no close, no reset, and no bytes
// that nobody asked for. Without a bound connection it is true.
func (l *look) ok() bool {
	if l.rc == nil {
		return true
	}
	l.quiet = false
	return l.rc.Control(l.peek) == nil && l.quiet
}
