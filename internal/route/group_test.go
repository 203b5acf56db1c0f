package route

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/models"
	"tailplane/internal/prefix"
)

var begin = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)

func newTestGroup(policy string) *Group {
	return NewGroup("m", NewPolicy(models.Policy{Name: policy}), nil)
}

// prompt is a conversation with so many checkpoints of 512 tokens.
func prompt(lane uint64, marks int) prefix.Chain {
	c := prefix.Chain{Lane: lane}
	at := lane
	for i := range marks {
		at = mix(at)
		c.Marks = append(c.Marks, prefix.Mark{Hash: at, End: 2048 * (i + 1)})
	}
	c.Bytes = 2048*marks + 100
	return c
}

func facts(n int) []Facts {
	var out []Facts
	for i := range n {
		out = append(out, Facts{Name: fmt.Sprintf("r%d/m", i)})
	}
	return out
}

func TestAConversationReturnsToItsCache(t *testing.T) {
	g, fs := newTestGroup("auto"), facts(8)
	now := begin
	for lane := range uint64(40) {
		home := -1
		for turn := 4; turn < 20; turn += 4 {
			q := Query{Chain: prompt(lane+1, turn), Roll: lane}
			var d Decision
			g.Pick(now, &q, fs, &d, true)
			if home >= 0 && (d.Order[0] != home || d.Replicas[home].Hit < (turn-4)*400) {
				t.Fatalf("lane %d, turn %d: %d (hit %d), its home is %d", lane, turn, d.Order[0], d.Replicas[home].Hit, home)
			}
			home = d.Order[0]
			var tk Ticket
			g.Sent(now, &q, fs[home].Name, &tk)
			now = now.Add(200 * time.Millisecond)
			tk.First(now)
			now = now.Add(2 * time.Second)
			tk.Done(now, Result{OK: true, Cached: -1, Output: 100})
		}
	}
}

// TestWhateverHappensNothingIsLeft: after any interleaving of attempts that end, a
// group has nothing in flight, and every decision ranks every candidate once.
func TestWhateverHappensNothingIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := models.Policies()
		policy := NewPolicy(models.Policy{Name: rapid.SampledFrom(names).Draw(t, "policy")})
		if policy == nil {
			t.Skip("it ranks nothing")
		}
		g, fs, now := NewGroup("m", policy, nil), facts(rapid.IntRange(1, 5).Draw(t, "replicas")), begin
		open := map[int]*Ticket{}
		queries := map[int]*Query{}
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			if rapid.Bool().Draw(t, "new") || len(open) == 0 {
				q := &Query{Chain: prompt(uint64(rapid.IntRange(1, 3).Draw(t, "lane")), rapid.IntRange(0, 30).Draw(t, "marks")), Roll: rapid.Uint64().Draw(t, "roll"), Session: uint64(rapid.IntRange(0, 2).Draw(t, "session")), Prefilled: rapid.Bool().Draw(t, "elsewhere")}
				var d Decision
				g.Pick(now, q, fs, &d, false)
				if sorted := slices.Sorted(slices.Values(d.Order)); len(sorted) != len(fs) || sorted[0] != 0 || len(slices.Compact(sorted)) != len(fs) {
					t.Fatalf("the order %v is no permutation of %d", d.Order, len(fs))
				}
				open[step], queries[step] = &Ticket{}, q
				g.Sent(now, q, fs[d.Order[0]].Name, open[step])
				continue
			}
			which := rapid.SampledFrom(slices.Sorted(keys(open))).Draw(t, "which")
			if rapid.Bool().Draw(t, "first") {
				open[which].First(now)
				continue
			}
			open[which].Done(now, Result{OK: rapid.Bool().Draw(t, "ok"), Input: 100, Cached: rapid.IntRange(-1, 9000).Draw(t, "cached"), Output: 3})
			open[which].Done(now, Result{}) // a second time changes nothing
			delete(open, which)
		}
		for _, tk := range open {
			tk.Done(now, Result{})
		}
		for _, m := range g.slots {
			if m.inFlight != 0 || m.context != 0 || m.queued != 0 || math.Abs(m.pending) > 1e-6 {
				t.Fatalf("%s has left %d in flight, %d tokens, %d queued, %g s", m.name, m.inFlight, m.context, m.queued, m.pending)
			}
		}
	})
}

