package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// filled returns a closed database of 100 exchanges and its path.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 2, 3, 0, 0, 0, time.UTC)
	var batch []*Exchange
	for n := range 100 {
		ex := typical(idFrom(at.UnixMilli()) + fmt.Sprintf("%016d", n))
		ex.Start = at
		batch = append(batch, ex)
	}
	if err := errors.Join(s.Append(t.Context(), Position{Segment: 1}, batch), s.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// change runs a statement on a database behind the store's back.
func (s *SQLite) change(t *testing.T, statement string, args ...any) {
	t.Helper()
	if res, err := s.write.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	} else if n, _ := res.RowsAffected(); n == 0 && !strings.HasPrefix(statement, "PRAGMA") {
		t.Fatalf("%s changed nothing", statement)
	}
}

func TestStoreOfANewerVersionIsLeftAlone(t *testing.T) {
	path := filled(t)
	s, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s.change(t, `INSERT INTO migrations (number, name, sum) VALUES (99, '0099_x.sql', '')`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSQLite(t.Context(), path); err == nil || !strings.Contains(err.Error(), "newer version (schema 99") || !strings.Contains(err.Error(), path) {
		t.Errorf("the error does not say what is wrong and where: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed, %v", err)
	}
}

// A field that this version does not know is passed over.
func TestRecordOfANewerVersionIsRead(t *testing.T) {
	payload := appendExchange(nil, typical(id(1)))
	payload = putInt(putText(payload, 900, "new"), 901, 7)
	got, err := decodeExchange(payload)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(typical(id(1)), got); d != "" {
		t.Error(d)
	}
	if _, err := decodeExchange(payload[:len(payload)-1]); err == nil {
		t.Error("a record that ends in the middle of a field was taken")
	}
}

// Sums of a newer version, or cut ones, are an error and no smaller sum.
func TestDamagedSumsAreAnError(t *testing.T) {
	for name, statement := range map[string]string{
		"newer hour": `UPDATE rollup SET sums = x'7f' || substr(sums, 2)`,
		"cut hour":   `UPDATE rollup SET sums = substr(sums, 1, length(sums) - 1)`,
		"empty hour": `UPDATE rollup SET sums = x''`,
		"newer day":  `UPDATE days SET sums = x'7f' || substr(sums, 2)`,
		"cut day":    `UPDATE days SET sums = substr(sums, 1, length(sums) - 1)`,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenSQLite(t.Context(), filled(t))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if strings.Contains(name, "day") {
				tidyAll(t, s, time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC))
			}
			s.change(t, statement)
			if rows, err := s.Usage(t.Context(), UsageQuery{}); !errors.Is(err, errRollup) {
				t.Errorf("usage %+v, %v", rows, err)
			}
		})
	}
}

