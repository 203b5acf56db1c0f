package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// What a strict journal has acknowledged is before where it has synced, through
// rotations, draining and the sealing of segments.
func TestStrictJournalAnswersWhenTheRecordIsSynced(t *testing.T) {
	store := NewMemory(1 << 20)
	j := openTest(t, JournalOptions{Dir: t.TempDir(), SegmentBytes: 16 << 10, Strict: true, Store: store})
	const callers, each = 16, 40
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for n := range each {
				ex := typical(id(c*each + n))
				if err := errors.Join(j.Admit(ex), j.Settle(ex)); err != nil {
					t.Error(err)
					return
				}
				if n%10 == 0 {
					if err := j.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	end, err := j.end()
	j.commits.mu.Lock()
	synced := j.commits.synced
	j.commits.mu.Unlock()
	if err != nil || synced.Before(end) {
		t.Errorf("synced up to %v, want %v", synced, end)
	}
	if s := j.Stats(); s.Admitted != callers*each || s.Settled != callers*each || s.Open != 0 || s.Lost+s.Unsynced != 0 {
		t.Errorf("stats %+v", s)
	}
}

// A journal that is not strict, or is in memory, does not wait for a disk.
func TestNormalJournalDoesNotSync(t *testing.T) {
	for name, o := range map[string]JournalOptions{"normal": {Dir: t.TempDir()}, "in memory": {Strict: true}} {
		j := openTest(t, o)
		file := j.cur.mem.file
		if file != nil {
			j.cur.mem.file = os.NewFile(^uintptr(0), "closed")
		}
		if err := j.Settle(typical(id(1))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		j.cur.mem.file = file
	}
}

// When the disk fails, the caller is told; the record is in the journal all the
// same, and the exchange is not open any more.
func TestStrictJournalTellsThatTheDiskFailed(t *testing.T) {
	dir := t.TempDir()
	j := openTest(t, JournalOptions{Dir: dir, Strict: true})
	closed, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	file := j.cur.mem.file
	j.cur.mem.file = closed
	ex := typical(id(1))
	if err := j.Admit(ex); !errors.Is(err, ErrNotSynced) || ex.Admission == 0 {
		t.Errorf("admit: %v, in segment %d", err, ex.Admission)
	}
	if err := j.Settle(ex); !errors.Is(err, ErrNotSynced) {
		t.Errorf("settle: %v", err)
	}
	if s := j.Stats(); s.Unsynced != 2 || s.Lost != 0 || s.Open != 0 || s.Settled != 1 || !errors.Is(s.Err, ErrNotSynced) {
		t.Errorf("stats %+v", s)
	}
	j.cur.mem.file = file
	if err := j.Settle(typical(id(2))); err != nil {
		t.Errorf("when the disk is well again: %v", err)
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := j.opt.Store.(Reader).Get(t.Context(), id(1)); err != nil {
		t.Errorf("the record is not in the store: %v", err)
	}
}

// Who waits while another syncs finds its record synced.
func TestWaitingCallersShareASync(t *testing.T) {
	j := openTest(t, JournalOptions{Strict: true})
	j.commits.mu.Lock() // as one who syncs
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			if err := j.Settle(typical(id(n))); err != nil {
				t.Error(err)
			}
		})
	}
	for j.Stats().Settled < 8 {
		runtime.Gosched()
	}
	if err := j.commitAll(); err != nil {
		t.Error(err)
	}
	j.commits.named = 0 // a further sync would fail
	j.opt.Dir = "nowhere"
	j.commits.mu.Unlock()
	wg.Wait()
	j.opt.Dir = ""
}

// BenchmarkStrict is Admit and Settle of callers that wait for the disk, together.
func BenchmarkStrict(b *testing.B) {
	for _, callers := range []int{1, 16, 128} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			j := openTest(b, JournalOptions{Dir: b.TempDir(), Strict: true, Store: discard{}, Retention: -1})
			b.SetParallelism(callers / 2)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				ex := typical(id(1))
				for pb.Next() {
					if err := errors.Join(j.Admit(ex), j.Settle(ex)); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
