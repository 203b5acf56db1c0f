// Package discover finds the replicas of a target that are not written in the
// config: in DNS, in a watched file, or in Kubernetes (package kube below it).
//
// It owns the `discover:` section of a target ([Config]), what is believed of a
// source's answers (trust.go), and the names of replicas. It never sends a
// request to a replica, never asks whether one is well, and knows nothing of
// the plane that is built from its answers.
//
// Start reading at [Manager].
package discover

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Endpoint is one replica as its source describes it.
type Endpoint struct {
	Address string // host:port, as it is dialed
	Name    string // what the source calls it; empty when it has no name but its address
	// Ready, Serving and Terminating are the conditions of an EndpointSlice: it
	// wants new requests; it answers; it is about to go.
	Ready, Serving, Terminating bool

	Weight     int // share among its neighbours; 0 counts as 1
	Rank       int // those of a higher rank are asked when all of a lower one have failed
	Zone, Node string
	Labels     []string // beside those of the target
}

// equal reports whether two descriptions say the same.
func (e Endpoint) equal(o Endpoint) bool {
	return e.Address == o.Address && e.Name == o.Name && e.Ready == o.Ready && e.Serving == o.Serving &&
		e.Terminating == o.Terminating && e.Weight == o.Weight && e.Rank == o.Rank && e.Zone == o.Zone && e.Node == o.Node &&
		slices.Equal(e.Labels, o.Labels)
}

// Answer is what a source says at one moment: all endpoints that there are, or
// why it cannot tell. An answer without an error and without endpoints says that
// there are none.
type Answer struct {
	Endpoints []Endpoint
	Err       error
	At        time.Time
}

// Discoverer is one source.
type Discoverer interface {
	// Run sends an answer when it has one, the same again or another, until ctx
	// ends. A failure is an answer, too. An error that is returned earlier is
	// taken for one, and Run is called again after a while.
	Run(ctx context.Context, up chan<- Answer) error
}

// send hands an answer over unless ctx ends first.
func send(ctx context.Context, up chan<- Answer, a Answer) bool {
	select {
	case up <- a:
		return true
	case <-ctx.Done():
		return false
	}
}

// mostEndpoints bounds the replicas of one target; the rest is left out, and
// counted.
const mostEndpoints = 1000

// usable reports for each endpoint whether it takes new requests: those that
// are ready and stay; where there is none of these, those that are going but
// still answer.
func usable(list []Endpoint) []bool {
	out := make([]bool, len(list))
	some := false
	for i, e := range list {
		out[i] = e.Ready && !e.Terminating
		some = some || out[i]
	}
	for i, e := range list {
		if !some {
			out[i] = e.Serving
		}
	}
	return out
}

// sorted are the endpoints in an order that does not depend on the answer's,
// without those that stand there twice and those beyond mostEndpoints; dropped
// counts the latter.
func sorted(list []Endpoint) (out []Endpoint, dropped int) {
	out = slices.Clone(list)
	slices.SortStableFunc(out, func(a, b Endpoint) int { return strings.Compare(a.Address, b.Address) })
	out = slices.CompactFunc(out, func(a, b Endpoint) bool { return a.Address == b.Address })
	dropped = max(0, len(out)-mostEndpoints)
	return out[:len(out)-dropped], dropped
}
