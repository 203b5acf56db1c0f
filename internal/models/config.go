package models

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/complexity"
	"tailplane/internal/llm"
	"tailplane/internal/queue"
)

// Config is what the file says about models: the names that clients call
// (`models:`), the rules of who goes elsewhere (`rules:`), and the defaults that hold for each of them (`timeouts:`,
// `retry:`).
type Config struct {
	Models   map[string]Model
	Rules    []Rule
	Timeouts Timeouts
	Retry    Retry
}

// Model is one name that clients call.
type Model struct {
	// Route lists candidates in order of preference, each "target/model" or
	// the name of another model here. Neighbours with a weight share the
	// traffic in that proportion.
	Route []Step `yaml:"route"`
	// Pool with ServedAs is the short form for replicas of one model: every
	// target of the pool serves it under the same name.
	Pool     []string `yaml:"pool"`
	ServedAs string   `yaml:"served_as"`
	// AdapterOf says that ServedAs is a LoRA adapter, and of which model, as the
	// targets call it: the names that lead to that model share load and caches with
	// it.
	AdapterOf string `yaml:"adapter_of"`
	// Prefill are the replicas that compute the prompts of a pool, which then only
	// decodes.
	Prefill *Prefill `yaml:"prefill"`
	// Fallback lists models that are asked, in order, when every candidate of
	// Route or Pool has failed in a way that another target could mend. One that
	// names faults is asked after those alone, and at once.
	Fallback []Fallback `yaml:"fallback"`
	// Policy chooses among the candidates of a pool, or of a route, which then
	// share its traffic. Without one a pool has "auto", neighbours with weights
	// are drawn by weight, and other candidates are asked in their order.
	Policy Policy `yaml:"policy"`
	// Queue bounds what waits for room at the replicas that a policy chooses among.
	Queue queue.Config `yaml:"queue"`
	// Complexity sends easy requests to a weak model and the others to a strong
	// one; it stands instead of Route and Pool.
	Complexity *complexity.Config `yaml:"complexity"`
	// Outcomes keeps the features of requests for a while, so that feedback about
	// their answers can be learned from; a model with Complexity does so anyway.
	Outcomes bool `yaml:"outcomes"`
	// Embeddings are asked for the text of each request before it is decided or
	// learned from: with Complexity or Outcomes alone.
	Embeddings Embeddings `yaml:"embeddings"`
	// Require are labels that a target must have to be asked.
	Require []string `yaml:"require"`
	// Prefer ranks candidates that share traffic: those that have the most left
	// of their limits and capacity first ("headroom"); empty leaves it to weights
	// and load.
	Prefer string `yaml:"prefer"`
	// Limits are how much all callers together may use of the name.
	Limits   account.Limits `yaml:"limits"`
	Timeouts Timeouts       `yaml:"timeouts"`
	Retry    Retry          `yaml:"retry"`
	// Hedge is how many requests may be asked a second time beside an attempt that
	// is late.
	Hedge Hedge `yaml:"hedge"`
}

// PreferHeadroom is the one choice of Model.Prefer.
const PreferHeadroom = "headroom"

// Step is one candidate of a route. In the file it is a bare string, or
// {to: ..., weight: ...}.
type Step struct {
	To     string `yaml:"to"`
	Weight Weight `yaml:"weight"`
}

// Weight is a step's share of the traffic of its neighbours; 0 is a step that does
// not say. What the file says begins at 1: a zero that counted as not said would
// give everything to a step that was to get nothing.
type Weight int

// mostWeight bounds weights so that no sum or product of them overflows.
const mostWeight = 1_000_000

// UnmarshalText reads a weight of the file.
func (w *Weight) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > mostWeight {
		return fmt.Errorf("%q is not a weight; use a whole number from 1 to %d, leave it out, or remove the candidate that is to get nothing", text, mostWeight)
	}
	*w = Weight(n)
	return nil
}

// UnmarshalText reads the bare form.
func (s *Step) UnmarshalText(text []byte) error {
	s.To = string(text)
	return nil
}

// Fallback is one step of a fallback chain. In the file it is a bare string,
// or {to: ..., on: [...]}.
type Fallback struct {
	To string `yaml:"to"`
	// On are the faults after which it is asked; empty means every one that
	// another target could mend.
	On []llm.FaultKind `yaml:"on"`
}

