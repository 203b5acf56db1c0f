package prefix_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tailplane/internal/prefix"
)

// blocks is a chain with a checkpoint behind each letter of s; equal beginnings
// have equal checkpoints.
func blocks(s string) *prefix.Chain {
	var stream strings.Builder
	for _, letter := range s {
		stream.WriteString(strings.Repeat(string(letter), 256))
	}
	return chainOf(1, stream.String())
}

const block = 256

// strides is a chain as blocks makes it, whose checkpoints from the sixth on are four
// times as far apart.
func strides(s string) *prefix.Chain {
	c := blocks(s)
	for i := 5; i < len(c.Marks); i++ {
		c.Marks[i].End = c.Marks[i-1].End + 4*block
	}
	return c
}

func TestTheTailIsEvictedBeforeTheHead(t *testing.T) {
	x := prefix.NewIndex()
	x.Resize(0, 6*block)
	x.Insert(0, blocks("abcd"))
	x.Insert(0, blocks("abxy"))
	for _, step := range []struct {
		chain string
		want  int
	}{{"abcd", 4}, {"abxy", 4}, {"abc", 3}, {"aaaa", 1}, {"b", 0}} {
		if got := x.Lookup(0, blocks(step.chain)); got != step.want*block {
			t.Errorf("%s: %d, want %d blocks", step.chain, got, step.want)
		}
	}
	x.Insert(0, blocks("z"))
	if got := x.Lookup(0, blocks("abcd")); got != 3*block {
		t.Errorf("after an eviction abcd has %d bytes, want 3 blocks", got)
	}
	x.Insert(0, blocks("mnopqrst"))
	if got := x.Lookup(0, blocks("mnopqrst")); got != 6*block || x.Used(0) != 6*block {
		t.Errorf("of a chain that is too large %d bytes are known and %d used, want 6 blocks", got, x.Used(0))
	}
}

func TestClearEmptiesOneReplica(t *testing.T) {
	x := prefix.NewIndex()
	c := blocks("abcd")
	for r := range 2 {
		x.Resize(r, 1<<20)
		x.Insert(r, c)
		x.Head(r, blocks("abcdefgh").Marks[7].Hash, 8*block)
	}
	x.Clear(0)
	if x.Used(0) != 0 || x.Lookup(0, blocks("abcdefgh")) != 0 || x.Capacity(0) != 1<<20 {
		t.Errorf("used %d, hit %d, capacity %d", x.Used(0), x.Lookup(0, blocks("abcdefgh")), x.Capacity(0))
	}
	if x.Lookup(1, blocks("abcdefgh")) != 8*block || x.Used(1) != 4*block {
		t.Errorf("the other replica has %d, used %d", x.Lookup(1, blocks("abcdefgh")), x.Used(1))
	}
	x.Insert(0, blocks("xy")) // the number is used again
	if x.Lookup(0, blocks("xyz")) != 2*block || x.Lookup(0, c) != 0 {
		t.Error("a replica that was cleared does not begin anew")
	}
}

func TestAHeadIsFoundAloneAndGrowsOld(t *testing.T) {
	x := prefix.NewIndex()
	whole := blocks("abcdefgh")
	x.Head(0, whole.Marks[5].Hash, 6*block)
	if x.Lookup(0, whole) != 0 {
		t.Error("a replica that was not resized has something")
	}
	x.Resize(0, 4*block)
	x.Insert(0, blocks("ab"))
	x.Head(0, whole.Marks[5].Hash, 6*block)
	if got := x.Lookup(0, whole); got != 6*block {
		t.Errorf("hit %d, want 6 blocks", got)
	}
	if got := x.Lookup(0, blocks("abcde")); got != 2*block {
		t.Errorf("a chain that ends before the head has %d, want 2 blocks", got)
	}
	x.Head(0, whole.Marks[7].Hash, 5*block) // at an offset where the chain has another hash
	if got := x.Lookup(0, whole); got != 6*block {
		t.Errorf("hit %d with a head that lies about its offset", got)
	}
	x.Head(0, whole.Marks[6].Hash, 7*block)
	if got := x.Lookup(0, whole); got != 7*block {
		t.Errorf("hit %d, want the 7 blocks of a longer head", got)
	}
	x.Insert(0, blocks("mnop")) // evicts ab, which is older than the head
	if got := x.Lookup(0, whole); got != 7*block {
		t.Errorf("a head is forgotten with what is older: %d", got)
	}
	x.Elsewhere(0, 4*block) // evicts mnop, which is younger
	if got := x.Lookup(0, whole); got != 0 {
		t.Errorf("a head is remembered when what is younger is evicted: %d", got)
	}
	if x.Used(0) != 4*block || x.Lookup(0, blocks("mnop")) != 0 {
		t.Errorf("used %d, want what others have", x.Used(0))
	}
}

func TestOddNumbersAreIgnored(t *testing.T) {
	x := prefix.NewIndex()
	c := blocks("abc")
	for _, r := range []int{-1, 0, 3, 1 << 30} {
		x.Insert(r, c)
		x.Head(r, 1, 256)
		x.Shrink(r, 100)
		x.Elsewhere(r, 5000)
		x.Clear(r)
		if x.Lookup(r, c) != 0 || x.Used(r) != 0 || x.Capacity(r) != 0 {
			t.Errorf("replica %d has something", r)
		}
	}
	x.Resize(-1, 100)
	x.Resize(2, -5)
	x.Resize(2, 1<<20)
	x.Insert(2, new(prefix.Chain))
	x.Head(2, 0, 256)
	x.Head(2, 1, 0)
	x.Head(2, 1, 1<<40)
	x.Shrink(2, -1)
	x.Elsewhere(2, -1)
	if x.Len() != 0 || x.Used(2) != 0 || x.Lookup(2, new(prefix.Chain)) != 0 {
		t.Errorf("%d checkpoints, %d used", x.Len(), x.Used(2))
	}
}

