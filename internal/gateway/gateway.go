// Package gateway is the way of a request, from the client's bytes to the
// client's bytes.
//
// It owns the order of the steps and their effects: reading the request,
// calling targets, relaying the answer, settling the exchange. It decides
// nothing itself: who may call is policy's, what a name means is models', who
// goes first where replicas are busy is queue's, where to go and what to do after
// a fault is route's, what bytes mean is dialect's, what failed is upstream's,
// what it costs is meter's.
//
// Start reading at [Gateway.serve]: the way is its body. A Gateway is safe for
// concurrent use; a call belongs to one goroutine, mostly its request's (hedge.go).
package gateway

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/owner"
	"tailplane/internal/telemetry"
	"tailplane/internal/wire"
)

// Gateway serves the data listener. Its plane can be replaced while it serves:
// a request keeps the plane that it began with.
type Gateway struct {
	plane   atomic.Pointer[Plane]
	journal *ledger.Journal
	metrics *telemetry.Metrics
	log     *telemetry.Log
	owners  *owner.Index
	paths   *table
	words   *wire.Words
	calls   sync.Pool

	draining atomic.Bool
	cutting  atomic.Bool
}

// New makes a gateway that serves p.
func New(p *Plane, journal *ledger.Journal, metrics *telemetry.Metrics, log *telemetry.Log) *Gateway {
	g := &Gateway{journal: journal, metrics: metrics, log: log, owners: memoryOwners(), paths: surfaces(codecs), words: newWords()}
	g.calls.New = func() any { return newCall(g) }
	g.plane.Store(p)
	return g
}

// Plane is the plane that new requests use.
func (g *Gateway) Plane() *Plane { return g.plane.Load() }

// Swap replaces the plane for the requests that come from now on.
func (g *Gateway) Swap(p *Plane) { g.plane.Store(p) }

// ServeHTTP answers a request of any surface, and the questions of probes.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := g.plane.Load()
	s, at, found := g.paths.find(r.URL.Path, r.Method)
	switch {
	case g.probe(w, r):
		return
	case !found:
		s = unknownSurface(r)
	}
	c := g.calls.Get().(*call)
	c.open(p, s, w, r)
	c.place = at
	defer c.close()
	defer c.survive()
	c.end(g.serve(c, found))
}

// serve is the way of a request. It returns the fault that the client has not
// been told of yet, or nil when the answer is complete.
func (g *Gateway) serve(c *call, found bool) *llm.Fault {
	if f := c.identify(); f != nil {
		return f
	}
	if !found {
		return c.modelOrNothing()
	}
	if f := c.accept(); f != nil {
		return f
	}
	if c.surface.serve != nil {
		return c.surface.serve(c) // answered from what the plane knows
	}
	if f := c.read(); f != nil {
		return f
	}
	if f := c.prove(); f != nil {
		return f // a signature covers the body, too
	}
	if f := c.glance(); f != nil {
		return f
	}
	if f := c.attribute(); f != nil {
		return f
	}
	if f := c.resolve(); f != nil {
		return f
	}
	if f := c.draw(); f != nil {
		return f
	}
	c.admit()
	if f := c.judge(); f != nil {
		return f
	}
	if f := c.wait(); f != nil {
		return f
	}
	if f := c.choose(); f != nil {
		return f
	}
	return c.attempts()
}

// Drain makes the readiness checks fail, so that whoever sends requests here
// looks for another gateway. Requests are served as before, and their answers are
// the last of their connections.
func (g *Gateway) Drain() { g.draining.Store(true) }

// Cut says that requests are ended from now on: one whose context ends is ended by
// us, and its caller and its record are told so.
func (g *Gateway) Cut() { g.cutting.Store(true) }

// Ready reports whether requests are to be sent here.
func (g *Gateway) Ready() bool { return !g.draining.Load() }

// probe answers the health checks, in every spelling that is in use. None of
// them asks an upstream anything.
func (g *Gateway) probe(w http.ResponseWriter, r *http.Request) bool {
	ready := true
	switch r.URL.Path {
	case "/livez", "/health/liveliness", "/health/liveness", "/healthz", "/health":
	case "/readyz", "/health/readiness":
		ready = g.Ready()
	default:
		return false
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("draining\n"))
		return true
	}
	_, _ = w.Write([]byte("ok\n"))
	return true
}

// now is the clock of the gateway; in tests it is the bubble's.
func now() time.Time { return time.Now() }