// UnmarshalText reads the bare form.
func (f *Fallback) UnmarshalText(text []byte) error {
	f.To = string(text)
	return nil
}

// reactable are the faults that a fallback can name: those of an attempt.
var reactable = []llm.FaultKind{
	llm.FaultBadRequest, llm.FaultTooLong, llm.FaultTooLarge, llm.FaultUnsupported, llm.FaultUnknownModel, llm.FaultCredential,
	llm.FaultRateLimit, llm.FaultQuota, llm.FaultOverloaded, llm.FaultServer, llm.FaultConnect, llm.FaultConnectTime,
	llm.FaultFirstToken, llm.FaultIdle, llm.FaultCut, llm.FaultGarbage, llm.FaultContentFilter, llm.FaultShed, llm.FaultLossy,
}

// Timeouts bound the phases of a request. Zero inherits: the model's from the
// file's, the file's from [Default]. A request may shorten or lengthen each
// with the headers x-tailplane-timeout-{connect,first-token,idle,total}.
type Timeouts struct {
	Connect    time.Duration `yaml:"connect"`     // TCP and TLS, per attempt
	FirstToken time.Duration `yaml:"first_token"` // per attempt, until the first token of a stream; a whole answer has only Total
	Idle       time.Duration `yaml:"idle"`        // between two events of a stream
	Total      time.Duration `yaml:"total"`       // everything, retries included
}

// Or returns t with what is zero taken from d.
func (t Timeouts) Or(d Timeouts) Timeouts {
	or := func(a, b time.Duration) time.Duration {
		if a == 0 {
			return b
		}
		return a
	}
	return Timeouts{or(t.Connect, d.Connect), or(t.FirstToken, d.FirstToken), or(t.Idle, d.Idle), or(t.Total, d.Total)}
}

// Retry says how hard to try. Zero inherits as in Timeouts.
type Retry struct {
	// Attempts is how often one target is asked for one request, the first
	// time included.
	Attempts int `yaml:"attempts"`
	// Backoff is the scale of the wait before a second attempt at the same
	// target: uniformly random below it, doubled for each further one ("full
	// jitter"), at most MaxBackoff.
	Backoff    time.Duration `yaml:"backoff"`
	MaxBackoff time.Duration `yaml:"max_backoff"`
	// MaxWait is the longest Retry-After that is waited out; a longer one goes
	// to another target, or to the client.
	MaxWait time.Duration `yaml:"max_wait"`
	// Budget is the share of a target's requests that may be retries, so that
	// retries cannot multiply an outage. Percent.
	Budget int `yaml:"budget_percent"`
}

// Or returns r with what is zero taken from d.
func (r Retry) Or(d Retry) Retry {
	r.Attempts = cmp.Or(r.Attempts, d.Attempts)
	r.Backoff = cmp.Or(r.Backoff, d.Backoff)
	r.MaxBackoff = cmp.Or(r.MaxBackoff, d.MaxBackoff)
	r.MaxWait = cmp.Or(r.MaxWait, d.MaxWait)
	r.Budget = cmp.Or(r.Budget, d.Budget)
	return r
}

// Default is what holds where the file says nothing.
func Default() Config {
	return Config{
		Timeouts: Timeouts{Connect: 5 * time.Second, FirstToken: 2 * time.Minute, Idle: time.Minute, Total: 15 * time.Minute},
		Retry:    Retry{Attempts: 2, Backoff: 250 * time.Millisecond, MaxBackoff: 5 * time.Second, MaxWait: 10 * time.Second, Budget: 20},
	}
}

// maxCandidates bounds a route with all of its fallbacks.
const maxCandidates = 16

