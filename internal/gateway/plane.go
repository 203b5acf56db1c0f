package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/complexity"
	"tailplane/internal/dialect"
	"tailplane/internal/fleet"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/models"
	"tailplane/internal/policy"
	"tailplane/internal/queue"
	"tailplane/internal/route"
	"tailplane/internal/telemetry"
	"tailplane/internal/upstream"
)

// Plane is everything that one loaded config decides. It is immutable; a reload
// builds another one and swaps it in. Live state (fleet, keys, metrics) is
// shared between planes.
type Plane struct {
	Hash    string
	Listen  Listen
	Catalog *models.Catalog
	Keys    *policy.Keys
	Targets []Target
	Book    *meter.Book
	Metrics *telemetry.Metrics
	// Accounts are how much everybody may use; Estimates what requests of a kind
	// use, as far as that has been learned.
	Accounts  *account.Accounts
	Estimates *account.Estimator
	Tokens    []Tokens // of whom tokens are taken instead of keys

	retires func(kind, model string) (since, ends time.Time)
	sizes   func(kind, model string) (context, output int64)

	claims   claimHeaders
	groups   *route.Groups
	fleet    *fleet.Fleet
	rules    []rule
	routers  map[string]*complexity.Router
	learning *Learning

	lining sync.Mutex
	lines  map[*route.Group]*line // where requests wait, of what a policy chooses among

	dests  map[string]*destination // of the names that the config defines
	others sync.Map                // string or variant -> *destination, of names that callers made up and of rules
	known  atomic.Int64            // how many of those
}

// Target is an upstream with its live state and its metrics.
type Target struct {
	*upstream.Target
	State   *fleet.Target
	Metrics *telemetry.Upstream
	Account *account.Account // of the target; nil without limits
}

// Parts are what a plane is made of.
type Parts struct {
	Hash    string
	Listen  Listen
	Models  models.Config
	Targets []*upstream.Target
	// Discovered are those of the config that stand for replicas among Targets.
	Discovered []models.Target
	// Lists are the models that targets were found to serve, beside those that
	// their config names.
	Lists   map[string][]string
	Keys    *policy.Keys
	Fleet   *fleet.Fleet
	Groups  *route.Groups
	Book    *meter.Book
	Metrics *telemetry.Metrics
	// Accounts and Estimates live longer than a plane.
	Accounts  *account.Accounts
	Estimates *account.Estimator
	Tokens    []Tokens
	// Routers decide for the models that have complexity, by name.
	Routers map[string]*complexity.Router
	// Learning lives longer than a plane, too; nil learns nothing.
	Learning *Learning
	// Sizes tells the context and the longest output of a model of a kind, in
	// tokens; 0 is not known. nil knows nothing.
	Sizes func(kind, model string) (context, output int64)
	// Retires tells from when on a model of a kind is deprecated, and when it
	// ends; a zero time is not known. nil knows nothing.
	Retires func(kind, model string) (since, ends time.Time)
}

// NewPlane joins the parts.
func NewPlane(parts Parts) *Plane {
	p := &Plane{
		Hash: parts.Hash, Listen: parts.Listen, Keys: parts.Keys, Book: parts.Book, Metrics: parts.Metrics,
		Accounts: parts.Accounts, Estimates: parts.Estimates, Tokens: parts.Tokens,
		retires: parts.Retires, sizes: parts.Sizes, groups: parts.Groups, fleet: parts.Fleet, routers: parts.Routers, learning: parts.Learning, dests: map[string]*destination{}, lines: map[*route.Group]*line{},
	}
	p.claims = claimHeaders{canonicals(parts.Keys.ClaimHeaders()), canonicals(policy.TagHeaders()), canonicals(policy.SessionHeaders())}
	var known []models.Target
	for _, t := range parts.Targets {
		state := parts.Fleet.Target(t.Name)
		state.Provision(now(), provision(t.Config.Capacity))
		p.Targets = append(p.Targets, Target{t, state, parts.Metrics.Upstream(t.Name), p.Accounts.Account(account.Target, t.Name, t.Limits.Rules(), now())})
		lists := append(slices.Clone(t.Config.Models), parts.Lists[t.Name]...)
		known = append(known, models.Target{Name: t.Name, Owns: t.Kind.Owns, Lists: lists})
	}
	p.Catalog = models.New(parts.Models, append(known, parts.Discovered...))
	p.rules = compile(parts.Models.Rules)
	for _, name := range p.Catalog.Names() {
		if plan, err := p.Catalog.Resolve(name); err == nil {
			p.dests[name] = p.build(plan, name, false, false)
		}
	}
	return p
}

// Routers are those of the models that have complexity, by name.
func (p *Plane) Routers() map[string]*complexity.Router { return p.routers }

