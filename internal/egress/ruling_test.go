package egress

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhatAReplacedPolicyNamedIsLeftSlowly: a request that began under it may dial
// it, and a request that never could have may not.
func TestWhatAReplacedPolicyNamedIsLeftSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Control: func(netip.AddrPort) error { return errEnough }})
		d := dialer(t, n, Config{Default: "deny"}, Override{}, named("127.0.0.1:1", "10.0.0.1:1")...)
		lets := func(address string, want bool) {
			t.Helper()
			_, err := d.DialContext(t.Context(), "tcp", address)
			if got := errors.Is(err, errEnough); got != want {
				t.Errorf("%s: %v", address, err)
			}
		}
		n.Replace(Config{Default: "deny"}, named("127.0.0.1:2"))
		time.Sleep(farewell - time.Second)
		n.Replace(Config{Default: "deny"}, named("127.0.0.1:3", "10.0.0.1:1"))
		for _, one := range named("127.0.0.1:1", "10.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3") {
			lets(one.Address, true)
		}
		lets("127.0.0.1:4", false)
		lets("10.0.0.1:2", false)
		for _, c := range n.Report().Contacts {
			if why := "target " + c.Address; c.Refused == 0 && c.Why != why {
				t.Errorf("the book says of %s: %s", c.Address, c.Why)
			}
		}
		time.Sleep(time.Second)
		lets("127.0.0.1:1", false)
		lets("127.0.0.1:2", true)
		time.Sleep(farewell)
		lets("127.0.0.1:2", false)
		lets("10.0.0.1:1", true)
		n.Enforce(Config{Default: "deny"}, nil)
		lets("127.0.0.1:3", false)
	})
}
