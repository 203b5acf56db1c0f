package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"tailplane/internal/config"
	"tailplane/internal/upstream"
)

// findReplicas lets the sources of a file answer once, for a look at what they
// find. end ends them.
func (s *Server) findReplicas(ctx context.Context, f *config.File) (end func(), err error) {
	s.outside.Store(f)
	s.network.Enforce(f.Egress, f.Destinations())
	s.discovery = s.newDiscovery()
	if len(f.Discovered()) == 0 {
		return func() {}, nil
	}
	if err := s.discovery.Apply(f.Discovered()); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.discovery.Run(running) }) // it ends with its context and says no more than that
	_ = s.prepare(ctx, f)                          // they are made already
	return func() { cancel(); wg.Wait() }, nil
}

// looked is one target to look at, or one replica of a discovered one.
type looked struct {
	name, of string // of the target of the file
	config   upstream.Config
	err      error
}

// lookedAt are the targets of a file, each discovered one as its replicas.
func (s *Server) lookedAt(f *config.File) []looked {
	why := map[string]string{}
	for _, st := range s.discovery.States() {
		why[st.Target] = lacking(st, st.Good)
	}
	var out []looked
	for _, name := range slices.Sorted(maps.Keys(f.Targets)) {
		c := f.Targets[name]
		if c.Discover.IsZero() {
			out = append(out, looked{name: name, of: name, config: c})
			continue
		}
		found := false
		for _, r := range s.members(f, name) {
			if r.Usable {
				found = true
				out = append(out, looked{name: r.Called, of: name, config: c.Replica(r)})
			}
		}
		if !found {
			out = append(out, looked{name: name, of: name, config: c, err: errors.New(why[name])})
		}
	}
	return out
}
