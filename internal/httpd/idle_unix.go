//go:build unix

package httpd

import (
	"io"
	"syscall"
)

// idleReader waits for bytes without holding a buffer: one is taken for each
// try, and given back if there is nothing to read yet.
type idleReader struct {
	rc  syscall.RawConn
	try func(fd uintptr) bool // made once per connection
	err error
}

// bind prepares reading from c, if its connection is one of the system's own:
// a wrapper may promise more than its descriptor does.
func (i *idleReader) bind(c *conn) {
	if c.tcp == nil {
		return
	}
	rc, err := c.tcp.SyscallConn()
	if err != nil {
		return
	}
	i.rc = rc
	i.try = func(fd uintptr) bool {
		c.reserve()
		n, err := syscall.Read(int(fd), c.buf)
		for err == syscall.EINTR {
			n, err = syscall.Read(int(fd), c.buf)
		}
		if n > 0 {
			c.w, i.err = n, nil
			return true
		}
		c.release()
		if i.err = err; err == nil {
			i.err = io.EOF
		}
		return err != syscall.EAGAIN
	}
}

func (i *idleReader) able() bool { return i.rc != nil }

// read fills the buffer, which must be empty.
func (i *idleReader) read() error {
	if err := i.rc.Read(i.try); err != nil {
		return err // a deadline, or closed
	}
	return i.err
}
