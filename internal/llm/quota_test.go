package llm

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// seconds after t0.
func at(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func TestQuota(t *testing.T) {
	minute := at(60)
	told := func(limit, remaining int64, reset time.Time, steady bool) Allowance {
		return Allowance{Limit: limit, Remaining: remaining, Known: true, Learned: t0, Reset: reset, Steady: steady}
	}
	cases := []struct {
		name     string
		quota    Quota
		now      time.Time
		headroom float64
		known    bool
		wait     time.Duration
	}{
		{"nothing is known", Quota{}, t0, 1, false, 0},
		{"a limit alone says nothing", Quota{QuotaRequests: {Limit: 9, Learned: t0}}, t0, 1, false, 0},
		{"negative is unknown", Quota{QuotaTokens: told(-1, -1, minute, false)}, t0, 1, false, 0},
		{"remaining without a limit is no share", Quota{QuotaTokens: told(0, 5, minute, false)}, t0, 1, false, 0},
		{"nothing left of an unknown limit is nothing", Quota{QuotaTokens: told(0, 0, minute, false)}, t0, 0, true, time.Minute},
		{"the least share counts", Quota{QuotaRequests: told(100, 90, minute, false), QuotaTokens: told(1000, 200, minute, false)}, t0, .2, true, 0},
		{"a window gives nothing back before its end", Quota{QuotaRequests: told(10, 0, minute, false)}, at(59), 0, true, time.Second},
		{"at the reset it is full", Quota{QuotaRequests: told(10, 0, minute, false)}, minute, 1, false, 0},
		{"a bucket fills evenly", Quota{QuotaRequests: told(100, 0, minute, true)}, at(30), .5, true, 0},
		{"an empty bucket has one in a hundredth of its time", Quota{QuotaRequests: told(100, 0, minute, true)}, t0, 0, true, 600 * time.Millisecond},
		{"and a small one when one is back", Quota{QuotaRequests: told(6, 0, minute, true)}, at(4), 4. / 60, true, 6 * time.Second},
		{"a token or two is no request", Quota{QuotaTokens: told(60000, 0, minute, true)}, at(.1), .1 / 60, true, 500 * time.Millisecond},
		{"without a reset it is believed for a minute", Quota{QuotaRequests: told(10, 0, time.Time{}, false)}, at(20), 0, true, 40 * time.Second},
		{"and then no more", Quota{QuotaRequests: told(10, 0, time.Time{}, false)}, at(60), 1, false, 0},
		{"a clock that goes back", Quota{QuotaRequests: told(10, 5, minute, true)}, at(-9), .5, true, 0},
		{"more left than the limit", Quota{QuotaRequests: told(10, 50, minute, true)}, t0, 1, true, 0},
	}
	for _, c := range cases {
		share, known := c.quota.Headroom(c.now)
		if share < c.headroom-1e-9 || share > c.headroom+1e-9 || known != c.known {
			t.Errorf("%s: headroom %v %v, want %v %v", c.name, share, known, c.headroom, c.known)
		}
		if wait := c.quota.Wait(c.now); wait.Round(time.Microsecond) != c.wait {
			t.Errorf("%s: wait %v, want %v", c.name, wait, c.wait)
		}
	}
}

func TestALaterAnswerIsBelievedAndSilenceIsNot(t *testing.T) {
	old := Quota{QuotaRequests: {Limit: 10, Remaining: 9, Known: true, Learned: at(1)}, QuotaTokens: {Limit: 10, Remaining: 1, Known: true, Learned: at(1)}}
	q := old
	q.Learn(&Quota{QuotaRequests: {Limit: 10, Remaining: 3, Known: true, Learned: at(2)}})
	if q[QuotaRequests].Remaining != 3 || q[QuotaTokens].Remaining != 1 {
		t.Errorf("after a newer answer about requests: %+v", q)
	}
	q.Learn(&old)
	if q[QuotaRequests].Remaining != 3 {
		t.Error("an answer that was overtaken is believed")
	}
}

func TestARequestAboveTheLimitNeverFits(t *testing.T) {
	q := Quota{QuotaTokens: {Limit: 1000}, QuotaInputTokens: {Limit: 800}}
	cases := []struct {
		input, output int64
		want          bool
	}{{0, 0, true}, {800, 200, true}, {801, 0, false}, {700, 301, false}, {100, 900, true}}
	for _, c := range cases {
		if got := q.Fits(c.input, c.output); got != c.want {
			t.Errorf("%d in, %d out: %v", c.input, c.output, got)
		}
	}
	if nothing := (Quota{}); !nothing.Fits(1<<40, 1<<40) {
		t.Error("an unknown limit refuses")
	}
}

// TestHeadroomOnlyRises: without news, time only gives back; what is exhausted
// is not so after the wait that it states.
func TestHeadroomOnlyRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Quota
		for i := range q {
			if !rapid.Bool().Draw(t, "told") {
				continue
			}
			q[i] = Allowance{
				Limit: rapid.Int64Range(-1, 1e6).Draw(t, "limit"), Remaining: rapid.Int64Range(-1, 1e6).Draw(t, "remaining"),
				Known: rapid.Bool().Draw(t, "known"), Learned: t0, Steady: rapid.Bool().Draw(t, "steady"),
			}
			if s := rapid.Float64Range(-10, 600).Draw(t, "reset"); s > 0 {
				q[i].Reset = at(s)
			}
		}
		a := rapid.Float64Range(0, 700).Draw(t, "now")
		b := a + rapid.Float64Range(0, 700).Draw(t, "later")
		before, _ := q.Headroom(at(a))
		after, _ := q.Headroom(at(b))
		if before < 0 || after > 1 || after < before-1e-9 {
			t.Fatalf("headroom %v, later %v", before, after)
		}
		wait := q.Wait(at(a))
		if wait < 0 || q.Wait(at(a).Add(wait+time.Microsecond)) > time.Microsecond {
			t.Fatalf("after its wait of %v it waits again for %v", wait, q.Wait(at(a).Add(wait+time.Microsecond)))
		}
	})
}
