// Package models knows the names that clients call and what stands behind
// them.
//
// It owns aliases, ordered and weighted candidates, fallback chains, and the
// timeouts and retry rules of each model. It never knows whether a target is
// alive (package fleet) nor picks one (package route).
//
// Start reading at [Catalog.Resolve]. A Catalog is immutable and safe for
// concurrent use.
package models

import (
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"tailplane/internal/account"
	"tailplane/internal/llm"
	"tailplane/internal/queue"
	"tailplane/internal/suggest"
)

// Target is what a catalog needs to know about a target.
type Target struct {
	Name string
	// Owns are patterns (path.Match) of model names that clients may call
	// without naming the target, such as "gpt-*".
	Owns []string
	// Lists are models that the target is known to serve.
	Lists []string
	// Discovered says that the target stands for its Replicas, however many there
	// are now, each of which is a target of its own.
	Discovered bool
	Replicas   []Replica
}

// Replica is one of the targets that a discovered one stands for.
type Replica struct {
	Target string
	Weight int // share among its neighbours; 0 counts as 1
	Rank   int // those of a higher rank form a later group
}

// Candidate is one target with the name it knows the model by.
type Candidate struct {
	Target string
	Model  string
	// Base is the model that Model is a LoRA adapter of, in the targets' words;
	// empty for one that stands alone.
	Base string
	// Weight is the candidate's share among those of its group; 0 counts as 1.
	Weight int
	// Group orders candidates: a group is asked only when those before it have
	// failed.
	Group int
	// Weak says that it stands for the weak model of a name with complexity: those
	// of the strong one stand behind it.
	Weak bool
	// Policy chooses among the members of its group; empty draws by weight.
	Policy Policy
	Queue  queue.Config // of the requests that wait for the group, where it has a Policy
	// Prefill is who computes its prompts; nil where it does so itself.
	Prefill *PrefillSide
	// On are the faults that lead to the candidate; empty means every one that
	// another target could mend. Candidates of one Chain lie behind the same
	// condition: from one to the next it is met already. Zero is no condition.
	On    []llm.FaultKind
	Chain int
}

// Plan is where a name leads, with the rules that hold on the way.
type Plan struct {
	Name       string
	Why        string // how the name was understood, for the explanation
	Candidates []Candidate
	Prefer     string         // PreferHeadroom or empty
	Learns     bool           // the features of its requests are kept, for outcomes
	Embeddings Embeddings     // of its requests' texts; From is empty where there are none
	Require    []string       // labels that a target must have
	Limits     account.Limits // of the name, for all callers together
	Timeouts   Timeouts
	Retry      Retry
	Hedge      Hedge
}

// Catalog resolves names. Names of the file win over "target/model", which
// wins over names that a target owns or lists.
type Catalog struct {
	config   Config
	targets  []Target
	names    []string
	replicas map[string][]Replica // of those that are discovered
	plans    map[string]*Plan
}

// New builds a catalog from a valid config.
func New(c Config, targets []Target) *Catalog {
	d := Default()
	c.Timeouts, c.Retry = c.Timeouts.Or(d.Timeouts), c.Retry.Or(d.Retry)
	cat := &Catalog{config: c, targets: targets, replicas: map[string][]Replica{}, plans: make(map[string]*Plan, len(c.Models))}
	for _, t := range targets {
		cat.names = append(cat.names, t.Name)
		if t.Discovered {
			cat.replicas[t.Name] = t.Replicas
		}
	}
	for name, m := range c.Models {
		cat.plans[name] = &Plan{
			Name:       name,
			Why:        "model of the config",
			Candidates: (&walk{config: c, targets: cat.names, replicas: cat.replicas, left: mostSteps}).flatten(name, 0),
			Prefer:     m.Prefer,
			Require:    m.Require,
			Learns:     m.Outcomes || m.Complexity != nil,
			Embeddings: m.Embeddings.orDefault(),
			Limits:     m.Limits,
			Timeouts:   m.Timeouts.Or(c.Timeouts),
			Retry:      m.Retry.Or(c.Retry),
			Hedge:      m.Hedge,
		}
	}
	return cat
}

