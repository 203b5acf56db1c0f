package account

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// admission is what a rate admitted, with what it turned out to be.
type admission struct {
	at, estimated, used, mark int64
	open                      bool
}

// TestTheLawOfRates: whatever is asked and corrected when, what was used by the
// requests of any stretch of time is at most the amount and what comes back in it.
func TestTheLawOfRates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64Range(1, 1000).Draw(t, "amount")
		l := newLimit(1, Rate{amount, time.Minute})
		var list []*admission
		now := int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, int64(30*time.Second)).Draw(t, "pause")
			if open := opens(list); len(open) > 0 && rapid.Bool().Draw(t, "settle") {
				a := rapid.SampledFrom(open).Draw(t, "which")
				a.used, a.open = rapid.Int64Range(0, a.estimated).Draw(t, "used"), false
				l.correct(now, a.mark, a.estimated, a.used)
				continue
			}
			n := rapid.Int64Range(1, amount).Draw(t, "tokens")
			if wait := l.wait(now, n); wait > 0 {
				if l.wait(now+wait, n) != 0 || l.wait(now+wait-1, n) == 0 {
					t.Fatalf("the wait of %v is not the time until it passes", time.Duration(wait))
				}
				continue
			}
			list = append(list, &admission{at: now, estimated: n, used: n, mark: l.take(now, n), open: true})
		}
		for i := range list {
			sum := int64(0)
			for j := i; j < len(list); j++ {
				sum += list[j].used
				if back := list[j].at - list[i].at; (sum-amount)*l.period > amount*back {
					t.Fatalf("%d in %v of %d a minute", sum, time.Duration(back), amount)
				}
			}
		}
	})
}

func opens(list []*admission) (open []*admission) {
	for _, a := range list {
		if a.open {
			open = append(open, a)
		}
	}
	return open
}

// TestARateIsUsedUp is the other half: what is there is admitted, to the last one,
// and what was estimated too high comes back.
func TestARateIsUsedUp(t *testing.T) {
	l := newLimit(1, Rate{1000, time.Minute})
	var marks []int64
	for range 10 {
		if l.wait(0, 100) != 0 {
			t.Fatal("a thousand do not fit at once")
		}
		marks = append(marks, l.take(0, 100))
	}
	if l.wait(0, 1) == 0 || l.left(0) != 0 {
		t.Fatalf("%d are left after a thousand", l.left(0))
	}
	for _, mark := range marks {
		l.correct(0, mark, 100, 20)
	}
	if l.left(0) != 800 {
		t.Errorf("%d are left when 200 were used", l.left(0))
	}
	l.correct(0, 0, 0, 900)
	if l.left(0) != 0 || l.wait(0, 100) != int64(12*time.Second) {
		t.Errorf("%d are left after 1100, and 100 fit in %v", l.left(0), time.Duration(l.wait(0, 100)))
	}
	if l.left(int64(6*time.Second)) != 0 || l.left(int64(66*time.Second)) != 1000 {
		t.Error("what was too much does not come back with time")
	}
}

func TestRatesOfEverySizeAreCounted(t *testing.T) {
	for _, rate := range []Rate{{1, 24 * time.Hour}, {mostAmount, time.Second}, {mostAmount, 24 * time.Hour}, {7, time.Second}, {40_000_000, 24 * time.Hour}} {
		l := newLimit(0, rate)
		if l.left(0) != rate.Amount || l.wait(0, rate.Amount) != 0 || l.wait(0, rate.Amount+1) == 0 && rate.Amount < int64(rate.Per) {
			t.Errorf("%v: %d are left at first", rate, l.left(0))
		}
		l.take(0, rate.Amount)
		if l.left(0) != 0 || l.left(l.period) != rate.Amount {
			t.Errorf("%v: %d are left after all, %d after a period", rate, l.left(0), l.left(l.period))
		}
	}
}

// TestWhatWasGivenBackIsNotGivenBackTwice: a correction moves when everything is
// there again, so what came later is nearer to it than its mark says.
func TestWhatWasGivenBackIsNotGivenBackTwice(t *testing.T) {
	l := newLimit(1, Rate{1000, 1000}) // one a nanosecond
	a := l.take(0, 500)
	b := l.take(0, 500)
	l.correct(0, a, 500, 0)
	if l.wait(450, 900) != 0 {
		t.Fatal("900 do not fit beside 50")
	}
	l.take(450, 900)
	l.correct(450, b, 500, 0)
	if l.left(450) > 100 {
		t.Errorf("%d are left beside 900 that were admitted at the same moment", l.left(450))
	}
}
