// Package egress is the one way out of the process: every connection to
// anywhere is dialed here.
//
// It owns the `egress:` section of the file ([Config]) and of a target
// ([Override]), the policy that is applied to the address that is really dialed
// ([Policy]), proxies, the TLS material, and the book of what was contacted
// ([Network.Report]). It never dials before it is asked to, never repeats a
// dial, and knows neither HTTP requests nor what a target is.
//
// Start reading at [Network]; policy.go decides, dial.go dials.
package egress

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"tailplane/internal/secret"
)

// Config is the `egress:` section of the file.
type Config struct {
	// Default says what happens to an address that the config does not name:
	// "allow" (also when empty) or "deny".
	Default string `yaml:"default"`
	// Allow names more than targets and identities do: HOST:PORT, where HOST
	// may be *.SUFFIX, an address or a CIDR, and PORT may be *; a CIDR may
	// stand without a port.
	Allow []string `yaml:"allow"`
	// Proxy is the URL of an HTTP, HTTPS or SOCKS5 proxy, or a reference to
	// one (env:HTTPS_PROXY); empty and "none" are a direct connection. Only a
	// referenced URL may hold a user and password.
	Proxy string `yaml:"proxy"`
	// ProxyAuth refers to USER:PASSWORD for the proxy.
	ProxyAuth secret.Ref `yaml:"proxy_auth"`
	// NoProxy are hosts that are reached without the proxy; an item may be a
	// reference to a list (env:NO_PROXY).
	NoProxy []string `yaml:"no_proxy"`
	// CA is a file of PEM certificates that are trusted beside the system's.
	CA string `yaml:"ca"`
	// ClientCert is shown to servers that ask for one.
	ClientCert ClientCert `yaml:"client_cert"`
	// SourceAddress is the address of this machine that connections come from.
	SourceAddress string `yaml:"source_address"`
}

// Override is the `egress:` section of one target: what holds for it instead
// of the file's.
type Override struct {
	Proxy         string     `yaml:"proxy"` // "none" goes without the file's
	ProxyAuth     secret.Ref `yaml:"proxy_auth"`
	NoProxy       []string   `yaml:"no_proxy"`
	CA            string     `yaml:"ca"`
	ClientCert    ClientCert `yaml:"client_cert"`
	SourceAddress string     `yaml:"source_address"`
	// Address is HOST or HOST:PORT that is dialed in place of the URL's: a
	// private endpoint. The name in TLS and in the Host header stays the URL's.
	Address string `yaml:"address"`
	// ServerName is the name that the certificate is checked for, where it is
	// not the URL's.
	ServerName string `yaml:"server_name"`
}

// ClientCert are the two files of a client certificate, each a path or
// file:/path. They are read again when they change.
type ClientCert struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// direct is the value of a proxy that is none.
const direct = "none"

// For is the section as it holds for a target. A target that names another
// proxy does not inherit the file's credential for its own.
func (c Config) For(o Override) Config {
	if o.Proxy != "" && o.Proxy != c.Proxy {
		c.Proxy, c.ProxyAuth = o.Proxy, secret.Ref{}
	}
	if !o.ProxyAuth.IsZero() {
		c.ProxyAuth = o.ProxyAuth
	}
	if o.NoProxy != nil {
		c.NoProxy = o.NoProxy
	}
	if o.CA != "" {
		c.CA = o.CA
	}
	if o.ClientCert != (ClientCert{}) {
		c.ClientCert = o.ClientCert
	}
	if o.SourceAddress != "" {
		c.SourceAddress = o.SourceAddress
	}
	return c
}

// Validate reports every problem of the file's section that can be seen
// without reading a file or a variable.
func (c Config) Validate(report func(path, wrong, right string)) {
	if c.Default != "" && c.Default != "allow" && c.Default != "deny" {
		report("egress.default", fmt.Sprintf("%q is not a choice", c.Default), "use allow or deny")
	}
	for i, text := range c.Allow {
		if _, err := parsePattern(text); err != nil {
			report(fmt.Sprintf("egress.allow[%d]", i), err.Error(), "write HOST:PORT, *.SUFFIX:PORT or a CIDR such as 10.0.0.0/8")
		}
	}
	if (c.Proxy == "" || c.Proxy == direct) && !c.ProxyAuth.IsZero() {
		report("egress.proxy_auth", "there is no proxy that it is for", "add `proxy:`, or remove it")
	}
	common(Override{
		Proxy: c.Proxy, NoProxy: c.NoProxy, CA: c.CA, ClientCert: c.ClientCert, SourceAddress: c.SourceAddress,
	}, "egress", report)
}

