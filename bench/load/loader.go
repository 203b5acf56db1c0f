//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"tailplane/bench/internal/answer"
	"tailplane/bench/internal/proc"
	"tailplane/bench/internal/result"
	"tailplane/bench/internal/sock"
)

// loader is one run; one goroutine owns it.
type loader struct {
	opt    options
	addr   netip.AddrPort
	poll   *sock.Poll
	ready  []sock.Event
	conns  []*conn // by file descriptor
	all    []*conn
	free   []*conn // idle, the last used first
	in     []byte
	tree   []int
	clock  func() int64
	stream bool

	plain, order []byte // requests: a small answer; what the mode asks for
	request      []byte // the one that is sent now

	again   bool // a finished connection asks again at once
	inside  bool // the window is open
	flying  int
	begun   int // streams that have had their first event
	over    int // requests ended, well or not
	dead    int // connections that were lost
	units   int64
	control *os.File
	toll    int
	latency []int64
	age     []int64
	result  result.Run
}

// conn is one connection and the request on it.
type conn struct {
	fd     int
	out    []byte // unsent rest of a request
	due    int64  // when the request was to be sent
	busy   bool
	up     bool // connected
	got    int  // events of this request
	reader answer.Reader
}

const room = 2 << 20 // latencies kept; later ones are dropped

func newLoader(o options, addr netip.AddrPort, pids []int) (*loader, error) {
	poll, err := sock.NewPoll()
	if err != nil {
		return nil, err
	}
	l := &loader{opt: o, addr: addr, poll: poll, in: make([]byte, 256<<10), tree: proc.Tree(pids), clock: sock.Now}
	l.result.Mode = o.mode
	l.latency, l.age = make([]int64, 0, 64<<10), make([]int64, 0, 64<<10)
	ask := order{host: addr.String(), path: o.path, key: o.key, model: o.model, size: o.size, usage: o.usage}
	ask.stream = o.mode == "sse" || o.mode == "memory" || o.mode == "leave" || o.mode == "cut"
	l.stream = ask.stream
	l.order = prebuilt(ask)
	ask.model, ask.stream = "small", false
	l.plain = prebuilt(ask)
	l.request = l.order
	if o.control != "" {
		if l.control, err = os.OpenFile(o.control, os.O_RDWR, 0); err != nil {
			return nil, fmt.Errorf("open the known cost's pipe: %w", err)
		}
	}
	return l, nil
}

// run does one mode and fills the result.
func (l *loader) run() error {
	end := l.clock() + int64(l.opt.limit)
	switch l.opt.mode {
	case "closed":
		return l.closed(end)
	case "open":
		return l.open(end)
	case "sse":
		return l.streams(end)
	case "memory":
		return l.memory(end)
	case "leave", "cut":
		return l.breaking(end)
	}
	return fmt.Errorf("-mode %q: want closed, open, sse, memory, leave or cut", l.opt.mode)
}

// connect opens the connections, in bursts that no listen queue overflows at.
func (l *loader) connect(end int64) error {
	const burst = 200
	for first := 0; first < l.opt.conns; first += burst {
		n := min(burst, l.opt.conns-first)
		for range n {
			if _, err := l.dial(); err != nil {
				return err
			}
		}
		if err := l.until(end, func() bool { return len(l.free)+l.flying+l.dead >= first+n }); err != nil {
			return err
		}
	}
	if l.dead > 0 {
		return fmt.Errorf("connect to %s: %d of %d connections failed", l.addr, l.dead, l.opt.conns)
	}
	return nil
}

func (l *loader) dial() (*conn, error) {
	fd, err := sock.Dial(l.addr)
	if err != nil {
		return nil, err
	}
	for fd >= len(l.conns) {
		l.conns = append(l.conns, nil)
	}
	c := &conn{fd: fd}
	c.reader.OnEvent = func(sent int64) { l.event(c, sent) }
	l.conns[fd] = c
	l.all = append(l.all, c)
	return c, l.poll.Add(fd, sock.In|sock.Out)
}

