package egress

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPatternsNameHostsAndPorts(t *testing.T) {
	cases := []struct {
		pattern, host, ip string
		port              uint16
		want              bool
	}{
		{"api.example.com:443", "api.example.com", "", 443, true},
		{"API.example.com.:443", "api.example.com", "", 443, true},
		{"api.example.com:443", "api.example.com", "", 80, false},
		{"api.example.com:*", "api.example.com", "", 80, true},
		{"api.example.com:443", "www.api.example.com", "", 443, false},
		{"api.example.com:443", "api.example.com.evil.test", "", 443, false},
		{"*.example.com:443", "a.b.example.com", "", 443, true},
		{"*.example.com:443", "example.com", "", 443, false},
		{"*.example.com:443", "evilexample.com", "", 443, false},
		{"10.0.0.0/8", "x", "10.1.2.3", 9, true},
		{"10.0.0.0/8:8000", "x", "10.1.2.3", 8000, true},
		{"10.0.0.0/8:8000", "x", "10.1.2.3", 8001, false},
		{"10.0.0.0/8", "x", "11.1.2.3", 9, false},
		{"10.1.2.3:9", "x", "10.1.2.3", 9, true},
		{"[fd00::1]:443", "x", "fd00::1", 443, true},
		{"[fd00::/8]:443", "x", "fd12::1", 443, true},
		{"[fd00::/8]:443", "x", "fe12::1", 443, false},
	}
	for _, c := range cases {
		p, err := parsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		got := p.named(c.host, c.port)
		if c.ip != "" {
			got = p.covers(netip.MustParseAddr(c.ip), c.port)
		}
		if got != c.want {
			t.Errorf("%s for %s %s port %d: %v", c.pattern, c.host, c.ip, c.port, got)
		}
	}
	for _, bad := range []string{"", "*", "*:443", "host", "host:", ":443", "host:0", "host:99999", "a*b:1", "http://x:1", "a b:1", "*.:1", "u@h:1", "10.0.0.0/99"} {
		if p, err := parsePattern(bad); err == nil {
			t.Errorf("%q is taken: %+v", bad, p)
		}
	}
}

