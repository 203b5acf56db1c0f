package app

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tailplane/internal/admin"
	"tailplane/internal/config"
	"tailplane/internal/fleet"
	"tailplane/internal/gateway"
	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/models"
	"tailplane/internal/oidc"
	"tailplane/internal/policy"
	"tailplane/internal/upstream"
)

// plane builds the immutable plane of a file, and the clients that its targets
// use. All of its errors are told at once.
func (s *Server) plane(f *config.File) (*gateway.Plane, clients, error) {
	now := time.Now()
	set, ways, err := s.targets(f, nil)
	errs := []error{err}
	keys, err := policy.NewKeys(f.Policy(), s.store)
	errs = append(errs, err)
	book, err := s.book.With(f.Prices())
	errs = append(errs, err)
	tokens, err := s.tokens(f)
	errs = append(errs, err)
	routers, err := s.routers(f)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	keys.Use(now)
	s.parts = gateway.Parts{
		Hash: f.Hash, Listen: s.listenConfig(f), Models: f.ModelConfig(), Targets: set.targets, Discovered: set.discovered,
		Keys: keys, Fleet: &s.fleet, Groups: &s.groups, Book: book, Metrics: s.metrics,
		Accounts: s.accounts, Estimates: s.estimates, Tokens: tokens,
		Routers: routers, Learning: s.learning,
		Retires: s.known.Load().retires, Sizes: s.known.Load().sizes,
	}
	return gateway.NewPlane(s.parts), ways, nil
}

// tokens are verifiers of the issuers that the rules of keys name, one for each
// issuer with its audiences.
func (s *Server) tokens(f *config.File) ([]gateway.Tokens, error) {
	type issuer struct{ name, jwks string }
	audiences := map[issuer][]string{}
	var order []issuer
	for _, r := range f.Keys.JWT {
		at := issuer{r.Issuer, ""}
		if !r.JWKS.IsZero() {
			at.jwks = r.JWKS.Place()
		}
		if _, known := audiences[at]; !known {
			order = append(order, at)
		}
		if !slices.Contains(audiences[at], r.Audience) {
			audiences[at] = append(audiences[at], r.Audience)
		}
	}
	var list []gateway.Tokens
	for _, at := range order {
		v, err := oidc.New(oidc.Options{Issuer: at.name, Audiences: audiences[at], JWKS: at.jwks, Client: s.identities})
		if err != nil {
			return nil, fmt.Errorf("keys.jwt: issuer %q: %w", at.name, err)
		}
		list = append(list, v)
	}
	return list, nil
}

// hourly are the targets that cost by the hour.
func (s *Server) hourly() map[string]int64 {
	out := map[string]int64{}
	p := s.gateway.Plane()
	for i := range p.Targets {
		t := &p.Targets[i]
		if nano := p.Book.RateAt(t.Name, t.Kind.Name, "").PerHour(); nano > 0 {
			out[t.Name] = nano
		}
	}
	return out
}

// clientFor is the client by which a target is reached.
func (s *Server) clientFor(out *outward, f *config.File, c upstream.Config) (*h1.Client, error) {
	if c.Kind == "sim" && c.URL == "" {
		return s.inside, nil
	}
	return out.client(f, c)
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
		m.Candidates = append(m.Candidates, s.others(name)...)
		list = append(list, m)
	}
	for _, name := range p.Catalog.Open() {
		i := slices.IndexFunc(p.Targets, func(t gateway.Target) bool { return t.Name == name })
		if all := name + "/*"; i >= 0 && caller.MayCall(all) {
			c := describe(p, &p.Targets[i], models.Candidate{Target: name, Model: "*"}, time.Now())
			c.Pricing = "by model"
			list = append(list, admin.Model{Name: all, Why: "any model, named with its target", Candidates: []admin.Candidate{c}})
		}
	}
	return list, true
}

// describe tells a candidate as it stands.
func describe(p *gateway.Plane, t *gateway.Target, c models.Candidate, now time.Time) admin.Candidate {
	view := t.State.View(now, c.Model)
	share, _ := t.State.Headroom(now, c.Model)
	state := stateOf(view, share)
	if ill := credentialState(t.Credential(now), now); ill != "" {
		state += "; " + ill
	}
	var dialects []string
	for _, d := range t.Dialects {
		dialects = append(dialects, string(d))
	}
	price := p.Book.RateAt(t.Name, t.Kind.Name, c.Model).Cost(now, llm.Usage{Input: 1, Output: 1})
	return admin.Candidate{
		Target: t.Name, Kind: t.Kind.Name, Model: c.Model, Address: t.Address(), Dialects: dialects,
		Group: c.Group, Weight: c.Weight, Local: t.Local(), State: state, Pricing: string(price.Status),
		Headroom: share, Utilisation: view.Utilisation,
	}
}

// stateOf tells in words how a candidate stands: ready, or why it is not, with
// what is left of its limits (share) and used of its capacity.
func stateOf(v fleet.View, share float64) string {
	state := "ready"
	switch {
	case v.Wait > 0:
		state = fmt.Sprintf("cooling down for %v", v.Wait.Round(time.Second))
	case v.Broken:
		state = "broken: it failed too often in a row"
	case v.Spills > 0:
		state = fmt.Sprintf("spills for %v", max(v.Spills.Round(time.Second), time.Second))
	}
	if v.Utilisation > 0 {
		state += fmt.Sprintf(", %.0f%% of its capacity in use", 100*v.Utilisation)
	}
	if share < 1 {
		state += fmt.Sprintf(", %.0f%% of its limits left", 100*share)
	}
	return state
}

// showFleet registers the figures of limits and capacities, which are worked out
// when somebody looks.
func (s *Server) showFleet() {
	each := func(see func(t *gateway.Target, now time.Time)) {
		p, now := s.gateway.Plane(), time.Now()
		for i := range p.Targets {
			see(&p.Targets[i], now)
		}
	}
	limits := func(figure func(a *llm.Allowance) int64) func(emit func(float64, ...string)) {
		return func(emit func(float64, ...string)) {
			each(func(t *gateway.Target, now time.Time) {
				q := t.State.Tightest(now)
				for r := range q {
					if q[r].Known {
						emit(float64(figure(&q[r])), t.Name, llm.Resource(r).String())
					}
				}
			})
		}
	}
	labels := []string{"upstream", "kind"}
	s.metrics.Watch("ratelimit_remaining", "What is left of a target's tightest limit, as it told; absent when that is not known.", labels, limits(func(a *llm.Allowance) int64 { return a.Remaining }))
	s.metrics.Watch("ratelimit_limit", "The limit of which ratelimit_remaining is left; 0 when the target does not say.", labels, limits(func(a *llm.Allowance) int64 { return a.Limit }))
	s.metrics.Watch("upstream_utilisation_ratio", "How much of a target's configured capacity is in use, as predicted; above 1 the provider refuses.", labels[:1], func(emit func(float64, ...string)) {
		each(func(t *gateway.Target, now time.Time) {
			if c := t.State.Capacity(); c != nil {
				utilisation, _ := c.State(now)
				emit(utilisation, t.Name)
			}
		})
	})
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
