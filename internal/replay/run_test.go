package replay

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/golden.txt anew")

// conversations is an open trace of talks that grow: each turn's prompt begins
// with the one before. All share the first block.
func conversations(seed uint64, n int) *Trace {
	rng := rand.New(rand.NewPCG(seed, 1))
	t := &Trace{Format: "mooncake", Block: 512, Lane: 2}
	type talk struct{ start, length int }
	var talks []talk
	id, at := 1, time.Duration(0)
	for range n {
		at += time.Duration(rng.ExpFloat64() * float64(120*time.Millisecond))
		k := len(talks)
		if k > 0 && rng.IntN(3) > 0 {
			k = rng.IntN(k)
		} else {
			talks = append(talks, talk{id, 4 + rng.IntN(20)})
			id += 1000
		}
		talks[k].length += 1 + rng.IntN(3)
		length := min(talks[k].length, 200)
		t.Requests = append(t.Requests, Request{
			At: at, Input: (1+length)*512 + rng.IntN(512), Output: 1 + rng.IntN(300),
			Runs: []Span{{0, 1}, {int64(talks[k].start), length}},
		})
	}
	return t
}

// agents is a trace of sessions whose prompts grow, with a group beside each.
func agents(seed uint64, n, turns int) *Trace {
	rng := rand.New(rand.NewPCG(seed, 2))
	t := &Trace{Format: "agentic", Block: 64}
	for i := range n {
		s := Session{ID: fmt.Sprint("agent-", i), Lane: 3}
		length := 100 + rng.IntN(300)
		for turn := range turns {
			r := Request{Think: time.Duration(rng.IntN(5000)) * time.Millisecond, Input: length * 64, Output: 1 + rng.IntN(200), Runs: []Span{{1, length}}}
			length += 4 + rng.IntN(30)
			r.Goes = []Span{{1, length}}
			s.Steps = append(s.Steps, Step{{r}})
			if turn == 1 {
				side := Request{Input: 2000, Output: 20, Runs: []Span{{5000, 31}}}
				s.Steps = append(s.Steps, Step{{side, side}, {side}})
			}
		}
		t.Sessions = append(t.Sessions, s)
	}
	return t
}

func setup(t *testing.T, policy string, change func(*Setup)) Setup {
	t.Helper()
	s, err := Default().With(policy)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&s)
	}
	return s
}

// TestGolden holds the numbers of every policy, to the tenth of a millisecond.
// A change of a policy or of the engine changes them: `go test -update`.
func TestGolden(t *testing.T) {
	var b strings.Builder
	open, closed := conversations(1, 600), agents(1, 40, 6)
	for _, p := range []string{"auto", "round_robin", "random", "least_request", "p2c", "session", "chwbl", "cache_aware", "lmetric", "lmetric:form=queued", "smetric", "llmd"} {
		for _, one := range []struct {
			name  string
			trace *Trace
			gates int
		}{{"conversations", open, 1}, {"agents", closed, 1}, {"conversations, 4 gateways", open, 4}} {
			s := setup(t, p, func(s *Setup) { s.Gateways, s.Load.Sessions = one.gates, 16 })
			rs, err := Bench(context.Background(), one.trace, []Setup{s}, 2, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := rs[0]
			fmt.Fprintf(&b, "%-20s %-26s ttft %.4f %.4f tpot %.5f hit %.4f makespan %.2f\n", p, one.name, r.TTFT.Mean, r.TTFT.P99, r.TPOT.Mean, r.HitRate, r.Makespan)
		}
	}
	const path = "testdata/golden.txt"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); d != "" {
		t.Errorf("the numbers are others (-update writes them anew):\n%s", d)
	}
}

