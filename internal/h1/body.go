package h1

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"tailplane/internal/http1"
)

// Response is the head of a response and the reader of its body. Read,
// SetReadDeadline and Close are called by one goroutine at a time; to abort
// from another, end the context given to Do.
type Response struct {
	Status        int
	Reason        string // may be empty
	Header        Header
	ContentLength int64 // of the body; of the GET body for HEAD; -1 if unknown
	Timing        Timing

	conn   *conn // nil after Close
	ctx    context.Context
	writer *writing // nil unless the request was written by a goroutine
	framing
	spans [32]span // what Header.fields uses unless there are more
}

// framing is the state of reading a body.
type framing struct {
	mode   bodyMode
	close  bool  // the connection is not to be used again
	extra  bool  // bytes came after the body that nobody asked for
	left   int64 // of a body with a length
	chunks http1.ChunkDecoder
	err    error // what Read returns from now on; io.EOF at a complete body
	rawErr error // came with the last bytes read, and is due at the next read
}

type bodyMode uint8

const (
	bodyLength bodyMode = iota
	bodyChunked
	bodyUntilClose
)

// frame decides how the body ends: RFC 9112 6.3.
func (r *Response) frame(method string, m message) {
	r.close = m.close
	r.ContentLength = m.length
	switch {
	case method == "HEAD":
		r.err = io.EOF
	case r.Status == 204 || r.Status == 304:
		r.ContentLength = 0
		r.err = io.EOF
	case m.chunked:
		r.mode = bodyChunked
	case m.length >= 0:
		r.left = m.length
		if r.left == 0 {
			r.err = io.EOF
		}
	default:
		r.mode, r.close = bodyUntilClose, true
	}
}

// Read reads the body without its framing. It does at most one read of the
// connection per byte range it returns and never waits once it has a byte. It
// returns io.EOF, bare, exactly at the end of a complete body; a body that was
// cut ends with an Error that is an io.ErrUnexpectedEOF, or whatever cut it.
// It may use all of p as scratch space.
func (r *Response) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if r.conn == nil {
		return 0, net.ErrClosed
	}
	var n int
	var err error
	switch r.mode {
	case bodyLength:
		n, err = r.readRaw(p[:min(int64(len(p)), r.left)])
		if r.left -= int64(n); r.left == 0 {
			r.err = io.EOF
			return n, nil
		}
		err = cut(err)
	case bodyChunked:
		if n, err = r.readChunked(p); err == io.EOF {
			r.err = io.EOF
			if n > 0 {
				return n, nil
			}
			return 0, io.EOF
		}
	default:
		if n, err = r.readRaw(p); err == io.EOF && r.ctx.Err() == nil {
			r.err = io.EOF
			return n, io.EOF
		}
	}
	if err == nil {
		return n, nil
	}
	if cerr := r.ctx.Err(); cerr != nil {
		err = cerr
	}
	final := !errors.Is(err, os.ErrDeadlineExceeded)
	err = &Error{Phase: PhaseBody, Address: r.conn.host.address, Err: cut(err)}
	if final {
		r.err = err
	}
	return n, err
}

// readRaw reads what is buffered, else from the connection.
func (r *Response) readRaw(p []byte) (int, error) {
	cn := r.conn
	if cn.w > cn.r {
		n := copy(p, cn.buf[cn.r:cn.w])
		if cn.r += n; cn.r == cn.w {
			cn.release()
		}
		return n, nil
	}
	if r.rawErr != nil {
		return 0, r.rawErr
	}
	if cn.ofHead {
		_ = r.SetReadDeadline(time.Time{})
	}
	n, err := cn.read(p)
	if n > 0 {
		r.later(err)
		return n, nil
	}
	return 0, err
}

// later keeps an error that came with bytes until those are consumed; a
// deadline is not kept, since it may be renewed.
func (r *Response) later(err error) {
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		r.rawErr = err
	}
}

// readChunked decodes what is buffered, else reads into p and decodes in
// place, until there is a byte of body. It returns io.EOF at the end, with the
// last bytes if they came together.
func (r *Response) readChunked(p []byte) (int, error) {
	cn := r.conn
	for {
		var n, used int
		var err error
		if cn.w > cn.r {
			n, used, err = r.chunks.Decode(p, cn.buf[cn.r:cn.w])
			if cn.r += used; cn.r == cn.w {
				cn.release()
			}
		} else {
			var m int
			if m, err = r.readRaw(p); m == 0 {
				return 0, cut(err)
			}
			n, used, err = r.chunks.Decode(p, p[:m])
			if used < m {
				r.extra = true
			}
		}
		if err != nil {
			return n, err
		}
		if r.chunks.Done() {
			return n, io.EOF
		}
		if n > 0 {
			return n, nil
		}
	}
}

// SetReadDeadline bounds the following Reads; the zero time removes the bound.
// A Read that met a deadline may be repeated with a later one.
func (r *Response) SetReadDeadline(t time.Time) error {
	if r.conn == nil {
		return net.ErrClosed
	}
	r.conn.ofHead = false
	return r.conn.setReadDeadline(t)
}

// Close ends the exchange. The connection goes back to the pool if the body was
// read to its end and neither side wants to close; else it is closed. A second
// Close does nothing. Header and the other fields stay valid.
func (r *Response) Close() error {
	cn := r.conn
	if cn == nil {
		return nil
	}
	r.conn = nil
	if r.err == nil && r.mode == bodyChunked && cn.w > cn.r {
		// The last chunk may be here already without having been asked for.
		_, used, err := r.chunks.Decode(nil, cn.buf[cn.r:cn.w])
		if cn.r += used; err == nil && r.chunks.Done() {
			r.err = io.EOF
		}
	}
	reuse := r.err == io.EOF && !r.close && !r.extra && r.rawErr == nil && cn.w == cn.r && r.sent()
	if r.err == nil {
		r.err = net.ErrClosed
	}
	if cn.unwatch() && reuse && cn.quiet() {
		cn.release()
		cn.host.put(cn)
		return nil
	}
	_ = cn.raw.Close()
	r.join()
	cn.release()
	return nil
}

// sent reports whether the request was written completely.
func (r *Response) sent() bool {
	if r.writer == nil {
		return true // else Do had set close
	}
	select {
	case <-r.writer.done:
		return r.writer.result.err == nil
	default:
		return false
	}
}
