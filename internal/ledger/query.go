package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Queries of SQLite that go over many exchanges. Recent reads records from the
// newest back. Usage adds up the rollup of whole hours and the records of the
// two hours that From and To cut.

// recentScan is how many records Recent looks at; see Reader.
const recentScan = 200_000

// period is [from, to) in Unix microseconds.
type period struct{ from, to int64 }

func (f Filter) period() period {
	p := period{math.MinInt64, math.MaxInt64}
	if !f.From.IsZero() {
		p.from = micro(f.From)
	}
	if !f.To.IsZero() {
		p.to = micro(f.To)
	}
	return p
}

// ids is the period as a range of ids, with room for their slack.
func (p period) ids() (from, to string) {
	from, to = idPrefix, idAfter
	if p.from > math.MinInt64 {
		from = idFrom(floorDiv(p.from, 1000) - idSlack)
	}
	if p.to < math.MaxInt64 {
		to = idFrom(floorDiv(p.to, 1000) + idSlack + 1)
	}
	return from, to
}

const strayRecords = `SELECT e.record FROM strays s JOIN exchanges e ON e.id = s.id WHERE s.start >= ? AND s.start < ? ORDER BY s.start DESC, s.id DESC`

// eachRegular calls each for the exchanges of a period that are no strays,
// newest id first, until it says false. The exchange is valid during the call.
func (s *SQLite) eachRegular(ctx context.Context, p period, each takeExchange) error {
	from, to := p.ids()
	return walk{from: from, to: to, down: true}.eachOf(ctx, s.read, func(ex *Exchange) bool {
		at := micro(ex.Start)
		return isStray(ex.ID, ex.Start) || at < p.from || at >= p.to || each(ex)
	})
}

// eachStray is eachRegular for the strays, newest first.
func (s *SQLite) eachStray(ctx context.Context, p period, each takeExchange) error {
	return eachRecord(ctx, s.read, strayRecords, []any{p.from, p.to}, each)
}

func eachRecord(ctx context.Context, db querier, query string, args []any, each takeExchange) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var scratch Exchange
	var record sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&record); err != nil {
			return err
		}
		if err := decodeInto(&scratch, string(record)); err != nil {
			return err
		}
		if !each(&scratch) {
			return nil
		}
	}
	return rows.Err()
}

