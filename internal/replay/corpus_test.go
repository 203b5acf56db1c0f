package replay

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// corpus is a file of the shared traces; the test is skipped where there is none.
func corpus(t *testing.T, name string, o ReadOptions) *Trace {
	t.Helper()
	path := filepath.Join(cmp.Or(os.Getenv("TAILPLANE_TRACES"), "../../../shared/traces"), name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no traces: %v (set $TAILPLANE_TRACES)", err)
	}
	trace, err := ReadFile(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// TestCorpusOrder: on real conversations auto is ahead of its peers, and those
// of the ones that see nothing.
func TestCorpusOrder(t *testing.T) {
	if raceDetector {
		t.Skip("one goroutine computes for long: there is nothing to race with")
	}
	trace := corpus(t, "mooncake_conversation.jsonl", ReadOptions{Requests: 6000})
	var setups []Setup
	for _, p := range []string{"auto", "lmetric", "lmetric:form=queued", "cache_aware", "chwbl", "round_robin"} {
		setups = append(setups, setup(t, p, func(s *Setup) { s.Load.Scale = 1.5 }))
	}
	rs, err := Bench(context.Background(), trace, setups, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, most := range []float64{1, 0.75, 0.99, 0.7, 0.65, 0.55} {
		if ratio := rs[0].TTFT.Mean / rs[i].TTFT.Mean; ratio > most {
			t.Errorf("auto's mean first token is %.2f times that of %s, want at most %.2f", ratio, rs[i].Policy, most)
		}
		t.Logf("%-12s %.3f s", rs[i].Policy, rs[i].TTFT.Mean)
	}
}

// TestCorpusOfGateways: four that hear of each other choose nearly as well as one
// does, though the trace's requests come in bursts at one instant.
func TestCorpusOfGateways(t *testing.T) {
	if raceDetector {
		t.Skip("one goroutine computes for long: there is nothing to race with")
	}
	trace := corpus(t, "mooncake_conversation.jsonl", ReadOptions{Requests: 6000})
	var setups []Setup
	for _, n := range []int{1, 4} {
		setups = append(setups, setup(t, "auto", func(s *Setup) { s.Load.Scale, s.Gateways = 1.5, n }))
	}
	rs, err := Bench(context.Background(), trace, setups, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ratio := rs[1].TTFT.Mean / rs[0].TTFT.Mean; ratio > 1.15 {
		t.Errorf("the mean first token of four is %.2f times that of one, want at most 1.15", ratio)
	}
}

// TestCorpusOfAgents: what is gained at first tokens is not paid by later ones.
func TestCorpusOfAgents(t *testing.T) {
	if raceDetector {
		t.Skip("one goroutine computes for long: there is nothing to race with")
	}
	trace := corpus(t, "agentic_sessions.jsonl.gz", ReadOptions{})
	var setups []Setup
	for _, p := range []string{"auto", "lmetric", "cache_aware"} {
		setups = append(setups, setup(t, p, func(s *Setup) { s.Load.Sessions = 32 }))
	}
	rs, err := Bench(context.Background(), trace, setups, 8, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs[1:] {
		for measure, most := range map[string]float64{"ttft_mean": 1, "tpot_mean": 1.03, "e2e_mean": 1.03} {
			if got := rs[0].Against(&r, measure).Mean; got > most {
				t.Errorf("auto's %s is %.3f times that of %s, want at most %.2f", measure, got, r.Policy, most)
			}
		}
	}
}

func TestCorpusOfSessionsAndLengths(t *testing.T) {
	if raceDetector {
		t.Skip("one goroutine computes for long: there is nothing to race with")
	}
	sessions := corpus(t, "agentic_sessions.jsonl.gz", ReadOptions{})
	if n := len(sessions.Sessions); n < 200 {
		t.Errorf("%d sessions", n)
	}
	all := corpus(t, "agentic_sessions.jsonl.gz", ReadOptions{Turns: -1, MaxInput: -1})
	if n := all.Size(); n != 24_015 {
		t.Errorf("%d requests, want 24,015", n)
	}
	azure := corpus(t, "azure2023_conv.csv", ReadOptions{})
	if n := azure.Size(); n != 19_366 {
		t.Errorf("%d requests, want 19,366", n)
	}
	o := play(t, azure, setup(t, "auto", nil))
	if o.Cached != 0 || len(o.TTFT) != azure.Size() {
		t.Errorf("%d answered, %d tokens found where nothing is shared", len(o.TTFT), o.Cached)
	}
}
