package replay

import (
	"cmp"
	"slices"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

// Changes is what another file would have changed.
type Changes struct {
	Looked  int64         `json:"looked"`
	Moved   int64         `json:"moved"`          // would be asked of another candidate first
	Refused int64         `json:"refused"`        // would lead nowhere
	Left    []Count       `json:"left,omitempty"` // not decided again, by the reason
	Cost    Money         `json:"cost"`
	First   FirstTokens   `json:"first_token"`
	Models  []ModelChange `json:"models"`
	Samples []Sample      `json:"examples,omitempty"`
	Unknown []string      `json:"unknown"` // what no record tells
}

// Count is how many requests something is so of.
type Count struct {
	Why      string `json:"why"`
	Requests int64  `json:"requests"`
}

// Money is what requests cost, in nano-dollars. The sums are over those whose cost
// is known before and after; the others are counted. A request that stays is rated
// again at the new file's prices. Of one that moves nobody knows what a cache there
// would have held: After takes it that it held as much, AfterCold nothing.
type Money struct {
	Requests  int64 `json:"requests"`
	Before    int64 `json:"before_nano"`
	After     int64 `json:"after_nano"`
	AfterCold int64 `json:"after_cold_nano"`
	Unpriced  int64 `json:"unpriced"`
}

// FirstTokens are means over streamed requests of which both times are known. A
// request that moves is expected to wait as long as others of its size did there.
type FirstTokens struct {
	Requests int64         `json:"requests"`
	Before   time.Duration `json:"before_ns"`
	After    time.Duration `json:"after_ns"`
	Unknown  int64         `json:"unknown"` // no record tells how long it takes where they go
}

// ModelChange is the changes of one name as clients call it.
type ModelChange struct {
	Model    string         `json:"model"`
	Requests int64          `json:"requests"` // decided, or refused
	Moved    int64          `json:"moved"`
	Refused  int64          `json:"refused"`
	Why      string         `json:"why,omitempty"` // of the first that was refused
	Targets  []TargetChange `json:"targets"`
	Cost     Money          `json:"cost"`
	First    FirstTokens    `json:"first_token"`
}

// TargetChange is how many requests ask a candidate first.
type TargetChange struct {
	Target string `json:"target"` // TARGET/MODEL
	Before int64  `json:"before"`
	After  int64  `json:"after"`
}

// Sample is one request that would move.
type Sample struct {
	ID     string    `json:"id"`
	Start  time.Time `json:"start"`
	Model  string    `json:"model"`
	Before string    `json:"before"`
	After  string    `json:"after"`
	Why    string    `json:"why"`
}

// Bounds of what is told.
const (
	mostModels  = 256 // further ones are counted together
	mostTargets = 256 // of a model
	mostSamples = 10
	otherNames  = "(others)"
)

// unknowns are what no record tells, whatever it holds.
var unknowns = [...]string{
	"what a cache would have held where a request did not go: costs are told as if it held as much, and as if it held nothing",
	"how long an answer of another model would have been: its tokens are those of the answer that there was",
	"whether a target that was not asked would have answered, and which limits, queues and budgets a request would have met",
	"what a caller asked of the route, where no policy chose among the targets then, and whether its key may call the model",
}

// Changes tells what would change, the names with the most of it first.
func (a *Again) Changes() *Changes {
	out := a.out
	out.Unknown = unknowns[:]
	out.Models = []ModelChange{}
	for _, m := range a.models {
		one := *m
		one.First.settle()
		one.Targets = slices.Clone(m.Targets)
		slices.SortFunc(one.Targets, func(a, b TargetChange) int {
			return cmp.Or(cmp.Compare(b.Before+b.After, a.Before+a.After), cmp.Compare(a.Target, b.Target))
		})
		out.Models = append(out.Models, one)
	}
	slices.SortFunc(out.Models, func(a, b ModelChange) int {
		return cmp.Or(cmp.Compare(b.Moved+b.Refused, a.Moved+a.Refused), cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Model, b.Model))
	})
	out.First.settle()
	return &out
}

// settle turns sums into means.
func (f *FirstTokens) settle() {
	f.Before /= time.Duration(max(1, f.Requests))
	f.After /= time.Duration(max(1, f.Requests))
}

// model is the entry of a name.
func (a *Again) model(name string) *ModelChange {
	m := a.models[name]
	if m == nil && len(a.models) >= mostModels {
		name = otherNames
		m = a.models[name]
	}
	if m == nil {
		m = &ModelChange{Model: name}
		a.models[name] = m
	}
	return m
}