// until handles sockets until done says so; the error is the time limit.
func (l *loader) until(end int64, done func() bool) error {
	for !done() {
		left := end - l.clock()
		if left <= 0 {
			return fmt.Errorf("mode %s did not come to its end in %v: %d requests under way, %d ended, errors %v", l.opt.mode, l.opt.limit, l.flying, l.over, l.result.Errors)
		}
		if err := l.turn(min(time.Duration(left), 20*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) turn(wait time.Duration) error {
	var err error
	if l.ready, err = l.poll.Wait(wait, l.ready[:0]); err != nil {
		return err
	}
	for _, e := range l.ready {
		if e.FD < len(l.conns) && l.conns[e.FD] != nil {
			l.handle(l.conns[e.FD], e.Bits)
		}
	}
	return nil
}

func (l *loader) handle(c *conn, bits uint32) {
	if !c.up {
		if bits&sock.Gone != 0 {
			l.lost(c, "connect")
			return
		}
		c.up = true
		_ = l.poll.Change(c.fd, sock.In)
		l.free = append(l.free, c)
		return
	}
	if bits&sock.Out != 0 && len(c.out) > 0 && !l.write(c) {
		return
	}
	if bits&(sock.In|sock.Gone) != 0 {
		l.receive(c)
	}
}

// send puts the current request on an idle connection.
func (l *loader) send(c *conn, due int64) {
	c.reader.Reset()
	c.due, c.busy, c.got, c.out = due, true, 0, l.request
	l.flying++
	l.write(c)
}

func (l *loader) write(c *conn) bool {
	n, again := sock.Write(c.fd, c.out)
	if n == 0 && !again {
		l.lost(c, "write")
		return false
	}
	had := len(c.out)
	c.out = c.out[n:]
	switch {
	case len(c.out) == 0 && had < len(l.request):
		_ = l.poll.Change(c.fd, sock.In)
	case len(c.out) > 0 && had == len(l.request):
		_ = l.poll.Change(c.fd, sock.In|sock.Out)
	}
	return true
}

func (l *loader) receive(c *conn) {
	n, again := sock.Read(c.fd, l.in)
	if again {
		return
	}
	if n == 0 {
		if c.busy && c.reader.End() == answer.Ended {
			l.ended(c)
		}
		l.lost(c, "read")
		return
	}
	if !c.busy {
		l.lost(c, "bytes without a request")
		return
	}
	used, state := c.reader.Feed(l.in[:n])
	if state == answer.Open {
		return
	}
	if state == answer.Broken {
		l.lost(c, "framing: "+c.reader.Why)
		return
	}
	l.ended(c)
	if used < n {
		l.lost(c, "bytes behind a response")
		return
	}
	switch {
	case c.reader.Close:
		l.lost(c, "closed by the server after a response")
	case l.again:
		l.send(c, l.clock())
	default:
		l.free = append(l.free, c)
	}
}

// event is called for every stamped event.
func (l *loader) event(c *conn, sent int64) {
	if c.got == 0 {
		l.begun++
	}
	c.got++
	l.unit()
	if l.inside && len(l.age) < room {
		l.age = append(l.age, max(0, l.clock()-sent))
	}
}

func (l *loader) unit() {
	l.units++
	if l.control == nil || !l.inside {
		return
	}
	if l.toll++; l.toll == l.opt.batch {
		l.toll = 0
		_, _ = l.control.Write([]byte{1})
	}
}

// ended judges a response whose framing came to its end.
func (l *loader) ended(c *conn) {
	c.busy = false
	l.flying--
	l.over++
	r := &c.reader
	if r.Status != 200 {
		l.fail("status " + strconv.Itoa(r.Status))
		return
	}
	if l.stream && r.Stream() {
		l.endedStream(r)
		return
	}
	l.result.Answers++
	l.unit()
	if l.inside && len(l.latency) < room {
		l.latency = append(l.latency, l.clock()-c.due)
	}
	hash := strconv.FormatUint(r.Hash(), 16)
	switch l.result.BodyHash {
	case "":
		l.result.BodyHash = hash
	case hash:
	default:
		l.result.BodyHash = "mixed"
	}
}

func (l *loader) endedStream(r *answer.Reader) {
	if r.Usage {
		l.result.Usages++
	}
	switch {
	case r.Fault:
		l.result.Told++
	case !r.Done || r.Events != l.opt.events:
		l.result.Clean++
	default:
		l.result.Streams++
	}
}

// lost ends a connection for good: every proxy here is set to keep its
// connections, so one that is lost is an error and none takes its place.
func (l *loader) lost(c *conn, kind string) {
	if c.busy {
		l.flying--
		l.over++
		l.result.Aborted++
	}
	l.fail(kind)
	c.busy = false
	l.conns[c.fd] = nil
	sock.Close(c.fd)
	l.dead++
}
