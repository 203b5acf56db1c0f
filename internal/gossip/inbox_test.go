package gossip

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"pgregory.net/rapid"
)

func TestAPacketIsFreshOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		seen := map[uint64]bool{}
		highest, base := uint64(0), rapid.SampledFrom([]uint64{0, 1 << 40, math.MaxUint64 - 5000}).Draw(t, "base")
		steps := rapid.SliceOfN(rapid.OneOf(rapid.Uint64Range(0, 80), rapid.Uint64Range(0, 4000)), 1, 200).Draw(t, "steps")
		for _, s := range steps {
			n := base + s
			want := !seen[n] && (len(seen) == 0 || n > highest || highest-n < windowSize)
			if got := w.fresh(n); got != want {
				t.Fatalf("%d after %v: fresh is %v", n, seen, got)
			}
			if want {
				w.mark(n)
				seen[n] = true
				highest = max(highest, n)
			}
		}
		lowest := uint64(math.MaxUint64)
		for n := range seen {
			lowest = min(lowest, n)
		}
		if got, want := w.lost(), highest-lowest+1-uint64(len(seen)); got != want {
			t.Fatalf("lost %d, want %d", got, want)
		}
	})
}

func announced(name string, epoch uint64) *memberlist.Node {
	return &memberlist.Node{Name: name, Meta: binary.BigEndian.AppendUint64(nil, epoch)}
}

// hearing is an inbox with one peer "a" of epoch 7, and what it applied.
func hearing(t *testing.T) (in *inbox, heard *[]Delta, silent *[]string) {
	t.Helper()
	heard, silent = new([]Delta), new([]string)
	in = newInbox(Options{
		Apply:  func(_ string, d []Delta) { *heard = append(*heard, d...) },
		Silent: func(p string) { *silent = append(*silent, p) },
	}, "self")
	in.join(announced("a", 7), time.Unix(0, 0))
	return in, heard, silent
}

func TestWhatIsBelieved(t *testing.T) {
	now := time.Unix(100, 0)
	one, _ := written(7, 1, []Delta{work(1)})
	stranger, _ := written(8, 1, []Delta{work(1)})
	cut, _ := written(7, 2, []Delta{work(1)})
	long := append(slices.Clone(one), make([]byte, mostPayload)...)
	for _, c := range []struct {
		name    string
		packets [][]byte
		want    Stats
	}{
		{"once", [][]byte{one}, Stats{Received: 1, Applied: 1}},
		{"the same again", [][]byte{one, one, one}, Stats{Received: 1, Applied: 1, Replayed: 2}},
		{"nobody's", [][]byte{stranger}, Stats{Strangers: 1}},
		{"no packet", [][]byte{nil, {0}, {version}}, Stats{Malformed: 3}},
		{"cut off, then whole", [][]byte{cut[:len(cut)-1], cut}, Stats{Malformed: 1, Received: 1, Applied: 1}},
		{"too long", [][]byte{long}, Stats{Oversized: 1}},
	} {
		in, heard, _ := hearing(t)
		for _, p := range c.packets {
			in.receive(p, now)
		}
		if got := in.counted(); got != c.want || len(*heard) != int(c.want.Applied) {
			t.Errorf("%s: %+v and %d applied, want %+v", c.name, got, len(*heard), c.want)
		}
	}
}

func TestAnybodyMaySayOnlySoMuch(t *testing.T) {
	in, heard, _ := hearing(t)
	in.join(announced("b", 8), time.Unix(0, 0))
	var full []Delta
	for range 200 {
		full = append(full, Delta{})
	}
	now, sequence := time.Unix(100, 0), uint64(0)
	shout := func() {
		for range 10 * mostPerSecond / 200 {
			sequence++
			b, _ := written(7, sequence, full)
			in.receive(b, now)
		}
	}
	shout()
	if s := in.counted(); s.Applied != mostPerSecond || s.Limited != 9*mostPerSecond {
		t.Errorf("a burst: %+v", s)
	}
	now = now.Add(500 * time.Millisecond)
	shout()
	if s := in.counted(); s.Applied != mostPerSecond*3/2 {
		t.Errorf("half a second later: %+v", s)
	}
	b, _ := written(8, 1, []Delta{work(1)})
	in.receive(b, now)
	if got := *heard; got[len(got)-1] != work(1) {
		t.Error("another one is not heard beside the one who shouts")
	}
}

