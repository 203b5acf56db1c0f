package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const traffic = `{"timestamp": 0, "input_length": 2000, "output_length": 20, "hash_ids": [0, 1, 2, 3]}
{"timestamp": 900, "input_length": 2600, "output_length": 20, "hash_ids": [0, 1, 2, 3, 4, 5]}
{"timestamp": 900, "input_length": 1000, "output_length": 20, "hash_ids": [0, 9]}
`

// bench runs `bench route` over traffic.
func bench(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "traffic.jsonl")
	if err := os.WriteFile(path, []byte(traffic), 0o600); err != nil {
		t.Fatal(err)
	}
	root := NewRoot(Deps{Version: "x"})
	var out, note bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&note)
	root.SetArgs(append([]string{"bench", "route", "--trace", path}, args...))
	err = root.ExecuteContext(t.Context())
	return out.String(), note.String(), err
}

func TestBenchRouteJSON(t *testing.T) {
	out, note, err := bench(t, "--policy", "auto,least_request", "--seeds", "2", "--gateways", "2", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	checkKeys(t, out)
	var rs []struct {
		Policy          string
		Gateways, Seeds int
		TTFT            struct{ Mean, P50, P90, P99 float64 }
		TPOT            struct{ Mean, P99 float64 }
		E2E             struct{ Mean float64 }
		HitRate         float64 `json:"hit_rate"`
		Throughput      float64
		Makespan        float64
	}
	if err := json.Unmarshal([]byte(out), &rs); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(rs) != 2 || rs[0].Policy != "auto" || rs[1].Policy != "least_request" || rs[0].Gateways != 2 || rs[0].Seeds != 2 {
		t.Fatalf("%+v", rs)
	}
	for _, r := range rs {
		if r.TTFT.Mean <= 0 || r.TTFT.P50 <= 0 || r.TTFT.P90 < r.TTFT.P50 || r.TTFT.P99 < r.TTFT.P90 || r.TPOT.Mean <= 0 || r.TPOT.P99 <= 0 || r.E2E.Mean < r.TTFT.Mean || r.Makespan < .9 || r.Throughput <= 0 {
			t.Errorf("%+v", r)
		}
	}
	if rs[0].HitRate <= 0 {
		t.Error("auto finds nothing of a prompt that it was asked before")
	}
	if n := strings.Count(note, "\n"); n != 4 {
		t.Errorf("%d lines of progress: %s", n, note)
	}
}

// checkKeys holds the names of what `-o json` prints: scripts read them.
func checkKeys(t *testing.T, out string) {
	t.Helper()
	var list []map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	want := map[string][]string{
		"policy": nil, "gateways": nil, "seeds": nil, "hit_rate": nil, "throughput": nil, "makespan": nil,
		"ttft": {"mean", "p50", "p90", "p99"}, "tpot": {"mean", "p99"}, "e2e": {"mean"},
	}
	for _, r := range list {
		if got, want := slices.Sorted(maps.Keys(r)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		for _, name := range []string{"ttft", "tpot", "e2e"} {
			var of map[string]float64
			if err := json.Unmarshal(r[name], &of); err != nil || !slices.Equal(slices.Sorted(maps.Keys(of)), want[name]) {
				t.Errorf("%s is %s, want %q, %v", name, r[name], want[name], err)
			}
		}
	}
}

func TestBenchRouteTable(t *testing.T) {
	out, note, err := bench(t, "--policy", "auto,chwbl", "-q", "--slow", "0:0.5", "--kill", "3@1s", "--engine-prefill", "2")
	if err != nil || note != "" {
		t.Fatal(err, note)
	}
	for _, want := range []string{"POLICY", "TTFT MEAN", "auto ", "chwbl ", "as a multiple of auto", "in the minute before"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if out, _, err := bench(t, "-q", "--ci", "-o", "json", "--seeds", "3"); err != nil || !strings.Contains(out, `"ttft_p99"`) {
		t.Errorf("%v in %s", err, out)
	}
}

func TestBenchRouteSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--policy", "atuo"}, ExitUsage, `there is no policy "atuo"`},
		{[]string{"--policy", "weighted"}, ExitUsage, "ranks no replicas"},
		{[]string{"--policy", ""}, ExitUsage, "names none"},
		{[]string{"--engine", "h200"}, ExitUsage, `there is no engine "h200"`},
		{[]string{"--engine-prefill", "0"}, ExitUsage, "want more than 0"},
		{[]string{"--slow", "x"}, ExitUsage, "write REPLICA:SPEED"},
		{[]string{"--kill", "3"}, ExitUsage, "write REPLICA@TIME"},
		{[]string{"--kill", "30@1s"}, ExitUsage, "replica 30 dies, but there are 8"},
		{[]string{"--gossip", "maybe"}, ExitUsage, "--gossip is on or off"},
		{[]string{"--gossip-delay", "50ms-5ms"}, ExitUsage, "gossip that takes"},
		{[]string{"--seeds", "0"}, ExitUsage, "--seeds wants"},
		{[]string{"--scale", "0"}, ExitUsage, "a scale of 0"},
		{[]string{"--block-size", "16"}, ExitOK, ""},
		{[]string{"--block-size", "1024"}, ExitFailed, "line 1: 4 hash_ids for 2000 tokens"},
		{[]string{"--trace", "nowhere"}, ExitNotFound, "there is no trace at nowhere"},
		{[]string{"--trace", ""}, ExitUsage, "no trace is named"},
	} {
		_, _, err := bench(t, c.args...)
		if err == nil && c.code == ExitOK {
			continue
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != c.code || !strings.Contains(e.What, c.want) {
			t.Errorf("%v: %v, want %d %q", c.args, err, c.code, c.want)
		}
	}
}

func TestBenchRouteReadsStandardInput(t *testing.T) {
	root := NewRoot(Deps{Version: "x"})
	root.SetIn(strings.NewReader(traffic))
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	root.SetArgs([]string{"bench", "route", "--trace", "-"})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Error(err)
	}
}
