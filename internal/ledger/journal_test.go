package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAdmitAndSettleDoNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	j := openTest(t, JournalOptions{Dir: t.TempDir(), Store: discard{}})
	ex := typical(id(1))
	got := testing.AllocsPerRun(1000, func() {
		if err := errors.Join(j.Admit(ex), j.Settle(ex)); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("Admit and Settle allocate %v times, want 0", got)
	}
}

func TestSettledExchangeIsReadAfterFlush(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		m := NewMemory(0)
		j := openTest(t, JournalOptions{Dir: dir, Store: m})
		want := typical(id(1))
		if err := errors.Join(j.Admit(want), j.Settle(want), j.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		got, err := m.Get(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		want.Admission = 0
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("dir %q: %s", dir, d)
		}
		if s := j.Stats(); s.Admitted != 1 || s.Settled != 1 || s.Drained != 1 || s.Open != 0 || s.Lag != 0 || s.Err != nil {
			t.Errorf("dir %q: stats %+v", dir, s)
		}
	}
}

func TestManySegmentsDrainInOrderExactlyOnce(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		m := NewMemory(0)
		j := openTest(t, JournalOptions{Dir: dir, SegmentBytes: 8 << 10, Store: m})
		const n = 200
		for i := range n {
			ex := typical(id(i))
			if err := errors.Join(j.Admit(ex), j.Settle(ex)); err != nil {
				t.Fatal(err)
			}
			if i%37 == 0 {
				if err := j.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(m.list) != n {
			t.Fatalf("dir %q: the store has %d exchanges, want %d", dir, len(m.list), n)
		}
		for i, ex := range m.list {
			if ex.ID != id(i) {
				t.Fatalf("dir %q: exchange %d is %s", dir, i, ex.ID)
			}
		}
	}
}

func TestConcurrentSettlersLoseNothing(t *testing.T) {
	m := NewMemory(1 << 20)
	dir := t.TempDir()
	j := openTest(t, JournalOptions{Dir: dir, SegmentBytes: 64 << 10, Sync: 10 * time.Millisecond, Store: m})
	ctx, stop := context.WithCancel(t.Context())
	var running, settlers sync.WaitGroup
	var runErr error
	running.Go(func() { runErr = j.Run(ctx) })
	const workers, each = 8, 250
	for w := range workers {
		settlers.Go(func() {
			for i := range each {
				ex := typical(fmt.Sprintf("req_%d_%d", w, i))
				if err := errors.Join(j.Admit(ex), j.Settle(ex)); err != nil {
					t.Error(err)
				}
				if i%100 == 0 {
					if err := j.Flush(ctx); err != nil {
						t.Error(err)
					}
				}
				_ = j.Stats()
			}
		})
	}
	settlers.Wait()
	stop()
	running.Wait()
	if runErr != nil {
		t.Fatal(runErr)
	}
	if len(m.ids) != workers*each {
		t.Errorf("the store has %d exchanges after Run, want %d", len(m.ids), workers*each)
	}
	if r, err := Verify(dir); err != nil || !r.OK() || r.Records != 2*workers*each || r.Open != 0 {
		t.Errorf("Verify: %+v, %v", r, err)
	}
}

func TestFullJournalRefusesAndRecoversWhenTheStoreReturns(t *testing.T) {
	st := &failing{Memory: NewMemory(0), err: errors.New("database is locked")}
	j := openTest(t, JournalOptions{Dir: t.TempDir(), SegmentBytes: 4 << 10, MaxBytes: 16 << 10, Retention: -1, Store: st})
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = j.Settle(typical(id(n)))
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d exchanges: %v, want ErrFull", n, err)
	}
	if s := j.Stats(); s.Lost != 1 || !errors.Is(s.Err, ErrFull) {
		t.Errorf("stats %+v", s)
	}
	if err := j.pass(t.Context()); err == nil || !strings.Contains(err.Error(), "database is locked") {
		t.Errorf("pass with a failing store: %v", err)
	}
	st.set(nil)
	if err := j.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := j.Settle(typical("req_after")); err != nil {
		t.Errorf("after the store came back: %v", err)
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(st.list) != n { // n-1 before, one after
		t.Errorf("the store has %d exchanges, want %d", len(st.list), n)
	}
}

func TestFullDiskIsAnErrorAtRotation(t *testing.T) {
	j := openTest(t, JournalOptions{Dir: t.TempDir(), SegmentBytes: 4 << 10, Store: NewMemory(0)})
	full := true
	real := j.create
	j.create = func(path string, size int) (*segmentFile, error) {
		if full {
			return nil, fmt.Errorf("allocate journal segment: %w", syscall.ENOSPC)
		}
		return real(path, size)
	}
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = j.Settle(typical(id(n)))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want no space", err)
	}
	full = false
	j.prepare()
	if err := j.Settle(typical("req_after")); err != nil {
		t.Errorf("after space came back: %v", err)
	}
}

