package engine

import (
	"maps"
	"slices"
)

// Source is one place of a page of metrics where a figure stands. Series of
// the same name add up (the replicas inside of one engine), shares are averaged.
type Source struct {
	// Name is the metric's full name. A counter may stand on the page with and
	// without its _total.
	Name string
	// Label and Value, where set, pick the series that have this label with this
	// value.
	Label, Value string
	// Product are labels whose values multiplied are the figure, in place of the
	// sample's own, which such an info metric always has as 1.
	Product []string
	// Lists are labels whose values are lists of names, comma-separated. The
	// series with the greatest value (the time it was written) counts.
	Lists []string
	// Most is the label with the number of names that there can be.
	Most string
	// Per divides the figure, and Times multiplies it; nil is one.
	Per, Times *Source
	// Least is set where 0 means that it is not known.
	Least float64
}

// named is a plain source.
func named(name string) []Source { return []Source{{Name: name}} }

// With is the table of an engine with sources that its config names instead, by
// signal. An engine that has none of its own starts with an empty table.
func (e *Engine) With(names map[string]string) *Engine {
	if len(names) == 0 {
		return e
	}
	out := *e
	out.Signals = maps.Clone(e.Signals)
	if out.Signals == nil {
		out.Signals = map[Signal][]Source{}
	}
	for word, name := range names {
		signal := SignalOf(word)
		if signal == 0 {
			continue // refused by validation
		}
		one := Source{Name: name}
		for _, s := range e.Signals[signal] {
			one.Lists, one.Most, one.Product = s.Lists, s.Most, s.Product // the same form under another name
		}
		out.Signals[signal] = []Source{one}
		if signal&(SignalPrompt|SignalGenerated|SignalKVUsage) != 0 {
			out.Moves = append(slices.Clone(out.Moves), name)
		}
	}
	return &out
}
