// Package fleet keeps the live state of every target: what is in flight, what
// must not be asked again yet, how well it is (health.go), what its engine says
// of itself (signals.go), how many retries it has left, what is left of its
// limits, and how much of its capacity is in use.
//
// It owns facts about targets and nothing else: it never talks to one (package
// watch does) and never chooses one (package route does). Its state outlives a
// reload of the config, because a target that throttles us does not forget it
// either.
//
// Start reading at [Target.Report]. Everything is safe for concurrent use.
package fleet

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tailplane/internal/llm"
)

// Fleet is the set of targets by name. The zero Fleet is ready.
type Fleet struct {
	mu      sync.Mutex
	targets map[string]*Target
	rules   atomic.Pointer[Rules]
}

// Use sets the rules of health, for all targets from now on.
func (f *Fleet) Use(r Rules) { f.rules.Store(new(r.Complete())) }

// Rules are those in force.
func (f *Fleet) Rules() Rules { return *rulesOf(&f.rules) }

// rulesOf is what a pointer holds, or the defaults.
func rulesOf(p *atomic.Pointer[Rules]) *Rules {
	if p != nil {
		if r := p.Load(); r != nil {
			return r
		}
	}
	return &defaults
}

var defaults = DefaultRules() // never written to

// Target returns the state of the target with that name, making it when it is
// new.
func (f *Fleet) Target(name string) *Target {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.targets[name]
	if !ok {
		if f.targets == nil {
			f.targets = make(map[string]*Target)
		}
		t = newTarget(name)
		t.rules, t.seed = &f.rules, rand.Uint64()
		f.targets[name] = t
	}
	return t
}

// Target is the live state of one target.
type Target struct {
	Name string

	inFlight atomic.Int64
	retries  atomic.Int64 // hundredths of a retry that the budget still holds
	// troubled is set while anything below the mutex is worth a look, so that
	// a healthy target costs one atomic load.
	troubled atomic.Bool

	capacity atomic.Pointer[Capacity] // nil: none is configured
	share    Share                    // of those that cost by the hour
	quotas   quotas

	signals atomic.Pointer[Signals] // nil: its engine has said nothing
	asked   atomic.Bool
	served  atomic.Uint64          // requests that ended well
	rules   *atomic.Pointer[Rules] // nil: the defaults
	seed    uint64                 // of the chance in how long it is ejected

	mu        sync.Mutex
	until     time.Time            // the target's own demand not to be asked before
	models    map[string]time.Time // the same for one of its models
	health    health
	ejections map[Cause]uint64
}

func newTarget(name string) *Target {
	t := &Target{Name: name}
	t.retries.Store(initialRetries)
	t.troubled.Store(true) // nothing was heard of it yet
	return t
}

// View is a target's state at one moment, as far as choosing needs it.
type View struct {
	InFlight int64
	// Wait is how long the target still demands not to be asked (Retry-After).
	Wait time.Duration
	// Broken: traffic is kept off it, for its health or because it is drained.
	Broken bool
	// Ejected: that is for its health, or it is on trial; Cause says why, of what
	// is kept off. Draining: somebody wants it to be left, and nothing overrules
	// that.
	Ejected  bool
	Cause    Cause
	Draining bool
	// Penalty is the share of its usual traffic that is better sent elsewhere: it
	// starts slowly, or is late; 0 is none.
	Penalty float64
	// Utilisation is how much of its capacity is in use, where one is configured;
	// 1 is all. Spills is how long that is more than it may be, if nothing comes
	// on top: until then requests go elsewhere.
	Utilisation float64
	Spills      time.Duration
}

// Provision gives the target a capacity of that size, or changes the size of the
// one that it has; nil takes it away. What is in use stays across changes.
func (t *Target) Provision(now time.Time, p *Provision) {
	switch c := t.capacity.Load(); {
	case p == nil:
		t.capacity.Store(nil)
	case c == nil:
		t.capacity.Store(&Capacity{p: *p})
	default:
		c.Resize(now, *p)
	}
}

// Capacity is what the target has of it; nil when none is configured.
func (t *Target) Capacity() *Capacity { return t.capacity.Load() }

// Share divides the target's time among those who take part in it.
func (t *Target) Share() *Share { return &t.share }

// maxModels bounds the models of one target whose demands are remembered.
const maxModels = 256