func keys(m map[int]*Ticket) func(func(int) bool) {
	return func(yield func(int) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// serve plays requests one after the other at a group whose replicas take what
// took says, and returns how many each got.
func serve(g *Group, fs []Facts, n int, took func(replica, tokens, cached int) (first, each float64), cached func(hit int) int) []int {
	got, now := make([]int, len(fs)), begin
	for i := range n {
		q := Query{Chain: prompt(uint64(i+1), 4+i%60), Roll: mix(uint64(i))}
		var d Decision
		g.Pick(now, &q, fs, &d, true)
		at := d.Order[0]
		got[at]++
		var tk Ticket
		g.Sent(now, &q, fs[at].Name, &tk)
		tokens := q.Chain.Bytes / 4
		first, each := took(at, tokens, 0)
		now = now.Add(time.Duration(first * 1e9))
		tk.First(now)
		now = now.Add(time.Duration(99 * each * 1e9))
		tk.Done(now, Result{OK: true, Input: tokens, Cached: cached(tk.hit), Output: 100})
	}
	return got
}

// TestAGroupLearnsItsEngine: from constants that are far off, by answers alone.
func TestAGroupLearnsItsEngine(t *testing.T) {
	g := newTestGroup("auto")
	const linear, pair, fixed = 120e-6, 4e-9, 0.05
	serve(g, facts(4), 800, func(_, tokens, _ int) (float64, float64) {
		u, pairs := shape(tokens, tokens)
		return fixed + linear*u + pair*pairs, 0.02
	}, func(int) int { return -1 })
	for _, tokens := range []int{3000, 10000, 30000} {
		u, pairs := shape(tokens, tokens)
		want := fixed + linear*u + pair*pairs
		if got := g.model.fixed + g.model.prefill(tokens, tokens); math.Abs(got/want-1) > 0.1 {
			t.Errorf("%d tokens: %.3f s expected, %.3f s are true", tokens, got, want)
		}
	}
}

// TestAnEngineFarSlowerThanThePriorIsLearnedSoon: small models on CPUs take hundreds
// of times longer for a token. A few late answers prove nothing, and none that
// others may have delayed.
func TestAnEngineFarSlowerThanThePriorIsLearnedSoon(t *testing.T) {
	alone := func(u float64) float64 { return 0.05 + 10e-3*u }
	usual := func(u float64) float64 { return priorFixed + priorLinear*u }
	for name, c := range map[string]struct {
		answers     int
		context     int
		took        func(answer int, u float64) float64
		least, most float64 // times the prior, for 500 tokens
	}{
		"alone":         {40, 0, func(_ int, u float64) float64 { return alone(u) }, 120, 250},
		"with noise":    {40, 0, func(i int, u float64) float64 { return alone(u) * float64(1+i%3) }, 120, 500},
		"often late":    {160, 0, func(i int, u float64) float64 { return usual(u) * []float64{8, 1}[i%surely/(surely-1)] }, 1, 3},
		"beside others": {12, 5000, func(_ int, u float64) float64 { return 100 * usual(u) }, 1, 2},
	} {
		m := newModel()
		for i := range c.answers {
			tokens := 200 + 37*(i*7%20)
			m.learn(&Ticket{uncached: tokens, tokens: tokens, context: c.context}, 1, c.took(i, float64(tokens)))
		}
		if got := (m.fixed + m.prefill(500, 500)) / usual(500); got < c.least || got > c.most {
			t.Errorf("%s: %.0f times the prior, want %.0f to %.0f", name, got, c.least, c.most)
		}
	}
}

// TestNothingFoundIsBelievedOfThoseThatTell: no count of what came from the cache
// may mean none, and does at a target that has told of some.
func TestNothingFoundIsBelievedOfThoseThatTell(t *testing.T) {
	for _, tells := range []bool{true, false} {
		g, fs, now := newTestGroup("auto"), facts(1), begin
		q := Query{Chain: prompt(7, 40)}
		for i := range 300 {
			r := Result{OK: true, Input: 20505, Cached: NothingSaid, Output: 10}
			if i == 0 && tells {
				r.Cached = 16
			}
			var tk Ticket
			g.Sent(now, &q, fs[0].Name, &tk)
			now = now.Add(time.Second)
			tk.Done(now, r)
		}
		if got := g.members["r0/m"].trust < 0.2; got != tells {
			t.Errorf("tells %v: trust is %.2f", tells, g.members["r0/m"].trust)
		}
	}
}

func TestASlowReplicaIsFoundAndGetsLess(t *testing.T) {
	g := newTestGroup("auto")
	got := serve(g, facts(4), 800, func(replica, tokens, _ int) (float64, float64) {
		u, pairs := shape(tokens, tokens)
		first := 0.01 + 33e-6*u + 1.1e-9*pairs
		if replica == 2 {
			return 2 * first, 0.02
		}
		return first, 0.01
	}, func(int) int { return -1 })
	slow := g.members["r2/m"]
	if slow.speed < 1.6 || slow.speed > 2.4 || slow.drag < 1.6 || slow.drag > 2.4 {
		t.Errorf("speed %.2f, drag %.2f; both are 2", slow.speed, slow.drag)
	}
	if got[2] > 100 {
		t.Errorf("the slow one got %v of 800", got)
	}
}

// TestAGroupLearnsItsAnswers: how long they are, and how much of prompts is cached;
// a caller that allows less gets no more.
func TestAGroupLearnsItsAnswers(t *testing.T) {
	g, fs := newTestGroup("auto"), facts(2)
	for turn := range 400 {
		q := Query{Chain: prompt(1, 4+turn)}
		var tk Ticket
		g.Sent(begin, &q, fs[0].Name, &tk)
		tk.Done(begin, Result{OK: true, Cached: -1, Output: 900})
	}
	for most, want := range map[int]float64{0: 900, 50: 50, 4000: 900} {
		var d Decision
		g.Pick(begin, &Query{Chain: prompt(1, 500), Output: most}, fs, &d, true)
		if r := d.Replicas[1]; math.Abs(r.Answer-want) > 5 || r.Reuse < 0.95 || r.Reuse > 1 {
			t.Errorf("with %d allowed an answer of %.0f tokens is expected, want %.0f; %.2f of a prompt is cached", most, r.Answer, want, r.Reuse)
		}
	}
}

// TestWhoIsHeldBack: those for which it matters what others do at the same instant.
func TestWhoIsHeldBack(t *testing.T) {
	long := prompt(9, 40)
	cases := []struct {
		name  string
		peers []string
		query Query
		busy  []int // replicas to which others have sent much
		held  bool
	}{
		{"nobody else decides", nil, Query{Chain: long}, []int{0}, false},
		{"its own replica is idle", []string{"peer"}, Query{Chain: long}, nil, false},
		{"its own is busy", []string{"peer"}, Query{Chain: long}, []int{0, 2}, true},
		{"all are busy", []string{"peer"}, Query{Chain: long}, []int{0, 1, 2, 3}, true},
		{"it was held back before", []string{"peer"}, Query{Chain: long, Held: true}, []int{0, 2}, false},
		{"somebody only asks", []string{"peer"}, Query{Chain: long, Dry: true}, []int{0, 2}, false},
		{"it is short", []string{"peer"}, Query{Chain: prompt(9, 1)}, []int{0, 2}, false},
		{"there is one replica that can take it soon", []string{"peer"}, Query{Chain: long}, []int{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}, false},
	}
	for _, c := range cases {
		g, fs := newTestGroup("auto"), facts(4)
		var d Decision
		g.Pick(begin, &Query{}, fs, &d, false)
		var tk Ticket
		g.Sent(begin, &Query{Chain: prompt(3, 40)}, fs[3].Name, &tk) // what is typical
		tk.Done(begin, Result{OK: true, Cached: -1})
		for _, peer := range c.peers {
			g.Apply(begin, peer, Delta{Replica: Hash(fs[0].Name), Kind: DeltaDone})
			for _, i := range c.busy {
				g.Apply(begin, peer, Delta{Replica: Hash(fs[i].Name), Kind: DeltaSent, Work: 1.5, Tokens: 30_000})
			}
		}
		d.Order = d.Order[:0]
		g.Pick(begin, &c.query, fs, &d, false)
		if held := d.Hold > 0; held != c.held || held && (d.Hold < 50*time.Millisecond || d.Hold > 100*time.Millisecond) {
			t.Errorf("%s: it is held back for %v", c.name, d.Hold)
		}
	}
}

// TestAnEngineWithoutACacheIsNotBelieved: it says that it found nothing, whatever
// is expected.
func TestAnEngineWithoutACacheIsNotBelieved(t *testing.T) {
	g, fs, now := newTestGroup("auto"), facts(2), begin
	q := Query{Chain: prompt(7, 40)}
	for range 300 {
		var tk Ticket
		g.Sent(now, &q, fs[0].Name, &tk)
		now = now.Add(time.Second)
		tk.First(now)
		tk.Done(now.Add(time.Second), Result{OK: true, Input: 20505, Cached: 0, Output: 10})
	}
	var d Decision
	g.Pick(now.Add(time.Minute), &q, fs, &d, true)
	if hit := d.Replicas[0].Hit; hit > 20505/8 {
		t.Errorf("a hit of %d of 20505 tokens is still expected", hit)
	}
}

// BenchmarkDecide is a whole decision over eight replicas with full caches, from the
// body's bytes on: canonical form, checkpoints, ranking, and what is told of it
// afterwards. JSON parsing is inside.
func BenchmarkDecide(b *testing.B) {
	for _, size := range []int{4 << 10, 400 << 10} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			g, fs := newTestGroup("auto"), facts(8)
			body := conversation(size)
			var q Query
			var d Decision
			var tk Ticket
			times := make([]time.Duration, 0, 1<<20)
			now := begin
			for i := 0; b.Loop(); i++ {
				start := time.Now()
				body[len(body)-40] = byte('a' + i%26)
				q.Chain.Reset()
				prefix.FromBody(&q.Chain, uint64(i%64), body)
				d.Order = d.Order[:0]
				g.Pick(now, &q, fs, &d, false)
				g.Sent(now, &q, fs[d.Order[0]].Name, &tk)
				now = now.Add(time.Millisecond)
				tk.First(now)
				tk.Done(now, Result{OK: true, Cached: -1, Output: 10})
				if len(times) < cap(times) {
					times = append(times, time.Since(start))
				}
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1e3, "p50-us")
			b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1e3, "p99-us")
		})
	}
}

