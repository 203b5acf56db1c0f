package httpd

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// Rules of writing.
//
//   - What the handler writes is gathered in one buffer behind its head. It goes
//     out in one system call: at a Flush, when the buffer is full, or at the end.
//   - How the body is framed is decided when its first byte goes out: with the
//     length the handler declared, or the one that is known because all is
//     there; else chunked; else, in HTTP/1.0, by closing.
//   - The buffer is held only while it holds something.
//   - Between the head and the body there is a gap into which the fields are put
//     that are known last; the head is then moved up to the body. Later the gap
//     takes the line of a chunk.

const (
	headGap  = 256 // holds every field of frame, the empty line and a chunk line
	chunkGap = 18  // holds the longest chunk line
	tailRoom = 8   // holds the end of a chunk and of the body
)

// response is the http.ResponseWriter, http.Flusher and io.StringWriter of one
// request; http.ResponseController finds its deadlines. It is used by one
// goroutine at a time.
type response struct {
	x      *exchange
	header http.Header

	status   int // 0 until the head is settled
	declared int64
	written  int64
	noLength bool // declared is not set
	typed    bool // no Content-Type is to be guessed
	dated    bool // the handler has set a Date
	headSent bool
	chunked  bool
	done     bool // the handler has returned
	closing  bool // the connection ends with this response
	deadline bool // for writing, set by the handler
	hijacked bool // the handler has the connection (hijack.go)
	err      error

	buf    []byte // buf[:head] is the head until it is sent, buf[start:] the body
	head   int
	start  int
	pooled *[writeBufSize]byte

	vec  [3][]byte // for writev without an allocation
	bufs net.Buffers
}

// Header is the header that the next WriteHeader or first Write sends.
func (w *response) Header() http.Header { return w.header }

// WriteHeader settles the head, which is not sent yet: later changes of the
// header have no effect. A status of 1xx is sent at once and settles nothing.
func (w *response) WriteHeader(status int) {
	switch {
	case status < 100 || status > 999:
		panic("httpd: the status " + strconv.Itoa(status) + " does not have three digits")
	case w.status != 0:
		w.x.conn.srv.log().Warn("a handler has set the status twice; the first holds", "first", w.status, "second", status)
		return
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.inform(status)
		return
	}
	w.status = status
	w.x.body.expects = false
	w.take()
	w.settle(status)
	head := len(w.buf)
	if cap(w.buf) < head+headGap+tailRoom {
		bigger := make([]byte, head+headGap+writeBufSize)
		copy(bigger, w.buf)
		w.give()
		w.buf = bigger
	}
	w.head, w.start = head, head+headGap
	w.buf = w.buf[:w.start]
}

// take gets a buffer, if there is none.
func (w *response) take() {
	if w.buf == nil {
		w.pooled = w.x.conn.srv.writeBuf()
		w.buf = w.pooled[:0]
	}
}

// give gives the buffer back.
func (w *response) give() {
	if w.pooled != nil {
		w.x.conn.srv.writeBufs.Put(w.pooled)
	}
	w.buf, w.pooled, w.head, w.start = nil, nil, 0, 0
}

// Write adds to the body. An error may be that of an earlier Write, or of the
// connection; after http.ErrContentLength the connection is closed.
func (w *response) Write(p []byte) (int, error) {
	if ok, err := w.mayWrite(len(p)); !ok {
		return 0, err
	}
	if w.room() >= len(p) {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if err := w.send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString is Write for a string.
func (w *response) WriteString(s string) (int, error) {
	if ok, err := w.mayWrite(len(s)); !ok {
		return 0, err
	}
	if w.room() >= len(s) {
		w.buf = append(w.buf, s...)
		return len(s), nil
	}
	if err := w.send([]byte(s)); err != nil {
		return 0, err
	}
	return len(s), nil
}

// mayWrite counts n bytes, or says why they are not written.
func (w *response) mayWrite(n int) (bool, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case n == 0:
		return false, w.err
	case w.err != nil:
		return false, w.err
	case !bodyAllowed(w.status):
		return false, http.ErrBodyNotAllowed
	}
	w.written += int64(n)
	if !w.noLength && w.written > w.declared {
		return false, http.ErrContentLength
	}
	return true, nil
}

// room is how much of the body can be gathered still.
func (w *response) room() int {
	if w.buf == nil {
		w.take()
		w.start = chunkGap
		w.buf = w.buf[:chunkGap]
	}
	return cap(w.buf) - tailRoom - len(w.buf)
}

// Flush sends what was written so far.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is Flush; it returns the error of the connection, if there is one.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	first := !w.headSent
	err := w.send(nil)
	if first && err == nil {
		w.x.watch.startBeside()
	}
	return err
}