// TestCacheEventsMakeUpForAWrongCapacity, that is said to be larger or smaller than it
// is, and where another client has a part of the conversations.
func TestCacheEventsMakeUpForAWrongCapacity(t *testing.T) {
	trace := agents(1, 60, 12)
	play := func(change func(*Setup)) Result {
		s := setup(t, "auto", func(s *Setup) {
			s.Load.Sessions, s.Replicas, s.Engine.KVTokens = 30, 4, 180_000
			change(s)
		})
		rs, err := Bench(context.Background(), trace, []Setup{s}, 4, nil)
		if err != nil {
			t.Fatal(err)
		}
		return rs[0]
	}
	truth := play(func(*Setup) {})
	for _, c := range []struct {
		name      string
		strangers float64
		says      int
	}{{"eight times as large", 0, 1_440_000}, {"a quarter as large", 0, 45_000}, {"eight times as large, others' too", 0.3, 1_440_000}} {
		t.Run(c.name, func(t *testing.T) {
			change := func(s *Setup) { s.Says, s.Strangers = c.says, c.strangers }
			without, with := play(change), play(func(s *Setup) { change(s); s.Events = true })
			t.Logf("hit %.3f without events, %.3f with them, %.3f with the truth; first tokens %.3f, %.3f, %.3f s",
				without.HitRate, with.HitRate, truth.HitRate, without.TTFT.Mean, with.TTFT.Mean, truth.TTFT.Mean)
			if with.HitRate < without.HitRate || with.TTFT.Mean > 0.9*without.TTFT.Mean || c.strangers == 0 && (with.HitRate < truth.HitRate-0.02 || with.TTFT.Mean > 1.1*truth.TTFT.Mean) {
				t.Error("the events do not make up for it")
			}
		})
	}
}