// walk follows references from a model to its candidates.
type walk struct {
	config   Config
	targets  []string
	replicas map[string][]Replica // of targets that are discovered
	way      []string             // the models that are being followed
	left     int                  // steps; negative when they did not suffice
	chains   int                  // conditions that were numbered
}

// mostSteps bounds a walk, because a few models that each name all others twice
// have more ways through them than there is time. A valid config stays far below
// it: it has at most maxCandidates.
const mostSteps = 1024

// flatten lists the candidates of a model with those of its fallbacks. group
// is the first group's number. Loops, and what lies beyond mostSteps, are left
// out: a valid config has neither.
func (w *walk) flatten(name string, group int) []Candidate {
	if slices.Contains(w.way, name) {
		return nil
	}
	w.way = append(w.way, name)
	defer func() { w.way = w.way[:len(w.way)-1] }()
	m := w.config.Models[name]
	var out []Candidate
	next := func() int {
		if len(out) == 0 {
			return group
		}
		return slices.MaxFunc(out, func(a, b Candidate) int { return a.Group - b.Group }).Group + 1
	}
	policy := m.Policy
	if policy.IsZero() {
		policy.Name = PolicyAuto
	}
	side := w.side(m, policy)
	if side != nil {
		policy = Policy{Name: PolicyLeastKV} // the model's own is for the side with the prefill
	}
	for _, target := range m.Pool {
		out = append(out, expand(w.replicas, Candidate{Target: target, Model: m.ServedAs, Base: m.AdapterOf, Group: group, Policy: policy, Queue: m.Queue, Prefill: side})...)
	}
	if m.Complexity != nil {
		out = w.pair(m, group)
	}
	var shares []share
	shared := -1 // the group of the weighted neighbours that are being read
	for _, s := range m.Route {
		at := next()
		switch {
		case m.joins():
			at = group
		case s.Weight == 0:
			shared = -1
		case shared < 0:
			shared = at
		default:
			at = shared
		}
		begin := len(out)
		out = append(out, w.step(s, at)...)
		if s.Weight > 0 {
			shares = append(shares, share{int(s.Weight), at, begin, len(out)})
		}
	}
	even(out, shares)
	for i := range out {
		if m.joins() && out[i].Group == group {
			out[i].Policy, out[i].Queue = m.Policy, m.Queue
		}
	}
	slices.SortStableFunc(out, func(a, b Candidate) int { return a.Group - b.Group })
	for _, f := range m.Fallback {
		out = append(out, w.fallback(f, next())...)
	}
	return out
}

// joins reports whether a policy makes one group of the route's candidates.
func (m Model) joins() bool {
	return len(m.Route) > 0 && !m.Policy.IsZero() && m.Policy.Name != PolicyPriority
}

// step lists the candidates of one step: a target's model, or those of the
// model that it names. A weight goes to the first group of that model, so that
// a split between two models splits their traffic.
func (w *walk) step(s Step, group int) []Candidate {
	if w.left--; w.left < 0 {
		return nil
	}
	if _, ok := w.config.Models[s.To]; !ok {
		target, model, ok := splitTarget(s.To, w.targets)
		if !ok {
			return nil
		}
		return expand(w.replicas, Candidate{Target: target, Model: model, Weight: int(s.Weight), Group: group})
	}
	out := w.flatten(s.To, group)
	for i := range out {
		if s.Weight > 0 && out[i].Group == group {
			out[i].Weight = int(s.Weight) * max(1, out[i].Weight)
		}
	}
	return out
}

// fallback lists the candidates of a fallback. Those that lie behind a condition
// of their own keep it.
func (w *walk) fallback(f Fallback, group int) []Candidate {
	out := w.step(Step{To: f.To}, group)
	if len(f.On) == 0 {
		return out
	}
	w.chains++
	for i := range out {
		if out[i].Chain == 0 {
			out[i].Chain, out[i].On = w.chains, f.On
		}
	}
	return out
}

