package route

import (
	"slices"
	"testing"
	"time"

	"tailplane/internal/models"
	"tailplane/internal/prefix"
)

// TestEveryNameHasItsPolicy: what the config accepts is there, and the other way
// round.
func TestEveryNameHasItsPolicy(t *testing.T) {
	unranked := []string{models.PolicyWeighted, models.PolicyPriority}
	for _, name := range models.Policies() {
		if NewPolicy(models.Policy{Name: name}) == nil && !slices.Contains(unranked, name) {
			t.Errorf("the config accepts %q and nothing ranks by it", name)
		}
	}
	for name := range policies {
		if !slices.Contains(models.Policies(), name) {
			t.Errorf("policy %q cannot be asked for", name)
		}
	}
}

// three are replicas with keys that tests can count on.
func three(change func(rs []Replica)) []Replica {
	var rs []Replica
	for i, name := range []string{"a", "b", "c"} {
		rs = append(rs, Replica{Name: name, Key: uint64(i + 1), Weight: 1, Prompt: 1000, Answer: 200, Reuse: 1, Drag: 1})
	}
	change(rs)
	return rs
}

func TestPoliciesAskTheOneThatTheyAreFor(t *testing.T) {
	busy := func(rs []Replica) { rs[0].InFlight, rs[1].InFlight, rs[2].InFlight = 3, 1, 2 }
	cases := []struct {
		name   string
		policy models.Policy
		query  Query
		state  func(rs []Replica)
		want   string
	}{
		{"the least in flight", models.Policy{Name: "least_request"}, Query{Roll: 7}, busy, "b"},
		{"the cheapest, though it is busy", models.Policy{Name: "lowest_cost"}, Query{}, func(rs []Replica) { rs[0].Price, rs[1].Price, rs[2].Price, rs[1].InFlight = 2, 1, 2, 9 }, "b"},
		{"the quickest for a short answer", models.Policy{Name: "lowest_latency"}, Query{Output: 10}, func(rs []Replica) {
			rs[0].FirstToken, rs[1].FirstToken, rs[2].FirstToken = .5, .1, .4
			rs[0].PerToken, rs[1].PerToken, rs[2].PerToken = .01, .08, .015
		}, "c"},
		{"and for one of one token", models.Policy{Name: "lowest_latency"}, Query{Output: 1}, func(rs []Replica) {
			rs[0].FirstToken, rs[1].FirstToken, rs[2].FirstToken = .5, .1, .4
			rs[0].PerToken, rs[1].PerToken, rs[2].PerToken = .01, .08, .015
		}, "b"},
		{"one that nothing is known of", models.Policy{Name: "lowest_latency"}, Query{Output: 1}, func(rs []Replica) { rs[0].FirstToken, rs[1].FirstToken = .5, .1 }, "c"},
		{"the match, when it is long enough", models.Policy{Name: "cache_aware"}, Query{}, func(rs []Replica) { busy(rs); rs[0].Hit = 400 }, "a"},
		{"not one that is too short", models.Policy{Name: "cache_aware"}, Query{}, func(rs []Replica) { busy(rs); rs[0].Hit = 200 }, "b"},
		{"nor one when the load is out of balance", models.Policy{Name: "cache_aware"}, Query{}, func(rs []Replica) { rs[0].Hit, rs[0].InFlight, rs[2].InFlight = 900, 70, 1 }, "b"},
		{"a lower bound of balance", models.Policy{Name: "cache_aware", ImbalanceAbs: 1}, Query{}, func(rs []Replica) { rs[0].Hit, rs[0].InFlight, rs[2].InFlight = 900, 3, 1 }, "b"},
		{"the least product", models.Policy{Name: "lmetric"}, Query{}, func(rs []Replica) { busy(rs); rs[0].Hit, rs[2].Hit = 900, 400 }, "a"},
		{"of nobody busy the best match", models.Policy{Name: "lmetric"}, Query{}, func(rs []Replica) { rs[2].Hit = 10 }, "c"},
		{"with the queue counted another", models.Policy{Name: "lmetric", Form: "queued"}, Query{}, func(rs []Replica) {
			rs[0].Queued, rs[1].Queued, rs[2].Queued = 5000, 100, 4000
			rs[0].Context, rs[1].Context, rs[2].Context = 100, 900, 900
		}, "a"},
		{"it stays with its match", models.Policy{Name: "smetric"}, Query{}, func(rs []Replica) { rs[1].Hit, rs[1].Queue, rs[1].InFlight = 800, 1.5, 4 }, "b"},
		{"but not beyond the objective", models.Policy{Name: "smetric", TTFT: time.Second}, Query{}, func(rs []Replica) {
			rs[0].InFlight, rs[0].Queue = 1, .1
			rs[1].Hit, rs[1].Queue, rs[1].InFlight = 800, 1.5, 4
			rs[2].InFlight, rs[2].Queue = 1, .01
		}, "c"},
		{"the least memory in use", models.Policy{Name: "least_kv"}, Query{}, func(rs []Replica) { rs[0].Fill, rs[1].Fill, rs[2].Fill = .8, .5, .3 }, "c"},
		{"of nobody that tells the least in flight", models.Policy{Name: "least_kv"}, Query{}, busy, "b"},
		{"much memory outweighs a request", models.Policy{Name: "least_kv"}, Query{}, func(rs []Replica) { rs[0].Fill, rs[1].Fill, rs[2].Fill, rs[2].InFlight = .9, .8, .1, 1 }, "c"},
		{"one that holds the prompt, at nearly the same load", models.Policy{Name: "least_kv"}, Query{}, func(rs []Replica) { rs[0].Fill, rs[1].Fill, rs[2].Fill, rs[1].Hit = .3, .35, .3, 999 }, "b"},
		{"not at much more", models.Policy{Name: "least_kv"}, Query{}, func(rs []Replica) { rs[0].Fill, rs[1].Fill, rs[2].Fill, rs[1].Hit = .3, .45, .35, 999 }, "a"},
		{"the weighted scores", models.Policy{Name: "llmd"}, Query{}, func(rs []Replica) {
			rs[0].Engine.Waiting, rs[1].Engine.Waiting, rs[2].Engine.Waiting = 4, 0, 2
			rs[0].Engine.KVUsage, rs[1].Engine.KVUsage, rs[2].Engine.KVUsage = .1, .9, .2
			rs[2].Hit = 300
		}, "c"},
		{"auto: the cache, while the wait is shorter than the prefill", models.Policy{Name: "auto"}, Query{}, func(rs []Replica) {
			rs[0].Prefill, rs[1].Prefill, rs[2].Prefill = .05, .5, .5
			rs[0].Queue = 1
		}, "a"},
		{"auto: not any longer", models.Policy{Name: "auto"}, Query{}, func(rs []Replica) {
			rs[0].Prefill, rs[1].Prefill, rs[2].Prefill = .05, .5, .5
			rs[0].Queue, rs[1].Queue = 2, .1
		}, "c"},
		{"auto: not where memory runs out", models.Policy{Name: "auto"}, Query{}, func(rs []Replica) { rs[0].Fill, rs[1].Fill, rs[2].Fill = .9, .95, .5 }, "c"},
		{"auto: not where tokens crowd", models.Policy{Name: "auto"}, Query{}, func(rs []Replica) { rs[0].Context, rs[1].Context, rs[2].Context = 90000, 1000, 50000 }, "b"},
		{"auto: but for those that will have gone", models.Policy{Name: "auto"}, Query{}, func(rs []Replica) {
			rs[0].Context, rs[0].Reuse, rs[1].Reuse, rs[1].Queue, rs[2].Queue = 90000, 0, 0, .1, .2
		}, "a"},
		{"auto: a short prompt where others are answered", models.Policy{Name: "auto"}, Query{}, func(rs []Replica) { rs[0].InFlight, rs[1].Queue, rs[2].Queue = 1, .1, .2 }, "a"},
		{"auto: a long one not", models.Policy{Name: "auto"}, Query{}, func(rs []Replica) {
			for i := range rs {
				rs[i].Prompt = 100_000
			}
			rs[0].InFlight, rs[1].Queue, rs[2].Queue = 1, .1, .2
		}, "b"},
		{"auto: a cent is a second", models.Policy{Name: "auto"}, Query{}, func(rs []Replica) { rs[0].Price, rs[1].Price, rs[2].Price, rs[2].Queue = .01, .02, 0, .9 }, "c"},
	}
	for _, c := range cases {
		rs := three(c.state)
		if why := NewPolicy(c.policy).Rank(&c.query, rs); why == "" {
			t.Errorf("%s: no reason", c.name)
		}
		if best := slices.MinFunc(rs, func(a, b Replica) int { return int(1e6 * (a.Cost - b.Cost)) }); best.Name != c.want {
			t.Errorf("%s: %s, want %s (%+v)", c.name, best.Name, c.want, []float64{rs[0].Cost, rs[1].Cost, rs[2].Cost})
		}
	}
}

