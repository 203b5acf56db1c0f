package gateway

import (
	"slices"
	"sync"
	"time"

	"tailplane/internal/queue"
	"tailplane/internal/route"
	"tailplane/internal/telemetry"
)

// line is where requests wait for one group of replicas, as a plane sees it. The
// queue outlives planes, as its group does. Names that lead to the same group
// share it, with the bounds of the first of them.
type line struct {
	queue   *queue.Queue
	config  queue.Config
	label   string
	metrics *telemetry.Queue

	mu      sync.Mutex
	members []*candidate // each replica once
	tells   bool         // it is a prefill side whose legs end when their prompt is computed
}

// lineOf returns the line of a group, which the candidates are members of.
func (p *Plane) lineOf(g *route.Group, label string, shared []candidate) *line {
	p.lining.Lock()
	defer p.lining.Unlock()
	l, ok := p.lines[g]
	if !ok {
		l = &line{config: shared[0].queue.Or(queue.Default()), label: label, metrics: p.Metrics.Queue(label)}
		p.lines[g] = l
	}
	l.join(shared)
	if !ok {
		l.queue = g.Queue(l.config, l.stand)
	}
	return l
}

// join adds those that are not members yet.
func (l *line) join(shared []candidate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range shared {
		t := &shared[i]
		if !slices.ContainsFunc(l.members, func(m *candidate) bool { return m.replica.name == t.replica.name }) {
			l.members = append(l.members, t)
		}
	}
}

// told notes that the members tell when a prompt is computed.
func (l *line) told() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tells = true
}

// stand says how the members are.
func (l *line) stand(now time.Time, to []route.Standing) []route.Standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.members {
		live := t.State.View(now, t.model)
		to = append(to, route.Standing{
			Name: t.replica.name, Ready: live.Wait <= 0 && !live.Broken && live.Spills <= 0, InFlight: int(live.InFlight),
			Most: t.Limits.InFlight, Engine: t.Kind.Engine, Tells: l.tells, Says: t.State.Signals(now).Sample,
		})
	}
	return to
}

// WatchQueues lets the metrics tell how many requests wait, whenever somebody looks.
// It is called once for a set of metrics.
func (g *Gateway) WatchQueues() {
	g.metrics.WatchQueues(func(emit func(n int, model, band string)) {
		g.plane.Load().eachLine(func(label string, s []queue.Stats) {
			for i, band := range queue.Bands {
				n := 0
				for _, of := range s {
					n += of.Bands[i].Waiting
				}
				emit(n, label, band.String())
			}
		})
	}, func(emit func(seconds float64, model string)) {
		g.plane.Load().eachLine(func(label string, s []queue.Stats) {
			worst := time.Duration(0)
			for _, of := range s {
				worst = max(worst, of.Saturation)
			}
			emit(worst.Seconds(), label)
		})
	})
}

// eachLine calls see for each label with how the lines of that label stand.
func (p *Plane) eachLine(see func(label string, s []queue.Stats)) {
	by := map[string][]queue.Stats{}
	p.lining.Lock()
	for _, l := range p.lines {
		by[l.label] = append(by[l.label], l.queue.Stats(now()))
	}
	p.lining.Unlock()
	for label, s := range by {
		see(label, s)
	}
}
