package ledger

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a Store and Reader that lasts as long as the process: for a gateway
// without a state directory, and for tests. It keeps the last exchanges only;
// queries, Usage included, speak of those. The zero Memory is not usable.
type Memory struct {
	mu      sync.RWMutex
	limit   int
	pos     Position
	list    []*Exchange // in order of Append
	ids     map[string]*Exchange
	dropped uint64
}

// memoryLimit is how many exchanges a Memory keeps by default: about 20 MB.
const memoryLimit = 10_000

// NewMemory returns an empty store that keeps the last limit exchanges; 0 takes
// the default of 10,000.
func NewMemory(limit int) *Memory {
	if limit <= 0 {
		limit = memoryLimit
	}
	return &Memory{limit: limit, ids: map[string]*Exchange{}}
}

// Append implements Store. It keeps the exchanges of the batch.
func (m *Memory) Append(ctx context.Context, pos Position, batch []*Exchange) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.pos.Before(pos) {
		return nil
	}
	for _, ex := range batch {
		if m.ids[ex.ID] != nil {
			continue
		}
		m.ids[ex.ID] = ex
		m.list = append(m.list, ex)
	}
	m.pos = pos
	if over := len(m.list) - m.limit; over > 0 {
		for _, ex := range m.list[:over] {
			delete(m.ids, ex.ID)
		}
		m.list = slices.Delete(m.list, 0, over)
		m.dropped += uint64(over)
	}
	return nil
}

// Position implements Store.
func (m *Memory) Position(context.Context) (Position, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.pos, nil
}

// Close implements Store; the exchanges stay readable.
func (m *Memory) Close() error { return nil }

// Dropped is how many exchanges were given up for newer ones.
func (m *Memory) Dropped() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.dropped
}

