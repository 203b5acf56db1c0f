package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tailplane/internal/app"
	"tailplane/internal/cli"
)

// liveResult is what `bench route` says of a policy.
type liveResult struct {
	Policy  string
	TTFT    struct{ Mean, P50, P90, P99 float64 }
	HitRate float64 `json:"hit_rate"`
	Detail  struct{ Requests float64 }
}

// benchLive runs `bench route --live`: what real HTTP gave, and what virtual time.
func benchLive(t *testing.T, args ...string) (real, virtual liveResult) {
	t.Helper()
	root := cli.NewRoot(cli.Deps{Version: "test", Serve: serve, Live: app.Live, FindConfig: app.FindConfig, Running: running, StateDir: stateDir})
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(t.Output())
	root.SetArgs(append([]string{"bench", "route", "--live", "--spread", "-o", "json", "--ci"}, args...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rs []liveResult
	if err := json.Unmarshal(out.Bytes(), &rs); err != nil || len(rs) != 2 {
		t.Fatalf("%v in %s", err, out.String())
	}
	return rs[0], rs[1]
}

// TestLiveFindsTheSameCaches: a short trace through real HTTP. Times say nothing
// on a busy machine; that all is answered, and what was found in caches, do, where no
// load moves a prompt: on a machine that stands still for a second a crowd comes at once.
func TestLiveFindsTheSameCaches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	const n, talks = 60, 6
	for i := range n {
		talk, turn := i%talks, i/talks
		ids := []int{0}
		for k := range 3 + turn {
			ids = append(ids, 1000*(talk+1)+k)
		}
		raw, err := json.Marshal(ids)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, `{"timestamp":%d,"input_length":%d,"output_length":%d,"hash_ids":%s}`+"\n", 400*i, len(ids)*512-rng.IntN(500), 2+rng.IntN(20), raw)
	}
	path := filepath.Join(t.TempDir(), "traffic.jsonl")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	real, virtual := benchLive(t, "--trace", path, "--speedup", "10", "--policy", "chwbl:load_factor=1000")
	if real.Detail.Requests != n || virtual.Detail.Requests != n {
		t.Errorf("%v and %v of %d requests were answered", real.Detail.Requests, virtual.Detail.Requests, n)
	}
	t.Logf("%.3f of the prompts was found in caches, in virtual time %.3f", real.HitRate, virtual.HitRate)
	if virtual.HitRate < 0.3 || math.Abs(real.HitRate-virtual.HitRate) > 0.1 {
		t.Error("the caches of both differ")
	}
}

// TestLiveAgrees: on a quiet machine the first tokens of both are within a tenth
// of each other. It runs for `make bench-live` alone.
func TestLiveAgrees(t *testing.T) {
	if os.Getenv("TAILPLANE_LIVE") == "" {
		t.Skip("make bench-live")
	}
	path := filepath.Join(cmp.Or(os.Getenv("TAILPLANE_TRACES"), "../../../shared/traces"), "mooncake_conversation.jsonl")
	for _, policy := range []string{"auto", "round_robin"} {
		real, virtual := benchLive(t, "--trace", path, "--scale", "1.5", "--requests", "1000", "--speedup", "4", "--policy", policy)
		for _, q := range []struct {
			name          string
			real, virtual float64
		}{
			{"mean", real.TTFT.Mean, virtual.TTFT.Mean},
			{"p50", real.TTFT.P50, virtual.TTFT.P50},
			{"p90", real.TTFT.P90, virtual.TTFT.P90},
			{"p99", real.TTFT.P99, virtual.TTFT.P99},
		} {
			t.Logf("%s, %s: %.3f s, in virtual time %.3f s (%+.1f %%)", policy, q.name, q.real, q.virtual, 100*(q.real/q.virtual-1))
			if math.Abs(q.real/q.virtual-1) > 0.1 {
				t.Errorf("%s: the %s differs by more than a tenth", policy, q.name)
			}
		}
	}
}
