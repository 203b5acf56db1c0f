package route

import (
	"slices"

	"tailplane/internal/engine"
)

// adapters are the LoRA adapters that a replica is believed to hold, the one used
// last first: those that were asked for here, as many as it holds at once. Its
// engine's word on what is running there comes on top; most engines are silent on
// what they hold besides.
type adapters struct {
	held []string
}

// mostAdapters is how many a replica holds at once, where its engine does not say.
const mostAdapters = 4

// adaptersAt is how many a replica holds at once.
func adaptersAt(e *engine.Sample) int {
	if e.Known.Has(engine.SignalAdapters) && e.MostAdapters > 0 {
		return e.MostAdapters
	}
	return mostAdapters
}

// loads is how many adapters must be loaded or thrown out before one can be used:
// none where it is there, one where there is room, else two.
func (a *adapters) loads(name string, e *engine.Sample) int {
	known := e.Known.Has(engine.SignalAdapters)
	switch {
	case name == "", slices.Contains(a.held, name), known && slices.Contains(e.Adapters, name):
		return 0
	case len(a.held) < adaptersAt(e):
		return 1
	}
	return 2
}

// use notes that one is asked for.
func (a *adapters) use(name string, most int) {
	if name == "" {
		return
	}
	if i := slices.Index(a.held, name); i >= 0 {
		a.held = slices.Delete(a.held, i, i+1)
	}
	a.held = slices.Insert(a.held, 0, name)
	a.held = a.held[:min(len(a.held), most)]
}

// priorAdapter is how many seconds it takes to load one, until that has been seen;
// longestAdapter bounds what is seen.
const (
	priorAdapter   = 1.5
	longestAdapter = 30
)

// learnAdapter takes in by how many seconds a first token came later than expected
// where an adapter had to be loaded.
func (g *Group) learnAdapter(late float64) {
	g.adapter += (min(longestAdapter, max(0, late)) - g.adapter) / 4
}
