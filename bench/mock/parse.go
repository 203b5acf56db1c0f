//go:build linux

package main

import (
	"bytes"
	"strconv"
)

// request is one parsed request; its slices point into the connection's bytes.
type request struct {
	method, path []byte
	body         []byte
	close        bool
}

const maxBody = 16 << 20

// parse takes one request from the front of b. n = 0 says that more bytes are
// needed; ok = false that they can never make a request.
func parse(b []byte) (r request, n int, ok bool) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return r, 0, len(b) < 64<<10
	}
	head, rest := b[:end], b[end+4:]
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	var version []byte
	r.method, version, ok = bytes.Cut(line, []byte(" "))
	if !ok {
		return r, 0, false
	}
	r.path, version, ok = bytes.Cut(version, []byte(" "))
	if !ok {
		return r, 0, false
	}
	r.close = bytes.Equal(version, []byte("HTTP/1.0"))
	length, chunked, ok := framing(fields, &r)
	if !ok || length > maxBody {
		return r, 0, false
	}
	if chunked {
		body, used, good := dechunk(rest)
		r.body = body
		if used == 0 {
			return r, 0, good
		}
		return r, end + 4 + used, true
	}
	if len(rest) < length {
		return r, 0, true
	}
	r.body = rest[:length]
	return r, end + 4 + length, true
}

// framing looks at the few headers that matter; a name is told by its length
// first, because a proxy sends a dozen of them.
func framing(fields []byte, r *request) (length int, chunked, ok bool) {
	for len(fields) > 0 {
		end := bytes.IndexByte(fields, '\n')
		line := fields
		if end >= 0 {
			line, fields = fields[:end], fields[end+1:]
		} else {
			fields = nil
		}
		name, text, found := bytes.Cut(line, []byte(":"))
		if !found {
			return 0, false, false
		}
		switch len(name) {
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				n, err := strconv.Atoi(string(bytes.TrimSpace(text)))
				if err != nil || n < 0 {
					return 0, false, false
				}
				length = n
			}
		case len("Transfer-Encoding"):
			chunked = chunked || bytes.EqualFold(name, []byte("Transfer-Encoding"))
		case len("Connection"):
			if bytes.EqualFold(name, []byte("Connection")) {
				r.close = r.close || bytes.EqualFold(bytes.TrimSpace(text), []byte("close"))
			}
		}
	}
	return length, chunked, true
}

// dechunk joins a chunked body. used = 0 says that it is not all there.
func dechunk(b []byte) (body []byte, used int, ok bool) {
	rest := b
	for {
		end := bytes.Index(rest, []byte("\r\n"))
		if end < 0 {
			return nil, 0, len(rest) < 1<<10
		}
		text, _, _ := bytes.Cut(rest[:end], []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 16, 24)
		if err != nil || len(body)+int(n) > maxBody {
			return nil, 0, false
		}
		rest = rest[end+2:]
		if n == 0 {
			if len(rest) < 2 {
				return nil, 0, true
			}
			if rest[0] != '\r' || rest[1] != '\n' {
				return nil, 0, false
			}
			return body, len(b) - len(rest) + 2, true
		}
		if len(rest) < int(n)+2 {
			return nil, 0, true
		}
		body = append(body, rest[:n]...)
		rest = rest[n+2:]
	}
}

// ask is what a body asks for.
type ask struct {
	model  []byte
	stream bool
	usage  bool
}

// near is how much of a body's front and back is searched before all of it.
const near = 1 << 10

// read finds the members by their quoted names: inside a JSON string the
// quotes would be escaped, so a bare match is the member itself.
func read(body []byte) ask {
	front, back := body, []byte(nil)
	if len(body) > 2*near {
		front, back = body[:near], body[len(body)-near:]
	}
	a := ask{model: value(front, back, `"model"`)}
	if a.model == nil && back != nil {
		a.model = value(body, nil, `"model"`)
	}
	a.stream = bytes.HasPrefix(value(front, back, `"stream"`), []byte("true"))
	a.usage = bytes.HasPrefix(value(front, back, `"include_usage"`), []byte("true"))
	return a
}

// value is the text of a member's value, without quotes, up to its end.
func value(front, back []byte, name string) []byte {
	at := bytes.Index(back, []byte(name))
	text := back
	if at < 0 {
		at, text = bytes.Index(front, []byte(name)), front
	}
	if at < 0 {
		return nil
	}
	rest := bytes.TrimLeft(text[at+len(name):], " \t\r\n:")
	if len(rest) > 0 && rest[0] == '"' {
		end := bytes.IndexByte(rest[1:], '"')
		if end < 0 {
			return nil
		}
		return rest[1 : 1+end]
	}
	return rest
}
