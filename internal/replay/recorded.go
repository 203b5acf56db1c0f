package replay

import (
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/meter"
	"tailplane/internal/models"
	"tailplane/internal/route"
	"tailplane/internal/rules"
)

// The rules of deciding recorded exchanges again:
//
//   - Only the first choice is made again: of which target a request is asked
//     first. What follows a fault, queues, limits and budgets are not played.
//   - What the record says of a candidate holds: one that was not ready then is
//     not ready now, and where the same policy saw the same candidates, its costs
//     decide. So the file that decided then changes nothing.
//   - What a record does not say is learned from the others: how long a target
//     took. Load is what is decided here.
//   - Where chance decides, a request stays where it went as often as the new
//     shares allow: fewer cannot move.

// RecordedTarget is what deciding again needs to know of a target of the file.
type RecordedTarget struct {
	Name, Kind string
	Labels     []string
	Owns       []string // patterns of model names, as in [models.Target]
	Lists      []string
	Discovered bool // its replicas are those that records name
	Drained    bool
}

// RecordedConfig is a file by which recorded exchanges are decided again. It is
// valid.
type RecordedConfig struct {
	Models  models.Config
	Targets []RecordedTarget
	Book    *meter.Book
}

// Again decides recorded exchanges again. All are given to [Again.Learn] first and
// then, in the same order, to [Again.Decide]; what would change is told by
// [Again.Changes]. It keeps no exchange, so its memory does not grow with them.
// One goroutine uses it.
type Again struct {
	config   RecordedConfig
	rules    []recordedRule
	catalog  *models.Catalog // when all is learned
	paces    map[string]*pace
	went     map[way]map[string]int // to which candidates
	replicas map[string][]string    // of discovered targets, in the order in which they were met
	places   map[placed]*destination
	policies map[string]route.Policy
	inFlight map[string]int
	ends     events
	begun    time.Time
	out      Changes
	models   map[string]*ModelChange
}

// way is what requests have in common that a file treats alike.
type way struct {
	rule  int // -1 is none
	model string
}

type recordedRule struct {
	models.Rule
	when *rules.Condition
}

// NewAgain makes ready for records.
func NewAgain(c RecordedConfig) *Again {
	a := &Again{
		config: c, paces: map[string]*pace{}, went: map[way]map[string]int{}, replicas: map[string][]string{},
		places: map[placed]*destination{}, policies: map[string]route.Policy{}, inFlight: map[string]int{}, models: map[string]*ModelChange{},
	}
	for _, r := range c.Models.Rules {
		if when, err := rules.Compile(r.When); err == nil { // validated
			a.rules = append(a.rules, recordedRule{r, when})
		}
	}
	return a
}

// Decide decides an exchange again, and counts what would be other.
func (a *Again) Decide(ex *ledger.Exchange) {
	if a.catalog == nil {
		a.catalog = a.names()
	}
	a.out.Looked++
	if why := undecidable(ex); why != "" {
		a.leave(why)
		return
	}
	d, no := a.destination(ex)
	if no != "" {
		a.refuse(ex, no)
		return
	}
	if d.paired && judged(ex) == "" {
		a.leave("a model with complexity judges their prompt, which is not kept")
		return
	}
	o, why := a.choose(ex, d)
	if o == nil {
		a.refuse(ex, why)
		return
	}
	a.moved(ex, o, why)
}

// undecidable says why an exchange cannot be decided again.
func undecidable(ex *ledger.Exchange) string {
	switch {
	case len(ex.Tries()) == 0:
		return "no target was asked"
	case ex.Model == "":
		return "they named no model"
	}
	return ""
}

// leave counts an exchange that is not decided.
func (a *Again) leave(why string) {
	for i := range a.out.Left {
		if a.out.Left[i].Why == why {
			a.out.Left[i].Requests++
			return
		}
	}
	a.out.Left = append(a.out.Left, Count{why, 1})
}
