package complexity

import (
	"testing"
	"unsafe"
)

// sight is what a guard says of a request that it has taken in.
func sight(g *Guard, s Score, shape *Shape) Sight {
	g.Observe(s, shape)
	return g.Look(s)
}

func watch(g *Guard, m *Model, samples []Sample) (n map[Verdict]int) {
	n = map[Verdict]int{}
	for i := range samples {
		n[sight(g, m.Score(samples[i].Vector), &samples[i].Shape).Verdict]++
	}
	return n
}

// otherTraffic is code in capitals with unknown words.
func otherTraffic(n int) []Sample {
	var out []Sample
	var e Extractor
	for i := range n {
		out = append(out, Sample{Vector: e.Extract(0, "SELECT qty_"+string(rune('a'+i%26))+" FROM ledger WHERE id = 12 AND x[3] > 4;").Clone()})
	}
	return out
}

func TestTheGuardLeavesTheSameTrafficAlone(t *testing.T) {
	m := trained(t)
	n := watch(NewGuard(m, Drift{}), m, drawn(3000, 9))
	if n[Cold] != DefaultDrift().Fewest-1 || n[Off] > 30 {
		t.Errorf("%v", n)
	}
}

func TestTheGuardSeesOtherTrafficAndItsEnd(t *testing.T) {
	m := trained(t)
	set := Drift{Window: 256, Fewest: 64}
	g := NewGuard(m, set)
	if n := watch(g, m, otherTraffic(500)); n[Same] > 0 {
		t.Errorf("other traffic: %v", n)
	}
	if s := g.Now(); s.Verdict != Off || s.Figure == "" || s.PSI <= DefaultDrift().PSI {
		t.Errorf("%+v", s)
	}
	// When the window has forgotten it, the scores are trusted again.
	watch(g, m, drawn(set.Window+lookEvery, 4))
	if s := g.Now(); s.Verdict != Same {
		t.Errorf("afterwards: %+v", s)
	}
	// Other traffic in between is noticed before half the window is of it.
	watch(g, m, otherTraffic(set.Window/2))
	if s := g.Now(); s.Verdict != Off {
		t.Errorf("again: %+v", s)
	}
}

// TestALookTeachesTheGuardNothing, however many there are: not that traffic is like
// the training, and not that it is another one.
func TestALookTeachesTheGuardNothing(t *testing.T) {
	m := trained(t)
	share := 0.3
	r := NewRouter(Config{StrongShare: &share}, m, nil)
	for range 200 {
		if d := r.Look(Ask{Text: "hello there"}); d.Why != BecauseCold || !d.Scored {
			t.Fatalf("a guard that has seen no traffic: %s", d)
		}
	}
	watch(r.guard, m, drawn(200, 9))
	counts, next, since, told := r.guard.counts, r.guard.next, r.guard.since, r.Sight()
	for range 1000 {
		r.Look(Ask{Text: "SELECT qty_q FROM ledger WHERE id = 12 AND x[3] > 4;"})
	}
	if r.guard.counts != counts || r.guard.next != next || r.guard.since != since || r.Sight() != told {
		t.Errorf("looks were taken for traffic: %+v, before %+v", r.Sight(), told)
	}
	if looked, routed := r.Look(Ask{Text: "hello there"}), r.Route(Ask{Text: "hello there"}); looked != routed {
		t.Errorf("looked at it is %s, and routed %s", looked, routed)
	}
}

func TestOneStrangeRequestIsOffByItself(t *testing.T) {
	m := trained(t)
	g := NewGuard(m, Drift{})
	watch(g, m, drawn(200, 9))
	strange := see("zzyzx qwfpgj arstdh")
	if s := sight(g, m.Score(strange), &strange.Shape); s.Verdict != Off {
		t.Errorf("%+v", s)
	}
	plain := drawn(1, 9)[0]
	if s := sight(g, m.Score(plain.Vector), &plain.Shape); s.Verdict != Same {
		t.Errorf("the next one: %+v", s)
	}
}

// TestAPartOfTheTrainingIsKnownAsWell: traffic that lacks a kind of prompt which the
// training had is no reason to doubt.
func TestAPartOfTheTrainingIsKnownAsWell(t *testing.T) {
	samples := drawn(2000, 1)
	for i, s := range otherTraffic(200) {
		s.Weak, s.Strong = float32(i%2), 1
		samples = append(samples, s)
	}
	m, err := Train(t.Context(), Training{Weak: "small", Strong: "large", Samples: samples, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if n := watch(NewGuard(m, Drift{}), m, drawn(1000, 3)); n[Off] > 10 {
		t.Errorf("%v", n)
	}
}

// TestKnownPromptsAreNoReasonToDoubt: prompts of the training itself have no
// unknown words, which is another distribution and no worse one.
func TestKnownPromptsAreNoReasonToDoubt(t *testing.T) {
	m := trained(t)
	if n := watch(NewGuard(m, Drift{}), m, drawn(2000, 1)); n[Off] > 20 {
		t.Errorf("%v", n)
	}
}

func TestAGuardWithoutReferenceIsNotAsked(t *testing.T) {
	if s := sight(NewGuard(&Model{}, Drift{}), Score{}, &Shape{}); s.Verdict != Off {
		t.Errorf("%+v", s)
	}
}

func TestTheGuardsMemoryIsItsWindow(t *testing.T) {
	m := trained(t)
	g := NewGuard(m, Drift{Window: 100, Fewest: 16})
	watch(g, m, drawn(1000, 2))
	if cap(g.ring) != 100 || unsafe.Sizeof(g.ring[0]) != 17 {
		t.Errorf("%d requests of %d bytes", cap(g.ring), unsafe.Sizeof(g.ring[0]))
	}
	for i := range tracks {
		sum := int32(0)
		for _, n := range g.counts[i] {
			sum += n
		}
		if sum != 100 {
			t.Errorf("%s counts %d", trackName(i), sum)
		}
	}
}
