package h1

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// conn is one connection. It carries one exchange at a time; between
// exchanges it is in its host's idle stack and holds no buffer.
//
// Cancelling: while an exchange runs, a context.AfterFunc closes the raw
// connection when the context ends. The connection goes back to the pool only
// if that function was stopped before it started; if it has started it may
// still be running, and then the connection is closed and never used again.
// So it cannot hit another request, and since it closes instead of setting a
// deadline, no later deadline can undo it.
type conn struct {
	host *host
	net  net.Conn     // what is read and written: raw, or TLS over it
	raw  net.Conn     // what is closed
	tcp  *net.TCPConn // raw where it is written directly and takes a writev
	tls  bool
	look look
	trip trip

	abort func()      // closes raw; made once
	stop  func() bool // stops the AfterFunc of the running exchange, or nil
	end   ending      // else has abort under the number hook
	hook  int

	buf     []byte             // buf[r:w] was read and is not consumed yet
	r, w    int                // both 0 while buf is nil
	pooled  *[readBufSize]byte // what buf is made of, nil if grown or none
	until   time.Time          // the deadline of reading that is set; zero for none
	due     time.Time          // the one that holds, which is until or later (deadline.go)
	bounded bool               // a deadline of writing is set
	ofHead  bool               // due is the head's, and the body is not to be bound by it

	reused    bool
	idleSince time.Time
	heard     time.Time // when the last bytes were read, if that is known

	vec  [4][]byte // for writev without an allocation
	bufs net.Buffers
	one  [1]byte
}

// alive reports whether an idle connection can be used, as far as can be seen.
func (cn *conn) alive() bool { return cn.look.ok() }

// closePolitely closes an idle connection, with a TLS close_notify.
func (cn *conn) closePolitely() { _ = cn.net.Close() }

// watch ties the connection to ctx until unwatch.
func (cn *conn) watch(ctx context.Context) {
	cn.stop, cn.end = nil, nil
	if own, ok := ctx.(ending); ok {
		cn.end, cn.hook = own, own.Hook(cn.abort)
	} else if ctx.Done() != nil {
		cn.stop = context.AfterFunc(ctx, cn.abort)
	}
}

// ending is a context that runs functions when it ends, as context.AfterFunc does,
// without memory for each. Unhook reports whether it was in time.
type ending interface {
	Hook(run func()) (number int)
	Unhook(number int) bool
}

// unwatch reports whether the connection was not and will not be aborted.
func (cn *conn) unwatch() bool {
	if cn.end != nil {
		return cn.end.Unhook(cn.hook)
	}
	return cn.stop == nil || cn.stop()
}

// release gives the read buffer back, dropping what is in it.
func (cn *conn) release() {
	if cn.pooled != nil {
		cn.host.client.readBufs.Put(cn.pooled)
	}
	cn.buf, cn.pooled, cn.r, cn.w = nil, nil, 0, 0
}

// grow makes room for reading after w. It returns false if buf[r:w] already
// has limit bytes.
func (cn *conn) grow(limit int) bool {
	switch used := cn.w - cn.r; {
	case cn.buf == nil:
		cn.pooled = cn.host.client.readBufs.Get().(*[readBufSize]byte)
		cn.buf = cn.pooled[:]
	case used >= limit:
		return false
	case cn.w < len(cn.buf):
	case cn.r > 0:
		cn.w = copy(cn.buf, cn.buf[cn.r:cn.w])
		cn.r = 0
	default:
		bigger := make([]byte, 2*len(cn.buf))
		copy(bigger, cn.buf[:used])
		cn.release()
		cn.buf, cn.w = bigger, used
	}
	return true
}

// exchange sends req and reads the response head. On failure the connection is
// closed. now is the current time, give or take the time since it was asked for.
func (cn *conn) exchange(ctx context.Context, req *Request, now time.Time) (*Response, *failure) {
	cn.ofHead = !req.HeadDeadline.IsZero()
	cn.watch(ctx)
	r := &Response{conn: cn, ctx: ctx}
	sent := r.send(req, now)
	if sent.stale {
		cn.unwatch()
		cn.closePolitely()
		return nil, &failure{phase: PhaseWrite, err: ctx.Err(), stale: true}
	}
	if sent.err == nil || !errors.Is(sent.err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		// After a failed write the upstream may still have answered: it refused
		// the request early and closed. That answer says more than the error.
		at, err := r.receive(req.Method, sent.first)
		if err == nil {
			r.close = r.close || sent.err != nil
			r.timing(now, r.progress(sent), at)
			return r, nil
		}
		return nil, r.fail(sent, err, at)
	}
	return nil, r.fail(sent, nil, time.Time{})
}

// timing fills Timing from the start of the write, its end and the first byte.
func (r *Response) timing(start time.Time, sent sending, first time.Time) {
	if sent.pending || first.Before(sent.end) {
		r.Timing.Write = first.Sub(start)
		return
	}
	r.Timing.Write = sent.end.Sub(start)
	r.Timing.FirstByte = first.Sub(sent.end)
}

// fail closes the connection and says why: readErr from waiting for the
// response, unless the write failed before; first is zero if no byte came.
func (r *Response) fail(sent sending, readErr error, first time.Time) *failure {
	cn := r.conn
	sent = r.progress(sent)
	cn.unwatch()
	_ = cn.raw.Close()
	r.join()
	cn.release()
	r.conn = nil

	f := &failure{reused: cn.reused, answered: !first.IsZero(), phase: PhaseHead, err: readErr}
	if sent.err != nil && !f.answered {
		f.phase, f.err = PhaseWrite, sent.err
	}
	// What a goroutine was still writing may have failed only by the close
	// above, or have been completed just before it.
	if sent = r.progress(sent); sent.err == nil {
		f.written = true
		f.after = time.Since(sent.end)
	}
	if err := r.ctx.Err(); err != nil {
		f.err = err
		return f
	}
	f.broken = connectionBroke(f.err)
	f.err = cut(f.err)
	return f
}

// progress is sent, or what has become of it if a goroutine writes.
func (r *Response) progress(sent sending) sending {
	if r.writer == nil {
		return sent
	}
	select {
	case <-r.writer.done:
		return r.writer.result
	default:
		return sent
	}
}

// quiet reports that a TLS connection has decrypted nothing beyond the
// response. What the kernel holds is looked at by alive.
func (cn *conn) quiet() bool {
	if !cn.tls {
		return true
	}
	cn.until = time.Unix(1, 0)
	cn.due = cn.until
	_ = cn.net.SetReadDeadline(cn.until)
	n, err := cn.net.Read(cn.one[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// read reads from the connection, never from buf, at least one byte or an error.
func (cn *conn) read(p []byte) (int, error) {
	cn.heard = time.Time{}
	for range 100 {
		if n, err := cn.net.Read(p); n != 0 || err != nil && !cn.early(err) {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}
