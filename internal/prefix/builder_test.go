package prefix_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tailplane/internal/prefix"
)

var sameChain = cmpopts.IgnoreUnexported(prefix.Chain{})

// chainOf is the chain of a stream that is written in one piece.
func chainOf(seed uint64, stream string) *prefix.Chain {
	c, b := new(prefix.Chain), prefix.NewBuilder()
	b.Start(seed, c)
	b.WriteString(stream)
	b.Finish()
	return c
}

func TestHowTheStreamIsCutDoesNotShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(0, 40<<10).Draw(t, "length")
		stream := noise(rapid.Uint64().Draw(t, "noise"), length)
		lane := rapid.IntRange(0, length).Draw(t, "lane")

		want, got := new(prefix.Chain), new(prefix.Chain)
		b := prefix.NewBuilder()
		b.Start(7, want)
		b.Write(stream[:lane])
		b.MarkLane()
		b.Write(stream[lane:])
		b.Finish()

		b.Start(7, got)
		for i := 0; i < length; {
			if i == lane {
				b.MarkLane()
			}
			n := rapid.SampledFrom([]int{0, 1, 2, 7, 255, 256, 257, 1000, 1024, 5000}).Draw(t, "n")
			end := min(i+n, length)
			if i < lane {
				end = min(end, lane)
			}
			if rapid.Bool().Draw(t, "string") {
				b.WriteString(string(stream[i:end]))
			} else {
				b.Write(stream[i:end])
			}
			i = end
		}
		if lane == length {
			b.MarkLane()
		}
		b.Finish()
		if diff := cmp.Diff(want, got, sameChain); diff != "" {
			t.Fatal(diff)
		}
	})
}

// noise is bytes that do not repeat.
func noise(seed uint64, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		out[i] = byte(seed) + byte(i)
	}
	return out
}

func TestWhereCheckpointsStand(t *testing.T) {
	const last = 2 << 20
	c := chainOf(1, strings.Repeat("x", last+5000))
	if len(c.Marks) != 2096 || c.Bytes != last+5000 {
		t.Fatalf("%d marks of %d bytes", len(c.Marks), c.Bytes)
	}
	at := 0
	for i, m := range c.Marks {
		if at += 256; at > 16<<10 {
			at += 768
		}
		if m.End != at {
			t.Fatalf("mark %d at %d, want %d", i, m.End, at)
		}
	}
	if at != last {
		t.Errorf("the last mark at %d, want %d", at, last)
	}
	b := prefix.NewBuilder()
	b.Start(1, c)
	b.Write(make([]byte, last))
	b.Write(make([]byte, 10))
	b.MarkLane()
	b.Finish()
	if len(c.Marks) != 2096 || c.Bytes != last+10 || c.Lane == 0 {
		t.Errorf("%d marks of %d bytes, lane %x", len(c.Marks), c.Bytes, c.Lane)
	}
}

func TestEachByteCounts(t *testing.T) {
	stream := noise(3, 20<<10)
	want := chainOf(1, string(stream))
	for _, at := range []int{0, 255, 256, 1000, 16<<10 - 1, 16 << 10, 20<<10 - 1} {
		other := bytes.Clone(stream)
		other[at]++
		got := chainOf(1, string(other))
		for i, m := range got.Marks {
			if same, before := m == want.Marks[i], m.End <= at; same != before {
				t.Errorf("byte %d changed, mark at %d: same is %v", at, m.End, same)
			}
		}
	}
}

func TestAnotherTenantNeverMatches(t *testing.T) {
	seeds := map[uint64]string{}
	for _, s := range [][3]string{
		{"", "", ""},
		{"a", "", ""},
		{"", "a", ""},
		{"", "", "a"},
		{"a", "b", ""},
		{"b", "a", ""},
		{"ab", "", ""},
		{"", "ab", ""},
		{"a", "", "b"},
		{"acme", "llama", ""},
		{"acme", "llama", "sql"},
		{"globex", "llama", ""},
	} {
		seed := prefix.Seed(s[0], s[1], s[2])
		if other := seeds[seed]; other != "" {
			t.Errorf("%q has the seed of %s", s, other)
		}
		seeds[seed] = strings.Join(s[:], "/") + "."
	}
	x := prefix.NewIndex()
	x.Resize(0, 1<<20)
	stream := strings.Repeat("the same words ", 2000)
	mine := chainOf(prefix.Seed("acme", "llama", ""), stream)
	x.Insert(0, mine)
	if hit := x.Lookup(0, mine); hit == 0 {
		t.Fatal("its own tenant does not match")
	}
	if hit := x.Lookup(0, chainOf(prefix.Seed("globex", "llama", ""), stream)); hit != 0 {
		t.Errorf("another tenant matches %d bytes", hit)
	}
}

// TestGatewaysAgree: gateways of different versions and machines tell each other
// hashes, so that these values are a format.
func TestGatewaysAgree(t *testing.T) {
	seed := prefix.Seed("acme", "llama", "sql")
	var c prefix.Chain
	prefix.FromBody(&c, seed, bodies[1].body)
	last := c.Marks[len(c.Marks)-1]
	if seed != 0x5d0ce4666e93998c || c.Lane != 0x9ad8b83ef7828fde || last.Hash != 0xd5925de8fe392c12 {
		t.Errorf("seed %#x, lane %#x, last mark %#x", seed, c.Lane, last.Hash)
	}
}
