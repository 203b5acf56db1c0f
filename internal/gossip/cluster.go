package gossip

import (
	"context"
	"encoding/binary"
	"errors"
	"log"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// label stands before every packet and stream, so that a member of something
// else that uses memberlist is not taken for one of ours.
const label = "tailplane"

// config is memberlist's. Deltas are hashes and do not compress, and a packet
// that is not encrypted is refused where there is a key.
func (g *Gossip) config() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label = g.self.String(), label
	c.Transport = g.socket
	c.BindPort = int(g.self.Port())
	c.EnableCompression = false
	c.TCPTimeout = streams
	c.Keyring = g.keys
	c.UDPBufferSize = mostPacket
	c.Logger = log.New(g.said, "", 0)
	d := &delegate{g: g}
	c.Delegate, c.Events, c.Alive = d, d, d
	return c
}

// delegate is what memberlist calls. It holds locks of its own when it does.
type delegate struct{ g *Gossip }

// NodeMeta announces the epoch: a packet of another life is nobody's.
func (d *delegate) NodeMeta(int) []byte {
	return binary.BigEndian.AppendUint64(nil, d.g.epoch)
}

// epochOf is the epoch that a member announces.
func epochOf(n *memberlist.Node) (uint64, bool) {
	if len(n.Meta) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(n.Meta), true
}

func (d *delegate) NotifyMsg(b []byte)              { d.g.in.receive(b, time.Now()) }
func (d *delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (d *delegate) LocalState(bool) []byte          { return nil }
func (d *delegate) MergeRemoteState([]byte, bool)   {}
func (d *delegate) NotifyJoin(n *memberlist.Node)   { d.g.in.join(n, time.Now()) }
func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.g.in.join(n, time.Now()) }
func (d *delegate) NotifyLeave(n *memberlist.Node)  { d.g.in.leave(n.Name) }
func (d *delegate) NotifyAlive(n *memberlist.Node) error {
	if !d.g.in.welcome(n) {
		return errors.New("it is no gateway, or there are too many")
	}
	return nil
}

// keepJoined contacts whoever `join` names and is no member: at the start, and
// again and again, because names change what they stand for and a network that
// was cut heals.
func (g *Gossip) keepJoined(ctx context.Context, list *memberlist.Memberlist) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for alone, wait := false, beat; ; wait = min(2*wait, rejoin) {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		missing := g.missing(ctx)
		_, err := list.Join(missing)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !alone:
			g.opt.Log.Warn("gossip: gateways of `join` cannot be reached", "tried", missing, "error", err)
		}
		if alone = err != nil; !alone {
			wait = rejoin
		}
		pause.Reset(wait)
	}
}

// missing are the addresses of `join` that no member has.
func (g *Gossip) missing(ctx context.Context) []string {
	have := map[string]bool{g.self.String(): true}
	for _, m := range g.Members() {
		have[m.Name] = true
	}
	var missing []string
	for _, item := range g.conf.Join {
		host, port, err := splitPort(item, g.self.Port())
		if err != nil {
			continue // Validate has said so
		}
		addrs := []netip.Addr{}
		if ip, err := netip.ParseAddr(host); err == nil {
			addrs = append(addrs, ip)
		} else if addrs, err = g.opt.Lookup(ctx, host); err != nil {
			g.opt.Log.Debug("gossip: a name has no address now", "name", host, "error", err)
		}
		for _, a := range addrs {
			at := netip.AddrPortFrom(a.Unmap(), port).String()
			if !have[at] {
				have[at] = true
				missing = append(missing, at)
			}
		}
	}
	return missing[:min(len(missing), mostMembers)]
}

// complaints takes memberlist's log: to ours, at debug, and counted where it is
// a warning or an error.
type complaints struct {
	log *slog.Logger
	n   atomic.Uint64
}

func (c *complaints) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if strings.HasPrefix(text, "[ERR") || strings.HasPrefix(text, "[WARN") {
		c.n.Add(1)
	}
	c.log.Debug("gossip: memberlist", "said", text)
	return len(line), nil
}
