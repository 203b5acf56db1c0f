package fleet

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSharesAddUp: whatever joins and leaves when, what all of them used is the
// time in which there was any, but for the nanoseconds that did not divide.
func TestSharesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Share
		now := time.Unix(1_800_000_000, 0)
		var marks []int64
		var busy, used time.Duration
		leave := func() {
			used += s.Leave(now, marks[0])
			marks = marks[1:]
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			pass := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "pass"))
			now = now.Add(pass)
			if len(marks) > 0 {
				busy += pass
			}
			if len(marks) > 0 && rapid.Bool().Draw(t, "leave") {
				leave()
			} else {
				marks = append(marks, s.Join(now))
			}
		}
		for len(marks) > 0 {
			leave()
		}
		if off := busy - used; off < 0 || off > 60 {
			t.Fatalf("requests used %v of %v: %d ns are missing", used, busy, off)
		}
	})
}

func TestSharesAreEqual(t *testing.T) {
	var s Share
	t0 := time.Unix(1_800_000_000, 0)
	a := s.Join(t0)
	b := s.Join(t0.Add(10 * time.Second))
	if got := s.Leave(t0.Add(20*time.Second), a); got != 15*time.Second {
		t.Errorf("alone for 10 s and one of two for 10 s: %v, want 15s", got)
	}
	if got := s.Leave(t0.Add(15*time.Second), b); got != 5*time.Second {
		t.Errorf("a clock that goes back takes nothing away: %v, want 5s", got)
	}
	c := s.Join(t0.Add(time.Hour))
	if got := s.Leave(t0.Add(time.Hour+time.Second), c); got != time.Second {
		t.Errorf("idle time is nobody's: %v, want 1s", got)
	}
}
