// Package engine knows the servers that run models on somebody's own hardware:
// where they listen, how to tell one from another, what their metrics are called
// and what their answers about themselves prove.
//
// It owns the table of engines (index.go; an engine is data, in a file of its
// own) and the reading of what they say: [Identify] a list of models, [Reader] a
// page of metrics, [Engine.Judge] a health check, [Identities] which model it
// is. It never opens a connection, keeps no state of a server and decides
// nothing about one: package watch asks, package fleet remembers.
//
// Start reading at [Engine], then index.go.
package engine

import "slices"

// Engine is one kind of server.
type Engine struct {
	Kind string // as package upstream names it
	Port int    // where it listens unless told otherwise; 0 is not looked for
	// Owner is what its model list says in owned_by, where that tells it.
	Owner string

	// Metrics is the path of its metrics in Prometheus' text format, from the
	// server's root; empty where it has none there.
	Metrics string
	// Signals are where each signal is found, best first: the first source that
	// is on the page counts. What is not listed is never missed.
	Signals map[Signal][]Source
	// Moves are metrics of which one changes whenever the engine does any work, a
	// token or a part of a prompt. Without any, a standstill cannot be seen.
	Moves []string
	// Twins are labels whose values say the same thing more than once (the ranks
	// of one replica): of series that differ in them alone the first counts.
	Twins []string
	// Model is the label that names the model of a series; empty is model_name.
	Model string

	// Health is what is asked whether it serves, from the server's root; the first
	// path that exists counts.
	Health []Check
	// Identity is the path, from the server's root, of what tells which model it
	// serves, beside the list of models; empty when that list says all.
	Identity string
}

// Find returns the engine of a kind; nil when it is none that is known.
func Find(kind string) *Engine {
	all := Engines()
	i := slices.IndexFunc(all, func(e *Engine) bool { return e.Kind == kind })
	if i < 0 {
		return nil
	}
	return all[i]
}

// Kinds lists the kinds of all engines.
func Kinds() []string {
	var out []string
	for _, e := range Engines() {
		out = append(out, e.Kind)
	}
	return out
}

// Publishes are the signals that the engine has on its page, if it has all that
// its newest version does.
func (e *Engine) Publishes() Signal {
	var s Signal
	for signal := range e.Signals {
		s |= signal
	}
	return s
}