// conversation is a chat body of about that size.
func conversation(size int) []byte {
	body := []byte(`{"model":"m","messages":[{"role":"system","content":"You are brief."}`)
	for len(body) < size-200 {
		body = append(body, `,{"role":"user","content":"`...)
		for range min(40, (size-len(body))/60+1) {
			body = append(body, "It was said that the order of things is what it is, or so. "...)
		}
		body = append(body, `"}`...)
	}
	return append(body, `,{"role":"user","content":"What now? aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]}`...)
}

// TestWhatOthersTellNeverBreaksADecision: whatever comes, in whatever order and
// however often, counters are not negative and every candidate is ranked once.
func TestWhatOthersTellNeverBreaksADecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, fs, now := newTestGroup("auto"), facts(3), begin
		var d Decision
		g.Pick(now, &Query{}, fs, &d, false)
		for range rapid.IntRange(0, 80).Draw(t, "deltas") {
			now = now.Add(time.Duration(rapid.IntRange(-5, 400_000).Draw(t, "ms")) * time.Millisecond)
			g.Apply(now, rapid.SampledFrom([]string{"x", "y"}).Draw(t, "peer"), Delta{
				Replica: rapid.SampledFrom([]uint64{Hash("r0/m"), Hash("r1/m"), 7}).Draw(t, "replica"), Kind: DeltaKind(rapid.IntRange(0, 4).Draw(t, "kind")),
				Work: rapid.SampledFrom([]float64{0, 0.5, -1, math.NaN(), math.Inf(1), 100}).Draw(t, "work"), Tokens: rapid.IntRange(-10, 1<<30).Draw(t, "tokens"),
				Head: prefix.Mark{Hash: rapid.Uint64().Draw(t, "head"), End: rapid.IntRange(-5, 1<<30).Draw(t, "end")},
			})
			if rapid.IntRange(0, 9).Draw(t, "silent") == 0 {
				g.Silent(now, "x")
			}
		}
		for _, m := range g.members {
			if r := m.remote; r.inFlight < 0 || r.context < 0 || r.queued < 0 || r.pending < 0 || math.IsNaN(m.backlog) || m.backlog < 0 {
				t.Fatalf("%s: %+v, backlog %g", m.name, r, m.backlog)
			}
		}
		d.Order = d.Order[:0]
		g.Pick(now, &Query{Chain: prompt(3, 9)}, fs, &d, false)
		if slices.Sort(d.Order); !slices.Equal(d.Order, []int{0, 1, 2}) {
			t.Fatalf("order %v", d.Order)
		}
	})
}

