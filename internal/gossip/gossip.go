// Package gossip tells the other gateways what this one decided, and hears what
// they decided.
//
// It owns the `gossip:` section of the file ([Config]), the packets that travel
// and who may send them. It never shares what a gateway knows, only what it
// did: there is no state to repair, a lost packet costs a cache miss, and a
// network that is cut costs cache misses for as long as it is. It does not
// understand a [Delta]; the package route makes them and applies them.
//
// Membership and encryption are memberlist's. What leaves here is UDP from the
// listener's own socket to members, and TCP for the exchange of the members'
// list, which is dialed by the dialer that the package is given. Names are
// looked up here and never by memberlist, which would ask DNS servers itself.
//
// Start reading at [Gossip]; packet.go is the form on the wire, inbox.go what is
// believed of it.
package gossip

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	beat        = time.Second     // an idle gateway says this often that it is there
	silentAfter = 3 * time.Second // what a peer told is void when it is not heard for so long
	rejoin      = 10 * time.Second
	leaving     = time.Second // what a farewell may take
	streams     = 3 * time.Second
)

// Options are what a Gossip works with. Dial is needed, the rest may be zero.
type Options struct {
	// Apply takes what a peer told, once for each packet, in the order of
	// arrival, which is not always that of sending. The slice is valid during
	// the call only.
	Apply func(peer string, deltas []Delta)
	// Silent says that a peer is gone, has started anew, or is not heard: what
	// it told and did not take back is void. It comes once for each silence. A
	// peer that speaks again may release what was expired, so counters stop at
	// zero.
	Silent func(peer string)
	// Dial opens the TCP connections to members.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Lookup gives the addresses of a name of `join`; nil asks the system.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	Log    *slog.Logger

	transport memberlist.Transport // of tests, in place of sockets
	self      netip.AddrPort       // its address
}

// Gossip is one gateway's ear and mouth. Tell, Members and Stats are safe for
// concurrent use; Apply and Silent are called one at a time, must be quick, and
// may call Tell but neither Members nor Stats.
type Gossip struct {
	opt    Options
	conf   Config
	keys   *memberlist.Keyring
	socket memberlist.Transport
	self   netip.AddrPort
	epoch  uint64

	in   *inbox
	out  *outbox
	sent atomic.Uint64
	fail atomic.Uint64
	said *complaints
}

// New reads the key and opens the listener. Run or Close must follow: both close it.
func New(c Config, o Options) (*Gossip, error) {
	if o.Dial == nil {
		return nil, errors.New("gossip needs a dialer")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if c.Flush <= 0 {
		c.Flush = Default().Flush
	}
	keys, err := c.keyring()
	if err != nil {
		return nil, err
	}
	g := &Gossip{opt: o, conf: c, keys: keys, socket: o.transport, self: o.self, out: newOutbox(mostWaiting)}
	if g.socket == nil {
		s, err := listen(c, o.Dial)
		if err != nil {
			return nil, err
		}
		g.socket, g.self = s, s.advertised
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	g.epoch = binary.BigEndian.Uint64(id[:])
	g.in = newInbox(o, g.self.String())
	g.said = &complaints{log: o.Log}
	return g, nil
}

// Address is where other gateways reach this one.
func (g *Gossip) Address() netip.AddrPort { return g.self }

// Tell takes a delta for every peer and returns at once. What does not fit into
// the outbox is dropped and counted.
func (g *Gossip) Tell(d Delta) { g.out.put(d) }

// Close closes the listener of a Gossip that is not to run after all.
func (g *Gossip) Close() error { return g.socket.Shutdown() }

// Run takes part until the context ends, then says farewell and closes the
// listener. It returns an error only when it cannot begin.
func (g *Gossip) Run(ctx context.Context) error {
	list, err := memberlist.Create(g.config())
	if err != nil {
		_ = g.socket.Shutdown()
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { g.keepJoined(ctx, list) })
	g.speak(ctx, list)
	_ = list.Leave(leaving)
	_ = list.Shutdown()
	wg.Wait()
	return nil
}

// speak sends what is told, a flush interval after the first of it, and a beat
// when there is nothing to tell.
func (g *Gossip) speak(ctx context.Context, list *memberlist.Memberlist) {
	s := speaker{g: g, list: list, deltas: make([]Delta, 0, mostWaiting)}
	heartbeat := time.NewTicker(beat)
	defer heartbeat.Stop()
	flush := time.NewTimer(time.Hour)
	defer flush.Stop()
	for {
		select {
		case <-ctx.Done():
			s.flush()
			return
		case <-g.out.wake:
			flush.Reset(g.conf.Flush)
		case <-flush.C:
			s.flush()
		case now := <-heartbeat.C:
			s.beat()
			g.in.expire(now)
		}
	}
}

// Member is another gateway as it is seen from here.
type Member struct {
	Name     string // its address
	Heard    time.Time
	Silent   bool   // it is not heard, or has not spoken yet
	Received uint64 // packets
	Lost     uint64 // packets that never came, or came too late
}

// Members are the other gateways, by name.
func (g *Gossip) Members() []Member { return g.in.members() }

// Stats counts since the start.
type Stats struct {
	Told      uint64 // deltas that were taken
	Dropped   uint64 // deltas that did not fit or were none
	Sent      uint64 // packets, each to one member
	Failed    uint64 // packets that could not be sent
	Received  uint64 // packets that were believed
	Applied   uint64 // deltas in them
	Limited   uint64 // deltas of peers that say too much
	Malformed uint64 // packets under the right key that do not decode
	Oversized uint64 // packets that are too long
	Replayed  uint64 // packets that were here before, or are too old to tell
	Strangers uint64 // packets of nobody who is a member
	Refused   uint64 // announcements of members that are refused
	// Complaints are memberlist's own warnings and errors: packets without the
	// key, rubbish, members that cannot be reached.
	Complaints uint64
}

// Stats tells what happened so far.
func (g *Gossip) Stats() Stats {
	s := g.in.counted()
	s.Told, s.Dropped = g.out.counted()
	s.Sent, s.Failed, s.Complaints = g.sent.Load(), g.fail.Load(), g.said.n.Load()
	if t, ok := g.socket.(*socket); ok {
		s.Oversized += t.oversized.Load()
	}
	return s
}
