package fleet

import (
	"strconv"
	"testing"
	"time"

	"tailplane/internal/llm"
)

// requests is a limit of ten requests in the minute from t0, with so many left.
func requests(remaining int64) *llm.Quota {
	return &llm.Quota{llm.QuotaRequests: {Limit: 10, Remaining: remaining, Known: true, Learned: t0, Reset: t0.Add(time.Minute)}}
}

func TestHeadroomIsThatOfTheBestCredentialForTheModel(t *testing.T) {
	a := newTarget("a")
	if share, wait := a.Headroom(t0, "m"); share != 1 || wait != 0 {
		t.Errorf("nothing is known: %v %v", share, wait)
	}
	a.Learn(t0, "one", "m", requests(0))
	if share, wait := a.Headroom(t0.Add(time.Second), "m"); share != 0 || wait != 59*time.Second {
		t.Errorf("exhausted: %v %v", share, wait)
	}
	if share, wait := a.Headroom(t0, "other"); share != 1 || wait != 0 {
		t.Errorf("another model: %v %v", share, wait)
	}
	a.Learn(t0, "two", "m", requests(4))
	if share, wait := a.Headroom(t0, "m"); share != .4 || wait != 0 {
		t.Errorf("another credential has some left: %v %v", share, wait)
	}
	a.Learn(t0.Add(time.Second), "one", "m", requests(7))
	if share, _ := a.Headroom(t0, "m"); share != .7 {
		t.Errorf("news of a known one: %v", share)
	}
	if q := a.Quota("two", "m"); q != *requests(4) {
		t.Errorf("the second credential's: %+v", q)
	}
	if q := a.Quota("three", "m"); q != (llm.Quota{}) {
		t.Errorf("one that was never used: %+v", q)
	}
	if share, wait := a.Headroom(t0.Add(time.Minute), "m"); share != 1 || wait != 0 {
		t.Errorf("at the reset: %v %v", share, wait)
	}
}

func TestTheTightestLimitOfATargetIsShown(t *testing.T) {
	a := newTarget("a")
	a.Learn(t0, "", "m", requests(9))
	a.Learn(t0, "", "n", requests(2))
	a.Learn(t0, "", "o", requests(5))
	if q := a.Tightest(t0); q[llm.QuotaRequests].Remaining != 2 || q[llm.QuotaTokens].Known {
		t.Errorf("%+v", q)
	}
	if q := a.Tightest(t0.Add(time.Minute)); q != (llm.Quota{}) {
		t.Errorf("when all is reset: %+v", q)
	}
}

func TestLimitsAreBounded(t *testing.T) {
	a := newTarget("a")
	for i := range 3 * maxScopes {
		a.Learn(t0, "", strconv.Itoa(i), requests(1))
	}
	if n := len(a.quotas.known); n != maxScopes {
		t.Errorf("%d are kept, want %d", n, maxScopes)
	}
	a.Learn(t0.Add(time.Hour), "", "new", requests(1))
	if n := len(a.quotas.known); n != 1 {
		t.Errorf("of those that say nothing any more %d are kept", n-1)
	}
}

func TestLearningAllocatesNothingInTheLongRun(t *testing.T) {
	a, q := newTarget("a"), requests(3)
	a.Learn(t0, "k", "m", q)
	if n := testing.AllocsPerRun(100, func() { a.Learn(t0, "k", "m", q); a.Headroom(t0, "m"); a.Quota("k", "m") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLearn(b *testing.B) {
	a, q := newTarget("a"), requests(3)
	b.ReportAllocs()
	for b.Loop() {
		a.Learn(t0, "k", "m", q)
	}
}
