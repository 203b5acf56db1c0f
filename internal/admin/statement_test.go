package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
)

// clerk makes statements that say what was asked.
type clerk struct{}

func (clerk) Look(_ context.Context, customer, month string) ([]byte, error) {
	return fmt.Appendf(nil, `{"draft":%q}`, customer+month), nil
}

func (clerk) State(_ context.Context, customer, month string, again bool) ([]byte, error) {
	if month == "2026-13" {
		return nil, fmt.Errorf("%w: 2026-12 comes first", ErrConflict)
	}
	return fmt.Appendf(nil, `{"stated":%q}`, fmt.Sprint(customer, month, again)), nil
}

// office is a desk with statements and a day of calls.
func office(t *testing.T) (*Service, http.Handler) {
	t.Helper()
	s, _ := desk(t)
	s.Statements = clerk{}
	late := time.Date(2026, 11, 24, 23, 59, 59, 0, time.UTC)
	for i, ex := range []ledger.Exchange{
		{Attempts: []ledger.Attempt{{Kind: "openai", Model: "gpt-4o", Fault: "overloaded"}, {Kind: "bedrock", Model: "x", Begin: 2 * time.Second, Usage: llm.Usage{Input: 5}, Cost: 9}}, Outcome: ledger.OutcomeOK},
		{Attempts: []ledger.Attempt{{Kind: "openai", Model: "gpt-4o", Usage: llm.Usage{Input: 7, Output: 1}, Priced: ledger.Unpriced}}, Outcome: ledger.OutcomeOK},
		{Model: "gone", Outcome: ledger.OutcomeUnknown},
	} {
		ex.ID, ex.Start = fmt.Sprintf("req_bb%d", i), late
		if err := s.Journal.Admit(&ex); err != nil {
			t.Fatal(err)
		}
		if err := s.Journal.Settle(&ex); err != nil {
			t.Fatal(err)
		}
	}
	return s, s.Handler(func() []string { return nil }, http.NotFoundHandler())
}

func ask(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost"
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStatementsCallsAndExports(t *testing.T) {
	s, h := office(t)
	cases := []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "statement?customer=acme&month=2026-11", "", 200, `{"draft":"acme2026-11"}`},
		{"POST", "statement", `{"customer":"acme","month":"2026-11"}`, 200, `{"stated":"acme2026-11false"}`},
		{"POST", "statement", `{"month":"2026-13"}`, 409, "2026-12 comes first"},
		{"POST", "statement", `{"year":"2026"}`, 400, "usage"},
		{"GET", "calls?from=2026-11-24", "", 400, "name from and to"},
		{"GET", "calls?from=2026-11-24&to=2026-11-26&provider=bedrock", "", 200, `{"day":"2026-11-25","model":"x","provider":"bedrock","requests":1,"input":5,"cache_read":0,"cache_write":0,"output":0,"cost_nano":9}`},
		{"GET", "calls?from=2026-11-24&to=2026-11-26&provider=openai", "", 200, `"unknown":1`},
		{"GET", "calls?from=2026-11-24&to=2026-11-26", "", 200, `"model":"gpt-4o","provider":"openai","requests":2,"input":7`},
		{"GET", "export?from=2026-11-24&to=2026-11-26", "", 200, `{"end":true,"lines":5}`},
		{"GET", "export?from=2026-11-25&to=2026-11-26", "", 200, `{"end":true,"lines":0}`},
		{"GET", "export?to=2026-11-26", "", 400, "name from and to"},
	}
	for _, c := range cases {
		if w := ask(h, c.method, "/admin/v1/"+c.path, c.body); w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s: %d %s, want %d and %s", c.method, c.path, w.Code, w.Body, c.status, c.says)
		}
	}
	s.Statements = nil
	if w := ask(h, "GET", "/admin/v1/statement?month=2026-11", ""); w.Code != 404 {
		t.Errorf("without a state directory: %d %s", w.Code, w.Body)
	}
}

// TestNarrowRolesAreToldNoneOfIt: what names everybody's requests and money is
// for those who see all.
func TestNarrowRolesAreToldNoneOfIt(t *testing.T) {
	s, _ := office(t)
	for _, role := range []Role{GPUTeam, CustomerViewer} {
		s.Door = NewDoor(secret.Plain(token))
		v := s.As(Viewer{Actor: "x", Role: role, Customers: []string{"acme"}, Targets: []string{"a"}})
		day := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
		_, one := v.Statement(t.Context(), "acme", "2026-11")
		_, two := v.Calls(t.Context(), day, day.AddDate(0, 0, 1), "")
		_, three := v.State(t.Context(), NewStatement{Month: "2026-11"}, day)
		four := v.Each(t.Context(), ledger.Filter{From: day, To: day.AddDate(0, 0, 1)}, func(*ledger.Exchange) error { return nil })
		if one == nil || two == nil || three == nil || four == nil {
			t.Errorf("%s: %v, %v, %v, %v", role, one, two, three, four)
		}
	}
	if _, err := s.As(Viewer{Role: Operator}).State(t.Context(), NewStatement{Month: "2026-11"}, time.Now()); err == nil {
		t.Error("an operator states what is owed")
	}
}

func TestAnExportThatFailsSaysSo(t *testing.T) {
	s, h := office(t)
	s.Reader = failing{s.Reader}
	w := ask(h, "GET", "/admin/v1/export?from=2026-11-24&to=2026-11-26", "")
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	var end exportEnd
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || !end.End || end.Lines != 1 || !strings.Contains(end.Error, "the disk") {
		t.Errorf("%s, %v", w.Body, err)
	}
}

// failing is a reader whose disk breaks after a record.
type failing struct{ ledger.Reader }

func (f failing) Each(ctx context.Context, q ledger.Filter, do func(*ledger.Exchange) error) error {
	n := 0
	return f.Reader.Each(ctx, q, func(ex *ledger.Exchange) error {
		if n++; n > 1 {
			return fmt.Errorf("the disk is gone")
		}
		return do(ex)
	})
}
