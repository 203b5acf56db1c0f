package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// pattern is one item of `allow:`: hosts or addresses, and a port.
type pattern struct {
	host   string       // lower case; empty when prefix is set
	suffix bool         // host is what the name must end with, beginning with a dot
	prefix netip.Prefix // of addresses
	port   uint16       // 0 = all
}

// parsePattern reads an item of `allow:`.
func parsePattern(text string) (pattern, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return pattern{prefix: p.Masked()}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return pattern{}, fmt.Errorf("%q does not say which host and port", text)
	}
	var p pattern
	if port != "*" {
		if p.port, err = parsePort(port); err != nil {
			return pattern{}, err
		}
	}
	if prefix, err := netip.ParsePrefix(host); err == nil {
		p.prefix = prefix.Masked()
		return p, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		p.prefix = netip.PrefixFrom(ip, ip.BitLen())
		return p, nil
	}
	p.host = canonical(host)
	if rest, ok := strings.CutPrefix(p.host, "*."); ok {
		p.host, p.suffix = "."+rest, true
	}
	if strings.ContainsAny(p.host, "*/ \t@") || p.host == "" || p.host == "." {
		return pattern{}, fmt.Errorf("%q is not the name of a host", host)
	}
	return p, nil
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port", text)
	}
	return uint16(n), nil
}

// named reports whether the pattern names a host by its name.
func (p pattern) named(host string, port uint16) bool {
	switch {
	case p.host == "" || p.port != 0 && p.port != port:
		return false
	case p.suffix:
		return strings.HasSuffix(host, p.host)
	}
	return host == p.host
}

// covers reports whether the pattern covers an address.
func (p pattern) covers(ip netip.Addr, port uint16) bool {
	return p.prefix.IsValid() && (p.port == 0 || p.port == port) && p.prefix.Contains(ip)
}

// canonical is the form in which the names of hosts are compared.
func canonical(host string) string { return strings.ToLower(strings.TrimRight(host, ".")) }

// WithPort is HOST or HOST:PORT with a port in any case.
func WithPort(text, port string) (string, error) {
	host, p, err := net.SplitHostPort(text)
	if err != nil {
		host, p = strings.Trim(text, "[]"), port
	}
	if _, err := parsePort(p); err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(host); err != nil && (host == "" || strings.ContainsAny(host, ":/ \t@")) {
		return "", fmt.Errorf("%q is not the address of a host", text)
	}
	return net.JoinHostPort(host, p), nil
}

// split is an address of a dial in its parts.
func split(address string) (host string, port uint16, err error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	host = canonical(host)
	if host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '/' || r == '@' }) {
		return "", 0, errors.New("no host")
	}
	port, err = parsePort(p)
	return host, port, err
}

// exemption is one item of `no_proxy:`, with the meaning that the NO_PROXY
// variable has elsewhere: HOST also stands for what is below it, .SUFFIX only
// for that.
type exemption struct {
	all  bool
	host string // lower case; empty when prefix is set
	sub  bool   // only hosts below
	net  netip.Prefix
	port uint16 // 0 = all
}

func parseExemption(text string) (exemption, error) {
	if text == "*" {
		return exemption{all: true}, nil
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return exemption{net: p.Masked()}, nil
	}
	host, e := text, exemption{}
	if h, port, err := net.SplitHostPort(text); err == nil {
		if e.port, err = parsePort(port); err != nil {
			return e, err
		}
		host = h
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		ip = ip.Unmap()
		e.net = netip.PrefixFrom(ip, ip.BitLen())
		return e, nil
	}
	e.host = strings.TrimPrefix(canonical(host), "*")
	if rest, ok := strings.CutPrefix(e.host, "."); ok {
		e.host, e.sub = rest, true
	}
	if e.host == "" || strings.ContainsAny(e.host, "*/ \t@:") {
		return e, fmt.Errorf("%q names no host", text)
	}
	return e, nil
}

func (e exemption) matches(host string, port uint16) bool {
	if e.all {
		return true
	}
	if e.port != 0 && e.port != port {
		return false
	}
	if e.net.IsValid() {
		ip, err := netip.ParseAddr(host)
		return err == nil && e.net.Contains(ip.Unmap())
	}
	return !e.sub && host == e.host || strings.HasSuffix(host, "."+e.host)
}

// exemptions reads the list, with the lists that its items refer to.
func (c Config) exemptions() ([]exemption, error) {
	var out []exemption
	for _, text := range c.NoProxy {
		value, referred, err := dereference(text)
		if err != nil {
			return nil, err
		}
		items := []string{value}
		if referred {
			items = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		}
		for _, item := range items {
			e, err := parseExemption(item)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// exempt reports whether a host is reached without the proxy. This machine
// always is: a proxy elsewhere could not reach it.
func exempt(list []exemption, host string, port uint16) bool {
	if isLocalName(host) {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return true
	}
	for _, e := range list {
		if e.matches(host, port) {
			return true
		}
	}
	return false
}

func isLocalName(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
