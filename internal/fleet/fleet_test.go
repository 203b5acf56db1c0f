package fleet

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tailplane/internal/llm"
)

var t0 = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

func fault(kind llm.FaultKind, scope llm.Scope, after time.Duration) *llm.Fault {
	return &llm.Fault{Kind: kind, Scope: scope, After: after}
}

func TestRetryAfterBindsItsScopeOnly(t *testing.T) {
	var f Fleet
	a := f.Target("a")
	a.Report(t0, "m", fault(llm.FaultRateLimit, llm.ScopeModel, 3*time.Second))
	if w := a.View(t0.Add(time.Second), "m").Wait; w != 2*time.Second {
		t.Errorf("the throttled model waits %v, want 2s", w)
	}
	if w := a.View(t0, "other").Wait; w != 0 {
		t.Errorf("another model of the target waits %v", w)
	}
	a.Report(t0, "m", fault(llm.FaultRateLimit, llm.ScopeKey, time.Second))
	if w := a.View(t0, "other").Wait; w != time.Second {
		t.Errorf("a demand on the credential binds every model: %v", w)
	}
	if w := a.View(t0.Add(time.Minute), "m").Wait; w != 0 {
		t.Errorf("a demand does not end: %v", w)
	}
	if w := f.Target("b").View(t0, "m").Wait; w != 0 {
		t.Errorf("another target waits %v", w)
	}
	if f.Target("a") != a {
		t.Error("a target's state is not kept under its name")
	}
}

func TestAShorterDemandDoesNotShortenALongerOne(t *testing.T) {
	a := newTarget("a")
	a.Report(t0, "m", fault(llm.FaultRateLimit, llm.ScopeKey, time.Minute))
	a.Report(t0, "m", fault(llm.FaultRateLimit, llm.ScopeKey, time.Second))
	if w := a.View(t0, "m").Wait; w != time.Minute {
		t.Errorf("waits %v, want 1m", w)
	}
	a.Report(t0, "m", nil)
	if w := a.View(t0, "m").Wait; w != time.Minute {
		t.Errorf("a success lifts the demand: %v", w)
	}
}

func TestRetryBudgetBoundsRetriesToAShareOfRequests(t *testing.T) {
	a := newTarget("a")
	const requests, percent = 10_000, 20
	granted := 0
	for range requests {
		a.Deposit(percent)
		for range 3 { // everything fails and everybody wants three retries
			if a.Withdraw() {
				granted++
			}
		}
	}
	if most := requests*percent/100 + initialRetries/oneRetry; granted > most || granted < requests*percent/100 {
		t.Errorf("%d retries for %d requests, want %d to %d", granted, requests, requests*percent/100, most)
	}
}

func TestALimitHoldsHoweverManyComeAtOnce(t *testing.T) {
	a := newTarget("a")
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if a.Begin(t0, 7) {
				admitted.Add(1)
			}
		})
	}
	wg.Wait()
	if n := a.View(t0, "m").InFlight; n != 7 || admitted.Load() != 7 {
		t.Errorf("%d admitted, %d in flight, want 7", admitted.Load(), n)
	}
	a.End()
	if !a.Begin(t0, 7) {
		t.Error("the place of one that ended is not given to the next")
	}
}

func TestConcurrentUseKeepsCount(t *testing.T) {
	a := newTarget("a")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				a.Begin(t0, 0)
				if i%7 == 0 {
					a.Report(t0, "m", fault(llm.FaultServer, llm.ScopeTarget, time.Millisecond))
				} else {
					a.Report(t0, "m", nil)
				}
				a.View(t0, "m")
				a.End()
			}
		})
	}
	wg.Wait()
	if n := a.View(t0, "m").InFlight; n != 0 {
		t.Errorf("%d in flight after all have ended", n)
	}
}