// Validate reports every problem with the path of the value, what is wrong and
// what would be right. targets are the names of the targets there are.
func (c Config) Validate(targets []string, report func(path, wrong, right string)) {
	validateTimeouts("timeouts", c.Timeouts, report)
	validateRetry("retry", c.Retry, report)
	for name, m := range c.Models {
		path := "models." + name
		validateTimeouts(path+".timeouts", m.Timeouts, report)
		validateRetry(path+".retry", m.Retry, report)
		c.validateRoute(path, name, m, targets, report)
		c.validatePrefill(path+".prefill", m, targets, report)
		account.Rules{Limits: m.Limits}.Validate(path, report)
		m.Policy.validate(path+".policy", report)
		m.Queue.Validate(path+".queue", report)
		c.validateEmbeddings(path+".embeddings", name, targets, report)
		if m.Queue != (queue.Config{}) && len(m.Pool) == 0 && !m.joins() {
			report(path+".queue", "no policy chooses among the candidates, so that nothing waits for them", "use a pool, or give the route a policy; or leave it out")
		}
		if m.Hedge > 0 && len(m.Pool) == 0 && !m.joins() {
			report(path+".hedge", "no policy chooses among the candidates, so that there is nobody to ask beside the first", "use a pool, or give the route a policy; or leave it out")
		}
		ValidateLabels(path+".require", m.Require, report)
		if m.Prefer != "" && m.Prefer != PreferHeadroom {
			report(path+".prefer", fmt.Sprintf("%q is not a choice", m.Prefer), "use headroom, or leave it out")
		}
	}
	for i, r := range c.Rules {
		c.validateRule(fmt.Sprintf("rules[%d]", i), r, targets, report)
	}
	c.validateNested(report)
	c.validateCycles(targets, report)
}

func (c Config) validateRoute(path, name string, m Model, targets []string, report func(path, wrong, right string)) {
	switch {
	case m.Complexity != nil:
		c.validateComplexity(path, m, targets, report)
	case len(m.Route) > 0 && len(m.Pool) > 0:
		report(path+".pool", fmt.Sprintf("model %q has both a route and a pool", name), "keep one of them")
	case len(m.Pool) > 0 && m.ServedAs == "":
		report(path, fmt.Sprintf("model %q has a pool but does not say what the targets call it", name), "add `served_as: NAME`")
	case m.ServedAs != "" && len(m.Pool) == 0:
		report(path+".served_as", fmt.Sprintf("model %q has served_as but no pool", name), "add `pool: [TARGET, ...]`, or write the route as TARGET/"+m.ServedAs)
	case m.AdapterOf != "" && len(m.Pool) == 0:
		report(path+".adapter_of", fmt.Sprintf("model %q has adapter_of but no pool", name), "add `pool: [TARGET, ...]` and `served_as: ADAPTER`; or leave it out")
	case m.AdapterOf != "" && m.AdapterOf == m.ServedAs:
		report(path+".adapter_of", fmt.Sprintf("%q is no adapter of itself", m.ServedAs), "name the base model as the targets call it; or leave it out")
	case len(m.Route) == 0 && len(m.Pool) == 0:
		report(path, fmt.Sprintf("model %q leads nowhere", name), "add `route: [TARGET/MODEL, ...]`")
	}
	for i, s := range m.Route {
		at := fmt.Sprintf("%s.route[%d]", path, i)
		if s.Weight < 0 {
			report(at+".weight", "a weight cannot be negative", "use a whole number from 1, or leave it out")
		}
		c.validateReference(at, s.To, targets, report)
	}
	for i, target := range m.Pool {
		if !slices.Contains(targets, target) {
			report(fmt.Sprintf("%s.pool[%d]", path, i), fmt.Sprintf("there is no target %q", target), "name one of the targets"+near(target, targets))
		}
	}
	for i, f := range m.Fallback {
		at := fmt.Sprintf("%s.fallback[%d]", path, i)
		if f.To == "" {
			report(at, "the fallback leads nowhere", "write a model, TARGET/MODEL, or {to: ..., on: [FAULT, ...]}")
			continue
		}
		c.validateReference(at, f.To, targets, report)
		for k, kind := range f.On {
			if !slices.Contains(reactable, kind) {
				report(fmt.Sprintf("%s.on[%d]", at, k), fmt.Sprintf("no attempt can fail with %q", kind), "use one of "+faultNames()+nearFault(kind))
			}
		}
	}
}

func faultNames() string {
	names := make([]string, len(reactable))
	for i, k := range reactable {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

func nearFault(kind llm.FaultKind) string {
	return near(string(kind), strings.Split(faultNames(), ", "))
}

// validateReference checks "target/model" or the name of a model.
func (c Config) validateReference(path, to string, targets []string, report func(path, wrong, right string)) {
	if _, ok := c.Models[to]; ok {
		return
	}
	if _, _, ok := splitTarget(to, targets); ok {
		return
	}
	if slices.Contains(targets, to) {
		report(path, fmt.Sprintf("%q is a target, without the model to ask there", to), fmt.Sprintf("write %s/MODEL", to))
		return
	}
	known := append(slices.Clone(targets), names(c.Models)...)
	head, _, _ := strings.Cut(to, "/")
	report(path, fmt.Sprintf("%q is neither a model nor TARGET/MODEL of a known target", to), "write TARGET/MODEL"+near(head, known))
}

func validateTimeouts(path string, t Timeouts, report func(path, wrong, right string)) {
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"connect", t.Connect}, {"first_token", t.FirstToken}, {"idle", t.Idle}, {"total", t.Total}} {
		if f.value < 0 || f.value > 24*time.Hour {
			report(path+"."+f.name, fmt.Sprintf("%v is out of range", f.value), "use 1ms to 24h")
		}
	}
}