// Get implements Reader.
func (m *Memory) Get(_ context.Context, id string) (*Exchange, error) {
	if id == "" {
		return nil, ErrNotFound
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if ex := m.ids[id]; ex != nil {
		return copyOf(ex), nil
	}
	var found *Exchange
	for _, ex := range m.list {
		if !strings.HasPrefix(ex.ID, id) {
			continue
		}
		if found != nil {
			return nil, ErrAmbiguous
		}
		found = ex
	}
	if found == nil {
		return nil, ErrNotFound
	}
	return copyOf(found), nil
}

// Recent implements Reader.
func (m *Memory) Recent(_ context.Context, limit int, f Filter) ([]*Exchange, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := []*Exchange{}
	for _, ex := range m.list {
		if f.passes(ex) {
			out = append(out, ex)
		}
	}
	slices.SortFunc(out, func(a, b *Exchange) int {
		return cmp.Or(cmp.Compare(micro(b.Start), micro(a.Start)), cmp.Compare(b.ID, a.ID))
	})
	out = out[:min(len(out), max(limit, 0))]
	for i, ex := range out {
		out[i] = copyOf(ex)
	}
	return out, nil
}

// Each implements Reader.
func (m *Memory) Each(_ context.Context, f Filter, do func(*Exchange) error) error {
	m.mu.RLock()
	var list []*Exchange
	for _, ex := range m.list {
		if f.passes(ex) {
			list = append(list, ex)
		}
	}
	m.mu.RUnlock()
	slices.SortFunc(list, func(a, b *Exchange) int { return cmp.Compare(a.ID, b.ID) })
	for _, ex := range list {
		if err := do(copyOf(ex)); err != nil {
			return err
		}
	}
	return nil
}

// Usage implements Reader.
func (m *Memory) Usage(_ context.Context, q UsageQuery) ([]UsageRow, error) {
	if err := checkBy(q.By); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	groups := map[UsageRow]*UsageRow{}
	if len(q.By) == 0 {
		groups[UsageRow{}] = &UsageRow{}
	}
	for _, ex := range m.list {
		if q.Filter.passes(ex) {
			addUsage(groups, q, ex)
		}
	}
	return sortedRows(groups, q.By), nil
}

// addUsage adds an exchange, or its attempts where the query counts those.
func addUsage(groups map[UsageRow]*UsageRow, q UsageQuery, ex *Exchange) {
	tags := []string{""}
	if len(ex.Tags) > 0 && slices.Contains(q.By, ByTag) {
		tags = ex.Tags
	}
	whole := tally{requests: 1, failed: count(failed(ex.Outcome)), unpriced: count(ex.PriceStatus == Unpriced)}
	if ex.Outcome == OutcomeUnknown {
		whole.unknown, whole.held = 1, ex.Held
	}
	for _, tag := range tags {
		switch {
		case !q.countsAttempts():
			one := whole
			one.use(&ex.Usage, ex.Cost)
			groupOf(groups, q.By, ex, &Attempt{}, tag).count(&one)
		case len(ex.Attempts) == 0:
			if q.Filter.Target == "" && q.Filter.Provider == "" {
				groupOf(groups, q.By, ex, &Attempt{}, tag).count(&whole)
			}
		default:
			addAttempts(groups, q, ex, tag)
		}
	}
}

func addAttempts(groups map[UsageRow]*UsageRow, q UsageQuery, ex *Exchange, tag string) {
	for i := range ex.Attempts {
		a := &ex.Attempts[i]
		if q.Filter.Target != "" && a.Target != q.Filter.Target || q.Filter.Provider != "" && a.Kind != q.Filter.Provider {
			continue
		}
		try := tally{requests: 1, failed: count(a.Fault != ""), unpriced: count(a.Priced == Unpriced)}
		try.use(&a.Usage, a.Cost)
		groupOf(groups, q.By, ex, a, tag).count(&try)
	}
}

// countsAttempts reports whether rows count attempts and not exchanges.
func (q UsageQuery) countsAttempts() bool {
	return slices.Contains(q.By, ByTarget) || slices.Contains(q.By, ByProvider) || q.Filter.Provider != ""
}

// count adds the counters of some exchanges.
func (r *UsageRow) count(t *tally) {
	r.Requests += t.requests
	r.Failed += t.failed
	r.Unpriced += t.unpriced
	r.Input += t.input
	r.CacheRead += t.cacheRead
	r.CacheWrite += t.cacheWrite
	r.Output += t.output
	r.Reasoning += t.reasoning
	r.Images += t.images
	r.AudioMillis += t.audio
	r.Characters += t.characters
	r.SearchUnits += t.searches
	r.CapacityNanos += t.capacity
	r.Cost += t.cost
	r.Unknown += t.unknown
	r.Held += t.held
}

func groupOf(groups map[UsageRow]*UsageRow, by []string, ex *Exchange, at *Attempt, tag string) *UsageRow {
	var k UsageRow
	for _, b := range by {
		*k.group(b) = groupValue(b, ex, at, tag)
	}
	r := groups[k]
	if r == nil {
		r = new(k)
		groups[k] = r
	}
	return r
}

func groupValue(by string, ex *Exchange, at *Attempt, tag string) string {
	switch by {
	case ByModel:
		return ex.Model
	case ByTarget:
		return at.Target
	case ByProvider:
		return at.Kind
	case ByTag:
		return tag
	case ByKeyID:
		return ex.Key
	case ByTeam:
		return ex.Team
	case ByOrganisation:
		return ex.Organisation
	case ByKey:
		return cmp.Or(ex.Name, ex.Key)
	case ByCustomer:
		return ex.Customer
	case ByDay:
		return ex.Start.UTC().Format(time.DateOnly)
	}
	return string(ex.Outcome)
}

func count(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// passes says whether an exchange is one that the filter lets through.
func (f Filter) passes(ex *Exchange) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	at := micro(ex.Start)
	return (f.From.IsZero() || at >= micro(f.From)) && (f.To.IsZero() || at < micro(f.To)) &&
		is(f.Model, ex.Model) && is(f.Customer, ex.Customer) && is(f.Fault, string(ex.Fault)) &&
		is(string(f.Outcome), string(ex.Outcome)) &&
		(f.Key == "" || f.Key == ex.Key || f.Key == ex.Name) &&
		is(f.Team, ex.Team) && is(f.Organisation, ex.Organisation) && (f.Tag == "" || slices.Contains(ex.Tags, f.Tag)) &&
		(f.Provider == "" || slices.ContainsFunc(ex.Attempts, func(a Attempt) bool { return a.Kind == f.Provider })) &&
		(f.Target == "" || slices.ContainsFunc(ex.Attempts, func(a Attempt) bool { return a.Target == f.Target }))
}

// copyOf keeps a reader's changes out of the store.
func copyOf(ex *Exchange) *Exchange {
	c := *ex
	c.Attempts = slices.Clone(ex.Attempts)
	c.Choice = slices.Clone(ex.Choice)
	c.Prefill.Choice = slices.Clone(ex.Prefill.Choice)
	c.Losses = slices.Clone(ex.Losses)
	c.Tags = slices.Clone(ex.Tags)
	return &c
}