// Validate reports every problem of a target's section, which stands at path.
func (o Override) Validate(path string, report func(path, wrong, right string)) {
	if o.Address != "" {
		if _, err := WithPort(o.Address, "443"); err != nil {
			report(path+".address", err.Error(), "write HOST or HOST:PORT")
		}
	}
	if o.ServerName != "" && (strings.ContainsAny(o.ServerName, "/: \t") || len(o.ServerName) > 253) {
		report(path+".server_name", "this is not the name of a host", "write the name that stands in the server's certificate")
	}
	if o.Proxy == direct && !o.ProxyAuth.IsZero() {
		report(path+".proxy_auth", "there is no proxy that it is for", "name the proxy, or remove it")
	}
	common(o, path, report)
}

// common validates what both sections have.
func common(o Override, path string, report func(path, wrong, right string)) {
	if o.Proxy != "" && o.Proxy != direct && !isReference(o.Proxy) {
		if _, err := parseProxy(o.Proxy, false); err != nil {
			report(path+".proxy", err.Error(), "write http://, https:// or socks5://HOST:PORT, env:HTTPS_PROXY, or none")
		}
	}
	for i, text := range o.NoProxy {
		if _, err := parseExemption(text); err != nil && !isReference(text) {
			report(fmt.Sprintf("%s.no_proxy[%d]", path, i), err.Error(), "write a host, .SUFFIX, a CIDR, or * for all")
		}
	}
	if (o.ClientCert.Cert == "") != (o.ClientCert.Key == "") {
		report(path+".client_cert", "a client certificate is two files", "add the missing one of cert and key")
	}
	if o.SourceAddress != "" {
		if _, err := netip.ParseAddr(o.SourceAddress); err != nil {
			report(path+".source_address", fmt.Sprintf("%q is not an IP address", o.SourceAddress), "write an address of this machine, such as 10.0.0.7")
		}
	}
}

// Resolve reads what the section refers to, as it is on this machine now, and
// reports what cannot be read by the field's name.
func (c Config) Resolve(report func(field string, err error)) {
	if c.Proxy != "" && c.Proxy != direct {
		if _, err := c.proxy(); err != nil {
			report("proxy", err)
		}
	}
	if !c.ProxyAuth.IsZero() {
		if _, err := c.ProxyAuth.Resolve(); err != nil {
			report("proxy_auth", err)
		}
	}
	if _, err := c.exemptions(); err != nil {
		report("no_proxy", err)
	}
	if c.CA != "" {
		if _, err := readBundle(c.CA); err != nil {
			report("ca", err)
		}
	}
	if c.ClientCert != (ClientCert{}) {
		if _, err := readPair(c.ClientCert); err != nil {
			report("client_cert", err)
		}
	}
}

// Resolve is Config.Resolve of what a target says instead of the file's section
// base.
func (o Override) Resolve(base Config, report func(field string, err error)) {
	own := Config{CA: o.CA, ClientCert: o.ClientCert, ProxyAuth: o.ProxyAuth, Proxy: o.Proxy, NoProxy: o.NoProxy}
	if o.Proxy == base.Proxy {
		own.Proxy = ""
	}
	own.Resolve(report)
}

// isReference reports whether a text is the reference to a value.
func isReference(text string) bool {
	_, err := secret.Parse(text)
	return err == nil
}

// dereference reads a value that may be a reference.
func dereference(text string) (value string, referred bool, err error) {
	ref, err := secret.Parse(text)
	if err != nil {
		return text, false, nil
	}
	v, err := ref.Resolve()
	return v.Reveal(), true, err
}

// path is the file that a field names: /path or file:/path.
func path(text string) string { return strings.TrimPrefix(text, "file:") }

// readFile reads a file of the config; its error names it.
func readFile(name string) ([]byte, error) { return os.ReadFile(path(name)) }

// Proxies' schemes and their ports.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// parseProxy reads the address of a proxy. Its errors do not repeat the text,
// which may hold a password. A text without a scheme is an HTTP proxy, as in
// the environment variables.
func parseProxy(text string, referred bool) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || proxyPorts[u.Scheme] == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return nil, fmt.Errorf("this is not the address of a proxy")
	case u.User != nil && !referred:
		return nil, fmt.Errorf("the address contains a user name or password; name them with proxy_auth")
	}
	return u, nil
}