// Recent implements Reader.
func (s *SQLite) Recent(ctx context.Context, limit int, f Filter) ([]*Exchange, error) {
	if limit <= 0 {
		return []*Exchange{}, nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	out, err := s.recent(ctx, limit, f)
	if err != nil {
		return nil, fmt.Errorf("ledger database: recent exchanges: %w", err)
	}
	return out, nil
}

func (s *SQLite) recent(ctx context.Context, limit int, f Filter) ([]*Exchange, error) {
	// The newest of each kind, then the newest of both.
	c := collector{limit: limit, filter: f, last: math.MaxInt64, out: []*Exchange{}}
	if err := s.eachRegular(ctx, f.period(), func(ex *Exchange) bool { return c.take(ex, nil) }); err != nil {
		return nil, err
	}
	strays := collector{limit: limit, filter: f, exact: true}
	if err := s.eachStray(ctx, f.period(), func(ex *Exchange) bool { return strays.take(ex, nil) }); err != nil {
		return nil, err
	}
	out := append(c.out, strays.out...)
	slices.SortFunc(out, func(a, b *Exchange) int {
		return cmp.Or(cmp.Compare(micro(b.Start), micro(a.Start)), cmp.Compare(b.ID, a.ID))
	})
	return out[:min(len(out), limit)], nil
}

// collector takes exchanges that come newest first.
type collector struct {
	limit  int
	filter Filter
	exact  bool // they come by Start; else by their ids, which have some slack
	seen   int
	last   int64 // the smallest Start of the first limit ones, in Unix milliseconds
	out    []*Exchange
}

func (c *collector) take(ex *Exchange, _ []byte) bool {
	c.seen++
	at := ex.Start.UnixMilli()
	if len(c.out) >= c.limit && (c.exact || at < c.last-2*idSlack) {
		return false
	}
	if c.filter.passes(ex) {
		if len(c.out) < c.limit {
			c.last = min(c.last, at)
		}
		c.out = append(c.out, copyOf(ex))
	}
	return c.seen < recentScan
}

// Usage implements Reader.
func (s *SQLite) Usage(ctx context.Context, q UsageQuery) ([]UsageRow, error) {
	if err := checkBy(q.By); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := newTable(q)
	if err := s.usage(ctx, q.Filter.period(), t); err != nil {
		return nil, fmt.Errorf("ledger database: usage: %w", err)
	}
	return t.rows(), nil
}

func (s *SQLite) usage(ctx context.Context, p period, t *table) error {
	var pruned int64
	if err := s.read.QueryRowContext(ctx, `SELECT pruned FROM state`).Scan(&pruned); err != nil {
		return err
	}
	from, to, cuts := p.hours(pruned)
	if err := s.eachSum(ctx, from, to, t.query.Original, t.add); err != nil {
		return err
	}
	var r rollup
	for _, cut := range cuts {
		if err := s.countCut(ctx, cut, &r, t.query.Original); err != nil {
			return err
		}
	}
	for i := range r.cells {
		t.add(&r.cells[i], &r.sums[i])
	}
	return nil
}

// farHour is beyond the hours of any time; a part's number still holds it.
const farHour = math.MaxInt64 / partsPerHour / 2

// hours splits a period into the whole hours [from, to) and what is cut off
// hours at either end. A cut hour before pruned, whose records are not there
// any more, counts whole if it begins in the period.
func (p period) hours(pruned int64) (from, to int64, cuts []period) {
	from, to = -farHour, farHour
	if p.from > math.MinInt64 {
		from = -hourOf(-p.from) // rounded up
	}
	if p.to < math.MaxInt64 {
		to = hourOf(p.to)
	}
	if p.from >= p.to {
		return 0, 0, nil
	}
	if start := from * microsPerHour; p.from > math.MinInt64 && p.from < start && from > pruned {
		cuts = append(cuts, period{p.from, min(start, p.to)})
	}
	switch start := to * microsPerHour; {
	case p.to == math.MaxInt64 || p.to == start || to < from:
	case to < pruned:
		to++
	default:
		cuts = append(cuts, period{start, p.to})
	}
	return from, max(from, to), cuts
}

func floorDiv(a, b int64) int64 {
	if a%b < 0 {
		return a/b - 1
	}
	return a / b
}

// groupKey is the values of a query's columns, in their order.
type groupKey [11]string

// table builds the rows of a usage query from cells.
type table struct {
	query    UsageQuery
	byTarget bool // or by provider: attempts are counted
	byTag    int  // place of the column; -1: there is none
	groups   map[groupKey]*UsageRow
	hour     int64 // of day
	day      string
}

func newTable(q UsageQuery) *table {
	t := &table{query: q, byTarget: q.countsAttempts(), byTag: slices.Index(q.By, ByTag), groups: map[groupKey]*UsageRow{}}
	if len(q.By) == 0 {
		t.groups[groupKey{}] = &UsageRow{}
	}
	return t
}

func (t *table) add(c *cell, s *sums) {
	f := &t.query.Filter
	is := func(want, have string) bool { return want == "" || want == have }
	if !is(f.Model, c.model) || !is(f.Target, c.target) || !is(f.Customer, c.customer) ||
		!is(string(f.Outcome), c.outcome) || !is(f.Fault, c.fault) || f.Key != "" && f.Key != c.key && f.Key != c.name ||
		!is(f.Team, c.team) || !is(f.Organisation, c.organisation) || !is(f.Provider, c.provider) ||
		f.Tag != "" && !slices.Contains(strings.Split(c.tags, ","), f.Tag) {
		return
	}
	got := s.first
	switch {
	case t.byTarget:
		got = s.tries
	case f.Target != "":
		got.add(&s.also)
	}
	if got == (tally{}) { // what was rated again counts no requests
		return
	}
	if t.byTag < 0 {
		t.row(c, "").count(&got)
		return
	}
	for tag := range strings.SplitSeq(c.tags, ",") {
		t.row(c, tag).count(&got)
	}
}

func (t *table) row(c *cell, tag string) *UsageRow {
	var k groupKey
	for i, by := range t.query.By {
		k[i] = t.value(by, c)
	}
	if t.byTag >= 0 {
		k[t.byTag] = tag
	}
	r := t.groups[k]
	if r == nil {
		r = new(UsageRow)
		for i, by := range t.query.By {
			*r.group(by) = k[i]
		}
		t.groups[k] = r
	}
	return r
}

func (t *table) value(by string, c *cell) string {
	switch by {
	case ByModel:
		return c.model
	case ByTarget:
		return c.target
	case ByKey:
		return cmp.Or(c.name, c.key)
	case ByKeyID:
		return c.key
	case ByCustomer:
		return c.customer
	case ByTeam:
		return c.team
	case ByOrganisation:
		return c.organisation
	case ByProvider:
		return c.provider
	case ByDay:
		if t.day == "" || t.hour != c.hour {
			t.hour, t.day = c.hour, time.Unix(c.hour*3600, 0).UTC().Format(time.DateOnly)
		}
		return t.day
	}
	return c.outcome
}

func (t *table) rows() []UsageRow { return sortedRows(t.groups, t.query.By) }

// sortedRows orders the rows of a usage query by their groups.
func sortedRows[K comparable](groups map[K]*UsageRow, by []string) []UsageRow {
	rows := make([]UsageRow, 0, len(groups))
	for _, r := range groups {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b UsageRow) int {
		for _, by := range by {
			if c := cmp.Compare(*a.group(by), *b.group(by)); c != 0 {
				return c
			}
		}
		return 0
	})
	return rows
}

// checkBy refuses unknown and repeated columns.
func checkBy(by []string) error {
	for i, b := range by {
		if !slices.Contains(byColumns, b) {
			return fmt.Errorf("usage by %q: there is no such column; use some of %s", b, strings.Join(byColumns, ", "))
		}
		if slices.Contains(by[:i], b) {
			return fmt.Errorf("usage by %q: the column is named twice", b)
		}
	}
	return nil
}

// group returns where a row keeps the value of a By column.
func (r *UsageRow) group(by string) *string {
	switch by {
	case ByModel:
		return &r.Model
	case ByTarget:
		return &r.Target
	case ByKey:
		return &r.Key
	case ByKeyID:
		return &r.KeyID
	case ByCustomer:
		return &r.Customer
	case ByTeam:
		return &r.Team
	case ByOrganisation:
		return &r.Organisation
	case ByProvider:
		return &r.Provider
	case ByTag:
		return &r.Tag
	case ByDay:
		return &r.Day
	}
	return (*string)(&r.Outcome)
}

// micro cuts a time to the precision of the store.
func micro(t time.Time) int64 { return t.UnixMicro() }