// claimHeaders are the headers by which callers say for whom a request is, and
// what it belongs to, as they are spelled in a request.
type claimHeaders struct{ customer, tags, session []string }

func canonicals(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = http.CanonicalHeaderKey(name)
	}
	return out
}

// provision is the capacity that a config states; nil when it states none.
func provision(c fleet.Config) *fleet.Provision {
	if c.IsZero() {
		return nil
	}
	return new(c.Provision())
}

// destination is where a name leads, with every handle resolved.
type destination struct {
	name       string
	why        string
	candidates []candidate
	headroom   bool                        // candidates with more of it are preferred
	balanced   bool                        // a policy chooses among some of them
	priced     bool                        // and their prices may differ
	made       bool                        // of a name that a caller made up
	crowded    bool                        // and of too many to remember them all: nothing is learned of it
	dry        bool                        // it is for a look: nothing of it is kept, and it has no metrics and no account
	steered    bool                        // as a caller wants it: its candidates are no set of the config's
	single     bool                        // the first candidate is asked, and no other
	router     *complexity.Router          // decides between the weak and the strong candidates; nil without
	learns     bool                        // its requests can be judged later
	embeddings models.Embeddings           // of the texts of its requests; zero makes none
	hedges     *route.HedgeBudget          // second attempts beside late ones; nil makes none
	require    []string                    // labels that a target must have
	barring    []func(t *candidate) string // why a rule or the request keeps from a target
	timeouts   models.Timeouts
	retry      models.Retry
	account    *account.Account // of the name; nil without limits
	metrics    *telemetry.Model
	typical    *atomic.Int64 // nano-dollars that a request costs, lately
}

// candidate is one target with the model's name there and its price.
type candidate struct {
	*Target
	model   string
	base    string // that model is a LoRA adapter of; empty for none
	group   int
	weight  int
	policy  models.Policy
	queue   queue.Config
	weak    bool   // it stands for the weak model of a name with complexity
	barred  string // why it may not be asked at all; empty when it may
	replica replica
	prefill *side      // who computes its prompts; nil: it does
	step    route.Step // the faults that lead to it
	quirks  map[llm.Dialect]*upstream.Quirks
	rate    *meter.Rate
	size    size

	deprecation, sunset string // headers that say so; see ends
}

// size is what bounds a request for a model, in tokens; 0 is not known.
type size struct{ context, output int64 }

// ends notes what callers should know of the end of a model: RFC 9745 and RFC
// 8594.
func (c *candidate) ends(since, ends time.Time) {
	if !since.IsZero() {
		c.deprecation = "@" + strconv.FormatInt(since.Unix(), 10)
	}
	if !ends.IsZero() {
		c.sunset = ends.UTC().Format(http.TimeFormat)
	}
}

// mostOthers bounds the destinations that are kept for names outside of the
// config; beyond it they are built for each request.
const mostOthers = 1024

// destination returns where a name leads. The error is fit for the client that
// shows the key: it suggests no name that the key may not call.
// What is made for a dry request is not kept.
func (p *Plane) destination(name string, key *policy.Key, dry bool) (*destination, error) {
	if d, ok := p.dests[name]; ok {
		return d, nil
	}
	if d, ok := p.others.Load(name); ok {
		return d.(*destination), nil
	}
	plan, err := p.Catalog.Resolve(name)
	if err != nil {
		if unknown, ok := errors.AsType[*models.UnknownError](err); ok {
			unknown.Near = slices.DeleteFunc(unknown.Near, func(near string) bool { return !key.MayCall(near) })
			if len(unknown.Near) == 0 {
				return nil, fmt.Errorf("%w; GET /v1/models lists what there is", err)
			}
		}
		return nil, err
	}
	kept := !dry && p.known.Add(1) <= mostOthers
	d := p.build(plan, telemetry.Other, dry, !dry && !kept)
	d.made = true
	if kept {
		p.others.Store(name, d)
	}
	return d, nil
}

func (p *Plane) build(plan *models.Plan, label string, dry, crowded bool) *destination {
	d := &destination{
		dry: dry, crowded: crowded,
		embeddings: plan.Embeddings, name: plan.Name, why: plan.Why, headroom: plan.Prefer == models.PreferHeadroom,
		require: plan.Require, timeouts: plan.Timeouts, retry: plan.Retry, typical: new(atomic.Int64),
	}
	if !dry {
		d.metrics = p.Metrics.Model(label)
		d.account = p.Accounts.Account(account.Model, plan.Name, account.Rules{Limits: plan.Limits}, now())
	}
	d.router, d.learns = p.routers[plan.Name], plan.Learns && p.learning.keeps()
	sides := map[*models.PrefillSide]*side{}
	for _, c := range plan.Candidates {
		t, ok := p.candidate(d, c)
		if !ok {
			continue
		}
		if of := c.Prefill; of != nil {
			if sides[of] == nil {
				sides[of] = p.side(d, of)
			}
			t.prefill = sides[of]
		}
		d.candidates = append(d.candidates, t)
	}
	p.replicas(d)
	if share := hedged(plan.Hedge, d); share > 0 {
		d.hedges = route.NewHedgeBudget(share)
	}
	return d
}

