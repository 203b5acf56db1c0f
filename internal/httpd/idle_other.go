//go:build !unix

package httpd

// idleReader is not available here: a waiting connection holds a buffer.
type idleReader struct{}

func (*idleReader) bind(*conn) {}

func (*idleReader) able() bool { return false }

func (*idleReader) read() error { panic("httpd: not able to wait without a buffer") }
