package route

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"tailplane/internal/engine"
	"tailplane/internal/models"
	"tailplane/internal/prefix"
)

// Group is the replicas that serve one model and share its traffic, with what
// was learned of them: which of them holds which prompt, how fast each is, what
// it was sent and has not answered.
//
// Names that lead to the same replicas share it, each with the policy that its
// queries ask for: what is in a cache, in flight, or slow does not depend on who asks.
//
// It is told what happens: [Group.Pick] decides, then [Ticket.Sent], First and
// Done follow for each attempt. It has no clock: time is an argument, and the
// simulator's is as good. Safe for concurrent use; calls are serialised. A
// Group lives longer than the config that names it.
type Group struct {
	mu      sync.Mutex
	policy  Policy   // of queries that ask for none
	asked   []chosen // the policies that were asked for, the latest last
	index   *prefix.Index
	members map[string]*member
	byKey   map[uint64]*member
	slots   []*member // by their number in the index; nil where one has gone
	model   model
	seen    []Replica // scratch of Pick
	known   []float64 // scratch of compare
	adapter float64   // seconds that it takes to load one
	late    lateness
	typical float64  // seconds of prefill that a request takes, lately
	apart   others   // what is no text takes, lately
	self    string   // this gateway
	others  []string // those that are heard, sorted
	tell    func(Delta)
	key     uint64
	room    room // for those who wait
}

// NewGroup makes a group that ranks by a policy where a query asks for none. tell is given every fact that
// other gateways want to know, without the group's lock; nil tells nobody.
func NewGroup(name string, p Policy, tell func(Delta)) *Group {
	return &Group{
		policy: p, index: prefix.NewIndex(), members: map[string]*member{}, byKey: map[uint64]*member{}, model: newModel(), adapter: priorAdapter, tell: tell, key: Hash(name),
	}
}

// Facts is what is known of a candidate beside what its group has learned.
type Facts struct {
	Name     string
	Weight   int
	InFlight int     // at the target, for all models together
	Price    float64 // dollars that the request is expected to cost there
	Penalty  float64 // share of its usual traffic that is better sent elsewhere: slow start, ill health
	Engine   engine.Sample
}

// Decision is the order in which to ask the candidates, and why.
type Decision struct {
	Order    []int // places in the facts that were given
	Why      Why
	Hold     time.Duration // to wait, and then pick again with [Query.Held]; zero is that it goes now
	Replicas []Replica     // as they were seen, in the order of the facts; set where Explain was asked for
}

// Pick ranks the candidates for a request. It appends to d.Order, and copies
// what it saw to d.Replicas when explain is set. It changes nothing that a later
// decision depends on, but for the policy's own turn; where q is dry it changes
// nothing at all.
func (g *Group) Pick(now time.Time, q *Query, facts []Facts, d *Decision, explain bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q.Now = now
	rs := g.look(now, q, facts)
	policy := g.ranking(q)
	_, ours := policy.(auto)
	d.Why = policy.Rank(q, rs)
	behind(rs, ours)
	begin := len(d.Order)
	d.Hold = 0
	for i := range rs {
		d.Order = append(d.Order, i)
	}
	home := cmp.Or(q.Chain.Lane, q.Session, q.Roll)
	slices.SortFunc(d.Order[begin:], func(a, b int) int {
		if rs[a].Rests != rs[b].Rests {
			if rs[a].Rests {
				return 1
			}
			return -1
		}
		if c := cmp.Compare(rs[a].Cost, rs[b].Cost); c != 0 {
			return c
		}
		return cmp.Compare(mix(rs[a].Key^home), mix(rs[b].Key^home))
	})
	if ours {
		d.Hold = g.hold(q, d.Order[begin:])
	}
	if explain {
		d.Replicas = append(d.Replicas[:0], rs...)
	}
}

// chosen is a policy with the words in which it was asked for.
type chosen struct {
	words  models.Policy
	policy Policy
}

// mostPolicies bounds those of a group whose state is kept.
const mostPolicies = 16

// ranking is the policy that a query asks for. It keeps its state as long as it is
// asked for in the same words, and not too many others are.
func (g *Group) ranking(q *Query) Policy {
	if q.Policy.IsZero() {
		return g.policy
	}
	i := slices.IndexFunc(g.asked, func(c chosen) bool { return c.words == q.Policy })
	switch {
	case i >= 0:
		return g.asked[i].policy
	case q.Dry:
		return NewPolicy(q.Policy)
	case len(g.asked) >= mostPolicies:
		g.asked = slices.Delete(g.asked, 0, 1)
	}
	g.asked = append(g.asked, chosen{q.Policy, NewPolicy(q.Policy)})
	return g.asked[len(g.asked)-1].policy
}

