package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	storedRecords = `SELECT (SELECT COUNT(*) FROM exchanges) + (SELECT COALESCE(SUM(count), 0) FROM blocks)`
	storedBlocks  = `SELECT COUNT(*) FROM blocks`
)

// unblock makes rows of all that is in blocks, as an older version would have it.
func (s *SQLite) unblock(t *testing.T) {
	t.Helper()
	err := s.inTx(t.Context(), func(tx *sql.Tx) error {
		var all recordBatch
		var failed error
		err := walk{to: afterAll}.each(t.Context(), tx, func(_, record string) bool {
			failed = all.addRecord([]byte(record))
			return failed == nil
		})
		if err != nil || failed != nil {
			return errors.Join(err, failed)
		}
		if _, err := tx.ExecContext(t.Context(), `DELETE FROM exchanges; DELETE FROM strays; DELETE FROM blocks`); err != nil {
			return err
		}
		return s.insertRows(t.Context(), tx, all.entries)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// near is the n-th of exchanges that begin within some seconds from a moment, as a
// gateway settles them: of two out of three ids the time is that of their batch, the
// others took longer.
func near(begin time.Time, n int) *Exchange {
	at := begin.Add(time.Duration(n) * 10 * time.Millisecond)
	if n%3 == 0 {
		at = at.Add(-time.Duration(n*7919%30_000) * time.Millisecond)
	}
	ex := typical(idFrom(at.UnixMilli()) + fmt.Sprintf("%08d%08d", n*7919%10_000, n))
	ex.Start, ex.Customer, ex.Model = at, fmt.Sprint("c", n%200), fmt.Sprint("m", n%5)
	if n%50 == 7 { // one that says another time
		ex.Start = at.Add(-time.Hour)
	}
	if n%50 == 8 {
		ex.ID = fmt.Sprint("own-", n)
	}
	return ex
}

// fillNear stores exchanges of near in batches, in SQLite and in memory.
func fillNear(t *testing.T, s *SQLite, m *Memory, from, to, batch int) {
	t.Helper()
	begin := time.Date(2026, 11, 2, 11, 59, 0, 0, time.UTC) // over an hour's end
	for ; from < to; from += batch {
		var list []*Exchange
		for n := from; n < min(to, from+batch); n++ {
			list = append(list, near(begin, n))
		}
		pos := Position{Segment: 1, Offset: int64(min(to, from+batch))}
		if err := errors.Join(s.Append(t.Context(), pos, list), m.Append(t.Context(), pos, list)); err != nil {
			t.Fatal(err)
		}
	}
}

// listed is all that Each gives.
func listed(t testing.TB, r Reader, f Filter) []*Exchange {
	t.Helper()
	var out []*Exchange
	err := r.Each(t.Context(), f, func(ex *Exchange) error {
		out = append(out, copyOf(ex))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// otherwise says how two lists differ; empty where they do not. For thousands of
// exchanges cmp takes seconds.
func otherwise(want, got []*Exchange) string {
	for i := range min(len(want), len(got)) {
		if string(appendExchange(nil, want[i])) != string(appendExchange(nil, got[i])) {
			return fmt.Sprintf("exchange %d of %d: ", i, len(want)) + cmp.Diff(want[i], got[i])
		}
	}
	if len(want) != len(got) {
		return fmt.Sprintf("%d exchanges, want %d", len(got), len(want))
	}
	return ""
}

// sameAnswers expects that a store in blocks and one in memory tell the same.
func sameAnswers(t *testing.T, s *SQLite, m *Memory) {
	t.Helper()
	begin := time.Date(2026, 11, 2, 11, 59, 0, 0, time.UTC)
	for _, f := range []Filter{
		{},
		{Customer: "c7"}, // few of a block
		{Customer: "nobody"},
		{From: begin.Add(11 * time.Second), To: begin.Add(11*time.Second + 70*time.Millisecond)},
		{From: begin.Add(-9 * time.Second), To: begin.Add(20 * time.Second), Model: "m3"},
		{To: begin.Add(25 * time.Second)},
		{From: begin.Add(31*time.Second + 3*time.Millisecond)},
	} {
		if d := otherwise(listed(t, m, f), listed(t, s, f)); d != "" {
			t.Errorf("each of %+v: %s", f, d)
		}
		for _, limit := range []int{1, 100, 1001, 10_000} {
			a, err1 := m.Recent(t.Context(), limit, f)
			b, err2 := s.Recent(t.Context(), limit, f)
			if d := otherwise(a, b); err1 != nil || err2 != nil || d != "" {
				t.Errorf("recent %d of %+v: %v %v %s", limit, f, err1, err2, d)
			}
		}
		q := UsageQuery{By: []string{ByModel}, Filter: f}
		a, err1 := m.Usage(t.Context(), q)
		b, err2 := s.Usage(t.Context(), q)
		if d := cmp.Diff(a, b); err1 != nil || err2 != nil || d != "" {
			t.Errorf("usage of %+v: %v %v %s", f, err1, err2, d)
		}
	}
	for i, ex := range listed(t, m, Filter{}) {
		if i%11 != 0 {
			continue
		}
		got, err := s.Get(t.Context(), ex.ID)
		if err != nil || otherwise([]*Exchange{ex}, []*Exchange{got}) != "" {
			t.Fatalf("get %s: %v", ex.ID, err)
		}
		if _, err := s.Get(t.Context(), ex.ID[:len(ex.ID)-3]+"zzz"); !errors.Is(err, ErrNotFound) {
			t.Fatalf("get one beside %s: %v", ex.ID, err)
		}
	}
}

// byOneGoroutine leaves a test out of runs with the race detector, in which SQLite is
// twenty times slower.
func byOneGoroutine(t *testing.T) {
	if raceDetector {
		t.Skip("one goroutine computes for long: there is nothing to race with")
	}
}

// Whatever the size of its batches, and whether a version without blocks began it, a
// database answers as memory does. Blocks overlap here, and pages end in them.
func TestBlocksAnswerAsRowsDo(t *testing.T) {
	byOneGoroutine(t)
	for _, batch := range []int{30, 100, 1000, 3000} {
		t.Run(fmt.Sprint("batches of ", batch), func(t *testing.T) {
			s, m := openLite(t), NewMemory(0)
			fillNear(t, s, m, 0, 1500, batch)
			s.unblock(t)
			fillNear(t, s, m, 1500, 5000, batch)
			rows, blocks := s.number(t, `SELECT COUNT(*) FROM exchanges WHERE id >= 'req_'`), s.number(t, storedBlocks)
			if rows == 0 || blocks < 10 || s.number(t, storedRecords) != 5000 {
				t.Fatalf("%d rows, %d blocks", rows, blocks)
			}
			sameAnswers(t, s, m)
			if r, err := s.VerifyStore(t.Context()); err != nil || !r.OK() || r.Records != 5000 || r.Unsummed != 0 {
				t.Errorf("verify: %+v, %v", r, err)
			}
		})
	}
}

// A database that a version without blocks made is opened, read and goes on; what it
// has stays in rows.
func TestDatabaseWithoutBlocksIsTakenOver(t *testing.T) {
	byOneGoroutine(t)
	path, m := t.TempDir()+"/ledger.db", NewMemory(0)
	open := func() *SQLite {
		s, err := OpenSQLite(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	fillNear(t, s, m, 0, 2500, 500)
	s.unblock(t)
	s.change(t, `DELETE FROM migrations WHERE number >= 5`)
	if _, err := s.write.Exec(`DROP TABLE blocks`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	rows := s.number(t, `SELECT COUNT(*) FROM exchanges`)
	sameAnswers(t, s, m)
	fillNear(t, s, m, 2500, 5000, 500)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer s.Close()
	if blocks := s.number(t, storedBlocks); rows != 2500 || blocks == 0 {
		t.Errorf("%d rows of the old version, %d blocks of the new", rows, blocks)
	}
	sameAnswers(t, s, m)
	if r, err := s.VerifyStore(t.Context()); err != nil || !r.OK() || r.Records != 5000 {
		t.Errorf("verify: %+v, %v", r, err)
	}
}

// What is pruned of a block is gone, and the rest of it stays.
func TestPruneCutsBlocks(t *testing.T) {
	byOneGoroutine(t)
	s, m := openLite(t), NewMemory(0)
	fillNear(t, s, m, 0, 5000, 1000)
	all := listed(t, m, Filter{})
	for _, after := range []time.Duration{-time.Hour, -10 * time.Second, 12345 * time.Millisecond, 13 * time.Second, 40 * time.Second, time.Hour} {
		before := time.Date(2026, 11, 2, 11, 59, 0, 0, time.UTC).Add(after)
		had := s.number(t, storedRecords)
		n, err := s.Prune(t.Context(), before)
		if left := s.number(t, storedRecords); err != nil || left != had-n {
			t.Errorf("%v: pruned %d of %d, %d are left, %v", after, n, had, left, err)
		}
		var want []*Exchange
		for _, ex := range all {
			if milli, _ := idMilli(ex.ID); isStray(ex.ID, ex.Start) && !ex.Start.Before(before) || !isStray(ex.ID, ex.Start) && milli >= before.UnixMilli()-idSlack {
				want = append(want, ex)
			}
		}
		if d := otherwise(want, listed(t, s, Filter{})); d != "" {
			t.Errorf("%v: %s", after, d)
		}
		if r, err := s.VerifyStore(t.Context()); err != nil || !r.OK() || r.Records != 5000 || r.Pruned != 5000-int64(len(want)) {
			t.Errorf("%v: verify: %+v, %v", after, r, err)
		}
		if again, err := s.Prune(t.Context(), before); again != 0 || err != nil {
			t.Errorf("%v: pruned %d again, %v", after, again, err)
		}
	}
	if n := s.number(t, storedRecords); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// One exchange of a block is rated again; the block stays as it is.
func TestRerateOneOfABlock(t *testing.T) {
	s, m := openLite(t), NewMemory(0)
	fillNear(t, s, m, 0, 3000, 1000)
	one := near(time.Date(2026, 11, 2, 11, 59, 0, 0, time.UTC), 1234)
	run := Run{ID: "r1", At: one.Start, Actor: "me", Version: "v2"}
	out, err := s.Rerate(t.Context(), run, func(ex *Exchange) []Rate {
		if ex.ID == one.ID {
			return []Rate{{Cost: 5, Status: Priced}}
		}
		return []Rate{{Cost: ex.Attempts[0].Cost, Status: ex.Attempts[0].Priced}}
	})
	if want := (RunOutcome{Looked: 3000, Changed: 1, OldCost: 3000 * one.Cost, NewCost: 2999*one.Cost + 5}); err != nil || out != want {
		t.Errorf("%+v, %v; want %+v", out, err, want)
	}
	if list, err := s.Ratings(t.Context(), one.ID); err != nil || len(list) != 1 || list[0].NewCost != 5 {
		t.Errorf("%+v, %v", list, err)
	}
	if got, err := s.Get(t.Context(), one.ID); err != nil || got.Cost != one.Cost {
		t.Errorf("the record says %d, %v", got.Cost, err)
	}
	if rows, err := s.Usage(t.Context(), UsageQuery{}); err != nil || rows[0].Cost != out.NewCost {
		t.Errorf("usage %+v, %v", rows, err)
	}
	if r, err := s.VerifyStore(t.Context()); err != nil || !r.OK() {
		t.Errorf("verify: %+v, %v", r, err)
	}
}

// An id that a block has is not stored again, whether it comes soon, among others,
// after many others, or after the store was opened again.
func TestIDInABlockIsStoredOnce(t *testing.T) {
	byOneGoroutine(t)
	path, m := t.TempDir()+"/ledger.db", NewMemory(100_000)
	s, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	fillNear(t, s, m, 0, 1000, 1000)
	offset := int64(1_000_000)
	again := func(when string, n, of int) {
		t.Helper()
		var list []*Exchange
		for i := n; i < n+of; i++ {
			ex := near(time.Date(2026, 11, 2, 11, 59, 0, 0, time.UTC), i)
			ex.Cost, ex.Message = 1, when
			list = append(list, ex)
		}
		offset++
		pos := Position{Segment: 1, Offset: offset}
		if err := errors.Join(s.Append(t.Context(), pos, list), m.Append(t.Context(), pos, list)); err != nil {
			t.Fatal(err)
		}
		if n, want := s.number(t, storedRecords), int64(len(m.list)); n != want {
			t.Errorf("%s: %d records, want %d", when, n, want)
		}
	}
	again("soon", 500, 1)
	again("in a batch", 500, 300)
	again("among others", 950, 200)
	for n := 2000; n < 2000+3*recentMost; n += drainBatch {
		again("later", n, drainBatch)
	}
	if s.known.blind < near(time.Date(2026, 11, 2, 11, 59, 0, 0, time.UTC), 1200).Start.UnixMilli() {
		t.Error("the store still knows the first ids")
	}
	again("after many", 400, 100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenSQLite(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	again("after opening", 2000+3*recentMost-100, 300)
	a, err1 := m.Usage(t.Context(), UsageQuery{})
	b, err2 := s.Usage(t.Context(), UsageQuery{})
	if d := cmp.Diff(a, b); err1 != nil || err2 != nil || d != "" {
		t.Errorf("usage: %v %v %s", err1, err2, d)
	}
}

func TestRecentIDsVouchForNothingStored(t *testing.T) {
	byOneGoroutine(t)
	rapid.Check(t, func(r *rapid.T) {
		first := rapid.Int64Range(-1, 50).Draw(r, "newest before")
		known, stored := newRecentIDs(first), map[string]int64{}
		for range rapid.IntRange(1, 6).Draw(r, "batches") {
			size, base := rapid.IntRange(1, recentMost).Draw(r, "size"), rapid.Int64Range(0, 100).Draw(r, "base")
			var batch []entry
			for i := range size {
				milli := base + int64(i%7)
				e := entry{id: idFrom(milli) + fmt.Sprintf("%016d", len(stored))}
				batch, stored[e.id] = append(batch, e), milli
			}
			known.add(batch)
		}
		for id, milli := range stored {
			if known.vouches(id, milli) {
				r.Fatalf("%s is stored", id)
			}
		}
		if known.vouches(idFrom(first)+"x", first) || !known.vouches(idFrom(200)+"x", 200) {
			r.Fatal("what is older than all it knows may be stored, what is newer is not")
		}
	})
}

// cutBlocks gives each entry once; blocks are in order, bounded in time and size, and
// not small.
func TestCutBlocks(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var in []entryMilli
		want := map[string]bool{}
		for range rapid.IntRange(0, 300).Draw(r, "n") {
			milli := rapid.Int64Range(0, 60_000).Draw(r, "milli")
			if rapid.Bool().Draw(r, "late") {
				milli = 60_000 + milli/1000
			}
			e := entryMilli{&entry{id: idFrom(milli) + fmt.Sprintf("%016d", len(in)), record: make([]byte, rapid.IntRange(1, 9000).Draw(r, "size"))}, milli}
			in, want[e.id] = append(in, e), true
		}
		take := func(id string) {
			if !want[id] {
				r.Fatalf("%s comes twice", id)
			}
			delete(want, id)
		}
		put := func(block []entryMilli) error {
			size := 0
			for i, e := range block {
				if take(e.id); i > 0 && block[i-1].id >= e.id || size >= blockBytes || e.milli-block[0].milli >= blockSpan {
					r.Fatalf("record %d of a block of %d is out of order or too far", i, len(block))
				}
				size += len(e.record)
			}
			if len(block) < leastBlock {
				r.Fatalf("a block of %d", len(block))
			}
			return nil
		}
		twice := len(in) > 0 && rapid.Bool().Draw(r, "twice")
		if twice {
			in = append(in, in[0])
			if err := cutBlocks(in, func([]entryMilli) error { return nil }, func(entry) {}); !errors.Is(err, errConflict) {
				r.Fatalf("an id is there twice: %v", err)
			}
			return
		}
		if err := cutBlocks(in, put, func(e entry) { take(e.id) }); err != nil || len(want) > 0 {
			r.Fatalf("%d are left, %v", len(want), err)
		}
	})
}

// What bounds the search for blocks leaves none out.
func TestBlocksReachFarEnough(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		milli := rapid.OneOf(rapid.Int64Range(0, 1<<48-1), rapid.Int64Range(0, 100_000)).Draw(r, "milli")
		id := idFrom(milli) + idRandom
		text := rapid.OneOf(rapid.Just(id), rapid.StringMatching(`(req_)?[0-9a-z{-]{0,14}`), rapid.Just(idPrefix), rapid.Just(idAfter), rapid.Just("")).Draw(r, "text")
		if len(text) > 0 && rapid.Bool().Draw(r, "cut") {
			text = text[:rapid.IntRange(0, len(text)).Draw(r, "length")]
		}
		first := idFrom(max(0, milli-blockSpan+1)) + idRandom
		last := idFrom(min(1<<48-1, milli+blockSpan-1)) + idRandom
		if id >= text && blocksFrom(text) > first {
			r.Errorf("from %q: a block from %s on has %s and is left out", text, first, id)
		}
		if id < text && blocksTo(text) <= last && milli+blockSpan < 1<<48-1 {
			r.Errorf("to %q: a block up to %s has %s and is left out", text, last, id)
		}
	})
}

// A damaged block is an error to whoever reads it, and verify names its records and
// no other.
func TestDamagedBlock(t *testing.T) {
	for name, c := range map[string]struct {
		damage   string
		wrong    int  // records that are not there any more as they were
		readable bool // what is left
	}{
		"a block is cut":             {`UPDATE blocks SET records = substr(records, 1, length(records) - 1) WHERE n = 1`, 1, false},
		"a block is empty":           {`UPDATE blocks SET records = x'' WHERE n = 1`, 50, true},
		"a block is removed":         {`DELETE FROM blocks WHERE n = 1`, 50, true},
		"an id is changed":           {`UPDATE blocks SET records = substr(records, 1, 6) || x'ff' || substr(records, 8) WHERE n = 1`, 2, true},
		"a record's length is other": {`UPDATE blocks SET records = x'0a05' || substr(records, 3) WHERE n = 1`, 50, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := openLite(t)
			at := time.Date(2026, 11, 2, 3, 0, 0, 0, time.UTC)
			for b := range 2 {
				var list []*Exchange
				for n := range 50 {
					ex := typical(idFrom(at.UnixMilli()) + fmt.Sprintf("%08d%08d", b, n))
					ex.Start = at
					list = append(list, ex)
				}
				if err := s.Append(t.Context(), Position{Segment: 1, Offset: int64(b + 1)}, list); err != nil {
					t.Fatal(err)
				}
			}
			if n := s.number(t, storedBlocks); n != 2 {
				t.Fatalf("%d blocks", n)
			}
			s.change(t, c.damage)
			r, err := s.VerifyStore(t.Context())
			if err != nil || len(r.Problems) != c.wrong || r.Unsummed == 0 {
				t.Errorf("%d problems, want %d; %v\n%.300q", len(r.Problems), c.wrong, err, r.Problems)
			}
			err = s.Each(t.Context(), Filter{}, func(*Exchange) error { return nil })
			if c.readable != (err == nil) || err != nil && !errors.Is(err, errRecord) {
				t.Errorf("each: %v", err)
			}
		})
	}
}

// Readers that all have a query open do not wait for each other.
func TestManyWalkAtOnce(t *testing.T) {
	s, m := openLite(t), NewMemory(0)
	fillNear(t, s, m, 0, 2000, 500)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	errs := make(chan error)
	for range 16 {
		go func() {
			errs <- s.Each(ctx, Filter{Customer: "c7"}, func(ex *Exchange) error {
				_, err := s.Get(ctx, ex.ID)
				return err
			})
		}()
	}
	for range 16 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
