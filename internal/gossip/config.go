package gossip

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"tailplane/internal/secret"
)

// Config is the `gossip:` section of the file.
type Config struct {
	// Listen is the address that other gateways reach, over UDP and TCP, such
	// as 0.0.0.0:4602. Empty: this gateway is alone.
	Listen string `yaml:"listen"`
	// Advertise is the address that others are told, IP or IP:PORT, where it is
	// not the listener's own. Empty: the listener's, or the first private
	// address of this machine where it listens on all.
	Advertise string `yaml:"advertise"`
	// Join are other gateways: HOST or HOST:PORT, where a name stands for all
	// of its addresses and is looked up again. One that can be reached is
	// enough. It may contain this gateway itself.
	Join []string `yaml:"join"`
	// Key refers to 32 random bytes, in base64 or hexadecimal, that all
	// gateways share. Of several with commas between them the first one
	// encrypts and all are understood. It is needed unless Listen is on
	// loopback.
	Key secret.Ref `yaml:"key"`
	// Flush is how long deltas are gathered before they are sent.
	Flush time.Duration `yaml:"flush"`
}

// Default is the configuration of an empty section.
func Default() Config { return Config{Flush: 10 * time.Millisecond} }

// Enabled reports whether there are to be other gateways.
func (c Config) Enabled() bool { return c.Listen != "" }

// Validate reports every problem that can be seen without reading the key.
func (c Config) Validate(report func(path, wrong, right string)) {
	if !c.Enabled() {
		if c.Advertise != "" || len(c.Join) > 0 || !c.Key.IsZero() {
			report("gossip.listen", "the section has no address to listen on", "write `listen: 0.0.0.0:4602`, or remove the section")
		}
		return
	}
	at, err := netip.ParseAddrPort(c.Listen)
	switch {
	case err != nil:
		report("gossip.listen", fmt.Sprintf("%q is not an address", c.Listen), "write IP:PORT, such as 0.0.0.0:4602")
	case c.Key.IsZero() && !at.Addr().IsLoopback():
		report("gossip.key", "other machines can reach the listener, and anybody there could tell it anything", "write `key: env:GOSSIP_KEY` with 32 random bytes in it (openssl rand -base64 32), or listen on 127.0.0.1")
	}
	if c.Advertise != "" {
		if _, err := c.advertise(0); err != nil {
			report("gossip.advertise", fmt.Sprintf("%q is not an address", c.Advertise), "write IP or IP:PORT, as other gateways reach this one")
		}
	}
	for i, item := range c.Join {
		if _, _, err := splitPort(item, 1); err != nil {
			report(fmt.Sprintf("gossip.join[%d]", i), fmt.Sprintf("%q names no gateway", item), "write HOST or HOST:PORT")
		}
	}
	if c.Flush != 0 && (c.Flush < time.Millisecond || c.Flush > time.Second) {
		report("gossip.flush", fmt.Sprintf("%v is not a useful interval", c.Flush), "1ms to 1s; 10ms is the default")
	}
}

// Gateways are the others that the section names, as HOST:PORT; those without a
// port are where this one listens.
func (c Config) Gateways() []string {
	at, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return nil
	}
	var out []string
	for _, item := range c.Join {
		if host, port, err := splitPort(item, at.Port()); err == nil {
			out = append(out, net.JoinHostPort(host, strconv.Itoa(int(port))))
		}
	}
	return out
}

// advertise is what Advertise says, with a port where it has none.
func (c Config) advertise(port uint16) (netip.AddrPort, error) {
	if at, err := netip.ParseAddrPort(c.Advertise); err == nil && at.Port() != 0 && !at.Addr().IsUnspecified() {
		return at, nil
	}
	ip, err := netip.ParseAddr(c.Advertise)
	if err == nil && ip.IsUnspecified() {
		err = errors.New("this is no address that others can reach")
	}
	return netip.AddrPortFrom(ip, port), err
}

// splitPort takes HOST or HOST:PORT apart.
func splitPort(text string, port uint16) (string, uint16, error) {
	host, p, err := net.SplitHostPort(text)
	if err != nil {
		host = strings.Trim(text, "[]")
		if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
			return "", 0, errors.New("this is neither HOST nor HOST:PORT")
		}
	} else {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", 0, errors.New("this is no port")
		}
		port = uint16(n)
	}
	if host == "" || len(host) > 253 || strings.ContainsAny(host, "/ \t@") {
		return "", 0, errors.New("this is no host")
	}
	return host, port, nil
}

// keyring reads the keys; nil where there are none. Its errors repeat nothing of
// them.
func (c Config) keyring() (*memberlist.Keyring, error) {
	if c.Key.IsZero() {
		if at, err := netip.ParseAddrPort(c.Listen); err == nil && !at.Addr().IsLoopback() {
			return nil, errors.New("gossip: a listener that is not on loopback needs a key")
		}
		return nil, nil
	}
	v, err := c.Key.Resolve()
	if err != nil {
		return nil, fmt.Errorf("gossip.key: %w", err)
	}
	var keys [][]byte
	for text := range strings.SplitSeq(v.Reveal(), ",") {
		key, err := parseKey(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("gossip.key: %s: %w", c.Key, err)
		}
		keys = append(keys, key)
	}
	return memberlist.NewKeyring(keys, keys[0])
}

func parseKey(text string) ([]byte, error) {
	key, err := hex.DecodeString(text)
	if err != nil {
		key, err = base64.StdEncoding.DecodeString(text)
	}
	if err != nil || len(key) != 32 {
		return nil, errors.New("a key is 32 bytes in base64 or hexadecimal; make one with openssl rand -base64 32")
	}
	return key, nil
}