// SetReadDeadline bounds the reading of the request's body.
func (w *response) SetReadDeadline(t time.Time) error {
	w.x.setReadDeadline(t)
	return nil
}

// SetWriteDeadline bounds the writing of this response.
func (w *response) SetWriteDeadline(t time.Time) error {
	w.deadline = true
	return w.x.conn.net.SetWriteDeadline(t)
}

// finish sends what is left and ends the body.
func (w *response) finish() {
	w.done = true
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_ = w.send(nil) // noted in err
	if w.deadline {
		_ = w.x.conn.net.SetWriteDeadline(time.Time{})
	}
}

// complete reports that as much was written as was declared.
func (w *response) complete() bool {
	return w.noLength || w.written == w.declared || w.x.method == http.MethodHead || !bodyAllowed(w.status)
}

func (w *response) reset() {
	w.give()
	*w = response{x: w.x, header: emptied(w.header), noLength: true}
}

// send sends the head, if that is due, what was gathered and then extra, and
// after the handler also the end of the body.
func (w *response) send(extra []byte) error {
	if w.err != nil {
		w.give()
		return w.err
	}
	if !w.headSent {
		w.prepare(extra)
	}
	if w.buf == nil {
		if !w.done || !w.chunked {
			return nil
		}
		w.room()
	}
	n := len(w.buf) - w.start + len(extra)
	from := w.start
	if w.isSilent() {
		w.buf, extra = w.buf[:w.start], nil
	} else if w.chunked && n > 0 {
		from = w.chunkLine(n)
	}
	if !w.headSent {
		w.headSent = true
		from -= w.head
		copy(w.buf[from:], w.buf[:w.head])
	}
	body := len(w.buf)
	if w.chunked && n > 0 {
		w.buf = append(w.buf, '\r', '\n')
	}
	if w.chunked && w.done {
		w.buf = append(w.buf, "0\r\n\r\n"...)
	}
	w.write(w.buf[from:body], extra, w.buf[body:])
	w.give()
	return w.err
}

// isSilent reports that the body is not sent, whatever was written.
func (w *response) isSilent() bool {
	return w.x.method == http.MethodHead || !bodyAllowed(w.status)
}

// chunkLine puts the line of a chunk of n bytes in front of the body, and
// returns where it begins.
func (w *response) chunkLine(n int) (from int) {
	var hex [chunkGap]byte
	line := append(strconv.AppendInt(hex[:0], int64(n), 16), '\r', '\n')
	from = w.start - len(line)
	copy(w.buf[from:], line)
	return from
}

// write hands bytes to the kernel with one system call. b and tail are
// neighbours.
func (w *response) write(b, extra, tail []byte) {
	c := w.x.conn
	if yield := c.srv.Yield; yield != nil && len(extra) == 0 {
		yield()
	}
	var err error
	switch {
	case len(extra) == 0:
		if b = b[:len(b)+len(tail)]; len(b) > 0 {
			_, err = c.net.Write(b)
		}
	case c.tcp != nil:
		w.vec = [3][]byte{b, extra, tail}
		w.bufs = w.vec[:]
		_, err = w.bufs.WriteTo(c.tcp)
		w.vec, w.bufs = [3][]byte{}, nil
	default:
		for _, part := range [...][]byte{b, extra, tail} {
			if err == nil && len(part) > 0 {
				_, err = c.net.Write(part)
			}
		}
	}
	if err != nil {
		w.err = err
		w.x.ctx.cancel()
	}
}

// inform sends an informational response with the header as it is.
func (w *response) inform(status int) {
	if w.err != nil {
		return
	}
	w.x.body.expects = w.x.body.expects && status != http.StatusContinue
	w.take()
	w.statusLine(status)
	w.fields(status, false)
	w.buf = append(w.buf, '\r', '\n')
	w.write(w.buf, nil, nil)
	w.give()
}

// sendContinue tells the client to send the body.
func (w *response) sendContinue() error {
	if w.status == 0 && w.err == nil {
		_, w.err = w.x.conn.net.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	return w.err
}

// bodyAllowed reports whether an answer of this status can have a body.
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
