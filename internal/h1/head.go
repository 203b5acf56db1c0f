package h1

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/http1"
)

// Rules of this file.
//
// Writing: what is written was checked as a whole before, so that no request
// can smuggle a second one. Parsing follows RFC 9112 and is lenient only where
// net/http is: a bare LF ends a line, an obsolete line folding is joined by a
// space, the reason may be missing. Where leniency could let two readers see
// two different messages it is an error: white space before a colon, a length
// beside a transfer coding, a transfer coding in HTTP/1.0.

// checkRequest refuses what cannot be written as exactly one request.
func checkRequest(req *Request) error {
	switch {
	case !http1.IsToken(req.Method):
		return fmt.Errorf("method %q is not a token", req.Method)
	case req.Method == "CONNECT":
		return errors.New("CONNECT is not supported: give Options.Dial a dialer that tunnels")
	case req.Target != "*" && !strings.HasPrefix(req.Target, "/"):
		return errors.New("target must be a path beginning with / or *")
	case !visible(req.Target):
		return errors.New("target has a space or a control character: percent-encode it")
	case req.Host == "" || !visible(req.Host):
		return errors.New("host is empty or has a space or a control character")
	}
	for i := range req.Header {
		f := &req.Header[i]
		if !http1.IsToken(f.Name) {
			return fmt.Errorf("header name %q is not a token", f.Name)
		}
		if !http1.IsValue(f.Value) {
			return fmt.Errorf("value of header %s has a control character", f.Name)
		}
		switch len(f.Name) {
		case len("Host"), len("Connection"), len("Content-Length"), len("Transfer-Encoding"):
			for _, own := range [...]string{"Host", "Connection", "Content-Length", "Transfer-Encoding"} {
				if http1.EqualFold(f.Name, own) {
					return fmt.Errorf("header %s is written by the client: leave it out", own)
				}
			}
		}
	}
	return nil
}

// appendHead appends the head of a checked request.
func appendHead(b []byte, req *Request) []byte {
	b = append(b, req.Method...)
	b = append(b, ' ')
	b = append(b, req.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, req.Host...)
	b = append(b, '\r', '\n')
	for i := range req.Header {
		b = append(b, req.Header[i].Name...)
		b = append(b, ':', ' ')
		b = append(b, req.Header[i].Value...)
		b = append(b, '\r', '\n')
	}
	if req.Body != nil || req.Method == "POST" || req.Method == "PUT" || req.Method == "PATCH" {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(req.size()), 10)
		b = append(b, '\r', '\n')
	}
	return append(b, '\r', '\n')
}

// receive reads heads until a final one and sets up the body. It returns when
// the first byte came, zero if none did; came is that time if it was read already.
func (r *Response) receive(method string, came time.Time) (first time.Time, err error) {
	cn := r.conn
	first = came
	for range maxInformational + 1 {
		n, err := r.readHead(&first)
		if err != nil {
			return first, err
		}
		m, err := r.parse(cn.buf[cn.r : cn.r+n])
		if err != nil {
			return first, err
		}
		cn.r += n
		switch {
		case r.Status == 101:
			return first, errors.New("upstream switched protocols, which was not asked for")
		case r.Status >= 200:
			r.frame(method, m)
			if cn.r == cn.w {
				cn.release()
			}
			return first, nil
		}
	}
	return first, fmt.Errorf("more than %d informational responses", maxInformational)
}

// readHead reads until buf[r:] begins with a whole head, and returns its length.
func (r *Response) readHead(first *time.Time) (int, error) {
	cn, limit := r.conn, r.conn.host.client.opt.MaxHead
	seen := 0 // of buf[r:], known to hold no end
	for {
		end, next := http1.HeadEnd(cn.buf[cn.r:cn.w], seen)
		if end > limit || end == 0 && !cn.grow(limit) {
			return 0, fmt.Errorf("response head is larger than %d bytes", limit)
		}
		if end > 0 {
			return end, nil
		}
		seen = next
		if r.rawErr != nil {
			return 0, r.rawErr
		}
		n, err := cn.read(cn.buf[cn.w:])
		if n > 0 && first.IsZero() {
			*first = time.Now()
		}
		cn.w += n
		if n == 0 {
			return 0, err
		}
		r.later(err)
	}
}

// message is what the head says about the body and the connection.
type message struct {
	length  int64 // Content-Length, -1 without
	chunked bool
	close   bool // the connection ends with this response
}

// parse reads a head into Status, Reason and Header.
func (r *Response) parse(raw []byte) (message, error) {
	head := string(raw)
	m, err := r.parseLines(head)
	if err == errFolded {
		m, err = r.parseLines(unfold(head))
	}
	return m, err
}

