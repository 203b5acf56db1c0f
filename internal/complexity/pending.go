package complexity

import "sync"

// Asked is a request whose outcome may still come.
type Asked struct {
	Key             string // who asked, and may judge
	Customer, Model string
	Vector          Vector // a clone
}

// Pending holds what is known of the latest requests, so that feedback, which
// names a request alone, finds its features. It is bounded: the oldest make
// room, and are counted. It is safe for concurrent use.
type Pending struct {
	mu    sync.Mutex
	of    map[string]Asked
	ring  []string
	next  int
	lost  int64
	found int64
}

// NewPending holds so many requests; each takes about 10 bytes for a word of its
// prompt, and at most 40 KB.
func NewPending(most int) *Pending {
	return &Pending{of: map[string]Asked{}, ring: make([]string, max(1, most))}
}

// Put keeps a request. One without an id cannot be found again, and is not kept.
func (p *Pending) Put(id string, a Asked) {
	if id == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.of[id]; !known {
		if old := p.ring[p.next]; old != "" {
			delete(p.of, old)
			p.lost++
		}
		p.ring[p.next] = id
		p.next = (p.next + 1) % len(p.ring)
	}
	p.of[id] = a
}

// Find returns a request; it stays, as feedback may be corrected.
func (p *Pending) Find(id string) (Asked, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.of[id]
	if ok {
		p.found++
	}
	return a, ok
}

// Counts tells how many requests made room for others, and how many were found.
func (p *Pending) Counts() (lost, found int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost, p.found
}