// A record with a byte too few is an error to whoever reads it, and does not hide
// the others.
func TestDamagedRecordIsAnError(t *testing.T) {
	s, err := OpenSQLite(t.Context(), filled(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.unblock(t)
	list, err := s.Recent(t.Context(), 100, Filter{})
	if err != nil || len(list) != 100 {
		t.Fatalf("%d exchanges, %v", len(list), err)
	}
	bad, good := list[50].ID, list[49].ID
	s.change(t, `UPDATE exchanges SET record = substr(record, 1, length(record) - 1) WHERE id = ?`, bad)
	if _, err := s.Get(t.Context(), bad); !errors.Is(err, errRecord) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Get(t.Context(), good); err != nil {
		t.Errorf("get another: %v", err)
	}
	if err := s.Each(t.Context(), Filter{}, func(*Exchange) error { return nil }); !errors.Is(err, errRecord) {
		t.Errorf("each: %v", err)
	}
}

// A full disk stores nothing of a batch; when there is room again, the same batch
// goes in once.
func TestFullDiskStoresABatchOrNothing(t *testing.T) {
	s := openLite(t)
	j := openTest(t, JournalOptions{Store: s})
	at := time.Date(2026, 11, 2, 3, 0, 0, 0, time.UTC)
	for n := range 500 {
		ex := typical(idFrom(at.UnixMilli()) + fmt.Sprintf("%016d", n))
		ex.Start = at
		if err := j.Settle(ex); err != nil {
			t.Fatal(err)
		}
	}
	s.change(t, fmt.Sprintf(`PRAGMA max_page_count = %d`, s.number(t, `PRAGMA page_count`)+2))
	if err := j.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("flush on a full disk: %v", err)
	}
	rows, err := s.Usage(t.Context(), UsageQuery{})
	if n := s.number(t, storedRecords); n != 0 || err != nil || rows[0].Requests != 0 {
		t.Errorf("%d exchanges are stored, usage %+v, %v", n, rows, err)
	}
	if pos, err := s.Position(t.Context()); pos != (Position{}) || err != nil {
		t.Errorf("the position is %v, %v", pos, err)
	}
	s.change(t, `PRAGMA max_page_count = 1000000`)
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err = s.Usage(t.Context(), UsageQuery{})
	if n := s.number(t, storedRecords); n != 500 || err != nil || rows[0].Requests != 500 {
		t.Errorf("%d exchanges are stored, usage %+v, %v", n, rows, err)
	}
}

// When the clock jumps back, exchanges come in another order than their ids, and
// one that reads the clock on either side of the jump is a stray. All of them are
// found where they began, also in a day that was summed.
func TestClockJumpsBack(t *testing.T) {
	s := openLite(t)
	j := openTest(t, JournalOptions{Store: s})
	noon := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	yesterday := noon.AddDate(0, 0, -1)
	want := map[string]time.Time{}
	settle := func(made, start time.Time) {
		t.Helper()
		ex := typical(idFrom(made.UnixMilli()) + fmt.Sprintf("%016d", len(want)))
		ex.Start = start
		want[ex.ID] = start
		if err := errors.Join(j.Admit(ex), j.Settle(ex)); err != nil {
			t.Fatal(err)
		}
	}
	settle(noon, noon)
	settle(yesterday, yesterday)
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	tidyAll(t, s, noon.AddDate(0, 0, 1))
	settle(noon.Add(time.Second), noon.Add(time.Second))
	settle(noon.Add(2*time.Second), yesterday.Add(2*time.Second)) // the jump is in between
	settle(yesterday.Add(3*time.Second), yesterday.Add(3*time.Second))
	settle(yesterday.Add(4*time.Second), noon.Add(4*time.Second)) // and forth again
	for range 2 {
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for day, begin := range map[string]time.Time{"2026-11-02": noon, "2026-11-01": yesterday} {
			f := Filter{From: begin, To: begin.Add(time.Minute)}
			got := map[string]time.Time{}
			if err := s.Each(t.Context(), f, func(ex *Exchange) error {
				got[ex.ID] = ex.Start
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(got) != 3 {
				t.Errorf("%s has %v", day, got)
			}
			for id, start := range got {
				if !want[id].Equal(start) {
					t.Errorf("%s began at %v, want %v", id, start, want[id])
				}
			}
			whole := begin.Truncate(24 * time.Hour)
			for _, f := range []Filter{f, {From: whole, To: whole.AddDate(0, 0, 1)}} {
				rows, err := s.Usage(t.Context(), UsageQuery{By: []string{ByDay}, Filter: f})
				if err != nil || len(rows) != 1 || rows[0].Day != day || rows[0].Requests != 3 {
					t.Errorf("usage of %+v: %+v, %v", f, rows, err)
				}
			}
			if list, err := s.Recent(t.Context(), 10, f); err != nil || len(list) != 3 || !list[0].Start.After(list[2].Start) {
				t.Errorf("recent of %s: %d, %v", day, len(list), err)
			}
		}
		tidyAll(t, s, noon.AddDate(0, 0, 1))
	}
}
