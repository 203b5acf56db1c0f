package replay

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tailplane/internal/models"
	"tailplane/internal/route"
	"tailplane/internal/sim"
)

// Setup is what a trace is played on.
type Setup struct {
	Policy   string
	Replicas int
	Gateways int
	Engine   sim.Profile // its BlockSize is replaced by the trace's
	Scale    float64     // of the load of an open trace: time is divided by it
	Sessions int         // at a time, of a trace of sessions
	Sample   int         // how many of them in all; 0 is as many as Sessions
	Seed     uint64
	Gossip   Gossip
	Scrape   time.Duration // age at which engines' metrics are read again; 0 is never
	Slow     map[int]float64
	Kill     map[int]time.Duration
}

// Gossip is how long gateways take to tell each other, and how often they fail.
type Gossip struct {
	Off      bool
	Min, Max time.Duration // uniform between
	Loss     float64       // share of messages
}

// Default is the setup of the published tables.
func Default() Setup {
	return Setup{
		Policy: "auto", Replicas: 8, Gateways: 1, Engine: sim.Llama8B(), Scale: 1, Sessions: 64, Seed: 1,
		Gossip: Gossip{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond},
	}
}

// Engines are the profiles by the name that people write.
func Engines() map[string]sim.Profile {
	return map[string]sim.Profile{"llama3-8b-h100": sim.Llama8B(), "llama3-70b-4xh100": sim.Llama70B()}
}

// scrapes are policies that know nothing without the engines' metrics, with the
// interval that their authors read them at.
var scrapes = []struct {
	prefix string
	every  time.Duration
}{{"llmd", 50 * time.Millisecond}}

// Scrapes is how often a policy's authors read metrics; 0 where it needs none.
func Scrapes(policy string) time.Duration {
	for _, s := range scrapes {
		if strings.HasPrefix(policy, s.prefix) {
			return s.every
		}
	}
	return 0
}

// Validate says what a trace cannot be played on.
func (s *Setup) Validate() error {
	var errs []error
	want := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	want(route.NewPolicy(models.Policy{Name: s.Policy}) != nil, "there is no policy %q", s.Policy)
	want(s.Replicas >= 1 && s.Replicas <= 1024, "%d replicas: want 1 to 1024", s.Replicas)
	want(s.Gateways >= 1 && s.Gateways <= 64, "%d gateways: want 1 to 64", s.Gateways)
	want(s.Scale > 0 && s.Scale <= 1000, "a scale of %g: want more than 0", s.Scale)
	want(s.Sessions >= 1, "%d sessions at a time: want at least 1", s.Sessions)
	want(s.Gossip.Loss >= 0 && s.Gossip.Loss <= 1, "a loss of %g: want 0 to 1", s.Gossip.Loss)
	want(s.Gossip.Min >= 0 && s.Gossip.Max >= s.Gossip.Min, "gossip that takes %v to %v", s.Gossip.Min, s.Gossip.Max)
	for i, f := range s.Slow {
		want(i >= 0 && i < s.Replicas, "replica %d is slow, but there are %d", i, s.Replicas)
		want(f > 0 && f <= 100, "a speed of %g: want more than 0", f)
	}
	for i := range s.Kill {
		want(i >= 0 && i < s.Replicas, "replica %d dies, but there are %d", i, s.Replicas)
	}
	want(len(s.Kill) < s.Replicas, "no replica survives")
	if err := s.Engine.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
