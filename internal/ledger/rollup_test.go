package ledger

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var rollupTypes = cmp.AllowUnexported(cell{}, sums{}, tally{})

// contents is a rollup as a map.
func contents(r *rollup) map[cell]sums {
	out := map[cell]sums{}
	for i, c := range r.cells {
		out[c] = r.sums[i]
	}
	return out
}

func drawRollup(t *rapid.T) *rollup {
	r := &rollup{}
	text := rapid.SampledFrom([]string{"", "a", "b", "x\x00y", strings.Repeat("long", 100)})
	for range rapid.IntRange(0, 20).Draw(t, "cells") {
		c := cell{hour: rapid.Int64Range(-2, 2).Draw(t, "hour")}
		for _, s := range c.texts() {
			*s = text.Draw(t, "text")
		}
		for _, v := range r.at(c).values() {
			*v = rapid.OneOf(rapid.Just(int64(0)), rapid.Int64()).Draw(t, "value")
		}
	}
	return r
}

func TestRollupDecodesToWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRollup(t)
		got := &rollup{}
		for _, hour := range r.hours() {
			if err := decodeRollup(r.encode(nil, hour), hour, got.merge); err != nil {
				t.Fatal(err)
			}
		}
		if d := cmp.Diff(contents(r), contents(got), rollupTypes); d != "" {
			t.Fatal(d)
		}
	})
}

// FuzzRollup gives any bytes to the decoder: it must end, and what it accepts
// must be the same after encoding.
func FuzzRollup(f *testing.F) {
	var r rollup
	r.add(typical("req_1"))
	f.Add(r.encode(nil, r.cells[0].hour))
	f.Add([]byte{rollupFirst, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 2, 4})
	f.Add([]byte{rollupParties, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 2, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		first, again := &rollup{}, &rollup{}
		if decodeRollup(data, 5, first.merge) != nil {
			return
		}
		if err := decodeRollup(first.encode(nil, 5), 5, again.merge); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(contents(first), contents(again), rollupTypes); d != "" {
			t.Fatal(d)
		}
	})
}

func TestCutRollupIsAnError(t *testing.T) {
	var r rollup
	r.add(typical("req_1"))
	data := r.encode(nil, r.cells[0].hour)
	accepted := 0
	for n := range data {
		calls := 0
		err := decodeRollup(data[:n], 0, func(*cell, *sums) { calls++ })
		if calls > 0 {
			t.Errorf("cut at %d of %d: a cell came out", n, len(data))
		}
		if err == nil {
			accepted++
		}
	}
	if accepted != 1 { // between the texts and the only cell
		t.Errorf("%d cuts were accepted, want 1", accepted)
	}
}

// Every exchange of the hours is in whole hours or in a cut, once.
func TestPeriodIsSplitIntoHoursAndCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Just(int64(math.MaxInt64)))
		offset := rapid.SampledFrom([]int64{0, 0, 1, microsPerHour / 2, microsPerHour - 1})
		p := Filter{}.period()
		if h := moment.Draw(t, "from"); h < math.MaxInt64 {
			p.from = h*microsPerHour + offset.Draw(t, "offset")
		}
		if h := moment.Draw(t, "to"); h < math.MaxInt64 {
			p.to = h*microsPerHour + offset.Draw(t, "offset")
		}
		pruned := rapid.Int64Range(-5, 5).Draw(t, "pruned")
		from, to, cuts := p.hours(pruned)
		for hour := int64(-5); hour < 5; hour++ {
			for _, off := range []int64{0, 1, 2, microsPerHour / 2, microsPerHour - 2, microsPerHour - 1} {
				at := hour*microsPerHour + off
				times := 0
				if from <= hour && hour < to {
					times++
				}
				for _, c := range cuts {
					if c.from <= at && at < c.to {
						times++
					}
				}
				begin, whole := hour*microsPerHour, int64(0)
				want := count(p.from <= at && at < p.to)
				whole = count(p.from <= begin && begin < p.to)
				if cut := p.from > begin && p.from < begin+microsPerHour || p.to > begin && p.to < begin+microsPerHour; cut && hour < pruned {
					want = whole
				}
				if p.from >= p.to {
					want = 0
				}
				if int64(times) != want {
					t.Fatalf("period %+v, pruned %d: hour %d + %d us is counted %d times, want %d (hours %d to %d, cuts %v)", p, pruned, hour, off, times, want, from, to, cuts)
				}
			}
		}
	})
}

func TestGatewayIDsSortByTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const latest = 1<<48 - 2 // a day in the year 10889
		ms := rapid.Int64Range(0, latest).Draw(t, "ms")
		id := idFrom(ms) + "0000000000000000"
		if got, ok := idMilli(id); !ok || got != ms {
			t.Fatalf("%s carries %d, %v; want %d", id, got, ok, ms)
		}
		if last := idFrom(ms+1) + "0"; id >= last || id < idFrom(ms) || id < idFrom(ms-1) {
			t.Fatalf("%s is not between %s and %s", id, idFrom(ms), last)
		}
		if isStray(id, time.UnixMilli(ms+idSlack)) || !isStray(id, time.UnixMilli(ms+idSlack+1)) {
			t.Fatalf("%s: the slack is not %d ms", id, idSlack)
		}
	})
	for _, id := range []string{"", "req_", "req_0001", idFrom(5), "REQ_" + idFrom(5)[4:] + "0000000000000000", "req_u" + idFrom(5)[5:] + "0000000000000000"} {
		if ms, ok := idMilli(id); ok {
			t.Errorf("%q carries %d", id, ms)
		}
	}
}

// monthOfSums fills a database with the sums of 10 million exchanges in 720
// hours, as 300 cells in each hour and three parts.
func monthOfSums(tb testing.TB, s *SQLite) {
	tb.Helper()
	begin := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	seq := uint64(0)
	for hour := range 720 {
		for range 3 {
			var b recordBatch
			for k := range 300 {
				ex := typical("x")
				ex.Start = begin.Add(time.Duration(hour) * time.Hour)
				ex.Key, ex.Name, ex.Customer = fmt.Sprint("k", k%100), fmt.Sprint("name", k%100), fmt.Sprint("customer", k%20)
				ex.Model = fmt.Sprint("model", k/100)
				b.sums.add(ex)
				b.sums.at(b.sums.cells[len(b.sums.cells)-1]).first.requests = 15 + int64(k%2)
			}
			seq++
			if err := s.appendRecords(tb.Context(), Position{Segment: seq}, &b); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// BenchmarkUsageOfAMonth asks a month of 10 million exchanges in 648,000 cells.
// The bar: below a second.
func BenchmarkUsageOfAMonth(b *testing.B) {
	s, err := OpenSQLite(b.Context(), b.TempDir()+"/ledger.db")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	monthOfSums(b, s)
	for _, by := range []string{ByDay, ByKey, ByTarget} {
		b.Run(by, func(b *testing.B) {
			for b.Loop() {
				rows, err := s.Usage(b.Context(), UsageQuery{By: []string{by}})
				if err != nil || len(rows) == 0 {
					b.Fatal(rows, err)
				}
			}
		})
	}
}