// look fills the scratch with the candidates as they stand.
func (g *Group) look(now time.Time, q *Query, facts []Facts) []Replica {
	g.seen = g.seen[:0]
	tokens, best := g.model.tokens(q.Chain.Bytes), 0
	answer := g.model.answer
	if q.Work != WorkPrompt {
		answer = 0
	} else if q.Output > 0 { // what the caller allows, or a cautious guess
		answer = min(answer, float64(q.Output))
	}
	shares := ratesOf(facts)
	for i := range facts {
		f := &facts[i]
		var m *member
		if q.Dry {
			m = g.shadow(now, f)
		} else {
			m = g.member(now, f.Name)
			if m.says = f.Engine; m.learnCapacity(f.Engine) {
				g.resize(m)
			}
		}
		r := Replica{
			Name: f.Name, Key: m.key, Weight: max(1, f.Weight), Price: f.Price, Engine: f.Engine,
			InFlight: m.inFlight + int(m.remote.inFlight+0.5), Context: m.context + int(m.remote.context),
			Queue: m.wait(now), Usual: m.usual, Queued: m.queued + int(m.remote.queued), Prompt: tokens,
			Answer: answer, Reuse: g.model.reuse,
		}
		r.Hit = g.hit(m, &q.Chain, tokens)
		r.Prefill = m.speed * g.model.seconds(q.Work, tokens-r.Hit, tokens)
		r.Fill, r.Rests = m.fill(f.Engine), m.allot(shares.part(f), !q.Dry && !q.Held)
		r.Adapter = g.adapter * float64(m.adapters.loads(q.Adapter, &f.Engine))
		best = max(best, r.Hit)
		r.FirstToken, r.PerToken, r.Drag = m.firstToken, m.perToken, m.drag
		g.seen = append(g.seen, r)
	}
	g.prefer(1 - float64(best)/float64(max(1, tokens)))
	return g.seen
}

// hit is how many tokens of a prompt a replica is expected to have in its cache: not
// the last one, which is always computed.
func (g *Group) hit(m *member, c *prefix.Chain, tokens int) int {
	if c.Bytes == 0 {
		return 0
	}
	return g.believed(m, g.index.Lookup(m.slot, c), tokens)
}

// believed is hit for so many bytes that the index knows of.
func (g *Group) believed(m *member, known, tokens int) int {
	return max(0, min(int(m.trust*float64(g.model.tokens(known))), tokens-1))
}

// Ticket follows one attempt at a replica. The zero Ticket is ready, belongs to
// one request, and may be used again after Done.
type Ticket struct {
	group    *Group
	member   *member
	kind     Work
	sent     time.Time
	work     float64 // predicted seconds of prefill at the group's speed
	wait     float64 // predicted before it
	uncached int
	fresh    int // tokens that the replica is expected to store
	tokens   int
	context  int // tokens there when it was sent
	bytes    int
	hit      int
	query    *Query
	lane     uint64
	head     prefix.Mark
	loads    bool // its adapter was not there
	first    time.Time
	begun    bool
	taken    bool // the prompt is computed elsewhere
	own      struct {
		work          float64
		uncached, hit int
	} // what it is here, then
}

// Sent tells that the request goes to the replica of that name now. The query
// stays as it is until Done.
func (g *Group) Sent(now time.Time, q *Query, name string, t *Ticket) {
	g.mu.Lock()
	m := g.member(now, name)
	tokens := g.model.tokens(q.Chain.Bytes)
	if m.events.decide() {
		g.resizeFor(m, tokens)
	}
	hit := g.believed(m, g.index.Insert(m.slot, &q.Chain), tokens)
	*t = Ticket{
		group: g, member: m, kind: q.Work, sent: now, work: g.model.seconds(q.Work, tokens-hit, tokens), wait: m.wait(now),
		uncached: tokens - hit, fresh: tokens - hit, tokens: tokens, bytes: q.Chain.Bytes, hit: hit, lane: q.Chain.Lane,
		loads: m.adapters.loads(q.Adapter, &m.says) > 0,
	}
	m.adapters.use(q.Adapter, adaptersAt(&m.says))
	if q.Prefilled {
		t.own.work, t.own.uncached, t.own.hit = t.work, t.uncached, t.hit
		t.work, t.uncached, t.hit, t.taken = 0, 0, 0, true
	} else if q.Work == WorkPrompt {
		g.model.sent(hit, tokens)
		g.typical = smooth(g.typical, t.work, 1.0/recent)
	}
	if n := len(q.Chain.Marks); n > 0 {
		t.head = q.Chain.Marks[n-1]
	}
	t.query, t.context = q, m.context+int(m.remote.context)
	if m.part > 0 {
		m.due--
	}
	m.begin(now, t)
	g.mu.Unlock()
	g.say(t, DeltaSent)
}

// Alone tells of one that was sent with [Query.Prefilled] that its replica computes the
// prompt after all, from now on. Of any other it tells nothing.
func (t *Ticket) Alone(now time.Time) {
	if t.group == nil || !t.taken || t.begun {
		return
	}
	g := t.group
	g.say(t, DeltaDone)
	g.mu.Lock()
	m := t.member
	t.sent, t.wait, t.taken = now, m.wait(now), false
	t.work, t.uncached, t.hit = t.own.work, t.own.uncached, t.own.hit
	m.queued += t.uncached
	m.pending += t.work
	m.backlog += m.speed * t.work
	g.model.sent(t.hit, t.tokens)
	g.typical = smooth(g.typical, t.work, 1.0/recent)
	g.mu.Unlock()
	g.say(t, DeltaSent)
}