// shares counts how often each replica is first in so many decisions.
func shares(p Policy, n int, query func(i int) Query, state func(rs []Replica)) map[string]int {
	out := map[string]int{}
	for i := range n {
		q := query(i)
		rs := three(state)
		p.Rank(&q, rs)
		best := 0
		for k := range rs {
			if rs[k].Cost < rs[best].Cost {
				best = k
			}
		}
		out[rs[best].Name]++
	}
	return out
}

func TestPoliciesSpread(t *testing.T) {
	idle := func([]Replica) {}
	rolls := func(i int) Query { return Query{Roll: mix(uint64(i))} }
	for _, name := range []string{"random", "round_robin", "p2c", "least_request"} {
		got := shares(NewPolicy(models.Policy{Name: name}), 3000, rolls, idle)
		for _, r := range []string{"a", "b", "c"} {
			if got[r] < 850 || got[r] > 1150 {
				t.Errorf("%s: %v of 3000", name, got)
			}
		}
	}
	// The two drawn of three leave the busiest out of every decision.
	got := shares(NewPolicy(models.Policy{Name: "p2c"}), 3000, rolls, func(rs []Replica) { rs[1].InFlight = 5 })
	if got["b"] != 0 || got["a"] < 1300 {
		t.Errorf("p2c: %v of 3000", got)
	}
}

