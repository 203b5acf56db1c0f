package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFullBatchIsDrainedBeforeSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(0)
		j := openTest(t, JournalOptions{SegmentBytes: 16 << 20, Sync: time.Hour, Store: m})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- j.Run(ctx) }()
		for i := range drainBatch + 10 {
			if i == drainBatch-1 {
				synctest.Wait()
				if m.stored() != 0 {
					t.Error("drained before a batch was waiting")
				}
			}
			if err := j.Settle(typical(id(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := m.stored(); n < drainBatch {
			t.Errorf("the store has %d exchanges, want a batch", n)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// slow is a store that takes its time.
type slow struct {
	*Memory
	took time.Duration
}

func (s slow) Append(ctx context.Context, pos Position, batch []*Exchange) error {
	time.Sleep(s.took)
	return s.Memory.Append(ctx, pos, batch)
}

// batches is a store that counts them.
type batches struct {
	*Memory
	n int
}

func (b *batches) Append(ctx context.Context, pos Position, batch []*Exchange) error {
	b.n++
	time.Sleep(2 * time.Millisecond)
	return b.Memory.Append(ctx, pos, batch)
}

func (b *batches) appendRecords(ctx context.Context, pos Position, batch *recordBatch) error {
	b.n++
	time.Sleep(2 * time.Millisecond)
	decoded := make([]*Exchange, len(batch.entries))
	for i, e := range batch.entries {
		var err error
		if decoded[i], err = decodeExchange(e.record); err != nil {
			return err
		}
	}
	return b.Memory.Append(ctx, pos, decoded)
}

// What is settled while a batch is drained must not make the next one small: each
// costs as much as some hundred exchanges.
func TestSteadyLoadIsDrainedInWholeBatches(t *testing.T) {
	for _, rate := range []int{1, 5, 20} { // settled in a millisecond
		synctest.Test(t, func(t *testing.T) {
			const seconds = 5
			b := &batches{Memory: NewMemory(1 << 20)}
			j := openTest(t, JournalOptions{SegmentBytes: 16 << 20, Sync: time.Second, Store: b})
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- j.Run(ctx) }()
			for i := range seconds * 1000 * rate {
				if err := j.Settle(typical(id(i))); err != nil {
					t.Fatal(err)
				}
				if i%rate == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			if n, want := b.n, seconds*1000*rate/drainBatch+2*seconds; n > want {
				t.Errorf("%d records in a millisecond were drained in %d batches, want %d at most", rate, n, want)
			}
			stop()
			if err := <-done; err != nil || b.stored() != seconds*1000*rate {
				t.Errorf("the store has %d of %d, %v", b.stored(), seconds*1000*rate, err)
			}
		})
	}
}

func TestBacklogIsDrainedAtAQuarterOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const batches = 10
		m := NewMemory(1 << 20)
		j := openTest(t, JournalOptions{SegmentBytes: 16 << 20, Sync: time.Second, Store: slow{m, 10 * time.Millisecond}})
		for i := range batches * drainBatch {
			if err := j.Settle(typical(id(i))); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- j.Run(ctx) }()
		time.Sleep(199 * time.Millisecond) // each batch takes 10 ms, and 30 ms of rest
		synctest.Wait()
		if n := m.stored(); n != 5*drainBatch {
			t.Errorf("%d batches in 200 ms, want 5", n/drainBatch)
		}
		begin := time.Now()
		if err := j.Flush(ctx); err != nil || m.stored() != batches*drainBatch {
			t.Errorf("after Flush the store has %d exchanges, %v", m.stored(), err)
		}
		if took := time.Since(begin); took > 70*time.Millisecond {
			t.Errorf("Flush took %v while Run was resting", took)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// The database has the record as the journal has it.
func TestRecordsReachSQLiteAsTheyStand(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSQLite(t.Context(), filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	j := openTest(t, JournalOptions{Dir: filepath.Join(dir, "journal"), SegmentBytes: 32 << 10, Store: s})
	const n = 3*manyRows + 5
	var ids []string
	for i := range n {
		at := int64(i) // a stray, so a row
		if i%2 > 0 {
			at = typical("").Start.UnixMilli() // with others in a block
		}
		ids = append(ids, idFrom(at)+fmt.Sprintf("%016d", i))
	}
	for i := range n {
		ex := typical(ids[i])
		ex.Message = `line "one"` + "\n"
		if err := errors.Join(j.Admit(ex), j.Settle(ex)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		want := typical(ids[i])
		want.Message = `line "one"` + "\n"
		var record string
		err := s.read.QueryRow(`SELECT record FROM exchanges WHERE id = ?`, want.ID).Scan(&record)
		if errors.Is(err, sql.ErrNoRows) && i%2 > 0 {
			record, _, err = openBlocks(s.read).find(t.Context(), want.ID)
		}
		if err != nil || record != string(appendExchange(nil, want)) {
			t.Fatalf("record %d: %s, %v", i, record, err)
		}
		got, err := s.Get(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	}
	rows, err := s.Usage(t.Context(), UsageQuery{})
	if err != nil || rows[0].Requests != n || rows[0].Cost != n*typical("").Cost {
		t.Errorf("usage %+v, %v", rows, err)
	}
}
