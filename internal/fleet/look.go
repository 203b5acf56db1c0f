package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"tailplane/internal/engine"
	"tailplane/internal/suggest"
)

// Look is the `watch:` of a target in the file: where its engine says how it is,
// and how often that is looked at. What is left out follows from the kind.
type Look struct {
	// Engine is whose metrics and health checks these are, where the kind does not
	// say it.
	Engine string `yaml:"engine"`
	// Metrics is a path from the server's root, the URL of another port, or off.
	Metrics  string        `yaml:"metrics"`
	Interval time.Duration `yaml:"interval"`
	// Health is a path from the server's root, or off.
	Health string `yaml:"health"`
	// Probe asks for a token where nothing else shows that there are any.
	Probe Probe `yaml:"probe"`
	// Signals say where a signal is found under another name.
	Signals map[string]string `yaml:"signals"`
}

// Probe is a tiny streamed request, which is not billed and stands in no ledger.
// Without a model there is none.
type Probe struct {
	Model    string        `yaml:"model"`
	Interval time.Duration `yaml:"interval"`
}

// Off says of a part of a look that there is none.
const Off = "off"

// The defaults and the bounds of looking.
const (
	defaultInterval = 500 * time.Millisecond
	defaultProbe    = 30 * time.Second
)

// IsZero reports whether the file says nothing.
func (l Look) IsZero() bool {
	return l.Engine == "" && l.Metrics == "" && l.Interval == 0 && l.Health == "" && l.Probe == Probe{} && len(l.Signals) == 0
}

// Complete is the look with the defaults for what is left out.
func (l Look) Complete() Look {
	l.Interval = cmp.Or(l.Interval, defaultInterval)
	l.Probe.Interval = cmp.Or(l.Probe.Interval, defaultProbe)
	return l
}

// EngineOf is the engine of a target of a kind, as the look has it: nil when
// nothing is known of it.
func (l Look) EngineOf(kind string) *engine.Engine {
	e := engine.Find(cmp.Or(l.Engine, kind))
	switch {
	case e == nil && l.Metrics == "" && len(l.Signals) == 0 && l.Health == "":
		return nil
	case e == nil:
		e = &engine.Engine{Kind: kind}
	}
	out := *e.With(l.Signals)
	switch {
	case l.Metrics == Off:
		out.Metrics = ""
	case l.Metrics != "":
		out.Metrics = l.Metrics
	case len(l.Signals) > 0:
		out.Metrics = cmp.Or(out.Metrics, "/metrics")
	case len(out.Signals) == 0:
		out.Metrics = ""
	}
	switch {
	case l.Health == Off:
		out.Health = nil
	case l.Health != "":
		one := engine.Check{Path: l.Health}
		if i := slices.IndexFunc(e.Health, func(c engine.Check) bool { return c.Path == l.Health }); i >= 0 {
			one = e.Health[i]
		}
		out.Health = []engine.Check{one}
	}
	return &out
}

// Elsewhere is where the metrics are when that is not the target itself; nil when
// they are.
func (l Look) Elsewhere() *url.URL {
	if !strings.HasPrefix(l.Metrics, "http://") && !strings.HasPrefix(l.Metrics, "https://") {
		return nil
	}
	u, err := url.Parse(l.Metrics)
	if err != nil || u.Hostname() == "" {
		return nil // refused by validation
	}
	return u
}

var metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// Validate reports every problem; path is where the look stands, kind is the
// target's.
func (l Look) Validate(path, kind string, report func(path, wrong, right string)) {
	if l.Engine != "" && engine.Find(l.Engine) == nil {
		report(path+".engine", fmt.Sprintf("there is no engine %q", l.Engine),
			"use one of "+strings.Join(engine.Kinds(), ", ")+suggest.Phrase(suggest.Nearest(l.Engine, engine.Kinds())))
	}
	if l.Metrics != "" && l.Metrics != Off && engine.Find(cmp.Or(l.Engine, kind)) == nil && len(l.Signals) == 0 {
		report(path+".metrics", "it is not known what the metrics of this kind are called", "add `engine:` with one of "+strings.Join(engine.Kinds(), ", ")+", or name them under signals")
	}
	if l.Metrics != "" && l.Metrics != Off && !strings.HasPrefix(l.Metrics, "/") && !plainURL(l.Elsewhere()) {
		report(path+".metrics", fmt.Sprintf("%q is no place", l.Metrics), "use a path such as /metrics, http://HOST:PORT/PATH, or off")
	}
	if l.Health != "" && l.Health != Off && !strings.HasPrefix(l.Health, "/") {
		report(path+".health", fmt.Sprintf("%q is no path", l.Health), "use a path such as /health, or off")
	}
	if l.Interval != 0 && (l.Interval < 100*time.Millisecond || l.Interval > time.Minute) {
		report(path+".interval", fmt.Sprintf("%v is out of range", l.Interval), "use 100ms to 1m")
	}
	if l.Probe.Interval != 0 && (l.Probe.Interval < time.Second || l.Probe.Interval > time.Hour) {
		report(path+".probe.interval", fmt.Sprintf("%v is out of range", l.Probe.Interval), "use 1s to 1h")
	}
	if l.Probe.Interval != 0 && l.Probe.Model == "" {
		report(path+".probe", "a probe needs a model", "add `model:` with one that the target serves")
	}
	for _, name := range slices.Sorted(maps.Keys(l.Signals)) {
		if engine.SignalOf(name) == 0 {
			report(path+".signals."+name, fmt.Sprintf("there is no signal %q", name),
				"use one of "+strings.Join(engine.SignalNames(), ", ")+suggest.Phrase(suggest.Nearest(name, engine.SignalNames())))
		}
		if !metricName.MatchString(l.Signals[name]) {
			report(path+".signals."+name, fmt.Sprintf("%q is not the name of a metric", l.Signals[name]), "write its full name, such as vllm:num_requests_running")
		}
	}
}

// plainURL reports an address without a password or a fragment in it.
func plainURL(u *url.URL) bool { return u != nil && u.User == nil && u.Fragment == "" }
