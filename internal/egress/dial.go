package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"tailplane/internal/secret"
)

// Options are what a Network is made of. Zero values mean the real thing.
type Options struct {
	// Connect opens connections in place of the real network, for tests. The
	// policy is applied to names and literal addresses only then.
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolver looks names up.
	Resolver *net.Resolver
	// Control sees every address that is about to be connected to, after the
	// policy has let it pass; an error ends the attempt.
	Control func(remote netip.AddrPort) error
}

// Network is the process's way out: one policy and one book for all dialers.
// All methods are safe for concurrent use.
type Network struct {
	opt    Options
	policy atomic.Pointer[ruling]
	book   book
}

// New returns a network that lets out what is no guarded address, until Enforce
// says otherwise.
func New(o Options) *Network {
	n := &Network{opt: o}
	n.Enforce(Config{}, nil)
	return n
}

// Report is what was contacted since the start.
func (n *Network) Report() Report {
	r := Report{Default: n.policy.Load().Default()}
	r.Contacts, r.Unlisted = n.book.contacts()
	return r
}

// Dialer dials one way. It is safe for concurrent use.
type Dialer struct {
	network *Network
	way     Way
	exempt  []exemption
	proxy   *proxy // nil = direct
	tls     *tls.Config
}

// Dialer makes a dialer. It opens no connection.
func (n *Network) Dialer(w Way) (*Dialer, error) {
	d := &Dialer{network: n, way: w}
	conf, err := w.tlsConfig()
	if err != nil {
		return nil, err
	}
	d.tls = conf
	if w.proxy == "" {
		return d, nil
	}
	for item := range strings.SplitSeq(w.noProxy, ",") {
		if item == "" {
			continue
		}
		e, err := parseExemption(item)
		if err != nil {
			return nil, fmt.Errorf("egress.no_proxy: %w", err)
		}
		d.exempt = append(d.exempt, e)
	}
	d.proxy, err = w.newProxy(conf)
	return d, err
}

// TLS is the configuration of TLS connections that go this way.
func (d *Dialer) TLS() *tls.Config { return d.tls.Clone() }

// HTTPClient is a client for libraries that speak HTTP themselves. It follows
// redirects, and each of them is subject to the policy. purpose stands in the
// book.
func (d *Dialer) HTTPClient(purpose string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return d.dial(ctx, network, address, purpose)
		},
		TLSClientConfig: d.TLS(), ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: idleTime, TLSHandshakeTimeout: handshakeTime,
	}}
}

const (
	idleTime      = 90 * time.Second
	handshakeTime = 10 * time.Second
)

// DialContext opens a TCP connection to host:port, through the proxy where
// there is one. Errors that have words are an *Error.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.dial(ctx, network, address, "")
}

func (d *Dialer) dial(ctx context.Context, network, address, purpose string) (net.Conn, error) {
	host, port, err := split(address)
	if err != nil {
		return nil, &Error{Kind: Failed, Address: address, Why: "this is no address: " + err.Error(), Err: err}
	}
	at, rules := endpoint{host, port}, d.network.policy.Load()
	rule := rules.toward(at, time.Now())
	if purpose == "" {
		purpose = rule.why[at]
	}
	l := line{address: join(host, port), why: purpose}
	if d.proxy == nil || rule.guarded(at) || exempt(d.exempt, host, port) {
		c, err := d.connect(ctx, network, at, rules)
		d.network.note(l, c, err)
		return c, err
	}
	l.via = d.proxy.address
	c, err := d.tunnel(ctx, network, at, rules)
	d.network.note(l, c, err)
	return c, err
}

// tunnel opens a connection through the proxy. Names are resolved by the proxy,
// so that the policy can only look at them as names.
func (d *Dialer) tunnel(ctx context.Context, network string, to endpoint, rules *ruling) (net.Conn, error) {
	if err := rules.toward(to, time.Now()).CheckName(to.host, to.port, true); err != nil {
		return nil, err
	}
	host, port, err := split(d.proxy.address)
	if err != nil {
		return nil, err
	}
	c, err := d.connect(ctx, network, endpoint{host, port}, rules)
	d.network.note(line{address: d.proxy.address, why: "proxy"}, c, err)
	if err != nil {
		return nil, d.proxy.unreachable(ctx, to, err)
	}
	return d.proxy.open(ctx, c, to)
}

// connect opens a connection without a proxy. The policy sees the name first,
// and then every address that is about to be connected to: what DNS says
// between the two makes no difference.
func (d *Dialer) connect(ctx context.Context, network string, to endpoint, rules *ruling) (net.Conn, error) {
	rule := rules.toward(to, time.Now())
	if err := rule.CheckName(to.host, to.port, false); err != nil {
		return nil, err
	}
	address := join(to.host, to.port)
	if d.network.opt.Connect != nil {
		return d.network.opt.Connect(ctx, network, address)
	}
	dialer := net.Dialer{
		Resolver: d.network.opt.Resolver,
		ControlContext: func(_ context.Context, _, remote string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(remote)
			if err != nil {
				return refusal(to.host, to.port, remote, "this is no address that the policy knows", "")
			}
			if no := rule.Check(to.host, at.Port(), at.Addr()); no != nil {
				return no
			}
			if d.network.opt.Control != nil {
				return d.network.opt.Control(at)
			}
			return nil
		},
	}
	if d.way.source.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: d.way.source.AsSlice(), Zone: d.way.source.Zone()}
	}
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		if no, ok := errors.AsType[*Error](err); ok {
			return nil, no
		}
		return nil, system(address, err)
	}
	return c, nil
}

// note enters a dial into the book.
func (n *Network) note(l line, c net.Conn, err error) {
	if l.why == "" {
		l.why = "not named in the config"
	}
	remote := ""
	if err == nil && c.RemoteAddr() != nil {
		remote = c.RemoteAddr().String()
	}
	n.book.note(l, remote, err, time.Now().UTC())
}

func kindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Failed
}

// credential is what the proxy is shown now: USER:PASSWORD; empty = nothing.
type credential struct {
	fixed  secret.Value
	source *secret.Source
}

func (c credential) value() secret.Value {
	if c.source != nil {
		return c.source.Value(time.Now())
	}
	return c.fixed
}