// target is the entry of a candidate.
func (m *ModelChange) target(name string) *TargetChange {
	for {
		for i := range m.Targets {
			if m.Targets[i].Target == name {
				return &m.Targets[i]
			}
		}
		if len(m.Targets) >= mostTargets {
			name = otherNames
		}
		if len(m.Targets) <= mostTargets {
			m.Targets = append(m.Targets, TargetChange{Target: name})
		}
	}
}

// refuse counts an exchange that would lead nowhere.
func (a *Again) refuse(ex *ledger.Exchange, why string) {
	m := a.model(ex.Model)
	m.Requests++
	m.Refused++
	m.Why = cmp.Or(m.Why, why)
	m.target(first(ex)).Before++
	a.out.Refused++
}

// moved counts an exchange and what became of it.
func (a *Again) moved(ex *ledger.Exchange, o *option, why string) {
	m, was := a.model(ex.Model), first(ex)
	m.Requests++
	m.target(was).Before++
	m.target(o.name).After++
	moves := o.name != was
	if moves {
		m.Moved++
		a.out.Moved++
		a.sample(Sample{ex.ID, ex.Start, ex.Model, was, o.name, why})
	}
	cost := a.cost(ex, o, moves)
	m.Cost.add(cost)
	a.out.Cost.add(cost)
	wait, takes := a.wait(ex, o, moves)
	m.First.add(wait)
	a.out.First.add(wait)
	a.run(ex, o.name, takes)
}

// sample keeps a few, of different moves where there are.
func (a *Again) sample(s Sample) {
	alike := 0
	for i := range a.out.Samples {
		if o := &a.out.Samples[i]; o.Model == s.Model && o.Before == s.Before && o.After == s.After {
			alike++
		}
	}
	if alike < 2 && len(a.out.Samples) < mostSamples {
		a.out.Samples = append(a.out.Samples, s)
	}
}

// cost is what an exchange cost, and would.
func (a *Again) cost(ex *ledger.Exchange, o *option, moves bool) Money {
	one := Money{Requests: 1, Before: ex.Cost}
	unknown := ex.PriceStatus == ledger.Unpriced
	rate := func(into *int64, cost int64, status ledger.Pricing) {
		*into += cost
		unknown = unknown || status == ledger.Unpriced
	}
	stays := ex.Attempts
	if moves {
		stays = stays[:len(stays)-len(ex.Tries())] // an embedding is asked of the same target
	}
	for i := range stays {
		at := &stays[i]
		cost := a.config.Book.RateAt(at.Target, at.Kind, at.Model).Attempt(ex.Start, at)
		rate(&one.After, cost.Nano, cost.Status)
	}
	one.AfterCold = one.After
	if moves {
		u := last(ex).Usage
		u.CapacityNanos = 0 // of another target's time
		if o.kind != last(ex).Kind {
			u.Tier = "" // a word of another provider's
		}
		cost := o.rate.Cost(ex.Start, u)
		rate(&one.After, cost.Nano, cost.Status)
		cost = o.rate.Cost(ex.Start, cold(u))
		rate(&one.AfterCold, cost.Nano, cost.Status)
	}
	if unknown {
		return Money{Unpriced: 1}
	}
	return one
}

// cold is a usage whose prompt was in no cache: what was read is written.
func cold(u llm.Usage) llm.Usage {
	u.CacheWrite += u.CacheRead
	u.CacheRead, u.CacheReadAudio = 0, 0
	return u
}

func (m *Money) add(o Money) {
	m.Requests += o.Requests
	m.Before += o.Before
	m.After += o.After
	m.AfterCold += o.AfterCold
	m.Unpriced += o.Unpriced
}

// wait is until when an exchange showed its first token, and would, and how long
// all of it takes.
func (a *Again) wait(ex *ledger.Exchange, o *option, moves bool) (FirstTokens, time.Duration) {
	at := last(ex)
	known := ex.Stream && at.Fault == "" && at.FirstToken > 0
	if !moves {
		if !known {
			return FirstTokens{}, ex.Total
		}
		return FirstTokens{Requests: 1, Before: at.FirstToken, After: at.FirstToken}, ex.Total
	}
	p := a.paces[o.name]
	then, told := p.firstToken(int64(prompt(ex)))
	switch takes := then + time.Duration(max(0, at.Usage.Output-1))*p.perToken(); {
	case !told && !known:
		return FirstTokens{}, ex.Total
	case !told:
		return FirstTokens{Unknown: 1}, ex.Total
	case !known:
		return FirstTokens{}, takes
	default:
		return FirstTokens{Requests: 1, Before: at.FirstToken, After: then}, takes
	}
}

func (f *FirstTokens) add(o FirstTokens) {
	f.Requests += o.Requests
	f.Before += o.Before
	f.After += o.After
	f.Unknown += o.Unknown
}
