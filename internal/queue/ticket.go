package queue

import "time"

// Ticket is a request that was let through. It is used by one goroutine.
type Ticket struct {
	q    *Queue
	item Item
	sent bool
	// Waited is how long the request has waited; 0 when there was room.
	Waited time.Duration
}

// Open reports whether there is something to leave.
func (t *Ticket) Open() bool { return t.q != nil }

// Sent says that the request is on its way to a replica, and counts as such for
// whoever answers Room.
func (t *Ticket) Sent(now time.Time) {
	if t.q == nil || t.sent {
		return
	}
	t.sent = true
	t.q.mu.Lock()
	defer t.q.mu.Unlock()
	t.q.promised--
	t.q.move(now)
}

// Leave says that the request has ended and cost real seconds of a replica, 0 if
// it was never sent. The second time, and on a zero Ticket, it does nothing.
func (t *Ticket) Leave(now time.Time, real float64) {
	q := t.q
	if q == nil {
		return
	}
	t.q = nil
	q.mu.Lock()
	defer q.mu.Unlock()
	if !t.sent {
		q.promised--
	}
	q.s.Settle(t.item, real)
	q.move(now)
}
