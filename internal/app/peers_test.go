package app

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tailplane/internal/prefix"
	"tailplane/internal/route"
)

// freePort is a port of loopback that was free a moment ago, for TCP and UDP. It is none
// of those that systems give to whoever names none (they begin at 32768), so that
// nobody gets it meanwhile by chance.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		at := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		ln, err := net.Listen("tcp", at)
		if err != nil {
			continue
		}
		udp, err := net.ListenPacket("udp", at)
		_ = ln.Close()
		if err != nil {
			continue
		}
		_ = udp.Close()
		return at
	}
	t.Fatal("no port is free")
	return ""
}

// TestAConversationGoesOnAtTheSameReplicaThroughAnotherGateway: each turn comes to
// another of two gateways, which tell each other where conversations live.
func TestAConversationGoesOnAtTheSameReplicaThroughAnotherGateway(t *testing.T) {
	replicas := []*engineReplica{newReplica(t), newReplica(t), newReplica(t)}
	var text strings.Builder
	text.WriteString("version: 1\nkeys: {required: false}\ntargets:\n")
	for i, e := range replicas {
		fmt.Fprintf(&text, "  r%d: {kind: vllm, url: \"http://%s\", watch: {metrics: off, health: off}}\n", i, e.address)
	}
	text.WriteString("models:\n  llama: {pool: [r0, r1, r2], served_as: m}\n")
	at := []string{freePort(t), freePort(t)}
	var gateways []*rig
	for i := range at {
		path := filepath.Join(t.TempDir(), "tailplane.yaml")
		gossip := fmt.Sprintf("gossip: {listen: \"%s\", join: [\"%s\"]}\n", at[i], at[1-i])
		if err := os.WriteFile(path, []byte(text.String()+gossip), 0o600); err != nil {
			t.Fatal(err)
		}
		gateways = append(gateways, serving(t, Options{Config: path, NoWatch: true, NoDetect: true}))
	}
	until(t, "the gateways hear each other", func() bool {
		return len(gateways[0].peers.Members()) == 1 && !gateways[0].peers.Members()[0].Silent &&
			len(gateways[1].peers.Members()) == 1 && !gateways[1].peers.Members()[0].Silent
	})
	for c := range 6 {
		history := fmt.Sprintf(`{"role":"user","content":"conversation %d: %s"}`, c, strings.Repeat("so it is said, or so it seems. ", 400))
		home := -1
		for turn := range 4 {
			g := gateways[turn%2]
			before := []int64{replicas[0].asked.Load(), replicas[1].asked.Load(), replicas[2].asked.Load()}
			applied := gateways[1-turn%2].peers.Stats().Applied
			if status, body := g.do(t, http.MethodPost, "/v1/chat/completions", `{"model":"llama","messages":[`+history+`]}`); status != http.StatusOK {
				t.Fatalf("status %d: %s", status, body)
			}
			for i, e := range replicas {
				if e.asked.Load() == before[i] {
					continue
				}
				if home >= 0 && i != home {
					t.Errorf("conversation %d, turn %d: at replica %d, its home is %d", c, turn, i, home)
				}
				home = i
			}
			until(t, "the other gateway was told", func() bool { return gateways[1-turn%2].peers.Stats().Applied >= applied+3 })
			history += fmt.Sprintf(`,{"role":"assistant","content":"%s"},{"role":"user","content":"and then?"}`, strings.Repeat("well. ", 100))
		}
	}
	if _, metrics := gateways[0].manage(t, http.MethodGet, "/metrics"); !strings.Contains(metrics, `tailplane_gossip_members{state="heard"} 1`) {
		t.Error("the metrics do not show the other gateway")
	}
}

// TestAStartThatFailsLeavesNoGossipBehind: whatever fails after gossip listens, its
// port is free again, over TCP and UDP.
func TestAStartThatFailsLeavesNoGossipBehind(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	t.Setenv("TAILPLANE_TEST_KEY", "sk-tp-one-of-two")
	for name, broken := range map[string]string{
		"the plane":  "targets: {a: {kind: sim}}\nkeys: {static: [{name: x, key: env:TAILPLANE_TEST_KEY}, {name: y, key: env:TAILPLANE_TEST_KEY}]}\n",
		"a listener": "targets: {a: {kind: sim}}\nkeys: {required: false}\nlisten: {data: {addr: \"" + taken.Addr().String() + "\"}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			at := freePort(t)
			path := filepath.Join(t.TempDir(), "tailplane.yaml")
			text := "version: 1\ngossip: {listen: \"" + at + "\"}\n" + broken
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := start(t.Context(), Options{Config: path, Ephemeral: true, NoWatch: true, NoDetect: true, Admin: "127.0.0.1:0", Err: io.Discard, Out: io.Discard})
			if err == nil {
				s.abandon()
				t.Fatal("it starts")
			}
			if _, early := errors.AsType[*ProblemsError](err); early {
				t.Fatalf("the file is refused before: %v", err)
			}
			ln, err := net.Listen("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			_ = ln.Close()
			udp, err := net.ListenPacket("udp", at)
			if err != nil {
				t.Fatal(err)
			}
			_ = udp.Close()
		})
	}
}

// TestAStepTravelsWhole: what a group says arrives as it was said, to the
// microsecond, and what is too large for the wire as the largest there is.
func TestAStepTravelsWhole(t *testing.T) {
	d := route.Delta{Group: 1, Replica: 2, Kind: route.DeltaFirst, Work: 1.5, Tokens: 77, Lane: 3, Head: prefix.Mark{Hash: 4, End: 9000}}
	if got := heard(new(travelling(&d))); got != d {
		t.Errorf("%+v became %+v", d, got)
	}
	d.Work, d.Tokens = 1e12, 1<<40
	if got := heard(new(travelling(&d))); got.Work != float64(1<<30)/1e6 || got.Tokens != 1<<30 {
		t.Errorf("it became %+v", got)
	}
}
