// Package storetest is the conformance suite of [ledger.Store] and
// [ledger.Reader]: what every store must do, whatever it is made of.
//
// It owns no store and never touches a file. Start reading at [Run].
package storetest

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

// Store is what the suite tests.
type Store interface {
	ledger.Store
	ledger.Reader
}

// Run tests stores that open makes; each call must return an empty one that the
// suite closes.
func Run(t *testing.T, open func(t *testing.T) Store) {
	tests := []struct {
		name string
		test func(t *testing.T, s Store)
	}{
		{"an empty store is at the beginning", testEmpty},
		{"a batch and its position are stored together", testAppend},
		{"a batch sent twice is stored once", testIdempotent},
		{"an id is stored once", testDuplicateID},
		{"an id that is stored again in a large batch counts once", testDuplicateInLargeBatch},
		{"many small batches of an hour add up", testSmallBatches},
		{"a batch may be empty", testEmptyBatch},
		{"a cancelled append changes nothing", testCancelled},
		{"an exchange is found by id and by prefix", testGet},
		{"recent is newest first and filtered", testRecent},
		{"usage sums exchanges", testUsage},
		{"usage by target sums attempts", testUsageByTarget},
		{"usage by day goes by UTC", testUsageByDay},
		{"usage refuses an unknown column", testUsageColumns},
		{"usage goes by parties, providers and tags", testUsageByParties},
		{"each gives every exchange once, in order", testEach},
		{"many of one moment are told apart", testCrowd},
		{"a reader's changes stay its own", testIsolation},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			tc.test(t, s)
		})
	}
}

// Exchange returns the n-th exchange of a fixed series that varies in every
// member that queries look at.
func Exchange(n int) *ledger.Exchange {
	outcomes := []ledger.Outcome{ledger.OutcomeOK, ledger.OutcomeOK, ledger.OutcomeFailed, ledger.OutcomeRefused, ledger.OutcomeBroken, ledger.OutcomeUnknown}
	ex := &ledger.Exchange{
		ID:       fmt.Sprintf("req_%04d", n),
		Start:    time.Date(2026, 11, 20, 22, 0, 0, 0, time.UTC).Add(time.Duration(n) * 17 * time.Minute),
		Key:      fmt.Sprintf("k%d", n%3),
		Customer: []string{"acme", "globex", ""}[n%3],
		Op:       llm.OpGenerate, Dialect: llm.Chat,
		Model:       []string{"chat", "embed"}[n%2],
		Outcome:     outcomes[n%len(outcomes)],
		PriceStatus: ledger.Priced,
	}
	if n%3 == 0 {
		ex.Name = "backend"
	}
	ex.Team, ex.Organisation = []string{"search", ""}[n%2], []string{"northwind", "", "south"}[n%3]
	ex.Tags = [][]string{nil, {"beta"}, {"beta", "eu"}, {"batch"}}[n%4]
	if ex.Outcome == ledger.OutcomeUnknown {
		ex.Held = int64(7 + n)
	}
	if ex.Outcome == ledger.OutcomeFailed {
		ex.Fault = llm.FaultRateLimit
	}
	for i := range n % 3 {
		a := ledger.Attempt{Target: []string{"eu", "us"}[(n+i)%2], Kind: []string{"openai", "vllm"}[(n+2*i)/2%2], Priced: ledger.Priced, Cost: int64(1000 * (n + i))}
		a.Usage = llm.Usage{Input: int64(100 + n), CacheRead: int64(n), CacheWrite: int64(i), Output: int64(2 * n), Reasoning: int64(n % 5), Source: llm.UsageReported}
		if n%7 == 0 {
			a.Usage.Images, a.Usage.AudioMillis, a.Usage.Characters, a.Usage.SearchUnits = 2, int64(n), 3, 1
		}
		if i == 0 && n%3 == 2 {
			a.Fault, a.Priced = llm.FaultServer, ledger.Unpriced
			ex.PriceStatus = ledger.Unpriced
		}
		ex.Attempts = append(ex.Attempts, a)
		ex.Usage = ex.Usage.Add(a.Usage)
		ex.Cost += a.Cost
	}
	return ex
}

// GatewayID is the n-th id of those that the gateway may make at a moment.
func GatewayID(at time.Time, n int) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], uint64(at.UnixMilli())<<16)
	binary.BigEndian.PutUint32(raw[6:], uint32(n)*2654435761) // in no order
	text := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	return "req_" + text.EncodeToString(raw[:])
}

// Fill stores the first n exchanges of the series in batches of ten.
func Fill(t *testing.T, s ledger.Store, n int) {
	t.Helper()
	var all []*ledger.Exchange
	for i := range n {
		all = append(all, Exchange(i))
	}
	for i, batch := range slices.Collect(slices.Chunk(all, 10)) {
		must(t, s.Append(t.Context(), ledger.Position{Segment: 1, Offset: int64(i + 1)}, batch))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: (-want +got)\n%s", what, d)
	}
}