// TestComingBackDoesNotMakeOldPacketsNew: a member that memberlist lost and found
// is in the same life.
func TestComingBackDoesNotMakeOldPacketsNew(t *testing.T) {
	in, heard, silent := hearing(t)
	old, _ := written(7, 5, []Delta{work(1)})
	in.receive(old, time.Unix(1, 0))
	in.leave("a")
	in.receive(old, time.Unix(2, 0)) // of nobody now
	in.join(announced("a", 7), time.Unix(3, 0))
	in.receive(old, time.Unix(4, 0))
	if s := in.counted(); len(*heard) != 1 || s.Replayed != 1 || s.Strangers != 1 || !slices.Equal(*silent, []string{"a"}) {
		t.Errorf("heard %d, %+v, silent %v", len(*heard), s, *silent)
	}
	in.join(announced("a", 9), time.Unix(5, 0)) // restarted: it said nothing that is to be voided
	in.receive(old, time.Unix(6, 0))
	anew, _ := written(9, 1, []Delta{work(2)})
	in.receive(anew, time.Unix(6, 0))
	in.join(announced("a", 10), time.Unix(7, 0)) // and again
	if s := in.counted(); len(*heard) != 2 || s.Strangers != 2 || len(*silent) != 2 {
		t.Errorf("heard %d, %+v, silent %v", len(*heard), s, *silent)
	}
}

func TestMembersAreLimited(t *testing.T) {
	in, _, _ := hearing(t)
	for i := 1; i < mostMembers; i++ {
		n := announced(fmt.Sprint("m", i), uint64(100+i))
		if !in.welcome(n) {
			t.Fatalf("member %d is refused", i)
		}
		in.join(n, time.Unix(int64(i), 0))
	}
	one := announced("one too many", 1)
	if in.welcome(one) || !in.welcome(announced("a", 50)) || !in.welcome(announced("self", 7)) {
		t.Error("all places are taken: only those who have one, and oneself, are welcome")
	}
	in.leave("m3")
	in.leave("m9")
	if !in.welcome(one) {
		t.Fatal("a place that became free is not given")
	}
	in.join(one, time.Unix(1000, 0))
	if in.peers["m3"] != nil || in.peers["m9"] == nil || len(in.peers) != mostMembers {
		t.Error("the place of the one who is gone longest is given")
	}
	for name, n := range map[string]*memberlist.Node{
		"no epoch":          {Name: "x"},
		"an epoch of seven": {Name: "x", Meta: make([]byte, 7)},
		"another's epoch":   announced("x", 101),
		"a long name":       announced(string(make([]byte, mostName+1)), 77),
	} {
		if in.welcome(n) {
			t.Errorf("%s is welcome", name)
		}
	}
	if got := in.counted().Refused; got != 5 {
		t.Errorf("%d refused, want 5", got)
	}
}

func TestTheOutboxNeverBlocks(t *testing.T) {
	o := newOutbox(3)
	o.put(Delta{Kind: 9})
	for i := range int32(5) {
		o.put(work(i))
	}
	if got := o.take(nil); !slices.Equal(got, []Delta{work(0), work(1), work(2)}) {
		t.Errorf("took %v", got)
	}
	o.put(work(9))
	if got := o.take(nil); !slices.Equal(got, []Delta{work(9)}) {
		t.Errorf("took %v", got)
	}
	if told, dropped := o.counted(); told != 4 || dropped != 3 {
		t.Errorf("told %d, dropped %d", told, dropped)
	}
}

func TestADeltaIsNotAllocatedFor(t *testing.T) {
	in := newInbox(Options{}, "self")
	in.join(announced("a", 7), time.Unix(0, 0))
	o := newOutbox(64)
	var p packet
	var waiting []Delta
	sequence, now := uint64(0), time.Unix(1, 0)
	round := func() {
		sequence++
		now = now.Add(time.Second)
		for i := range int32(30) {
			o.put(work(i))
		}
		waiting = o.take(waiting[:0])
		p.reset(7, sequence)
		for _, d := range waiting {
			p.add(d)
		}
		in.receive(p.buf, now)
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("30 deltas make %v allocations", n)
	}
	if s := in.counted(); s.Applied < 3000 {
		t.Errorf("applied %d", s.Applied)
	}
}
