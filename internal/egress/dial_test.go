package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// errEnough ends an attempt to connect that was let out.
var errEnough = errors.New("the test has seen enough")

// TestANameThatMovesInwardIsNotFollowed: DNS rebinding. The first answer is a
// public address, the second leads to this machine, the third to the metadata.
func TestANameThatMovesInwardIsNotFollowed(t *testing.T) {
	for _, byDefault := range []string{"allow", "deny"} {
		dns := &names{addrs: func(_ string, n int) []string {
			return [][]string{{"93.184.216.34"}, {"127.0.0.1"}, {"169.254.169.254"}, {"fe80::1"}, {"93.184.216.34", "10.0.0.1"}}[min(n, 5)-1]
		}}
		var let []string
		n := New(Options{Resolver: dns.resolver(), Control: func(a netip.AddrPort) error { let = append(let, a.String()); return errEnough }})
		d := dialer(t, n, Config{Default: byDefault}, Override{}, named("api.example.com:443")...)
		wants := []string{"", "127.0.0.1 is this machine itself", "169.254.169.254 is the metadata address", "fe80::1 is link-local", ""}
		for i, want := range wants {
			_, err := d.DialContext(t.Context(), "tcp", "api.example.com:443")
			e, refused := errors.AsType[*Error](err)
			if refused != (want != "") || refused && (e.Kind != Refused || !strings.Contains(e.Error(), want)) {
				t.Errorf("%s, dial %d: %v, want %q", byDefault, i+1, err, want)
			}
			if want == "" && !errors.Is(err, errEnough) {
				t.Errorf("%s, dial %d did not come to a connection: %v", byDefault, i+1, err)
			}
		}
		if want := []string{"93.184.216.34:443", "93.184.216.34:443", "10.0.0.1:443"}; !slices.Equal(let, want) {
			t.Errorf("%s: connected to %v, want %v", byDefault, let, want)
		}
		r := n.Report()
		if c := r.Contacts[0]; len(r.Contacts) != 1 || c.Dials != 5 || c.Refused != 3 || c.Failed != 2 || c.Why != "target api.example.com:443" || r.Default != byDefault {
			t.Errorf("the book says %+v", r)
		}
	}
}

// TestOneGuardedAddressAmongManyIsLeftOut: the other ones are still used.
func TestOneGuardedAddressAmongManyIsLeftOut(t *testing.T) {
	dns := &names{addrs: func(string, int) []string { return []string{"169.254.169.254", "10.0.0.1"} }}
	var let []string
	n := New(Options{Resolver: dns.resolver(), Control: func(a netip.AddrPort) error { let = append(let, a.String()); return errEnough }})
	d := dialer(t, n, Config{}, Override{}, named("api.example.com:443")...)
	_, _ = d.DialContext(t.Context(), "tcp", "api.example.com:443")
	if !slices.Equal(let, []string{"10.0.0.1:443"}) {
		t.Errorf("connected to %v", let)
	}
}