func validateRetry(path string, r Retry, report func(path, wrong, right string)) {
	if r.Attempts < 0 || r.Attempts > 10 {
		report(path+".attempts", fmt.Sprintf("%d is out of range", r.Attempts), "use 1 (no retry) to 10")
	}
	if r.Budget < 0 || r.Budget > 100 {
		report(path+".budget_percent", fmt.Sprintf("%d is out of range", r.Budget), "use 1 to 100")
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"backoff", r.Backoff}, {"max_backoff", r.MaxBackoff}, {"max_wait", r.MaxWait}} {
		if f.value < 0 || f.value > 10*time.Minute {
			report(path+"."+f.name, fmt.Sprintf("%v is out of range", f.value), "use 1ms to 10m")
		}
	}
}

// validateCycles finds models that lead back to themselves, and routes that
// are longer than any request should travel.
func (c Config) validateCycles(targets []string, report func(path, wrong, right string)) {
	loops := c.loops()
	for _, name := range slices.Sorted(keysOf(c.Models)) {
		if loop := loops[name]; loop != nil {
			report("models."+name, "the model leads back to itself: "+strings.Join(loop, " -> "), "remove one of these references")
			continue
		}
		w := walk{config: c, targets: targets, left: mostSteps}
		list := w.flatten(name, 0)
		if len(list) > maxCandidates || w.left < 0 {
			report("models."+name, fmt.Sprintf("the model has more than %d candidates with its fallbacks", maxCandidates), "name fewer")
		}
		if c.Models[name].Prefer == PreferHeadroom && !shares(list) {
			report("models."+name+".prefer", "no two candidates share traffic, so there is nothing to prefer", "give neighbours of the route a weight, or use a pool")
		}
	}
}

// shares reports whether two candidates stand in one group.
func shares(list []Candidate) bool {
	for i := 1; i < len(list); i++ {
		if list[i].Group == list[i-1].Group {
			return true
		}
	}
	return false
}

// loops finds the ways on which models lead back to themselves. It visits every
// reference once (depth first; a reference to a model whose own are still being
// followed closes a loop), and returns for each model on a loop so found the way
// from it back to itself. Every loop holds at least one such reference, so
// none is left when all that are returned are gone.
func (c Config) loops() map[string][]string {
	out := map[string][]string{}
	depth := map[string]int{} // in way, from 1; -1 when all is followed
	var way []string
	var follow func(name string)
	follow = func(name string) {
		way = append(way, name)
		depth[name] = len(way)
		for _, next := range c.Models[name].references() {
			switch _, ok := c.Models[next]; {
			case !ok || depth[next] < 0:
			case depth[next] == 0:
				follow(next)
			default:
				tell(out, way[depth[next]-1:])
			}
		}
		way = way[:len(way)-1]
		depth[name] = -1
	}
	for _, name := range slices.Sorted(keysOf(c.Models)) {
		if depth[name] == 0 {
			follow(name)
		}
	}
	return out
}

// longestLoop bounds how much of a loop is told.
const longestLoop = 8

// tell notes a loop for those of its members that have none yet.
func tell(out map[string][]string, loop []string) {
	for i, name := range loop {
		if out[name] != nil {
			continue
		}
		var told []string
		for k := range min(len(loop), longestLoop) {
			told = append(told, loop[(i+k)%len(loop)])
		}
		if len(loop) > longestLoop {
			told = append(told, "...")
		}
		out[name] = append(told, name)
	}
}

func (m Model) references() []string {
	var out []string
	if m.Complexity != nil {
		out = append(out, m.Complexity.Weak, m.Complexity.Strong)
	}
	for _, s := range m.Route {
		out = append(out, s.To)
	}
	for _, f := range m.Fallback {
		out = append(out, f.To)
	}
	return out
}
