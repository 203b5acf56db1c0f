package httpd

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tailplane/internal/http1"
)

// Rules of this file. A head is read as RFC 9112 has it, and refused where two
// readers could see two different messages in it: lines that do not end in
// CRLF, folded lines, white space before a colon, control characters, more than
// one Host, a length beside a transfer coding, lengths that differ, a coding
// that is not chunked alone or comes in HTTP/1.0. net/http forgives some of it;
// the table in differential_test.go names every difference.

// judgeEarly refuses what cannot become a request, before its head is
// complete: the sender may wait for an answer already. It reports whether the
// first line was there to be judged.
func judgeEarly(b []byte) (judged bool, bad *refusal) {
	if !http1.IsTokenByte(b[0]) {
		return true, badRequest("this is not an HTTP request")
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return false, nil
	}
	line, _, ok := cutLine(string(b[:end+1]))
	if !ok {
		return true, errLine
	}
	_, bad = parseLine(line)
	if bad != nil && bad.status == http.StatusHTTPVersionNotSupported {
		bad = nil // it may be the preface of HTTP/2
	}
	return true, bad
}

// The refusals that have more than one place.
var (
	errLine   = badRequest("a line does not end in CRLF")
	errTarget = badRequest("the request target is malformed")
	errLength = badRequest("the Content-Length is malformed, or there are different ones")
)

// cutLine splits off a line, which must end in CRLF.
func cutLine(s string) (line, rest string, ok bool) {
	i := strings.IndexByte(s, '\n')
	if i < 1 || s[i-1] != '\r' {
		return "", "", false
	}
	return s[:i-1], s[i+1:], true
}

// requestLine is the first line of a request.
type requestLine struct {
	method, target string
	minor          int // of HTTP/1.minor
}

func parseLine(line string) (requestLine, *refusal) {
	method, rest, _ := strings.Cut(line, " ")
	target, proto, ok := strings.Cut(rest, " ")
	l := requestLine{method: method, target: target}
	switch {
	case !ok || !http1.IsToken(method) || target == "" || !http1.IsValue(target):
		return l, badRequest("the request line is malformed")
	case proto == "HTTP/1.1":
		l.minor = 1
	case proto == "HTTP/1.0":
	case len(proto) == len("HTTP/x.y") && proto[:5] == "HTTP/" && http1.IsDigit(proto[5]) && proto[6] == '.' && http1.IsDigit(proto[7]):
		return l, &refusal{http.StatusHTTPVersionNotSupported, "HTTP/1.1 and HTTP/1.0 are served here"}
	default:
		return l, badRequest("the request line is malformed")
	}
	return l, nil
}

// parse reads a head into the exchange.
func (x *exchange) parse(head string) *refusal {
	first, rest, ok := cutLine(head)
	if !ok {
		return errLine
	}
	l, bad := parseLine(first)
	if bad != nil {
		return bad
	}
	if l.method == http.MethodConnect {
		return &refusal{http.StatusNotImplemented, "CONNECT is not served here"}
	}
	x.minor = l.minor
	p := x.request
	x.method, p.Method, p.RequestURI = l.method, l.method, l.target
	p.Proto, p.ProtoMajor, p.ProtoMinor = "HTTP/1.1", 1, l.minor
	if l.minor == 0 {
		p.Proto = "HTTP/1.0"
	}
	if !x.parseTarget(l.target) {
		return errTarget
	}
	if bad := x.parseFields(rest); bad != nil {
		return bad
	}
	return x.interpret()
}

// parseFields reads the lines after the first.
func (x *exchange) parseFields(rest string) *refusal {
	for n := 0; ; n++ {
		var line string
		var ok bool
		if line, rest, ok = cutLine(rest); !ok {
			return errLine
		}
		if line == "" {
			return nil
		}
		if n == maxFields {
			return tooLarge("there are too many header fields")
		}
		colon := strings.IndexByte(line, ':')
		key, ok := canonical(line[:max(colon, 0)])
		if !ok {
			return badRequest("a header line has no valid name, or is folded")
		}
		value := http1.TrimBlanks(line[colon+1:])
		if !http1.IsValue(value) {
			return badRequest("a header value has a control character")
		}
		if seen := x.header[key]; seen != nil {
			x.header[key] = append(seen, value)
			continue
		}
		x.values = append(x.values, value)
		at := len(x.values)
		x.header[key] = x.values[at-1 : at : at]
	}
}