func at(t *testing.T, s Store) ledger.Position {
	t.Helper()
	p, err := s.Position(t.Context())
	must(t, err)
	return p
}

func ids(t *testing.T, s Store, limit int, f ledger.Filter) []string {
	t.Helper()
	list, err := s.Recent(t.Context(), limit, f)
	must(t, err)
	out := []string{}
	for _, ex := range list {
		out = append(out, ex.ID)
	}
	return out
}

func testEmpty(t *testing.T, s Store) {
	same(t, "position", ledger.Position{}, at(t, s))
	same(t, "recent", []string{}, ids(t, s, 10, ledger.Filter{}))
	rows, err := s.Usage(t.Context(), ledger.UsageQuery{})
	must(t, err)
	same(t, "usage", []ledger.UsageRow{{}}, rows)
	rows, err = s.Usage(t.Context(), ledger.UsageQuery{By: []string{ledger.ByModel}})
	must(t, err)
	same(t, "usage by model", []ledger.UsageRow{}, rows)
}

func testAppend(t *testing.T, s Store) {
	pos := ledger.Position{Segment: 3, Offset: 4096}
	must(t, s.Append(t.Context(), pos, []*ledger.Exchange{Exchange(1), Exchange(2)}))
	same(t, "position", pos, at(t, s))
	for _, n := range []int{1, 2} {
		got, err := s.Get(t.Context(), Exchange(n).ID)
		must(t, err)
		same(t, "record", Exchange(n), got)
	}
}

func testIdempotent(t *testing.T, s Store) {
	batch := []*ledger.Exchange{Exchange(1)}
	for _, pos := range []ledger.Position{{Segment: 2, Offset: 10}, {Segment: 2, Offset: 10}, {Segment: 2, Offset: 9}, {Segment: 1, Offset: 99}} {
		must(t, s.Append(t.Context(), pos, batch))
		batch = []*ledger.Exchange{Exchange(2)}
	}
	same(t, "recent", []string{"req_0001"}, ids(t, s, 10, ledger.Filter{}))
	same(t, "position", ledger.Position{Segment: 2, Offset: 10}, at(t, s))
	must(t, s.Append(t.Context(), ledger.Position{Segment: 3}, batch))
	same(t, "recent", []string{"req_0002", "req_0001"}, ids(t, s, 10, ledger.Filter{}))
}

func testDuplicateID(t *testing.T, s Store) {
	second := Exchange(2)
	second.ID = Exchange(1).ID
	must(t, s.Append(t.Context(), ledger.Position{Segment: 1, Offset: 1}, []*ledger.Exchange{Exchange(1), second}))
	must(t, s.Append(t.Context(), ledger.Position{Segment: 1, Offset: 2}, []*ledger.Exchange{second, Exchange(3)}))
	got, err := s.Get(t.Context(), Exchange(1).ID)
	must(t, err)
	same(t, "the first stays", Exchange(1), got)
	rows, err := s.Usage(t.Context(), ledger.UsageQuery{By: []string{ledger.ByTarget}, Filter: ledger.Filter{Model: Exchange(1).Model}})
	must(t, err)
	total := int64(0)
	for _, r := range rows {
		total += r.Cost
	}
	same(t, "cost", Exchange(1).Cost+Exchange(3).Cost, total)
}

func testDuplicateInLargeBatch(t *testing.T, s Store) {
	var batch []*ledger.Exchange
	cost := int64(0)
	for n := range 100 {
		ex := Exchange(n)
		ex.ID = GatewayID(ex.Start, n)
		batch = append(batch, ex)
		cost += ex.Cost
	}
	again := *batch[3]
	again.Cost, again.Attempts = 1_000_000, nil
	must(t, s.Append(t.Context(), ledger.Position{Segment: 1, Offset: 1}, batch[:5]))
	must(t, s.Append(t.Context(), ledger.Position{Segment: 1, Offset: 2}, slices.Concat(batch[5:50], []*ledger.Exchange{&again}, batch[50:])))
	for _, by := range [][]string{nil, {ledger.ByTarget}} {
		rows, err := s.Usage(t.Context(), ledger.UsageQuery{By: by})
		must(t, err)
		got := int64(0)
		for _, r := range rows {
			got += r.Cost
		}
		same(t, fmt.Sprintf("cost by %q", by), cost, got)
	}
	same(t, "number of records", 100, len(ids(t, s, 200, ledger.Filter{})))
	same(t, "position", ledger.Position{Segment: 1, Offset: 2}, at(t, s))
}

