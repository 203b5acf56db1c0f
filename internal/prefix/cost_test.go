package prefix_test

import (
	"runtime"
	"testing"

	"tailplane/internal/prefix"
)

// TestADecisionAllocatesNothing in a steady state, whatever the form of the body
// is.
func TestADecisionAllocatesNothing(t *testing.T) {
	for _, b := range bodies {
		x, c := busy(), new(prefix.Chain)
		for range 3 {
			decide(x, c, b.body)
		}
		if n := testing.AllocsPerRun(50, func() { decide(x, c, b.body) }); n != 0 {
			t.Errorf("%s: %v allocations", b.name, n)
		}
	}
}

// TestAMillionCheckpoints take less than 64 MB, in one replica and in many, of long
// prompts and of such as have one checkpoint each.
func TestAMillionCheckpoints(t *testing.T) {
	const million, most = 1_000_000, 64 << 20
	for _, of := range []struct{ replicas, length int }{{1, 100}, {8, 100}, {200, 100}, {1, 1}, {8, 1}} {
		n := of.replicas
		before := heap()
		x := prefix.NewIndex()
		c := prefix.Chain{Marks: make([]prefix.Mark, of.length)}
		h := uint64(1)
		for i := range million / of.length {
			for j := range c.Marks {
				h = h*6364136223846793005 + 1442695040888963407
				c.Marks[j] = prefix.Mark{Hash: h ^ h>>29, End: 256 * (j + 1)}
			}
			x.Resize(i%n, 1<<40)
			x.Insert(i%n, &c)
		}
		took := heap() - before
		if x.Len() != million {
			t.Fatalf("%d checkpoints", x.Len())
		}
		t.Logf("%d replicas, prompts of %d: %.1f MB", n, of.length, float64(took)/(1<<20))
		if took > most {
			t.Errorf("a million checkpoints of %d replicas take %d MB, more than %d", n, took>>20, most>>20)
		}
		if hit := x.Lookup((million/of.length-1)%n, &c); hit != 256*of.length {
			t.Errorf("hit %d", hit)
		}
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
