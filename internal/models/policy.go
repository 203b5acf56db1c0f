package models

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tailplane/internal/engine"
	"tailplane/internal/suggest"
)

// Policy is the `policy:` of a model: how one of the candidates that share its
// traffic is chosen. In the file it is a bare name, or a block with the name and
// what the policy can be told; what is left out has the default of its policy.
type Policy struct {
	Name string `yaml:"name"`
	// Replication is how many points a replica has on the ring (chwbl); 256.
	Replication int `yaml:"replication"`
	// LoadFactor is how much of the average a replica may have in flight, in
	// percent (chwbl); 125.
	LoadFactor int `yaml:"load_factor"`
	// CacheThreshold is the share of a prompt that a match must cover
	// (cache_aware); 0.3.
	CacheThreshold float64 `yaml:"cache_threshold"`
	// ImbalanceAbs and ImbalanceRel say from when the load is out of balance:
	// most less least in flight, and most by least (cache_aware); 64 and 1.5.
	ImbalanceAbs int     `yaml:"imbalance_abs"`
	ImbalanceRel float64 `yaml:"imbalance_rel"`
	// Form is the reading of lmetric: "paper", or "queued".
	Form string `yaml:"form"`
	// TTFT is the objective for the first token (smetric); 2s.
	TTFT time.Duration `yaml:"ttft"`
}

// UnmarshalText reads the bare form.
func (p *Policy) UnmarshalText(text []byte) error {
	p.Name = string(text)
	return nil
}

// IsZero reports whether the file says nothing.
func (p Policy) IsZero() bool { return p == Policy{} }

// Needs are the signals of engines that the policy ranks by; the others do without
// any.
func (p Policy) Needs() engine.Signal {
	if p.Name == "llmd" {
		return engine.SignalWaiting | engine.SignalKVUsage
	}
	return 0
}

// OrDefaults returns p with what is left out as its peers publish it.
func (p Policy) OrDefaults() Policy {
	p.Replication = cmp.Or(p.Replication, 256)
	p.LoadFactor = cmp.Or(p.LoadFactor, 125)
	p.CacheThreshold = cmp.Or(p.CacheThreshold, 0.3)
	p.ImbalanceAbs = cmp.Or(p.ImbalanceAbs, 64)
	p.ImbalanceRel = cmp.Or(p.ImbalanceRel, 1.5)
	p.Form = cmp.Or(p.Form, "paper")
	p.TTFT = cmp.Or(p.TTFT, 2*time.Second)
	return p
}

// The policies that mean something to names, and not only to the group that
// ranks replicas.
const (
	PolicyAuto     = "auto"     // of a pool, where nothing is said
	PolicyWeighted = "weighted" // of neighbours with weights, where nothing is said
	PolicyPriority = "priority" // in the order of the route, where nothing is said
	PolicyLeastKV  = "least_kv" // of a pool that only decodes
)

// Policies are the names of all policies, in the order in which they are told.
func Policies() []string {
	return []string{
		PolicyAuto, "round_robin", "random", "least_request", "p2c", PolicyWeighted, PolicyPriority, "lowest_cost", "lowest_latency",
		"session", "chwbl", "cache_aware", "lmetric", "smetric", "llmd", PolicyLeastKV,
	}
}

func (p Policy) validate(path string, report func(path, wrong, right string)) {
	if p.IsZero() {
		return
	}
	if !slices.Contains(Policies(), p.Name) {
		report(path, fmt.Sprintf("there is no policy %q", p.Name), "use one of "+strings.Join(Policies(), ", ")+suggest.Phrase(suggest.Nearest(p.Name, Policies())))
		return
	}
	for _, o := range []struct {
		key, of      string
		said, inside bool
		right        string
	}{
		{"replication", "chwbl", p.Replication != 0, p.Replication > 0 && p.Replication <= 10_000, "1 to 10000"},
		{"load_factor", "chwbl", p.LoadFactor != 0, p.LoadFactor >= 100 && p.LoadFactor <= 1000, "100 to 1000 (percent)"},
		{"cache_threshold", "cache_aware", p.CacheThreshold != 0, p.CacheThreshold > 0 && p.CacheThreshold <= 1, "a share above 0, up to 1"},
		{"imbalance_abs", "cache_aware", p.ImbalanceAbs != 0, p.ImbalanceAbs > 0, "1 or more"},
		{"imbalance_rel", "cache_aware", p.ImbalanceRel != 0, p.ImbalanceRel >= 1, "1 or more"},
		{"form", "lmetric", p.Form != "", p.Form == "paper" || p.Form == "queued", "paper or queued"},
		{"ttft", "smetric", p.TTFT != 0, p.TTFT > 0 && p.TTFT <= time.Hour, "1ms to 1h"},
	} {
		switch {
		case !o.said:
		case o.of != p.Name:
			report(path+"."+o.key, fmt.Sprintf("the policy %s has no %s", p.Name, o.key), "leave it out; it belongs to "+o.of)
		case !o.inside:
			report(path+"."+o.key, "the value is out of range", "use "+o.right)
		}
	}
}
