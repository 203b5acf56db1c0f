package llmtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A script is what a host says to one request: HTTP as text, with directives on
// lines of their own.
//
//	@delay 2s               wait; before the status line or within the body
//	HTTP 200
//	content-type: text/event-stream
//
//	data: {"one": 1}
//	@delay 100ms
//	data: {"two": 2}
//	@cut                    close the connection here
//
// @cut as the last line of the head closes the connection within it.
//
// A body may consist of AWS's binary frames, one for each line, see frames.go.
//
// @stall waits until the caller has gone. @refuse in place of the first
// script makes a host that refuses connections, @hang one that accepts none. Each
// stretch of body between two directives is written at once. Without
// content-length or transfer-encoding the body is chunked.

// Reply is a parsed script.
type Reply struct {
	steps []step
	close bool // the connection ends after it
}

// step is bytes to write, then a pause or an end.
type step struct {
	write []byte
	pause time.Duration
	do    string // "", cut, stall, refuse, hang
}

// ParseReply reads a script.
func ParseReply(text string) (*Reply, error) {
	r := &Reply{}
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	for len(lines) > 0 && strings.HasPrefix(lines[0], "@") {
		s, err := parseStep(lines[0])
		if err != nil {
			return nil, err
		}
		r.steps, lines = append(r.steps, s), lines[1:]
	}
	if len(lines) == 0 || lines[0] == "" {
		return r, nil
	}
	status, ok := strings.CutPrefix(lines[0], "HTTP ")
	if !ok {
		return nil, fmt.Errorf("a script begins with HTTP STATUS, not with %q", lines[0])
	}
	if !strings.Contains(status, " ") {
		status += " Scripted"
	}
	if last := len(lines) - 1; lines[last] == "@cut" {
		head := "HTTP/1.1 " + status + "\r\n" + strings.Join(lines[1:last], "\r\n")
		r.steps = append(r.steps, step{write: []byte(head), do: "cut"})
		return r, nil
	}
	fields := strings.Join(lines[1:], "\r\n")
	lower := strings.ToLower(fields)
	r.close = strings.Contains(lower, "connection: close")
	framed := strings.Contains(lower, "content-length:") || strings.Contains(lower, "transfer-encoding:") || r.close
	if !framed {
		fields = strings.TrimPrefix(fields+"\r\ntransfer-encoding: chunked", "\r\n")
	}
	r.steps = append(r.steps, step{write: []byte("HTTP/1.1 " + status + "\r\n" + fields + "\r\n\r\n")})
	return r, r.body(body, !framed)
}

// body adds the steps of the body.
func (r *Reply) body(text string, chunked bool) error {
	frame := func(b []byte) []byte {
		if len(b) == 0 || !chunked {
			return b
		}
		return fmt.Appendf(nil, "%x\r\n%s\r\n", len(b), b)
	}
	var part bytes.Buffer
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "@") {
			part.WriteString(line)
			continue
		}
		if raw, ok := parseFrame(strings.TrimSuffix(line, "\n")); ok {
			part.Write(raw)
			continue
		}
		s, err := parseStep(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return err
		}
		s.write = frame(bytes.Clone(part.Bytes()))
		r.steps = append(r.steps, s)
		part.Reset()
		if s.do != "" {
			return nil
		}
	}
	end := frame(part.Bytes())
	if chunked {
		end = append(bytes.Clone(end), "0\r\n\r\n"...)
	}
	r.steps = append(r.steps, step{write: end})
	return nil
}

func parseStep(line string) (step, error) {
	word, rest, _ := strings.Cut(strings.TrimPrefix(line, "@"), " ")
	switch word {
	case "delay":
		d, err := time.ParseDuration(strings.TrimSpace(rest))
		return step{pause: d}, err
	case "cut", "stall", "refuse", "hang":
		return step{do: word}, nil
	}
	return step{}, fmt.Errorf("there is no directive %q", line)
}

// errEnded says that the script closes the connection.
var errEnded = errors.New("the script ends the connection")

// Play says the reply on a connection.
func (r *Reply) Play(c net.Conn) error {
	for _, s := range r.steps {
		if len(s.write) > 0 {
			if _, err := c.Write(s.write); err != nil {
				return err
			}
		}
		time.Sleep(s.pause)
		switch s.do {
		case "cut":
			return errEnded
		case "stall":
			_, err := c.Read(make([]byte, 1))
			return errors.Join(errEnded, err)
		}
	}
	if r.close {
		return errEnded
	}
	return nil
}

// is reports whether the reply is one directive alone.
func (r *Reply) is(do string) bool { return len(r.steps) == 1 && r.steps[0].do == do }

// Heard is a request that a host was sent.
type Heard struct {
	Method string
	Target string // path and query
	Header http.Header
	Body   []byte
}

// Upstream is a host that answers its requests with its replies, in order, and
// the last one again and again.
type Upstream struct {
	listener *Listener
	replies  []*Reply
	serving  sync.WaitGroup

	mu    sync.Mutex
	heard []Heard
}

// Serve starts a host with that name. Close ends it.
func (n *Network) Serve(host string, replies ...*Reply) *Upstream {
	u := &Upstream{replies: replies}
	if len(replies) > 0 && replies[0].is("refuse") {
		u.listener = &Listener{host: host, done: make(chan struct{})}
		return u
	}
	u.listener = n.Listen(host)
	if len(replies) > 0 && replies[0].is("hang") {
		return u
	}
	u.serving.Go(func() {
		for {
			c, err := u.listener.Accept()
			if err != nil {
				return
			}
			u.serving.Go(func() { u.converse(c) })
		}
	})
	return u
}

// converse serves one connection.
func (u *Upstream) converse(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(in)
		if err == nil {
			var body []byte
			body, err = io.ReadAll(req.Body)
			if err == nil && u.note(req, body).Play(c) == nil {
				continue
			}
		}
		return
	}
}

// note keeps a request and picks its reply.
func (u *Upstream) note(req *http.Request, body []byte) *Reply {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.heard = append(u.heard, Heard{Method: req.Method, Target: req.RequestURI, Header: req.Header, Body: body})
	if len(u.replies) == 0 {
		return &Reply{steps: []step{{do: "cut"}}}
	}
	return u.replies[min(len(u.heard), len(u.replies))-1]
}

// Heard is every request so far.
func (u *Upstream) Heard() []Heard {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]Heard(nil), u.heard...)
}

// Open is how many connections are open.
func (u *Upstream) Open() int { return u.listener.Open() }

// Close takes no more connections and waits until those that are there have
// ended: their clients close them.
func (u *Upstream) Close() {
	_ = u.listener.Close()
	u.serving.Wait()
}
