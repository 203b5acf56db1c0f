package credential

import (
	"testing"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// TestALimitIsOfOneMember: what one key of a pool was limited for, the others serve;
// when all are, whoever is free first is asked.
func TestALimitIsOfOneMember(t *testing.T) {
	a := Slot{Key: ref(t, "a-0123456789"), NextKey: ref(t, "n-0123456789"), Name: "a", Weight: 1000}
	s := source(t, Config{Keys: []Slot{a, {Key: ref(t, "b-0123456789"), Name: "b"}}}, Options{Roll: func() float64 { return 0 }})
	limit := func(after time.Duration, scope llm.Scope) *llm.Fault {
		return &llm.Fault{Kind: llm.FaultRateLimit, Retry: llm.RetrySame, Scope: scope, After: after}
	}
	for i, step := range []struct {
		at      time.Duration
		model   string
		used    string
		fault   *llm.Fault
		another bool
		rest    time.Duration
	}{
		{0, "m", "a", limit(10*time.Second, llm.ScopeModel), true, 0},
		{1 * time.Second, "m", "b", nil, false, 0},
		{2 * time.Second, "other", "a", nil, false, 0}, // the limit is the model's
		{3 * time.Second, "m", "b", limit(60*time.Second, llm.ScopeModel), false, 7 * time.Second},
		{4 * time.Second, "m", "a", nil, false, 6 * time.Second}, // the one that is free first
		{10 * time.Second, "m", "a", limit(0, llm.ScopeModel), false, 0},
		{11 * time.Second, "m", "a", limit(20*time.Second, llm.ScopeKey), false, 20 * time.Second},
		{12 * time.Second, "other", "b", badKey, true, 0}, // a refused key is worse than a limited one
		{13 * time.Second, "other", "a", nil, false, 0},
		{31 * time.Second, "m", "a", nil, false, 0},
	} {
		now := t0.Add(step.at)
		use, err := s.Authorize(t.Context(), &h1.Request{}, Caller{Model: step.model}, now)
		if err != nil || use.Name() != step.used {
			t.Fatalf("step %d: %q is used, want %q: %v", i, use.Name(), step.used, err)
		}
		if another := s.Report(use, step.fault, now); another != step.another {
			t.Errorf("step %d: another = %v", i, another)
		}
		if rest := s.Rest(use, now); rest != step.rest {
			t.Errorf("step %d: a rest of %v, want %v", i, rest, step.rest)
		}
	}
}

// TestOneMemberHasNobodyToTurnTo: its successor is the same account.
func TestOneMemberHasNobodyToTurnTo(t *testing.T) {
	s := source(t, Config{Slot: Slot{Key: ref(t, "a-0123456789"), NextKey: ref(t, "n-0123456789")}}, Options{})
	_, use := sent(t, s, t0)
	if s.Report(use, &llm.Fault{Kind: llm.FaultRateLimit, After: time.Minute}, t0) || s.Rest(use, t0) != 0 {
		t.Error("its successor counts as another")
	}
}