func TestAPeersLoadCountsUntilItIsTakenBackOrFades(t *testing.T) {
	g, fs := newTestGroup("auto"), facts(2)
	var d Decision
	g.Pick(begin, &Query{}, fs, &d, false)
	sent := Delta{Replica: Hash("r0/m"), Kind: DeltaSent, Work: 4, Tokens: 60_000}
	for range 4 {
		g.Apply(begin, "peer", sent)
	}
	load := func(after time.Duration) Replica {
		d.Order = d.Order[:0]
		g.Pick(begin.Add(after), &Query{Chain: prompt(1, 2)}, fs, &d, true)
		return d.Replicas[0]
	}
	if r := load(0); r.InFlight != 4 || r.Queue < 15 || d.Order[0] != 1 {
		t.Errorf("at once: %d in flight, queue %.1f s, order %v", r.InFlight, r.Queue, d.Order)
	}
	g.Apply(begin.Add(time.Second), "peer", Delta{Replica: sent.Replica, Kind: DeltaDone, Tokens: 60_000})
	if r := load(time.Second); r.InFlight != 3 {
		t.Errorf("when one is done: %d", r.InFlight)
	}
	if r := load(30 * time.Minute); r.InFlight != 0 {
		t.Errorf("half an hour later: %d in flight are still believed", r.InFlight)
	}
	for range 4 {
		g.Apply(begin.Add(time.Hour), "peer", sent)
	}
	g.Silent(begin.Add(time.Hour), "peer")
	if r := load(time.Hour); r.InFlight != 0 || r.Queue != 0 {
		t.Errorf("of a silent peer %d in flight, %.1f s are left", r.InFlight, r.Queue)
	}
}