// TestCacheEventsDoNoHarmAmongSeveralGateways, where what is stored for another gateway
// is not told from what is stored for others.
func TestCacheEventsDoNoHarmAmongSeveralGateways(t *testing.T) {
	trace := agents(1, 60, 12)
	var setups []Setup
	for _, events := range []bool{false, true} {
		setups = append(setups, setup(t, "auto", func(s *Setup) {
			s.Load.Sessions, s.Replicas, s.Engine.KVTokens, s.Gateways, s.Events = 30, 4, 180_000, 4, events
		}))
	}
	rs, err := Bench(context.Background(), trace, setups, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	without, with := rs[0], rs[1]
	t.Logf("hit %.3f without events, %.3f with them; first tokens %.3f, %.3f s", without.HitRate, with.HitRate, without.TTFT.Mean, with.TTFT.Mean)
	if with.HitRate < without.HitRate-0.02 || with.TTFT.Mean > 1.1*without.TTFT.Mean {
		t.Error("the events do harm")
	}
}

// TestOneSeedOneOutcome: a run is a function of its arguments, in each scenario.
func TestOneSeedOneOutcome(t *testing.T) {
	trace := conversations(2, 300)
	hard := func(s *Setup) {
		s.Gateways, s.Gossip.Loss, s.Scrape, s.Load.Spread = 3, 0.2, 100*time.Millisecond, true
		s.Events, s.Strangers = true, 0.2
		s.Slow, s.Kill = map[int]float64{1: 0.5}, map[int]time.Duration{2: 10 * time.Second}
	}
	for _, p := range []string{"auto", "random"} {
		s := setup(t, p, hard)
		a, b := play(t, trace, s), play(t, trace, s)
		if d := cmp.Diff(a, b); d != "" {
			t.Errorf("%s differs from itself: %s", p, d)
		}
		s.Seed = 2
		if cmp.Equal(a, play(t, trace, s)) {
			t.Errorf("%s: another seed changes nothing", p)
		}
	}
}

func play(t *testing.T, trace *Trace, s Setup) *Outcome {
	t.Helper()
	o, err := Run(context.Background(), trace, s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestEveryRequestEndsOnce: answered, cut off, or failed; none is lost, and a
// death fails none of which nothing was sent.
func TestEveryRequestEndsOnce(t *testing.T) {
	open, closed := conversations(3, 400), agents(3, 30, 5)
	for _, trace := range []*Trace{open, closed} {
		for _, gates := range []int{1, 4} {
			o := play(t, trace, setup(t, "auto", func(s *Setup) {
				s.Gateways, s.Load.Sessions = gates, 30
				s.Kill = map[int]time.Duration{0: 12 * time.Second, 5: 20 * time.Second}
			}))
			if got := len(o.TTFT) + o.Cut + o.Failed + o.TooLong; got != trace.Size() {
				t.Errorf("%s, %d gateways: %d of %d requests ended", trace.Format, gates, got, trace.Size())
			}
			if o.Failed != 0 {
				t.Errorf("%s, %d gateways: %d failed before an answer began", trace.Format, gates, o.Failed)
			}
			if trace == open && o.Retried+o.Cut == 0 {
				t.Error("nobody noticed the deaths")
			}
		}
	}
}

func TestThePlaceOfTheCacheIsFelt(t *testing.T) {
	trace := conversations(4, 600)
	blind, sees := play(t, trace, setup(t, "round_robin", nil)), play(t, trace, setup(t, "auto", nil))
	if sees.Cached <= blind.Cached*11/10 {
		t.Errorf("auto finds %d tokens in caches, round_robin %d", sees.Cached, blind.Cached)
	}
	if a, b := mean(sees.TTFT), mean(blind.TTFT); a >= b {
		t.Errorf("auto takes %.3f s, round_robin %.3f s", a, b)
	}
}

func TestGossipIsWorthIt(t *testing.T) {
	trace := agents(5, 60, 8)
	four := func(off bool) *Outcome {
		return play(t, trace, setup(t, "auto", func(s *Setup) { s.Gateways, s.Gossip.Off, s.Load.Sessions = 4, off, 60 }))
	}
	if with, without := four(false), four(true); with.Cached <= without.Cached {
		t.Errorf("with gossip %d tokens are found in caches, without %d", with.Cached, without.Cached)
	}
}

func TestSessionsComeOneAfterTheOther(t *testing.T) {
	trace := agents(6, 12, 3)
	o := play(t, trace, setup(t, "auto", func(s *Setup) { s.Load.Sessions, s.Load.Sample = 2, 12 }))
	if len(o.TTFT) != trace.Size() {
		t.Errorf("%d of %d requests were played", len(o.TTFT), trace.Size())
	}
	all := play(t, trace, setup(t, "auto", func(s *Setup) { s.Load.Sessions = 12 }))
	if all.Makespan >= o.Makespan {
		t.Errorf("twelve at once take %v, two at a time %v", all.Makespan, o.Makespan)
	}
}

func TestWhatAnEngineCannotHoldIsLeftOut(t *testing.T) {
	trace := conversations(7, 20)
	trace.Requests[3].Input = 1 << 20
	if o := play(t, trace, setup(t, "auto", nil)); o.TooLong != 1 || len(o.TTFT) != 19 {
		t.Errorf("%d left out, %d answered", o.TooLong, len(o.TTFT))
	}
}

func TestBenchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	told := func(Setup, Figures, time.Duration) { cancel() }
	if rs, err := Bench(ctx, conversations(8, 50), []Setup{setup(t, "auto", nil)}, 100, told); err != context.Canceled || rs != nil {
		t.Errorf("%v, %v", rs, err)
	}
}

func TestSetupsThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(*Setup){
		"no replicas":        func(s *Setup) { s.Replicas = 0 },
		"no gateway":         func(s *Setup) { s.Gateways = 0 },
		"time stands":        func(s *Setup) { s.Load.Scale = 0 },
		"loss":               func(s *Setup) { s.Gossip.Loss = 1.5 },
		"slow, but where":    func(s *Setup) { s.Slow = map[int]float64{8: 0.5} },
		"slower than slow":   func(s *Setup) { s.Slow = map[int]float64{1: 0} },
		"dead, but where":    func(s *Setup) { s.Kill = map[int]time.Duration{-1: 0} },
		"none survives":      func(s *Setup) { s.Replicas, s.Kill = 1, map[int]time.Duration{0: 0} },
		"a ring of no width": func(s *Setup) { s.Gossip.Min = time.Second },
		"a policy of none":   func(s *Setup) { s.Policy.Name = "weighted" },
	} {
		s := setup(t, "auto", change)
		if s.Validate() == nil {
			t.Errorf("%s: valid", name)
		}
	}
	for _, p := range []string{"autp", "weighted", "chwbl:replication=0", "chwbl:x=1", "smetric:ttft=soon", "cache_aware:cache_threshold=-1"} {
		if _, err := Default().With(p); err == nil {
			t.Errorf("%s: valid", p)
		}
	}
	if s := setup(t, "cache_aware:imbalance_abs=32:imbalance_rel=1.1", nil); s.Policy.ImbalanceAbs != 32 || s.Policy.ImbalanceRel != 1.1 {
		t.Errorf("%+v", s.Policy)
	}
}
