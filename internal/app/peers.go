package app

import (
	"time"

	"tailplane/internal/config"
	"tailplane/internal/egress"
	"tailplane/internal/gossip"
	"tailplane/internal/prefix"
	"tailplane/internal/route"
)

// openGossip joins the other gateways when the file names an address for it.
// What they tell and what is told is about routing alone.
func (s *Server) openGossip() error {
	if !s.file.Gossip.Enabled() {
		return nil
	}
	dialer, err := s.direct(s.file)
	if err != nil {
		return err
	}
	s.peers, err = gossip.New(s.file.Gossip, gossip.Options{
		Apply: func(peer string, deltas []gossip.Delta) {
			now := time.Now()
			for i := range deltas {
				s.groups.Apply(now, peer, heard(&deltas[i]))
			}
		},
		Silent: func(peer string) { s.groups.Silent(time.Now(), peer) },
		Dial:   dialer.DialContext,
		Log:    s.log.Logger,
	})
	if err != nil {
		return err
	}
	s.groups.Self = s.peers.Address().String()
	s.groups.Tell = func(d route.Delta) { s.peers.Tell(travelling(&d)) }
	s.showPeers()
	return nil
}

// travelling is a step as it travels.
func travelling(d *route.Delta) gossip.Delta {
	return gossip.Delta{
		Group: d.Group, Replica: d.Replica, Kind: uint8(d.Kind), Work: int32(min(d.Work*1e6, 1<<30)), Tokens: int32(min(d.Tokens, 1<<30)),
		Lane: d.Lane, Head: d.Head.Hash, End: int32(min(d.Head.End, 1<<30)),
	}
}

// heard is a step that came.
func heard(d *gossip.Delta) route.Delta {
	return route.Delta{
		Group: d.Group, Replica: d.Replica, Kind: route.DeltaKind(d.Kind), Work: float64(d.Work) / 1e6, Tokens: int(d.Tokens),
		Lane: d.Lane, Head: prefix.Mark{Hash: d.Head, End: int(d.End)},
	}
}

// showPeers registers what gossip counts.
func (s *Server) showPeers() {
	s.metrics.Watch("gossip_members", "Other gateways, by whether they are heard.", []string{"state"}, func(emit func(float64, ...string)) {
		heard, silent := 0.0, 0.0
		for _, m := range s.peers.Members() {
			if m.Silent {
				silent++
			} else {
				heard++
			}
		}
		emit(heard, "heard")
		emit(silent, "silent")
	})
	s.metrics.Total("gossip_total", "Steps that gateways told each other (told, applied), and what was not believed or sent, by why.", []string{"what"},
		func(emit func(float64, ...string)) {
			t := s.peers.Stats()
			for what, n := range map[string]uint64{
				"told": t.Told, "dropped": t.Dropped, "applied": t.Applied, "limited": t.Limited, "malformed": t.Malformed,
				"oversized": t.Oversized, "replayed": t.Replayed, "strangers": t.Strangers, "refused": t.Refused, "complaints": t.Complaints, "unsent": t.Failed,
			} {
				emit(float64(n), what)
			}
		})
}

// direct opens connections without a proxy, within the policy.
func (s *Server) direct(f *config.File) (*egress.Dialer, error) {
	way, err := egress.NewWay(f.Egress, egress.Override{Proxy: "none"})
	if err != nil {
		return nil, err
	}
	return s.network.Dialer(way)
}