// TestNoProxyMeansWhatItMeansElsewhere has the cases of the NO_PROXY variable as
// Go's own HTTP client and curl read it.
func TestNoProxyMeansWhatItMeansElsewhere(t *testing.T) {
	cases := []struct {
		list, host string
		port       uint16
		want       bool
	}{
		{"", "example.com", 443, false},
		{"", "localhost", 80, true},
		{"", "a.localhost", 80, true},
		{"", "127.0.0.1", 80, true},
		{"", "::1", 80, true},
		{"", "127.9.9.9", 80, true},
		{"*", "example.com", 443, true},
		{"example.com", "example.com", 443, true},
		{"example.com", "www.example.com", 443, true},
		{"example.com", "notexample.com", 443, false},
		{".example.com", "www.example.com", 443, true},
		{".example.com", "example.com", 443, false},
		{"*.example.com", "www.example.com", 443, true},
		{"*.example.com", "example.com", 443, false},
		{"example.com:8080", "example.com", 8080, true},
		{"example.com:8080", "example.com", 443, false},
		{"EXAMPLE.com", "example.com", 443, true},
		{"10.0.0.0/8", "10.2.3.4", 443, true},
		{"10.0.0.0/8", "11.2.3.4", 443, false},
		{"10.0.0.0/8", "ten.example", 443, false},
		{"10.2.3.4", "10.2.3.4", 443, true},
		{"10.2.3.4:80", "10.2.3.4", 443, false},
		{"10.2.3.4:443", "10.2.3.4", 443, true},
		{"fd00::/8", "fd00::1", 443, true},
		{"[fd00::1]:443", "fd00::1", 443, true},
		{"a.test,b.test", "b.test", 443, true},
		{"a.test, b.test", "b.test", 443, true},
	}
	for _, c := range cases {
		t.Setenv("TEST_NO_PROXY", c.list)
		conf := Config{NoProxy: []string{"env:TEST_NO_PROXY"}}
		if c.list == "" {
			conf.NoProxy = nil
		}
		list, err := conf.exemptions()
		if err != nil {
			t.Errorf("%q: %v", c.list, err)
		}
		if got := exempt(list, c.host, c.port); got != c.want {
			t.Errorf("%q for %s:%d: %v", c.list, c.host, c.port, got)
		}
		for _, e := range list {
			again, err := parseExemption(e.String())
			if err != nil || again != e {
				t.Errorf("%q is written as %q: %+v, %v", c.list, e.String(), again, err)
			}
		}
	}
	for _, bad := range []string{"", "a b", "x/y", "host:99999", "."} {
		if _, err := parseExemption(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestThePolicyDecides(t *testing.T) {
	named := []Destination{
		{Address: "api.example.com:443", Why: "target a"},
		{Address: "10.2.0.14:8000", Why: "target b"},
		{Address: "localhost:8000", Why: "target c"},
		{Address: "127.0.0.1:9000", Why: "target d"},
		{Address: "169.254.7.7:80", Why: "target e"},
		{Address: "metadata.google.internal:80", Why: "identity", Guarded: true},
		{Address: "169.254.170.2:80", Why: "identity", Guarded: true},
	}
	cases := []struct {
		conf, host string // conf: the default, then what is allowed
		port       uint16
		ip         string
		refused    string // part of the reason; empty = let out
	}{
		{"allow", "www.example.org", 443, "93.184.216.34", ""},
		{"deny", "www.example.org", 443, "93.184.216.34", "nothing in the config names it; add www.example.org:443"},
		{"deny", "api.example.com", 443, "93.184.216.34", ""},
		{"deny", "api.example.com", 80, "93.184.216.34", "nothing in the config names it"},
		{"deny", "10.2.0.14", 8000, "10.2.0.14", ""},
		{"deny", "10.2.0.15", 8000, "10.2.0.15", "nothing in the config names it"},
		{"deny 10.0.0.0/8", "x.test", 1, "10.2.0.15", ""},
		{"deny x.test:1", "x.test", 1, "10.2.0.15", ""},
		{"deny 0.0.0.0/0", "x.test", 1, "10.2.0.15", ""},

		// Names that lead where they should not, whatever the default is.
		{"allow", "api.example.com", 443, "127.0.0.1", "127.0.0.1 is this machine itself"},
		{"deny", "api.example.com", 443, "127.0.0.1", "this machine itself; if that is wanted, add 127.0.0.1:443 to egress.allow"},
		{"allow", "api.example.com", 443, "::ffff:127.0.0.1", "this machine itself"},
		{"allow", "api.example.com", 443, "::1", "this machine itself"},
		{"allow", "api.example.com", 443, "0.0.0.0", "this machine itself"},
		{"allow", "api.example.com", 443, "::", "this machine itself"},
		{"allow", "api.example.com", 443, "64:ff9b::7f00:1", "this machine itself"},
		{"allow", "api.example.com", 443, "169.254.169.254", "the metadata address of most clouds"},
		{"allow", "api.example.com", 443, "::ffff:169.254.169.254", "the metadata address"},
		{"allow", "api.example.com", 443, "64:ff9b::a9fe:a9fe", "the metadata address"},
		{"allow", "api.example.com", 443, "fe80::1%eth0", "link-local"},
		{"allow", "api.example.com", 443, "fd00:ec2::254", "the metadata address of AWS"},
		{"allow", "api.example.com", 443, "100.100.100.200", "Alibaba"},
		{"allow", "169.254.7.7", 80, "169.254.7.7", "link-local"}, // a target alone is not enough
		{"allow 169.254.0.0/16", "169.254.7.7", 80, "169.254.7.7", ""},
		{"allow 169.254.0.0/16", "x", 80, "169.254.169.254", "metadata"}, // that must be said itself
		{"allow 169.254.169.254:80", "x", 80, "169.254.169.254", ""},
		{"allow 169.254.169.254:80", "x", 81, "169.254.169.254", "metadata"},
		{"allow 0.0.0.0/0", "x", 80, "169.254.169.254", "metadata"}, // holds it, and does not name it
		{"allow api.example.com:443", "api.example.com", 443, "169.254.169.254", "metadata"},
		{"allow *.internal:80", "metadata.aws.internal", 80, "169.254.169.254", "metadata"},

		// This machine, when it is meant.
		{"allow", "localhost", 8000, "127.0.0.1", ""},
		{"deny", "localhost", 8000, "::1", ""},
		{"deny", "127.0.0.1", 9000, "127.0.0.1", ""},
		{"allow", "127.0.0.1", 9001, "127.0.0.1", "this machine itself"},
		{"deny localhost:1", "localhost", 1, "127.0.0.1", ""},
		{"allow 127.0.1.1:8000", "myhost", 8000, "127.0.1.1", ""},

		// Identities.
		{"deny", "metadata.google.internal", 80, "169.254.169.254", ""},
		{"deny", "metadata.google.internal", 80, "127.0.0.1", "this machine itself"},
		{"deny", "169.254.170.2", 80, "169.254.170.2", ""},
		{"deny", "169.254.170.2", 81, "169.254.170.2", "container credentials"},
		{"deny metadata:80", "metadata", 80, "169.254.169.254", ""},
	}
	for _, c := range cases {
		words := strings.Fields(c.conf)
		p := NewPolicy(Config{Default: words[0], Allow: words[1:]}, named)
		no := p.Check(c.host, c.port, netip.MustParseAddr(c.ip))
		switch {
		case (no == nil) != (c.refused == ""):
			t.Errorf("%s: %s:%d at %s: %v", c.conf, c.host, c.port, c.ip, no)
		case no != nil && (!strings.Contains(no.Error(), c.refused) || no.Kind != Refused || no.Again):
			t.Errorf("%s: %s:%d at %s: %q does not say %q", c.conf, c.host, c.port, c.ip, no, c.refused)
		}
	}
}

func TestNamesAreNotLookedUpInVain(t *testing.T) {
	cases := []struct {
		conf, host string
		byProxy    bool
		pass       bool
	}{
		{"allow", "x.test", false, true},
		{"deny", "x.test", false, false},
		{"deny 10.0.0.0/8", "x.test", false, true}, // its address decides
		{"deny 10.0.0.0/8:81", "x.test", false, false},
		{"deny 10.0.0.0/8", "x.test", true, false}, // nobody here will see its address
		{"deny x.test:80", "x.test", true, true},
		{"allow", "169.254.169.254", true, false},
		{"allow", "metadata.google.internal", true, false},
		{"allow metadata.google.internal:80", "metadata.google.internal", true, true},
		{"allow", "10.1.1.1", true, true},
		{"deny", "10.1.1.1", true, false},
	}
	for _, c := range cases {
		words := strings.Fields(c.conf)
		p := NewPolicy(Config{Default: words[0], Allow: words[1:]}, nil)
		if no := p.CheckName(c.host, 80, c.byProxy); (no == nil) != c.pass {
			t.Errorf("%s: %s, by proxy %v: %v", c.conf, c.host, c.byProxy, no)
		}
	}
}

// TestNothingGuardedPassesByAccident: whatever the config allows by name, by
// default and by ranges that merely hold a guarded address, none is let out.
func TestNothingGuardedPassesByAccident(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := rapid.SampledFrom(guards).Draw(t, "guard")
		ip := within(t, g.prefix)
		host := rapid.SampledFrom([]string{"a.test", "b.test", "metadata.example.com", ip.String()}).Draw(t, "host")
		wide := netip.PrefixFrom(ip, rapid.IntRange(0, g.prefix.Bits()-1).Draw(t, "bits")).Masked()
		p := NewPolicy(Config{
			Default: rapid.SampledFrom([]string{"allow", "deny"}).Draw(t, "default"),
			Allow:   []string{"a.test:80", "*.test:*", wide.String()},
		}, []Destination{{Address: "b.test:80", Why: "target b"}})
		if no := p.Check(host, 80, ip); no == nil {
			t.Fatalf("%s at %s is let out", host, ip)
		}
	})
}

// within is some address of a prefix.
func within(t *rapid.T, p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	noise := rapid.SliceOfN(rapid.Byte(), len(b), len(b)).Draw(t, "noise")
	for i := range b {
		for bit := range 8 {
			if i*8+bit >= p.Bits() {
				b[i] |= noise[i] & (0x80 >> bit)
			}
		}
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

func FuzzPatterns(f *testing.F) {
	for _, s := range []string{"a:1", "*.a:1", "10.0.0.0/8", "[fd00::/8]:1", "a:*", "[::1%x]:1", "*", ".a", "a.b:80", "::ffff:1.2.3.4/100", "00..", "..:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parsePattern(text); err == nil && (p.host == "") != p.prefix.IsValid() {
			t.Fatalf("%q: %+v", text, p)
		}
		e, err := parseExemption(text)
		if err != nil {
			return
		}
		if again, err := parseExemption(e.String()); err != nil || again != e {
			t.Fatalf("%q is written as %q: %+v, %v", text, e.String(), again, err)
		}
	})
}