// naive is a replica as the documentation has it: a list in the order of use.
type naive struct {
	capacity, owed, gone int64
	known, heads         []held // newest first
	now                  int
	forgotten            int
}

type held struct {
	hash uint64
	size int64
	at   int
}

func (n *naive) used() (sum int64) {
	for _, h := range n.known {
		sum += h.size
	}
	return sum
}

func (n *naive) insert(c *prefix.Chain) {
	n.now++
	var chain []held
	before := 0
	for _, m := range c.Marks {
		if int64(m.End) <= n.capacity {
			chain = append(chain, held{m.Hash, int64(m.End - before), n.now})
		}
		before = m.End
	}
	for _, h := range n.known {
		if h.hash == 0 || !has(chain, h.hash) {
			chain = append(chain, h)
		}
	}
	n.known = chain
	n.evict(n.capacity)
}

func has(list []held, hash uint64) bool {
	for _, h := range list {
		if h.hash == hash {
			return true
		}
	}
	return false
}

func (n *naive) evict(room int64) {
	for n.used() > room {
		last := len(n.known) - 1
		n.forgotten = n.known[last].at
		n.known = n.known[:last]
	}
}

func (n *naive) shrink(bytes int64) {
	if bytes == 0 {
		return // nothing was removed, whatever is still to be told apart
	}
	n.gone += min(bytes, n.used())
	for len(n.known) > 0 && n.known[len(n.known)-1].size <= n.gone {
		n.gone -= n.known[len(n.known)-1].size
		n.evict(n.used() - n.known[len(n.known)-1].size)
	}
	if len(n.known) == 0 {
		n.gone = 0
	}
}

func (n *naive) elsewhere(bytes int64) {
	n.owed = min(n.owed+bytes, n.capacity)
	if n.owed >= 1024 {
		n.now++
		n.known = append([]held{{0, n.owed, n.now}}, n.known...)
		n.owed = 0
		n.evict(n.capacity)
	}
}

func (n *naive) lookup(c *prefix.Chain) (hit int) {
	for _, m := range c.Marks {
		if !has(n.known, m.Hash) {
			break
		}
		hit = m.End
	}
	for _, m := range c.Marks {
		for _, h := range n.heads {
			if h.hash == m.Hash && int(h.size) == m.End && h.at > n.forgotten {
				hit = max(hit, m.End)
			}
		}
	}
	return hit
}

func (n *naive) clear() { *n = naive{capacity: n.capacity, now: n.now, forgotten: n.now} }

func TestTheIndexIsAsTheNaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, model := prefix.NewIndex(), make([]naive, 3)
		chains := rapid.Custom(func(t *rapid.T) *prefix.Chain {
			stem := rapid.SampledFrom([]string{"aaaaaaaaaaaaaa", "aaaaabbbbbaaaa", "abcabcabcabcab"}).Draw(t, "stem")
			stem = stem[:rapid.IntRange(0, len(stem)).Draw(t, "shared")]
			return strides(stem + rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 0, 7, -1).Draw(t, "own"))
		})
		for r := range model {
			model[r].capacity = int64(rapid.IntRange(0, 120).Draw(t, "capacity")) * block
			x.Resize(r, model[r].capacity)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			r := rapid.IntRange(0, len(model)-1).Draw(t, "replica")
			n := &model[r]
			switch rapid.SampledFrom([]string{"insert", "insert", "insert", "insert", "head", "elsewhere", "shrink", "resize", "clear"}).Draw(t, "do") {
			case "insert":
				c := chains.Draw(t, "chain")
				if got, want := x.Insert(r, c), n.lookup(c); got != want {
					t.Fatalf("replica %d had %d bytes of what is inserted, want %d", r, got, want)
				}
				n.insert(c)
			case "head":
				if c := chains.Draw(t, "chain"); len(c.Marks) > 0 {
					last := c.Marks[len(c.Marks)-1]
					x.Head(r, last.Hash, last.End)
					n.now++
					n.heads = append(n.heads, held{last.Hash, int64(last.End), n.now})
				}
			case "elsewhere":
				bytes := int64(rapid.IntRange(0, 3000).Draw(t, "bytes"))
				x.Elsewhere(r, bytes)
				n.elsewhere(bytes)
			case "shrink":
				bytes := int64(rapid.IntRange(0, 12*block).Draw(t, "bytes"))
				x.Shrink(r, bytes)
				n.shrink(bytes)
			case "resize":
				n.capacity = int64(rapid.IntRange(1, 120).Draw(t, "capacity")) * block
				x.Resize(r, n.capacity)
				n.evict(n.capacity)
			case "clear":
				x.Clear(r)
				n.clear()
			}
			probe := chains.Draw(t, "probe")
			for r := range model {
				got := fmt.Sprint(x.Lookup(r, probe), x.Used(r), x.Capacity(r))
				want := fmt.Sprint(model[r].lookup(probe), model[r].used(), model[r].capacity)
				if got != want {
					t.Fatalf("replica %d has hit, used, capacity %s, want %s", r, got, want)
				}
			}
		}
	})
}
