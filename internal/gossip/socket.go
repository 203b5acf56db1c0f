package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// socket is memberlist's transport over one UDP and one TCP socket. The
// library's own takes 64 KiB of memory for each packet and dials by itself.
type socket struct {
	tcp        *net.TCPListener
	udp        *net.UDPConn
	dial       func(ctx context.Context, network, address string) (net.Conn, error)
	advertised netip.AddrPort
	oversized  atomic.Uint64

	packets chan *memberlist.Packet
	conns   chan net.Conn
	open    chan struct{}   // one for each stream that others opened
	ctx     context.Context // ends with Shutdown
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

const (
	// udpMemory is how much the kernel keeps while nobody reads.
	udpMemory = 1 << 20
	// mostStreams are open at once; each ends after a few seconds.
	mostStreams = 32
)

func listen(c Config, dial func(context.Context, string, string) (net.Conn, error)) (*socket, error) {
	at, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("gossip.listen: %w", err)
	}
	s := &socket{dial: dial, packets: make(chan *memberlist.Packet), conns: make(chan net.Conn), open: make(chan struct{}, mostStreams)}
	if s.tcp, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at)); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	at = netip.AddrPortFrom(at.Addr(), s.tcp.Addr().(*net.TCPAddr).AddrPort().Port())
	if s.udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err != nil {
		_ = s.tcp.Close()
		return nil, fmt.Errorf("gossip: %w", err)
	}
	_ = s.udp.SetReadBuffer(udpMemory) // less is worse, and no reason not to start
	if s.advertised, err = advertised(c, at); err != nil {
		_, _ = s.tcp.Close(), s.udp.Close()
		return nil, err
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.wg.Go(s.accept)
	s.wg.Go(s.read)
	return s, nil
}

// advertised is the address that others are told.
func advertised(c Config, at netip.AddrPort) (netip.AddrPort, error) {
	if c.Advertise != "" {
		return c.advertise(at.Port())
	}
	if !at.Addr().IsUnspecified() {
		return at, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("gossip: %w", err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsPrivate() {
			return netip.AddrPortFrom(p.Addr().Unmap(), at.Port()), nil
		}
	}
	return netip.AddrPort{}, errors.New("gossip: this machine has no private address; write the one that others reach as gossip.advertise")
}

func (s *socket) accept() {
	for {
		conn, err := s.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no more files, say
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		select {
		case s.open <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		select {
		case s.conns <- &stream{Conn: conn, closed: sync.OnceFunc(func() { <-s.open })}:
		case <-s.ctx.Done():
			_ = conn.Close()
			return
		}
	}
}

// stream makes room for another one when it is closed.
type stream struct {
	net.Conn
	closed func()
}

func (s *stream) Close() error {
	s.closed()
	return s.Conn.Close()
}

func (s *socket) read() {
	var buf [mostPacket + 1]byte
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf[:])
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil || n == 0: // what the kernel tells of a packet that went out
			continue
		case n > mostPacket:
			s.oversized.Add(1)
			continue
		}
		// memberlist keeps a packet until it is handled.
		p := &memberlist.Packet{Buf: bytes.Clone(buf[:n]), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}
		select {
		case s.packets <- p:
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *socket) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return s.advertised.Addr().AsSlice(), int(s.advertised.Port()), nil
}

func (s *socket) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = s.udp.WriteToUDPAddrPort(b, to)
	return time.Now(), err
}

func (s *socket) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	return s.dial(ctx, "tcp", addr)
}

func (s *socket) PacketCh() <-chan *memberlist.Packet { return s.packets }
func (s *socket) StreamCh() <-chan net.Conn           { return s.conns }

// Shutdown closes the sockets and waits for their readers.
func (s *socket) Shutdown() error {
	s.stop()
	err := errors.Join(s.tcp.Close(), s.udp.Close())
	s.wg.Wait()
	return err
}
