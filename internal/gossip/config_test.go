package gossip

import (
	"context"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tailplane/internal/secret"
)

func TestValidate(t *testing.T) {
	k := secret.Env("GOSSIP_KEY")
	for _, c := range []struct {
		name string
		conf Config
		want []string
	}{
		{"nothing", Config{}, nil},
		{"the defaults", Default(), nil},
		{"whole", Config{Listen: "0.0.0.0:4602", Advertise: "10.0.0.7", Join: []string{"gateways.tailplane.svc", "10.0.0.8:4602", "[::1]:4602", "::1"}, Key: k, Flush: 5 * time.Millisecond}, nil},
		{"loopback needs no key", Config{Listen: "127.0.0.1:4602"}, nil},
		{"others can reach it", Config{Listen: "0.0.0.0:4602"}, []string{"gossip.key"}},
		{"others can reach it over IPv6", Config{Listen: "[::]:4602"}, []string{"gossip.key"}},
		{"no address", Config{Join: []string{"a"}}, []string{"gossip.listen"}},
		{"a name to listen on", Config{Listen: "localhost:4602", Key: k}, []string{"gossip.listen"}},
		{"everything wrong", Config{Listen: "0.0.0.0:4602", Key: k, Advertise: "0.0.0.0", Join: []string{"", "a:b", "http://a", "a:0"}, Flush: time.Hour}, []string{"gossip.advertise", "gossip.join[0]", "gossip.join[1]", "gossip.join[2]", "gossip.join[3]", "gossip.flush"}},
	} {
		var got []string
		c.conf.Validate(func(path, wrong, right string) {
			got = append(got, path)
			if wrong == "" || right == "" {
				t.Errorf("%s: %s: says %q, %q", c.name, path, wrong, right)
			}
		})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: reported %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAListenerForOthersNeedsAKey(t *testing.T) {
	if _, err := New(Config{Listen: "0.0.0.0:0"}, Options{Dial: noDial}); err == nil {
		t.Error("it listens to everybody")
	}
	if _, err := New(Config{Listen: "127.0.0.1:0"}, Options{}); err == nil {
		t.Error("it works without a dialer")
	}
}

func TestKeys(t *testing.T) {
	raw := strings.Repeat("k", 32)
	for text, ok := range map[string]bool{
		testKey: true,
		base64.StdEncoding.EncodeToString([]byte(raw)): true,
		testKey + "," + testKey:                        true,
		raw:                                            false,
		testKey[:32]:                                   false,
		testKey + ",":                                  false,
	} {
		_, err := Config{Listen: "0.0.0.0:1", Key: key(t, "GOSSIP_KEY", text)}.keyring()
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), text[:8]) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestWhatOthersAreTold(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct{ advertise, listen, want string }{
		{"10.0.0.7", "0.0.0.0:4602", "10.0.0.7:4602"},
		{"10.0.0.7:1", "0.0.0.0:4602", "10.0.0.7:1"},
		{"", "127.0.0.1:4602", "127.0.0.1:4602"},
		{"fd00::1", "[::]:4602", "[fd00::1]:4602"},
	} {
		got, err := advertised(Config{Advertise: c.advertise}, at(c.listen))
		if err != nil || got != at(c.want) {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
}

// TestNamesStandForAllTheirAddresses, for those that are members already not, and
// for oneself not.
func TestNamesStandForAllTheirAddresses(t *testing.T) {
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host != "gateways" {
			t.Errorf("asked for %q", host)
		}
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.2"), netip.MustParseAddr("10.0.0.3")}, nil
	}
	g, err := New(Config{Listen: "127.0.0.1:0", Join: []string{"gateways", "10.0.0.2", "10.0.0.4:99"}}, Options{
		Dial: noDial, Lookup: lookup, transport: &radio{}, self: netip.MustParseAddrPort("10.0.0.1:4602"),
	})
	if err != nil {
		t.Fatal(err)
	}
	g.in.join(announced("10.0.0.3:4602", 5), time.Unix(0, 0))
	if got := g.missing(t.Context()); !slices.Equal(got, []string{"10.0.0.2:4602", "10.0.0.4:99"}) {
		t.Errorf("missing: %v", got)
	}
}

// TestGatewaysAreNamedWithTheirPort, as an egress policy asks for them.
func TestGatewaysAreNamedWithTheirPort(t *testing.T) {
	c := Config{Listen: "0.0.0.0:4602", Join: []string{"gateways", "10.0.0.4:99", "fd00::2", "a:b:c", "host:none"}}
	if got := c.Gateways(); !slices.Equal(got, []string{"gateways:4602", "10.0.0.4:99", "[fd00::2]:4602"}) {
		t.Errorf("%q", got)
	}
	if got := (Config{Join: []string{"gateways"}}).Gateways(); got != nil {
		t.Errorf("without a listener: %q", got)
	}
}
