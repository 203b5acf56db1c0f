package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A segment that cannot be given its name is an error as long as it is so, and no longer.
func TestASegmentThatCannotBeNamedIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		breaks, mends func(t *testing.T, j *Journal) error
	}{
		"its name is taken": {
			func(_ *testing.T, j *Journal) error { return os.MkdirAll(filepath.Join(j.path(2), "x"), 0o700) },
			func(_ *testing.T, j *Journal) error { return os.RemoveAll(j.path(2)) },
		},
		"it was removed": {
			func(_ *testing.T, j *Journal) error { return os.Remove(j.spare.path) },
			func(*testing.T, *Journal) error { return nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMemory(0)
			j := openTest(t, JournalOptions{Dir: t.TempDir(), SegmentBytes: 4 << 10, Store: m})
			j.prepare()
			if err := c.breaks(t, j); err != nil {
				t.Fatal(err)
			}
			n := 0
			var err error
			for ; err == nil && n < 100; n++ {
				err = j.Settle(typical(id(n)))
			}
			if err == nil {
				t.Fatal("nothing failed")
			}
			if err := c.mends(t, j); err != nil {
				t.Fatal(err)
			}
			_ = j.pass(t.Context())
			if err := errors.Join(j.Settle(typical("req_next")), j.Flush(t.Context())); err != nil {
				t.Fatal(err)
			}
			if len(m.list) != n || j.Stats().Lost != 1 {
				t.Errorf("the store has %d exchanges, want %d; %+v", len(m.list), n, j.Stats())
			}
		})
	}
}

// A segment's name that could not be made durable is made so the next time.
func TestANameThatWasNotSyncedIsSyncedLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := openTest(t, JournalOptions{Dir: dir, SegmentBytes: 4 << 10, Store: NewMemory(0)})
	for n := 0; j.Stats().Segments == 1; n++ {
		if err := j.Settle(typical(id(n))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := j.sync(); err == nil {
		t.Error("a directory that is not there was synced")
	}
	if !j.named {
		t.Error("the name is taken for durable")
	}
	if err := errors.Join(os.Rename(dir+".away", dir), j.sync()); err != nil || j.named {
		t.Errorf("it is not synced later: %v", err)
	}
}