func TestRecordLargerThanASegmentIsRefused(t *testing.T) {
	j := openTest(t, JournalOptions{SegmentBytes: 4 << 10})
	ex := typical(id(1))
	ex.Message = strings.Repeat("x", 5000)
	if err := j.Settle(ex); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if err := j.Settle(typical(id(2))); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestClosedJournalRefuses(t *testing.T) {
	j := openTest(t, JournalOptions{Dir: t.TempDir()})
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	ex := typical(id(1))
	for name, err := range map[string]error{"admit": j.Admit(ex), "settle": j.Settle(ex), "flush": j.Flush(t.Context())} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	dir := t.TempDir()
	openTest(t, JournalOptions{Dir: dir})
	if _, err := OpenJournal(JournalOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
}

func TestRunDrainsAfterSyncAndSleepsWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(0)
		j := openTest(t, JournalOptions{Sync: time.Second, Store: m})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- j.Run(ctx) }()
		time.Sleep(time.Hour)
		if err := j.Settle(typical(id(1))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if m.stored() != 0 {
			t.Error("drained before Sync had passed")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if m.stored() != 1 {
			t.Error("not drained after Sync")
		}
		if err := j.Settle(typical(id(2))); err != nil {
			t.Fatal(err)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if m.stored() != 2 {
			t.Error("Run did not drain at its end")
		}
	})
}

func TestRunWaitsLongerWhileTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("no connection")
		st := &failing{Memory: NewMemory(0), err: down}
		var told []error
		j := openTest(t, JournalOptions{Sync: time.Second, Store: st, Told: func(err error) { told = append(told, err) }})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- j.Run(ctx) }()
		if err := j.Settle(typical(id(1))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := st.asked(); n < 5 || n > 10 { // after 1, 2, 4, 8, 16 s, then every 30 s
			t.Errorf("the store was asked %d times in two minutes", n)
		}
		if s := j.Stats(); s.Err == nil || s.Lag != 1 {
			t.Errorf("stats %+v", s)
		}
		st.set(nil)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if s := j.Stats(); s.Err != nil || s.Lag != 0 {
			t.Errorf("after the store came back: %+v", s)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(told) != 2 || !errors.Is(told[0], down) || told[1] != nil {
			t.Errorf("told %v, want the error once and that all is well", told)
		}
	})
}

func TestDrainedSegmentsGoAfterTheirRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := openTest(t, JournalOptions{Dir: dir, SegmentBytes: 4 << 10, Retention: time.Hour, Store: NewMemory(0)})
		stays := typical("req_long")
		if err := j.Admit(stays); err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			if err := j.Settle(typical(id(i))); err != nil {
				t.Fatal(err)
			}
		}
		files := func() int {
			paths, err := filepath.Glob(filepath.Join(dir, "segment-*"))
			if err != nil {
				t.Fatal(err)
			}
			return len(paths)
		}
		pass := func() {
			if err := j.pass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		pass()
		before := files()
		time.Sleep(time.Hour + time.Second)
		pass()
		if files() != before {
			t.Error("a segment with an open exchange was removed, or one behind it")
		}
		if err := j.Settle(stays); err != nil {
			t.Fatal(err)
		}
		pass()
		if n := files(); before < 5 || n > 2 {
			t.Errorf("%d segments of %d are left after the retention", n, before)
		}
		if r, err := Verify(dir); err != nil || !r.OK() || r.Anchor == (Link{}) {
			t.Errorf("the rest of the chain: %+v, %v", r, err)
		}
	})
}

// A segment that the disk did not take is told with every sync, until the store has
// its records; what comes after it is made durable all the same.
func TestASegmentThatCannotBeSealedIsNotTakenForSealed(t *testing.T) {
	j := openTest(t, JournalOptions{Dir: t.TempDir(), SegmentBytes: 4 << 10})
	for i := 0; len(j.old) == 0; i++ {
		if err := j.Settle(typical(id(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.old[0].mem.file.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := j.sync(); err == nil || !strings.Contains(err.Error(), "seal journal segment 1") || j.old[0].sealed {
			t.Fatalf("sealed %v, %v", j.old[0].sealed, err)
		}
	}
	if err := j.Flush(t.Context()); err == nil {
		t.Error("the drain does not tell that the segment was not sealed")
	}
	if err := errors.Join(j.Flush(t.Context()), j.sync()); err != nil {
		t.Errorf("with its records in the store: %v", err)
	}
}

// Where files cannot be mapped, a record is in its file when Settle returns.
func TestWrittenSegmentsHoldWhatMappedOnesHold(t *testing.T) {
	dir := t.TempDir()
	j := openTest(t, JournalOptions{Dir: dir, SegmentBytes: 8 << 10})
	j.create = func(path string, size int) (*segmentFile, error) {
		f, err := os.Create(path)
		if err != nil {
			return nil, err
		}
		return &segmentFile{data: make([]byte, size), file: f}, writeZeros(f, size)
	}
	for i := range 80 {
		ex := typical(id(i))
		if err := errors.Join(j.Admit(ex), j.Settle(ex)); err != nil {
			t.Fatal(err)
		}
		if r, err := Verify(dir); err != nil || !r.OK() || r.Records != 2*i+2 {
			t.Fatalf("after %d exchanges: %+v, %v", i+1, r, err)
		}
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := j.Stats(); s.Drained != 80 || s.Segments < 5 {
		t.Errorf("stats %+v", s)
	}
}

func TestSegmentFilesAreReadableByTheOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	openTest(t, JournalOptions{Dir: dir})
	paths, err := segmentPaths(dir)
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, paths[0]: 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

// stored is how many exchanges the store has.
func (m *Memory) stored() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.list)
}

// failing is a store that can be made to fail.
type failing struct {
	*Memory
	guard sync.Mutex
	err   error
	calls int
}

func (f *failing) set(err error) {
	f.guard.Lock()
	defer f.guard.Unlock()
	f.err = err
}

func (f *failing) asked() int {
	f.guard.Lock()
	defer f.guard.Unlock()
	return f.calls
}

func (f *failing) Append(ctx context.Context, pos Position, batch []*Exchange) error {
	f.guard.Lock()
	defer f.guard.Unlock()
	f.calls++
	if f.err != nil {
		return f.err
	}
	return f.Memory.Append(ctx, pos, batch)
}
