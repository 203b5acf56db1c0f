package fleet

import (
	"cmp"
	"fmt"
	"time"
)

// Rules is the `health:` section of the file: when a target is left alone, and
// how it comes back. What is left out has its default.
type Rules struct {
	// Faults in a row, and lost connections in a row, trip the breaker.
	Faults int `yaml:"faults"`
	Lost   int `yaml:"lost"`
	// FailureRate is the share of failures over twenty requests and more, five of
	// them failed, above which a target is ejected.
	FailureRate Percent `yaml:"failure_rate"`
	// Outlier is how many deviations of its group a target's first tokens may be
	// late before it is asked less; twice that for half a minute ejects it.
	Outlier Ratio `yaml:"outlier"`
	// Pause is the first pause, for blips; Eject the first ejection, doubled up to
	// EjectMost.
	Pause     time.Duration `yaml:"pause"`
	Eject     time.Duration `yaml:"eject"`
	EjectMost time.Duration `yaml:"eject_most"`
	// EjectShare is how much of a group may be ejected for a judgement.
	EjectShare Percent `yaml:"eject_share"`
	// SlowStart is how long a target that came back is asked less.
	SlowStart time.Duration `yaml:"slow_start"`
}

// DefaultRules are those of an empty section.
func DefaultRules() Rules { return Rules{}.Complete() }

// Complete is the section with the defaults for what is left out.
func (r Rules) Complete() Rules {
	r.Faults = cmp.Or(r.Faults, 5)
	r.Lost = cmp.Or(r.Lost, 3)
	r.FailureRate = cmp.Or(r.FailureRate, 0.5)
	r.Outlier = cmp.Or(r.Outlier, 3)
	r.Pause = cmp.Or(r.Pause, time.Second)
	r.Eject = cmp.Or(r.Eject, 5*time.Second)
	r.EjectMost = cmp.Or(r.EjectMost, 5*time.Minute)
	r.EjectShare = cmp.Or(r.EjectShare, 0.3)
	r.SlowStart = cmp.Or(r.SlowStart, 30*time.Second)
	return r
}

// Validate reports every problem of the section `health:`.
func (r Rules) Validate(report func(path, wrong, right string)) {
	for key, n := range map[string]int{"faults": r.Faults, "lost": r.Lost} {
		if n < 0 || n > 1000 {
			report("health."+key, fmt.Sprintf("%d is out of range", n), "use 1 to 1000")
		}
	}
	for key, d := range map[string]time.Duration{"pause": r.Pause, "eject": r.Eject, "eject_most": r.EjectMost, "slow_start": r.SlowStart} {
		if d < 0 || d > time.Hour || d > 0 && d < 10*time.Millisecond {
			report("health."+key, fmt.Sprintf("%v is out of range", d), "use 10ms to 1h")
		}
	}
	for key, p := range map[string]Percent{"failure_rate": r.FailureRate, "eject_share": r.EjectShare} {
		if p < 0 || p > 1 {
			report("health."+key, fmt.Sprintf("%v%% is out of range", 100*float64(p)), "use 1% to 100%")
		}
	}
	if r.Outlier < 0 || r.Outlier > 100 {
		report("health.outlier", fmt.Sprintf("%v is out of range", float64(r.Outlier)), "use 1 to 100, in deviations of the group")
	}
	if full := r.Complete(); full.EjectMost < full.Eject {
		report("health.eject_most", fmt.Sprintf("%v is shorter than the first ejection, %v", full.EjectMost, full.Eject), "use at least that")
	}
}

// pause is how long the nth ejection lasts. Chance takes up to a quarter off, so
// that several gateways do not come back at the same moment.
func (r *Rules) pause(n int, seed uint64) time.Duration {
	d := r.EjectMost
	if shift := n - 1; shift < 20 && r.Eject<<shift < d {
		d = r.Eject << shift
	}
	roll := mix(seed + uint64(n))
	return d - time.Duration(float64(d)/4*(float64(roll>>11)/(1<<53)))
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
