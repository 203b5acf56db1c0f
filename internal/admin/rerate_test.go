package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tailplane/internal/facts"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

// tokensAt is an exchange of a million input tokens at a target.
func tokensAt(id, target, model string, cost int64, status ledger.Pricing) *ledger.Exchange {
	u := llm.Usage{Input: 1_000_000, Source: llm.UsageReported}
	return &ledger.Exchange{
		ID: id, Start: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), Model: model, Outcome: ledger.OutcomeOK,
		Attempts: []ledger.Attempt{{Target: target, Kind: "vllm", Model: model, Usage: u, Cost: cost, Priced: status}},
		Usage:    u, Cost: cost, PriceStatus: status,
	}
}

// TestUsageIsRatedAgain: usage before, after, at the original prices, after the same
// run, and after one with other prices. What nobody knows the price of stays
// unpriced, and no known cost is lost.
func TestUsageIsRatedAgain(t *testing.T) {
	s, h, _ := archive(t,
		tokensAt("req_1", "gpu-1", "big", 0, ledger.Unpriced), tokensAt("req_2", "gpu-1", "small", 7_000_000, ledger.Priced),
		tokensAt("req_3", "gpu-2", "other", 0, ledger.Unpriced))
	store, ok := s.Reader.(*ledger.SQLite)
	if !ok {
		t.Fatal("the desk has no store")
	}
	s.Rerate, s.Facts = store.Rerate, facts.NewMemory()
	owner := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	usage := func(query string, cost, unpriced int64) {
		t.Helper()
		w := send(h, "GET", "/admin/v1/usage"+query, "", owner)
		var rows []ledger.UsageRow
		if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil || len(rows) != 1 || rows[0].Cost != cost || rows[0].Unpriced != unpriced || rows[0].Requests != 3 {
			t.Errorf("usage%s: %d %s, want %d and %d unpriced", query, w.Code, w.Body, cost, unpriced)
		}
	}
	order := func(body string, status int) (done Rerated) {
		t.Helper()
		w := send(h, "POST", "/admin/v1/rerate", body, owner)
		if w.Code != status {
			t.Fatalf("%s: %d %s, want %d", body, w.Code, w.Body, status)
		}
		_ = json.Unmarshal(w.Body.Bytes(), &done) // an error is no Rerated
		return done
	}
	usage("", 7_000_000, 2)
	const first = `{"from":"2026-11-24","to":"2026-11-25","run":"r1","note":"why","prices":{"gpu-1/big":{"input":"2","output":"4"}}`
	told := order(first+`,"dry_run":true}`, 200)
	usage("", 7_000_000, 2)
	done := order(first+`}`, 200)
	if done.OldCost != 7_000_000 || done.NewCost != 2_007_000_000 || done.Changed != 1 || done.Looked != 3 || done.Unpriced != 1 ||
		len(done.Left) != 1 || done.Left[0] != (Unpriced{"gpu-2", "other", 1}) || told.RunOutcome != done.RunOutcome || !strings.Contains(done.Version, "+prices-") {
		t.Errorf("told %+v\ndid %+v", told, done)
	}
	usage("", 2_007_000_000, 1)
	usage("?original=true", 7_000_000, 2)
	if again := order(first+`}`, 200); again.RunOutcome != done.RunOutcome {
		t.Errorf("again: %+v", again)
	}
	usage("", 2_007_000_000, 1)
	second := order(`{"from":"2026-11-24","prices":{"gpu-1/*":{"input":"3","output":"4"}}}`, 200)
	if second.OldCost != 2_007_000_000 || second.NewCost != 6_000_000_000 || second.Run == "" {
		t.Errorf("%+v", second)
	}
	usage("", 6_000_000_000, 1)
	usage("?original=true", 7_000_000, 2)
	for body, status := range map[string]int{
		`{}`: 400, `{"from":"yesterday"}`: 400, `{"from":"2026-11-24","to":"2026-11-24"}`: 400,
		`{"from":"2026-11-24","prices":{"a/b":{"input":"x"}}}`:                            400,
		`{"from":"2026-11-24","to":"2026-11-25","run":"r1"}`:                              409, // with other prices
		`{"from":"2026-11-24","note":"` + strings.Repeat("x", 1001) + `"}`:                400,
		`{"from":"2026-11-24","to":"2026-11-25","run":"` + strings.Repeat("x", 65) + `"}`: 400,
	} {
		order(body, status)
	}
	list, err := s.As(viewers[Finance]).Audit(t.Context(), facts.AuditQuery{Kind: kindRerate})
	if err != nil || len(list) != 3 || !strings.Contains(string(list[2].After), `"note":"why"`) || !strings.Contains(string(list[2].After), `"new_cost_nano":2007000000`) {
		t.Errorf("%v %+v", err, list)
	}
}
