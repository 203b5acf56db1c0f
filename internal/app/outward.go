package app

import (
	"net"
	"strconv"

	"tailplane/internal/config"
	"tailplane/internal/egress"
	"tailplane/internal/h1"
	"tailplane/internal/upstream"
)

// clients are the HTTP clients by which targets are reached, one for each way
// out.
type clients map[egress.Way]*h1.Client

// outward collects the clients of one plane: those of the plane before that go
// the same way, so that their connections go on being used, and new ones.
type outward struct {
	network *egress.Network
	yield   func()
	before  clients
	now     clients
}

// client is the client for a target of the file.
func (o *outward) client(f *config.File, c upstream.Config) (*h1.Client, error) {
	way, err := egress.NewWay(f.Egress, c.Egress)
	if err != nil {
		return nil, err
	}
	if have := o.now[way]; have != nil {
		return have, nil
	}
	if have := o.before[way]; have != nil {
		o.now[way] = have
		return have, nil
	}
	dialer, err := o.network.Dialer(way)
	if err != nil {
		return nil, err
	}
	made := h1.New(h1.Options{Dial: dialer.DialContext, TLS: dialer.TLS(), Yield: o.yield})
	o.now[way] = made
	return made, nil
}

// adopt puts the policy of a file into force and goes on with the clients of
// its plane; connections that nobody will use again are closed.
func (s *Server) adopt(f *config.File, next clients) {
	s.enforce(f)
	for way, c := range s.clients {
		if next[way] == nil {
			c.CloseIdle()
		}
	}
	s.clients = next
}

// probes are where engines of this machine are looked for, as destinations.
func probes(ports []int) []egress.Destination {
	out := make([]egress.Destination, len(ports))
	for i, port := range ports {
		out[i] = egress.Destination{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Why: "looking for engines"}
	}
	return out
}
