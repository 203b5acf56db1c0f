package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"tailplane/internal/secret"
)

// air is a network in memory, so that real nodes live in virtual time.
type air struct {
	mu    sync.Mutex
	nodes map[string]*radio
	cut   func(from, to string) bool // nil lets everything pass
	wave  func(to string, packet []byte)
}

func (a *air) passes(from, to string) *radio {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cut != nil && a.cut(from, to) {
		return nil
	}
	return a.nodes[to]
}

// record calls wave for every packet from now on.
func (a *air) record(wave func(to string, packet []byte)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wave = wave
}

func (a *air) waves(to string, packet []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wave != nil {
		a.wave(to, packet)
	}
}

func (a *air) partition(cut func(from, to string) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut = cut
}

// radio is one node's transport.
type radio struct {
	air     *air
	at      netip.AddrPort
	packets chan *memberlist.Packet
	streams chan net.Conn
	off     chan struct{}
}

func (a *air) radio(i int) *radio {
	r := &radio{
		air: a, at: netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:4602", i)),
		packets: make(chan *memberlist.Packet, 256), streams: make(chan net.Conn, 16), off: make(chan struct{}),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.nodes == nil {
		a.nodes = map[string]*radio{}
	}
	a.nodes[r.at.String()] = r
	return r
}

func (r *radio) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return r.at.Addr().AsSlice(), int(r.at.Port()), nil
}

func (r *radio) WriteTo(b []byte, addr string) (time.Time, error) {
	if to := r.air.passes(r.at.String(), addr); to != nil {
		r.air.waves(addr, b)
		to.hear(b, r.at)
	}
	return time.Now(), nil
}

func (r *radio) hear(b []byte, from netip.AddrPort) {
	select {
	case r.packets <- &memberlist.Packet{Buf: bytes.Clone(b), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}:
	default: // as a socket does
	}
}

func (r *radio) DialTimeout(addr string, _ time.Duration) (net.Conn, error) {
	to := r.air.passes(r.at.String(), addr)
	if to == nil {
		return nil, errors.New("no route")
	}
	here, there := net.Pipe()
	select {
	case to.streams <- there:
		return here, nil
	case <-to.off:
		return nil, errors.New("refused")
	}
}

func (r *radio) PacketCh() <-chan *memberlist.Packet { return r.packets }
func (r *radio) StreamCh() <-chan net.Conn           { return r.streams }

func (r *radio) Shutdown() error {
	r.air.mu.Lock()
	defer r.air.mu.Unlock()
	if r.air.nodes[r.at.String()] == r {
		delete(r.air.nodes, r.at.String())
	}
	close(r.off)
	return nil
}

// node is a gateway of a test with what it heard.
type node struct {
	*Gossip
	stop func()

	mu     sync.Mutex
	heard  map[string][]Delta
	silent []string
}

const testKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func noDial(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not here") }

// start makes a node and runs it until it is stopped or the test ends.
func start(t testing.TB, c Config, o Options) *node {
	t.Helper()
	n := &node{heard: map[string][]Delta{}}
	o.Apply = func(peer string, deltas []Delta) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.heard[peer] = append(n.heard[peer], deltas...)
	}
	o.Silent = func(peer string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.silent = append(n.silent, peer)
	}
	if o.Dial == nil {
		o.Dial = noDial
	}
	g, err := New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	n.Gossip = g
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

// onAir starts node i of an air; all of them know the first one.
func onAir(t *testing.T, a *air, i int, key secret.Ref) *node {
	t.Helper()
	r := a.radio(i)
	t.Cleanup(probesEnd)
	return start(t, Config{Listen: r.at.String(), Join: []string{"10.0.0.1:4602"}, Key: key}, Options{transport: r, self: r.at})
}

func (n *node) from(peer *node) []Delta {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.heard[peer.self.String()])
}

func (n *node) silences() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.silent)
}

// key is a reference to a key that the test's environment holds.
func key(t testing.TB, name, text string) secret.Ref {
	t.Helper()
	t.Setenv(name, text)
	return secret.Env(name)
}