// First tells that its answer has begun, and returns by how many deviations of the
// group's that is later than expected of one of its replicas; 0 where nothing can be
// told. Later calls do nothing.
func (t *Ticket) First(now time.Time) (late float64) {
	if t.group == nil || t.begun {
		return 0
	}
	g := t.group
	g.mu.Lock()
	t.first, t.begun = now, true
	t.member.answer(now, t)
	took := now.Sub(t.sent).Seconds()
	switch {
	case t.taken: // by whoever computed the prompt
	case t.kind == WorkOther:
	case t.loads:
		g.learnAdapter(took - t.wait - t.member.speed*(g.model.fixed+t.work))
	default:
		late = g.learnFirst(t, took)
	}
	g.mu.Unlock()
	g.say(t, DeltaFirst)
	return late
}

// learnFirst takes in how long a first token took, and returns by how many deviations
// that is late.
func (g *Group) learnFirst(t *Ticket, took float64) (late float64) {
	t.member.learnSpeed(&g.model, t, took)
	if g.model.learn(t, t.member.speed, took) {
		g.late = lateness{}
		for _, m := range g.members {
			m.reading, m.speed = pace{}, 1 // they were set beside what nobody expects any more
		}
	}
	g.compare()
	return g.late.take(took, t.wait+g.model.fixed+t.work, len(g.members))
}

// Result is what became of an attempt.
type Result struct {
	OK     bool
	Input  int // prompt tokens as the target counted them; 0 is not known
	Cached int // of these from its cache; negative is not known
	Output int
}

// learnWhole takes in what an answer that was right has shown at its end.
func (g *Group) learnWhole(now time.Time, t *Ticket, r Result) {
	took := now.Sub(t.sent).Seconds()
	switch {
	case t.kind == WorkOther:
		g.apart.take(took, t.query.Size)
		return
	case t.kind == WorkText && !t.begun && !t.loads:
		g.learnFirst(t, took)
	}
	g.model.count(t, r)
}

// NothingSaid is Cached where a target counts what it has used and says of its cache
// nothing, or none: which of them, is known once it has told of some.
const NothingSaid = -2

// Done tells that the attempt has ended, however it did.
func (t *Ticket) Done(now time.Time, r Result) {
	g := t.group
	if g == nil {
		return
	}
	g.mu.Lock()
	if !t.begun {
		t.member.answer(now, t)
	}
	t.member.events.fade(now, t.member.remote.queued)
	t.member.end(t)
	if r.OK {
		// An engine frees a prompt's blocks when it has answered: they are the
		// youngest, then.
		if g.slots[t.member.slot] == t.member { // it may have gone meanwhile
			g.index.Insert(t.member.slot, &t.query.Chain)
		}
		t.member.limit.Done(t.member.inFlight)
		g.learnWhole(now, t, r)
		wrote := 0.0
		if t.begun {
			wrote = now.Sub(t.first).Seconds()
		}
		t.member.confirm(g, t, r, wrote)
	}
	g.mu.Unlock()
	if !t.begun {
		g.say(t, DeltaFirst) // a whole answer shows no first token, and its prefill is done all the same
	}
	g.say(t, DeltaDone)
	t.group = nil
}

func (g *Group) say(t *Ticket, kind DeltaKind) {
	if g.tell != nil {
		g.tell(Delta{Group: g.key, Replica: t.member.key, Kind: kind, Work: t.work, Tokens: t.tokens, Lane: t.lane, Head: t.head})
	}
}

// member returns the replica of that name, making it when it is new.
func (g *Group) member(now time.Time, name string) *member {
	m, ok := g.members[name]
	if ok {
		return m
	}
	slot := slices.Index(g.slots, nil)
	if slot < 0 {
		slot = len(g.slots)
		g.slots = append(g.slots, nil)
	}
	m = newMember(name, slot, now)
	g.slots[slot], g.members[name], g.byKey[m.key] = m, m, m
	g.resize(m)
	return m
}

// shadow is a replica as [Group.member] would have it, for a look that leaves no trace.
func (g *Group) shadow(now time.Time, f *Facts) *member {
	m := newMember(f.Name, noSlot, now)
	if known, ok := g.members[f.Name]; ok {
		*m = *known
	}
	m.learnCapacity(f.Engine)
	return m
}

// noSlot is the place in the index of who has none.
const noSlot = -1

// of calls do for the replicas that are a target's.
func (g *Group) of(target string, do func(m *member)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, m := range g.members {
		if strings.HasPrefix(name, target+"/") {
			do(m)
		}
	}
}

// forget lets go of a target's replicas. Attempts that are under way end at what
// nobody looks at any more.
func (g *Group) forget(target string) {
	g.of(target, func(m *member) {
		g.index.Clear(m.slot)
		delete(g.members, m.name)
		delete(g.byKey, m.key)
		g.slots[m.slot] = nil
	})
}
