package httpd

import (
	"sync"
	"time"
)

// Whether a client is still there shows only in reading from its connection.
// Nobody reads while a handler runs that has the whole body, so a watch does:
// one byte, on a goroutine of its own. It is started only for handlers that
// take longer than watchAfter or flush, since most are done before it would
// pay.
//
// The rules:
//
//   - A watch reads only after the body was read to its end, so it never takes
//     a byte of the body, and never beside another reader.
//   - The end of the stream or an error ends the request's context. A byte is
//     the beginning of the next request: it is kept, put behind what is
//     buffered, and the watch is over.
//   - When the handler has returned, a deadline in the past ends the watch, and
//     the connection's goroutine waits until it has.
//   - Read deadlines of the handler are for the body. Once that is read they
//     are noted and not set, so they cannot end a watch.

// watch is the state of watching the connection of one exchange. It is used
// again with its exchange.
//
// The timer is not stopped with a request, since that and setting it anew cost more
// than most requests have to do here: when it fires for a request before the one
// that runs, it is set once more for that. So a watch begins after once to twice
// watchAfter.
type watch struct {
	x *exchange

	mu       sync.Mutex
	timer    *time.Timer
	armed    bool   // the timer runs
	begun    uint64 // counts the requests
	armedFor uint64 // the one that the timer was set for
	running  bool   // a handler runs
	bodyOver bool   // nothing of the body is to be read any more
	bodyRead bool   // the handler's goroutine reads the body now
	cutShort bool   // nothing more of the body is waited for
	due      bool   // to be started as soon as bodyOver
	reading  chan struct{}
	ended    bool // the end of the stream was seen
	got      bool // next is a byte of the next request
	next     [1]byte
}

// begin is called before the handler.
func (w *watch) begin(bodyOver bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.bodyOver, w.bodyRead, w.cutShort, w.due, w.ended, w.got = true, bodyOver, false, false, false, false, false
	w.begun++
	if !w.armed {
		w.arm()
	}
}

// arm sets the timer for the request that runs. It is called with the lock held.
func (w *watch) arm() {
	w.armed, w.armedFor = true, w.begun
	if w.timer == nil {
		w.timer = time.AfterFunc(watchAfter, w.start)
	} else {
		w.timer.Reset(watchAfter)
	}
}

// start watches from now on, or as soon as the body is over. It returns when
// the watch is over.
func (w *watch) start() {
	if w.mayStart() {
		w.read()
	}
}

// mayStart is what the timer finds: whether it is for the request that runs, and
// there is something to watch now.
func (w *watch) mayStart() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = false
	switch {
	case !w.running:
		return false
	case w.armedFor != w.begun:
		w.arm()
		return false
	}
	w.due = true
	return w.ready()
}

// startBeside is start without waiting for its end.
func (w *watch) startBeside() {
	w.mu.Lock()
	w.due = true
	ready := w.ready()
	w.mu.Unlock()
	if ready {
		go w.read()
	}
}

// over says that the body was read to its end.
func (w *watch) over() {
	w.mu.Lock()
	w.bodyOver = true
	ready := w.ready()
	w.mu.Unlock()
	if ready {
		go w.read()
	}
}

// interrupt ends the reading of the body of a request. The exchange may be another
// request's by now, which is left alone.
func (w *watch) interrupt(ctx *requestContext) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running || w.x.ctx != ctx {
		return
	}
	w.cutShort = true
	if w.bodyRead {
		w.x.conn.setReadDeadline(past())
	}
}

func (w *watch) isCutShort() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cutShort
}

// past is a deadline that has passed.
func past() time.Time { return time.Unix(1, 0) }

// ready reports whether to read now, and claims the reading. It is called with
// the lock held.
func (w *watch) ready() bool {
	if !w.due || !w.running || !w.bodyOver || w.reading != nil || w.ended || w.got {
		return false
	}
	w.reading = make(chan struct{})
	w.x.conn.setReadDeadline(time.Time{})
	return true
}

// read waits for a byte or the end.
func (w *watch) read() {
	n, err := readSome(w.x.conn.net, w.next[:])
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case n > 0:
		w.got = true
	case w.running || !timedOut(err):
		w.ended = true
		w.x.ctx.cancel()
	}
	close(w.reading)
}

// end stops watching after the handler. A client that has ended its side may
// still read, and may have sent more requests before: the next read tells.
func (w *watch) end() {
	c := w.x.conn
	w.mu.Lock()
	w.running = false
	reading := w.reading
	if reading == nil {
		w.mu.Unlock()
		return
	}
	if !w.ended && !w.got {
		c.setReadDeadline(past())
	}
	w.mu.Unlock()
	<-reading
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading = nil
	if w.got {
		c.reserve()
		c.buf[c.w] = w.next[0]
		c.w++
		w.got = false
	}
}
