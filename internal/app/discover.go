package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"time"

	"tailplane/internal/config"
	"tailplane/internal/discover"
	"tailplane/internal/discover/kube"
	"tailplane/internal/egress"
	"tailplane/internal/gateway"
	"tailplane/internal/models"
	"tailplane/internal/upstream"
)

// The rules of discovered targets:
//
//   - A target with `discover:` is none itself: its replicas are, each with the
//     rest of its config, and names that lead to it lead to all of them.
//   - A change of replicas is a new plane, swapped in like that of a reload, with
//     everything that has not changed taken over from the one before. Requests
//     that run finish on the plane on which they began, and may dial what it names.
//   - A replica that drains is in no new plane. It is shown while it is there.

// firstAnswer is how long a start, and a reload that names new sources, wait for
// their replicas.
const firstAnswer = 5 * time.Second

// newDiscovery makes the manager of the sources.
func (s *Server) newDiscovery() *discover.Manager {
	with := discover.With{Resolver: s.opt.Resolver, Decode: config.Replicas, Kubernetes: s.cluster}
	if with.Resolver == nil {
		with.Resolver = net.DefaultResolver
	}
	return discover.NewManager(discover.Options{With: with, Log: s.log.Logger, Changed: s.replan})
}

// cluster makes the source of EndpointSlices. The API server is reached as the
// file's egress section says, whatever the target's own.
func (s *Server) cluster(k discover.Kubernetes) (discover.Discoverer, error) {
	return kube.New(k, kube.Options{Log: s.log.Logger, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		way, err := egress.NewWay(s.outside.Load().Egress, egress.Override{})
		if err != nil {
			return nil, err
		}
		dialer, err := s.network.Dialer(way)
		if err != nil {
			return nil, err
		}
		return dialer.DialContext(ctx, network, address)
	}})
}

// enforce puts the policy of a file into force. What its sources have found is
// named by it like what its targets say; requests that run finish under the policy
// before.
func (s *Server) enforce(f *config.File) {
	s.outside.Store(f)
	s.network.Replace(f.Egress, s.destinations(f))
	now := map[string]string{}
	for target, c := range f.Discovered() {
		members := s.members(f, target)
		for _, r := range members {
			now[r.Called] = r.Address
		}
		if n := len(s.discovery.Replicas(target, c)) - len(members); n > 0 {
			s.log.Warn("replicas at addresses that nobody should reach by accident are left out; egress.allow can name them", "target", target, "replicas", n)
		}
	}
	s.seen.look(now, time.Now())
}

// destinations are those of a file and of the replicas that were found.
func (s *Server) destinations(f *config.File) []egress.Destination {
	out := f.Destinations()
	found := f.Discovered()
	for _, target := range slices.Sorted(maps.Keys(found)) {
		var at []egress.Destination
		for _, r := range s.members(f, target) {
			at = append(at, egress.Destination{Address: r.Address, Why: "target " + r.Called})
			at = append(at, f.Targets[target].Replica(r).CacheEvents(r.Called)...)
		}
		out = append(out, f.Egress.Reach(f.Targets[target].Egress, at)...)
	}
	return out
}

// members are the replicas of a target of a file that may be reached. Addresses
// that package egress guards are left out, unless the operator has written them:
// who answers DNS, or may write slices, is not who decides that this machine
// itself is a target.
func (s *Server) members(f *config.File, target string) []discover.Replica {
	c := f.Targets[target].Discover
	if c.IsZero() {
		return nil
	}
	return slices.DeleteFunc(s.discovery.Replicas(target, c), func(r discover.Replica) bool {
		d := egress.Destination{Address: r.Address}
		var named []egress.Destination
		if c.File != (discover.File{}) {
			named = append(named, d)
		}
		return egress.NewPolicy(egress.Config{Allow: f.Egress.Allow}, named).Named(d) != nil
	})
}

// targetSet is what a plane is made of.
type targetSet struct {
	targets    []*upstream.Target
	discovered []models.Target
}

// targets are those of a file, with the clients that they use. Those of keep
// that have not changed are taken over as they are.
func (s *Server) targets(f *config.File, keep []*upstream.Target) (targetSet, clients, error) {
	var set targetSet
	var errs []error
	site, now := s.site(), time.Now()
	out := outward{network: s.network, yield: s.load.Yield, before: s.clients, now: clients{}}
	before := map[string]*upstream.Target{}
	for _, t := range keep {
		before[t.Name] = t
	}
	add := func(name string, c upstream.Config) {
		client, err := s.clientFor(&out, f, c)
		if err != nil {
			errs = append(errs, fmt.Errorf("target %q: %w", name, err))
			return
		}
		if t := before[name]; t != nil && reflect.DeepEqual(t.Config, c) {
			set.targets = append(set.targets, t)
			return
		}
		site.Client = client
		t, err := site.New(name, c, now)
		if err != nil {
			errs = append(errs, err)
			return
		}
		set.targets = append(set.targets, t)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Targets)) {
		c := f.Targets[name]
		if c.Discover.IsZero() {
			add(name, c)
			continue
		}
		all := models.Target{Name: name, Lists: c.Models, Discovered: true}
		for _, r := range s.members(f, name) {
			if r.Usable {
				add(r.Called, c.Replica(r))
				all.Replicas = append(all.Replicas, models.Replica{Target: r.Called, Weight: r.Weight, Rank: r.Rank})
			}
		}
		set.discovered = append(set.discovered, all)
	}
	return set, out.now, errors.Join(errs...)
}

// replan builds the plane of the file in force again, with the replicas that
// there are now, and swaps it in.
func (s *Server) replan() {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, ways, err := s.targets(s.file, s.parts.Targets)
	if err != nil {
		s.log.Error("the replicas that were found cannot be used; those before stay", "error", err)
		return
	}
	s.parts.Targets, s.parts.Discovered = set.targets, set.discovered
	s.adopt(s.file, ways)
	plane := gateway.NewPlane(s.parts)
	s.gateway.Swap(plane)
	s.follow(s.file, plane)
}

// firstReplicas waits for what the sources of the file say at first, so that the
// first request finds replicas.
func (s *Server) firstReplicas(ctx context.Context) {
	s.mu.Lock()
	none := len(s.file.Discovered()) == 0
	if !none {
		_ = s.prepare(ctx, s.file) // Apply has made them all
	}
	s.mu.Unlock()
	if !none {
		s.replan()
	}
}

// prepareReplicas starts the sources that a changed file names, and waits for
// their first answers.
func (s *Server) prepareReplicas(f *config.File) error {
	return s.prepare(context.Background(), f)
}

func (s *Server) prepare(ctx context.Context, f *config.File) error {
	ctx, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	return s.discovery.Prepare(ctx, f.Discovered())
}

// settleDiscovery ends the sources that a changed file does not name, or, where
// it was refused, those that it alone named.
func (s *Server) settleDiscovery(f *config.File, refused error) {
	if refused != nil {
		f = s.file
	}
	_ = s.discovery.Apply(f.Discovered()) // they are made already
}
