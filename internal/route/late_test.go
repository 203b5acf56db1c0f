package route

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestOneThatIsFarTooLateIsTold by its group, and one of half the speed, or a group
// that is slow as a whole, is not.
func TestOneThatIsFarTooLateIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		slow  float64 // times the group's first token, of one of four
		all   float64 // times what is expected, of all
		least float64 // deviations
		most  float64
	}{
		"all alike":      {1, 1, -1, 1},
		"all slow":       {1, 50, -1, 1},
		"half the speed": {2, 1, 0, 3},
		"twenty times":   {20, 1, 4, 9},
	} {
		t.Run(name, func(t *testing.T) {
			roll := rand.New(rand.NewPCG(1, 2))
			var l lateness
			sum, n := 0.0, 0
			for i := range 4000 {
				took := c.all * math.Exp(0.3*roll.NormFloat64())
				if i%4 == 0 {
					took *= c.slow
				}
				late := l.take(took, 1, 4)
				if i%4 == 0 && i >= 2000 {
					sum, n = sum+late, n+1
				}
			}
			if mean := sum / float64(n); mean < c.least || mean > c.most {
				t.Errorf("%.2f deviations, want %v to %v", mean, c.least, c.most)
			}
		})
	}
}

func TestNothingIsLateWithoutOthers(t *testing.T) {
	g := newTestGroup("auto")
	now := time.Unix(1_700_000_000, 0)
	for i := range 200 {
		var ticket Ticket
		g.Sent(now, &Query{Chain: prompt(uint64(i), 4)}, []string{"a", "b"}[i%2], &ticket)
		took := 20 * time.Millisecond
		if i%2 == 0 {
			took = 5 * time.Second
		}
		now = now.Add(took)
		if late := ticket.First(now); late != 0 {
			t.Fatalf("of two, one is %v deviations late", late)
		}
		ticket.Done(now, Result{OK: true, Cached: -1})
	}
}
