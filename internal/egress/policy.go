package egress

import (
	"fmt"
	"net/netip"
	"slices"
)

// Destination is a host and port that the config names, and why.
type Destination struct {
	Address string `json:"address"`       // host:port
	Why     string `json:"why"`           // "target openai", "proxy", ...
	Via     string `json:"via,omitempty"` // the proxy on the way; empty = direct
	// Guarded says that the destination is meant to be a guarded address: an
	// identity that lives at the cloud's metadata service. It is reached without
	// the proxy, which would give the identity of its own machine.
	Guarded bool `json:"-"`
}

// Policy decides what may be dialed. It is immutable and pure: the same
// question has the same answer.
type Policy struct {
	deny  bool
	named map[endpoint]bool // to whether it is meant to be guarded
	allow []pattern
}

type endpoint struct {
	host string
	port uint16
}

// NewPolicy is the policy of a valid config with the destinations that it
// names.
func NewPolicy(c Config, named []Destination) *Policy {
	p := &Policy{deny: c.Default == "deny", named: map[endpoint]bool{}}
	for _, d := range named {
		if host, port, err := split(d.Address); err == nil {
			at := endpoint{host, port}
			p.named[at] = p.named[at] || d.Guarded
		}
	}
	for _, text := range c.Allow {
		if a, err := parsePattern(text); err == nil {
			p.allow = append(p.allow, a)
		}
	}
	return p
}

// Default is what holds for an address that nothing names.
func (p *Policy) Default() string {
	if p.deny {
		return "deny"
	}
	return "allow"
}

// Check decides about an address that a name was resolved to: nil lets the
// dial pass.
func (p *Policy) Check(host string, port uint16, ip netip.Addr) *Error {
	ip = plainAddr(ip)
	if g, ok := guardOf(ip); ok {
		if p.mayPass(g, host, port, ip) {
			return nil
		}
		return refusal(host, port, ip.String(), fmt.Sprintf("%s is %s", ip, g.what), "if that is wanted, add "+join(ip.String(), port)+" to egress.allow")
	}
	if !p.deny || p.names(host, port) || slices.ContainsFunc(p.allow, func(a pattern) bool { return a.covers(ip, port) }) {
		return nil
	}
	return p.unnamed(host, port, ip.String())
}

// CheckName decides before a name is resolved, so that no name is looked up
// that cannot be dialed, and about a name that only a proxy resolves (byProxy).
func (p *Policy) CheckName(host string, port uint16, byProxy bool) *Error {
	if ip, err := netip.ParseAddr(host); err == nil {
		return p.Check(host, port, ip)
	}
	if byProxy && metadataNames[host] && !p.named[endpoint{host, port}] && !p.exactly(host, port) {
		return refusal(host, port, "", "behind this name is the cloud's metadata service", "if that is wanted, add "+join(host, port)+" to egress.allow")
	}
	if !p.deny || p.names(host, port) {
		return nil
	}
	addresses := func(a pattern) bool { return a.prefix.IsValid() && (a.port == 0 || a.port == port) }
	if !byProxy && slices.ContainsFunc(p.allow, addresses) {
		return nil // its addresses decide
	}
	return p.unnamed(host, port, "")
}

// Named is Check of a destination of the config whose address is a literal: nil
// for names, whose addresses are only known when they are dialed.
func (p *Policy) Named(d Destination) *Error {
	host, port, err := split(d.Address)
	if err != nil {
		return nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	return p.Check(host, port, ip)
}

// names reports whether the config names a host and port.
func (p *Policy) names(host string, port uint16) bool {
	if _, ok := p.named[endpoint{host, port}]; ok {
		return true
	}
	return slices.ContainsFunc(p.allow, func(a pattern) bool { return a.named(host, port) })
}

// guarded reports whether the destination is meant to be a guarded address.
func (p *Policy) guarded(at endpoint) bool { return p.named[at] }

// exactly reports whether `allow:` names this very host.
func (p *Policy) exactly(host string, port uint16) bool {
	return slices.ContainsFunc(p.allow, func(a pattern) bool { return !a.suffix && a.named(host, port) })
}

// mayPass reports whether somebody has said that a guarded address is meant.
func (p *Policy) mayPass(g guard, host string, port uint16, ip netip.Addr) bool {
	meant := func(a pattern) bool { return g.within(a.prefix) && a.covers(ip, port) }
	if slices.ContainsFunc(p.allow, meant) {
		return true
	}
	if g.local() {
		_, err := netip.ParseAddr(host)
		return (err == nil || isLocalName(host)) && p.names(host, port)
	}
	return p.named[endpoint{host, port}] || metadataNames[host] && p.exactly(host, port)
}

func (p *Policy) unnamed(host string, port uint16, ip string) *Error {
	return refusal(host, port, ip, "egress.default is deny and nothing in the config names it", "add "+join(host, port)+" to egress.allow")
}

// Reach is every destination that the config can lead to: those that its
// targets name, with the proxy on the way to each, and the proxies themselves.
// A proxy whose reference cannot be read here stands as the reference.
func (c Config) Reach(o Override, named []Destination) []Destination {
	c = c.For(o)
	proxy := ""
	switch u, err := c.proxy(); {
	case err != nil:
		proxy = c.Proxy
	case u != nil:
		proxy = proxyAddress(u)
	}
	list, _ := c.exemptions() // one that cannot be read exempts nothing
	out := make([]Destination, 0, len(named)+1)
	through := false
	for _, d := range named {
		if host, port, err := split(d.Address); err == nil && proxy != "" && !d.Guarded && !exempt(list, host, port) {
			d.Via, through = proxy, true
		}
		out = append(out, d)
	}
	if through {
		out = append(out, Destination{Address: proxy, Why: "proxy"})
	}
	return out
}
