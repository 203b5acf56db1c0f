package admin

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tailplane/internal/ledger"
)

// archive is a desk whose ledger is on disk, and the path of its database.
func archive(t *testing.T, list ...*ledger.Exchange) (*Service, http.Handler, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "ledger.db")
	store, err := ledger.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s, h := desk(t)
	s.JournalDir = filepath.Join(dir, "journal")
	if s.Journal, err = ledger.OpenJournal(ledger.JournalOptions{Dir: s.JournalDir, Store: store}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Journal.Close() })
	s.Reader = store
	for _, ex := range list {
		if err := s.Journal.Settle(ex); err != nil {
			t.Fatal(err)
		}
	}
	return s, h, path
}

func TestALedgerIsVerified(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	_, h, path := archive(t, &ledger.Exchange{ID: "req_1", Start: at}, &ledger.Exchange{ID: "req_2", Start: at})
	verify := func() (r LedgerReport) {
		t.Helper()
		w := send(h, "GET", "/admin/v1/ledger/verify", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return r
	}
	if r := verify(); !r.OK() || r.Journal.Records != 2 || r.Store.Records != 2 || len(r.JournalHead) != 64 || len(r.Store.Head) != 64 {
		t.Errorf("%+v", r)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DELETE FROM exchanges WHERE id = 'req_2'"); err != nil {
		t.Fatal(err)
	}
	if r := verify(); r.OK() || len(r.Store.Problems) != 1 || !strings.Contains(r.Store.Problems[0], "req_2 is missing") {
		t.Errorf("%+v", r.Store)
	}
}
