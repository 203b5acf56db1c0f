package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"tailplane/internal/config"
	"tailplane/internal/credential"
	"tailplane/internal/egress"
	"tailplane/internal/h1"
	"tailplane/internal/models"
	"tailplane/internal/probe"
	"tailplane/internal/secret"
	"tailplane/internal/telemetry"
	"tailplane/internal/upstream"
)

// Live looks at every target of a valid file as serve would reach it, before
// there is traffic: nothing runs, nothing is kept, nothing that is asked costs.
func Live(ctx context.Context, f *config.File) ([]probe.Result, error) {
	s := &Server{network: egress.New(egress.Options{}), log: telemetry.NewLog(io.Discard, "text", nil)}
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
	end, err := s.findReplicas(ctx, f)
	if err != nil {
		return nil, err
	}
	defer end()
	subjects := s.subjects(f, &out, identities)
	named := s.destinations(f)
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
	for _, named := range s.lookedAt(f) {
		if named.err != nil {
			list = append(list, probe.Subject{Name: named.name, Kind: named.config.Kind, Err: named.err})
			continue
		}
		for i, keyed := range eachKey(named.config) {
			one := probe.Subject{Name: named.name, Kind: keyed.Kind, Key: keyed.which}
			if site.Client, one.Err = s.clientFor(out, f, keyed.Config); one.Err == nil {
				one.Target, one.Err = site.New(named.name, keyed.Config, time.Now())
			}
			if one.Err == nil && i == 0 { // the models are the same whatever the key
				for _, model := range sent[named.of] {
					if own := one.Target.ModelName(model); !slices.Contains(one.Models, own) {
						one.Models = append(one.Models, own)
					}
				}
			}
			list = append(list, one)
		}
	}
	return list
}

// withKey is a target with one of its keys.
type withKey struct {
	upstream.Config
	which string // empty when it has no other
}

// eachKey is a target once with each of its keys, those that take over included.
func eachKey(c upstream.Config) []withKey {
	slots := c.Keys
	if len(slots) == 0 {
		slots = []credential.Slot{{Key: c.Key, NextKey: c.NextKey, Name: "key"}}
	}
	var out []withKey
	for i, slot := range slots {
		which := cmp.Or(slot.Name, fmt.Sprintf("keys[%d]", i))
		one := c
		one.Keys, one.Key, one.NextKey = nil, slot.Key, secret.Ref{}
		out = append(out, withKey{one, which})
		if !slot.NextKey.IsZero() {
			one.Key = slot.NextKey
			out = append(out, withKey{one, which + ".next"})
		}
	}
	if len(out) == 1 {
		out[0].which = ""
	}
	return out
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