func TestATurnReturnsToWhereAnotherGatewaySentIt(t *testing.T) {
	told := []Delta{}
	a := NewGroup("m", NewPolicy(models.Policy{Name: "auto"}), func(d Delta) { told = append(told, d) })
	b, fs := newTestGroup("auto"), facts(4)
	var d Decision
	b.Pick(begin, &Query{}, fs, &d, false)
	q := Query{Chain: prompt(5, 20)}
	var tk Ticket
	a.Sent(begin, &q, "r2/m", &tk)
	tk.First(begin.Add(time.Second))
	tk.Done(begin.Add(2*time.Second), Result{OK: true, Cached: -1})
	if len(told) != 3 {
		t.Fatalf("%d steps were told, want 3", len(told))
	}
	for _, step := range told {
		b.Apply(begin.Add(2*time.Second), "a", step)
	}
	next := Query{Chain: prompt(5, 24)}
	d.Order = d.Order[:0]
	b.Pick(begin.Add(5*time.Second), &next, fs, &d, true)
	if d.Order[0] != 2 || d.Replicas[2].Hit == 0 {
		t.Errorf("it goes to %d, with a hit of %d at its home", d.Order[0], d.Replicas[2].Hit)
	}
}

// TestWorkSaysHowMuchWasNotCached: a peer tells seconds, from which the tokens are
// found again, however long the prompt is.
func TestWorkSaysHowMuchWasNotCached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		tokens := rapid.IntRange(1, 500_000).Draw(t, "tokens")
		uncached := rapid.IntRange(1, tokens).Draw(t, "uncached")
		if got := m.uncached(m.prefill(uncached, tokens), tokens); math.Abs(got-float64(uncached)) > 0.01*float64(uncached)+1 {
			t.Fatalf("%d of %d tokens became %.1f", uncached, tokens, got)
		}
	})
}