// View says how the target stands for a model.
func (t *Target) View(now time.Time, model string) View {
	v := View{InFlight: t.inFlight.Load()}
	if c := t.capacity.Load(); c != nil {
		v.Utilisation, v.Spills = c.State(now)
	}
	if !t.troubled.Load() {
		return v
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	v.Wait = max(0, t.until.Sub(now), t.models[model].Sub(now))
	t.health.view(now, rulesOf(t.rules), &v)
	return v
}

// Begin counts a request that is about to be sent; End must follow. It refuses,
// and counts nothing, when the target already has limit requests; 0 is no
// limit.
func (t *Target) Begin(now time.Time, limit int) bool {
	if n := t.inFlight.Add(1); limit > 0 && n > int64(limit) {
		t.inFlight.Add(-1)
		return false
	}
	if !t.asked.Load() {
		t.asked.Store(true)
	}
	if !t.troubled.Load() {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.health.begin(now)
	return true
}

// Asked reports whether a request was ever sent to the target.
func (t *Target) Asked() bool { return t.asked.Load() }

// End counts a request that has ended, however it did.
func (t *Target) End() { t.inFlight.Add(-1) }

// Report tells the outcome of a request for a model: nil for success. A fault
// counts only for what it speaks about: one of the request alone changes
// nothing, and neither does a caller that left.
func (t *Target) Report(now time.Time, model string, fault *llm.Fault) {
	switch {
	case fault == nil:
		t.succeed(now)
	case fault.Scope == llm.ScopeRequest || fault.Kind == llm.FaultClientGone:
		t.pass()
	default:
		t.suffer(now, model, fault)
	}
}

// pass ends a request that says nothing about the target.
func (t *Target) pass() {
	if t.troubled.Load() {
		t.mu.Lock()
		t.health.release()
		t.mu.Unlock()
	}
}

// suffer takes a fault of the target.
func (t *Target) suffer(now time.Time, model string, fault *llm.Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.troubled.Store(true)
	if fault.After > 0 {
		t.demand(now, model, fault)
	}
	if !ill(fault.Kind) {
		t.health.release()
		return
	}
	if cause := t.health.fail(fault.Kind, rulesOf(t.rules)); cause != "" {
		t.eject(now, cause)
	}
}

// eject leaves the target alone; the caller holds mu.
func (t *Target) eject(now time.Time, cause Cause) {
	t.troubled.Store(true)
	t.health.eject(now, cause, rulesOf(t.rules), t.seed)
	if t.ejections == nil {
		t.ejections = map[Cause]uint64{}
	}
	t.ejections[cause]++
}

// demand notes the fault's Retry-After where it belongs.
func (t *Target) demand(now time.Time, model string, fault *llm.Fault) {
	until := now.Add(fault.After)
	if fault.Scope != llm.ScopeModel {
		if until.After(t.until) {
			t.until = until
		}
		return
	}
	for m, u := range t.models {
		if u.Before(now) {
			delete(t.models, m)
		}
	}
	if t.models == nil {
		t.models = make(map[string]time.Time)
	}
	if len(t.models) < maxModels && until.After(t.models[model]) {
		t.models[model] = until
	}
}

// succeed takes a request that ended well. Demands stay: they end by themselves.
func (t *Target) succeed(now time.Time) {
	t.served.Add(1)
	if !t.troubled.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.health.ok(now, rulesOf(t.rules))
	t.calm(now)
}

// calm notes whether there is anything to look at; the caller holds mu.
func (t *Target) calm(now time.Time) {
	quiet := t.health.quiet(now) && !t.until.After(now)
	for _, u := range t.models {
		quiet = quiet && !u.After(now)
	}
	t.troubled.Store(!quiet)
}

// ill reports whether a fault says that the target itself is in trouble. A
// rate limit is backpressure and not ill health; a refused credential will not
// mend by a pause, but asking on is pointless too.
func ill(k llm.FaultKind) bool {
	switch k {
	case llm.FaultConnect, llm.FaultConnectTime, llm.FaultFirstToken, llm.FaultIdle, llm.FaultCut,
		llm.FaultServer, llm.FaultGarbage, llm.FaultCredential, llm.FaultQuota:
		return true
	}
	return false
}

// The retry budget: every request puts in its percentage, a retry takes one
// hundred. It starts with ten retries and never holds more than a hundred, so
// that a quiet hour does not save up for a storm.
const (
	oneRetry       = 100
	initialRetries = 10 * oneRetry
	mostRetries    = 100 * oneRetry
)

// Deposit credits the retry budget for one request.
func (t *Target) Deposit(percent int) {
	if t.retries.Load() < mostRetries {
		t.retries.Add(int64(percent))
	}
}

// Withdraw takes one retry from the budget and reports whether there was one.
func (t *Target) Withdraw() bool {
	for {
		have := t.retries.Load()
		if have < oneRetry {
			return false
		}
		if t.retries.CompareAndSwap(have, have-oneRetry) {
			return true
		}
	}
}
