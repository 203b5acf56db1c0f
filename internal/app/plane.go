package app

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tailplane/internal/admin"
	"tailplane/internal/config"
	"tailplane/internal/gateway"
	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/models"
	"tailplane/internal/policy"
	"tailplane/internal/upstream"
)

// plane builds the immutable plane of a file. All of its errors are told at
// once.
func (s *Server) plane(f *config.File) (*gateway.Plane, error) {
	var errs []error
	now := time.Now()
	var targets []*upstream.Target
	prices := map[string]meter.Override{}
	for _, name := range slices.Sorted(maps.Keys(f.Targets)) {
		c := f.Targets[name]
		t, err := upstream.New(name, c, s.clientFor(c), now)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		targets = append(targets, t)
		if p := c.Price; !p.IsZero() {
			prices[name+"/*"] = p
		}
	}
	keys, err := policy.NewKeys(f.Keys, s.store)
	errs = append(errs, err)
	book, err := s.book.With(prices)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return gateway.NewPlane(gateway.Parts{
		Hash: f.Hash, Listen: s.listenConfig(f), Models: f.ModelConfig(), Targets: targets,
		Keys: keys, Fleet: &s.fleet, Book: book, Metrics: s.metrics,
		Retires: s.known.Load().retires,
	}), nil
}

// clientFor is the client by which a target is reached.
func (s *Server) clientFor(c upstream.Config) *h1.Client {
	if c.Kind == "sim" && c.URL == "" {
		return s.inside
	}
	return s.client
}

// models tells which names a key may call and where they lead now.
func (s *Server) models(key string) ([]admin.Model, bool) {
	p := s.gateway.Plane()
	caller := policy.Anonymous() // may call everything
	if key != "" {
		if caller = p.Keys.Named(key); caller == nil {
			return nil, false
		}
	}
	list := []admin.Model{}
	for _, name := range p.Catalog.Names() {
		plan, err := p.Catalog.Resolve(name)
		if err != nil || !caller.MayCall(name) {
			continue
		}
		m := admin.Model{Name: name, Why: plan.Why}
		for _, c := range plan.Candidates {
			if i := slices.IndexFunc(p.Targets, func(t gateway.Target) bool { return t.Name == c.Target }); i >= 0 {
				d := describe(p, &p.Targets[i], c, time.Now())
				if r, ok := s.known.Load().Retirement(d.Kind, d.Model); ok {
					d.Warning = r.Warning(time.Now())
				}
				m.Candidates = append(m.Candidates, d)
			}
		}
		list = append(list, m)
	}
	return list, true
}

// describe tells a candidate as it stands.
func describe(p *gateway.Plane, t *gateway.Target, c models.Candidate, now time.Time) admin.Candidate {
	state := "ready"
	switch view := t.State.View(now, c.Model); {
	case view.Wait > 0:
		state = fmt.Sprintf("cooling down for %v", view.Wait.Round(time.Second))
	case view.Broken:
		state = "broken: it failed too often in a row"
	}
	var dialects []string
	for _, d := range t.Dialects {
		dialects = append(dialects, string(d))
	}
	price := p.Book.RateAt(t.Name, t.Kind.Name, c.Model).Cost(now, llm.Usage{Input: 1, Output: 1})
	return admin.Candidate{
		Target: t.Name, Kind: t.Kind.Name, Model: c.Model, Address: t.Address(), Dialects: dialects,
		Group: c.Group, Weight: c.Weight, Local: t.Local(), State: state, Pricing: string(price.Status),
	}
}

// status is the program at a glance.
func (s *Server) status() admin.Status {
	s.mu.Lock()
	file := s.file
	s.mu.Unlock()
	known := s.known.Load()
	st := admin.Status{
		Version: s.opt.Version, Started: s.started.UTC(), Config: file.Name, Hash: file.Hash,
		Data: s.data.Addr().String(), Admin: s.admin.Addr().String(), Prices: s.gateway.Plane().Book.Version(),
		Catalog: known.Version(), CatalogRefused: known.refused, CatalogOld: known.old,
		Ledger: admin.LedgerOf(s.journal), Uptime: time.Since(s.started),
	}
	if why := s.refused.Load(); why != nil {
		st.Refused = *why
	}
	return st
}
