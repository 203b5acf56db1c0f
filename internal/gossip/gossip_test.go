package gossip

import (
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// TestMain wants that no goroutine is left; memberlist's last probe ends by its own
// timeout, which may be a little later.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

func work(n int32) Delta {
	return Delta{Group: 1, Replica: 2, Work: n, Tokens: 10, Lane: 3, Head: 4, End: 5}
}

// three starts three nodes on an air and waits until they know each other.
func three(t *testing.T, a *air) [3]*node {
	k := key(t, "GOSSIP_KEY", testKey)
	nodes := [3]*node{onAir(t, a, 1, k), onAir(t, a, 2, k), onAir(t, a, 3, k)}
	time.Sleep(5 * time.Second)
	for _, n := range nodes {
		if got := n.Members(); len(got) != 2 || got[0].Silent || got[1].Silent {
			t.Fatalf("%v sees %+v, want two members that speak", n.self, got)
		}
	}
	return nodes
}

func TestWhatOneDecidesAllHear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := three(t, &air{})
		for i, n := range nodes {
			for range 100 {
				n.Tell(work(int32(i + 1)))
			}
		}
		time.Sleep(20 * time.Millisecond)
		for i, n := range nodes {
			for j, other := range nodes {
				got := n.from(other)
				if i == j && len(got) != 0 {
					t.Errorf("%v hears itself", n.self)
				}
				if i != j && (len(got) != 100 || got[99] != work(int32(j+1))) {
					t.Errorf("%v heard %d deltas of %v, want 100", n.self, len(got), other.self)
				}
			}
		}
	})
}

func TestANetworkThatIsCutCostsMessagesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &air{}
		nodes := three(t, a)
		alone := nodes[2].self.String()
		a.partition(func(from, to string) bool { return (from == alone) != (to == alone) })
		time.Sleep(silentAfter + 2*beat)
		nodes[0].Tell(work(1))
		nodes[2].Tell(work(3))
		time.Sleep(time.Second)
		if got := nodes[1].from(nodes[0]); len(got) != 1 {
			t.Errorf("those that reach each other heard %d deltas, want 1", len(got))
		}
		if got := nodes[0].from(nodes[2]); len(got) != 0 {
			t.Errorf("%d deltas came through the cut", len(got))
		}
		for _, n := range nodes[:2] {
			if got := n.silences(); !slices.Equal(got, []string{alone}) {
				t.Errorf("%v was told the silence of %v, want of %s once", n.self, got, alone)
			}
		}
		time.Sleep(5 * time.Minute) // all give each other up
		if got := nodes[2].Members(); len(got) != 0 {
			t.Errorf("the one that is cut off still sees %v", got)
		}
		a.partition(nil)
		time.Sleep(rejoin + 5*time.Second)
		nodes[2].Tell(work(4))
		time.Sleep(time.Second)
		for _, n := range nodes[:2] {
			if got := n.from(nodes[2]); len(got) != 1 || got[0] != work(4) {
				t.Errorf("after the cut %v heard %v, want what was told since", n.self, got)
			}
		}
	})
}

// TestSilenceIsToldWhereOthersStillVouch: memberlist keeps a member that others
// reach; what it told is void here all the same.
func TestSilenceIsToldWhereOthersStillVouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &air{}
		nodes := three(t, a)
		deaf, mute := nodes[0], nodes[2]
		a.partition(func(from, to string) bool { return from == mute.self.String() && to == deaf.self.String() })
		time.Sleep(silentAfter + 2*beat)
		if got := deaf.silences(); !slices.Equal(got, []string{mute.self.String()}) {
			t.Errorf("silences: %v, want one of %v", got, mute.self)
		}
		a.partition(nil)
		time.Sleep(2 * beat)
		if got := deaf.Members(); len(got) != 2 || got[1].Silent || got[1].Lost == 0 {
			t.Errorf("afterwards it sees %+v, want it to be heard with losses", got)
		}
	})
}

func TestARestartVoidsWhatWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &air{}
		nodes := three(t, a)
		nodes[2].Tell(work(1))
		time.Sleep(time.Second)
		old := a.nodes[nodes[2].self.String()]
		a.partition(func(from, to string) bool { return from == nodes[2].self.String() }) // it dies without farewell
		nodes[2].stop()
		<-old.off
		a.partition(nil)
		again := onAir(t, a, 3, key(t, "GOSSIP_KEY", testKey))
		time.Sleep(5 * time.Second)
		if got := nodes[0].silences(); !slices.Equal(got, []string{again.self.String()}) {
			t.Errorf("silences: %v, want one", got)
		}
		again.Tell(work(2))
		time.Sleep(time.Second)
		if got := nodes[0].from(again); !slices.Equal(got, []Delta{work(1), work(2)}) {
			t.Errorf("heard %v, want what both lives told", got)
		}
	})
}

func TestAFarewellIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := three(t, &air{})
		nodes[1].stop()
		time.Sleep(time.Second)
		if got := nodes[0].silences(); !slices.Equal(got, []string{nodes[1].self.String()}) {
			t.Errorf("silences: %v", got)
		}
		if got := nodes[0].Members(); len(got) != 1 {
			t.Errorf("it sees %v, want one member", got)
		}
	})
}

// TestReplaysAndRubbishFromTheNetwork: what is recorded and sent again, changed,
// sent under another key or made up is applied never, and everything else still.
func TestReplaysAndRubbishFromTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &air{}
		nodes := three(t, a)
		ear := a.nodes[nodes[0].self.String()]
		var recorded [][]byte
		a.record(func(to string, packet []byte) {
			if to == nodes[0].self.String() {
				recorded = append(recorded, slices.Clone(packet))
			}
		})
		nodes[1].Tell(work(1))
		time.Sleep(time.Second)
		a.record(nil)
		before := nodes[0].Stats()
		for _, p := range recorded {
			ear.hear(p, nodes[1].self)
			ear.hear(p[:len(p)-1], nodes[1].self)
			flipped := slices.Clone(p)
			flipped[len(p)/2] ^= 1
			ear.hear(flipped, nodes[1].self)
		}
		ear.hear([]byte("GET / HTTP/1.1\r\n\r\n"), nodes[1].self)
		ear.hear([]byte{244, 9}, nodes[1].self)
		ear.hear([]byte{0}, nodes[1].self)
		time.Sleep(time.Second)
		after := nodes[0].Stats()
		if got := nodes[0].from(nodes[1]); len(got) != 1 {
			t.Errorf("a delta was applied %d times", len(got))
		}
		if after.Replayed == before.Replayed || after.Complaints < before.Complaints+uint64(2*len(recorded)) || after.Malformed != 0 {
			t.Errorf("counted %+v, before %+v", after, before)
		}
		nodes[1].Tell(work(2))
		time.Sleep(time.Second)
		if got := nodes[0].from(nodes[1]); len(got) != 2 {
			t.Errorf("after the rubbish %d deltas are heard, want 2", len(got))
		}
	})
}

func TestAnotherKeyIsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &air{}
		one := onAir(t, a, 1, key(t, "GOSSIP_KEY", testKey))
		other := onAir(t, a, 2, key(t, "OTHER_KEY", strings.Repeat("ff", 32)))
		time.Sleep(20 * time.Second)
		if len(one.Members()) != 0 || len(other.Members()) != 0 {
			t.Errorf("they see %v and %v", one.Members(), other.Members())
		}
		if one.Stats().Complaints == 0 {
			t.Error("nothing was counted")
		}
	})
}

func TestKeysAreChangedOneGatewayAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &air{}
		fresh := strings.Repeat("ab", 32)
		one := onAir(t, a, 1, key(t, "K1", testKey+", "+fresh))
		two := onAir(t, a, 2, key(t, "K2", fresh+","+testKey))
		time.Sleep(5 * time.Second)
		one.Tell(work(1))
		two.Tell(work(2))
		time.Sleep(time.Second)
		if len(one.from(two)) != 1 || len(two.from(one)) != 1 {
			t.Errorf("heard %v and %v", one.from(two), two.from(one))
		}
	})
}

// TestRealSockets: three nodes on loopback, found by a name.
func TestRealSockets(t *testing.T) {
	k := key(t, "GOSSIP_KEY", testKey)
	dial := (&net.Dialer{}).DialContext
	var nodes []*node
	for range 3 {
		c := Config{Listen: "127.0.0.1:0", Key: k}
		if len(nodes) > 0 {
			c.Join = []string{nodes[0].Address().String()}
		}
		nodes = append(nodes, start(t, c, Options{Dial: dial}))
	}
	heard := func() bool {
		for _, n := range nodes {
			for _, other := range nodes {
				if n != other && len(n.from(other)) == 0 {
					return false
				}
			}
		}
		return true
	}
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); !heard(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("after 20s they see %v %v %v", nodes[0].Members(), nodes[1].Members(), nodes[2].Members())
		}
		for _, n := range nodes {
			n.Tell(work(1))
		}
	}
	// What is no packet of ours, from a socket that everybody has.
	c, err := net.Dial("udp", nodes[0].Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := nodes[0].Stats()
	for nodes[0].Stats().Oversized == before.Oversized || nodes[0].Stats().Complaints == before.Complaints {
		if time.Now().After(deadline) {
			t.Fatalf("rubbish is not counted: %+v", nodes[0].Stats())
		}
		_, _ = c.Write(make([]byte, mostPacket+1))
		_, _ = c.Write([]byte("rubbish"))
	}
}

// probesEnd lets memberlist's probes run out, for which it does not wait when it
// ends.
func probesEnd() { time.Sleep(10 * time.Second) }
