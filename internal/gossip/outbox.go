package gossip

import (
	"sync"

	"github.com/hashicorp/memberlist"
)

// mostWaiting is how many deltas wait for the next flush: 400,000 a second at
// ten milliseconds.
const mostWaiting = 4096

// outbox is a ring of what is to be told.
type outbox struct {
	wake chan struct{} // size 1: the ring is not empty any more

	mu      sync.Mutex
	ring    []Delta
	from, n int
	told    uint64
	dropped uint64
}

func newOutbox(size int) *outbox {
	return &outbox{wake: make(chan struct{}, 1), ring: make([]Delta, size)}
}

func (o *outbox) put(d Delta) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n == len(o.ring) || d.Kind > Done {
		o.dropped++
		return
	}
	o.ring[(o.from+o.n)%len(o.ring)] = d
	o.n++
	o.told++
	if o.n == 1 {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

// take moves everything that waits to the end of a slice.
func (o *outbox) take(to []Delta) []Delta {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ; o.n > 0; o.n-- {
		to = append(to, o.ring[o.from])
		o.from = (o.from + 1) % len(o.ring)
	}
	return to
}

func (o *outbox) counted() (told, dropped uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told, o.dropped
}

// speaker writes packets and sends each to every member. One goroutine has it.
type speaker struct {
	g        *Gossip
	list     *memberlist.Memberlist
	sequence uint64
	busy     bool // something was sent since the last beat
	packet   packet
	deltas   []Delta
	to       []*memberlist.Node
}

// flush sends everything that waits.
func (s *speaker) flush() {
	s.deltas = s.g.out.take(s.deltas[:0])
	if len(s.deltas) == 0 {
		return
	}
	s.packet.reset(s.g.epoch, s.next())
	for _, d := range s.deltas {
		if !s.packet.add(d) {
			s.send()
			s.packet.reset(s.g.epoch, s.next())
			s.packet.add(d)
		}
	}
	s.send()
	s.busy = true
}

// beat sends an empty packet if there was no other since the last beat.
func (s *speaker) beat() {
	if !s.busy {
		s.packet.reset(s.g.epoch, s.next())
		s.send()
	}
	s.busy = false
}

func (s *speaker) next() uint64 {
	s.sequence++
	return s.sequence
}

func (s *speaker) send() {
	s.to = s.g.in.nodes(s.to[:0])
	for _, n := range s.to {
		if err := s.list.SendBestEffort(n, s.packet.buf); err != nil {
			s.g.fail.Add(1)
		} else {
			s.g.sent.Add(1)
		}
	}
}
