package upstream

import (
	"slices"
	"testing"
	"time"

	"tailplane/internal/discover"
	"tailplane/internal/kvevents"
)

// TestAReplicaHasEverythingOfItsTarget but the place, and the models that may be
// called without naming the target.
func TestAReplicaHasEverythingOfItsTarget(t *testing.T) {
	c := Config{
		Kind: "vllm", Models: []string{"m"}, Labels: []string{"eu"}, Headers: map[string]string{"x-team": "a"}, Limits: Limits{InFlight: 4},
		Discover: discover.Config{File: discover.File{Path: "x"}, Scheme: "https", Path: "/base"},
		KVEvents: kvevents.Config{Endpoint: "tcp://*:5557"},
	}
	r := discover.Replica{Endpoint: discover.Endpoint{Address: "10.0.0.7:8000", Labels: []string{"h100"}}, Target: "llama", Called: "llama/10-0-0-7-8000"}
	one := c.Replica(r)
	if !one.Discover.IsZero() || one.Models != nil || one.Limits.InFlight != 4 || one.Headers["x-team"] != "a" || !slices.Equal(one.Labels, []string{"eu", "h100"}) || len(c.Labels) != 1 {
		t.Errorf("the replica is %+v", one)
	}
	target, err := New(r.Called, one, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if target.Address() != "10.0.0.7:8000" || target.prefix != "/base" || !target.tls {
		t.Errorf("it lies at %s%s", target.Address(), target.prefix)
	}
	if at := target.Config.CacheEvents("x"); len(at) != 1 || at[0].Address != "10.0.0.7:5557" {
		t.Errorf("its cache events are had from %v", at)
	}
	for name, want := range map[string]bool{"llama": true, "llama/10-0-0-7-8000": true, "": false, "other": false} {
		if target.Called(name) != want {
			t.Errorf("called %q: want %v", name, want)
		}
	}
}