// TestUnderDenyNothingElseIsDialed is the law: whatever is asked for, and
// whatever DNS says, an address is connected to only if the config names the
// host and port, or the address.
func TestUnderDenyNothingElseIsDialed(t *testing.T) {
	hosts := []string{"a.test", "b.test", "c.test", "d.b.test", "10.0.0.1", "10.9.9.9", "192.0.2.1", "127.0.0.1", "169.254.169.254", "fd00::1", "localhost"}
	ips := []string{"10.0.0.1", "10.9.9.9", "192.0.2.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "169.254.1.1", "fd00::1", "fe80::1", "100.100.100.200"}
	ports := []string{"80", "443"}
	address := rapid.Custom(func(t *rapid.T) string {
		return net.JoinHostPort(rapid.SampledFrom(hosts).Draw(t, "host"), rapid.SampledFrom(ports).Draw(t, "port"))
	})
	rapid.Check(t, func(t *rapid.T) {
		resolved := rapid.MapOf(rapid.SampledFrom(hosts[:4]), rapid.SliceOfNDistinct(rapid.SampledFrom(ips), 1, 3, rapid.ID)).Draw(t, "dns")
		config := named(rapid.SliceOfN(address, 0, 3).Draw(t, "named")...)
		allow := rapid.SliceOfN(rapid.SampledFrom([]string{"10.0.0.0/24:80", "*.b.test:443", "192.0.2.0/24", "a.test:*", "169.254.1.1:80"}), 0, 2).Draw(t, "allow")
		dns := &names{addrs: func(name string, _ int) []string { return resolved[name] }}
		asked := ""
		n := New(Options{Resolver: dns.resolver(), Control: func(at netip.AddrPort) error {
			host, port, _ := net.SplitHostPort(asked)
			if !mayBeDialed(host, port, at, config, allow) {
				t.Errorf("%s leads to %s, with %v named and %v allowed", asked, at, config, allow)
			}
			return errEnough
		}})
		n.Enforce(Config{Default: "deny", Allow: allow}, config)
		d, err := n.Dialer(Way{})
		if err != nil {
			t.Fatal(err)
		}
		for _, asked = range rapid.SliceOfN(address, 1, 6).Draw(t, "dials") {
			_, _ = d.DialContext(context.Background(), "tcp", asked)
		}
	})
}

// mayBeDialed says the same as the policy in another way: as a list of cases.
func mayBeDialed(host, port string, at netip.AddrPort, config []Destination, allow []string) bool {
	ip := at.Addr().String()
	isNamed := slices.ContainsFunc(config, func(d Destination) bool { return d.Address == net.JoinHostPort(host, port) })
	allowed := func(pattern string) bool { return slices.Contains(allow, pattern) }
	switch {
	case strings.HasPrefix(ip, "169.254.1.1") && port == "80" && allowed("169.254.1.1:80"):
		return true
	case strings.HasPrefix(ip, "169.254."), strings.HasPrefix(ip, "fe80"), ip == "100.100.100.200":
		return false
	case strings.HasPrefix(ip, "127."), ip == "::1":
		return isNamed && (host == "localhost" || host == ip)
	}
	return isNamed || ip == "10.0.0.1" && port == "80" && allowed("10.0.0.0/24:80") || ip == "192.0.2.1" && allowed("192.0.2.0/24") ||
		host == "d.b.test" && port == "443" && allowed("*.b.test:443") || host == "a.test" && allowed("a.test:*")
}

// TestAWordOfPolicyStopsTheLookup: under deny a name that nothing can allow is
// not even asked for, so that nothing is told to a DNS server.
func TestAWordOfPolicyStopsTheLookup(t *testing.T) {
	dns := &names{addrs: func(string, int) []string { return []string{"10.0.0.1"} }}
	d := dialer(t, New(Options{Resolver: dns.resolver()}), Config{Default: "deny"}, Override{}, named("api.example.com:443")...)
	_, err := d.DialContext(t.Context(), "tcp", "secret-in-the-name.evil.test:443")
	want := "egress: dial to secret-in-the-name.evil.test:443 refused: egress.default is deny and nothing in the config names it; add secret-in-the-name.evil.test:443 to egress.allow"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if n := dns.times("secret-in-the-name.evil.test"); n != 0 {
		t.Errorf("it was looked up %d times", n)
	}
}

// TestARedirectIsSubjectToThePolicy: a library's client follows redirects, but
// not to the metadata and not to services of this machine.
func TestARedirectIsSubjectToThePolicy(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") }))
	defer inside.Close()
	target := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/here" {
			_, _ = io.WriteString(w, "here")
			return
		}
		http.Redirect(w, r, target, http.StatusFound)
	}))
	defer server.Close()
	own := server.Listener.Addr().String()
	for _, byDefault := range []string{"allow", "deny"} {
		n := New(Options{})
		client := dialer(t, n, Config{Default: byDefault}, Override{}, named(own)...).HTTPClient("token of azure")
		for _, c := range []struct{ to, want string }{
			{"http://169.254.169.254/latest/meta-data/iam", "169.254.169.254 is the metadata address"},
			{"http://[fd00:ec2::254]/latest", "is the metadata address of AWS"},
			{"http://[::ffff:a9fe:a9fe]/", "169.254.169.254 is the metadata address"},
			{inside.URL, "127.0.0.1 is this machine itself"},
			{"http://0.0.0.0:1/", "0.0.0.0 is this machine itself"},
			{server.URL + "/here", ""},
		} {
			target = c.to
			resp, err := client.Get(server.URL)
			if err == nil {
				_ = resp.Body.Close()
			}
			e, refused := errors.AsType[*Error](err)
			if refused != (c.want != "") || refused && !strings.Contains(e.Error(), c.want) {
				t.Errorf("%s, to %s: %v", byDefault, c.to, err)
			}
		}
		client.CloseIdleConnections()
		for _, c := range n.Report().Contacts {
			if c.Why != "token of azure" || (c.Address == own) != (c.Refused == 0) {
				t.Errorf("the book says %+v", c)
			}
		}
	}
}