// splitTarget reads "target/model"; a target's name may itself contain
// slashes, so the longest one that fits wins.
func splitTarget(name string, targets []string) (target, model string, ok bool) {
	for _, t := range targets {
		if len(t) > len(target) && len(name) > len(t)+1 && name[len(t)] == '/' && strings.HasPrefix(name, t) {
			target = t
		}
	}
	if target == "" {
		return "", "", false
	}
	return target, name[len(target)+1:], true
}

// UnknownError says that nothing stands behind a name.
type UnknownError struct {
	Name string
	Near []string // names that are like it
}

func (e *UnknownError) Error() string {
	name := e.Name
	if len(name) > 100 {
		name = name[:100] + "..."
	}
	return fmt.Sprintf("no model %q here%s", name, suggest.Phrase(e.Near))
}

// Resolve says where a name leads. The Plan is shared: it must not be changed.
// The error is an *UnknownError.
func (c *Catalog) Resolve(name string) (*Plan, error) {
	if p, ok := c.plans[name]; ok {
		return p, nil
	}
	if target, model, ok := splitTarget(name, c.names); ok {
		return c.single(name, "named with its target", Candidate{Target: target, Model: model}), nil
	}
	for _, t := range c.targets {
		if slices.Contains(t.Lists, name) {
			return c.single(name, "listed by target "+t.Name, Candidate{Target: t.Name, Model: name}), nil
		}
	}
	for _, t := range c.targets {
		if t.owns(name) {
			return c.single(name, "a name of target "+t.Name, Candidate{Target: t.Name, Model: name}), nil
		}
	}
	return nil, &UnknownError{Name: name, Near: c.Near(name)}
}

// Only is the plan of a request that one target alone can serve, whatever its
// model: the target keeps what it is about, or is the only one of its sort.
func (c *Catalog) Only(target string) *Plan {
	return c.single(target, "the target for it", Candidate{Target: target})
}

// Near are the names that somebody who wrote name may have meant: names that
// are known, and the same model at a target whose name is like the one written.
func (c *Catalog) Near(name string) []string {
	known := c.Names()
	if _, model, ok := strings.Cut(name, "/"); ok {
		for _, t := range c.names {
			known = append(known, t+"/"+model)
		}
	}
	known = slices.DeleteFunc(known, func(n string) bool { return n == name })
	return slices.Compact(suggest.Nearest(name, known))
}

func (c *Catalog) single(name, why string, cand Candidate) *Plan {
	return &Plan{Name: name, Why: why, Candidates: expand(c.replicas, cand), Timeouts: c.config.Timeouts, Retry: c.config.Retry}
}

func (t Target) owns(name string) bool {
	return slices.ContainsFunc(t.Owns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// Defined reports whether the config itself defines the name.
func (c *Catalog) Defined(name string) bool {
	_, ok := c.plans[name]
	return ok
}

// Names lists every name that is known to lead somewhere, sorted: the models
// of the config first, then "target/model" for what targets list.
func (c *Catalog) Names() []string {
	out := names(c.config.Models)
	var listed []string
	for _, t := range c.targets {
		for _, m := range t.Lists {
			listed = append(listed, t.Name+"/"+m)
		}
	}
	slices.Sort(listed)
	return append(out, listed...)
}

// Open are the targets whose models are not listed though they own names of models
// (managed APIs): any can be called by "target/model".
func (c *Catalog) Open() []string {
	var out []string
	for _, t := range c.targets {
		if len(t.Owns) > 0 && len(t.Lists) == 0 {
			out = append(out, t.Name)
		}
	}
	return out
}

func names(m map[string]Model) []string { return slices.Sorted(maps.Keys(m)) }

func keysOf(m map[string]Model) iter.Seq[string] { return maps.Keys(m) }

func near(name string, known []string) string {
	return suggest.Phrase(suggest.Nearest(name, known))
}