func testSmallBatches(t *testing.T, s Store) {
	begin := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	want := map[string]int64{}
	for n := range 120 {
		ex := Exchange(n)
		ex.Start = begin.Add(time.Duration(n) * 31 * time.Second) // a little over an hour
		ex.ID = GatewayID(ex.Start, n)
		want[ex.Model] += ex.Cost
		must(t, s.Append(t.Context(), ledger.Position{Segment: 1, Offset: int64(n + 1)}, []*ledger.Exchange{ex}))
	}
	rows, err := s.Usage(t.Context(), ledger.UsageQuery{By: []string{ledger.ByModel}})
	must(t, err)
	got := map[string]int64{}
	for _, r := range rows {
		got[r.Model] = r.Cost
	}
	same(t, "cost by model", want, got)
}

func testEmptyBatch(t *testing.T, s Store) {
	must(t, s.Append(t.Context(), ledger.Position{Segment: 1, Offset: 5}, nil))
	same(t, "position", ledger.Position{Segment: 1, Offset: 5}, at(t, s))
}

func testCancelled(t *testing.T, s Store) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Append(ctx, ledger.Position{Segment: 1, Offset: 5}, []*ledger.Exchange{Exchange(1)}); err == nil {
		t.Error("a cancelled append succeeded")
	}
	same(t, "position", ledger.Position{}, at(t, s))
	same(t, "recent", []string{}, ids(t, s, 10, ledger.Filter{}))
}

func testGet(t *testing.T, s Store) {
	Fill(t, s, 12)
	longer := Exchange(40)
	longer.ID = "req_00050"
	odd := Exchange(41)
	odd.ID = "x%_é\U0010ffffz"
	must(t, s.Append(t.Context(), ledger.Position{Segment: 2}, []*ledger.Exchange{longer, odd}))
	tests := []struct {
		id, want string
		err      error
	}{
		{"req_0007", "req_0007", nil},
		{"req_0005", "req_0005", nil}, // exact, though another begins with it
		{"req_00050", "req_00050", nil},
		{"req_001", "", ledger.ErrAmbiguous},
		{"req_", "", ledger.ErrAmbiguous},
		{"req_9", "", ledger.ErrNotFound},
		{"%", "", ledger.ErrNotFound},
		{"x%_", odd.ID, nil},
		{"x%_é\U0010ffff", odd.ID, nil},
		{"", "", ledger.ErrNotFound},
		{"REQ_0007", "", ledger.ErrNotFound},
	}
	for _, tc := range tests {
		got, err := s.Get(t.Context(), tc.id)
		if !errors.Is(err, tc.err) || err == nil && got.ID != tc.want {
			t.Errorf("Get(%q) = %v, %v; want %q, %v", tc.id, got, err, tc.want, tc.err)
		}
	}
}

func testRecent(t *testing.T, s Store) {
	Fill(t, s, 12)
	tests := []struct {
		name  string
		limit int
		f     ledger.Filter
		want  []int
	}{
		{"limit", 3, ledger.Filter{}, []int{11, 10, 9}},
		{"none", 0, ledger.Filter{}, nil},
		{"model", 2, ledger.Filter{Model: "chat"}, []int{10, 8}},
		{"key by id", 2, ledger.Filter{Key: "k1"}, []int{10, 7}},
		{"key by name", 2, ledger.Filter{Key: "backend"}, []int{9, 6}},
		{"customer", 1, ledger.Filter{Customer: "globex"}, []int{10}},
		{"outcome", 9, ledger.Filter{Outcome: ledger.OutcomeFailed}, []int{8, 2}},
		{"fault", 9, ledger.Filter{Fault: "rate_limit"}, []int{8, 2}},
		{"target", 3, ledger.Filter{Target: "eu"}, []int{11, 10, 8}},
		{"time", 9, ledger.Filter{From: Exchange(3).Start, To: Exchange(5).Start}, []int{4, 3}},
		{"several", 9, ledger.Filter{Model: "chat", Customer: "acme"}, []int{6, 0}},
		{"nothing", 9, ledger.Filter{Model: "chat' OR 1=1 --"}, nil},
	}
	for _, tc := range tests {
		want := []string{}
		for _, n := range tc.want {
			want = append(want, Exchange(n).ID)
		}
		same(t, tc.name, want, ids(t, s, tc.limit, tc.f))
	}
}

