package app

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"tailplane/internal/config"
	"tailplane/internal/credential"
	"tailplane/internal/egress"
	"tailplane/internal/h1"
	"tailplane/internal/models"
	"tailplane/internal/probe"
	"tailplane/internal/upstream"
)

// Live looks at every target of a valid file as serve would reach it, before
// there is traffic: nothing runs, nothing is kept, nothing that is asked costs.
func Live(ctx context.Context, f *config.File) ([]probe.Result, error) {
	s := &Server{network: egress.New(egress.Options{})}
	identities, err := s.identityClient(f)
	if err != nil {
		return nil, err
	}
	defer identities.CloseIdleConnections()
	out := outward{network: s.network, now: clients{}}
	defer func() {
		for _, c := range out.now {
			c.CloseIdle()
		}
	}()
	subjects := s.subjects(f, &out, identities)
	named := f.Destinations()
	for _, one := range subjects {
		if one.Target != nil {
			named = append(named, one.Target.Asides()...)
		}
	}
	s.network.Enforce(f.Egress, named)
	return probe.Look(ctx, subjects), nil
}

// subjects are the targets of a file with the models that it sends there.
func (s *Server) subjects(f *config.File, out *outward, identities *http.Client) []probe.Subject {
	s.inside = h1.New(h1.Options{}) // the simulator is not asked
	site := upstream.Site{Identities: credential.Options{Client: identities, Resolvers: credential.Resolvers(identities)}}
	sent := sentTo(f)
	var list []probe.Subject
	for _, name := range slices.Sorted(maps.Keys(f.Targets)) {
		c := f.Targets[name]
		one := probe.Subject{Name: name, Kind: c.Kind}
		if site.Client, one.Err = s.clientFor(out, f, c); one.Err == nil {
			one.Target, one.Err = site.New(name, c, time.Now())
		}
		if one.Err == nil {
			for _, model := range sent[name] {
				if own := one.Target.ModelName(model); !slices.Contains(one.Models, own) {
					one.Models = append(one.Models, own)
				}
			}
		}
		list = append(list, one)
	}
	return list
}

// sentTo are the models that a file sends to each target.
func sentTo(f *config.File) map[string][]string {
	var known []models.Target
	for name, c := range f.Targets {
		if kind, ok := upstream.Find(c.Kind); ok {
			known = append(known, models.Target{Name: name, Owns: kind.Owns, Lists: c.Models})
		}
	}
	catalog := models.New(f.ModelConfig(), known)
	out := map[string][]string{}
	for _, name := range catalog.Names() {
		plan, err := catalog.Resolve(name)
		if err != nil {
			continue // refused by validation
		}
		for _, c := range plan.Candidates {
			out[c.Target] = append(out[c.Target], c.Model)
		}
	}
	return out
}
