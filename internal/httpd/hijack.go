package httpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// Hijack gives the connection to the handler until it returns: then the
// connection is closed, whatever came of it. It works once, with the request's
// body read and no answer begun. What the client sent behind its request is in
// the reader. From here on nobody watches whether the client leaves.
//
// It implements http.Hijacker.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	x := w.x
	switch {
	case w.status != 0 || w.hijacked:
		return nil, nil, http.ErrHijacked
	case x.body.err != io.EOF:
		return nil, nil, errors.New("httpd: the body must be read before the connection is taken over")
	}
	x.watch.end()
	w.hijacked = true
	c := x.conn
	read := append([]byte(nil), c.buf[c.r:c.w]...)
	c.release()
	c.setReadDeadline(time.Time{})
	in := io.MultiReader(bytes.NewReader(read), c.net)
	return c.net, bufio.NewReadWriter(bufio.NewReader(in), bufio.NewWriter(c.net)), nil
}