// TestAReplicaThatHasGoneLeavesNothingToItsSuccessor: neither what it held, nor what
// it answers late.
func TestAReplicaThatHasGoneLeavesNothingToItsSuccessor(t *testing.T) {
	g := newTestGroup("auto")
	q := Query{Chain: prompt(7, 40)}
	var tk Ticket
	g.Sent(begin, &q, "old/m", &tk)
	g.forget("old")
	var d Decision
	g.Pick(begin, &Query{}, []Facts{{Name: "new/m"}}, &d, false) // it gets the slot
	tk.First(begin.Add(time.Second))
	tk.Done(begin.Add(2*time.Second), Result{OK: true, Cached: -1, Output: 9})
	d.Order = d.Order[:0]
	g.Pick(begin.Add(3*time.Second), &q, []Facts{{Name: "new/m"}}, &d, true)
	if r := d.Replicas[0]; r.Hit != 0 || r.InFlight != 0 || r.Context != 0 || len(g.slots) != 1 {
		t.Errorf("%+v in %d slots", r, len(g.slots))
	}
}

// TestAPromptThatIsComputedElsewhereIsNoWork: it takes room and no time, its first token
// teaches nothing of speeds, and its replica holds it afterwards.
func TestAPromptThatIsComputedElsewhereIsNoWork(t *testing.T) {
	g := NewGroup("g", auto{}, nil)
	now := time.Unix(1_700_000_000, 0)
	q := &Query{Chain: prompt(7, 20), Prefilled: true}
	tokens := q.Chain.Bytes / priorBytesPerToken
	facts := []Facts{{Name: "a"}}
	var ticket Ticket
	g.Sent(now, q, "a", &ticket)
	q.Prefilled = false
	look := func() Replica {
		var d Decision
		g.Pick(now, &Query{Chain: q.Chain}, facts, &d, true)
		return d.Replicas[0]
	}
	if r := look(); r.InFlight != 1 || r.Context != tokens || r.Queue != 0 || r.Queued != 0 {
		t.Errorf("sent: %+v", r)
	}
	before := g.model
	now = now.Add(20 * time.Second)
	ticket.First(now)
	ticket.Done(now, Result{OK: true, Output: 1})
	before.answer = g.model.answer // the answer is its own
	if g.model != before {
		t.Errorf("it has taught %+v, after %+v", g.model, before)
	}
	if r := look(); r.InFlight != 0 || r.Context != 0 || r.Queued != 0 || r.Hit < tokens*9/10 {
		t.Errorf("done: %+v", r)
	}
}
