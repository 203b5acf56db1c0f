package app

import (
	"slices"
	"time"

	"tailplane/internal/admin"
	"tailplane/internal/config"
	"tailplane/internal/fleet"
	"tailplane/internal/gateway"
	"tailplane/internal/watch"
)

// newWatcher makes what looks at targets, and registers what it brings.
func (s *Server) newWatcher() {
	s.watcher = watch.New(watch.Options{Counts: s.metrics.Looks(), Log: s.log.Logger, Changed: s.groups.Forget, Emptied: s.groups.Cleared})
	s.metrics.Watch("engine_signal_missing", "Always 1: signals of a target's engine that are not on its page.", []string{"upstream", "signal"},
		func(emit func(float64, ...string)) {
			s.watcher.Missing(func(target, signal string) { emit(1, target, signal) })
		})
	s.metrics.Watch("engine_distrusted", "Always 1: targets whose engines' signals are not used, by why.", []string{"upstream", "reason"},
		func(emit func(float64, ...string)) {
			s.watcher.Distrusted(func(target, reason string) { emit(1, target, reason) })
		})
	s.showHealth()
}

// follow has the targets of a plane watched as its file says.
func (s *Server) follow(f *config.File, p *gateway.Plane) {
	s.heed(f, p)
	sent := sentBy(p)
	var list []watch.Target
	for i := range p.Targets {
		t := &p.Targets[i]
		list = append(list, watch.Target{Target: t.Target, State: t.State, Models: sent[t.Name]})
	}
	s.watcher.Watch(list)
	s.caches.follow(p)
}

// heed takes over what a file says of how its targets stand.
func (s *Server) heed(f *config.File, p *gateway.Plane) {
	s.fleet.Use(f.Health)
	for i := range p.Targets {
		p.Targets[i].State.Drain(fleet.DrainFile, p.Targets[i].Config.Drain)
	}
}

// sentBy are the models that a plane sends to each of its targets, as those call
// them.
func sentBy(p *gateway.Plane) map[string][]string {
	own := map[string]func(model string) string{}
	for i := range p.Targets {
		own[p.Targets[i].Name] = p.Targets[i].ModelName
	}
	out := map[string][]string{}
	for _, name := range p.Catalog.Names() {
		plan, err := p.Catalog.Resolve(name)
		if err != nil {
			continue // it leads nowhere now
		}
		for _, c := range plan.Candidates {
			if named := own[c.Target]; named != nil && !slices.Contains(out[c.Target], named(c.Model)) {
				out[c.Target] = append(out[c.Target], named(c.Model))
			}
		}
	}
	return out
}

// showHealth registers how targets stand, worked out when somebody looks.
func (s *Server) showHealth() {
	each := func(see func(t *gateway.Target, now time.Time)) {
		p, now := s.gateway.Plane(), time.Now()
		for i := range p.Targets {
			see(&p.Targets[i], now)
		}
	}
	s.metrics.Watch("target_state", "1 for the state that a target is in, 0 for the others.", []string{"upstream", "state"}, func(emit func(float64, ...string)) {
		each(func(t *gateway.Target, now time.Time) {
			is := t.State.Standing(now).State
			for _, state := range fleet.States() {
				value := 0.0
				if state == is {
					value = 1
				}
				emit(value, t.Name, state.String())
			}
		})
	})
	s.metrics.Total("target_ejections_total", "Times that a target was left alone.", []string{"upstream", "reason"}, func(emit func(float64, ...string)) {
		each(func(t *gateway.Target, _ time.Time) {
			for cause, n := range t.State.Ejections() {
				emit(float64(n), t.Name, string(cause))
			}
		})
	})
	s.showSignals(each)
}

// showSignals registers what engines say of themselves; what is not known is not
// there.
func (s *Server) showSignals(each func(see func(t *gateway.Target, now time.Time))) {
	figure := func(read func(q fleet.Signals, emit func(v float64))) func(emit func(float64, ...string)) {
		return func(emit func(float64, ...string)) {
			each(func(t *gateway.Target, now time.Time) {
				read(t.State.Signals(now), func(v float64) { emit(v, t.Name) })
			})
		}
	}
	for _, one := range signalGauges {
		s.metrics.Watch(one.name, one.help, []string{"upstream"}, figure(func(q fleet.Signals, emit func(float64)) {
			if q.Known.Has(one.signal) {
				emit(one.value(&q))
			}
		}))
	}
	s.metrics.Watch("engine_scrape_age_seconds", "How old what a target's engine said last is.", []string{"upstream"}, func(emit func(float64, ...string)) {
		each(func(t *gateway.Target, now time.Time) {
			if at := t.State.Signals(now).At; !at.IsZero() {
				emit(now.Sub(at).Seconds(), t.Name)
			}
		})
	})
}

// drainLive drains a target, or takes that back, until the program ends; false
// when there is none of that name.
func (s *Server) drainLive(name string, drained bool) bool {
	p := s.gateway.Plane()
	i := slices.IndexFunc(p.Targets, func(t gateway.Target) bool { return t.Name == name })
	if i < 0 {
		return false
	}
	p.Targets[i].State.Drain(fleet.DrainLive, drained)
	return true
}

// standings tells how all targets stand.
func (s *Server) standings() []admin.Target {
	p, now := s.gateway.Plane(), time.Now()
	list := []admin.Target{}
	for i := range p.Targets {
		t := &p.Targets[i]
		stands, said := t.State.Standing(now), t.State.Signals(now)
		one := admin.Target{
			Name: t.Name, Kind: t.Kind.Name, Address: t.Address(), State: stands.State.String(), Why: string(stands.Cause), Left: stands.Left.Seconds(),
		}
		one.InFlight, _ = t.State.Load()
		for _, n := range t.State.Ejections() {
			one.Ejections += n
		}
		for _, g := range signalGauges {
			if said.Known.Has(g.signal) {
				if one.Signals == nil {
					one.Signals = map[string]float64{}
				}
				one.Signals[g.signal.Names()[0]] = g.value(&said)
			}
		}
		list = append(list, one)
	}
	return list
}