// TestAPolicyHoldsFromTheMomentItIsEnforced, for dialers made before it.
func TestAPolicyHoldsFromTheMomentItIsEnforced(t *testing.T) {
	addr := listening(t, func(net.Conn) {})
	n := New(Options{})
	d := dialer(t, n, Config{}, Override{}, named(addr)...)
	for i, c := range []struct {
		named []Destination
		ok    bool
	}{{named(addr), true}, {nil, false}, {named(addr), true}} {
		n.Enforce(Config{Default: "deny"}, c.named)
		conn, err := d.DialContext(t.Context(), "tcp", addr)
		if (err == nil) != c.ok {
			t.Errorf("policy %d: %v", i, err)
		}
		if err == nil {
			if _, is := conn.(*net.TCPConn); !is {
				t.Errorf("the pool cannot look at a %T", conn)
			}
			_ = conn.Close()
		}
	}
}

func TestConnectionsComeFromTheSourceAddress(t *testing.T) {
	from := make(chan string, 1)
	addr := listening(t, func(c net.Conn) { from <- c.RemoteAddr().String() })
	d := dialer(t, New(Options{}), Config{SourceAddress: "192.0.2.55"}, Override{SourceAddress: "127.0.0.77"}, named(addr)...)
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if got := <-from; !strings.HasPrefix(got, "127.0.0.77:") {
		t.Errorf("it comes from %s", got)
	}
	d = dialer(t, New(Options{}), Config{SourceAddress: "192.0.2.55"}, Override{}, named(addr)...)
	_, err = d.DialContext(t.Context(), "tcp", addr)
	if err == nil || !strings.Contains(err.Error(), "is egress.source_address an address of this machine?") {
		t.Errorf("an address that is not ours: %v", err)
	}
}

func TestANameWithoutAnAddressIsToldInWords(t *testing.T) {
	dns := &names{addrs: func(string, int) []string { return nil }}
	d := dialer(t, New(Options{Resolver: dns.resolver()}), Config{}, Override{})
	_, err := d.DialContext(t.Context(), "tcp", "nosuch.example:443")
	a, ok := Explain(fmt.Errorf("wrapped: %w", err))
	if !ok || a.Again || !strings.Contains(a.Detail, "the name nosuch.example has no address; correct the name") || strings.Contains(a.Public, "nosuch") {
		t.Errorf("%+v, %v", a, err)
	}
	d = dialer(t, New(Options{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no route")
	}}}), Config{}, Override{})
	_, err = d.DialContext(t.Context(), "tcp", "nosuch.example:443")
	if a, ok := Explain(err); !ok || !a.Again || !strings.Contains(a.Detail, "is the DNS server of this machine reachable?") {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestTheBookIsBounded(t *testing.T) {
	var b book
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for i := range mostContacts + 7 {
		b.note(line{address: fmt.Sprintf("h%d:1", i)}, "", errEnough, at)
	}
	b.note(line{address: "h3:1"}, "10.0.0.1:1", nil, at.Add(time.Second))
	list, unlisted := b.contacts()
	if len(list) != mostContacts || unlisted != 7 {
		t.Errorf("%d contacts, %d unlisted", len(list), unlisted)
	}
	i := slices.IndexFunc(list, func(c Contact) bool { return c.Address == "h3:1" })
	if c := list[i]; c.Dials != 2 || c.Failed != 1 || c.Outcome != "ok" || c.Error != "" || c.Remote != "10.0.0.1:1" || c.Last.Sub(c.First) != time.Second {
		t.Errorf("%+v", c)
	}
}

func TestWhatIsNoAddressIsNotDialed(t *testing.T) {
	d := dialer(t, New(Options{Connect: func(context.Context, string, string) (net.Conn, error) { panic("dialed") }}), Config{}, Override{})
	for _, address := range []string{"", "host", ":80", "host:0", "host:x", "a b:80", "a\r\nX: y:80", "a/b:80", "u@h:80", ".:80"} {
		if _, err := d.DialContext(t.Context(), "tcp", address); err == nil {
			t.Errorf("%q was dialed", address)
		}
	}
}
