package httpd

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/http1"
)

// This file writes heads. The part that the handler decides is written when it
// settles the status; the part that depends on how much of the body is there
// and on the request's body is added when the head is sent. Fields that frame
// the message are always our own: a handler's Content-Length is a declaration
// of what it will write, its Connection a wish to close, its Transfer-Encoding
// and Trailer nothing.

// settle writes the part of the head that is known when the status is.
func (w *response) settle(status int) {
	w.statusLine(status)
	w.closing = w.closing || status == http.StatusSwitchingProtocols
	w.noLength = true
	w.fields(status, true)
}

// heed takes in what a field means for the rest of the head.
func (w *response) heed(name string, values []string) {
	switch name {
	case "Content-Type":
		w.typed = true
	case "Content-Encoding":
		w.typed = w.typed || len(values) > 0 && values[0] != ""
	case "Date":
		w.dated = len(values) > 0
	case "Connection":
		w.closing = w.closing || hasToken(values, "close")
	case "Content-Length":
		if len(values) == 0 {
			return
		}
		n, err := strconv.ParseUint(values[0], 10, 63)
		if err != nil {
			w.x.conn.srv.log().Warn("a handler has set a Content-Length that is no number", "length", values[0])
			return
		}
		w.declared, w.noLength = int64(n), false
	}
}

func (w *response) statusLine(status int) {
	w.buf = append(w.buf, "HTTP/1."...)
	w.buf = append(w.buf, byte('0'+w.x.minor), ' ')
	w.buf = strconv.AppendInt(w.buf, int64(status), 10)
	w.buf = append(w.buf, ' ')
	w.buf = append(w.buf, http.StatusText(status)...)
	w.buf = append(w.buf, '\r', '\n')
}

// fields writes the handler's header, but for what frames the message: that is
// written by prepare. A name that is no token is left out; a control character
// in a value becomes a space, so that no value can be more than a value. Of a
// final answer it heeds what the fields mean.
func (w *response) fields(status int, final bool) {
	for name, values := range w.header {
		if final {
			w.heed(name, values)
		}
		if !http1.IsToken(name) || frames(name) || status == http.StatusNotModified && name == "Content-Type" {
			continue
		}
		for _, value := range values {
			w.buf = append(w.buf, name...)
			w.buf = append(w.buf, ':', ' ')
			w.buf = appendValue(w.buf, value)
			w.buf = append(w.buf, '\r', '\n')
		}
	}
}

// frames reports whether a field, in any spelling, frames the message.
func frames(name string) bool {
	switch len(name) {
	case len("Trailer"):
		return http1.EqualFold(name, "Trailer")
	case len("Connection"):
		return http1.EqualFold(name, "Connection")
	case len("Content-Length"):
		return http1.EqualFold(name, "Content-Length")
	case len("Transfer-Encoding"):
		return http1.EqualFold(name, "Transfer-Encoding")
	}
	return false
}

func appendValue(b []byte, value string) []byte {
	if value != "" && (value[0] <= ' ' || value[len(value)-1] <= ' ') {
		value = strings.Trim(value, " \t\r\n")
	}
	if http1.IsValue(value) {
		return append(b, value...)
	}
	for i := range len(value) {
		c := value[i]
		if c < ' ' && c != '\t' || c == 0x7f {
			c = ' '
		}
		b = append(b, c)
	}
	return b
}

// prepare completes the head with what was not known before: how the body ends,
// whether the connection does, the type of the body. extra bytes follow what is
// gathered.
func (w *response) prepare(extra []byte) {
	x := w.x
	is11 := x.minor == 1
	closing := w.closing || x.is.close || !is11 && !x.is.keepAlive || x.conn.srv.stopping.Load()
	if closing {
		x.body.closed = true
	} else {
		closing = !x.body.drain()
	}
	if !bodyAllowed(w.status) {
		w.noLength = true
	}
	length := w.frame(len(extra))
	w.closing = closing || !is11 && length < 0 && !w.isSilent()

	var fields [headGap - chunkGap]byte
	f := fields[:0]
	if !w.dated {
		now := time.Now()
		if w.done {
			x.conn.answered = now
		}
		f = append(f, x.conn.srv.dateField(now)...)
	}
	f = w.appendType(f, extra)
	switch {
	case w.chunked:
		f = append(f, "Transfer-Encoding: chunked\r\n"...)
	case length >= 0:
		f = append(f, "Content-Length: "...)
		f = strconv.AppendInt(f, length, 10)
		f = append(f, '\r', '\n')
	}
	switch {
	case w.closing && is11:
		f = append(f, "Connection: close\r\n"...)
	case !w.closing && !is11:
		f = append(f, "Connection: keep-alive\r\n"...)
	}
	f = append(f, '\r', '\n')
	w.head += copy(w.buf[w.head:w.start], f)
}

// frame decides how the body ends, and returns its length, or -1. For HEAD
// nothing written may mean that the handler knows nobody would see it.
func (w *response) frame(extra int) int64 {
	head := w.x.method == http.MethodHead
	gathered := len(w.buf) - w.start
	switch {
	case !bodyAllowed(w.status):
	case !w.noLength:
		return w.declared
	case w.done && extra == 0 && (!head || gathered > 0):
		return int64(gathered)
	case !head:
		w.chunked = w.x.minor == 1
	}
	return -1
}

// appendType guesses the type of a body whose handler has not told it.
func (w *response) appendType(f, extra []byte) []byte {
	sample := w.buf[w.start:]
	if len(sample) == 0 {
		sample = extra
	}
	if w.typed || !bodyAllowed(w.status) || len(sample) == 0 {
		return f
	}
	f = append(f, "Content-Type: "...)
	f = append(f, http.DetectContentType(sample)...)
	return append(f, '\r', '\n')
}