func testUsage(t *testing.T, s Store) {
	Fill(t, s, 12)
	all := ledger.UsageRow{}
	byOutcome := map[ledger.Outcome]int64{}
	for n := range 12 {
		ex := Exchange(n)
		all.Requests++
		byOutcome[ex.Outcome]++
		all.Input += ex.Usage.Input
		all.CacheRead += ex.Usage.CacheRead
		all.CacheWrite += ex.Usage.CacheWrite
		all.Output += ex.Usage.Output
		all.Reasoning += ex.Usage.Reasoning
		units(&all, &ex.Usage)
		all.Cost += ex.Cost
		all.Held += ex.Held
	}
	all.Unknown = 2
	all.Failed, all.Unpriced = 6, 4 // two each of failed, broken, unknown; every third is unpriced
	rows, err := s.Usage(t.Context(), ledger.UsageQuery{})
	must(t, err)
	same(t, "all", []ledger.UsageRow{all}, rows)

	rows, err = s.Usage(t.Context(), ledger.UsageQuery{By: []string{ledger.ByOutcome, ledger.ByKey}})
	must(t, err)
	got := map[ledger.Outcome]int64{}
	last := ""
	for _, r := range rows {
		got[r.Outcome] += r.Requests
		if now := string(r.Outcome) + "\x00" + r.Key; now <= last {
			t.Errorf("row %q comes after %q", now, last)
		} else {
			last = now
		}
	}
	same(t, "by outcome", byOutcome, got)

	rows, err = s.Usage(t.Context(), ledger.UsageQuery{By: []string{ledger.ByKey}, Filter: ledger.Filter{Model: "embed"}})
	must(t, err)
	var keys []string
	for _, r := range rows {
		keys = append(keys, fmt.Sprint(r.Key, r.Requests))
	}
	same(t, "by key", []string{"backend2", "k12", "k22"}, keys)
}

func units(r *ledger.UsageRow, u *llm.Usage) {
	r.Images += u.Images
	r.AudioMillis += u.AudioMillis
	r.Characters += u.Characters
	r.SearchUnits += u.SearchUnits
}

func testUsageByTarget(t *testing.T, s Store) {
	Fill(t, s, 12)
	want := map[string]*ledger.UsageRow{"": {}, "eu": {Target: "eu"}, "us": {Target: "us"}}
	for n := range 12 {
		ex := Exchange(n)
		if len(ex.Attempts) == 0 {
			want[""].Requests++
			if o := ex.Outcome; o == ledger.OutcomeFailed || o == ledger.OutcomeBroken || o == ledger.OutcomeUnknown {
				want[""].Failed++
			}
		}
		for _, a := range ex.Attempts {
			r := want[a.Target]
			r.Requests++
			if a.Fault != "" {
				r.Failed++
				r.Unpriced++
			}
			r.Input += a.Usage.Input
			r.CacheRead += a.Usage.CacheRead
			r.CacheWrite += a.Usage.CacheWrite
			r.Output += a.Usage.Output
			r.Reasoning += a.Usage.Reasoning
			units(r, &a.Usage)
			r.Cost += a.Cost
		}
	}
	rows, err := s.Usage(t.Context(), ledger.UsageQuery{By: []string{ledger.ByTarget}})
	must(t, err)
	same(t, "all targets", []ledger.UsageRow{*want[""], *want["eu"], *want["us"]}, rows)
	rows, err = s.Usage(t.Context(), ledger.UsageQuery{By: []string{ledger.ByTarget}, Filter: ledger.Filter{Target: "us"}})
	must(t, err)
	same(t, "one target", []ledger.UsageRow{*want["us"]}, rows)
}

func testUsageByDay(t *testing.T, s Store) {
	zone := time.FixedZone("east", 5*3600)
	var batch []*ledger.Exchange
	for i, start := range []time.Time{
		time.Date(2026, 11, 24, 4, 59, 59, 999_999_999, zone), // 23:59:59 of the 23rd
		time.Date(2026, 11, 24, 5, 0, 0, 0, zone),
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		{},
	} {
		ex := Exchange(i)
		ex.Start = start
		batch = append(batch, ex)
	}
	must(t, s.Append(t.Context(), ledger.Position{Segment: 1}, batch))
	rows, err := s.Usage(t.Context(), ledger.UsageQuery{By: []string{ledger.ByDay}})
	must(t, err)
	var days []string
	for _, r := range rows {
		days = append(days, r.Day)
	}
	same(t, "days", []string{"0001-01-01", "1969-12-31", "2026-11-23", "2026-11-24"}, days)
}

func testUsageColumns(t *testing.T, s Store) {
	for _, by := range [][]string{{"colour"}, {""}, {"model", "model"}, {"1; DROP TABLE exchanges"}} {
		if _, err := s.Usage(t.Context(), ledger.UsageQuery{By: by}); err == nil {
			t.Errorf("usage by %q was accepted", by)
		}
	}
}

func testIsolation(t *testing.T, s Store) {
	Fill(t, s, 3)
	got, err := s.Get(t.Context(), "req_0002")
	must(t, err)
	got.Model, got.Attempts[0].Target = "changed", "changed"
	list, err := s.Recent(t.Context(), 1, ledger.Filter{})
	must(t, err)
	same(t, "record", Exchange(2), list[0])
}
