package route

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tailplane/internal/models"
)

// step is something that becomes of a request that was sent.
type step struct {
	at    time.Time
	first bool
	of    *Ticket
}

// crowd is traffic to four replicas that are alike, but for the penalty of d.
type crowd struct {
	policy  string
	first   time.Duration // until a first token
	gap     time.Duration // between two requests, on the mean
	penalty func(since time.Duration) float64
}

// play sends n requests and returns for each how many have gone to d until then, and
// how many were its part.
func (c crowd) play(n int) (got, part []float64) {
	const answer = 5 // times as long as its first token
	g := NewGroup("g", NewPolicy(models.Policy{Name: c.policy}), nil)
	random := rand.New(rand.NewPCG(1, 2))
	begun := time.Unix(1_800_000_000, 0)
	now := begun
	facts := []Facts{{Name: "a/m"}, {Name: "b/m"}, {Name: "c/m"}, {Name: "d/m"}}
	var steps []step // in the order of their time
	later := func(s step) {
		i, _ := slices.BinarySearchFunc(steps, s, func(a, b step) int { return a.at.Compare(b.at) })
		steps = slices.Insert(steps, i, s)
	}
	toD, itsPart := 0.0, 0.0
	for range n {
		now = now.Add(time.Duration(random.ExpFloat64() * float64(c.gap)))
		for len(steps) > 0 && !steps[0].at.After(now) {
			if s := steps[0]; s.first {
				s.of.First(s.at)
			} else {
				s.of.Done(s.at, Result{OK: true, Input: 1000, Output: 100})
			}
			steps = steps[1:]
		}
		p := c.penalty(now.Sub(begun))
		facts[3].Penalty = p
		itsPart += (1 - p) / (4 - p)
		q := &Query{Roll: random.Uint64(), Session: random.Uint64()}
		q.Chain.Bytes, q.Chain.Lane = 4000, random.Uint64()
		var d Decision
		g.Pick(now, q, facts, &d, false)
		name, ticket := facts[d.Order[0]].Name, &Ticket{}
		if name == "d/m" {
			toD++
		}
		g.Sent(now, q, name, ticket)
		took := time.Duration(float64(c.first) * (0.8 + 0.4*random.Float64()))
		later(step{now.Add(took), true, ticket})
		later(step{now.Add(took * answer), false, ticket})
		got, part = append(got, toD), append(part, itsPart)
	}
	return got, part
}

// The models of the tests: one with first tokens after 50 ms, and one after 20 s.
func fastAndSlow() []time.Duration { return []time.Duration{50 * time.Millisecond, 20 * time.Second} }

// TestAReplicaGetsItsPart: that which its health leaves it, whoever ranks, however
// fast the model is, and whether the replicas idle or have eight requests each. A
// policy that would not choose it anyway gives it less.
func TestAReplicaGetsItsPart(t *testing.T) {
	for _, policy := range slices.Sorted(maps.Keys(policies)) {
		for _, first := range fastAndSlow() {
			for name, gap := range map[string]time.Duration{"idle": 25 * first, "busy": first * 5 / (4 * 8)} {
				for _, penalty := range []float64{0.5, 0.9} {
					const n = 1500
					gots, parts := crowd{policy, first, gap, func(time.Duration) float64 { return penalty }}.play(n)
					got, part := gots[n-1], parts[n-1]
					if got > 1.02*part || got < 0.92*part && policy != "lowest_latency" {
						t.Errorf("%s, first tokens after %v, %s, %v kept off: %.0f requests, its part are %.0f", policy, first, name, penalty, got, part)
					}
				}
			}
		}
	}
}

// TestASlowStartIsASlope: of a hundred requests a second a replica that begins with a
// tenth of its share and has all of it after half a minute gets what that adds up
// to, in each tenth of the time.
func TestASlowStartIsASlope(t *testing.T) {
	const slow = 30 * time.Second
	for _, first := range fastAndSlow() {
		c := crowd{models.PolicyAuto, first, 10 * time.Millisecond, func(since time.Duration) float64 {
			return 0.9 * max(0, 1-float64(since)/float64(slow))
		}}
		const tenth = 300
		gots, parts := c.play(10 * tenth)
		beforeGot, beforePart := 0.0, 0.0
		for n := tenth - 1; n < 10*tenth; n += tenth {
			got, part := gots[n]-beforeGot, parts[n]-beforePart
			if math.Abs(got-part) > 3 {
				t.Errorf("first tokens after %v, requests to %d: %.0f of them, its part are %.1f", first, n, got, part)
			}
			beforeGot, beforePart = gots[n], parts[n]
		}
	}
}

// TestPartsAreOfWhatIsLeft by all penalties together, by weight, and bind nobody where
// all are penalised alike.
func TestPartsAreOfWhatIsLeft(t *testing.T) {
	cases := map[string]struct {
		facts []Facts
		want  []float64 // 0 is not bound
	}{
		"well":              {[]Facts{{}, {}}, []float64{0, 0}},
		"one of two":        {[]Facts{{Penalty: 0.5}, {}}, []float64{1.0 / 3, 0}},
		"by weight":         {[]Facts{{Penalty: 0.5, Weight: 2}, {Weight: 1}}, []float64{0.5, 0}},
		"all alike":         {[]Facts{{Penalty: 0.9}, {Penalty: 0.9}}, []float64{0, 0}},
		"one more":          {[]Facts{{Penalty: 0.9}, {Penalty: 0.5}, {Penalty: 0.5}}, []float64{0.1 / 1.1, 0, 0}},
		"alone":             {[]Facts{{Penalty: 0.9}}, []float64{0}},
		"more than can be":  {[]Facts{{Penalty: 7}, {}}, []float64{0.01 / 1.01, 0}},
		"less than nothing": {[]Facts{{Penalty: -7}, {}}, []float64{0, 0}},
	}
	for name, c := range cases {
		s := ratesOf(c.facts)
		for i := range c.facts {
			if got := s.part(&c.facts[i]); math.Abs(got-c.want[i]) > 1e-12 {
				t.Errorf("%s: %d gets %v, want %v", name, i, got, c.want[i])
			}
		}
	}
}

// TestWhoHasHadItsPartIsNotLost: it stands behind the others, for when they fail, and
// the terms say what put it there.
func TestWhoHasHadItsPartIsNotLost(t *testing.T) {
	g := NewGroup("g", auto{}, nil)
	now := time.Unix(1_800_000_000, 0)
	facts := []Facts{{Name: "a/m", InFlight: 1}, {Name: "b/m", Penalty: 0.9}, {Name: "c/m"}}
	for i := range 5 {
		var d Decision
		q := Query{Roll: 5, Session: 9}
		g.Pick(now, &q, facts, &d, true)
		if i == 0 {
			var ticket Ticket
			g.Sent(now, &q, "b/m", &ticket) // it was due one
			ticket.Done(now, Result{})
			continue
		}
		b := d.Replicas[1]
		if len(d.Order) != 3 || d.Order[2] != 1 || !b.Rests || b.Cost < max(d.Replicas[0].Cost, d.Replicas[2].Cost) {
			t.Errorf("order %v, %+v", d.Order, b)
		}
		dry := Query{Dry: true}
		g.Pick(now, &dry, facts, &Decision{}, true)
	}
}
