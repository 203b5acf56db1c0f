package route

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/models"
	"tailplane/internal/prefix"
)

func TestHedgeAfter(t *testing.T) {
	for expected, want := range map[time.Duration]time.Duration{
		0: 500 * time.Millisecond, 100 * time.Millisecond: 500 * time.Millisecond, time.Second: 3 * time.Second,
	} {
		if got := HedgeAfter(expected); got != want {
			t.Errorf("HedgeAfter(%v) = %v, want %v", expected, got, want)
		}
	}
	if !HedgeWorth(3*time.Second, time.Second) || HedgeWorth(3*time.Second-1, time.Second) {
		t.Error("a second attempt is worth it from three times its expected time on")
	}
}

func TestHedgeBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		percent := rapid.IntRange(1, 10).Draw(t, "percent")
		b := NewHedgeBudget(percent)
		taken := 0
		for i, want := range rapid.SliceOfN(rapid.Bool(), 0, 1000).Draw(t, "wants") {
			b.Earn()
			if want && b.Take() {
				taken++
			}
			if 100*taken > percent*(i+1) {
				t.Fatalf("%d of %d requests, more than %d%%", taken, i+1, percent)
			}
		}
		for range 1000 {
			b.Earn()
		}
		burst := 0
		for b.Take() {
			burst++
		}
		if burst != mostHedges/oneHedge {
			t.Fatalf("%d at once after a quiet time, want %d", burst, mostHedges/oneHedge)
		}
	})
}

func TestExpectSeesTheQueue(t *testing.T) {
	g := NewGroup("m", NewPolicy(models.Policy{Name: "auto"}), nil)
	now := time.Unix(1_700_000_000, 0)
	var first, second prefix.Chain
	prefix.FromBody(&first, 1, long('a'))
	prefix.FromBody(&second, 2, long('b'))
	one, two := Query{Chain: first}, Query{Chain: second}
	if _, known := g.Expect(now, &two, "x"); known {
		t.Fatal("a replica that the group has not met is predicted")
	}
	var tx, ty Ticket
	g.Sent(now, &one, "x", &tx)
	g.Sent(now, &one, "y", &ty)
	ty.Done(now, Result{Cached: -1})
	busy, _ := g.Expect(now, &two, "x")
	free, _ := g.Expect(now, &two, "y")
	if busy <= free || free <= 0 {
		t.Fatalf("behind a prompt %v, alone %v", busy, free)
	}
}

// long is a body with one long message.
func long(b byte) []byte {
	return []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat(string(b), 64<<10) + `"}]}`)
}
