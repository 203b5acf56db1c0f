package httpd

import (
	"errors"
	"io"
	"net/http"
	"time"

	"tailplane/internal/http1"
)

// body reads the body of one request. Its framing is removed; chunk extensions
// and trailers are dropped.
type body struct {
	x       *exchange
	chunked bool
	expects bool // the client waits for 100 Continue
	closed  bool // by the handler, or because the response has begun
	left    int64
	chunks  http1.ChunkDecoder
	err     error // what ends it: io.EOF for a complete body, from the start if there is none
	// deadline is the handler's; it is set on the connection only when that is
	// read from. The lock of the watch guards it.
	deadline time.Time
}

// Read reads the body. At its end it returns io.EOF, with the last bytes where
// it can; a body that was cut ends with io.ErrUnexpectedEOF. The first Read
// sends 100 Continue if the client waits for that. A Read that met a deadline
// may be repeated with a later one.
func (b *body) Read(p []byte) (int, error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.read(p)
}

// Close ends reading. What is left of the body is read and dropped before the
// response is sent, if it is not too much.
func (b *body) Close() error {
	b.closed = true
	return nil
}

func (b *body) read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.expects {
		b.expects = false
		if err := b.x.response.sendContinue(); err != nil {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.chunked {
		n, err = b.readChunked(p)
	} else {
		n, err = b.readRaw(p[:min(int64(len(p)), b.left)])
		if b.left -= int64(n); b.left == 0 {
			err = io.EOF
		} else if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil && !timedOut(err) {
		b.err = err
		if err == io.EOF {
			b.x.watch.over()
		}
	}
	return n, err
}

// readChunked decodes until there is a byte of body. Only inside the data of a
// chunk it reads past the buffer, since what follows may be the next request.
func (b *body) readChunked(p []byte) (int, error) {
	c := b.x.conn
	for {
		switch left := b.chunks.Left(); {
		case c.w > c.r:
		case left > 0:
			n, err := b.readRaw(p[:min(int64(len(p)), left)])
			n, _, _ = b.chunks.Decode(p, p[:n])
			return n, cut(err)
		default:
			if err := b.fill(); err != nil {
				return 0, cut(err)
			}
		}
		n, used, err := b.chunks.Decode(p, c.buf[c.r:c.w])
		c.consume(used)
		switch {
		case err != nil:
			return n, err
		case b.chunks.Done():
			return n, io.EOF
		case n > 0:
			return n, nil
		}
	}
}

// readRaw reads what is buffered, else from the connection.
func (b *body) readRaw(p []byte) (int, error) {
	c := b.x.conn
	if c.w > c.r {
		n := copy(p, c.buf[c.r:c.w])
		c.consume(n)
		return n, nil
	}
	b.enter()
	n, err := readSome(c.net, p)
	b.leave(err)
	return n, err
}

// fill reads into the buffer.
func (b *body) fill() error {
	b.enter()
	err := b.x.conn.fill()
	b.leave(err)
	return err
}

// enter sets the handler's deadline for a read of the connection; while that
// goes on, a change of the deadline takes effect at once.
func (b *body) enter() {
	w := &b.x.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bodyRead = true
	if w.cutShort {
		b.x.conn.setReadDeadline(past())
		return
	}
	b.x.conn.setReadDeadline(b.deadline)
}

// leave ends the request's context if the client has gone.
func (b *body) leave(err error) {
	w := &b.x.watch
	w.mu.Lock()
	w.bodyRead = false
	w.mu.Unlock()
	if err != nil && !timedOut(err) {
		b.x.ctx.cancel()
	}
}

// drain reads and drops the rest before a response begins, so that a client
// that sends all before it reads cannot wait for us while we wait for it. It
// reports whether the connection can be used again. From now on the handler
// cannot read the body.
func (b *body) drain() bool {
	b.closed = true
	if b.err != nil {
		return b.err == io.EOF
	}
	if b.x.is.expects || b.left >= maxDrain || b.x.watch.isCutShort() {
		return false // it may never be sent, is too much, or is not waited for
	}
	b.x.setReadDeadline(time.Now().Add(drainTime))
	scratch := b.x.conn.srv.writeBuf()
	defer b.x.conn.srv.writeBufs.Put(scratch)
	for left := maxDrain; left >= 0; {
		n, err := b.read(scratch[:])
		if err != nil {
			return err == io.EOF
		}
		left -= n
	}
	return false
}

// cut turns the end of the stream inside a body into io.ErrUnexpectedEOF.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
