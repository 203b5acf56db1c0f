package queue_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"tailplane/internal/queue"
)

func TestValidateNamesWhatIsWrong(t *testing.T) {
	cases := []struct {
		name   string
		config queue.Config
		want   []string
	}{
		{"nothing said", queue.Config{}, nil},
		{"the defaults", queue.Default(), nil},
		{"all out of range", queue.Config{MaxWait: -1, Requests: -1, Bytes: -1, Target: time.Hour, Reserve: 91}, []string{"q.max_wait", "q.requests", "q.bytes", "q.target", "q.reserve_percent"}},
		{"a band's", queue.Config{Low: queue.BandConfig{MaxWait: 2 * time.Hour, Requests: -1}}, []string{"q.low.max_wait", "q.low.requests"}},
		{"a band with more than there is", queue.Config{Requests: 10, High: queue.BandConfig{Requests: 11}}, []string{"q.high.requests"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			c.config.Validate("q", func(path, wrong, right string) {
				got = append(got, path)
				if wrong == "" || right == "" {
					t.Errorf("%s: %q, %q", path, wrong, right)
				}
			})
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("reported %v, want %v", got, c.want)
			}
		})
	}
}

func TestSomethingIsKeptForHighPriority(t *testing.T) {
	c := queue.Config{Target: time.Second, Reserve: 25}
	normal, owed, high := queue.Item{}, queue.Item{Owed: true}, queue.Item{Band: queue.High}
	if a, b, h := c.Ceiling(normal), c.Ceiling(owed), c.Ceiling(high); a != 750*time.Millisecond || b != time.Second || h != time.Second {
		t.Errorf("the ceilings are %v, %v and %v", a, b, h)
	}
	claimed, wide := queue.Item{Claim: 1}, queue.Config{Target: time.Second, Reserve: 50}
	if a, b := c.Part(normal), c.Part(claimed); a != 0.875 || b != 0.75 {
		t.Errorf("of a replica %v are left while nobody claims what is kept, and %v while somebody does", a, b)
	}
	if a, b := c.Ceiling(claimed), wide.Ceiling(claimed); a != 500*time.Millisecond || b != 0 {
		t.Errorf("the ceilings beside those who claim what is kept are %v and %v", a, b)
	}
	for _, of := range []struct{ limit, normal int }{{1, 1}, {2, 1}, {3, 2}, {8, 7}, {100, 99}} {
		if got := c.Places(of.limit, normal); got != of.normal {
			t.Errorf("of %d places a normal request may use %d, want %d", of.limit, got, of.normal)
		}
		if got := c.Places(of.limit, high); got != of.limit {
			t.Errorf("of %d places a high one may use %d", of.limit, got)
		}
	}
}

func TestBandsHaveNames(t *testing.T) {
	for _, b := range queue.Bands {
		var got queue.Band
		if err := got.UnmarshalText([]byte(b.String())); err != nil || got != b {
			t.Errorf("%v is read as %v, %v", b, got, err)
		}
	}
	var b queue.Band
	if err := b.UnmarshalText([]byte("urgent")); err == nil {
		t.Error("any word is a priority")
	}
	if b != queue.Normal {
		t.Errorf("nothing said is %v", b)
	}
}

func TestALimitIsLearnedFromRefusals(t *testing.T) {
	var l queue.Limit
	if !l.Room(1_000_000) || l.Most() != 0 {
		t.Fatal("there is a limit before anything was refused")
	}
	now := epoch
	for range 10 { // those that were in flight together are one piece of news
		l.Refused(now, 39)
		now = now.Add(50 * time.Millisecond)
	}
	if l.Most() != 20 || !l.Room(19) || l.Room(20) {
		t.Errorf("after refusals at 40 the limit is %d", l.Most())
	}
	for range 20 {
		l.Done(19)
	}
	if l.Most() != 20 && l.Most() != 21 {
		t.Errorf("after a round of answers the limit is %d", l.Most())
	}
	l.Refused(now.Add(time.Second), 4)
	if l.Most() != 2 {
		t.Errorf("after a refusal at 5 the limit is %d", l.Most())
	}
	for range 10 {
		now = now.Add(2 * time.Second)
		l.Refused(now, 0)
	}
	if l.Most() != 1 || !l.Room(0) {
		t.Errorf("the limit falls to %d", l.Most())
	}
}

// TestALimitFindsWhatAnUpstreamTakes: it refuses the 31st.
func TestALimitFindsWhatAnUpstreamTakes(t *testing.T) {
	var l queue.Limit
	now, inFlight := epoch, 0
	refused, sent, least := 0, 0, math.MaxInt
	for i := range 40_000 {
		now = now.Add(10 * time.Millisecond)
		for range 2 {
			if !l.Room(inFlight) {
				continue
			}
			sent++
			if inFlight >= 30 {
				refused++
				l.Refused(now, inFlight)
			} else {
				inFlight++
			}
		}
		if inFlight > 0 {
			inFlight--
			l.Done(inFlight)
		}
		if i > 10_000 {
			least = min(least, inFlight)
		}
	}
	if refused*50 > sent || least < 10 {
		t.Errorf("%d of %d were refused, and %d were in flight at least", refused, sent, least)
	}
}

func TestALimitFollowsLateFirstTokens(t *testing.T) {
	var l queue.Limit
	for range 100 {
		l.First(epoch, 40, 0.15, 0.1)
	}
	if l.Most() != 0 {
		t.Errorf("half again as long makes a limit of %d", l.Most())
	}
	for range 100 {
		l.First(epoch, 49, 0.5, 0.1)
	}
	if l.Most() != 45 {
		t.Errorf("five times as long makes a limit of %d, once", l.Most())
	}
	for _, bad := range []float64{0, -1, math.NaN()} {
		l.First(epoch.Add(time.Hour), 1, 1, bad)
	}
	for range 3 {
		l.Done(1)
	}
	if l.Most() != 0 {
		t.Errorf("a limit that is not needed stays at %d", l.Most())
	}
}
