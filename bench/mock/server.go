//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"tailplane/bench/internal/sock"
)

// server is the whole mock; one goroutine owns it.
type server struct {
	poll     *sock.Poll
	listener int
	replies  *replies
	conns    []*conn // by file descriptor
	due      queue
	scripts  map[string]*scripted
	stats    stats
	in       []byte // one read of any connection
}

// scripted is a model's script with the count that its faults go by.
type scripted struct {
	script
	calls int
}

// conn is one client connection.
type conn struct {
	fd      int
	in      []byte // an incomplete request
	out     []byte // what the socket did not take
	close   bool   // after out
	serial  uint64 // of the stream or delayed answer under way
	busy    bool
	stream  stream
	delayed []byte // an answer that waits
}

// stream is an event stream under way.
type stream struct {
	scripted *scripted
	message  bool // Anthropic's events, else chat's
	usage    bool
	sent     int
	at       int64 // when the next event is due
}

// maxOut bounds what one slow client makes the mock hold.
const maxOut = 8 << 20

func newServer(addr netip.AddrPort) (*server, netip.AddrPort, error) {
	poll, err := sock.NewPoll()
	if err != nil {
		return nil, addr, err
	}
	fd, bound, err := sock.Listen(addr)
	if err != nil {
		return nil, addr, err
	}
	if err := poll.Add(fd, sock.In); err != nil {
		return nil, addr, fmt.Errorf("watch the listener: %w", err)
	}
	return &server{poll: poll, listener: fd, replies: build(), scripts: map[string]*scripted{}, in: make([]byte, 512<<10)}, bound, nil
}

// run serves until stop is set; the benchmark ends the process instead and
// passes nil.
func (s *server) run(stop *atomic.Bool) error {
	var ready []sock.Event
	var err error
	for stop == nil || !stop.Load() {
		if ready, err = s.poll.Wait(s.due.wait(sock.Now()), ready[:0]); err != nil {
			return err
		}
		for _, e := range ready {
			s.handle(e)
		}
		s.fire(sock.Now())
	}
	return nil
}

func (s *server) handle(e sock.Event) {
	if e.FD == s.listener {
		for range 256 {
			fd, ok := sock.Accept(s.listener)
			if !ok {
				return
			}
			s.welcome(fd)
		}
		return
	}
	c := s.conns[e.FD]
	if c == nil {
		return
	}
	if e.Bits&sock.Out != 0 && !s.flush(c) {
		return
	}
	if e.Bits&(sock.In|sock.Gone) != 0 {
		s.receive(c)
	}
}

func (s *server) welcome(fd int) {
	for fd >= len(s.conns) {
		s.conns = append(s.conns, nil)
	}
	if err := s.poll.Add(fd, sock.In); err != nil {
		sock.Close(fd)
		return
	}
	s.conns[fd] = &conn{fd: fd}
	s.stats.Connections++
}

func (s *server) receive(c *conn) {
	n, again := sock.Read(c.fd, s.in)
	if again {
		return
	}
	if n == 0 {
		s.drop(c, true)
		return
	}
	data := s.in[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, data...)
		data = c.in
	}
	for len(data) > 0 && !c.busy {
		r, used, ok := parse(data)
		if !ok {
			c.close = true
			s.send(c, s.replies.badRequest)
			return
		}
		if used == 0 {
			break
		}
		data = data[used:]
		s.answer(c, r)
		if s.conns[c.fd] != c {
			return
		}
	}
	c.in = append(c.in[:0], data...)
}

func (s *server) answer(c *conn, r request) {
	c.close = c.close || r.close
	if bytes.Equal(r.method, []byte("GET")) {
		s.send(c, s.get(r.path))
		return
	}
	message := bytes.HasSuffix(r.path, []byte("/messages"))
	if !message && !bytes.HasSuffix(r.path, []byte("/chat/completions")) {
		s.send(c, s.replies.notFound)
		return
	}
	a := read(r.body)
	m := s.script(a.model)
	count := s.stats.of(m.routed)
	count.Requests++
	m.calls++
	if m.faults > 0 && (m.calls-1)%(m.faults+1) < m.faults {
		count.Faults++
		if m.status == 429 {
			s.send(c, s.replies.tooMany)
		} else {
			s.send(c, s.replies.broken)
		}
		return
	}
	if a.stream {
		s.begin(c, stream{scripted: m, message: message, usage: a.usage || message})
		return
	}
	count.Answers++
	count.emit()
	body := s.replies.chat
	if message {
		body = s.replies.message
	}
	if m.wait > 0 {
		c.delayed = body
		s.later(c, sock.Now()+int64(m.wait))
		return
	}
	s.send(c, body)
}