// candidate resolves one of a destination; false for a target that is not there, which
// validation refuses.
func (p *Plane) candidate(d *destination, c models.Candidate) (candidate, bool) {
	i := slices.IndexFunc(p.Targets, func(t Target) bool { return t.Name == c.Target })
	if i < 0 {
		return candidate{}, false
	}
	t := &p.Targets[i]
	out := candidate{
		Target: t, model: c.Model, base: c.Base, group: c.Group, weight: c.Weight, policy: c.Policy, queue: c.Queue, weak: c.Weak,
		step: route.Step{On: c.On, Chain: c.Chain}, quirks: quirks(t.Target, c.Model),
		rate: p.Book.RateAt(t.Name, t.Kind.Name, c.Model), barred: lacks(t.Config.Labels, d.require),
	}
	if p.retires != nil {
		out.ends(p.retires(t.Kind.Name, c.Model))
	}
	if p.sizes != nil {
		out.size.context, out.size.output = p.sizes(t.Kind.Name, c.Model)
	}
	return out, true
}

// quirks are those of a model in each dialect of its target; nil when it has none.
func quirks(t *upstream.Target, model string) map[llm.Dialect]*upstream.Quirks {
	var out map[llm.Dialect]*upstream.Quirks
	for _, d := range t.Dialects {
		if q := t.Quirks(model, d); q != nil {
			if out == nil {
				out = map[llm.Dialect]*upstream.Quirks{}
			}
			out[d] = q
		}
	}
	return out
}

// view is what routing needs to know of a candidate. One whose limits are
// exhausted until their reset counts as one that demands a wait, where headroom
// is looked at.
func (c *candidate) view(at time.Time, live *fleet.View, s surface, headroom bool) route.View {
	v := route.View{
		Group: c.group, Weight: c.weight,
		InFlight: live.InFlight, Wait: live.Wait, Broken: live.Broken,
		Full:   c.Limits.InFlight > 0 && live.InFlight >= int64(c.Limits.InFlight),
		Spills: live.Spills > 0,
		Cannot: cmp.Or(c.barred, c.cannot(s)), Reserved: route.Reserve(c.step.On),
	}
	if headroom {
		share, wait := c.State.Headroom(at, c.model)
		v.Prefer, v.Headroom, v.Wait = true, max(0, min(share, 1-live.Utilisation)), max(v.Wait, wait)
	}
	if live.Draining && s.forward == nil && v.Cannot == "" {
		v.Cannot = drained
	}
	return v
}

// cannot says why a candidate cannot serve a surface at all.
func (c *candidate) cannot(s surface) string {
	if s.forward != nil {
		return s.forward.cannot(c, s.op)
	}
	if c.Serves(s.op, s.dialect.Name(), c.model) || s.op == llm.OpCount {
		return ""
	}
	if s.op == llm.OpEmbed && c.Embedding(c.model) != upstream.EmbedsNot {
		return ""
	}
	if _, ok := s.dialect.(dialect.Codec); !ok {
		return "it serves no " + string(s.dialect.Name())
	}
	if _, ok := c.Conversation(s.dialect.Name(), c.model); !ok {
		return "it has no conversations"
	}
	return ""
}

// cannot words the refusal of a request that no candidate can serve.
func (d *destination) cannot(views []route.View, model string) string {
	if len(views) == 0 {
		return fmt.Sprintf("model %q leads to no target", cut(model, 100))
	}
	var why []string
	for i := range views {
		if views[i].Cannot == "" {
			views[i].Cannot = "it is asked only after other faults"
		}
		why = append(why, d.candidates[i].Name+": "+views[i].Cannot)
	}
	return fmt.Sprintf("no target of model %q can serve this request (%s)", cut(model, 100), strings.Join(why, "; "))
}

// roll is chance for routing.
func (p *Plane) roll() uint64 { return rand.Uint64() }

// mayHost reports whether a Host header may be answered.
func (p *Plane) mayHost(host string) bool {
	if len(p.Listen.Hosts) == 0 && (host == p.Listen.Data.Addr || !loopback(p.Listen.Data.Addr)) {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if name == "localhost" || name == "127.0.0.1" || name == "::1" || name == "" {
		return true
	}
	return slices.ContainsFunc(p.Listen.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}
