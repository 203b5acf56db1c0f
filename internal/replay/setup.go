package replay

import (
	"errors"
	"fmt"
	"time"

	"tailplane/internal/models"
	"tailplane/internal/route"
	"tailplane/internal/sim"
)

// Setup is what a trace is played on.
type Setup struct {
	Label    string // what the policy is called in results
	Policy   models.Policy
	Replicas int
	Gateways int
	Engine   sim.Profile // its BlockSize is replaced by the trace's
	Seed     uint64
	Load     Load
	Gossip   Gossip
	// Scrape is the age at which the engines' metrics are read again; 0 is never:
	// then routers know of engines what answers show, and how much a cache holds.
	Scrape time.Duration
	// SessionIDs is that clients say what a request belongs to.
	SessionIDs bool
	// Untold is that engines do not say what they found in their caches.
	Untold bool
	// Events is that routers hear what engines say of their caches.
	Events bool
	// Says is how many tokens routers are told that a cache holds; 0 is the truth.
	Says int
	// Strangers is the share of conversations that another client has, which asks an
	// engine of its own choice. What becomes of them is not in the outcome.
	Strangers float64
	Slow      map[int]float64       // speed of a replica; 0.5 is half
	Kill      map[int]time.Duration // when a replica dies
	// Watch is the moment around which first tokens are looked at apart: see
	// [Windows]. Zero is the first death.
	Watch time.Duration
}

// Load is how the requests come.
type Load struct {
	Scale    float64 // open traces: time is divided by it
	Spread   bool    // open traces: what has one time is spread up to the next
	Sessions int     // at a time, of a trace of sessions
	Sample   int     // how many of them in all; 0 is as many as Sessions
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
		Label: models.PolicyAuto, Policy: models.Policy{Name: models.PolicyAuto},
		Replicas: 8, Gateways: 1, Engine: sim.Llama8B(), Seed: 1,
		Load:   Load{Scale: 1, Sessions: 64},
		Gossip: Gossip{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond},
	}
}

// With is the setup with a policy in its words, and with the signals that its
// authors give it: those of llm-d read the metrics every 50 ms and know nothing
// without, those that keep sessions are told them. What s has itself stays.
func (s Setup) With(policy string) (Setup, error) {
	p, err := ParsePolicy(policy)
	if err != nil {
		return s, err
	}
	s.Label, s.Policy = policy, p
	switch p.Name {
	case "llmd":
		if s.Scrape == 0 {
			s.Scrape = 50 * time.Millisecond
		}
	case "session":
		s.SessionIDs = true
	}
	return s, nil
}

// Engines are the profiles by the name that people write.
func Engines() map[string]sim.Profile {
	return map[string]sim.Profile{"llama3-8b-h100": sim.Llama8B(), "llama3-70b-4xh100": sim.Llama70B()}
}

// Stretch is a profile whose prefill takes pf times as long, and the context of
// decoding sequences ctx times.
func Stretch(p sim.Profile, pf, ctx float64) sim.Profile {
	p.Prefill = time.Duration(float64(p.Prefill) * pf)
	p.PairNano *= pf
	p.CtxNano *= ctx
	return p
}

// slowed is an engine that takes 1/speed as long for each step.
func slowed(p sim.Profile, speed float64) sim.Profile {
	p = Stretch(p, 1/speed, 1/speed)
	p.Base = time.Duration(float64(p.Base) / speed)
	p.PerSeq = time.Duration(float64(p.PerSeq) / speed)
	return p
}

// Validate says what a trace cannot be played on.
func (s *Setup) Validate() error {
	var errs []error
	want := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	want(route.NewPolicy(s.Policy) != nil, "there is no policy %q that ranks replicas", s.Policy.Name)
	want(s.Replicas >= 1 && s.Replicas <= 1024, "%d replicas: want 1 to 1024", s.Replicas)
	want(s.Gateways >= 1 && s.Gateways <= 64, "%d gateways: want 1 to 64", s.Gateways)
	want(s.Load.Scale > 0 && s.Load.Scale <= 1000, "a scale of %g: want more than 0, at most 1000", s.Load.Scale)
	want(s.Load.Sessions >= 1, "%d sessions at a time: want at least 1", s.Load.Sessions)
	want(s.Load.Sample >= 0, "%d sessions in all: want 0 or more", s.Load.Sample)
	want(s.Gossip.Loss >= 0 && s.Gossip.Loss <= 1, "a loss of %g: want 0 to 1", s.Gossip.Loss)
	want(s.Gossip.Min >= 0 && s.Gossip.Max >= s.Gossip.Min, "gossip that takes %v to %v", s.Gossip.Min, s.Gossip.Max)
	want(s.Says >= 0, "a cache of %d tokens: want 0 or more", s.Says)
	want(s.Strangers >= 0 && s.Strangers < 1, "%g of the conversations are others': want 0 or more and less than 1", s.Strangers)
	want(s.Scrape >= 0, "metrics every %v: want 0 or more", s.Scrape)
	for i, f := range s.Slow {
		want(i >= 0 && i < s.Replicas, "replica %d is slow, but there are %d", i, s.Replicas)
		want(f > 0 && f <= 100, "a speed of %g: want more than 0, at most 100", f)
	}
	for i, at := range s.Kill {
		want(i >= 0 && i < s.Replicas, "replica %d dies, but there are %d", i, s.Replicas)
		want(at >= 0, "a death at %v: want 0 or later", at)
	}
	want(len(s.Kill) < s.Replicas, "no replica survives")
	if err := s.Engine.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
