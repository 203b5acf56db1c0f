package upstream

import (
	"context"
	"net"
	"net/url"
	"strings"
	"time"

	"tailplane/internal/egress"
	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// Glimpse is a request by which a target is looked at while it serves: it is no
// call of a client, and what it costs is nobody's.
type Glimpse struct {
	// Path is from the server's root, above the API; or At is another address.
	Path string
	At   *url.URL
	// Body makes it a POST of JSON.
	Body   []byte
	Accept string
}

// Glimpse sends it by the way, and with the credential, of every request; to
// another address it goes without the credential. The caller closes the answer,
// whose status may be any; the fault is one of the way there.
func (t *Target) Glimpse(ctx context.Context, g Glimpse) (*h1.Response, *llm.Fault) {
	begin := time.Now()
	req := h1.Request{
		Method: "GET", TLS: t.tls, Address: t.address, Host: t.host, Target: g.Path, Body: g.Body,
		Header: []h1.Field{{Name: "accept", Value: g.Accept}, {Name: "user-agent", Value: "tailplane"}},
	}
	if g.Body != nil {
		req.Method = "POST"
		req.Header = append(req.Header, h1.Field{Name: "content-type", Value: "application/json"})
	}
	if deadline, ok := ctx.Deadline(); ok {
		req.HeadDeadline, req.ConnectTimeout = deadline, time.Until(deadline)
	}
	if g.At != nil {
		req.TLS, req.Address, req.Host, req.Target = g.At.Scheme == "https", hostPort(g.At), g.At.Host, g.At.RequestURI()
	} else {
		req.Header = append(req.Header, t.fixed...)
		if _, f := t.Authorize(ctx, &req, checkCustomer, "", begin); f != nil {
			return nil, f
		}
	}
	resp, err := t.client.Do(ctx, &req)
	if err != nil {
		return nil, Broken(err, llm.FaultFirstToken)
	}
	return resp, nil
}

// Root is the path of the server itself: what the address has before the part
// that belongs to the API.
func (t *Target) Root() string {
	root := strings.TrimSuffix(t.prefix, t.Kind.Prefix)
	if root == t.prefix {
		root = strings.TrimSuffix(t.prefix, "/v1")
	}
	return strings.TrimSuffix(root, "/")
}

// API is the path below which the API lies.
func (t *Target) API() string { return t.prefix }

// InProcess reports the simulator that is part of this program.
func (t *Target) InProcess() bool { return t.Kind == &simulator && t.Config.URL == "" }

// watched are the destinations of looks that are not the target's own.
func (c Config) watched(name string) []egress.Destination {
	u := c.Watch.Elsewhere()
	if u == nil {
		return nil
	}
	return []egress.Destination{{Address: net.JoinHostPort(u.Hostname(), portOf(u)), Why: "metrics of target " + name}}
}

func portOf(u *url.URL) string {
	_, port, _ := net.SplitHostPort(hostPort(u))
	return port
}
