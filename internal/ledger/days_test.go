package ledger

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func openLite(t testing.TB) *SQLite {
	t.Helper()
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// tidyAll sums up all days before now.
func tidyAll(t testing.TB, s *SQLite, now time.Time) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.SumDays(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *SQLite) number(t testing.TB, query string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := s.read.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const countDays = `SELECT COUNT(*) FROM days WHERE sums IS NOT NULL`

// With the sums of days, without them and with some that are out of date, any
// period has the sums that its records have.
func TestDaysHaveTheSumsOfTheirHours(t *testing.T) {
	s, m := openLite(t), NewMemory(0)
	begin := time.Date(1969, 12, 29, 22, 0, 0, 0, time.UTC) // over the epoch, where division rounds the other way
	pos := Position{Segment: 1}
	add := func(at time.Time, n int) {
		t.Helper()
		ex := typical(idFrom(at.UnixMilli()) + fmt.Sprintf("%016d", n))
		ex.Start, ex.Tags, ex.Cost = at, []string{fmt.Sprint("set", n%700)}, int64(n)
		pos.Offset++
		for _, st := range []Store{s, m} {
			if err := st.Append(t.Context(), pos, []*Exchange{ex}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range 90 {
		add(begin.Add(time.Duration(n)*71*time.Minute), n)
	}
	end := begin.Add(90 * 71 * time.Minute)
	check := func(what string, days int64) {
		t.Helper()
		if n := s.number(t, countDays); n != days {
			t.Errorf("%s: %d days are summed, want %d", what, n, days)
		}
		for _, f := range []Filter{{}, {From: begin.Add(30 * time.Hour)}, {To: end.Add(-30 * time.Hour)}, {From: begin.Add(2 * time.Hour), To: end.Add(-50 * time.Hour)}, {From: begin.Add(3 * time.Hour), To: begin.Add(5 * time.Hour)}} {
			for _, by := range [][]string{nil, {ByDay}, {ByTag, ByTarget}} {
				q := UsageQuery{By: by, Filter: f}
				a, err1 := s.Usage(t.Context(), q)
				b, err2 := m.Usage(t.Context(), q)
				if d := cmp.Diff(b, a); d != "" || err1 != nil || err2 != nil {
					t.Errorf("%s: usage %+v: %v %v %s", what, q, err1, err2, d)
				}
			}
		}
	}
	check("no day is over", 0)
	tidyAll(t, s, begin.Add(26*time.Hour+dayGrace))
	check("two days are over", 2)
	tidyAll(t, s, end.Add(48*time.Hour))
	check("all are over", 6)
	add(begin.Add(50*time.Hour), 1000)
	check("a late exchange", 5)
	tidyAll(t, s, end.Add(48*time.Hour))
	check("the day is summed again", 6)
}

// The sums of a batch know 512 sets of tags; those of a day lose none of what its
// hours know.
func TestManySetsOfTagsAreCountedTogether(t *testing.T) {
	s := openLite(t)
	at := time.Date(2026, 11, 2, 3, 0, 0, 0, time.UTC)
	for part := range 2 { // in two hours
		var batch []*Exchange
		for n := range mostTagSets + 10 {
			ex := typical(idFrom(at.UnixMilli()) + fmt.Sprintf("%016d", n))
			ex.Start, ex.Tags = at, []string{fmt.Sprintf("set%d-%d", part, n)}
			batch = append(batch, ex)
		}
		if err := s.Append(t.Context(), Position{Segment: uint64(part + 1)}, batch); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Hour)
	}
	count := func() (rows int, other int64) {
		list, err := s.Usage(t.Context(), UsageQuery{By: []string{ByTag}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			if r.Tag == otherTags {
				other = r.Requests
			}
		}
		return len(list), other
	}
	for _, when := range []time.Time{at, at.Add(48 * time.Hour)} {
		tidyAll(t, s, when)
		if rows, other := count(); rows != 2*mostTagSets+1 || other != 20 {
			t.Errorf("%d sets, and %d exchanges with others; want %d and 20", rows, other, 2*mostTagSets+1)
		}
	}
}

func TestJournalLetsTheStoreTidyUp(t *testing.T) {
	s := openLite(t)
	j := openTest(t, JournalOptions{Store: s})
	ex := typical(idFrom(0) + "0000000000000000")
	ex.Start = time.UnixMilli(0)
	if err := j.Settle(ex); err != nil {
		t.Fatal(err)
	}
	if err := j.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.number(t, countDays); n != 1 {
		t.Errorf("%d days are summed, want 1", n)
	}
}

// monthOfCustomers fills a database with the sums of 10 million exchanges of
// 1,000 customers at five models in 720 hours: 3.6 million cells.
func monthOfCustomers(tb testing.TB, s *SQLite) (begin time.Time) {
	tb.Helper()
	begin = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	ex := typical("x")
	for hour := range 720 {
		var b recordBatch
		ex.Start = begin.Add(time.Duration(hour) * time.Hour)
		for k := range 5000 {
			ex.Key, ex.Name, ex.Customer = fmt.Sprint("k", k%1000), fmt.Sprint("name", k%1000), fmt.Sprint("customer", k%1000)
			ex.Model = fmt.Sprint("model", k/1000)
			b.sums.add(ex)
			b.sums.at(b.sums.cells[k]).first.requests = 2 + int64(k%9/2)
		}
		if err := s.appendRecords(tb.Context(), Position{Segment: uint64(hour + 1)}, &b); err != nil {
			tb.Fatal(err)
		}
	}
	return begin
}

// BenchmarkUsageOfAMonthOfCustomers asks a month of 10 million exchanges. The bar:
// below a second when its days are summed.
func BenchmarkUsageOfAMonthOfCustomers(b *testing.B) {
	s := openLite(b)
	begin := monthOfCustomers(b, s)
	end := begin.AddDate(0, 0, 30)
	ask := func(b *testing.B) {
		for _, by := range [][]string{{ByCustomer, ByModel}, {ByDay}, {ByCustomer, ByDay}} {
			b.Run(fmt.Sprint(by), func(b *testing.B) {
				for b.Loop() {
					rows, err := s.Usage(b.Context(), UsageQuery{By: by, Filter: Filter{From: begin, To: end}})
					if err != nil || len(rows) == 0 {
						b.Fatal(rows, err)
					}
				}
			})
		}
	}
	b.Run("hours", ask)
	before := time.Now()
	tidyAll(b, s, end.AddDate(0, 0, 2))
	b.Logf("summing a day: %v", time.Since(before)/30)
	b.Run("days", ask)
}

func TestVerifyFindsAChangedDay(t *testing.T) {
	for name, statement := range map[string]string{
		"another day's": `UPDATE days SET sums = (SELECT sums FROM days WHERE day = 20760) WHERE day = 20759`,
		"unreadable":    `UPDATE days SET rerated = x'7f' WHERE day = 20759`,
		"untouched":     "",
	} {
		s := openLite(t)
		var batch []*Exchange
		for n := range 3 {
			ex := typical(id(n))
			ex.Start = time.Date(2026, 11, 2+min(n, 1), 3, 0, 0, 0, time.UTC)
			batch = append(batch, ex)
		}
		if err := s.Append(t.Context(), Position{Segment: 1}, batch); err != nil {
			t.Fatal(err)
		}
		tidyAll(t, s, time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC))
		var want []string
		if statement != "" {
			s.change(t, statement)
			want = []string{"the sums of the day 2026-11-02 are not those of its hours"}
		}
		r, err := s.VerifyStore(t.Context())
		if err != nil || !slices.Equal(r.Problems, want) {
			t.Errorf("%s: %q, %v; want %q", name, r.Problems, err, want)
		}
	}
}

// What ratings add is in the sums of days, before and after these are made, and
// not in the original ones.
func TestDaysHaveWhatRatingsAdd(t *testing.T) {
	s := openLite(t)
	at := time.Date(2026, 11, 2, 3, 0, 0, 0, time.UTC)
	var batch []*Exchange
	for n := range 40 {
		ex := typical(idFrom(at.UnixMilli()) + fmt.Sprintf("%016d", n))
		ex.Start = at
		batch = append(batch, ex)
		at = at.Add(time.Hour)
	}
	if err := s.Append(t.Context(), Position{Segment: 1}, batch); err != nil {
		t.Fatal(err)
	}
	tidyAll(t, s, at.AddDate(0, 0, 2))
	run := Run{ID: "run_1", Actor: "jo", Version: "7"}
	if _, err := s.Rerate(t.Context(), run, func(*Exchange) []Rate { return []Rate{{5, Priced}} }); err != nil {
		t.Fatal(err)
	}
	for _, days := range []int64{0, 2} { // that are made
		if n := s.number(t, countDays); n != days {
			t.Errorf("%d days are summed, want %d", n, days)
		}
		for original, want := range map[bool]int64{false: 40 * 5, true: 40 * typical("").Cost} {
			rows, err := s.Usage(t.Context(), UsageQuery{Original: original})
			if err != nil || rows[0].Cost != want || rows[0].Requests != 40 {
				t.Errorf("with %d days, original %v: %+v, %v; want a cost of %d", days, original, rows, err, want)
			}
		}
		tidyAll(t, s, at.AddDate(0, 0, 2))
	}
}