// parseTarget fills url: origin form, absolute form, or an asterisk.
func (x *exchange) parseTarget(target string) bool {
	if path, query, asked := strings.Cut(target, "?"); plainPath(path) {
		x.url.Path, x.url.RawQuery = path, query
		x.url.ForceQuery = asked && query == ""
		return true
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || u.Opaque != "" {
		return false
	}
	x.url = *u
	return true
}

// plainPath reports that an absolute path needs no decoding, and that nothing
// in it would be encoded.
func plainPath(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for i := range len(path) {
		switch c := path[i]; {
		case http1.IsDigit(c), c|0x20-'a' < 26:
		case c == '/', c == '-', c == '_', c == '.', c == '~', c == ':':
		default:
			return false
		}
	}
	return true
}

// interpret takes out of the header what concerns the message and not the
// handler.
func (x *exchange) interpret() *refusal {
	h, p := x.header, x.request
	hosts := h["Host"]
	switch {
	case len(hosts) > 1:
		return badRequest("there is more than one Host")
	case len(hosts) == 0 && x.minor == 1:
		return badRequest("the Host is missing")
	case len(hosts) == 1 && !isHost(hosts[0]):
		return badRequest("the Host is malformed")
	case len(hosts) == 1:
		p.Host = hosts[0]
		delete(h, "Host")
	}
	if x.url.Host != "" {
		p.Host = x.url.Host // RFC 9112 3.2.2: the target comes before the field
	}
	if bad := x.frame(); bad != nil {
		return bad
	}
	connection := h["Connection"]
	if len(connection) > 0 || x.minor == 0 {
		x.is.close = hasToken(connection, "close")
		x.is.keepAlive = x.minor == 0 && hasToken(connection, "keep-alive")
	}
	if expect := h["Expect"]; len(expect) > 0 && expect[0] != "" {
		if !hasToken(expect, "100-continue") {
			return &refusal{http.StatusExpectationFailed, "100-continue is the only expectation that can be met"}
		}
		x.body.expects = x.minor == 1 && x.body.err == nil
	}
	x.is.expects = x.body.expects
	p.Close = x.is.close || x.minor == 0 && !x.is.keepAlive
	p.URL, p.Header = &x.url, h
	return nil
}

// frame finds out how the body ends: RFC 9112 6.3.
func (x *exchange) frame() *refusal {
	h, p := x.header, x.request
	codings, lengths := h["Transfer-Encoding"], h["Content-Length"]
	switch {
	case len(codings) > 0 && (len(lengths) > 0 || x.minor == 0):
		return badRequest("there is a Transfer-Encoding beside a Content-Length, or in HTTP/1.0")
	case len(codings) > 1 || len(codings) == 1 && !http1.EqualFold(codings[0], "chunked"):
		return &refusal{http.StatusNotImplemented, "chunked is the only Transfer-Encoding that is served here"}
	case len(codings) == 1:
		delete(h, "Transfer-Encoding")
		delete(h, "Trailer")
		x.codings[0] = "chunked"
		p.TransferEncoding = x.codings[:]
		p.ContentLength = -1
		x.body.chunked = true
	case len(lengths) > 0:
		for _, l := range lengths[1:] {
			if l != lengths[0] {
				return errLength
			}
		}
		if !x.measure(lengths[0]) {
			return errLength
		}
		h["Content-Length"] = lengths[:1]
	}
	x.embody()
	return nil
}

// measure takes in the length of the body, and reports whether it is one.
func (x *exchange) measure(length string) bool {
	n, err := strconv.ParseUint(length, 10, 63)
	if err != nil {
		return false
	}
	x.request.ContentLength, x.body.left = int64(n), int64(n)
	return true
}

// embody gives the request its body; one of no length is over.
func (x *exchange) embody() {
	x.request.Body = &x.body
	if x.request.ContentLength == 0 {
		x.body.err = io.EOF
		x.request.Body = http.NoBody
	}
}