// TestHashesKeepWhatBelongsTogether: a session or a lane has one replica, and
// many of them have all.
func TestHashesKeepWhatBelongsTogether(t *testing.T) {
	idle := func([]Replica) {}
	for name, query := range map[string]func(i int) Query{
		"session": func(i int) Query { return Query{Session: mix(uint64(i)), Roll: 1} },
		"chwbl":   func(i int) Query { return Query{Chain: prefix.Chain{Lane: mix(uint64(i))}} },
	} {
		p := NewPolicy(models.Policy{Name: name})
		if got := shares(p, 300, func(int) Query { return query(42) }, idle); len(got) != 1 {
			t.Errorf("%s: one has several: %v", name, got)
		}
		for r, n := range shares(p, 3000, query, idle) {
			if n < 600 || n > 1400 {
				t.Errorf("%s: %s has %d of 3000", name, r, n)
			}
		}
	}
	// A replica beyond the bound gives its lanes to the next on the ring.
	p := NewPolicy(models.Policy{Name: "chwbl"})
	lane := func(int) Query { return Query{Chain: prefix.Chain{Lane: 42}} }
	home := shares(p, 1, lane, idle)
	got := shares(p, 1, lane, func(rs []Replica) {
		for i := range rs {
			if home[rs[i].Name] == 1 {
				rs[i].InFlight = 10
			}
		}
	})
	for r := range home {
		if got[r] != 0 {
			t.Errorf("the busy home %s keeps its lane: %v", r, got)
		}
	}
}

func TestCacheAwareRemembersSessions(t *testing.T) {
	p := NewPolicy(models.Policy{Name: "cache_aware"})
	at := time.Unix(0, 0)
	query := func(after time.Duration) func(int) Query {
		return func(int) Query { return Query{Session: 9, Now: at.Add(after)} }
	}
	shares(p, 1, query(0), func(rs []Replica) { rs[0].InFlight, rs[2].InFlight = 1, 1 })
	if got := shares(p, 1, query(time.Minute), func(rs []Replica) { rs[1].InFlight = 5 }); got["b"] != 1 {
		t.Errorf("a minute later: %v, want b", got)
	}
	if got := shares(p, 1, query(3*time.Hour), func(rs []Replica) { rs[1].InFlight = 5 }); got["b"] != 0 {
		t.Errorf("hours later: %v", got)
	}
}

// TestNamesWithPoliciesOfTheirOwnShareAGroup: each keeps its turn, whatever the others
// do, and all see the same load.
func TestNamesWithPoliciesOfTheirOwnShareAGroup(t *testing.T) {
	var gs Groups
	g := gs.Group("m")
	if gs.Group("m") != g || gs.Peek("m") != g || gs.Peek("n") == gs.Group("n") {
		t.Fatal("a name has not one group")
	}
	facts := []Facts{{Name: "a/m"}, {Name: "b/m"}, {Name: "c/m"}}
	now := time.Unix(1_800_000_000, 0)
	pick := func(p models.Policy) (string, Why) {
		var d Decision
		q := Query{Policy: p, Roll: 1}
		g.Pick(now, &q, facts, &d, false)
		var ticket Ticket
		g.Sent(now, &q, facts[d.Order[0]].Name, &ticket)
		return facts[d.Order[0]].Name, d.Why
	}
	for i := range 6 {
		if at, why := pick(models.Policy{Name: "round_robin"}); at != facts[i%3].Name || why != "its turn" {
			t.Errorf("turn %d is at %s: %s", i, at, why)
		}
		pick(models.Policy{Name: "random"})
		if _, why := pick(models.Policy{Name: models.PolicyAuto}); why != WhyCost {
			t.Errorf("auto ranks by %s", why)
		}
	}
	d := Decision{}
	g.Pick(now, &Query{Policy: models.Policy{Name: "least_request"}}, facts, &d, true)
	total := 0
	for _, r := range d.Replicas {
		total += r.InFlight
	}
	if total != 18 {
		t.Errorf("%d are in flight for the last one, and 18 were sent", total)
	}
	for i := range 100 { // callers cannot make it keep more and more
		g.Pick(now, &Query{Policy: models.Policy{Name: "chwbl", LoadFactor: 101 + i}}, facts, &d, false)
	}
	if n := len(g.asked); n > mostPolicies {
		t.Errorf("it keeps %d policies", n)
	}
}
