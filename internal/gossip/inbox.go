package gossip

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// A peer says as much as 20,000 deltas in a second, which is about 7,000
// requests; what is more is not believed.
const (
	mostPerSecond = 20_000
	mostMembers   = 64
	mostName      = 64
)

// inbox decides what is believed of what comes. A packet is applied if a member
// sent it in its present life, if it did not come before, if all of it decodes,
// and if its sender does not say too much.
type inbox struct {
	apply  func(peer string, deltas []Delta)
	silent func(peer string)
	self   string

	mu     sync.Mutex
	peers  map[string]*peer // by name
	epochs map[uint64]*peer
	reader reader
	stats  Stats
}

// peer is another gateway in one of its lives. One that is gone is kept while
// there is room, so that what it sent is not believed again when it comes back.
type peer struct {
	node   *memberlist.Node // a copy, which nobody changes
	epoch  uint64
	seen   window
	allow  bucket
	heard  time.Time // or when it joined
	silent bool      // nothing is held of what it told
	gone   bool
}

func newInbox(o Options, self string) *inbox {
	in := &inbox{apply: o.Apply, silent: o.Silent, self: self, peers: map[string]*peer{}, epochs: map[uint64]*peer{}}
	in.reader.deltas = make([]Delta, 0, mostDeltas)
	if in.apply == nil {
		in.apply = func(string, []Delta) {}
	}
	if in.silent == nil {
		in.silent = func(string) {}
	}
	return in
}

// receive takes a packet that memberlist has decrypted. It does not keep b.
func (in *inbox) receive(b []byte, now time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(b) > mostPayload {
		in.stats.Oversized++
		return
	}
	epoch, sequence, err := header(b)
	if err != nil {
		in.stats.Malformed++
		return
	}
	p := in.epochs[epoch]
	if p == nil {
		in.stats.Strangers++
		return
	}
	if !p.seen.fresh(sequence) {
		in.stats.Replayed++
		return
	}
	deltas, err := in.reader.read(b)
	if err != nil {
		in.stats.Malformed++
		return
	}
	p.seen.mark(sequence)
	p.heard, p.silent = now, false
	if !p.allow.take(len(deltas), now) {
		in.stats.Limited += uint64(len(deltas))
		return
	}
	in.stats.Received++
	if len(deltas) > 0 {
		in.stats.Applied += uint64(len(deltas))
		in.apply(p.node.Name, deltas)
	}
}

// welcome says whether a member that is announced may be one.
func (in *inbox) welcome(n *memberlist.Node) bool {
	if n.Name == in.self {
		return true
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	epoch, ok := epochOf(n)
	taken := in.epochs[epoch]
	room := in.peers[n.Name] != nil || len(in.peers) < mostMembers || in.oldest() != nil
	if !ok || !room || len(n.Name) > mostName || taken != nil && taken.node.Name != n.Name {
		in.stats.Refused++
		return false
	}
	return true
}

// join takes a member, or what it says of itself now.
func (in *inbox) join(n *memberlist.Node, now time.Time) {
	epoch, ok := epochOf(n)
	if !ok || n.Name == in.self {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	p := in.peers[n.Name]
	if p == nil || p.epoch != epoch {
		if p != nil {
			in.end(p)
		} else if old := in.oldest(); len(in.peers) >= mostMembers && old != nil {
			delete(in.peers, old.node.Name)
		}
		p = &peer{epoch: epoch, silent: true}
	}
	node := *n
	p.node, p.heard, p.gone = &node, now, false
	in.peers[n.Name], in.epochs[epoch] = p, p
}

// leave ends a member that said farewell or is not reached any more.
func (in *inbox) leave(name string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if p := in.peers[name]; p != nil {
		in.end(p)
	}
}

// end believes nothing more of a peer's life, and voids what it told. The caller
// holds the lock.
func (in *inbox) end(p *peer) {
	p.gone = true
	delete(in.epochs, p.epoch)
	if !p.silent {
		p.silent = true
		in.silent(p.node.Name)
	}
}

// oldest is the peer that is gone and was not heard for longest, or nil. The
// caller holds the lock.
func (in *inbox) oldest() (old *peer) {
	for _, p := range in.peers {
		if p.gone && (old == nil || p.heard.Before(old.heard)) {
			old = p
		}
	}
	return old
}

// expire finds the peers that are not heard any more.
func (in *inbox) expire(now time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for name, p := range in.peers {
		if !p.silent && now.Sub(p.heard) >= silentAfter {
			p.silent = true
			in.silent(name)
		}
	}
}

// nodes appends the members that packets go to.
func (in *inbox) nodes(to []*memberlist.Node) []*memberlist.Node {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, p := range in.peers {
		if !p.gone {
			to = append(to, p.node)
		}
	}
	return to
}

func (in *inbox) members() []Member {
	in.mu.Lock()
	defer in.mu.Unlock()
	list := make([]Member, 0, len(in.peers))
	for name, p := range in.peers {
		if p.gone {
			continue
		}
		list = append(list, Member{Name: name, Heard: p.heard, Silent: p.silent, Received: p.seen.count, Lost: p.seen.lost()})
	}
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func (in *inbox) counted() Stats {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.stats
}

// bucket lets mostPerSecond deltas pass in a second, and as many at once after a
// pause. The zero bucket is full.
type bucket struct {
	used float64
	at   time.Time
}

func (b *bucket) take(n int, now time.Time) bool {
	if passed := now.Sub(b.at); passed > 0 {
		b.used = max(0, b.used-passed.Seconds()*mostPerSecond)
		b.at = now
	}
	if b.used+float64(n) > mostPerSecond {
		return false
	}
	b.used += float64(n)
	return true
}
