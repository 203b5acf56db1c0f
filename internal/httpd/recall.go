package httpd

import (
	"net/http"
	"net/url"
	"strings"

	"tailplane/internal/http1"
)

// A client that keeps its connection sends the same head with every request, but
// for the length of the body. So a connection remembers the last head that it has
// parsed, as it came and as what it was read. Bytes that come again mean the same
// again: they are compared.
//
// The rules:
//
//   - Nothing but the digits of a single Content-Length may differ. Any other byte
//     means that the head is parsed.
//   - Only plain heads are remembered: of HTTP/1.1, with no transfer coding, no wish
//     to close, no expectation and no field twice.
//   - The header stays, since no handler may change it (Server.Handler). Its values are
//     set again all the same, and one that has more or fewer names than it should have
//     is made anew.
//   - A memory has the bytes of a head, credentials included. It belongs to one
//     connection and ends with it; the head has at most longestMemory bytes.

const (
	longestMemory = 2 << 10
	fewestMisses  = 2 // heads that are parsed in a row before one is remembered: most connections have one request
	mostMisses    = 8 // from which on a connection is not worth it
)

// lastHead is a head and what it was read as.
type lastHead struct {
	head     string
	from, to int // where the digits of its length stand; both 0 without one
	method   string
	target   string
	host     string
	url      url.URL
	names    []string
	values   []string
	length   int // the place of the length among the values; -1 without one
	kept     any // what the handler has read out of it

	header http.Header // what handlers get; nil before the first recall
	shown  []string    // the values in it, each a slice of one
}

// headEnd is http1.HeadEnd of what is buffered. The end of a head that is the
// remembered one need not be looked for.
func (c *conn) headEnd(from int) (end, next int) {
	b := c.buf[c.r:c.w]
	if c.memory != nil {
		if end = c.memory.begins(b); end > 0 {
			return end, 0
		}
	}
	return http1.HeadEnd(b, from)
}

// read takes in a head.
func (x *exchange) read(head []byte) *refusal {
	c := x.conn
	if c.memory != nil && x.recall(c.memory, head) {
		c.misses = 0
		return nil
	}
	text := string(head)
	if bad := x.parse(text); bad != nil {
		return bad
	}
	if c.misses < mostMisses {
		if c.misses++; c.misses == mostMisses {
			c.memory = nil
		} else if c.misses >= fewestMisses {
			c.memory = x.remembered(text)
		}
	}
	return nil
}

// recall reads a head that is the remembered one, and reports whether it is.
func (x *exchange) recall(m *lastHead, head []byte) bool {
	if m.begins(head) != len(head) {
		return false
	}
	if m.length >= 0 {
		digits := head[m.from : len(head)-len(m.head)+m.to]
		if m.values[m.length] != string(digits) {
			m.values[m.length] = string(digits)
		}
		if !x.measure(m.values[m.length]) {
			return false
		}
	}
	if m.header == nil || len(m.header) != len(m.names) {
		m.refill()
	}
	copy(m.shown, m.values)
	x.minor, x.url, x.ctx.kept = 1, m.url, &m.kept
	p := x.request
	x.method, p.Method, p.RequestURI, p.Host = m.method, m.method, m.target, m.host
	p.Proto, p.ProtoMajor, p.ProtoMinor = "HTTP/1.1", 1, 1
	p.URL, p.Header = &x.url, m.header
	x.embody()
	return true
}

// begins returns the length of the head that b begins with if it is the
// remembered one, but for the digits of its length; else zero.
func (m *lastHead) begins(b []byte) (end int) {
	to := m.from
	for m.length >= 0 && to < len(b) && http1.IsDigit(b[to]) {
		to++
	}
	end = to + len(m.head) - m.to
	if end > len(b) || string(b[:m.from]) != m.head[:m.from] || string(b[to:end]) != m.head[m.to:] {
		return 0
	}
	return end
}

// refill makes the header as it was read.
func (m *lastHead) refill() {
	if m.header == nil {
		m.header, m.shown = make(http.Header, len(m.names)), make([]string, len(m.names))
	}
	clear(m.header)
	for i, name := range m.names {
		m.header[name] = m.shown[i : i+1 : i+1]
	}
}

// remembered is the head that was parsed, nil if it is not to be remembered.
func (x *exchange) remembered(head string) *lastHead {
	p := x.request
	if len(head) > longestMemory || x.minor != 1 || x.is != (traits{}) || x.body.chunked || x.url.User != nil {
		return nil
	}
	m := &lastHead{
		head: head, method: p.Method, target: p.RequestURI, host: p.Host, url: x.url, length: -1,
		names: make([]string, 0, len(x.header)), values: make([]string, 0, len(x.header)),
	}
	for name, values := range x.header {
		switch {
		case len(values) != 1 || name == "Expect":
			return nil
		case name == "Content-Length":
			m.length = len(m.names)
			if m.from, m.to = lengthIn(head); m.from == 0 {
				return nil
			}
		}
		m.names, m.values = append(m.names, name), append(m.values, values[0])
	}
	return m
}

// lengthIn returns where the value of a parsed head's only Content-Length stands;
// zeros if it has two.
func lengthIn(head string) (from, to int) {
	for at := 0; at < len(head); {
		end := at + strings.IndexByte(head[at:], '\n')
		line := head[at : end-1]
		if colon := strings.IndexByte(line, ':'); colon > 0 && http1.EqualFold(line[:colon], "Content-Length") {
			if from > 0 {
				return 0, 0
			}
			value := http1.TrimBlanks(line[colon+1:])
			from = at + colon + 1 + strings.Index(line[colon+1:], value)
			to = from + len(value)
		}
		at = end + 1
	}
	return from, to
}