// script is found without allocating once its name was seen.
func (s *server) script(name []byte) *scripted {
	if m := s.scripts[string(name)]; m != nil {
		return m
	}
	m := &scripted{script: parseModel(string(name))}
	if len(s.scripts) < 10_000 {
		s.scripts[string(name)] = m
	}
	return m
}

func (s *server) get(path []byte) []byte {
	switch {
	case bytes.Equal(path, []byte("/stats")):
		body, err := json.Marshal(s.stats)
		if err != nil {
			return s.replies.broken
		}
		return whole("200 OK", "", string(body))
	case bytes.HasSuffix(path, []byte("/models")), bytes.HasPrefix(path, []byte("/health")):
		return s.replies.models
	}
	return s.replies.notFound
}

func (s *server) begin(c *conn, st stream) {
	count := s.stats.of(st.scripted.routed)
	count.Streams++
	count.Live++
	c.stream = st
	first := s.replies.chatFirst
	if st.message {
		first = s.replies.messageFirst
	}
	s.later(c, sock.Now()+int64(st.scripted.wait)+int64(st.scripted.pace))
	s.send(c, append(bytes.Clone(s.replies.streamHead), first...))
}

func (s *server) later(c *conn, at int64) {
	c.busy, c.serial = true, c.serial+1
	c.stream.at = at
	s.due.push(timer{at: at, fd: c.fd, serial: c.serial})
}

// fire sends what is due at now.
func (s *server) fire(now int64) {
	for range 100_000 {
		t, ok := s.due.pop(now)
		if !ok {
			return
		}
		c := s.conns[t.fd]
		if c == nil || c.serial != t.serial || !c.busy {
			continue
		}
		if c.delayed != nil {
			body := c.delayed
			c.delayed, c.busy = nil, false
			s.send(c, body)
			continue
		}
		s.next(c)
	}
}

// next sends a stream's next event, or all of them at pace 0, or its end.
func (s *server) next(c *conn) {
	st := &c.stream
	m := st.scripted
	for st.sent < m.events {
		if m.cut >= 0 && st.sent >= m.cut {
			s.stats.of(m.routed).Cut++
			s.drop(c, false)
			return
		}
		st.sent++
		s.stats.of(m.routed).Events++
		if !s.send(c, s.event(st.message)) {
			return
		}
		if m.pace > 0 {
			s.later(c, st.at+int64(m.pace))
			return
		}
	}
	if m.cut >= 0 {
		s.stats.of(m.routed).Cut++
		s.drop(c, false)
		return
	}
	s.finish(c)
}

func (s *server) event(message bool) []byte {
	e, at := s.replies.chatEvent, s.replies.chatStampAt
	if message {
		e, at = s.replies.messageEvent, s.replies.messageStampAt
	}
	stamp(e[at:], sock.Now())
	return e
}

func (s *server) finish(c *conn) {
	st := c.stream
	count := s.stats.of(st.scripted.routed)
	count.Answers++
	count.Live--
	c.busy = false
	var end []byte
	if st.message {
		end = s.replies.messageEnd
	} else {
		end = append(end, s.replies.chatFinish...)
		if st.usage {
			end = append(end, s.replies.chatUsage...)
		}
		end = append(end, s.replies.chatEnd...)
	}
	if st.usage {
		count.emit()
	}
	s.send(c, end)
}

// send writes b, keeping what the socket does not take; false says that the
// connection is gone.
func (s *server) send(c *conn, b []byte) bool {
	if len(c.out) == 0 {
		n, again := sock.Write(c.fd, b)
		if n == 0 && !again {
			s.drop(c, true)
			return false
		}
		b = b[n:]
		if len(b) > 0 {
			_ = s.poll.Change(c.fd, sock.In|sock.Out)
		}
	}
	c.out = append(c.out, b...)
	if len(c.out) > maxOut {
		s.stats.Overrun++
		s.drop(c, true)
		return false
	}
	if len(c.out) == 0 && c.close && !c.busy {
		s.drop(c, false)
		return false
	}
	return true
}

func (s *server) flush(c *conn) bool {
	n, again := sock.Write(c.fd, c.out)
	if n == 0 && !again && len(c.out) > 0 {
		s.drop(c, true)
		return false
	}
	c.out = c.out[:copy(c.out, c.out[n:])]
	if len(c.out) > 0 {
		return true
	}
	_ = s.poll.Change(c.fd, sock.In)
	if c.close && !c.busy {
		s.drop(c, false)
		return false
	}
	return true
}

// drop ends a connection; left says that the client went first.
func (s *server) drop(c *conn, left bool) {
	if s.conns[c.fd] != c {
		return
	}
	if c.busy && c.delayed == nil {
		count := s.stats.of(c.stream.scripted.routed)
		count.Live--
		if left {
			count.Left++
		}
	}
	s.conns[c.fd] = nil
	s.stats.Connections--
	sock.Close(c.fd)
}

// idle is how long the loop waits when nothing is due.
const idle = time.Second
