package gateway

import (
	"fmt"
	"maps"
	"net"
	"strings"
	"time"

	"tailplane/internal/secret"
	"tailplane/internal/wire"
)

// Listen is the `listen:` section of the file.
type Listen struct {
	// Data serves the API; Admin serves metrics and the admin API.
	Data  Listener `yaml:"data"`
	Admin Listener `yaml:"admin"`
	// Hosts are the Host names that are answered beside the listener's own
	// address. On a loopback listener every other name is refused, so that no
	// web page can reach it by DNS rebinding; elsewhere an empty list allows
	// all. The admin listener answers to them where it has TLS, and never to
	// all; the first of them is the host of the links that let people in.
	Hosts []string `yaml:"hosts"`
	// MaxBody is the largest body in bytes, of a request and of a whole answer.
	MaxBody int64 `yaml:"max_body"`
	// MaxEvent is the largest single event of a stream in bytes.
	MaxEvent int64 `yaml:"max_event"`
	Stop     Stop  `yaml:"stop"`
}

// Stop says how the gateway ends when it is told to.
type Stop struct {
	// Accept is for how long new requests are still taken, while the readiness checks
	// fail already: whoever sends requests here needs a moment to hear of that.
	Accept time.Duration `yaml:"accept"`
	// Finish is for how long after that running requests may go on.
	Finish time.Duration `yaml:"finish"`
}

// longestStop bounds both times.
const longestStop = 24 * time.Hour

// Listener is one address.
type Listener struct {
	Addr string `yaml:"addr"`
	TLS  TLS    `yaml:"tls"`
}

// TLS is the encryption of a listener: references to PEM, env: or file:, which
// are followed while it runs.
type TLS struct {
	Cert secret.Ref `yaml:"cert"` // with the chain behind it
	Key  secret.Ref `yaml:"key"`
	// ClientCA are the authorities of client certificates. Client says whether
	// one is demanded (require, the default) or taken where it comes (request).
	ClientCA secret.Ref `yaml:"client_ca"`
	Client   string     `yaml:"client"`
}

// The choices of TLS.Client.
const (
	ClientRequire = "require"
	ClientRequest = "request"
)

// IsZero reports whether the listener has no TLS.
func (t TLS) IsZero() bool { return t == TLS{} }

func (t TLS) validate(path string, report func(path, wrong, right string)) {
	if t.IsZero() {
		return
	}
	if t.Cert.IsZero() || t.Key.IsZero() {
		report(path, "TLS needs a certificate and its key", "add `cert: file:/path` and `key: file:/path`")
	}
	for name, ref := range t.Refs() {
		if ref.Remote() {
			report(path+"."+name, "a listener does not wait for the network", "use file: or env:")
		}
	}
	switch t.Client {
	case "":
	case ClientRequire, ClientRequest:
		if t.ClientCA.IsZero() {
			report(path+".client", "nobody signs the certificates that are wanted", "add `client_ca: file:/path`")
		}
	default:
		report(path+".client", fmt.Sprintf("%q is not a choice", t.Client), "use require or request")
	}
}

// Refs are the references that are set, by their place below the listener's tls.
func (t TLS) Refs() map[string]secret.Ref {
	out := map[string]secret.Ref{"cert": t.Cert, "key": t.Key, "client_ca": t.ClientCA}
	maps.DeleteFunc(out, func(_ string, r secret.Ref) bool { return r.IsZero() })
	return out
}

// DefaultListen is what holds where the file says nothing: loopback only.
func DefaultListen() Listen {
	return Listen{
		Data: Listener{Addr: "127.0.0.1:4600"}, Admin: Listener{Addr: "127.0.0.1:4601"},
		MaxBody: 64 << 20, MaxEvent: wire.DefaultEventLimit, Stop: Stop{Finish: 30 * time.Second},
	}
}

// Validate reports every problem of the section. keyless says that callers need
// no key, guarded that the admin listener can tell people of other machines apart.
func (l Listen) Validate(keyless, guarded bool, report func(path, wrong, right string)) {
	for _, f := range []struct{ path, addr string }{{"listen.data.addr", l.Data.Addr}, {"listen.admin.addr", l.Admin.Addr}} {
		if _, port, err := net.SplitHostPort(f.addr); err != nil || !isPort(port) {
			report(f.path, fmt.Sprintf("%q is not an address", f.addr), "write HOST:PORT, such as 127.0.0.1:4600")
		}
	}
	if l.Data.Addr == l.Admin.Addr && !strings.HasSuffix(l.Data.Addr, ":0") {
		report("listen.admin.addr", "the admin and the data listener have the same address", "give the admin listener a port of its own")
	}
	if keyless && !loopback(l.Data.Addr) {
		report("listen.data.addr", "anybody who can reach this address could call without a key", "listen on 127.0.0.1, or remove `keys.required: false`")
	}
	l.Data.TLS.validate("listen.data.tls", report)
	l.Admin.TLS.validate("listen.admin.tls", report)
	switch {
	case loopback(l.Admin.Addr):
	case l.Admin.TLS.IsZero():
		report("listen.admin.addr", "other machines can reach the admin listener, and it is not encrypted", "add `listen.admin.tls`, or listen on 127.0.0.1")
	case !guarded:
		report("listen.admin.addr", "other machines can reach the admin listener, and nobody there can log in", "add `auth.oidc` or allow `auth.links`, or listen on 127.0.0.1")
	}
	for _, f := range []struct {
		name string
		d    time.Duration
	}{{"accept", l.Stop.Accept}, {"finish", l.Stop.Finish}} {
		if f.d < 0 || f.d > longestStop {
			report("listen.stop."+f.name, f.d.String()+" is out of range", "use 0s to 24h")
		}
	}
	if l.MaxBody < 1<<10 || l.MaxBody > 1<<30 {
		report("listen.max_body", fmt.Sprintf("%d is out of range", l.MaxBody), "use 1KiB to 1GiB")
	}
	if l.MaxEvent < 1<<10 || l.MaxEvent > 1<<30 {
		report("listen.max_event", fmt.Sprintf("%d is out of range", l.MaxEvent), "use 1KiB to 1GiB")
	}
}

// isPort reports whether something can listen on a port: a number, or a service's
// name.
func isPort(port string) bool {
	_, err := net.LookupPort("tcp", port)
	return err == nil
}

// loopback reports whether an address can be reached from this machine alone.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return true // reported elsewhere
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
