package h1

import "time"

// asyncWrite is the size from which a request is written by a goroutine while
// the response is awaited. What is smaller fits into the socket buffers of both
// ends, so that the write cannot wait for an upstream that answers without
// reading the body; and should it wait after all, HeadDeadline ends it.
const asyncWrite = 128 << 10

// sending is how the write of a request went.
type sending struct {
	err     error
	end     time.Time
	pending bool // the goroutine was still writing

	stale bool      // nothing was sent: the connection cannot be used again
	first time.Time // when the first bytes of the answer were read; zero if they are still to be
}

// writing is a request write in a goroutine; result is valid once done is closed.
type writing struct {
	done   chan struct{}
	result sending
}

// outgoing is a request as it is written: head, which is pooled and has as much
// of the body as goes well with it, and the rest of the body.
type outgoing struct {
	pooled *[]byte
	head   []byte
	rest   [3][]byte
	more   bool // there is a rest
}

// compose makes what is written of req: small ones are copied together, larger
// ones are for a writev over TCP; over TLS the first record is filled.
func (o *outgoing) compose(cn *conn, req *Request) {
	o.pooled = cn.host.client.writeBufs.Get().(*[]byte)
	head := appendHead((*o.pooled)[:0], req)
	room := writeBufSize - len(head)
	if o.more = req.size() > room; !o.more {
		o.head = append(append(append(head, req.Front...), req.Body...), req.Back...)
		return
	}
	o.head, o.rest = head, [3][]byte{req.Front, req.Body, req.Back}
	if cn.tcp != nil {
		return
	}
	for i, part := range o.rest {
		n := min(len(part), max(room, 0))
		o.head, o.rest[i] = append(o.head, part[:n]...), part[n:]
		room -= n
	}
}

// recycle gives the memory of what was written back.
func (cn *conn) recycle(o *outgoing) {
	if *o.pooled = o.head; cap(o.head) <= maxWriteBuf {
		cn.host.client.writeBufs.Put(o.pooled)
	}
}

// send writes head and body, or starts to. A connection that was used before is
// looked at first.
func (r *Response) send(req *Request, now time.Time) (s sending) {
	cn := r.conn
	var o outgoing
	o.compose(cn, req)
	if !o.more {
		cn.host.client.opt.Yield()
	}
	if cn.reused && !o.more && cn.trip.able() {
		s = r.roundTrip(req, o.head, now)
		cn.recycle(&o)
		return s
	}
	cn.setDeadline(req.HeadDeadline)
	switch {
	case cn.reused && !cn.alive():
		s.stale = true
	case req.size() < asyncWrite:
		s.err = cn.write(&o)
		s.end = time.Now()
	default:
		r.sendBeside(o)
		return sending{pending: true}
	}
	cn.recycle(&o)
	return s
}

// sendBeside writes o in a goroutine.
func (r *Response) sendBeside(o outgoing) {
	w := &writing{done: make(chan struct{})}
	r.writer = w
	cn := r.conn
	go func() {
		defer close(w.done)
		err := cn.write(&o)
		w.result = sending{err: err, end: time.Now()}
		cn.recycle(&o)
	}()
}

// join waits for the writing goroutine, if there is one. Unless the write is
// over, the connection must be closed before.
func (r *Response) join() {
	if r.writer != nil {
		<-r.writer.done
	}
}

// write sends o with one system call where it can.
func (cn *conn) write(o *outgoing) (err error) {
	switch {
	case !o.more:
		_, err = cn.net.Write(o.head)
	case cn.tcp != nil:
		cn.vec = [4][]byte{o.head, o.rest[0], o.rest[1], o.rest[2]}
		cn.bufs = cn.vec[:]
		_, err = cn.bufs.WriteTo(cn.tcp)
		cn.vec, cn.bufs = [4][]byte{}, nil
	default:
		_, err = cn.net.Write(o.head)
		for _, part := range o.rest {
			if err == nil && len(part) > 0 {
				_, err = cn.net.Write(part)
			}
		}
	}
	return err
}

// roundTrip is send together with the wait for the answer's first bytes, which
// are in the connection's buffer then.
func (r *Response) roundTrip(req *Request, request []byte, now time.Time) sending {
	cn := r.conn
	_ = cn.setReadDeadline(req.HeadDeadline) // fails only on a closed connection, and so does the trip
	s, rest, readErr := cn.trip.run(request, now)
	if len(rest) > 0 && s.err == nil && !s.stale {
		cn.setDeadline(req.HeadDeadline)
		_, s.err = cn.net.Write(rest)
		s.end = time.Now()
	}
	r.later(readErr)
	return s
}