var (
	errFolded   = errors.New("malformed response: a header line is folded")
	errTooLarge = fmt.Errorf("response head is larger than %d bytes", mostHead)
)

// parseLines is parse of a head without folded lines; it returns errFolded before
// it has looked at the first that is.
func (r *Response) parseLines(head string) (message, error) {
	if len(head) > mostHead { // it has grown by the CR that unfold puts into its lines
		return message{}, errTooLarge
	}
	line, rest := cutLine(head)
	minor, err := r.parseStatus(line)
	if err != nil {
		return message{}, err
	}
	if continues(rest) {
		return message{}, errors.New("malformed response: the first header line begins with white space")
	}
	r.Header = Header{head: head, fields: r.spans[:0]}
	m := message{length: -1, close: minor == 0}
	codings := 0
	for {
		at := len(head) - len(rest)
		if line, rest = cutLine(rest); line == "" {
			break
		}
		if continues(rest) {
			return m, errFolded
		}
		colon := strings.IndexByte(line, ':')
		if colon < 0 || !http1.IsToken(line[:colon]) {
			return m, errors.New("malformed response: a header line without a valid name")
		}
		start := colon + 1
		for start < len(line) && (line[start] == ' ' || line[start] == '\t') {
			start++
		}
		value := http1.TrimBlanks(line[start:])
		if !http1.IsValue(value) {
			return m, fmt.Errorf("malformed response: header %s has a control character", line[:colon])
		}
		start += at
		r.Header.fields = append(r.Header.fields, span{
			name: uint16(at), nameEnd: uint16(at + colon),
			value: uint16(start), valueEnd: uint16(start + len(value)),
		})
		if err := m.note(line[:colon], value, &codings); err != nil {
			return m, err
		}
	}
	if codings > 0 && (m.length >= 0 || minor == 0) {
		return m, errors.New("malformed response: Transfer-Encoding beside Content-Length or in HTTP/1.0")
	}
	return m, nil
}

// note takes in a field that frames the message.
func (m *message) note(name, value string, codings *int) error {
	switch len(name) {
	case len("Connection"):
		if http1.EqualFold(name, "Connection") && hasToken(value, "close") {
			m.close = true
		}
	case len("Content-Length"):
		if !http1.EqualFold(name, "Content-Length") {
			return nil
		}
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return errors.New("malformed response: Content-Length is not a number")
		}
		if m.length >= 0 && m.length != int64(n) {
			return errors.New("malformed response: two different Content-Length")
		}
		m.length = int64(n)
	case len("Transfer-Encoding"):
		if !http1.EqualFold(name, "Transfer-Encoding") {
			return nil
		}
		if *codings++; *codings > 1 || !http1.EqualFold(value, "chunked") {
			return errors.New("malformed response: Transfer-Encoding is not chunked alone")
		}
		m.chunked = true
	}
	return nil
}

// parseStatus reads a status line and returns the minor version.
func (r *Response) parseStatus(line string) (minor int, err error) {
	proto, rest, ok := strings.Cut(line, " ")
	if !ok || len(proto) != len("HTTP/1.x") || proto[:7] != "HTTP/1." || proto[7] < '0' || proto[7] > '9' {
		return 0, errors.New("malformed response: it does not begin with HTTP/1.x and a status")
	}
	code, reason, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	if len(code) != 3 || code[0] < '1' || code[0] > '9' || !http1.IsDigit(code[1]) || !http1.IsDigit(code[2]) {
		return 0, errors.New("malformed response: the status is not a number of three digits")
	}
	r.Status = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	r.Reason = reason
	return int(proto[7] - '0'), nil
}

// cutLine splits off a line without its LF or CRLF.
func cutLine(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	if i < 0 {
		return "", ""
	}
	line, rest = s[:i], s[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest
}

// continues reports whether what follows a line belongs to it: it begins with
// white space.
func continues(rest string) bool { return rest != "" && (rest[0] == ' ' || rest[0] == '\t') }

// unfold joins each continuation line to the one before by one space.
func unfold(head string) string {
	out := make([]byte, 0, len(head))
	for rest := head; rest != ""; {
		var line string
		line, rest = cutLine(rest)
		if len(out) > 0 && line != "" && (line[0] == ' ' || line[0] == '\t') {
			out = append(bytes.TrimRight(out[:len(out)-2], " \t"), ' ')
		}
		out = append(append(out, strings.Trim(line, " \t")...), '\r', '\n')
	}
	return string(out)
}

// hasToken looks for an element of a comma-separated list.
func hasToken(list, token string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if http1.EqualFold(strings.Trim(part, " \t"), token) {
			return true
		}
	}
	return false
}

// visible checks that s has no control character and no space.
func visible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
