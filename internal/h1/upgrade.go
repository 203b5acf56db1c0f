package h1

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Tunnel is a connection whose server has switched protocols: from here on its
// bytes belong to the caller. It is never pooled. Reading and writing may happen
// beside each other; Close may be called at any time, more than once.
type Tunnel struct {
	Header Header // of the answer that switched
	Timing Timing

	conn *conn
	rest []byte // was read with the head
	once sync.Once
}

// Upgrade sends req, which must have no body, on a new connection and asks for
// the WebSocket protocol. It returns a Tunnel when the server agrees, else its
// Response, which must be closed. The end of ctx closes either.
func (c *Client) Upgrade(ctx context.Context, req *Request) (*Tunnel, *Response, error) {
	if err := checkRequest(req); err != nil {
		return nil, nil, &Error{Phase: PhaseRequest, Address: req.Address, Err: err}
	}
	begin := time.Now()
	cn, timing, err := c.host(req).connect(ctx, req, begin)
	if err != nil {
		return nil, nil, err
	}
	if !req.HeadDeadline.IsZero() {
		_ = cn.net.SetDeadline(req.HeadDeadline) // fails only on a closed connection, and so does the write
	}
	cn.watch(ctx)
	r := &Response{conn: cn, ctx: ctx, Timing: timing}
	if phase, err := r.switchOver(req); err != nil {
		cn.unwatch()
		_ = cn.raw.Close()
		cn.release()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, nil, &Error{Phase: phase, Address: req.Address, Err: cut(err)}
	}
	_ = cn.net.SetDeadline(time.Time{})
	if r.Status != 101 {
		return nil, r, nil
	}
	t := &Tunnel{Header: r.Header, Timing: r.Timing, conn: cn, rest: append([]byte(nil), cn.buf[cn.r:cn.w]...)}
	cn.release()
	return t, nil, nil
}

// switchOver writes the request and reads the final head, 101 being one.
func (r *Response) switchOver(req *Request) (Phase, error) {
	head := appendHead(nil, req)
	head = append(head[:len(head)-2], "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"...)
	if _, err := r.conn.net.Write(head); err != nil {
		return PhaseWrite, err
	}
	cn := r.conn
	var first time.Time
	for range maxInformational + 1 {
		n, err := r.readHead(&first)
		if err != nil {
			return PhaseHead, err
		}
		m, err := r.parse(cn.buf[cn.r : cn.r+n])
		if err != nil {
			return PhaseHead, err
		}
		cn.r += n
		if r.Status == 101 {
			return PhaseHead, nil
		}
		if r.Status >= 200 {
			r.frame(req.Method, m)
			r.close = true
			return PhaseHead, nil
		}
	}
	return PhaseHead, fmt.Errorf("more than %d informational responses", maxInformational)
}

// Read reads what the server sends.
func (t *Tunnel) Read(p []byte) (int, error) {
	if len(t.rest) > 0 {
		n := copy(p, t.rest)
		t.rest = t.rest[n:]
		return n, nil
	}
	return t.conn.net.Read(p)
}

// Write sends to the server.
func (t *Tunnel) Write(p []byte) (int, error) { return t.conn.net.Write(p) }

// SetReadDeadline and SetWriteDeadline bound what follows; the zero time
// removes the bound.
func (t *Tunnel) SetReadDeadline(at time.Time) error { return t.conn.net.SetReadDeadline(at) }

// SetWriteDeadline is described at SetReadDeadline.
func (t *Tunnel) SetWriteDeadline(at time.Time) error { return t.conn.net.SetWriteDeadline(at) }

// Close ends the connection.
func (t *Tunnel) Close() error {
	err := net.ErrClosed
	t.once.Do(func() {
		t.conn.unwatch()
		err = t.conn.raw.Close()
	})
	return err
}
