package gateway

import (
	"fmt"
	"net"
	"strings"

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
	// all.
	Hosts []string `yaml:"hosts"`
	// MaxBody is the largest body in bytes, of a request and of a whole answer.
	MaxBody int64 `yaml:"max_body"`
	// MaxEvent is the largest single event of a stream in bytes.
	MaxEvent int64 `yaml:"max_event"`
}

// Listener is one address.
type Listener struct {
	Addr string `yaml:"addr"`
}

// DefaultListen is what holds where the file says nothing: loopback only.
func DefaultListen() Listen {
	return Listen{
		Data: Listener{"127.0.0.1:4600"}, Admin: Listener{"127.0.0.1:4601"},
		MaxBody: 64 << 20, MaxEvent: wire.DefaultEventLimit,
	}
}

// Validate reports every problem of the section. keyless says that callers need
// no key.
func (l Listen) Validate(keyless bool, report func(path, wrong, right string)) {
	for _, f := range []struct{ path, addr string }{{"listen.data.addr", l.Data.Addr}, {"listen.admin.addr", l.Admin.Addr}} {
		if _, _, err := net.SplitHostPort(f.addr); err != nil {
			report(f.path, fmt.Sprintf("%q is not an address", f.addr), "write HOST:PORT, such as 127.0.0.1:4600")
		}
	}
	if l.Data.Addr == l.Admin.Addr && !strings.HasSuffix(l.Data.Addr, ":0") {
		report("listen.admin.addr", "the admin and the data listener have the same address", "give the admin listener a port of its own")
	}
	if keyless && !loopback(l.Data.Addr) {
		report("listen.data.addr", "anybody who can reach this address could call without a key", "listen on 127.0.0.1, or remove `keys.required: false`")
	}
	if !loopback(l.Admin.Addr) {
		report("listen.admin.addr", "the admin listener has no protection for other machines yet", "listen on 127.0.0.1")
	}
	if l.MaxBody < 1<<10 || l.MaxBody > 1<<30 {
		report("listen.max_body", fmt.Sprintf("%d is out of range", l.MaxBody), "use 1KiB to 1GiB")
	}
	if l.MaxEvent < 1<<10 || l.MaxEvent > 1<<30 {
		report("listen.max_event", fmt.Sprintf("%d is out of range", l.MaxEvent), "use 1KiB to 1GiB")
	}
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
