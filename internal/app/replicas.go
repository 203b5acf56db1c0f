package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/admin"
	"tailplane/internal/discover"
	"tailplane/internal/gateway"
)

// replicasSeen are the replicas that there have been, by name, until they are
// forgotten. The server's mutex guards it.
type replicasSeen map[string]*sighted

type sighted struct {
	address string
	gone    time.Time // since when it is no more; zero = it is there
}

// look notes which replicas there are now, by name, with their addresses.
func (r *replicasSeen) look(now map[string]string, at time.Time) {
	if *r == nil {
		*r = replicasSeen{}
	}
	for name, address := range now {
		(*r)[name] = &sighted{address: address}
	}
	for name, one := range *r {
		if _, there := now[name]; !there && one.gone.IsZero() {
			one.gone = at
		}
	}
}

// due are the replicas that have been gone for so long.
func (r replicasSeen) due(now time.Time, long time.Duration) []string {
	var out []string
	for name, one := range r {
		if !one.gone.IsZero() && now.Sub(one.gone) >= long {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// calls reports whether a replica that is not forgotten has an address.
func (r replicasSeen) calls(address string) bool {
	for _, one := range r {
		if one.address == address {
			return true
		}
	}
	return false
}

// rememberTime is how long the live state of a replica that is gone is kept: one
// that comes back under its name goes on with it.
const rememberTime = 10 * time.Minute

// forgetReplicas forgets replicas that are gone, so that those of years of
// rollouts do not add up.
func (s *Server) forgetReplicas(ctx context.Context) error {
	tick := time.NewTicker(rememberTime / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.forgetGone(now)
		}
	}
}

func (s *Server) forgetGone(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.seen.due(now, rememberTime) {
		if !s.fleet.Forget(name) {
			continue // it still has requests
		}
		address := s.seen[name].address
		delete(s.seen, name)
		s.metrics.Forget(name)
		s.groups.Forget(name)
		s.accounts.Account(account.Target, name, account.Rules{}, now)
		if !s.seen.calls(address) {
			for _, c := range s.clients {
				c.Forget(address)
			}
		}
	}
}

// others are the rest of what `tailplane models` shows of a name that leads to
// discovered targets: replicas that take no new requests, and targets of which
// there is none, with the reason.
func (s *Server) others(name string) []admin.Candidate {
	s.mu.Lock()
	f := s.file
	s.mu.Unlock()
	now, plane := time.Now(), s.gateway.Plane()
	states := s.discovery.States()
	var out []admin.Candidate
	for _, at := range plane.Catalog.Discovered(name) {
		c := f.Targets[at.Target]
		shown := admin.Candidate{Kind: c.Kind, Model: at.Model, Group: at.Group, Dialects: []string{}, Headroom: 1}
		usable := 0
		for _, r := range s.members(f, at.Target) {
			used := slices.ContainsFunc(plane.Targets, func(t gateway.Target) bool { return t.Name == r.Called })
			if r.Usable || used { // used: the next plane leaves it out
				usable++
				continue
			}
			shown.Target, shown.Address, shown.State = r.Called, r.Address, resting(r, s.fleet.Target(r.Called).View(now, at.Model).InFlight)
			out = append(out, shown)
		}
		for _, st := range states {
			if usable == 0 && st.Target == at.Target && st.Source == c.Discover.String() {
				shown.Target, shown.Address, shown.State = at.Target, st.Source, lacking(st, now)
				out = append(out, shown)
			}
		}
	}
	return out
}

// resting tells why a replica takes no new requests.
func resting(r discover.Replica, inFlight int64) string {
	if r.Terminating {
		return fmt.Sprintf("draining: %s in flight", count(int(inFlight), "request"))
	}
	return "not ready, says its source"
}

// lacking tells why a source has no replica to use.
func lacking(st discover.State, now time.Time) string {
	switch {
	case st.Why != "":
		return fmt.Sprintf("no replica: %s (failed %s)", st.Why, count(st.Failures, "time"))
	case !st.Answered:
		return "no replica: the source has not answered yet"
	}
	return fmt.Sprintf("no replica, as of %v ago", now.Sub(st.Good).Round(time.Second))
}

// showDiscovery registers the figures of the sources, which are read when
// somebody looks.
func (s *Server) showDiscovery() {
	watch := func(name, help string, figure func(st discover.State) float64) {
		s.metrics.Watch(name, help, []string{"target"}, func(emit func(float64, ...string)) {
			told := map[string]bool{}
			for _, st := range s.discovery.States() {
				if !told[st.Target] { // while a reload goes on, a target has two
					told[st.Target] = true
					emit(figure(st), st.Target)
				}
			}
		})
	}
	watch("discovery_replicas", "Replicas of a discovered target that take new requests.", func(st discover.State) float64 { return float64(st.Usable) })
	watch("discovery_others", "Replicas of a discovered target that drain or are not ready.", func(st discover.State) float64 { return float64(st.Others) })
	watch("discovery_dropped", "Replicas of a discovered target beyond what is kept.", func(st discover.State) float64 { return float64(st.Dropped) })
	watch("discovery_failures", "Failures of a target's source since the start.", func(st discover.State) float64 { return float64(st.Failed) })
	watch("discovery_age_seconds", "How old the last good answer of a target's source is; -1 when there was none.", func(st discover.State) float64 {
		if st.Good.IsZero() {
			return -1
		}
		return time.Since(st.Good).Seconds()
	})
}
